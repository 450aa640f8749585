"""Dialects: what a contract names is read as written, what it does not name is refused."""

import csv
import io
import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.base.errors import AssayError
from provenance.readers.csv_detection import detect
from provenance.readers.csv_dialect import ENCODINGS, Dialect, codec_of, may_delimit
from provenance.readers.csv_rows import find_rows
from provenance.readers.encoding import as_utf8
from provenance.readers.ingest import Limits, detect_dialect, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import read_shard, read_table

SPECS = (ColumnSpec("id", "integer"), ColumnSpec("name"), ColumnSpec("note"))
ROWS = [["id", "name", "note"], *([str(n), "caf\xe9", f"a {n}"] for n in range(40))]
ROWS[7][2] = "one; \"two\", 'three' | four\tfive\nsix"


def written(dialect, rows=ROWS, end="\n", mark=""):
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    writer = csv.writer(
        text,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote or None,
        quoting=quoting,
        lineterminator=end,
    )
    writer.writerows(rows)
    return (mark + text.getvalue()).encode(dialect.encoding)


def read(tmp_path, data, dialect, name="a.csv", specs=SPECS, **limits):
    (tmp_path / name).write_bytes(data)
    snapshot = ingest(
        [str(tmp_path / name)], specs, tmp_path / "out", limits=Limits(**limits), dialect=dialect
    )
    return snapshot, pa.concat_tables([read_shard(ref).table for ref in snapshot.shards])


NAMED = [
    Dialect(delimiter, quote, encoding)
    for delimiter, quote, encoding in itertools.product(
        (",", ";", "\t", "|", "~"), ('"', "'"), ("utf-8", "utf-16", "utf-32-be", "cp1252")
    )
]


@pytest.mark.parametrize("dialect", NAMED, ids=str)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_what_the_contract_names_is_read_whole(tmp_path, dialect, name):
    snapshot, table = read(tmp_path, written(dialect, end="\r\n"), dialect, name)
    assert (snapshot.held, snapshot.rejected, snapshot.warnings) == (None, None, ())
    assert [list(map(str, row.values())) for row in table.to_pylist()] == ROWS[1:]


def test_without_quotes_a_quote_is_a_character(tmp_path):
    rows = [["id", "name", "note"], ["1", '"a', "b"], ["2", '5" pipe', '""']]
    _, table = read(tmp_path, written(Dialect(";", ""), rows), Dialect(";", ""))
    assert table["name"].to_pylist() == ['"a', '5" pipe']
    assert table["note"].to_pylist() == ["b", '""']


def test_the_other_quote_is_a_character(tmp_path):
    data = b"id,name,note\n1,\"a,b\n2,'c,d','it''s'\n"
    _, table = read(tmp_path, data, Dialect(quote="'"))
    assert table.to_pylist() == [
        {"id": 1, "name": '"a', "note": "b"},
        {"id": 2, "name": "c,d", "note": "it's"},
    ]


@pytest.mark.parametrize(
    ("mark", "told"), [(";", "semicolon"), ("\t", "tab"), ("|", "bar"), (",", "comma")]
)
def test_another_delimiter_is_refused_and_named(tmp_path, mark, told):
    named = Dialect(";" if mark == "," else "")
    with pytest.raises(AssayError, match=f"a {told}, probably the delimiter") as caught:
        read(tmp_path, written(Dialect(mark), ROWS[:5]), named)
    assert caught.value.code == "ASSAY-I038"
    assert "assay.csv" in caught.value.fix


MISNAMED = [
    ("utf-16", b"abc\n" + b"a\0b\n" * 99),  # NULs, but neither a mark nor an order
    ("utf-16", written(Dialect(","))),
    ("utf-16-le", written(Dialect(",", encoding="utf-16-be"))),
    ("utf-32", written(Dialect(",", encoding="utf-16"))),
    ("latin-1", written(Dialect(",", encoding="utf-16"))),
    ("cp1252", written(Dialect(","))),
    ("latin-1", "id,name,note\n1,a,caf\xe9\n".encode()),
    ("shift_jis", "id,name,note\n1,a,\u6771\u4eac\n".encode()),
]


@pytest.mark.parametrize(("encoding", "data"), MISNAMED)
def test_a_text_that_is_not_in_the_named_encoding_is_refused(tmp_path, encoding, data):
    with pytest.raises(AssayError, match="the contract says") as caught:
        read(tmp_path, data, Dialect(encoding=codec_of(encoding)))
    assert caught.value.code == "ASSAY-I021"


def test_an_encoding_that_is_not_named_is_refused_or_its_rows_are_rejected(tmp_path):
    with pytest.raises(AssayError, match="I021"):
        read(tmp_path, written(Dialect(",", encoding="utf-16-be")), None)
    snapshot, _ = read(tmp_path, written(Dialect(",", encoding="cp1252")), None)
    assert {r["_reason"][:10] for r in read_table(snapshot.rejected).to_pylist()} == {"ASSAY-I022"}


def test_a_byte_that_the_named_encoding_lacks_costs_its_row_only(tmp_path):
    data = written(Dialect(",", encoding="cp1252")).replace(b"a 20", b"a \x81")
    snapshot, table = read(tmp_path, data, Dialect(encoding="cp1252"))
    assert read_table(snapshot.rejected)["_row"].to_pylist() == [20]
    assert table.num_rows == 39


