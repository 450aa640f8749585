"""Croissant for whatever columns and contracts there are: still valid, still readable."""

import datetime as dt
import decimal
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.store import commit, croissant
from provenance.base.file_digest import sha256_of

# of mlcroissant 1.1 with rdflib 7.6 and pandas 3.1
pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index"),
]
MOMENT = dt.datetime(2024, 2, 3, 4, 5, 6, 7)  # noqa: DTZ001  a column without a zone
COLUMNS = {
    "plain": (pa.array(["a", None]), "sc:Text", b"a"),
    "two words": (pa.array([2**53 + 1, 0], pa.int64()), "sc:Integer", 2**53 + 1),
    "sm/all": (pa.array([1, 2], pa.int8()), "sc:Integer", 1),
    "%41": (pa.array([2**64 - 1, 0], pa.uint64()), "sc:Integer", 2**64 - 1),
    "A": (pa.array([0.5, None], pa.float32()), "sc:Float", 0.5),
    "øre 'n \"x\" \\": (pa.array([decimal.Decimal("1.25"), None]), "sc:Float", 1.25),
    "@id": (pa.array(["u", "v"]).dictionary_encode(), "sc:Text", b"u"),
    "line\nfeed": (pa.array([True, None]), "sc:Boolean", True),
    "http://x/y": (pa.array([dt.date(1, 1, 1), None]), "sc:Date", dt.datetime(1, 1, 1)),  # noqa: DTZ001
    "index": (pa.array([MOMENT, None], pa.timestamp("us")), "sc:DateTime", MOMENT),
    "zone": (pa.array([MOMENT, None], pa.timestamp("us", "UTC")), "sc:DateTime",
             MOMENT.replace(tzinfo=dt.UTC)),
    "time": (pa.array([dt.time(1, 2, 3), None]), "sc:Time", dt.time(1, 2, 3)),
    "bytes": (pa.array([b"\xff", None]), "sc:Text", b"\xff"),
    "nothing": (pa.nulls(2), "sc:Text", None),
}  # fmt: skip
FACTS = {
    "dataset": "odd",
    "contract": {"version": "1"},
    "run_id": "0" * 32,
    "time": "2026-01-01T00:00:00+00:00",
    "verdict": "pass",
    "rows": {"clean": 2, "source": 3},
}


def described(folder, table, *, contract="", version="1"):
    """Write a clean part and its description; return what Croissant's own reader makes of it."""
    import mlcroissant

    (folder / "clean").mkdir(parents=True)
    pq.write_table(table, folder / "clean" / "part-00000.parquet")
    names = "".join(f"      - name: {json.dumps(name)}\n" for name in table.column_names)
    schema = f"schema:\n  - name: odd\n    properties:\n{names}"
    (folder / "contract.yaml").write_text(f"{contract}\n{schema}", encoding="utf-8")
    sha256 = sha256_of(folder / "contract.yaml")
    facts = {**FACTS, "contract": {"version": version, "sha256": sha256}}
    told = croissant.croissant_of(3, facts, commit.outputs_of(folder), folder)
    (folder / "croissant.json").write_text(json.dumps(told), encoding="utf-8")
    dataset = mlcroissant.Dataset(folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    return told, list(dataset.records("rows"))


def test_every_type_and_any_name(tmp_path):
    table = pa.table({name: column for name, (column, _, _) in COLUMNS.items()})
    told, rows = described(tmp_path, table)
    fields = told["recordSet"][0]["field"]
    assert {f["name"]: f["dataType"] for f in fields} == {
        n: kind for n, (_, kind, _) in COLUMNS.items()
    }
    names = {field["@id"]: field["name"] for field in fields}
    assert len(rows) == 2
    first = {names[key]: value for key, value in rows[0].items()}
    assert first == {name: value for name, (_, _, value) in COLUMNS.items()}


def test_no_clean_row_is_still_a_dataset(tmp_path):
    table = pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())})
    _, rows = described(tmp_path, table)
    assert rows == []


@pytest.mark.parametrize(
    ("given", "version"),
    [
        ("1", "1.0.0+run.3"),
        ("1.10", "1.10.0+run.3"),
        ("2.0.1", "2.0.1+run.3"),
        ("1.0.0-rc.1", "1.0.0-rc.1+run.3"),
        ("01.2", None),
        ("v1", None),
        ("2024-01-01 draft", None),
        ("", None),
    ],
)
def test_only_a_semantic_version_is_told(tmp_path, given, version):
    told, _ = described(tmp_path, pa.table({"a": [1]}), version=given)
    assert told.get("version") == version


@pytest.mark.parametrize(
    "contract",
    [
        "description: [a, b]",
        "description: {purpose: [x], usage: 7}",
        "tenant: 7\nauthoritativeDefinitions: 7",
        "authoritativeDefinitions: [x, {type: [license], url: y}, {type: license, url: 3}]",
        "authoritativeDefinitions: [{type: other, url: y}]",
    ],
)
def test_what_a_contract_tells_in_another_shape_is_left_out(tmp_path, contract):
    told, _ = described(tmp_path, pa.table({"a": [1]}), contract=contract)
    assert re.findall(r"\d+", told["description"])[:3] == ["2", "3", "3"]  # clean, source, run
    assert not {"license", "url", "creator"} & told.keys()
