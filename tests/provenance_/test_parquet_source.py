"""Parquet sources: footers are weighed, checksums hold, types are the contract's."""

import datetime as dt
import decimal
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.base.errors import AssayError
from provenance.readers.ingest import Limits, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import DIGEST, ROW, read_shard, read_table

LIMITS = Limits()
TABLE = pa.table(
    {
        "id": pa.array(range(400), pa.int32()),
        "x": pa.array([0.5 * n for n in range(400)]),
        "s": pa.array([f"text {n}" for n in range(400)]),
        "c": pa.array(["a", "b"] * 200).dictionary_encode(),
        "m": pa.array([decimal.Decimal("1.50")] * 400, pa.decimal128(9, 2)),
        "b": pa.array([True, None] * 200),
        "d": pa.array([dt.date(2025, 3, 4)] * 400),
        "t": pa.array(
            [dt.datetime.fromisoformat("2025-03-04T05:06")] * 400, pa.timestamp("ns", "UTC")
        ),
        "k": pa.array([dt.time(1)] * 400, pa.time32("ms")),
        "n": pa.nulls(400),
    }
)
KINDS = [
    "integer",
    "number",
    "string",
    "string",
    "number",
    "boolean",
    "date",
    "timestamp",
    "time",
    "string",
]
SPECS = tuple(ColumnSpec(n, k) for n, k in zip(TABLE.column_names, KINDS, strict=True))


def save(path, table=TABLE, **options):
    pq.write_table(table, path, **{"write_page_checksum": True, **options})
    return path


def run(tmp_path, path, specs=None, **options):
    limits = options.pop("limits", LIMITS)
    paths = [str(item) for item in (path if isinstance(path, list) else [path])]
    return ingest(paths, specs, tmp_path / "out", limits=limits, **options)


def refused(tmp_path, path, code, specs=None, **options):
    start = time.perf_counter()
    with pytest.raises(AssayError) as caught:
        run(tmp_path, path, specs, **options)
    assert caught.value.code == f"ASSAY-{code}"
    assert time.perf_counter() - start < 5
    return caught.value


def good(snapshot):
    shards = [read_shard(ref) for ref in snapshot.shards]
    rows = [row for shard in shards for row in shard.rows.tolist()]
    return rows, pa.concat_tables([shard.table for shard in shards])


def faults(snapshot):
    if snapshot.held is None:
        return []
    return [
        (r["row"], r["code"], r["column"]) for r in read_table(snapshot.held_findings).to_pylist()
    ]


@pytest.mark.parametrize("specs", [None, SPECS])
def test_types_and_values_survive(tmp_path, specs):
    snapshot = run(tmp_path, save(tmp_path / "a.parquet", row_group_size=150), specs, shard_rows=90)
    rows, table = good(snapshot)
    assert rows == list(range(400))
    assert table.schema.types == TABLE.schema.types
    assert table.to_pylist() == TABLE.to_pylist()
    assert [ref.rows for ref in snapshot.shards] == [90, 90, 90, 90, 40]
    assert (snapshot.raw, snapshot.held, snapshot.rejected, snapshot.warnings) == (
        (),
        None,
        None,
        (),
    )


def test_a_file_without_page_checksums_is_told_once(tmp_path):
    snapshot = run(tmp_path, save(tmp_path / "a.parquet", write_page_checksum=False))
    assert [notice.code for notice in snapshot.warnings] == ["ASSAY-I005"]


@pytest.mark.parametrize(
    "options", [{"use_dictionary": False}, {"data_page_version": "2.0"}, {"compression": "none"}]
)
def test_page_checksums_are_seen_however_the_file_is_written(tmp_path, options):
    assert run(tmp_path, save(tmp_path / "a.parquet", **options)).warnings == ()
    told = run(tmp_path, save(tmp_path / "b.parquet", write_page_checksum=False, **options))
    assert len(told.warnings) == 1


