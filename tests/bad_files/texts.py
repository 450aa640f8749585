"""Texts that are not what they seem: cut, mangled, mislabelled, packed to death."""

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Iterator

import pyarrow as pa
from bad_files.kind import (
    NAMES,
    ROWS,
    Bad,
    as_csv,
    as_lines,
    cells,
    changed,
    contract,
    file,
    honest,
    lines,
    with_header,
    with_line,
)

CSV, LINES = as_csv(cells()), as_lines(cells())
HEADER = lines()[0].encode()
PLAIN = ",".join(map(str, honest(5)))
CELLS = list(map(str, honest(5)))
MORE = CSV.replace(b"\n", b",1\n").replace(b"note,1", b"note,more", 1)
HTML = b"<!DOCTYPE html><html><body>503 Service Unavailable</body></html>"
WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le")


def zst(data: bytes) -> bytes:
    """Return the bytes packed by Zstandard."""
    return pa.compress(data, "zstd", asbytes=True)


def _columns(count: int) -> bytes:
    return (",".join(f"c{n}" for n in range(count)) + "\n" + ",".join("1" * count) + "\n").encode()


def _bomb(pack: str) -> bytes:
    blank = b"\n" * (300 << 20)
    return gzip.compress(HEADER + blank, 1) if pack == "gz" else zst(HEADER + blank)


def _long_field() -> bytes:
    return gzip.compress(as_csv(changed(4, "note", "x" * (100 << 20))), 1)


def _swallowing() -> bytes:
    made = lines()
    made[6] = made[6].replace("Molde", '"Molde')
    made[30] = (
        made[30].replace("Molde", 'Molde"').replace("Oslo", 'Oslo"').replace("Bergen", 'Bergen"')
    )
    return ("\n".join(made) + "\n").encode()


