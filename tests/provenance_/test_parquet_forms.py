"""What others write as Parquet is read as it was written, in every form that the format has."""

import io

import parquet_by_hand
import parquet_forms
import parquet_more_forms
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.proposal import majority, nested_columns
from provenance.base.errors import AssayError
from provenance.readers.ingest import Limits, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import read_shard, read_table

FORMS = {form.name: form for form in (*parquet_forms.forms(), *parquet_more_forms.more_forms())}


def read(tmp_path, path, specs):
    made = ingest([str(path)], specs, tmp_path / f"out {specs is None}", limits=Limits())
    assert (made.held, made.rejected) == (None, None)
    return pa.concat_tables([read_shard(ref).table for ref in made.shards])


def spec(field):
    """Return what `init` writes of a column."""
    logical = lambda part: majority.logical_of(part, is_typed=True)  # noqa: E731
    return nested_columns.spec_of(field, logical) or ColumnSpec(field.name, logical(field))


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_read_as_it_was_written(tmp_path, name):
    form, path = FORMS[name], tmp_path / "a.parquet"
    form.write(path)
    values = form.values()
    found = read(tmp_path, path, None)
    assert found.num_rows == values.num_rows
    for column in found.column_names:
        assert found[column].to_pylist() == values[column].to_pylist(), column
    assert read(tmp_path, path, tuple(map(spec, found.schema))).equals(found)


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


def refused(tmp_path, write, *given):
    path = tmp_path / "a.parquet"
    write(path, *given)
    with pytest.raises(AssayError) as caught:
        ingest([str(path)], None, tmp_path / "out", limits=Limits())
    return caught.value


@pytest.mark.parametrize("kind", [pa.list_view(pa.int64()), pa.large_list_view(pa.int64())])
def test_a_type_that_no_contract_describes_is_named(tmp_path, kind):
    made = pa.table({"x": pa.array([[1], None], kind)})
    error = refused(tmp_path, lambda path: pq.write_table(made, path))
    assert (error.code, "'x' is" in error.what) == ("ASSAY-I008", True)


def test_a_type_that_arrow_cannot_read_is_refused(tmp_path):
    import polars as pl

    made = pl.DataFrame({"x": pl.Series([1, None], dtype=pl.Int128)})
    assert refused(tmp_path, made.write_parquet).code == "ASSAY-I008"


def test_a_file_without_columns_is_refused(tmp_path):
    assert refused(tmp_path, parquet_by_hand.save_without_columns, 9).code == "ASSAY-I001"


@pytest.mark.parametrize("lie", parquet_more_forms.LIES)
def test_a_page_that_is_not_what_it_says_is_refused(tmp_path, lie):
    code, how = parquet_more_forms.LIES[lie]
    assert refused(tmp_path, parquet_more_forms.save_lying, how).code == f"ASSAY-{code}"