@pytest.mark.parametrize("keep", [0, 3, 11, 500, -1, -9])
def test_cut_files(tmp_path, keep):
    path = save(tmp_path / "a.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:keep] if keep else b"")
    wanted = {0: "I001", 3: "I004"}.get(keep, "I003")
    refused(tmp_path, path, wanted)


def test_a_footer_larger_than_its_file(tmp_path):
    path = save(tmp_path / "a.parquet")
    data = bytearray(path.read_bytes())
    data[-8:-4] = (10**9).to_bytes(4, "little")
    path.write_bytes(data)
    refused(tmp_path, path, "I003")


def test_flipped_bits_of_pages(tmp_path):
    table = pa.table({"x": np.random.default_rng(0).normal(size=3000)})
    path = save(tmp_path / "a.parquet", table, compression="none", use_dictionary=False)
    data = path.read_bytes()
    for place in (200, 9000, 20000):
        broken = bytearray(data)
        broken[place] ^= 4
        path.write_bytes(broken)
        refused(tmp_path, path, "I005")


def test_flipped_bytes_anywhere_end_in_a_code_or_in_equal_rows(tmp_path):
    path = save(tmp_path / "a.parquet", TABLE.select(["id", "x", "s"]).slice(0, 50))
    data = path.read_bytes()
    codes = set()
    for place in range(0, len(data), 37):
        broken = bytearray(data)
        broken[place] ^= 255
        path.write_bytes(broken)
        try:
            run(tmp_path, path, SPECS[:3])
        except AssayError as error:
            codes.add(error.code)
    assert codes <= {f"ASSAY-I00{n}" for n in (2, 3, 4, 5, 6, 7, 8)} | {"ASSAY-I018", "ASSAY-I027"}
    assert "ASSAY-I005" in codes


def test_not_parquet_and_encrypted(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PARE" + b"\0" * 50 + b"PARE")
    refused(tmp_path, path, "I007")
    path.write_bytes(b"a,b\n1,2\n")
    refused(tmp_path, path, "I004")
    path.write_bytes(b"PAR1" + b"\0" * 50 + (20).to_bytes(4, "little") + b"PAR1")
    refused(tmp_path, path, "I005")


def test_no_rows(tmp_path):
    path = save(tmp_path / "a.parquet", TABLE.slice(0, 0))
    refused(tmp_path, path, "I002")
    snapshot = run(tmp_path, path, allow_empty=True)
    assert good(snapshot)[1].schema.types == TABLE.schema.types


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1], [2]]),
        pa.array([{"a": 1}, None]),
        pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    ],
)
def test_nested_columns_keep_type_and_values(tmp_path, column):
    path = save(tmp_path / "a.parquet", pa.table({"x": column}))
    _, table = good(run(tmp_path, path))
    assert table.schema.field("x").type == column.type
    assert table["x"].to_pylist() == column.to_pylist()
    spec = (ColumnSpec("x", "string"),)
    refused(tmp_path, path, "I008", spec)


MISFITS = [
    ("integer", pa.array([1.5])),
    ("integer", pa.array([float("nan")])),
    ("integer", pa.array([2.0**53 + 2])),
    ("integer", pa.array(["1"])),
    ("string", pa.array([1])),
    ("number", pa.array(["1"])),
    ("number", pa.array([True])),
    ("boolean", pa.array([1])),
    ("date", pa.array([dt.datetime.fromisoformat("2025-03-04")])),
    ("timestamp", pa.array([dt.date(2025, 3, 4)])),
    ("date", pa.array(["2025-03-04"])),
]


@pytest.mark.parametrize(("logical", "column"), MISFITS)
def test_types_that_the_contract_does_not_promise(tmp_path, logical, column):
    path = save(tmp_path / "a.parquet", pa.table({"x": column}))
    told = str(refused(tmp_path, path, "I008", (ColumnSpec("x", logical),)))
    assert str(column.type) in told
    assert logical in told


FITS = [
    ("integer", pa.array([1], pa.uint64())),
    ("number", pa.array([1], pa.int8())),
    ("number", pa.array([1.0], pa.float32())),
    ("string", pa.array(["a"], pa.large_string())),
    ("date", pa.array([dt.date(2025, 3, 4)], pa.date64())),
]


