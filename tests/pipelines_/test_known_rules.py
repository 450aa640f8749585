"""Rules of a known contract: the same findings and files as from Great Expectations, byte by byte.

A table, the rules and a second table are drawn at random. What the first run of the contract makes
serves the second, beside a run that does without it.
"""

import dataclasses
import datetime as dt
import json
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from checks.contract import loader
from checks.rules import plain_rules, suite
from pipelines.run import kept_docs
from pipelines.run.contract_rules import evaluate
from pipelines.run.known_rules import KnownRules
from provenance.rows.column_types import ARROW
from provenance.rows.shards import Shard, read_table, write_shard
from provenance.rows.snapshot import Snapshot

DAY = dt.date(2024, 2, 1)
KINDS = {"n": "integer", "x": "number", "t": "string", "d": "date", "k": "string"}
OPTIONS = {
    "n": [{"minimum": 2}, {"maximum": 7}, {"exclusiveMinimum": 0, "maximum": 2**60}],
    "x": [{"minimum": -0.5}, {"exclusiveMaximum": 0.75}],
    "t": [{"minLength": 2, "maxLength": 3}, {"pattern": "^[a-c]+$"}],
    "d": [{"minimum": "2024-02-03"}],
    "k": [{}],
}
NULLS = [
    {"metric": "nullValues", "mustBe": 0, "severity": "warning"},
    {"metric": "nullValues", "mustBeLessThan": 30, "unit": "percent"},
    {"metric": "nullValues", "mustBeBetween": [1, 3], "unit": "rows"},
]
WORDS = {"metric": "invalidValues", "arguments": {"validValues": ["a", "b'", "ab"]}}
OF_TEXT = [
    {**WORDS, "mustBe": 0},
    {**WORDS, "mustBeLessThan": 2},
    {"metric": "missingValues", "arguments": {"missingValues": ["?", None]}, "mustBe": 0},
    *(
        {
            "id": f"own {kind}", "type": "custom", "engine": "greatExpectations",
            "implementation": {"type": f"expect_column_values_to_{kind}", "kwargs": kwargs},
        }
        for kind, kwargs in {
            "be_null": {},
            "not_match_regex": {"regex": "%"},
            "match_regex_list": {"regex_list": ["a", "b"], "match_on": "any"},
            "match_like_pattern": {"like_pattern": "a%"},
            "be_in_set": {"value_set": ["a", "c"]},
        }.items()
    ),
]  # fmt: skip
COUNTS = [
    {"metric": "rowCount", "mustBeGreaterThan": 2},
    {"metric": "rowCount", "mustBeBetween": [1, 5]},
]
UNIQUE = [{"metric": "duplicateValues", "mustBe": 0, "arguments": {"properties": ["n", "t"]}}]
_IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def some(rng, choices):
    """Return each of the choices or not."""
    return [choice for choice in choices if rng.random() < 0.5]


def contract_of(rng, folder, name):
    """Load a contract with rules drawn at random."""
    properties = []
    for column, kind in KINDS.items():
        options = OPTIONS[column][rng.integers(len(OPTIONS[column]))]
        quality = some(rng, NULLS) + (some(rng, OF_TEXT) if column == "t" else [])
        rules = {"required": bool(rng.random() < 0.3), "unique": bool(rng.random() < 0.3)}
        properties.append(
            {"name": column, "logicalType": kind, "logicalTypeOptions": options, **rules}
            | {"quality": quality}
        )
    # counts of its missing cells are withheld
    protected = {"property": "assay.role", "value": "quasi_identifier"}
    properties[list(KINDS).index("t")] |= {"customProperties": [protected]}
    properties[-1] |= {"primaryKey": True}
    table = {"name": "t", "quality": some(rng, COUNTS + UNIQUE), "properties": properties}
    head = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "t", "name": "t"}
    path = folder / f"{name}.yaml"
    whole = head | {"version": "1.0.0", "status": "active", "schema": [table]}
    path.write_text(json.dumps(whole))
    return loader.load(path)


def source_of(rng, folder, rows):
    """Return the snapshot of a table drawn at random."""
    folder.mkdir()
    lacking = rng.choice([0, 0.2, 1], p=[0.4, 0.5, 0.1])
    cells = {
        "n": [*map(int, rng.integers(0, 9, rows))],
        "x": [float("nan") if v > 0.9 else float(v) for v in rng.uniform(-1, 1, rows)],
        "t": [*map(str, rng.choice(["a", "b'", "ab", "?", "c%", "abcd", ""], rows))],
        "d": [DAY + dt.timedelta(int(v)) for v in rng.integers(0, 5, rows)],
        "k": [str(v) for v in rng.integers(0, 40, rows)],
    }
    table = pa.table(
        {
            name: pa.array(
                [None if rng.random() < lacking else cell for cell in column], ARROW[KINDS[name]]
            )
            for name, column in cells.items()
        }
    )
    digests = np.zeros((rows, 32), np.uint8)
    refs = (write_shard(folder, Shard(0, table, np.arange(rows), digests)),) if rows else ()
    return Snapshot(str(folder), rows, (), refs, (), None, None, None, ())


def left(folder, evaluated):
    """Return the findings and the bytes of each file, without what a page draws by chance."""
    texts = {
        str(path.relative_to(folder)): _IDS.sub("ID", path.read_text())
        for path in sorted((folder / "expectations").rglob("*"))
        if path.is_file()
    }
    return read_table(evaluated.findings), texts


def ran(folder, contract, source, known=None):
    folder.mkdir()
    done = evaluate(contract, source, folder, known=known)
    return (*left(folder, done), done.made)


