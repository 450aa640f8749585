"""Checks see the contract's types whatever a Parquet file is written in, and find the same."""

import decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tables

from checks.kit.contract_model import Column, Contract
from checks.kit.visible_columns import table_seen
from pipelines.checking import engine
from pipelines.checking.examine import examine
from provenance.readers.ingest import Limits, ingest
from provenance.rows import digest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import Shard, write_shard

ODD = {
    "dictionary": lambda column: column.dictionary_encode(),
    "large": lambda column: column.cast(pa.large_string()),
    "half": lambda column: column.cast(pa.float16()),
    "float": lambda column: column.cast(pa.float32()),
    "decimal": lambda column: column.cast(pa.decimal128(20, 6), safe=False),
    "wide decimal": lambda column: column.cast(pa.decimal256(60, 6), safe=False),
    "unsigned": lambda column: column.cast(pa.uint64()),
    "shorter": lambda column: column.cast(pa.int32()),
    "small": lambda column: column.cast(pa.int16()),
    "long days": lambda column: column.cast(pa.date64()),
    "nothing": lambda column: pa.nulls(len(column)),
}
FITS = {"string": ("dictionary", "large", "nothing"), "int64": ("unsigned", "small", "dictionary"),
        "double": ("half", "float", "decimal", "wide decimal", "nothing"),
        "date32[day]": ("long days", "dictionary", "nothing")}  # fmt: skip


def of_odd_types(table, turn):
    """Return the table with every column in one of the types that it may be written in."""
    for place, field in enumerate(table.schema):
        if field.name in ("label", "id") and turn % len(FITS["string"]) == 2:
            continue  # a label or a key that is missing throughout is another matter
        fits = FITS[str(field.type)]
        column = ODD[fits[turn % len(fits)]](table[field.name].combine_chunks())
        table = table.set_column(place, field.name, column)
    return table


def run(tmp_path, table):
    context = tables.context_for(tables.loans(600), **tables.ROLES)
    shard = Shard(0, table, np.arange(len(table)), digest.of_rows(table))
    refs = [write_shard(tmp_path, shard)]
    (tmp_path / "models").mkdir()
    return examine(context, refs, engine.make("serial", len(table)), tmp_path / "models")


@pytest.mark.parametrize("turn", range(5))
def test_every_check_runs_whatever_the_types(tmp_path, turn):
    examined = run(tmp_path, of_odd_types(tables.loans(600), turn))
    assert {s.status for s in examined.statuses} == {"ok", "skipped"}, examined.faults
    assert not examined.faults


def test_findings_are_the_same_in_types_that_hold_the_same(tmp_path):
    table = tables.loans(600)
    text = table["note"].to_pylist()
    text[5] = "call +47 22 22 55 55 or write to ann.lee@example.com"
    table = table.set_column(6, "note", pa.array(text))
    late = table["late"].to_pylist()
    late[9] = 4_000_000
    table = table.set_column(4, "late", pa.array(late))
    other = table
    for name, how in {"note": "large", "branch": "dictionary", "kind": "large", "late": "shorter",
                      "label": "dictionary", "applied": "long days"}.items():  # fmt: skip
        place = table.column_names.index(name)
        other = other.set_column(place, name, ODD[how](table[name].combine_chunks()))
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
    found = [run(first, table), run(second, other)]
    assert found[0].found.num_rows > 1
    assert found[0].found.to_pylist() == found[1].found.to_pylist()


def test_types_are_the_contracts_and_values_stay():
    names = {"a": "number", "b": "number", "c": "integer", "d": "timestamp", "e": "time"}
    columns = tuple(Column(ColumnSpec(name, kind)) for name, kind in names.items())
    table = pa.table({
        "a": pa.array([decimal.Decimal("1.50"), None], pa.decimal256(60, 2)),
        "b": pa.array([2**53 + 1, None], pa.int64()),
        "c": pa.array([2**63 - 1, None], pa.uint64()),
        "d": pa.array([1_000_000_001, None], pa.timestamp("ns", "Europe/Oslo")),
        "e": pa.array([61, None], pa.time32("s")),
        "beside": pa.array(["x", None]).dictionary_encode(),
    })  # fmt: skip
    seen = table_seen(table, Contract("t", "1", "t.yaml", "0" * 64, columns))
    wanted = [
        pa.float64(),
        pa.int64(),
        pa.int64(),
        pa.timestamp("us"),
        pa.time64("us"),
        pa.string(),
    ]
    assert seen.schema.types == wanted
    assert seen.slice(0, 1).to_pylist()[0]["b"] == 2**53 + 1
    assert seen["a"].to_pylist() == [1.5, None]
    assert seen["c"].to_pylist() == [2**63 - 1, None]
    assert str(seen["d"][0]) == "1970-01-01 00:00:01"
    assert table_seen(seen, Contract("t", "1", "t.yaml", "0" * 64, columns)) is seen


def test_a_view_of_text_is_read_as_text(tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"s": pa.array(["a", None, "b"], pa.string_view())}), path)
    for specs in (None, (ColumnSpec("s", missing=("b",)),)):
        out = tmp_path / str(specs is None)
        got = ingest([str(path)], specs, out, limits=Limits())
        [table] = [pq.read_table(ref.path, columns=["s"]) for ref in got.shards]
        assert table.schema.field("s").type == pa.string()
        assert table["s"].to_pylist() == ["a", None, None if specs else "b"]


@pytest.mark.parametrize("is_dictionary", [False, True])
def test_an_integer_over_int64_is_held(tmp_path, is_dictionary):
    path = tmp_path / "in.parquet"
    column = pa.array([1, 2**63, None, 2**63 - 1, 2**64 - 1], pa.uint64())
    column = column.dictionary_encode() if is_dictionary else column
    pq.write_table(pa.table({"n": column}), path, write_page_checksum=True)
    got = ingest([str(path)], (ColumnSpec("n", "integer"),), tmp_path / "a", limits=Limits())
    found = pq.read_table(got.held_findings).to_pylist()
    assert [(row["row"], row["code"]) for row in found] == [(1, "I034"), (4, "I034")]
    got = ingest([str(path)], (ColumnSpec("n", "number"),), tmp_path / "b", limits=Limits())
    assert got.held is None
