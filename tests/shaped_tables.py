"""Honest tables of every shape: types, roles, sizes, shares of missing values, and names.

Seeded: shape 17 is the same everywhere. `shape_runs` examines one from end to end.
"""

import csv
import dataclasses
import datetime as dt
import decimal
import io
import json
import random
import string
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SIZES = (1, 2, 3, 10, 50, 300)
GAPS = (0.0, 0.0, 0.0, 0.1, 0.5, 0.9)
# the flavour says how the values of a column repeat
FLAVOURS = ("any", "any", "any", "few", "few", "constant", "unique", "null")
ROLES = ("label", "text", "source", "time", "key", "quasi_identifier", "ignore")
PII = ("redact", "pseudonymise", "allow", "quarantine")
NAMES = (
    "id", "age", "a b", " led", "trailed ", "two\nlines", 'a "quoted" one', "it's", "x.y", "été",
    "年龄", "\U0001f642", "select", "order", "table", "null", "true", "row", "rowid", "index",
    "Age", "AGE", "label", "source", "created_at", "city", "a,b", "a;b|c", "a\tb", "%s", "{x}",
    "$1", "back\\slash", "`x`", "[x]", "#x", "-", "*", "n" * 300, "0", "1e5", "class", "email",
    "target_",
    "colour\n(name)", "a\u00a0b", "a\u3000b", "%(a)s", ":p", "?", "p1", "x y", "a]b", "~~", "x:y",
    "__assay_x", "score", "_digest", "value", "count", "fold", "a/b", "e\u0301te\u0301",
)  # fmt: skip
RESERVED = ("_row", "_reasons", "__assay_row", " ")  # refused, with a code
WORDS = ("red", "blue", "green", "Oslo", "Rio", "Ann", "Bob", "x", "NA", "-", "007", "", "Ω", "a b")
LONG = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "of", "last", "year")
EPOCH = dt.datetime(2020, 1, 1)  # noqa: DTZ001
Draw = random.Random


@dataclasses.dataclass(frozen=True)
class Shaped:
    """A table, the file that holds it, and what a contract shall say of it.

    Attributes:
        form: of the file: `parquet`, `csv` or `jsonl`.
        data: the file's bytes.
        cells: what each cell of a text file holds, by column; empty for Parquet.
        roles: of some columns, by name.
        with_reference: whether a run compares the table with itself, as its reference.
        pii: what a contract asks for personal data in some text columns, by name.
        refusals: the codes with which this shape may be refused.
        about: the shape in one line.
    """

    form: str
    data: bytes
    cells: dict[str, list[Any]]
    rows: int
    roles: dict[str, str]
    with_reference: bool
    pii: dict[str, str]
    refusals: frozenset[str]
    about: str


def shaped(seed: int) -> Shaped:
    """Return the shape of a seed."""
    draw = random.Random(seed)
    rows, columns = draw.choice(SIZES), draw.choice((1, 2, 2, 3, 5, 8, 12))
    form = draw.choice(("parquet", "parquet", "parquet", "csv", "jsonl"))
    kinds = KINDS if form == "parquet" else TEXT_KINDS
    chosen = [draw.choice(tuple(kinds)) for _ in range(columns)]
    if draw.random() < 0.3:  # columns of one kind, such as texts alone
        chosen = [chosen[0]] * columns
    names = _names(draw, columns)
    arrays, about = [], []
    for name, kind in zip(names, chosen, strict=True):
        flavour, gap = draw.choice(FLAVOURS), draw.choice(GAPS)
        arrays.append(kinds[kind](draw, _values(draw, kind, flavour, gap, rows)))
        about.append(f"{name[:12]!r} {kind} {flavour} {gap}")
    table = pa.table(arrays, names=names)
    roles = _roles(draw, names)
    line = f"{form} {rows}x{columns} {roles!r:.80}: {'; '.join(about)}"
    refusals = _refusals(table, form)
    data, cells = FORMS[form](table, draw)
    has_reference = draw.random() < 0.3
    texts = [name for name, kind in zip(names, chosen, strict=True) if "string" in kind]
    pii = {name: draw.choice(PII) for name in texts if draw.random() < 0.2}
    return Shaped(form, data, cells, rows, roles, has_reference, pii, refusals, line)


def _names(draw: Draw, count: int) -> list[str]:
    made: dict[str, None] = {}
    while len(made) < count:
        name = draw.choice(NAMES)
        made[f"{name}{len(made)}" if name in made else name] = None
    names = list(made)
    if draw.random() < 0.03:
        names[draw.randrange(count)] = draw.choice(RESERVED)
    return names


def _roles(draw: Draw, names: list[str]) -> dict[str, str]:
    """Return roles for some columns: of the label at most one, of the others several."""
    roles = {}
    for role in draw.sample(ROLES, draw.choice((0, 1, 2, 3, 5))):
        free = [name for name in names if name not in roles]
        several = 1 if role in {"label", "key"} else draw.choice((1, 1, 2, len(names)))
        roles |= dict.fromkeys(draw.sample(free, min(several, len(free))), role)
    return roles


