"""Where a row's bytes are: what is told must be what the reader took for that row."""

import csv
import gzip
import io
import itertools
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.readers import row_bytes
from provenance.readers.csv_dialect import Dialect
from provenance.readers.ingest import ingest
from provenance.rows.shards import as_read, read_shard, read_table

ODD = {
    "plain": b"a,b\n1,x\n2,y\n",
    "no line end at the end": b"a,b\n1,x\n2,y",
    "crlf": b"a,b\r\n1,x\r\n2,y\r\n",
    "cr": b"a,b\r1,x\r2,y\r",
    "mixed": b"a,b\n1,x\r\n2,y\r3,z\n",
    "mark": b"\xef\xbb\xbfa,b\n1,x\n2,y\n",
    "quoted newline": b'a,b\n1,"x\ny"\n2,"p\r\nq"\n3,z\n',
    "doubled quotes": b'a,b\n1,"say ""no""\n, ever"\n2,5" pipe\n',
    "blank lines": b"\n\na,b\n\n1,x\n\r\n2,y\n\n",
    "one column": b"a\n1\n\n3\n",
    "ragged": b"a,b\n1,x,9\n2,y\n3\n4,z\n",
    "not utf-8": b"a,b\n1,x\n2,\xe9\n3,z\n",
    "text after a quote": b'a,b\n1,"x"y\n2,y\n',
    "wide characters": "a,b\n1,é\n2,\U0001f600\n3,ß\n".encode(),
    "quoted header": b'"a\nc",b\n1,x\n2,y\n',
}
LINES = {
    "plain": b'{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n',
    "blank lines, crlf and a mark": b'\xef\xbb\xbf{"a": 1, "b": "x"}\r\n\r\n  \n{"a": 2, "b": "y"}',
    "no object": b'{"a": 1, "b": "x"}\nnonsense\n{"a": 2, "b": "y"}\n[1]\n',
    "newline in a text": b'{"a": 1, "b": "x\\ny"}\n{"b": "\xc3\xa9", "a": 2}\n',
}


PLAIN = Dialect()
DIALECTS = {
    "semicolons and single quotes": (Dialect(";", "'"), b"a;b\n1;'x\n;y'\n2;\"q\n3;it's\n"),
    "no quotes": (Dialect("|", ""), b'a|b\n1|"x\n2|y"\n'),
    "lines above and below": (
        Dialect(skip=3, footer=1), b'\xef\xbb\xbfx "y\r\n\r\n"z\r\na,b\r\n1,x\r\n2,y\r\nEOF\r\n'),
    "one line above": (Dialect(skip=1), b"x\ra,b\r1,x\r2,y\r"),
    "comments": (Dialect(comment="#"), b'# ,"x\na,b\n1,"#x\n# y"\n# ,"\n#\n2,y\n'),
    "one byte a letter": (
        Dialect(encoding="cp1252"), "a,b\n1,\u20ac5\n2,caf\xe9\n".encode("cp1252")),
    "two bytes a letter": (
        Dialect("\t", encoding="utf-16"), 'a\tb\r\n1\t"\u0153\r\n"\r\n2\ty'.encode("utf-16")),
}  # fmt: skip


