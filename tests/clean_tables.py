"""Honest tables of every type, and the ways in which honest people write them down.

Seeded: table 17 is the same everywhere. Texts hold what texts may hold: quotes, delimiters, line
ends, words that look like missing values or numbers, and letters of all scripts.
"""

import dataclasses
import datetime as dt
import decimal
import gzip
import io
import json
import math
import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from provenance.readers.csv_dialect import DELIMITERS, Dialect
from provenance.rows.column_types import ColumnSpec, Logical

KINDS: tuple[Logical, ...] = (
    "string", "string", "integer", "number", "boolean", "date", "timestamp", "time",
)  # fmt: skip
WORDS = (
    *("NA", "null", "None", "nan", "true", "007", "1e5", "0x10", "-", "?", "=1+1", "<b>x</b>"),
    *("a,b", "a;b", "a\tb", "a|b", 'say "no"', "it's", "two\nlines", "two\r\nlines", "\\n", " x "),
    *("", "Troms\xf8", "\u6771\u4eac", "\u05e9\u05dc\u05d5\u05dd", "\U0001f642", "caf\u00e9"),
)
STEMS = (
    *("id", "age", "city", "a name, with a comma", 'a "quoted" one', "\xe9t\xe9", "\u5e74\u9f62"),
    *("UPPER", "x.y", "it's", "a;b|c"),
)
ENCODED = ("utf-8", "utf-8", "utf-8", "utf-16", "utf-16-le", "utf-32-be", "gb18030")
Cell = Any


@dataclasses.dataclass(frozen=True)
class Clean:
    """A table as plain values, with the columns that a contract would promise."""

    specs: tuple[ColumnSpec, ...]
    rows: list[list[Cell]]

    @property
    def names(self) -> list[str]:
        return [spec.name for spec in self.specs]


def table(seed: int) -> Clean:
    """Return the table of a seed."""
    draw = random.Random(seed)
    count = draw.choice((1, 2, 3, 5, 8, 12))
    names = _names(draw, count)
    specs = tuple(ColumnSpec(name, draw.choice(KINDS)) for name in names)
    gaps = [draw.choice((0.0, 0.0, 0.1, 0.5)) for _ in specs]
    sizes = draw.choice((1, 2, 7, 30, 150))
    rows = [[_cell(draw, *pair) for pair in zip(specs, gaps, strict=True)] for _ in range(sizes)]
    return Clean(specs, rows)


def _cell(draw: random.Random, spec: ColumnSpec, gap: float) -> Cell:
    return None if draw.random() < gap else CELLS[spec.logical](draw)


def _names(draw: random.Random, count: int) -> list[str]:
    made: dict[str, None] = {}
    while len(made) < count:
        stem = draw.choice(STEMS)
        made[f"{stem} {draw.randint(1, 99)}" if stem in made else stem] = None
    return list(made)


def _text(draw: random.Random) -> str:
    if draw.random() < 0.5:
        return draw.choice(WORDS)
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, 6)))


def _integer(draw: random.Random) -> int:
    ends = (0, -1, 2**53 + 1, 2**63 - 1, -(2**63))
    return draw.choice(ends) if draw.random() < 0.2 else draw.randint(-(10**9), 10**9)


def _number(draw: random.Random) -> float:
    ends = (0.0, -0.0, 5e-324, 1e308, -1.5e-7, 0.1, 1 / 3, 1e16, math.pi)
    return (
        draw.choice(ends) if draw.random() < 0.3 else round(draw.gauss(0, 1e4), draw.randint(0, 9))
    )


def _moment(draw: random.Random) -> dt.datetime:
    start = dt.datetime(1, 1, 1) if draw.random() < 0.2 else dt.datetime(1990, 1, 1)  # noqa: DTZ001
    days = draw.randint(0, 20_000)
    clock = dt.timedelta(days, draw.randint(0, 86_399), draw.choice((0, 0, 1, 250_000, 999_999)))
    return start + clock


CELLS: dict[str, Callable[[random.Random], Cell]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": lambda draw: draw.random() < 0.5,
    "date": lambda draw: _moment(draw).date(),
    "timestamp": _moment,
    "time": lambda draw: _moment(draw).time(),
}


def as_text(value: Cell) -> str:
    """Return a value as a text file holds it."""
    if isinstance(value, bool):
        return str(value).lower()
    return (
        value.isoformat()
        if hasattr(value, "isoformat")
        else repr(value)
        if isinstance(value, float)
        else str(value)
    )