@pytest.mark.parametrize(("logical", "column"), FITS)
def test_types_of_the_same_family_stay_as_they_are(tmp_path, logical, column):
    path = save(tmp_path / "a.parquet", pa.table({"x": column}))
    _, table = good(run(tmp_path, path, (ColumnSpec("x", logical),)))
    assert table["x"].to_pylist() == column.to_pylist()


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["id", "id"], "I026"),
        (["id", ""], "I027"),
        (["id", "other"], "I018"),
        (["id"], "I018"),
        (["id", ROW], "I018"),
        ([DIGEST, "x"], "I018"),
    ],
)
def test_names(tmp_path, names, code):
    path = save(tmp_path / "a.parquet", pa.table([pa.array([1])] * len(names), names=names))
    refused(tmp_path, path, code, (ColumnSpec("id", "integer"), ColumnSpec("x", "integer")))


def test_numbers_that_are_not_finite_are_held(tmp_path):
    table = pa.table({"x": [1.0, float("nan"), float("inf"), None, -float("inf")]})
    path = save(tmp_path / "a.parquet", table)
    snapshot = run(tmp_path, path, (ColumnSpec("x", "number"),))
    assert faults(snapshot) == [(1, "V001", "x"), (2, "V002", "x"), (4, "V002", "x")]
    rows, kept = good(snapshot)
    assert rows == [0, 3]
    assert kept["x"].to_pylist() == [1.0, None]
    assert read_table(snapshot.held)[ROW].to_pylist() == [1, 2, 4]
    assert run(tmp_path, path).held is None


@pytest.mark.parametrize("encode", [False, True])
def test_texts_with_a_nul_or_too_long_are_held(tmp_path, encode):
    texts = pa.array(["a", "b\0", "x" * 200, None])
    path = save(
        tmp_path / "a.parquet", pa.table({"s": texts.dictionary_encode() if encode else texts})
    )
    snapshot = run(tmp_path, path, (ColumnSpec("s"),), limits=Limits(max_field_bytes=199))
    assert faults(snapshot) == [(1, "I023", "s"), (2, "I030", "s")]


def test_texts_that_are_not_utf8_are_rejected(tmp_path):
    raw = pa.array([b"ok", b"caf\xe9", b"fine", b"\xff", None] * 50)
    texts = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    path = save(tmp_path / "a.parquet", pa.table({"s": texts, "n": range(250)}))
    snapshot = run(tmp_path, path)
    found = read_table(snapshot.rejected).to_pylist()
    assert [item["_row"] for item in found] == [n for n in range(250) if n % 5 in (1, 3)]
    assert {item["_raw"] for item in found} == {b"caf\xe9", b"\xff"}
    assert all(item["_reason"].startswith("ASSAY-I022") for item in found)
    assert good(snapshot)[1]["n"].to_pylist() == [n for n in range(250) if n % 5 not in (1, 3)]


@pytest.mark.parametrize("encode", [False, True])
def test_words_for_missing_become_null(tmp_path, encode):
    texts = pa.array(["a", "n/a", None, "b"])
    path = save(
        tmp_path / "a.parquet", pa.table({"s": texts.dictionary_encode() if encode else texts})
    )
    _, table = good(run(tmp_path, path, (ColumnSpec("s", missing=("n/a",)),)))
    assert table["s"].to_pylist() == ["a", None, None, "b"]


def test_run_length_bomb(tmp_path):
    path = tmp_path / "a.parquet"
    with pq.ParquetWriter(path, pa.schema([("x", pa.int64())])) as writer:
        zeros = pa.table({"x": np.zeros(10_000_000, np.int64)})
        for _ in range(6):
            writer.write_table(zeros, row_group_size=10_000_000)
    assert path.stat().st_size < 1_000_000
    assert "60,000,000 rows x 8 bytes" in str(refused(tmp_path, path, "I006"))


def test_dictionary_bomb(tmp_path):
    value = pa.array(["x" * 1_000_000])
    indices = pa.array(np.zeros(200_000, np.int32))
    table = pa.table({"note": pa.DictionaryArray.from_arrays(indices, value)})
    path = save(tmp_path / "a.parquet", table, dictionary_pagesize_limit=2_000_000)
    assert path.stat().st_size < 100_000
    refused(tmp_path, path, "I006")


def test_one_long_value_among_many_short_ones_is_no_bomb(tmp_path):
    values = pa.array(["x" * 100_000, *(f"value {n}" for n in range(50))])
    indices = pa.array(np.r_[0, np.arange(99_999) % 50 + 1].astype(np.int32))
    table = pa.table({"note": pa.DictionaryArray.from_arrays(indices, values).dictionary_decode()})
    snapshot = run(tmp_path, save(tmp_path / "a.parquet", table))
    assert snapshot.rows == 100_000


