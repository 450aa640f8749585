"""Lines of a CSV that are no rows, and how its cells are written: as the contract says."""

import itertools

import pyarrow as pa
import pytest

from provenance.base.errors import AssayError
from provenance.readers.csv_detection import detect
from provenance.readers.csv_dialect import Dialect
from provenance.readers.csv_lines import after_lines
from provenance.readers.ingest import Limits, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import read_shard, read_table

SPECS = (ColumnSpec("station"), ColumnSpec("day", "integer"), ColumnSpec("rain", "number"))
HEADER = "station,day,rain\n"
ROWS = [f"ST{n % 4},{n},{n / 8}\n" for n in range(40)]
TABLE = HEADER + "".join(ROWS)
ALL = [(f"ST{n % 4}", n, n / 8) for n in range(40)]


def read(tmp_path, text, specs=SPECS, **dialect):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    out = tmp_path / "out"
    return ingest([str(path)], specs, out, limits=Limits(), dialect=Dialect(**dialect))


def rows_of(snapshot):
    tables = [read_shard(ref).table for ref in snapshot.shards]
    return [tuple(row.values()) for row in pa.concat_tables(tables).to_pylist()]


def codes(snapshot):
    return {notice.code for notice in snapshot.warnings}


LAYOUTS = {
    "preamble": ("Weather report 2024\nGenerated,2025-01-02\n\n" + TABLE, {"skip": 3}),
    "preamble, CR LF": ("a b c\r\nd\r\n" + TABLE.replace("\n", "\r\n"), {"skip": 2}),
    "a quote in the preamble": ('He said "x\n' + TABLE, {"skip": 1}),
    "padded preamble": ("Weather,,\n,,\n" + TABLE, {"skip": 2}),
    "comments": ("# source: x\n# units: mm, C\n" + TABLE, {"comment": "#"}),
    "comments within": (HEADER + "".join(ROWS[:9]) + '# "moved, "\n' + "".join(ROWS[9:]),
                        {"comment": "#"}),
    "a header like a comment": ("## v4\n" + "#" + TABLE, {"skip": 1}),
    "totals": (TABLE + "Total,,97.5\n", {"footer": 1}),
    "totals after a blank line": (TABLE + "\nGesamt;;\nSumme,,97.5\n", {"footer": 1}),
    "row count": (TABLE + "(40 rows affected)\n", {"footer": 1}),
    "two lines below": (TABLE + "Total,,97.5\nEOF\n", {"footer": 2}),
    "all of it": ("x\n# y\n" + TABLE + "Total,,1\n", {"skip": 2, "comment": "#", "footer": 1}),
    "sep": ("sep=;\n" + TABLE.replace(",", ";"), {"delimiter": ";", "skip": 1}),
    "sep in quotes": ('"sep=|"\r\n' + TABLE.replace(",", "|"), {"delimiter": "|", "skip": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "totals after a blank line"])
def test_what_init_detects_is_what_a_run_reads(tmp_path, name):
    text, wanted = LAYOUTS[name]
    found = detect(iter([text.encode()]), "csv")
    assert found == Dialect(**({"delimiter": ","} | wanted))
    specs = SPECS
    if name == "a header like a comment":
        specs = (ColumnSpec("#station"), *SPECS[1:])
    snapshot = read(tmp_path, text, specs, **wanted)
    assert (rows_of(snapshot), snapshot.rows, snapshot.rejected) == (ALL, 40, None)
    assert "ASSAY-I039" in codes(snapshot)


@pytest.mark.parametrize(("text", "wanted"), LAYOUTS.values(), ids=LAYOUTS)
def test_what_the_contract_does_not_say_is_not_guessed(tmp_path, text, wanted):
    if set(wanted) <= {"footer"}:
        assert (rows_of(read(tmp_path, text)) != ALL) or read(tmp_path, text).rejected
        return
    named = {key: value for key, value in wanted.items() if key == "delimiter"}
    if text.startswith(HEADER):  # the comment is within the table
        assert read(tmp_path, text, **named).rejected
        return
    with pytest.raises(AssayError) as caught:
        read(tmp_path, text, **named)
    assert caught.value.code in ("ASSAY-I018", "ASSAY-I038")
    if "#" + HEADER not in text:
        line = text.replace("\r\n", "\n").split("\n").index(HEADER.strip().replace(
            ",", named.get("delimiter", ",")))  # fmt: skip
        assert f"skip: {line}" in caught.value.fix


def test_the_header_above_the_skipped_lines_is_named(tmp_path):
    with pytest.raises(AssayError, match="in line 1") as caught:
        read(tmp_path, TABLE, skip=2)
    assert (caught.value.code, "remove skip" in caught.value.fix) == ("ASSAY-I018", True)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (TABLE, {"skip": 900}),
        ("", {"skip": 1}),
        ("\n", {"skip": 1}),
        (TABLE, {"footer": 1}),  # the last line is a row
        (HEADER, {"footer": 1}),
        (TABLE.replace("3.875", ""), {"footer": 1}),  # a row with a missing value
        (TABLE + "Total,,1\n", {"footer": 2}),
        (HEADER + ROWS[0], {"footer": 3}),
    ],
)
def test_lines_that_are_not_there_are_refused(tmp_path, text, dialect):
    with pytest.raises(AssayError) as caught:
        read(tmp_path, text, **dialect)
    assert caught.value.code in ("ASSAY-I018", "ASSAY-I001")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_skipped_lines_may_be_cut_anywhere(end, size):
    data = end.join(["one", "", "three", "four", ""]).encode()
    for skip in range(5):
        blocks = (data[at : at + size] for at in range(0, len(data), size))
        rest = b"".join(after_lines(blocks, skip, "f")) if skip else data
        assert rest == end.join(["one", "", "three", "four", ""][skip:]).encode()


