"""What others write as Parquet is read as it was written, in every form that the format has."""

import io

import parquet_forms
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.base.errors import AssayError
from provenance.readers.ingest import Limits, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import read_shard, read_table

FORMS = dict(parquet_forms.forms())
LOGICAL = {
    "bool": "boolean", "date": "date", "time": "time", "stamp": "timestamp", "zoned": "timestamp",
    **dict.fromkeys(("int8", "int32", "int64", "uint64", "a name, with\na line"), "integer"),
    **dict.fromkeys(("half", "float", "double"), "number"),
    **{f"decimal{size}": "number" for size in (4, 9, 18, 38)},
}  # fmt: skip


def read(tmp_path, path, specs):
    made = ingest([str(path)], specs, tmp_path / f"out {specs is None}", limits=Limits())
    assert (made.held, made.rejected) == (None, None)
    return pa.concat_tables([read_shard(ref).table for ref in made.shards])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_as_it_was_written(tmp_path, form):
    path = tmp_path / "a.parquet"
    FORMS[form](path)
    written, source = parquet_forms.table(), pq.read_table(path)
    assert source.num_rows == written.num_rows
    names = [name for name in written.column_names if name in source.column_names]
    specs = tuple(ColumnSpec(name, LOGICAL.get(name, "string")) for name in names)
    for given in (None, specs):
        assert read(tmp_path, path, given).equals(source)


FAR = {  # a value that no calendar has, beside one that has
    "date": (pa.date32(), [2**31 - 1, -719_163, 0]),
    "date in ms": (pa.date64(), [2**62 // 86_400_000 * 86_400_000, -719_163 * 86_400_000, 0]),
    "timestamp": (pa.timestamp("us"), [2**63 - 1, -(2**63), 0]),
    "seconds": (pa.timestamp("s"), [2**53, -(2**53), 0]),
    "zoned": (pa.timestamp("ms", "UTC"), [253_402_300_799_999, -62_135_596_800_000, 0]),
    "time": (pa.time64("us"), [86_400_000_000, -1, 0]),
    "short time": (pa.time32("ms"), [86_400_000, -1, 0]),
}


@pytest.mark.parametrize("kind", FAR)
@pytest.mark.parametrize("is_factor", [False, True])
def test_what_no_calendar_has_is_held(tmp_path, kind, is_factor):
    """A database writes `infinity` as the last day its integers reach."""
    arrow, numbers = FAR[kind]
    width = pa.int32() if arrow.bit_width == 32 else pa.int64()
    column = pa.array([*numbers, None], width).view(arrow)
    if is_factor:
        column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), column.slice(0, 3))
    path, sink = tmp_path / "a.parquet", io.BytesIO()
    pq.write_table(pa.table({"x": column}), sink, write_page_checksum=True)
    path.write_bytes(sink.getvalue())
    logical = "time" if "time" in kind and kind != "timestamp" else "timestamp"
    spec = ColumnSpec("x", "date" if "date" in kind else logical)
    made = ingest([str(path)], (spec,), tmp_path / "out", limits=Limits())
    faults = read_table(made.held_findings)
    assert faults["row"].to_pylist() == [0, 1]
    assert set(faults["code"].to_pylist()) == {"V002"}
    (kept,) = [read_shard(ref).rows.tolist() for ref in made.shards]
    assert kept == [2, 3]


def test_a_type_that_no_contract_describes_is_named(tmp_path):
    import duckdb

    path = tmp_path / "a.parquet"
    with duckdb.connect() as connection:
        rows = connection.sql("SELECT n FROM range(30) t(n)").project("uuid() AS x")
        rows.write_parquet(str(path))
    with pytest.raises(AssayError, match="column 'x' is") as caught:
        ingest([str(path)], None, tmp_path / "out", limits=Limits())
    assert caught.value.code == "ASSAY-I008"