def _refusals(table: pa.Table, form: str) -> frozenset[str]:
    """Return the codes with which the table may be refused."""
    names = table.column_names
    folded = {name.lower() for name in names}
    is_bare = table.num_columns == 1 and table.column(0).null_count == table.num_rows
    is_one = form == "csv" and table.num_columns == 1
    facts = {
        "I008": any(test(_plain(f.type)) for test in UNSUPPORTED for f in table.schema),
        "I026": len(folded) < len(names) or bool(folded & {"_row", "_reasons"}),
        # a header with a number in it may be a row
        "I018": "__assay_row" in folded or (form == "csv" and any(map(_is_number, names))),
        "I027": any(not name.strip() for name in names),
        "I038": is_one and any(mark in names[0] for mark in "\t;|,"),  # one name or two
        "I002": is_bare and form != "parquet",  # blank lines are no rows
    }
    return frozenset(f"ASSAY-{code}" for code, is_so in facts.items() if is_so)


def _is_number(name: str) -> bool:
    return name.replace("e", "").isdecimal()


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


UNSUPPORTED = (
    pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary,
    pa.types.is_binary_view, pa.types.is_duration,
)  # fmt: skip


# the values: plain Python, per kind


def _values(draw: Draw, kind: str, flavour: str, gap: float, rows: int) -> list[Any]:
    make = VALUES[kind.partition(" ")[0]]
    if flavour == "null":
        return [None] * rows
    if flavour == "constant":
        made = [make(draw)] * rows
    elif flavour == "few":
        among = [make(draw) for _ in range(draw.choice((2, 3, 7)))]
        made = [draw.choice(among) for _ in range(rows)]
    else:
        made = [make(draw) for _ in range(rows)]
    if flavour == "unique":
        most = 120 if kind.startswith("small") else 250 if kind.startswith("natural") else rows
        return [_numbered(value, number % most) for number, value in enumerate(made)]
    return [None if draw.random() < gap else value for value in made]


def _numbered(value: Any, number: int) -> Any:
    """Return a value of the same type that differs from row to row, as far as the type allows."""
    if isinstance(value, bool):
        return number % 2 == 0
    if isinstance(value, int):
        return number
    if isinstance(value, str):
        return f"{value[:8]}-{number:05}"
    if isinstance(value, dt.datetime):
        return EPOCH + dt.timedelta(minutes=number)
    if isinstance(value, dt.date):
        return EPOCH.date() + dt.timedelta(number)
    return value


def _word(draw: Draw) -> str:
    return draw.choice(WORDS) if draw.random() < 0.8 else f"L-{draw.randrange(10**6)}"


def _long(draw: Draw) -> str:
    return " ".join(draw.choice(LONG) for _ in range(draw.choice((5, 30, 200))))


def _mixed(draw: Draw) -> str:
    return draw.choice((_word, _long, lambda d: str(d.randrange(99)), _odd))(draw)


def _odd(draw: Draw) -> str:
    return draw.choice(('say "no"', "two\nlines", "a,b", "<b>x</b>", "=1+1", "\U0001f642", " x "))


def _decimal(draw: Draw) -> decimal.Decimal:
    return decimal.Decimal(draw.randrange(-99_999, 99_999)).scaleb(-2)


def _moment(draw: Draw) -> dt.datetime:
    return EPOCH + dt.timedelta(draw.randrange(-9_000, 2_000), draw.randrange(86_400))


VALUES: dict[str, Callable[[Draw], Any]] = {
    "bool": lambda draw: draw.random() < 0.4,
    "small": lambda draw: draw.randrange(-120, 120),
    "natural": lambda draw: draw.randrange(250),
    "int": lambda draw: draw.choice((draw.randrange(-(10**6), 10**6), 2**31 - 1, -(2**31), 0)),
    "long": lambda draw: draw.choice((draw.randrange(10**6), 2**53 + 1, 2**63 - 1, -(2**63))),
    "huge": lambda draw: draw.choice((draw.randrange(10**6), 2**64 - 1, 0)),
    "float": lambda draw: draw.choice((round(draw.gauss(0, 50), 2), 0.0, -0.0, draw.random())),
    "wild": lambda draw: draw.choice((1e308, -1e308, 5e-324, 0.1, 1e16, draw.random())),
    "holed": lambda draw: draw.choice((float("nan"), float("inf"), draw.random())),
    "decimal": _decimal,
    "date": lambda draw: _moment(draw).date(),
    "stamp": _moment,
    "time": lambda draw: _moment(draw).time(),
    "span": lambda draw: dt.timedelta(seconds=draw.randrange(10**6)),
    "word": _word,
    "text": _long,
    "mixed": _mixed,
    "code": lambda draw: "".join(draw.choices(string.hexdigits, k=12)),
    "null": lambda _: None,
}


def _as(kind: pa.DataType) -> Callable[[Draw, list[Any]], pa.Array]:
    return lambda _, values: pa.array(values, kind)