def test_too_many_rows_or_columns(tmp_path):
    refused(tmp_path, save(tmp_path / "a.parquet"), "I006", limits=Limits(max_rows=399))
    wide = pa.table({f"c{n}": [1] for n in range(4097)})
    refused(tmp_path, save(tmp_path / "b.parquet", wide), "I009")


def test_a_sum_of_row_groups_over_the_limit(tmp_path):
    refused(tmp_path, save(tmp_path / "a.parquet"), "I006", limits=Limits(max_unpacked_bytes=5000))


def test_several_files_run_on_and_must_agree(tmp_path):
    first, second = (TABLE.slice(0, 150), TABLE.slice(150))
    paths = [
        save(tmp_path / "b.parquet", first),
        save(tmp_path / "a.parquet", second.select(TABLE.column_names[::-1])),
    ]
    snapshot = run(tmp_path, paths, SPECS)
    rows, table = good(snapshot)
    assert rows == list(range(400))
    assert table.to_pylist() == TABLE.to_pylist()
    assert [(s.first_row, s.rows) for s in snapshot.sources] == [(0, 150), (150, 250)]
    other = save(tmp_path / "c.parquet", second.set_column(0, "id", second["id"].cast(pa.int64())))
    assert "'id' is int64 here but int32" in str(refused(tmp_path, [paths[0], other], "I017"))
    fewer = save(tmp_path / "d.parquet", second.drop_columns("id"))
    refused(tmp_path, [paths[0], fewer], "I017")
    (tmp_path / "e.csv").write_bytes(b"id\n1\n")
    refused(tmp_path, [paths[0], tmp_path / "e.csv"], "I017")


def test_the_snapshot_comes_back_from_disk(tmp_path):
    snapshot = run(tmp_path, save(tmp_path / "a.parquet"))
    assert type(snapshot).load(tmp_path / "out" / "snapshot.json") == snapshot
    (source,) = snapshot.sources
    assert source.format == "parquet"
    assert len(source.sha256) == 64


def test_bytes_are_text_where_the_contract_says_so(tmp_path):
    cells = [b"caf\xc3\xa9", None, b"", b"plain"]
    for kind in (pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.binary())):
        path = tmp_path / "a.parquet"
        column = pa.array(cells, pa.binary())
        column = column.dictionary_encode() if pa.types.is_dictionary(kind) else column.cast(kind)
        pq.write_table(pa.table({"x": column}), path)
        snapshot = ingest([str(path)], (ColumnSpec("x"),), tmp_path / "o", limits=Limits())
        (shard,) = map(read_shard, snapshot.shards)
        assert shard.table["x"].to_pylist() == ["café", None, "", "plain"]
        assert snapshot.rejected is None


def test_bytes_that_are_not_text_cost_their_row(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": pa.array([b"a", b"\xff\x00", b"b"])}), path)
    snapshot = ingest([str(path)], (ColumnSpec("x"),), tmp_path / "o", limits=Limits())
    (found,) = read_table(snapshot.rejected).to_pylist()
    assert (found["_row"], found["_raw"], found["_reason"][:10]) == (1, b"\xff\x00", "ASSAY-I022")


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_whole_floats_are_integers_where_the_contract_says_so(tmp_path, kind):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": pa.array([1.0, None, -7.0, 0.0], kind)}), path)
    specs = (ColumnSpec("x", "integer"),)
    snapshot = ingest([str(path)], specs, tmp_path / "o", limits=Limits())
    (shard,) = map(read_shard, snapshot.shards)
    assert shard.table["x"].type == pa.int64()
    assert shard.table["x"].to_pylist() == [1, None, -7, 0]
    assert [n.code for n in snapshot.warnings if n.code == "ASSAY-I042"] == ["ASSAY-I042"]
    other = tmp_path / "b.parquet"
    pq.write_table(pa.table({"x": pa.array([5, 6], pa.int64())}), other)
    both = ingest([str(other), str(path)], specs, tmp_path / "p", limits=Limits())
    assert both.rows == 6
