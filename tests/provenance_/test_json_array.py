"""JSON arrays: read element by element, like JSON Lines; refused with a code where they are cut."""

import gzip
import json

import pyarrow as pa
import pytest

from provenance.base.errors import AssayError
from provenance.readers import row_bytes
from provenance.readers.csv_dialect import Dialect
from provenance.readers.ingest import Limits, expand, ingest
from provenance.readers.json_reader import elements
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import read_shard, read_table

SPECS = (ColumnSpec("i", "integer"), ColumnSpec("s"), ColumnSpec("b", "boolean"))
ROWS = [{"i": n, "s": f'é \U0001f600 ,]}}" \\ {n}', "b": n % 2 == 0} for n in range(50)]
PRETTY = json.dumps(ROWS, indent=2, ensure_ascii=False).encode()


def run(tmp_path, data, specs=SPECS, name="a.json", **limits):
    path = tmp_path / name
    path.write_bytes(data)
    return ingest([str(path)], specs, tmp_path / "out", limits=Limits(**limits))


def rows_of(snapshot):
    return pa.concat_tables([read_shard(ref).table for ref in snapshot.shards]).to_pylist()


def split(data, size, **limits):
    blocks = (data[at : at + size] for at in range(0, len(data), size))
    return list(elements(blocks, "f", Limits(**limits)))


@pytest.mark.parametrize(
    "data",
    [
        PRETTY,
        json.dumps(ROWS).encode(),
        b"\xef\xbb\xbf \n" + json.dumps(ROWS, separators=(",", ":")).encode() + b"\n\n",
        "\n".join(map(json.dumps, ROWS)).encode(),  # as Spark names its lines
    ],
)
def test_an_array_is_read_like_lines(tmp_path, data):
    snapshot = run(tmp_path, data)
    assert (rows_of(snapshot), snapshot.rejected, snapshot.held) == (ROWS, None, None)
    assert snapshot.sources[0].format == "json"
    packed = run(tmp_path, gzip.compress(data), name="a.json.gz")
    assert rows_of(packed) == ROWS


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_elements_may_be_cut_anywhere(size):
    found = split(PRETTY, size)
    assert [json.loads(raw) for _, raw in found] == ROWS
    assert all(PRETTY[place : place + len(raw)] == raw for place, raw in found)


def test_the_bytes_of_a_row_are_found(tmp_path):
    data = b"\xef\xbb\xbf" + PRETTY
    snapshot = run(tmp_path, data)
    for row in (0, 7, 49):
        start, end = row_bytes.span_of(snapshot.sources[0], row, Dialect())
        assert json.loads(data[start:end]) == ROWS[row]


BROKEN = [
    (b'[{"i": 1}', "I003"),
    (b'[{"i": 1},', "I003"),
    (b'[{"i": 1}, {"i": 2, "s": "a', "I003"),
    (b"[", "I003"),
    (b'[{"i": 1}] trailing', "I004"),
    (b'[{"i": 1}][{"i": 2}]', "I004"),
    (b'[{"i": 1},]', "I004"),
    (b'[,{"i": 1}]', "I004"),
    (b'[{"i": 1} {"i": 2}]', "I004"),
    (b'[{"i": }, {"i": 2222222222222222222222222}]', "I004"),
    (b"[" * 300_000, "I008"),
    (b"[" + b'{"a":' * 300_000 + b"1" + b"}" * 300_000 + b"]", "I008"),
    (b"[]", "I001"),
    (b"[1, 2, 3]", "I004"),  # no element can be read
    (b'{"rows": [{"i": 1}]}', "I004"),
    (b'{\n "rows": 1\n}', "I004"),
    (b'"text"', "I004"),
    (b"\n", "I001"),
    (PRETTY.decode().encode("utf-16"), "I021"),
    (b'[{"i": 1, "s": ["nested"], "b": true}]', "I008"),
    (b'[{"i": 1}]', "I018"),
]


@pytest.mark.parametrize(("data", "code"), BROKEN, ids=[str(pair[0][:24]) for pair in BROKEN])
def test_refuses(tmp_path, data, code):
    with pytest.raises(AssayError) as caught:
        run(tmp_path, data)
    assert caught.value.code == f"ASSAY-{code}"


def test_an_element_is_bounded():
    data = b'[{"s": "' + b"x" * 5_000 + b'"}]'
    assert split(data, 100, max_row_bytes=6_000)
    for size in (100, 1 << 20):
        with pytest.raises(AssayError, match="I006"):
            split(data, size, max_row_bytes=4_000)


def test_a_bad_element_costs_its_row_only(tmp_path):
    good = '{"i": 1, "s": "a", "b": true}'
    bad = ["7", '{"i": 1, "i": 2}', '{"x": 1}', '{"s": "\\ud800"}', "[1]", "null"]
    text = f"[{good}, {', '.join(bad)}, {good}]".encode().replace(b"[1]", b'{"s": "\xff"}')
    snapshot = run(tmp_path, text)
    found = read_table(snapshot.rejected).to_pylist()
    assert [row["_row"] for row in found] == [1, 2, 3, 4, 5, 6]
    assert [row["_reason"][6:10] for row in found] == [
        "I024", "I024", "I024", "I022", "I022", "I024"]  # fmt: skip
    assert found[1]["_raw"] == b'{"i": 1, "i": 2}'
    assert len(rows_of(snapshot)) == 2


def test_a_description_beside_other_data_is_no_data(tmp_path):
    (tmp_path / "schema.json").write_text("{}")
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    assert expand(str(tmp_path)) == [str(tmp_path / "a.jsonl")]
    (tmp_path / "a.jsonl").unlink()
    assert expand(str(tmp_path)) == [str(tmp_path / "schema.json")]
