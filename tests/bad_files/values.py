"""Cells that no type can take, and cells that only look odd, in every format that can hold them."""

import gzip
from collections.abc import Iterator

import pyarrow as pa
from bad_files.kind import Bad, as_csv, as_lines, cells, changed, contract, file

LARGE = "x" * ((1 << 20) + 1)
# what it is, its column, its text, and the code that it earns
HELD = [
    ("integer over 64 bits", "age", "9223372036854775808", "I034"),
    ("integer under 64 bits", "age", "-9223372036854775809", "I034"),
    ("thousands separator", "amount", "1,234.50", "I035"),
    ("thousands blank", "amount", "1 234.50", "I035"),
    ("decimal comma", "amount", "1234,5", "I035"),
    ("blank before a number", "age", " 12", "I035"),
    ("blank after a number", "age", "12 ", "I035"),
    ("underscore", "age", "1_000", "I035"),
    ("hexadecimal", "age", "0x1A", "I035"),
    ("trailing letters", "age", "12abc", "I035"),
    ("leading zero of a number", "age", "007", "I035"),
    ("plus sign", "age", "+12", "I035"),
    ("decimal point of an integer", "age", "12.5", "I035"),
    ("exponent of an integer", "age", "1e2", "I035"),
    ("full-width digits", "age", "\uff11\uff12", "I035"),
    ("percent", "amount", "12%", "I035"),
    ("currency", "amount", "$12", "I035"),
    ("other date order", "day", "03/04/2025", "I036"),
    ("date without zeros", "day", "2025-3-4", "I036"),
    ("day that does not exist", "day", "2025-02-30", "I036"),
    ("date with a time", "day", "2025-02-03T00:00", "I036"),
    ("word for a date", "day", "yesterday", "I036"),
    ("NaN", "amount", "NaN", "V001"),
    ("infinity", "amount", "Infinity", "V002"),
    ("minus infinity", "amount", "-Infinity", "V002"),
    ("overflow", "amount", "1e400", "V002"),
    ("word for a number", "age", "forty", "V010"),
    ("word for missing", "age", "NA", "V010"),
    ("NUL in a text", "note", "a\0b", "I023"),
    ("NUL in a number", "age", "1\0", "I023"),
    ("field over 1 MiB", "note", LARGE, "I030"),
]
# the same, with the code of a warning or nothing
KEPT = [
    ("leading zeros of an id", "code", "00042", ""),
    ("id like a number", "code", "1e5", ""),
    ("id like a hexadecimal", "code", "0x10", ""),
    ("id like infinity", "code", "inf", ""),
    ("true in text", "note", "true", ""),
    ("T in text", "note", "T", ""),
    ("integer beyond 2**53", "age", "9007199254740993", ""),
    ("largest integer", "age", "9223372036854775807", ""),
    ("smallest integer", "age", "-9223372036854775808", ""),
    ("minus zero", "amount", "-0.0", ""),
    ("subnormal", "amount", "5e-324", ""),
    ("huge but finite", "amount", "1e308", ""),
    ("exponent of a number", "amount", "2e1", ""),
    ("shortest decimal", "amount", "0.1", ""),
    ("missing number", "amount", None, ""),
    ("missing text", "note", None, ""),
    ("empty text", "note", "", ""),
    ("inches", "note", '5" pipe', ""),
    ("quoted word", "note", '"quoted"', ""),
    ("comma", "note", "a,b", ""),
    ("line within a cell", "note", "a\nb", ""),
    ("lines of a letter", "note", "Dear all,\n\nthank you, and bye\r\nAnn", ""),
    ("backslash", "note", "a\\nb\\", ""),
    ("blanks in text", "note", "  x ", ""),
    ("other scripts", "note", "Ω≈ç√ 漢字 🙂", ""),
    ("field of 1 MiB", "note", "x" * (1 << 20), ""),
    ("NA in text", "note", "NA", "I031"),
    ("null in text", "note", "null", "I031"),
    ("None in text", "note", "None", "I031"),
    ("nan in text", "note", "nan", "I031"),
    ("formula", "note", "=1+1", "I037"),
    ("command", "note", "@SUM(A1)", "I037"),
    ("tab at the start", "note", "\tx", "I037"),
    ("HTML", "note", "<script>x</script>", "I037"),
]
CARRIERS = {
    "csv": ("csv", as_csv),
    "csv.gz": ("csv.gz", lambda made: gzip.compress(as_csv(made), 1)),
    "csv.zst": ("csv.zst", lambda made: pa.compress(as_csv(made), "zstd", asbytes=True)),
    "tsv": ("tsv", lambda made: as_csv(made, delimiter="\t", end="\r\n")),
    "utf-16": ("csv", lambda made: as_csv(made).decode().encode("utf-16")),
    "jsonl": ("jsonl", as_lines),
}
BY_CONTRACT = {"utf-16": contract(csv={"encoding": "utf-16"})}


def cases() -> Iterator[Bad]:
    """Yield every cell in plain CSV and JSON Lines, and by turns in the other carriers."""
    others = [name for name in CARRIERS if name not in ("csv", "jsonl")]
    for place, (what, column, text, code) in enumerate(HELD):
        for carrier in ("csv", "jsonl", others[place % len(others)]):
            yield _case(what, carrier, (column, text), code, "held")
    for place, (what, column, text, code) in enumerate(KEPT):
        for carrier in ("csv", "jsonl", others[place % len(others)]):
            yield _case(what, carrier, (column, text), code, "warned" if code else "accepted")
    for carrier in CARRIERS:
        yield _honest(carrier)


def _case(what: str, carrier: str, cell: tuple[str, str | None], code: str, fate: str) -> Bad:
    column, text = cell
    ending, write = CARRIERS[carrier]
    return Bad(
        f"{what} in {carrier}",
        code,
        fate,  # type: ignore[arg-type]
        file(f"in.{ending}", lambda: write(changed(5, column, text))),
        rows=(5,) if fate == "held" else (),
        kept={(5, column): text},
        contract=BY_CONTRACT.get(carrier, contract()),
    )


def _honest(carrier: str) -> Bad:
    ending, write = CARRIERS[carrier]
    make = file(f"in.{ending}", lambda: write(cells()))
    by = BY_CONTRACT.get(carrier, contract())
    return Bad(f"nothing wrong in {carrier}", "", "accepted", make, contract=by)
