"""Bad inputs in text form: each gets its code, its rows and nothing else; the rest survives."""

import bz2
import gzip
import io
import re
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.base.errors import AssayError
from provenance.readers.ingest import Limits, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import ROW, as_read, read_shard, read_table

NAMES = ["id", "code", "age", "amount", "city", "day", "label", "note"]
KINDS = ["integer", "string", "integer", "number", "string", "date", "string", "string"]
SPECS = tuple(ColumnSpec(n, k) for n, k in zip(NAMES, KINDS, strict=True))
LIMITS = Limits()
ROWS = 60


def cells(row):
    city = ("Oslo", "Bergen", "Molde")[row % 3]
    label = ("yes", "no")[row % 2]
    return [
        f"{row + 1}",
        f"C{row:05}",
        f"{20 + row}",
        f"{row}.5",
        city,
        f"2025-03-{row % 28 + 1:02}",
        label,
        "ok",
    ]


def lines():
    return [",".join(NAMES), *(",".join(cells(row)) for row in range(ROWS))]


def honest(end="\n"):
    return (end.join(lines()) + end).encode()


def with_cell(row, column, text):
    """Return the honest file with the raw text of one cell replaced."""
    made = lines()
    changed = cells(row)
    changed[NAMES.index(column)] = text
    made[row + 1] = ",".join(changed)
    return ("\n".join(made) + "\n").encode()


def with_line(row, line):
    made = [text.encode() for text in lines()]
    made[row + 1] = line
    return b"\n".join(made) + b"\n"


def with_header(header):
    return "\n".join([header, *lines()[1:], ""]).encode()


def run(tmp_path, data, name="in.csv", specs=SPECS, **options):
    path = tmp_path / name
    path.write_bytes(data)
    limits = options.pop("limits", LIMITS)
    return ingest([str(path)], specs, tmp_path / "out", limits=limits, **options)


def good(snapshot):
    shards = [read_shard(ref) for ref in snapshot.shards]
    rows = [row for shard in shards for row in shard.rows.tolist()]
    return rows, pa.concat_tables([shard.table for shard in shards])


def texts(snapshot):
    """Return the good rows as read."""
    shards = [read_shard(ref).table for ref in snapshot.shards]
    return pa.concat_tables(map(as_read, shards, snapshot.raw))


def held(snapshot):
    """Return (row, code, column) of each fault, in order."""
    if snapshot.held is None:
        return []
    found = read_table(snapshot.held_findings).to_pylist()
    kept = sorted(read_table(snapshot.held)[ROW].to_pylist())
    assert kept == sorted({item["row"] for item in found})
    return [(item["row"], item["code"], item["column"]) for item in found]


def rejected(snapshot):
    if snapshot.rejected is None:
        return []
    return [
        (r["_row"], r["_reason"].split(":")[0], r["_raw"])
        for r in read_table(snapshot.rejected).to_pylist()
    ]


def assert_rest_survives(snapshot, gone, *, total=ROWS):
    rows, table = good(snapshot)
    assert rows == [row for row in range(total) if row not in gone]
    assert snapshot.rows == total
    if total == ROWS:
        assert table["id"].to_pylist() == [row + 1 for row in rows]
        assert table["amount"].to_pylist() == [row + 0.5 for row in rows]
        assert table["code"].to_pylist() == [f"C{row:05}" for row in rows]


def test_the_honest_file_passes_whole(tmp_path):
    snapshot = run(tmp_path, honest())
    assert_rest_survives(snapshot, set())
    assert (snapshot.held, snapshot.rejected, snapshot.warnings) == (None, None, ())
    assert good(snapshot)[1].schema.types == [spec.arrow for spec in SPECS]
    assert texts(snapshot)["amount"].to_pylist() == [f"{row}.5" for row in range(ROWS)]
    raw = read_table(snapshot.raw[0])
    assert raw.column_names == ["amount", ROW]  # the others are printed by their values
    assert raw[ROW].to_pylist() == list(range(ROWS))


