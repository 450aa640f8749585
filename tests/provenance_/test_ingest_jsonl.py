"""JSON Lines: flat objects, texts as written, and each bad line with its code."""

import gzip
import json

import pyarrow as pa
import pytest

from provenance.base.errors import AssayError
from provenance.readers.ingest import Limits, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import ROW, read_shard, read_table

SPECS = (ColumnSpec("i", "integer"), ColumnSpec("x", "number"), ColumnSpec("s", "string"))
GOOD = [f'{{"i": {n}, "x": {n}.5, "s": "t{n}"}}' for n in range(9)]


def run(tmp_path, data, specs=SPECS, name="a.jsonl", **limits):
    path = tmp_path / name
    path.write_bytes(data)
    return ingest([str(path)], specs, tmp_path / "out", limits=Limits(**limits))


def with_line(line, row=4):
    made = [text.encode() for text in GOOD]
    made[row] = line
    return b"\n".join(made) + b"\n"


def good(snapshot):
    shards = [read_shard(ref) for ref in snapshot.shards]
    rows = [row for shard in shards for row in shard.rows.tolist()]
    return rows, pa.concat_tables([shard.table for shard in shards])


def test_numbers_keep_their_digits_as_read(tmp_path):
    line = b'{"i": 9007199254740993, "x": 1.10, "s": "\\u00e9"}'
    snapshot = run(tmp_path, with_line(line))
    assert good(snapshot)[1].slice(4, 1).to_pylist() == [{"i": 2**53 + 1, "x": 1.1, "s": "é"}]
    assert read_table(snapshot.raw[0])["x"][4].as_py() == "1.10"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"i": 1, "x": 1', "I024"),
        (b"[1, 2]", "I024"),
        (b"not json", "I024"),
        (b'{"i": 1} {"i": 2}', "I024"),
        (b'{"i": 1, "i": 2}', "I024"),
        (b'{"i": 1, "other": 2}', "I024"),
        (b"[" * 100_000, "I024"),
        (b'{"s": "caf\xe9"}', "I022"),
        (b'{"s": "\\ud800"}', "I022"),
    ],
)
def test_lines_that_are_rejected(tmp_path, line, code):
    snapshot = run(tmp_path, with_line(line))
    (found,) = read_table(snapshot.rejected).to_pylist()
    assert (found["_row"], found["_raw"]) == (4, line)
    assert found["_reason"].startswith(f"ASSAY-{code}")
    assert good(snapshot)[0] == [0, 1, 2, 3, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        (b'{"i": NaN}', "i", "V001"),
        (b'{"x": Infinity}', "x", "V002"),
        (b'{"x": 1e999}', "x", "V002"),
        (b'{"i": 1.5}', "i", "I035"),
        (b'{"i": "forty"}', "i", "V010"),
        (b'{"i": 9223372036854775808}', "i", "I034"),
        (b'{"i": true}', "i", "V010"),
        (b'{"s": "a\\u0000b"}', "s", "I023"),
    ],
)
def test_lines_that_are_held(tmp_path, line, column, code):
    snapshot = run(tmp_path, with_line(line))
    (found,) = read_table(snapshot.held_findings).to_pylist()
    assert (found["row"], found["code"], found["column"]) == (4, code, column)
    assert read_table(snapshot.held)[ROW].to_pylist() == [4]


def test_null_and_absent_are_missing_and_an_empty_text_is_not(tmp_path):
    snapshot = run(tmp_path, with_line(b'{"x": null, "s": ""}'))
    assert good(snapshot)[1].slice(4, 1).to_pylist() == [{"i": None, "x": None, "s": ""}]


def test_a_field_over_the_limit_is_held(tmp_path):
    line = json.dumps({"s": "x" * 101}).encode()
    snapshot = run(tmp_path, with_line(line), max_field_bytes=100)
    assert read_table(snapshot.held_findings)["code"].to_pylist() == ["I030"]
    assert run(tmp_path, with_line(line), max_field_bytes=101).held is None


def test_the_last_line_that_is_cut(tmp_path):
    data = "\n".join(GOOD).encode()
    assert run(tmp_path, data).rejected is None
    (found,) = read_table(run(tmp_path, data[:-5]).rejected).to_pylist()
    assert found["_reason"].startswith("ASSAY-I003")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\n\n", "I001"),
        (b"i,x,s\n1,2,a\n", "I004"),
        (b'[{"i": 1}]\n', "I004"),
        (with_line(b'{"s": ["nested"]}'), "I008"),
        (with_line(b'{"s": {"a": 1}}'), "I008"),
        (b'{"i": 1}\n', "I018"),
        ("\n".join(GOOD).encode("utf-16"), "I021"),
        (with_line(b'{"s": "' + b"x" * (17 << 20)), "I006"),
    ],
)
def test_refuses(tmp_path, data, code):
    with pytest.raises(AssayError) as caught:
        run(tmp_path, data)
    assert caught.value.code == f"ASSAY-{code}"


def test_without_a_contract_the_keys_are_the_columns(tmp_path):
    snapshot = run(tmp_path, b'{"b": true, "a": 1.50}\n{"c": null, "a": "x"}\n', specs=None)
    assert good(snapshot)[1].to_pylist() == [
        {"b": "true", "a": "1.50", "c": None},
        {"b": None, "a": "x", "c": None},
    ]
    with pytest.raises(AssayError, match="I009"):
        run(tmp_path, json.dumps({f"c{n}": 1 for n in range(4097)}).encode(), specs=None)


def test_packed_with_a_mark_and_blank_lines(tmp_path):
    data = b"\xef\xbb\xbf" + "\r\n\r\n".join(GOOD).encode()
    snapshot = run(tmp_path, gzip.compress(data), name="a.ndjson.gz")
    assert good(snapshot)[0] == list(range(9))
    assert [notice.code for notice in snapshot.warnings] == ["ASSAY-I020", "ASSAY-I001"]


def test_many_short_lines_are_taken_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("provenance.readers.jsonl_reader._LINES", 4)
    data = "\n".join(GOOD).encode()
    snapshot = run(tmp_path, data[:-5])
    assert good(snapshot)[0] == list(range(8))
    (found,) = read_table(snapshot.rejected).to_pylist()
    assert found["_reason"].startswith("ASSAY-I003")


def test_lines_none_of_which_can_be_read_are_given_up_early(tmp_path, monkeypatch):
    monkeypatch.setattr("provenance.readers.jsonl_reader._HOPELESS", 3)
    with pytest.raises(AssayError, match="0 of 9 lines"):
        run(tmp_path, b"[1]\n" * 9)
    assert run(tmp_path, b"[1]\n" * 2 + with_line(b"[1]")).rejected is not None