def _encoded(kind: pa.DataType, index: pa.DataType) -> Callable[[Draw, list[Any]], pa.Array]:
    target = pa.dictionary(index, kind)
    return lambda _, values: pa.array(values, kind).dictionary_encode().cast(target)


def _bytes(kind: pa.DataType) -> Callable[[Draw, list[Any]], pa.Array]:
    def made(_: Draw, values: list[Any]) -> pa.Array:
        return pa.array([None if v is None else v.encode() for v in values], pa.binary()).cast(kind)

    return made


def _wide(kind: pa.DataType) -> Callable[[Draw, list[Any]], pa.Array]:
    return lambda _, values: pa.array(values, pa.float64()).cast(kind)


KINDS: dict[str, Callable[[Draw, list[Any]], pa.Array]] = {
    "bool": _as(pa.bool_()),
    "small int8": _as(pa.int8()),
    "int int32": _as(pa.int32()),
    "long int64": _as(pa.int64()),
    "small int16": _as(pa.int16()),
    "natural uint8": _as(pa.uint8()),
    "natural uint16": _as(pa.uint16()),
    "natural uint32": _as(pa.uint32()),
    "huge uint64": _as(pa.uint64()),
    "float float16": _wide(pa.float16()),
    "float float32": _as(pa.float32()),
    "float float64": _as(pa.float64()),
    "wild float64": _as(pa.float64()),
    "holed float64": _as(pa.float64()),
    "decimal 32": _as(pa.decimal32(9, 2)),
    "decimal 64": _as(pa.decimal64(18, 2)),
    "decimal 128": _as(pa.decimal128(38, 10)),
    "decimal 256": _as(pa.decimal256(60, 20)),
    "date 32": _as(pa.date32()),
    "date 64": _as(pa.date64()),
    **{
        f"stamp {unit} {zone}": _as(pa.timestamp(unit, zone))
        for unit in ("s", "ms", "us", "ns")
        for zone in (None, "UTC", "Europe/Berlin", "+02:00")
    },
    **{f"time {unit}": _as(pa.time32(unit)) for unit in ("s", "ms")},
    **{f"time {unit}": _as(pa.time64(unit)) for unit in ("us", "ns")},
    "span duration": _as(pa.duration("us")),
    "word string": _as(pa.string()),
    "text string": _as(pa.string()),
    "mixed string": _as(pa.string()),
    "code string": _as(pa.string()),
    "word large": _as(pa.large_string()),
    "text large": _as(pa.large_string()),
    "word view": _as(pa.string_view()),
    "text view": _as(pa.string_view()),
    "word dictionary8": _encoded(pa.string(), pa.int16()),
    "text dictionary": _encoded(pa.large_string(), pa.int32()),
    "int dictionary": _encoded(pa.int32(), pa.int32()),
    "date dictionary": _encoded(pa.date32(), pa.int32()),
    "word binary": _bytes(pa.binary()),
    "code large_binary": _bytes(pa.large_binary()),
    "null": _as(pa.null()),
}
TEXT_KINDS = {
    name: KINDS[name]
    for name in (
        "bool", "int int32", "long int64", "float float64", "decimal 128", "date 32",
        "stamp us None", "stamp us UTC", "time us", "word string", "text string", "mixed string",
        "code string", "null",
    )
}  # fmt: skip


# the files


def as_text(value: Any) -> str:
    """Return a value as a text file holds it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _csv(table: pa.Table, draw: Draw) -> tuple[bytes, dict[str, list[Any]]]:
    text = io.StringIO(newline="")
    quoting = draw.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(text, quoting=quoting, lineterminator="\n")
    writer.writerow(table.column_names)
    cells = {name: [as_text(v) for v in table[name].to_pylist()] for name in table.column_names}
    writer.writerows(zip(*cells.values(), strict=True))
    return text.getvalue().encode(), cells


def _jsonl(table: pa.Table, draw: Draw) -> tuple[bytes, dict[str, list[Any]]]:
    leaves_out = draw.random() < 0.3
    cells = {name: [_plain_json(v) for v in table[name].to_pylist()] for name in table.column_names}
    lines = []
    for number in range(table.num_rows):
        row = {name: column[number] for name, column in cells.items()}
        if leaves_out and number:
            row = {name: value for name, value in row.items() if value is not None}
        lines.append(json.dumps(row, ensure_ascii=draw.random() < 0.5))
    return "\n".join([*lines, ""]).encode(), cells


def _plain_json(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else as_text(value)


def _parquet(table: pa.Table, draw: Draw) -> tuple[bytes, dict[str, list[Any]]]:
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression=draw.choice(("none", "snappy", "zstd")),
        row_group_size=draw.choice((7, 1000)),
        write_page_checksum=draw.random() < 0.5,
        store_schema=draw.random() < 0.8,
    )
    return sink.getvalue(), {}


FORMS = {"parquet": _parquet, "csv": _csv, "jsonl": _jsonl}