def as_csv(
    made: Clean, seed: int, encodings: tuple[str, ...] = ENCODED
) -> tuple[str, bytes, Dialect]:
    """Return a CSV of the table: its name, its bytes, and the dialect that its contract names."""
    draw = random.Random(seed * 7 + 1)
    quote = draw.choice(('"', '"', '"', "'"))
    base = draw.choice(("csv", "csv", "csv", "tsv"))
    told = Dialect(draw.choice(("", "", ";", "|", "\t")), quote, draw.choice(encodings))
    mark, end = told.named(base).delimiter, draw.choice(("\n", "\n", "\r\n", "\r"))
    telling = DELIMITERS if len(made.specs) == 1 else ()  # where nothing else tells the delimiter
    quotes_all = draw.random() < 0.3 or end == "\r"
    order = list(range(len(made.specs)))
    draw.shuffle(order)

    def cell(value: Cell, *, is_name: bool = False) -> str:
        if value is None:
            return ""
        text = value if is_name else as_text(value)
        needs = (
            text == "" or quotes_all or any(c in text for c in (quote, mark, "\n", "\r", *telling))
        )
        return quote + text.replace(quote, quote * 2) + quote if needs else text

    lines = [mark.join(cell(made.names[n], is_name=True) for n in order)]
    lines += [mark.join(cell(row[n]) for n in order) for row in made.rows]
    last = "" if draw.random() < 0.2 and lines[-1] else end
    data = (end.join(lines) + last).encode(told.encoding)
    return *_packed(f"a.{base}", data, draw), told


def as_lines(made: Clean, seed: int) -> tuple[str, bytes]:
    """Return the table as JSON Lines: its name and its bytes."""
    draw = random.Random(seed * 7 + 2)
    ascii_only, leaves_out = draw.random() < 0.5, draw.random() < 0.5
    lines = []
    for place, row in enumerate(made.rows):
        pairs = {name: _plain(value) for name, value in zip(made.names, row, strict=True)}
        if leaves_out and place:  # an absent key is a missing value
            pairs = {name: value for name, value in pairs.items() if value is not None}
        lines.append(json.dumps(pairs, ensure_ascii=ascii_only))
    return _packed("a.jsonl", "\n".join([*lines, ""]).encode(), draw)


def _plain(value: Cell) -> Cell:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _packed(name: str, data: bytes, draw: random.Random) -> tuple[str, bytes]:
    how = draw.choice(("", "", "gz", "zst"))
    if how == "gz":
        return f"{name}.gz", gzip.compress(data)
    if how == "zst":
        return f"{name}.zst", pa.compress(data, "zstd", asbytes=True)
    return name, data


def as_arrow(made: Clean) -> pa.Table:
    """Return the table in the types that its contract is cast to."""
    columns = list(zip(*made.rows, strict=True)) or [() for _ in made.specs]
    return pa.table(
        [pa.array(column, spec.arrow) for column, spec in zip(columns, made.specs, strict=True)],
        names=made.names,
    )


def as_parquet(made: Clean, seed: int) -> tuple[bytes, pa.Table]:
    """Return the table as Parquet in types that others write, and what Parquet makes of them."""
    draw = random.Random(seed * 7 + 3)
    wanted = as_arrow(made)
    columns = [_retyped(wanted[name].combine_chunks(), draw) for name in made.names]
    typed = pa.table(columns, names=made.names)
    sink = io.BytesIO()
    pq.write_table(
        typed,
        sink,
        compression=draw.choice(("none", "snappy", "zstd", "gzip")),
        use_dictionary=draw.random() < 0.5,
        row_group_size=draw.choice((7, 1000)),
        data_page_version=draw.choice(("1.0", "2.0")),
        write_page_checksum=True,
    )
    return sink.getvalue(), pq.read_table(io.BytesIO(sink.getvalue()))


def _retyped(column: pa.Array, draw: random.Random) -> pa.Array:
    if pa.types.is_string(column.type):
        how = draw.choice(("plain", "large", "dictionary"))
        large = column.cast(pa.large_string()) if how == "large" else column
        return column.dictionary_encode() if how == "dictionary" else large
    if pa.types.is_floating(column.type) and draw.random() < 0.3:
        exact = [None if v is None else _exact(v) for v in column.to_pylist()]
        return pa.array(exact, pa.decimal128(12, 3))
    if pa.types.is_timestamp(column.type) and draw.random() < 0.3:
        return column.cast(pa.timestamp("us", "UTC"))
    if pa.types.is_date(column.type) and draw.random() < 0.3:
        return column.cast(pa.date64())
    return column


def _exact(value: float) -> decimal.Decimal:
    return decimal.Decimal(round(value, 3) % 1000).quantize(decimal.Decimal("0.001"))
