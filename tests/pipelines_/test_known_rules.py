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
from pipelines.run.contract_rules import evaluate
from pipelines.run.known_rules import KnownRules
from provenance.rows.column_types import ARROW
from provenance.rows.shards import Shard, read_table, write_shard
from provenance.rows.snapshot import Snapshot

DAY = dt.date(2024, 2, 1)
KINDS = {
    "n": "integer", "m": "integer", "x": "number", "t": "string", "d": "date", "k": "string",
}  # fmt: skip
OPTIONS = {
    "n": [{"minimum": 2}, {"maximum": 7}, {"exclusiveMinimum": 0, "maximum": 2**60}],
    "m": [{"minimum": 1}],
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


def own(kind, **given):
    """Return a rule that names an expectation of the library, under an id of its own."""
    return {
        "id": f"{kind} {json.dumps(given)}", "type": "custom", "engine": "greatExpectations",
        "implementation": {"type": f"expect_{kind}", "kwargs": given},
    }  # fmt: skip


OF_TEXT = [
    {**WORDS, "mustBe": 0},
    {**WORDS, "mustBeLessThan": 2},
    {"metric": "missingValues", "arguments": {"missingValues": ["?", None]}, "mustBe": 0},
    own("column_values_to_be_null"),
    own("column_values_to_not_match_regex", regex="%"),
    own("column_values_to_match_regex_list", regex_list=["a", "b"], match_on="any"),
    own("column_values_to_match_like_pattern", like_pattern="a%"),
    own("column_values_to_be_in_set", value_set=["a", "c"]),
    own("column_values_to_be_in_set", value_set=["a", "ab"], mostly=0.2),
    own("column_values_to_not_be_null", mostly=0.8),
    own("column_values_to_be_null", mostly=0.15),
    own("column_values_to_be_unique", mostly=0.5),
    own("column_value_lengths_to_be_between", min_value=1, mostly=0.9),
    own("column_values_to_be_json_parseable"),
    own("column_values_to_be_dateutil_parseable", mostly=0.1),
    own("column_values_to_match_strftime_format", strftime_format="%Y"),
    own("column_values_to_match_json_schema", json_schema={"type": "object"}),
]
ENDS = [
    {"min_value": 3}, {"max_value": 4.5}, {"min_value": -2, "max_value": 60},
    {"max_value": 4, "strict_max": True}, {"min_value": 0, "strict_min": True},
]  # fmt: skip
RANGES = [[None, 1], [0, 3], [2, None], [5, 9]]
QUANTILES = own(
    "column_quantile_values_to_be_between",
    quantile_ranges={"quantiles": [0, 0.25, 0.5, 1], "value_ranges": RANGES},
)
OF_NUMBERS = [
    own(f"column_{name}_to_be_between", **ends)
    for name in ("max", "mean", "median", "min", "stdev", "sum")
    for ends in ENDS
]
OF_DAYS = [
    own(f"column_{name}_to_be_between", **ends)
    for name in ("max", "median", "min")
    for ends in ({"min_value": "2024-02-02"}, {"max_value": "2024-02-04T12:00:00"})
]
OF_ANY = [
    own("column_unique_value_count_to_be_between", min_value=3),
    own("column_unique_value_count_to_be_between", max_value=8),
    own("column_proportion_of_unique_values_to_be_between", min_value=0.1, max_value=0.9),
    own("column_proportion_of_non_null_values_to_be_between", min_value=0.9),
    own("column_to_exist"),
]
OF_ORDER = [
    own("column_values_to_be_increasing"),
    own("column_values_to_be_decreasing", strictly=True, mostly=0.3),
]
OF_TABLE = [
    own("table_row_count_to_equal", value=40),
    own("table_row_count_to_be_between", min_value=2, max_value=50),
    own("table_column_count_to_equal", value=5),
    own("table_column_count_to_be_between", max_value=4),
    own("table_columns_to_match_set", column_set=["n", "x", "t"], exact_match=False),
    own("table_columns_to_match_set", column_set=["n", "x"]),
    *(
        own(f"column_pair_values_{name}", column_A="n", column_B=b, **given, **more)
        for name, b, given in (
            ("a_to_be_greater_than_b", "x", {"or_equal": True}),
            ("a_to_be_greater_than_b", "m", {}),
            ("to_be_equal", "m", {}),
            ("to_be_in_set", "m", {"value_pairs_set": [[1, 1], [2, 3], [None, 4]]}),
        )
        for more in ({}, {"ignore_row_if": "either_value_is_missing"}, {"mostly": 0.4},
                     {"ignore_row_if": "neither", "mostly": 0.2})
    ),
    *(
        own(name, column_list=["n", "m"], **given, **more)
        for name, given in (
            ("multicolumn_sum_to_equal", {"sum_total": 8}),
            ("multicolumn_values_to_be_equal", {}),
            ("select_column_values_to_be_unique_within_record", {}),
            ("compound_columns_to_be_unique", {}),
        )
        for more in ({}, {"ignore_row_if": "any_value_is_missing"}, {"mostly": 0.1},
                     {"ignore_row_if": "never", "mostly": 0.3})
    ),
]  # fmt: skip
COUNTS = [
    {"metric": "rowCount", "mustBeGreaterThan": 2},
    {"metric": "rowCount", "mustBeBetween": [1, 5]},
]
SQL = [{"type": "sql", "query": "SELECT count(*) FROM t WHERE n > m", "mustBeLessThan": 9}]
UNIQUE = [{"metric": "duplicateValues", "mustBe": 0, "arguments": {"properties": ["n", "t"]}}]
_IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def some(rng, choices, share=0.5):
    """Return each of the choices or not."""
    return [choice for choice in choices if rng.random() < share]


def loaded(path, table):
    """Load a contract on a table called `t`, written to a file."""
    head = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "t", "name": "t"}
    whole = head | {"version": "1.0.0", "status": "active", "schema": [{"name": "t", **table}]}
    path.write_text(json.dumps(whole))
    return loader.load(path)