# name of the file, its bytes, code
REFUSED = {
    "empty": ("in.csv", b"", "I001"),
    "empty JSON Lines": ("in.jsonl", b"", "I001"),
    "gzip of nothing": ("in.csv.gz", gzip.compress(b""), "I001"),
    "blank lines": ("in.csv", b"\n\n\n", "I001"),
    "blank lines of Windows": ("in.csv", b"\r\n\r\n", "I001"),
    "blank JSON Lines": ("in.jsonl", b"\n \n\n", "I001"),
    "header only": ("in.csv", HEADER + b"\n", "I002"),
    "header without a line end": ("in.csv", HEADER, "I002"),
    "header only, packed": ("in.csv.gz", gzip.compress(HEADER + b"\r\n"), "I002"),
    "cut gzip": ("in.csv.gz", gzip.compress(CSV)[:-12], "I003"),
    "gzip without its trailer": ("in.csv.gz", gzip.compress(CSV)[:-4], "I003"),
    "cut zstd": ("in.csv.zst", zst(CSV)[:-9], "I003"),
    "cut JSON Lines in gzip": ("in.jsonl.gz", gzip.compress(LINES)[:-12], "I003"),
    "Parquet named csv": ("in.csv", b"PAR1" + CSV, "I004"),
    "zip named csv": ("in.csv", b"PK\x03\x04" + CSV, "I004"),
    "gzip named csv": ("in.csv", gzip.compress(CSV), "I004"),
    "csv named gzip": ("in.csv.gz", CSV, "I004"),
    "csv named zstd": ("in.csv.zst", CSV, "I004"),
    "csv named parquet": ("in.parquet", CSV, "I004"),
    "csv named jsonl": ("in.jsonl", CSV, "I004"),
    "picture named csv": ("in.csv", b"\x89PNG\r\n\x1a\n" + CSV, "I004"),
    "document named csv": ("in.csv", b"%PDF-1.7\n" + CSV, "I004"),
    "program named csv": ("in.csv", b"\x7fELF\x02\x01\x01" + CSV, "I004"),
    "HTML page": ("in.csv", HTML, "I004"),
    "HTML page after blanks": ("in.csv", b"\n  <html><body>503</body></html>", "I004"),
    "XML document": ("in.csv", b"<?xml version='1.0'?><Error/>", "I004"),
    "JSON array that is cut": ("in.json", b"[" + LINES.replace(b"\n", b","), "I003"),
    "JSON object": ("in.json", b'{"rows": 1,\n"a": 2}', "I004"),
    "JSON array and more": ("in.json", b"[" + LINES.replace(b"\n", b",")[:-1] + b"] []", "I004"),
    "JSON array that is deep": ("in.json", b"[" * 200_000, "I008"),
    "JSON array": ("in.jsonl", b"[" + LINES.replace(b"\n", b",") + b"0]", "I004"),
    "spreadsheet": ("in.xlsx", CSV, "I004"),
    "no ending": ("data", CSV, "I004"),
    "damaged gzip": ("in.csv.gz", gzip.compress(CSV)[:-8] + b"\1" * 8, "I005"),
    "damaged zstd": ("in.csv.zst", bytes([*zst(CSV)[:40], 255, 255, *zst(CSV)[42:]]), "I005"),
    "bzip2": ("in.csv.bz2", bz2.compress(CSV), "I006"),
    "xz": ("in.csv.xz", CSV, "I006"),
    "row of 17 MiB": ("in.csv", as_csv(changed(4, "note", "x" * (17 << 20))), "I006"),
    "line of 17 MiB": ("in.jsonl", as_lines(changed(4, "note", "x" * (17 << 20))), "I006"),
    "nested JSON": ("in.jsonl", LINES.replace(b'"Oslo"', b'["Oslo"]', 1), "I008"),
    "object in JSON": ("in.jsonl", LINES.replace(b'"Oslo"', b'{"a": 1}', 1), "I008"),
    "columns missing": ("in.csv", b"id,code,age,amount\n1,C1,20,0.5\n", "I018"),
    "column unknown": ("in.csv", with_header(",".join([*NAMES[:-1], "remark"])), "I018"),
    "column extra": ("in.csv", MORE, "I018"),
    "no header line": ("in.csv", "\n".join([*lines()[1:], ""]).encode(), "I018"),
    "key missing": ("in.jsonl", LINES.replace(b'"city"', b'"town"'), "I004"),
    "header not UTF-8": ("in.csv", CSV.replace(b"note", b"not\xe9", 1), "I022"),
    "header with a NUL": ("in.csv", CSV.replace(b"note", b"no\0te", 1), "I023"),
    "every row too long": ("in.csv", CSV.replace(b"be\n", b"be,x\n"), "I024"),
    "every row too short": ("in.csv", CSV.replace(b",row", b"row"), "I024"),
    "quote never closed": ("in.csv", with_line(5, PLAIN.replace("row", '"row').encode()), "I025"),
    "quote of the header": ("in.csv", with_header(",".join([*NAMES[:-1], '"note"x'])), "I025"),
    "name twice": ("in.csv", with_header("id,code,age,age,city,day,label,note"), "I026"),
    "name of the quarantine": ("in.csv", with_header(",".join([*NAMES[:-1], "_row"])), "I026"),
    "name empty": ("in.csv", with_header("id,,age,amount,city,day,label,note"), "I027"),
    "name blank": ("in.csv", with_header("id, ,age,amount,city,day,label,note"), "I027"),
    "semicolons": ("in.csv", as_csv(cells(), delimiter=";"), "I038"),
    "tabs": ("in.csv", as_csv(cells(), delimiter="\t"), "I038"),
    "bars": ("in.csv", as_csv(cells(), delimiter="|"), "I038"),
    "commas in tsv": ("in.tsv", CSV, "I038"),
}  # fmt: skip
# what is made only when it is asked for, being large
LARGE = {
    "gzip bomb": ("in.csv.gz", lambda: _bomb("gz"), "I006"),
    "zstd bomb": ("in.csv.zst", lambda: _bomb("zst"), "I006"),
    "field of 100 MB in gzip": ("in.csv.gz", _long_field, "I006"),
    "100,000 columns": ("in.csv", lambda: _columns(100_000), "I009"),
    "100,000 keys": (
        "in.jsonl", lambda: json.dumps({f"c{n}": 1 for n in range(100_000)}).encode(), "I004",
    ),
}  # fmt: skip
REJECTED = {
    "Latin-1 row": (PLAIN.replace("row", "r\xf8w").encode("latin-1"), "I022"),
    "cut sequence": (PLAIN.encode() + b"\xf0\x9f\x99", "I022"),
    "overlong sequence": (PLAIN.encode() + b"\xc0\x80", "I022"),
    "half a surrogate pair": (PLAIN.encode() + b"\xed\xa0\x80", "I022"),
    "row too long": (PLAIN.encode() + b",x", "I024"),
    "row too short": (",".join(CELLS[:5]).encode(), "I024"),
    "row of one cell": (b"x", "I024"),
    "row of blanks": (b"   ", "I024"),
    "text after a quote": (",".join([*CELLS[:-1], '"a"b']).encode(), "I025"),
}
REJECTED_LINES = {
    "line cut in the middle": (b'{"id": 6, "code": "C0', "I024"),
    "line of an array": (b"[6]", "I024"),
    "line of two objects": (b'{"id": 6} {"id": 6}', "I024"),
    "key twice": (b'{"id": 6, "id": 6}', "I024"),
    "key unknown": (b'{"id": 6, "more": 6}', "I024"),
    "deep nest": (b"[" * 100_000, "I024"),
    "Latin-1 line": (b'{"note": "caf\xe9"}', "I022"),
    "half a surrogate in JSON": (b'{"note": "\\ud800"}', "I022"),
}
WARNED = {
    "byte order mark": ("in.csv", b"\xef\xbb\xbf" + CSV, "I020"),
    "byte order mark in JSON": ("in.jsonl", b"\xef\xbb\xbf" + LINES, "I020"),
    "mixed line ends": ("in.csv", CSV.replace(b"\n", b"\r\n", 30), "I028"),
    "blank lines between rows": ("in.csv", CSV.replace(b"\n", b"\n\n", 3), "I001"),
}
ACCEPTED = {
    "CR LF": ("in.csv", CSV.replace(b"\n", b"\r\n")),
    "CR alone": ("in.csv", CSV.replace(b"\n", b"\r")),
    "no line end at the end": ("in.csv", CSV[:-1]),
    "columns in another order": (
        "in.csv",
        "\n".join(",".join(reversed(line.split(","))) for line in [*lines(), ""]).encode(),
    ),
    "two members of gzip": ("in.csv.gz", gzip.compress(CSV[:999]) + gzip.compress(CSV[999:])),
    "ending in capitals": ("IN.CSV", CSV),
}