REFUSED = {
    "empty": (b"", "I001"),
    "blank lines": (b"\n\n\n", "I001"),
    "blank lines with returns": (b"\r\n\r\n", "I001"),
    "header only": (lines()[0].encode() + b"\n", "I002"),
    "header only without a line end": (lines()[0].encode(), "I002"),
    "parquet magic": (b"PAR1" + honest(), "I004"),
    "zip magic": (b"PK\x03\x04" + honest(), "I004"),
    "gzip magic": (gzip.compress(honest()), "I004"),
    "png magic": (b"\x89PNG\r\n\x1a\n" + honest(), "I004"),
    "html page": (b"<!DOCTYPE html><html><body>503</body></html>", "I004"),
    "html page after blanks": (b"\n  <html><body>503</body></html>", "I004"),
    "utf-16 with a mark": (honest().decode().encode("utf-16"), "I021"),
    "utf-16 without a mark": (honest().decode().encode("utf-16-le"), "I021"),
    "utf-16 big-endian": (honest().decode().encode("utf-16-be"), "I021"),
    "utf-32": (honest().decode().encode("utf-32"), "I021"),
    "header not utf-8": (honest().replace(b"note", b"not\xe9", 1), "I022"),
    "header with a nul": (honest().replace(b"note", b"no\0te", 1), "I023"),
    "every row too long": (honest().replace(b",ok\n", b",ok,x\n"), "I024"),
    "every row too short": (honest().replace(b",ok\n", b"\n"), "I024"),
    "quote never closed": (with_cell(5, "note", '"never'), "I025"),
    "quote of the header": (with_header(",".join([*NAMES[:-1], '"note"x'])), "I025"),
    "duplicate name": (with_header("id,code,age,age,city,day,label,note"), "I026"),
    "empty name": (with_header("id,,age,amount,city,day,label,note"), "I027"),
    "blank name": (with_header("id, ,age,amount,city,day,label,note"), "I027"),
    "unknown column": (with_header(",".join([*NAMES[:-1], "remark"])), "I018"),
    "missing columns": (b"id,code,age,amount\n1,C1,20,0.5\n", "I018"),
    "no header line": ("\n".join([*lines()[1:], ""]).encode(), "I018"),
    "reserved name": (with_header(",".join([*NAMES[:-1], ROW])), "I018"),
    "row of the quarantine": (with_header(",".join([*NAMES[:-1], "_row"])), "I026"),
    "reasons of the quarantine": (with_header(",".join([*NAMES[:-1], "_reasons"])), "I026"),
    "semicolons": (honest().replace(b",", b";"), "I038"),
    "tabs": (honest().replace(b",", b"\t"), "I038"),
    "bars": (honest().replace(b",", b"|"), "I038"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refuses(tmp_path, kind):
    data, code = REFUSED[kind]
    with pytest.raises(AssayError) as caught:
        run(tmp_path, data)
    assert caught.value.code == f"ASSAY-{code}"
    assert caught.value.where.endswith("in.csv")
    assert caught.value.fix
    assert not (tmp_path / "out" / "snapshot.json").exists()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_names_that_differ_in_case_only_are_refused_in_every_format(tmp_path, kind):
    sink = io.BytesIO()
    pq.write_table(pa.table({"age": [1], "Age": [2]}), sink, write_page_checksum=True)
    files = {"csv": b"age,Age\n1,2\n", "jsonl": b'{"age": 1, "Age": 2}\n'}
    data = files.get(kind) or sink.getvalue()
    with pytest.raises(AssayError, match="'age' and 'Age'") as caught:
        run(tmp_path, data, name=f"in.{kind}", specs=None)
    assert caught.value.code == "ASSAY-I026"


@pytest.mark.parametrize("name", ["_row", "_reasons"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_columns_of_the_quarantine_are_refused_in_every_format(tmp_path, kind, name):
    files = {
        "csv": f"id,{name}\n1,2\n".encode(),
        "tsv": f"id\t{name}\n1\t2\n".encode(),
        "jsonl": b'{"id": 1, "%b": 2}\n' % name.encode(),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [1], name: [2]}), sink, write_page_checksum=True)
    data = files.get(kind) or sink.getvalue()
    with pytest.raises(AssayError, match=f"{name} is reserved") as caught:
        run(tmp_path, data, name=f"in.{kind}", specs=None)
    assert caught.value.code == "ASSAY-I026"
    near = run(tmp_path, data.replace(name.encode(), name[:-1].encode() + b"x"), f"in.{kind}", None)
    assert near.rows == 1


HELD = {
    "integer over int64": ("age", "9223372036854775808", "I034"),
    "thousands separator": ("amount", '"1,234.50"', "I035"),
    "decimal comma": ("amount", '"1234,5"', "I035"),
    "blank before": ("age", " 12", "I035"),
    "blank after": ("age", "12 ", "I035"),
    "underscore": ("age", "1_000", "I035"),
    "hexadecimal": ("age", "0x1A", "I035"),
    "trailing letters": ("age", "12abc", "I035"),
    "leading zero": ("age", "007", "I035"),
    "plus sign": ("age", "+12", "I035"),
    "decimal point": ("age", "12.5", "I035"),
    "full-width digits": ("age", "\uff11\uff12", "I035"),
    "percent": ("amount", "12%", "I035"),
    "word": ("age", "forty", "V010"),
    "word for missing": ("age", "NA", "V010"),
    "nan": ("amount", "NaN", "V001"),
    "nan in small letters": ("amount", "nan", "V001"),
    "infinity": ("amount", "inf", "V002"),
    "minus infinity": ("amount", "-Infinity", "V002"),
    "overflow": ("amount", "1e400", "V002"),
    "other date order": ("day", "03/04/2025", "I036"),
    "impossible day": ("day", "2025-02-30", "I036"),
    "date with a time": ("day", "2025-02-03T00:00", "I036"),
    "word for a date": ("day", "yesterday", "I036"),
    "nul byte": ("note", "a\0b", "I023"),
    "nul byte in a number": ("age", "1\0", "I023"),
    "large field": ("note", "x" * (LIMITS.max_field_bytes + 1), "I030"),
}


@pytest.mark.parametrize("kind", HELD)
def test_holds_the_row_and_keeps_its_text(tmp_path, kind):
    column, text, code = HELD[kind]
    snapshot = run(tmp_path, with_cell(5, column, text))
    assert (5, code, column) in held(snapshot)
    assert {row for row, _, _ in held(snapshot)} == {5}
    assert_rest_survives(snapshot, {5})
    kept = read_table(snapshot.held).to_pylist()
    assert [row[column] for row in kept] == [text.strip('"')]
    evidence = read_table(snapshot.held_findings)["evidence"].to_pylist()
    told = code in ("V001", "V002")  # their names are the words of the evidence
    assert told or all(
        text.strip('" ') not in sentence.replace(column, "") for sentence in evidence
    )


ACCEPTED = {
    "integer beyond 2**53": ("age", "9007199254740993", 9007199254740993),
    "largest integer": ("age", "9223372036854775807", 9223372036854775807),
    "smallest integer": ("age", "-9223372036854775808", -9223372036854775808),
    "exponent": ("amount", "1e5", 1e5),
    "subnormal": ("amount", "5e-324", 5e-324),
    "huge but finite": ("amount", "1e308", 1e308),
    "shortest decimal": ("amount", "0.1", 0.1),
    "missing number": ("age", "", None),
    "missing text": ("note", "", None),
    "empty text": ("note", '""', ""),
    "quoted empty number": ("age", '""', None),
    "leading zeros of an id": ("code", "007", "007"),
    "an id like a number": ("code", "1e5", "1e5"),
    "NA in text": ("note", "NA", "NA"),
    "true in text": ("note", "true", "true"),
    "inches": ("note", '5" pipe', '5" pipe'),
    "doubled quotes": ("note", '"5"" pipe"', '5" pipe'),
    "comma": ("note", '"a,b"', "a,b"),
    "line within quotes": ("note", '"a\nb"', "a\nb"),
    "lines within quotes": (
        "note",
        '"Dear all,\n\nthank you, and bye\r\nAnn"',
        "Dear all,\n\nthank you, and bye\r\nAnn",
    ),
    "blanks in text": ("note", "  x ", "  x "),
    "field at the limit": ("note", "x" * LIMITS.max_field_bytes, "x" * LIMITS.max_field_bytes),
    "other scripts": ("note", "Ω≈ç√ 漢字 🙂", "Ω≈ç√ 漢字 🙂"),
    "leap day": ("note", "2024-02-29", "2024-02-29"),
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_accepts_what_is_only_unusual(tmp_path, kind):
    column, text, value = ACCEPTED[kind]
    snapshot = run(tmp_path, with_cell(5, column, text))
    assert held(snapshot) == rejected(snapshot) == []
    rows, table = good(snapshot)
    assert rows == list(range(ROWS))
    assert table[column][5].as_py() == value
    assert texts(snapshot)[column][5].as_py() == (
        text.strip('"').replace('""', '"') or (None if text == "" else "")
    )


LATIN = ",".join(cells(5)).replace("ok", "caf\xe9").encode("latin-1")
SWALLOWS = "\n".join(
    [
        '5,"' + ",".join(cells(4)[1:]),
        *(",".join(cells(r)) for r in range(5, 28)),
        ",".join(cells(28)[:-1]) + ',ok"',
    ]
)
REJECTED = {
    "latin-1": (LATIN, "I022"),
    "cut sequence": (",".join(cells(5)).encode() + b"\xf0\x9f\x99", "I022"),
    "row too long": (",".join([*cells(5), "x"]).encode(), "I024"),
    "row too short": (",".join(cells(5)[:5]).encode(), "I024"),
    "one cell": (b"x", "I024"),
    "blanks only": (b"   ", "I024"),
    "text after a quote": (",".join([*cells(5)[:-1], '"a"b']).encode(), "I025"),
}


@pytest.mark.parametrize("kind", REJECTED)
def test_rejects_the_row_with_its_bytes(tmp_path, kind):
    line, code = REJECTED[kind]
    snapshot = run(tmp_path, with_line(5, line))
    assert rejected(snapshot) == [(5, f"ASSAY-{code}", line)]
    assert held(snapshot) == []
    assert_rest_survives(snapshot, {5})


def test_a_quote_pair_that_swallows_rows_takes_only_those(tmp_path):
    made = lines()
    made[5] = made[5].replace("Bergen", '"Bergen')
    made[29] = made[29].replace("Bergen", 'Bergen"')
    swallowed = "\n".join(made[5:30])
    snapshot = run(tmp_path, ("\n".join(made) + "\n").encode())
    assert rejected(snapshot) == [(4, "ASSAY-I025", swallowed.encode())]
    rows, table = good(snapshot)
    assert snapshot.rows == ROWS - 24
    assert rows == [row for row in range(ROWS - 24) if row != 4]
    assert table["id"].to_pylist() == [*range(1, 5), *range(30, 61)]


def test_a_quote_that_swallows_one_line_end_is_seen(tmp_path):
    made = lines()
    made[5] = made[5].replace("Bergen", '"Bergen')
    made[6] = made[6].replace("Molde", 'Molde"')
    snapshot = run(tmp_path, ("\n".join(made) + "\n").encode())
    assert [(row, code) for row, code, _ in rejected(snapshot)] == [(4, "ASSAY-I025")]


def test_more_lines_than_the_limit_are_rejected_and_as_many_are_not(tmp_path):
    text = '"' + "\n".join(["x"] * 10) + '"'
    data = with_cell(5, "note", text)
    assert rejected(run(tmp_path, data, limits=Limits(max_lines_per_row=10))) == []
    snapshot = run(tmp_path, data, limits=Limits(max_lines_per_row=9))
    assert [(row, code) for row, code, _ in rejected(snapshot)] == [(5, "ASSAY-I025")]


@pytest.mark.parametrize("cut_at", [3, 5, 8])
def test_the_last_line_that_is_cut_is_rejected_as_such(tmp_path, cut_at):
    data = honest()[:-1]
    tail = ",".join(cells(ROWS - 1)[:cut_at])
    data = data[: data.rindex(b"\n") + 1] + tail.encode()
    snapshot = run(tmp_path, data)
    whole = cut_at == len(NAMES)
    assert rejected(snapshot) == ([] if whole else [(59, "ASSAY-I003", tail.encode())])
    assert_rest_survives(snapshot, set() if whole else {59})


def test_a_short_last_line_with_its_line_end_is_only_ragged(tmp_path):
    data = honest()[: honest()[:-1].rindex(b"\n") + 1] + b"60,C,1\n"
    assert rejected(run(tmp_path, data)) == [(59, "ASSAY-I024", b"60,C,1")]


WARNED = {
    "mark": (b"\xef\xbb\xbf" + honest(), "ASSAY-I020"),
    "mixed line ends": (honest().replace(b"\n", b"\r\n", 30), "ASSAY-I028"),
    "blank lines": (honest().replace(b"\n", b"\n\n", 3), "ASSAY-I001"),
    "null words": (with_cell(5, "note", "NULL"), "ASSAY-I031"),
    "formula": (with_cell(5, "note", "=1+1"), "ASSAY-I037"),
    "html": (with_cell(5, "note", "<script>x</script>"), "ASSAY-I037"),
}


@pytest.mark.parametrize("kind", WARNED)
def test_accepts_with_a_warning(tmp_path, kind):
    data, code = WARNED[kind]
    snapshot = run(tmp_path, data)
    assert [notice.code for notice in snapshot.warnings] == [code]
    assert held(snapshot) == rejected(snapshot) == []
    assert_rest_survives(snapshot, set())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_one_line_end_will_do(tmp_path, end):
    snapshot = run(tmp_path, honest(end))
    assert_rest_survives(snapshot, set())
    assert snapshot.warnings == ()


def test_counts_of_warnings(tmp_path):
    told = run(tmp_path, honest().replace(b"\n", b"\r\n", 30)).warnings[0].message
    assert re.search(r"31 LF, 30 CR LF", told)
    assert (
        run(tmp_path, honest().replace(b"\n", b"\n\n", 3)).warnings[0].message.startswith("3 blank")
    )


def test_several_faults_of_one_row_are_all_told(tmp_path):
    made = lines()
    made[6] = "6,C00005,forty,inf,Oslo,2025-13-01,no,ok"
    snapshot = run(tmp_path, ("\n".join(made) + "\n").encode())
    assert sorted(held(snapshot)) == [(5, "I036", "day"), (5, "V002", "amount"), (5, "V010", "age")]


def test_words_for_missing_are_missing(tmp_path):
    specs = tuple(
        ColumnSpec(s.name, s.logical, missing=("n/a",)) if s.name in ("age", "note") else s
        for s in SPECS
    )
    data = with_cell(5, "age", "n/a").replace(b",ok\n", b",n/a\n", 1)
    _, table = good(run(tmp_path, data, specs=specs))
    assert table["age"][5].as_py() is None
    assert table["note"].null_count == 1


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_an_empty_cell_at_the_very_end_is_missing_whatever_stands_before_it(tmp_path, end):
    specs = (ColumnSpec("a"), ColumnSpec("b"))
    _, table = good(run(tmp_path, b'a,b\n"x","y"\n"q",' + end, specs=specs))
    assert table.to_pylist() == [{"a": "x", "b": "y"}, {"a": "q", "b": None}]
    _, table = good(run(tmp_path, b'a,b\n"q",""' + end, specs=specs))
    assert table["b"].to_pylist() == [""]


def test_booleans(tmp_path):
    specs = (ColumnSpec("a", "integer"), ColumnSpec("b", "boolean"))
    words = ["true", "True", "TRUE", "false", "False", "FALSE", "", "1", "0", "yes", "T", "tRuE"]
    data = "a,b\n" + "".join(f"{n},{word}\n" for n, word in enumerate(words))
    snapshot = run(tmp_path, data.encode(), specs=specs)
    assert good(snapshot)[1]["b"].to_pylist() == [True] * 3 + [False] * 3 + [None]
    assert [(row, code) for row, code, _ in held(snapshot)] == [
        (7, "I035"),
        (8, "I035"),
        (9, "V010"),
        (10, "V010"),
        (11, "V010"),
    ]


def test_without_a_contract_nothing_is_held(tmp_path):
    data = with_cell(5, "age", "forty")
    snapshot = run(tmp_path, data, specs=None)
    assert snapshot.held is None
    assert good(snapshot)[1].schema.types == [pa.string()] * 8


@pytest.mark.parametrize(
    ("header", "row", "is_refused"),
    [
        ("1,C1,20,0.5", "2,C2,21,1.5", True),
        ("id,2019,2020,2021", "1,5,6,7", False),
        ("id,code,age,amount", "1,C1,20,0.5", False),
        ("id,q1,q2,q3", "1,5,6,7", False),
    ],
)
def test_without_a_contract_a_first_line_of_data_is_still_seen(tmp_path, header, row, is_refused):
    data = f"{header}\n{row}\n".encode()
    if is_refused:
        with pytest.raises(AssayError, match="I018"):
            run(tmp_path, data, specs=None)
    else:
        assert run(tmp_path, data, specs=None).rows == 1


def test_messages_do_not_repeat_a_header_that_may_be_data(tmp_path):
    data = b"Ada Lovelace,ada@example.org,12\nx,y,1\n"
    with pytest.raises(AssayError) as caught:
        run(tmp_path, data)
    assert "Ada" not in str(caught.value)
    assert "example" not in str(caught.value)


def test_columns_may_stand_in_another_order(tmp_path):
    made = [line.split(",") for line in lines()]
    data = "\n".join(",".join(reversed(cells)) for cells in made) + "\n"
    _, table = good(run(tmp_path, data.encode()))
    assert table.column_names == NAMES[::-1]
    assert table["age"].to_pylist() == [20 + row for row in range(ROWS)]


PACKED = {
    "bzip2": ("in.csv.bz2", bz2.compress(honest()), "I006"),
    "cut gzip": ("in.csv.gz", gzip.compress(honest())[:-12], "I003"),
    "damaged gzip": ("in.csv.gz", gzip.compress(honest())[:-8] + b"\1" * 8, "I005"),
    "no gzip": ("in.csv.gz", honest(), "I004"),
    "gzip of nothing": ("in.csv.gz", gzip.compress(b""), "I001"),
    "cut zstd": ("in.csv.zst", pa.compress(honest(), "zstd", asbytes=True)[:-9], "I003"),
    "no zstd": ("in.csv.zst", honest(), "I004"),
    "gzip bomb": ("in.csv.gz", gzip.compress(lines()[0].encode() + b"\n" * (80 << 20), 1), "I006"),
    "long row in gzip": (
        "in.csv.gz",
        gzip.compress(with_cell(4, "note", "x" * (20 << 20)), 1),
        "I006",
    ),
    "unknown ending": ("in.xlsx", honest(), "I004"),
    "no ending": ("data", honest(), "I004"),
    "parquet by name": ("in.parquet", honest(), "I004"),
}


@pytest.mark.parametrize("kind", PACKED)
def test_refuses_packed(tmp_path, kind):
    name, data, code = PACKED[kind]
    with pytest.raises(AssayError) as caught:
        run(tmp_path, data, name=name)
    assert caught.value.code == f"ASSAY-{code}"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("in.csv.gz", gzip.compress(honest())),
        ("in.csv.gz", gzip.compress(honest()[:999]) + gzip.compress(honest()[999:])),
        ("in.csv.zst", pa.compress(honest(), "zstd", asbytes=True)),
        ("in.tsv", honest().replace(b",", b"\t")),
        ("IN.CSV", honest()),
    ],
)
def test_reads_packed(tmp_path, name, data):
    assert_rest_survives(run(tmp_path, data, name=name), set())


def zipped(name="in.csv", data=b"a,b"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def test_archives_are_refused_each_for_its_reason(tmp_path):
    encrypted = bytearray(zipped())
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    kinds = {
        "I012": zipped("../../evil.csv"),
        "I006": zipped(data=b"\0" * (100 << 20)),
        "I007": bytes(encrypted),
        "I004": zipped(),
    }
    for code, data in kinds.items():
        with pytest.raises(AssayError, match=code):
            run(tmp_path, data, name="in.zip")


def test_too_many_columns_are_refused_and_as_many_as_allowed_are_not(tmp_path):
    def wide(count):
        return (
            ",".join(f"c{n}" for n in range(count)) + "\n" + ",".join("x" * count) + "\n"
        ).encode()

    with pytest.raises(AssayError, match="I009"):
        run(tmp_path, wide(4097), specs=None)
    assert run(tmp_path, wide(4096), specs=None).rows == 1


def test_empty_is_no_fault_where_it_is_allowed(tmp_path):
    snapshot = run(tmp_path, lines()[0].encode(), allow_empty=True)
    assert snapshot.rows == 0
    _, table = good(snapshot)
    assert table.column_names == NAMES