def test_half_a_surrogate_pair_costs_its_row_only(tmp_path):
    data = written(Dialect(",", encoding="utf-16-le"))
    data = data.replace("a 20".encode("utf-16-le"), b"a\0\x00\xd8")
    snapshot, _ = read(tmp_path, data, Dialect(encoding="utf-16-le"))
    assert read_table(snapshot.rejected)["_row"].to_pylist() == [20]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_wide_text_that_is_cut_within_a_character(tmp_path, encoding):
    data = written(Dialect(",", encoding=encoding))
    with pytest.raises(AssayError, match="I003"):
        read(tmp_path, data[:-1], Dialect(encoding=encoding))


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_blocks_may_be_cut_anywhere(encoding, size):
    letters = "".join(chr(n) for n in range(0xA0, 0x2000) if chr(n).isalpha())
    kept = letters.encode(encoding, "ignore").decode(encoding)[:50]
    text = f"id,name\n1,{kept}\n"
    data = text.encode(encoding)
    blocks = (data[at : at + size] for at in range(0, len(data), size))
    first = data[:16]  # the first block tells the order of bytes
    blocks = itertools.chain(
        (first,), (data[16:][at : at + size] for at in range(0, len(data), size))
    )
    if encoding == "utf-8" or kept == "":
        return
    made = b"".join(as_utf8((b for b in blocks if b), encoding, "a.csv"))
    assert made.decode().removeprefix("\ufeff") == text


SEEN = [
    Dialect(delimiter, quote, encoding)
    for delimiter in (",", ";", "\t", "|")
    for quote in ('"',)
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "cp1252")
]


@pytest.mark.parametrize("dialect", SEEN, ids=str)
def test_detects(dialect):
    for base in ("csv", "tsv"):
        assert detect(iter([written(dialect)]), base) == dialect
        assert detect(iter([written(dialect, end="\r\n")]), base) == dialect


def test_detects_single_quotes_where_most_cells_have_them():
    rows = [[f"'{cell}'" for cell in row] for row in ROWS[:6]]
    data = written(Dialect(",", ""), rows)
    assert detect(iter([data]), "csv") == Dialect(",", "'")
    apostrophes = b"id,name\n" + b"1,rock 'n' roll\n" * 20
    assert detect(iter([apostrophes]), "csv") == Dialect(",")


@pytest.mark.parametrize(
    ("data", "base", "delimiter"),
    [
        (b"", "csv", ","),
        (b"id\n1\n2\n", "csv", ","),
        (b"id\n1\n2\n", "tsv", "\t"),
        (b"id;x\n1,5;2,5\n3,5;4,5\n", "csv", ";"),
        (b"a,b;c\n1,2;3\n4,5;6\n", "csv", ","),
        (b"a,b,c\n1,2;3,4\n5,6;7,8\n", "csv", ","),
        (b'a,note\n1,"x;y;z"\n2,"u;v;w"\n', "csv", ","),
        (b"a;b", "csv", ";"),
        (b"a,b\n1\n2\n3;4\n", "csv", ","),
    ],
)
def test_detects_the_delimiter_by_the_header_and_its_rows(data, base, delimiter):
    assert detect(iter([data]), base) == Dialect(delimiter)


def test_letters_far_down_are_seen_and_a_few_stray_bytes_are_no_other_encoding():
    head = b"id,name\n" + b"1,x\n" * 100
    assert detect(iter([head, b"2,caf\xe9\n"]), "csv").encoding == "cp1252"
    mixed = "2,caf\xe9\n".encode() * 3 + b"3,caf\xe9\n"
    assert detect(iter([head, mixed]), "csv").encoding == "utf-8"
    cut = "2,\u6771\n".encode()
    assert detect(iter([head, cut[:3], cut[3:]]), "csv").encoding == "utf-8"


def test_a_nul_here_and_there_is_no_wide_text():
    data = b"abc\n" + b"a\0b\n" * 99
    assert detect(iter([data]), "csv") == Dialect(",")


def test_only_csv_files_have_a_dialect(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n')
    assert detect_dialect(str(tmp_path / "a.jsonl"), Limits(), tmp_path) == Dialect()
    with pytest.raises(AssayError, match="I014"):
        detect_dialect(str(tmp_path / "none.csv"), Limits(), tmp_path)


def test_names_of_encodings():
    assert codec_of("latin-1") == codec_of("ISO-8859-1") == "iso8859-1"
    assert codec_of("Windows-1252") == codec_of("cp1252") == "cp1252"
    assert codec_of("UTF8") == codec_of("ascii") == codec_of("utf-8-sig") == "utf-8"
    for name in ("rot13", "zip", "base64", "punycode", "idna", "unicode_escape", "utf-7", "x\0"):
        assert codec_of(name) is None
    assert all(codec_of(name) == name for name in ENCODINGS)


def test_what_may_delimit():
    assert all(map(may_delimit, ",;\t|:^~# "))
    assert not any(
        map(may_delimit, ['"', "'", "a", "1", ".", "-", "+", "\n", "\r", "\0", ";;", "\xa7", ""])
    )


@given(st.text(alphabet="a;'\n\r\"", max_size=30))
def test_rows_are_found_alike_whatever_the_marks_are(text):
    usual = text.translate(str.maketrans(";'\"", ",\"'")).encode()
    one = find_rows(text.encode(), b";", b"'", is_last=True)
    two = find_rows(usual, b",", b'"', is_last=True)
    assert np.array_equal(one.starts, two.starts)
    assert np.array_equal(one.cells, two.cells)
    assert np.array_equal(one.broken, two.broken)
    assert one.is_open == two.is_open