def contract_of(rng, folder, name):
    """Load a contract with rules drawn at random."""
    more = {"n": OF_NUMBERS, "m": OF_NUMBERS, "x": OF_NUMBERS, "t": OF_TEXT, "d": OF_DAYS}
    properties = []
    for column, kind in KINDS.items():
        options = OPTIONS[column][rng.integers(len(OPTIONS[column]))]
        quality = some(rng, NULLS) + some(rng, more.get(column, []), 0.3) + some(rng, OF_ANY, 0.3)
        quality += some(rng, OF_ORDER, 0.3) if kind != "string" else []
        shown = [{"property": "assay.pii", "value": "allow"}] if rng.random() < 0.3 else []
        if kind in ("integer", "number") and not shown and rng.random() < 0.5:
            quality += [QUANTILES]
        named = [{**rule, "id": f"{column} {rule['id']}"} for rule in quality if "id" in rule]
        quality = named + [rule for rule in quality if "id" not in rule]
        rules = {"required": bool(rng.random() < 0.3), "unique": bool(rng.random() < 0.3)}
        properties.append(
            {"name": column, "logicalType": kind, "logicalTypeOptions": options, **rules}
            | {"quality": quality, "customProperties": shown}
        )
    # counts of its missing cells are withheld
    for column in ("t", *some(rng, ["m", "x"])):
        protected = {"property": "assay.role", "value": "quasi_identifier"}
        properties[list(KINDS).index(column)]["customProperties"] += [protected]
    properties[-1] |= {"primaryKey": True}
    rules = some(rng, COUNTS + UNIQUE + SQL) + some(rng, OF_TABLE, 0.25)
    return loaded(folder / f"{name}.yaml", {"quality": rules, "properties": properties})


def source_of(rng, folder, rows):
    """Return the snapshot of a table drawn at random."""
    folder.mkdir()
    lacking = rng.choice([0, 0.2, 1], p=[0.4, 0.5, 0.1])
    cells = {
        "n": [*map(int, rng.integers(0, 9, rows))],
        "m": [*map(int, rng.integers(0, 9, rows))],
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


@pytest.mark.parametrize("seed", range(8))
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
    # other rows: filled in
    plain, told, _ = ran(tmp_path / "plain", contract, second)
    assert (*ran(tmp_path / "kept", contract, second, made),) == (plain, told, None)
    quiet = dataclasses.replace(contract, has_docs=False)
    silent = {name: text for name, text in told.items() if "data_docs" not in name}
    assert (*ran(tmp_path / "quiet", quiet, second, made),) == (plain, silent, None)


def test_the_number_of_rows_is_filled_in(tmp_path):
    rng = np.random.default_rng(0)
    table = {"properties": [{"name": "n", "logicalType": "integer"}]}
    table |= {"quality": [{"metric": "rowCount", "mustBeGreaterThan": 0}]}
    contract = loaded(tmp_path / "contract.yaml", table)
    few, many = (source_of(rng, tmp_path / str(rows), rows) for rows in (3, 1200))
    _, _, made = ran(tmp_path / "a", contract, few)
    _, files, remade = ran(tmp_path / "b", contract, many, made)
    assert remade is None
    page = files["expectations/data_docs/index.html"]
    assert re.search(r">\s*1,?200\s*<", page)


@pytest.mark.parametrize(
    "rule",
    [
        own("column_most_common_value_to_be_in_set", value_set=[1, 2]),
        own("column_distinct_values_to_be_in_set", value_set=[1, 2]),
        QUANTILES,  # a table on the page, since the column's cells may be shown
    ],
    ids=lambda rule: rule["implementation"]["type"],
)
def test_what_needs_the_library_each_time_is_not_kept(tmp_path, rule):
    rng = np.random.default_rng(1)
    shown = {"customProperties": [{"property": "assay.pii", "value": "allow"}]}
    column = {"name": "n", "logicalType": "integer", "quality": [rule], **shown}
    contract = loaded(tmp_path / "contract.yaml", {"properties": [column]})
    assert ran(tmp_path / "out", contract, source_of(rng, tmp_path / "in", 30))[2] is None


def test_another_type_of_column_asks_the_library_again(tmp_path):
    rng = np.random.default_rng(2)
    contract = contract_of(rng, tmp_path, "contract")
    source = source_of(rng, tmp_path / "in", 40)
    found, files, made = ran(tmp_path / "a", contract, source)
    other = dataclasses.replace(made, types={**made.types, "n": "DOUBLE"})
    wrong = dict.fromkeys(made.learned.conditions, "no_such_column = 1")
    broken = dataclasses.replace(made.learned, conditions=wrong)
    broken = dataclasses.replace(made, learned=broken)
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