def test_a_footer_may_span_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("provenance.files.unpack.BLOCK", 64)
    text = TABLE + "".join(f"Total,,{n}\n" for n in range(20))
    snapshot = read(tmp_path, text, footer=20)
    assert rows_of(snapshot) == ALL


def test_a_cell_that_begins_like_a_comment_is_a_cell(tmp_path):
    text = HEADER + '"#a",1,2\n"x\n# y",2,3\n# no row, at all\nST1,3,"4"\n'
    snapshot = read(tmp_path, text, comment="#")
    assert rows_of(snapshot) == [("#a", 1, 2.0), ("x\n# y", 2, 3.0), ("ST1", 3, 4.0)]


NO_COMMENTS = [
    HEADER + "#1,1,2\n#2,2,3\n" + "".join(ROWS),  # tickets, say
    "#station,day,rain\n" + "".join(ROWS),
    "a,b\n" + "".join(f"x{n},# y\n" for n in range(9)),
]
NO_LINES = [
    "x,y\n1,2,3\n4,5,6\n7,8,9\n",  # a header that lacks a name
    "metric,value\n" + "".join(f"{name},1\n" for name in ("mean", "count", "total") * 9),
    "a\n1\n2\nTotal\n",
    TABLE[:-3],
    "name,,\nbob,x,y\namy,z,w\n",  # may be a header that lacks names
    *NO_COMMENTS,
]


@pytest.mark.parametrize("text", NO_LINES)
def test_init_leaves_out_nothing_that_may_be_a_row(text):
    found = detect(iter([text.encode()]), "csv")
    assert (found.skip, found.comment, found.footer) == (0, "", 0)


def test_a_header_within_the_table_is_rejected(tmp_path):
    text = HEADER + "".join(ROWS[:9]) + "\ufeff" + HEADER + "".join(ROWS[9:]) + HEADER
    snapshot = read(tmp_path, text)
    found = read_table(snapshot.rejected).to_pylist()
    assert [row["_row"] for row in found] == [9, 41]
    assert {row["_reason"][:10] for row in found} == {"ASSAY-I040"}
    assert rows_of(snapshot) == ALL
    assert "ASSAY-I040" in codes(snapshot)


def test_in_a_table_of_one_column_a_value_may_be_its_name(tmp_path):
    snapshot = read(tmp_path, "word\na\nword\n", (ColumnSpec("word"),))
    assert (rows_of(snapshot), snapshot.rejected) == ([("a",), ("word",)], None)


def test_an_index_is_named_by_the_contract_only(tmp_path):
    specs = (ColumnSpec("index", "integer"), *SPECS)
    text = "," + HEADER + "".join(f"{n},{row}" for n, row in enumerate(ROWS))
    assert detect(iter([text.encode()]), "csv") == Dialect(",", index="index")
    snapshot = read(tmp_path, text, specs, index="index")
    assert rows_of(snapshot) == [(n, *row) for n, row in enumerate(ALL)]
    assert "ASSAY-I027" in codes(snapshot)
    with pytest.raises(AssayError, match="I027") as caught:
        read(tmp_path, text, None)
    assert "assay.csv" in caught.value.fix
    assert rows_of(read(tmp_path, text.replace(",", "index,", 1), specs, index="index"))