@pytest.mark.parametrize("seed", range(6))
def test_a_known_contract_leaves_what_the_library_leaves(tmp_path, seed):
    rng = np.random.default_rng(seed)
    contract = contract_of(rng, tmp_path, "contract")
    first, second = (source_of(rng, tmp_path / name, int(rng.choice([0, 1, 40, 1200])))
                     for name in ("first", "second"))  # fmt: skip
    found, files, made = ran(tmp_path / "new", contract, first)
    again = json.loads(json.dumps(made.as_json()))
    assert KnownRules.of_json(again) == made
    # the same rows: nothing is made again
    assert (*ran(tmp_path / "known", contract, first, made),) == (found, files, None)
    plain, told, _ = ran(tmp_path / "plain", contract, second)
    kept, written, remade = ran(tmp_path / "kept", contract, second, made)
    assert (kept, written) == (plain, told)
    # other rows: drawn again only if the page shows something else
    assert (remade is None) == (made.documents.shows == _shows(tmp_path / "kept", contract))
    quiet = dataclasses.replace(contract, has_docs=False)
    silent = {name: text for name, text in told.items() if "data_docs" not in name}
    assert (*ran(tmp_path / "quiet", quiet, second, made),) == (plain, silent, None)


def _shows(folder, contract):
    """Return what the page of a result shows, from result.json."""
    whole = json.loads((folder / "expectations" / "result.json").read_text())
    results = [plain_rules.Result(one["success"], one["result"]) for one in whole["results"]]
    assert len(results) == len(suite.clauses(contract))
    return kept_docs.shown(results, whole["meta"]["sql_rules"])


def test_the_number_of_rows_is_filled_in(tmp_path):
    rng = np.random.default_rng(0)
    table = {"name": "t", "properties": [{"name": "n", "logicalType": "integer"}]}
    table |= {"quality": [{"metric": "rowCount", "mustBeGreaterThan": 0}]}
    head = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "t", "name": "t"}
    path = tmp_path / "contract.yaml"
    path.write_text(json.dumps(head | {"version": "1.0.0", "status": "active", "schema": [table]}))
    contract = loader.load(path)
    few, many = (source_of(rng, tmp_path / str(rows), rows) for rows in (3, 1200))
    _, _, made = ran(tmp_path / "a", contract, few)
    _, files, remade = ran(tmp_path / "b", contract, many, made)
    assert remade is None
    page = files["expectations/data_docs/index.html"]
    assert re.search(r">\s*1,?200\s*<", page)
    assert kept_docs.marks(page) == 0


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("expect_column_mean_to_be_between", {"column": "x", "min_value": -1, "max_value": 1}),
        ("expect_column_values_to_be_increasing", {"column": "n"}),
        ("expect_column_values_to_be_in_set", {"column": "n", "value_set": [1], "mostly": 0.5}),
    ],
)
def test_what_needs_the_library_each_time_is_not_kept(tmp_path, kind, given):
    rng = np.random.default_rng(1)
    contract = contract_of(rng, tmp_path, "contract")
    rule = dataclasses.replace(contract.rules[0], kind=kind, column=None, params=given)
    contract = dataclasses.replace(contract, rules=(*contract.rules, rule))
    assert ran(tmp_path / "out", contract, source_of(rng, tmp_path / "in", 30))[2] is None


def test_another_type_of_column_asks_the_library_again(tmp_path):
    rng = np.random.default_rng(2)
    contract = contract_of(rng, tmp_path, "contract")
    source = source_of(rng, tmp_path / "in", 40)
    found, files, made = ran(tmp_path / "a", contract, source)
    other = dataclasses.replace(made, types={**made.types, "n": "DOUBLE"})
    wrong = dict.fromkeys(made.conditions, "no_such_column = 1")
    broken = dataclasses.replace(made, conditions=wrong)
    for name, known in {"types": other, "conditions": broken}.items():
        assert ran(tmp_path / name, contract, source, known)[:2] == (found, files)


KNOWN = """
import json, sys
from pipelines.run import contract_rules
from provenance.rows.snapshot import Snapshot
from pathlib import Path
snapshot, contract, out, known = sys.argv[1:]
answer = contract_rules.run_rules(contract, snapshot, out, json.loads(Path(known).read_text()))
assert answer["made"] is None
heavy = {"great_expectations", "sqlalchemy", "scipy", "jinja2"} & set(sys.modules)
assert not heavy, heavy
"""


def test_a_known_contract_is_judged_without_importing_the_library(tmp_path):
    rng = np.random.default_rng(3)
    contract = contract_of(rng, tmp_path, "contract")
    source = source_of(rng, tmp_path / "in", 40)
    source.save()
    _, files, made = ran(tmp_path / "a", contract, source)
    known, out = tmp_path / "known.json", tmp_path / "b"
    known.write_text(json.dumps(made.as_json()))
    out.mkdir()
    given = [source.folder, str(tmp_path / "contract.yaml"), str(out), str(known)]
    done = subprocess.run(
        [sys.executable, "-c", KNOWN, *given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    written = (out / "expectations" / "result.json").read_text()
    assert written == files["expectations/result.json"]


LEAN = """
import sys
from checks.rules import lean_import
late = {"altair", "scipy.stats", "boto3", "botocore"}
assert not late & set(sys.modules), late & set(sys.modules)
from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as it
assert it.stats.entropy([1, 1]) > 0.6
assert it.alt.Chart.from_dict.__name__ == "from_dict"
import scipy.stats, altair, boto3
assert scipy.stats.entropy is it.stats.entropy
assert altair.Chart is it.alt.Chart
"""


def test_a_lean_import_brings_what_is_used_later():
    done = subprocess.run([sys.executable, "-c", LEAN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
