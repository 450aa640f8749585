"""Honest tables come through CSV, JSON Lines and Parquet whole, however they are cut."""

import csv
import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provenance.base.errors import AssayError
from provenance.files import unpack
from provenance.readers.ingest import Limits, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import ROW, read_shard, read_table

SPECS = (
    ColumnSpec("i", "integer"),
    ColumnSpec("f", "number"),
    ColumnSpec("s", "string"),
    ColumnSpec("b", "boolean"),
    ColumnSpec("d", "date"),
    ColumnSpec("t", "timestamp"),
)
SCHEMA = pa.schema([(spec.name, spec.arrow) for spec in SPECS])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.none() | st.integers(-(2**63), 2**63 - 1),
            "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "s": TEXT | st.text(alphabet=',"\n\r x', max_size=8),
            "b": st.none() | st.booleans(),
            "d": st.none() | st.dates(),
            "t": st.none() | st.datetimes(),
        }
    ),
    min_size=1,
    max_size=25,
)
MANY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def as_text(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def as_csv(rows, quoting, end):
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=quoting, lineterminator=end)
    writer.writerow(SCHEMA.names)
    writer.writerows([as_text(row[name]) for name in SCHEMA.names] for row in rows)
    return text.getvalue().encode()


def through(tmp_path, data, name, **options):
    path = tmp_path / name
    path.write_bytes(data)
    return ingest([str(path)], SPECS, tmp_path / "out", limits=Limits(), **options)


def assert_whole(snapshot, rows, empty_text=""):
    shards = [read_shard(ref) for ref in snapshot.shards]
    assert (snapshot.held, snapshot.rejected) == (None, None)
    assert np.concatenate([shard.rows for shard in shards]).tolist() == list(range(len(rows)))
    table = pa.concat_tables([shard.table for shard in shards])
    assert table.schema.equals(SCHEMA)
    wanted = [{**row, "s": row["s"] or empty_text} for row in rows]
    assert table.to_pylist() == wanted


@MANY
@given(ROWS, st.sampled_from(["\n", "\r\n"]), st.integers(1, 400), st.integers(1, 30))
def test_csv(tmp_path, monkeypatch, rows, end, block, shard_rows):
    monkeypatch.setattr(unpack, "BLOCK", block)
    # every cell is quoted, so that an empty text stays one and no line end is bare
    data = as_csv(rows, csv.QUOTE_ALL, end)
    assert_whole(through(tmp_path, data, "a.csv", shard_rows=shard_rows), rows)


@MANY
@given(ROWS.map(lambda rows: [{**row, "s": row["s"].replace("\r", "")} for row in rows]))
def test_csv_that_is_quoted_where_it_must_be(tmp_path, rows):
    data = as_csv(rows, csv.QUOTE_MINIMAL, "\n")
    assert_whole(through(tmp_path, data, "a.csv"), rows, empty_text=None)


@MANY
@given(ROWS, st.integers(1, 400))
def test_json_lines(tmp_path, monkeypatch, rows, block):
    monkeypatch.setattr(unpack, "BLOCK", block)
    lines = [
        {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in row.items()} for row in rows
    ]
    data = "\n".join(json.dumps(line) for line in lines).encode()
    assert_whole(through(tmp_path, data, "a.jsonl"), rows)


@MANY
@given(ROWS, st.integers(1, 30))
def test_parquet(tmp_path, rows, shard_rows):
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), buffer, row_group_size=7)
    assert_whole(through(tmp_path, buffer.getvalue(), "a.parquet", shard_rows=shard_rows), rows)


@MANY
@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.jsonl"]), st.booleans())
def test_any_bytes_end_in_a_code_or_in_as_many_rows_as_went_in(tmp_path, data, name, with_header):
    head = (
        b"i,f,s,b,d,t\n"
        if name == "a.csv"
        else b'{"i":1,"f":1,"s":"","b":true,"d":null,"t":null}\n'
    )
    try:
        snapshot = through(tmp_path, head * with_header + data, name, allow_empty=True)
    except AssayError:
        return
    shards = [read_shard(ref).rows.tolist() for ref in snapshot.shards]
    rows = [row for shard in shards for row in shard]
    rows += read_table(snapshot.held)[ROW].to_pylist() if snapshot.held else []
    rows += read_table(snapshot.rejected)["_row"].to_pylist() if snapshot.rejected else []
    assert sorted(rows) == list(range(snapshot.rows))


@pytest.mark.parametrize("block", [16, 100, 1 << 20])
def test_digests_and_rows_do_not_depend_on_blocks_or_packing(tmp_path, monkeypatch, block):
    rows = [f"{n},{n}.5,{'x' * (n % 7)},true,2025-01-01,2025-01-01T00:00" for n in range(300)]
    rows[50] = "forty,1,a,true,2025-01-01,2025-01-01"
    rows[60] = "1,2"
    data = ("i,f,s,b,d,t\n" + "\n".join(rows) + "\n").encode()
    (tmp_path / "one").mkdir()
    whole = through(tmp_path / "one", data, "a.csv", shard_rows=80)
    monkeypatch.setattr(unpack, "BLOCK", block)
    cut = through(tmp_path, gzip.compress(data), "a.csv.gz", shard_rows=80)
    for left, right in zip(whole.shards, cut.shards, strict=True):
        one, two = read_shard(left), read_shard(right)
        assert one.table.equals(two.table)
        assert np.array_equal(one.rows, two.rows)
        assert np.array_equal(one.digests, two.digests)
    assert read_table(whole.rejected).equals(read_table(cut.rejected))
    assert read_table(whole.held).equals(read_table(cut.held))


def test_several_files_run_on(tmp_path):
    for name, start in (("a.csv", 0), ("b.csv", 3)):
        lines = [f"{n},x" for n in range(start, start + 3)]
        (tmp_path / name).write_text("\n".join(["i,s", *lines]) + "\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("s,i\nx,3\nx\nx,5\n", encoding="utf-8")
    specs = (SPECS[0], SPECS[2])
    paths = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    snapshot = ingest(paths, specs, tmp_path / "out", limits=Limits())
    (shard,) = [read_shard(ref) for ref in snapshot.shards]
    assert shard.rows.tolist() == shard.table["i"].to_pylist() == [0, 1, 2, 3, 5]
    assert read_table(snapshot.rejected)["_row"].to_pylist() == [4]
    assert [(s.first_row, s.rows) for s in snapshot.sources] == [(0, 3), (3, 3)]


def test_a_file_without_rows_among_others_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("i,s\n0,x\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("i,s\n", encoding="utf-8")
    paths = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    snapshot = ingest(paths, (SPECS[0], SPECS[2]), tmp_path / "out", limits=Limits())
    assert [(n.code, n.where) for n in snapshot.warnings] == [("ASSAY-I002", paths[1])]