@pytest.mark.parametrize(
    "text",
    [",a,b\nx,1,2\ny,3,4\n", ",a,b\n1,1,2\n1,3,4\n", ",,b\n0,1,2\n1,3,4\n", ",\n0,1\n1,2\n"],
)
def test_a_first_column_without_a_name_that_is_no_index(text):
    assert detect(iter([text.encode()]), "csv").index == ""


def test_blanks_are_left_out_where_the_contract_says_so(tmp_path):
    text = TABLE.replace(",", ", ")
    assert detect(iter([text.encode()]), "csv") == Dialect(",", trim=True)
    assert rows_of(read(tmp_path, text, trim=True)) == ALL
    with pytest.raises(AssayError, match="I018"):
        read(tmp_path, text)
    raw = read_table(read(tmp_path, text, trim=True).raw[0])
    assert raw["rain"][3].as_py() == " 0.375"  # kept as it was read


NUMBERS = [
    (",", ".", "2.624,93", 2624.93),
    (",", ".", "76.915", 76915.0),
    (",", ".", "-1.234.567,5", -1234567.5),
    (",", ".", "5", 5.0),
    (",", ".", "5,", 5.0),
    (",", ".", "1,5e3", 1500.0),
    (",", ".", "1.5", None),
    (",", ".", "12.34,5", None),
    (",", ".", "1234.567", None),
    (",", ".", "0.123", None),
    (",", "", "5,25", 5.25),
    (",", "", "1.234", None),
    (".", ",", "1,234.5", 1234.5),
    (".", ",", "1,23", None),
    (".", "'", "1'234'567.25", 1234567.25),
    (".", "\u202f", "1\u202f234", 1234.0),
    (",", " ", "1 234,5", 1234.5),
]


@pytest.mark.parametrize(("decimal", "thousands", "cell", "value"), NUMBERS)
def test_numbers_in_the_notation_of_the_contract(tmp_path, decimal, thousands, cell, value):
    text = f'a;x\n1;7\n2;"{cell}"\n'
    specs = (ColumnSpec("a", "integer"), ColumnSpec("x", "number"))
    found = {"delimiter": ";", "decimal": decimal, "thousands": thousands}
    snapshot = read(tmp_path, text, specs, **found)
    if value is None:
        assert read_table(snapshot.held)["x"].to_pylist() == [cell]
        assert read_table(snapshot.held_findings)["code"].to_pylist() == ["I035"]
    else:
        assert rows_of(snapshot)[1] == (2, value)
        assert cell == "5" or read_table(snapshot.raw[0])["x"][1].as_py() == cell


def test_integers_in_groups_and_with_decimals_of_zero(tmp_path):
    text = "a;x\n1;1.234\n2;12,0\n3;1.000.000,00\n4;1,5\n"
    specs = (ColumnSpec("a", "integer"), ColumnSpec("x", "integer"))
    snapshot = read(tmp_path, text, specs, delimiter=";", decimal=",", thousands=".")
    assert rows_of(snapshot) == [(1, 1234), (2, 12), (3, 1_000_000)]
    assert read_table(snapshot.held)["x"].to_pylist() == ["1,5"]
    (notice,) = [n for n in snapshot.warnings if n.code == "ASSAY-I042"]
    assert (notice.message[:7], notice.where) == ("2 cells", "column 'x'")


def test_a_notation_is_for_csv_only(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"x": 1.5}\n{"x": 2.25}\n')
    dialect = Dialect(decimal=",", trim=True)
    specs = (ColumnSpec("x", "number"),)
    snapshot = ingest([str(path)], specs, tmp_path / "o", limits=Limits(), dialect=dialect)
    assert rows_of(snapshot) == [(1.5,), (2.25,)]


def test_one_warning_for_integers_written_as_floats(tmp_path):
    text = "station,day,rain\n" + "".join(f"a,{n}.0,1\n" for n in range(50)) + "a,7,1\na,1.5,1\n"
    snapshot = read(tmp_path, text)
    assert [row[1] for row in rows_of(snapshot)] == [*range(50), 7]
    (notice,) = [n for n in snapshot.warnings if n.code == "ASSAY-I042"]
    assert notice.message.startswith("50 cells")
    assert read_table(snapshot.held)["day"].to_pylist() == ["1.5"]


def test_blocks_do_not_change_what_is_read(tmp_path, monkeypatch):
    text = (
        'x\n# "y\n' + HEADER + "".join(itertools.chain(*zip(ROWS, ['# c, "d\n'] * 40, strict=True)))
    )
    for size in (7, 64, 1 << 20):
        monkeypatch.setattr("provenance.files.unpack.BLOCK", size)
        assert rows_of(read(tmp_path, text + "Total,,1\n", skip=1, comment="#", footer=1)) == ALL