def cases() -> Iterator[Bad]:
    """Yield all of them."""
    for what, (name, data, code) in {**REFUSED, **LARGE}.items():
        yield Bad(what, code, "refused", file(name, data))
    for encoding in WIDE:
        name = f"{encoding} {'with' if encoding in ('utf-16', 'utf-32') else 'without'} a mark"
        data = CSV.decode().encode(encoding)
        yield Bad(name, "I021", "refused", file("in.csv", data))
        by = contract(csv={"encoding": encoding})
        yield Bad(f"{name}, named", "", "accepted", file("in.csv", data), contract=by)
    for named in ("utf-16", "latin-1"):
        data = CSV.replace(b"row", "r\xf8w".encode())
        by = contract(csv={"encoding": named})
        yield Bad(
            f"UTF-8 that is called {named}", "I021", "refused", file("in.csv", data), contract=by
        )
    for what, (line, code) in REJECTED.items():
        yield Bad(what, code, "rejected", file("in.csv", with_line(5, line)), rows=(5,))
    for what, (line, code) in REJECTED_LINES.items():
        made = LINES.splitlines(keepends=True)
        data = b"".join([*made[:5], line + b"\n", *made[6:]])
        yield Bad(what, code, "rejected", file("in.jsonl", data), rows=(5,))
    for what, (name, data, code) in WARNED.items():
        yield Bad(what, code, "warned", file(name, data))
    for what, (name, data) in ACCEPTED.items():
        yield Bad(what, "", "accepted", file(name, data))
    yield from _cut_rows()
    yield from _archives()


def _cut_rows() -> Iterator[Bad]:
    body = CSV[: CSV[:-1].rindex(b"\n") + 1]
    last = list(map(str, honest(ROWS - 1)))
    for count in (1, 3, 7):
        data = body + ",".join(last[:count]).encode()
        yield Bad(f"last row cut after {count} cells", "I003", "rejected", file("in.csv", data),
                  rows=(ROWS - 1,))  # fmt: skip
    data = LINES[:-20]
    yield Bad("last line of JSON cut", "I003", "rejected", file("in.jsonl", data), rows=(ROWS - 1,))
    yield Bad("quotes that swallow 24 rows", "I025", "rejected", file("in.csv", _swallowing()),
              rows=(5,), total=ROWS - 24)  # fmt: skip
    by = contract(limits={"max_lines_per_row": 9})
    many = as_csv(changed(5, "note", "\n".join("x" * 10)))
    yield Bad(
        "more lines than the limit",
        "I025",
        "rejected",
        file("in.csv", many),
        rows=(5,),
        contract=by,
    )
    short = contract(limits={"max_bytes": len(CSV) - 1})
    yield Bad("larger than the limit", "I006", "refused", file("in.csv", CSV), contract=short)


def _archives() -> Iterator[Bad]:
    def zipped(name: str = "in.csv", data: bytes = CSV) -> bytes:
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
        return sink.getvalue()

    def locked() -> bytes:
        made = bytearray(zipped())
        made[6] |= 1
        made[made.index(b"PK\x01\x02") + 8] |= 1
        return bytes(made)

    def bomb() -> bytes:
        return zipped(data=b"\0" * (100 << 20))

    for what, data, code in (
        ("zip", zipped, "I004"),
        ("zip bomb", bomb, "I006"),
        ("zip with a password", locked, "I007"),
        ("name that leaves the archive", lambda: zipped("../../evil.csv"), "I012"),
        ("name from the root in an archive", lambda: zipped("/etc/evil.csv"), "I012"),
    ):
        yield Bad(what, code, "refused", file("in.zip", data))