def read(path, folder, dialect=PLAIN):
    """Read a file as ingest does: its source, cells by row, raw bytes of rejected rows."""
    snapshot = ingest([str(path)], None, folder, limits=Limits(), dialect=dialect)
    cells = {}
    for ref, raw in zip(snapshot.shards, snapshot.raw, strict=True):
        shard = read_shard(ref)
        texts = as_read(shard.table, raw).to_pylist()
        cells |= {n: list(row.values()) for n, row in zip(shard.rows.tolist(), texts, strict=True)}
    rejected = read_table(snapshot.rejected).to_pylist() if snapshot.rejected else []
    return snapshot.sources[0], cells, {row["_row"]: row["_raw"] for row in rejected}


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_a_csv_row_lies_where_it_was_read(tmp_path, monkeypatch, text, piece):
    monkeypatch.setattr(row_bytes, "_PIECE", piece)
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    source, cells, rejected = read(path, tmp_path / "snapshot")
    spans = [row_bytes.span_of(source, row, PLAIN) for row in range(source.rows)]
    assert source.rows == len(cells) + len(rejected) > 0
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    for row, (start, end) in enumerate(spans):
        own = text[start:end]
        if row in rejected:
            assert own == rejected[row]
        else:
            [taken] = csv.reader(io.StringIO(own.decode(), newline="")) if own else [[""]]
            assert [cell or "" for cell in cells[row]] == taken


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("text", LINES.values(), ids=LINES)
def test_a_json_line_lies_where_it_was_read(tmp_path, monkeypatch, text, piece):
    monkeypatch.setattr(row_bytes, "_PIECE", piece)
    path = tmp_path / "a.jsonl"
    path.write_bytes(text)
    source, cells, rejected = read(path, tmp_path / "snapshot")
    for row in range(source.rows):
        start, end = row_bytes.span_of(source, row, PLAIN)
        if row in rejected:
            assert text[start:end] == rejected[row]
        else:
            line = json.loads(text[start:end])
            assert cells[row] == [str(line["a"]), line["b"]]


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_packed_row_lies_in_the_unpacked_text(tmp_path, packing):
    text = b"a,b\n" + b"".join(b"%d,value\n" % n for n in range(300_000))
    path = tmp_path / f"a.csv.{packing}"
    packed = gzip.compress(text) if packing == "gz" else pa.compress(text, "zstd", asbytes=True)
    path.write_bytes(packed)
    source, _, _ = read(path, tmp_path / "snapshot")
    for row in (0, 170_000, 299_999):
        start, end = row_bytes.span_of(source, row, PLAIN)
        assert text[start:end] == b"%d,value" % row


@pytest.mark.parametrize("piece", [1, 1 << 20])
@pytest.mark.parametrize(("dialect", "content"), DIALECTS.values(), ids=DIALECTS)
def test_a_row_of_another_dialect_lies_in_its_text_as_utf8(
    tmp_path, monkeypatch, dialect, content, piece
):
    monkeypatch.setattr(row_bytes, "_PIECE", piece)
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    source, cells, rejected = read(path, tmp_path / "snapshot", dialect)
    text = content.decode(dialect.encoding).encode()
    assert (len(cells), rejected) == (source.rows, {})
    for row in range(source.rows):
        start, end = row_bytes.span_of(source, row, dialect)
        told = text[start:end].decode()
        if dialect.quote:
            form = {"delimiter": dialect.delimiter or ",", "quotechar": dialect.quote}
            [taken] = csv.reader(io.StringIO(told, newline=""), **form)
        else:
            taken = told.split(dialect.delimiter)
        assert cells[row] == taken


def test_the_tab_is_a_delimiter_of_its_own(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b'a\tb\n1\t"x\n1"\n2\ty,z\n')
    source, _, _ = read(path, tmp_path / "snapshot")
    assert [row_bytes.span_of(source, row, PLAIN) for row in (0, 1)] == [(4, 11), (12, 17)]


def test_a_parquet_file_has_no_such_place(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    snapshot = ingest([str(path)], None, tmp_path / "snapshot", limits=Limits())
    assert row_bytes.span_of(snapshot.sources[0], 1, PLAIN) is None


def test_another_file_of_that_name_is_refused_unread(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,x\n2,y\n")
    source, _, _ = read(path, tmp_path / "snapshot")
    path.write_bytes(b"a,b\n1,x\n2,z\n")
    with pytest.raises(AssayError, match="I005"):
        row_bytes.span_of(source, 0, PLAIN)
    path.write_bytes(b"a")
    with pytest.raises(AssayError, match="I005"):
        row_bytes.span_of(source, 0, PLAIN)
    path.unlink()
    with pytest.raises(AssayError, match="I014"):
        row_bytes.span_of(source, 0, PLAIN)
    os.mkfifo(path)
    with pytest.raises(AssayError, match="I010"):
        row_bytes.span_of(source, 0, PLAIN)


def test_an_ordinal_that_the_file_does_not_have_is_no_place(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,x\n")
    source, _, _ = read(path, tmp_path / "snapshot")
    with pytest.raises(IndexError):
        row_bytes.span_of(source, 1, PLAIN)
