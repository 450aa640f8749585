"""Several files as one dataset, packed or not; and digests that were recorded beside them."""

import gzip
import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.base.errors import AssayError
from provenance.readers.ingest import Limits, expand, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import read_shard

SPECS = (ColumnSpec("id", "integer"), ColumnSpec("age", "integer"), ColumnSpec("city"))
TABLE = pa.table({"id": range(30), "age": [20 + n for n in range(30)], "city": ["Oslo"] * 30})
CITIES = ["Oslo", "Bergen", "Molde"]


def csv_text(first, rows=10):
    lines = [f"{n},{20 + n},{CITIES[n % 3]}" for n in range(first, first + rows)]
    return ("\n".join(["id,age,city", *lines]) + "\n").encode()


def jsonl_text(first, rows=10):
    lines = [
        f'{{"id": {n}, "age": {20 + n}, "city": "{CITIES[n % 3]}"}}'
        for n in range(first, first + rows)
    ]
    return ("\n".join(lines) + "\n").encode()


def zst(data):
    return pa.compress(data, "zstd", asbytes=True)


def read(paths, tmp_path, specs=SPECS, **options):
    return ingest([str(p) for p in paths], specs, tmp_path / "out", limits=Limits(), **options)


def rows_of(snapshot):
    return [row for ref in snapshot.shards for row in read_shard(ref).table.to_pylist()]


WANTED = [{"id": n, "age": 20 + n, "city": CITIES[n % 3]} for n in range(30)]
PACKED = {
    "csv": [("a.csv", csv_text(0)), ("b.csv.gz", gzip.compress(csv_text(10))),
            ("c.csv.zst", zst(csv_text(20)))],
    "tsv": [("a.csv", csv_text(0)), ("b.tsv", csv_text(10).replace(b",", b"\t")),
            ("c.tsv.gz", gzip.compress(csv_text(20).replace(b",", b"\t")))],
    "jsonl": [("a.jsonl", jsonl_text(0)), ("b.ndjson.gz", gzip.compress(jsonl_text(10))),
              ("c.jsonl.zst", zst(jsonl_text(20)))],
}  # fmt: skip


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("how", ["folder", "glob", "deep glob"])
def test_a_folder_or_a_glob_is_one_dataset(tmp_path, kind, how):
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "readme.txt").write_bytes(b"no data")
    (folder / "_SUCCESS").write_bytes(b"")
    for name, data in PACKED[kind]:
        (folder / "deep" / name).write_bytes(data)
    source = {"folder": "data", "glob": "data/deep/[abc].*", "deep glob": "data/**/*"}[how]
    paths = expand(str(tmp_path / source))
    snapshot = read(paths, tmp_path)
    assert rows_of(snapshot) == WANTED
    assert [(s.first_row, s.rows) for s in snapshot.sources] == [(0, 10), (10, 10), (20, 10)]
    assert [s.format for s in snapshot.sources] == [
        n.partition(".")[2].replace("ndjson", "jsonl") for n, _ in PACKED[kind]
    ]


def test_formats_do_not_mix(tmp_path):
    files = {"a.csv": csv_text(0), "b.jsonl": jsonl_text(10)}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    pq.write_table(TABLE, tmp_path / "c.parquet")
    for names in (["a.csv", "b.jsonl"], ["b.jsonl", "c.parquet"], ["c.parquet", "a.csv"]):
        with pytest.raises(AssayError, match="I017"):
            read([tmp_path / name for name in names], tmp_path)


DISAGREE = [
    ("b.csv", b"id,age\n1,2\n", "missing: city"),
    ("b.csv", b"id,age,city,zip\n1,2,Oslo,0150\n", "not in the contract: zip"),
    ("b.csv", csv_text(0)[12:], "first line looks like data"),
]


@pytest.mark.parametrize(("name", "data", "told"), DISAGREE)
def test_a_later_file_that_breaks_the_promise_disagrees(tmp_path, name, data, told):
    (tmp_path / "a.csv").write_bytes(csv_text(0))
    (tmp_path / name).write_bytes(data)
    with pytest.raises(AssayError, match=told) as caught:
        read([tmp_path / "a.csv", tmp_path / name], tmp_path)
    assert caught.value.code == "ASSAY-I017"
    assert caught.value.where.endswith(name)
    with pytest.raises(AssayError, match="I018"):
        read([tmp_path / name], tmp_path)


def test_parts_of_parquet_that_disagree_in_types(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet")
    pq.write_table(TABLE.set_column(1, "age", [["x"] * 30]), tmp_path / "b.parquet")
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for specs in (SPECS, None):
        with pytest.raises(AssayError, match="'age' is string") as caught:
            read(paths, tmp_path, specs)
        assert caught.value.code == "ASSAY-I017"
        assert caught.value.where.endswith("b.parquet")
    with pytest.raises(AssayError, match="I008"):
        read(paths[1:], tmp_path)


def recorded(path, text):
    path.with_name(path.name + ".sha256").write_text(text)


@pytest.mark.parametrize("how", ["{0}  a.parquet\n", "{0} *data/a.parquet", "{0}", "{1}\n"])
def test_a_recorded_digest_that_agrees_stands_for_page_checksums(tmp_path, how):
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE, path)
    assert [n.code for n in read([path], tmp_path).warnings] == ["ASSAY-I005"]
    told = hashlib.sha256(path.read_bytes()).hexdigest()
    recorded(path, how.format(told, told.upper()))
    assert read([path], tmp_path).warnings == ()
    assert expand(str(tmp_path / "*")) == [str(path)]


def test_a_file_that_is_not_what_was_recorded_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(csv_text(0))
    told = hashlib.sha256(path.read_bytes()).hexdigest()
    recorded(path, f"{told}  a.csv\n{'0' * 64}  b.csv\n")
    assert read([path], tmp_path).rows == 10
    path.write_bytes(csv_text(0).replace(b"Oslo", b"Osla"))
    with pytest.raises(AssayError, match=told) as caught:
        read([path], tmp_path)
    assert caught.value.code == "ASSAY-I005"


@pytest.mark.parametrize("text", ["", "no digest", "0" * 63, f"{'0' * 64}  other.csv", "00\n" * 9])
def test_what_is_no_digest_of_the_file_is_refused(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_bytes(csv_text(0))
    recorded(path, text)
    with pytest.raises(AssayError, match="no digest of the file") as caught:
        read([path], tmp_path)
    assert caught.value.code == "ASSAY-I005"


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 11, 14])
def test_parts_of_a_gzip_file_may_be_cut_anywhere(tmp_path, cut):
    whole = b"\xef\xbb\xbf" + csv_text(0)
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(whole[:cut]) + gzip.compress(whole[cut:]))
    got = read([path], tmp_path)
    assert got.rows == 10
    assert {notice.code for notice in got.warnings} == {"ASSAY-I020"}
    assert read_shard(got.shards[0]).table["city"][0].as_py() == "Oslo"


def test_a_second_part_of_a_gzip_file_is_looked_at_like_the_first(tmp_path):
    path = tmp_path / "in.csv.gz"
    wide = csv_text(0).decode().encode("utf-16-le")
    path.write_bytes(gzip.compress(wide[:2]) + gzip.compress(wide[2:]))
    with pytest.raises(AssayError) as caught:
        read([path], tmp_path)
    assert caught.value.code == "ASSAY-I021"
