"""The columns of shaped tables: flat and nested kinds, and how their values are drawn."""

import datetime as dt
import decimal
import random
import string
from collections.abc import Callable
from typing import Any

import pyarrow as pa

WORDS = ("red", "blue", "green", "Oslo", "Rio", "Ann", "Bob", "x", "NA", "-", "007", "", "Ω", "a b")
LONG = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "of", "last", "year")
EPOCH = dt.datetime(2020, 1, 1)  # noqa: DTZ001
Draw = random.Random


def values(draw: Draw, kind: str, flavour: str, gap: float, rows: int) -> list[Any]:
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


def _some(draw: Draw, make: Callable[[Draw], Any], most: int = 4) -> list[Any]:
    """Return a list, at times empty, at times with a null in it."""
    made = [make(draw) for _ in range(draw.randint(0, most))]
    return [None if draw.random() < 0.1 else item for item in made]


def _turns(draw: Draw) -> list[Any]:
    speakers = ("user", "assistant") * 2 if draw.random() < 0.8 else ("system", "tool", "user")
    turns = [{"role": who, "content": _mixed(draw)} for who in speakers[: draw.randint(1, 4)]]
    return turns if draw.random() < 0.9 else [*turns, None, {"role": None, "content": None}]


def _record(draw: Draw) -> dict[str, Any]:
    inner = {"deep": _some(draw, _word, 2)} if draw.random() < 0.8 else None
    return {"a": _word(draw), "b.c": None, "n": draw.randrange(99), "o": inner}


def _mark(draw: Draw) -> dict[str, Any]:
    start = draw.randrange(20)
    return {"start": start, "end": start + draw.randrange(9), "label": _word(draw)}


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
    "turns": _turns,
    "vector": lambda draw: [round(draw.gauss(0, 1), 3) for _ in range(3)],
    "vectors": lambda draw: _some(draw, lambda d: d.choice((d.random(), -0.0, 1e308)), 3),
    "holes": lambda draw: _some(draw, lambda d: d.choice((float("nan"), d.random())), 3),
    "tokens": lambda draw: _some(draw, _word),
    "codes": lambda draw: _some(draw, lambda d: d.choice((d.randrange(9), 2**53 + 1))),
    "marks": lambda draw: _some(draw, _mark, 2),
    "record": _record,
    "records": lambda draw: _some(draw, _record, 2),
    "pairs": lambda draw: [(f"k{n}", _word(draw) or None) for n in range(draw.randrange(3))],
    "numbered": lambda draw: [(n, _some(draw, _word, 2)) for n in range(draw.randrange(3))],
    "lists": lambda draw: _some(draw, lambda d: _some(d, _word, 2), 3),
    "moments": lambda draw: _some(draw, _moment),
    "sums": lambda draw: _some(draw, _decimal),
    "flags": lambda draw: _some(draw, lambda d: d.random() < 0.5),
    "bytes": lambda draw: _some(draw, lambda d: bytes([d.randrange(256), 0, 255])),
    "spans": lambda draw: _some(draw, lambda d: dt.timedelta(d.randrange(9))),
    "nothing": lambda draw: [None] * draw.randrange(3),
}


def _as(kind: pa.DataType) -> Callable[[Draw, list[Any]], pa.Array]:
    return lambda _, values: pa.array(values, kind)


def _encoded(kind: pa.DataType, index: pa.DataType) -> Callable[[Draw, list[Any]], pa.Array]:
    target = pa.dictionary(index, kind)
    return lambda _, values: pa.array(values, kind).dictionary_encode().cast(target)


def _bytes(kind: pa.DataType) -> Callable[[Draw, list[Any]], pa.Array]:
    def made(_: Draw, values: list[Any]) -> pa.Array:
        raw = [None if v is None else v.encode() for v in values]
        if pa.types.is_fixed_size_binary(kind):
            raw = [v and v[-kind.byte_width :].rjust(kind.byte_width) for v in raw]
        return pa.array(raw, pa.binary()).cast(kind)

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
    "code binary_view": _bytes(pa.binary_view()),
    "code fixed": _bytes(pa.binary(12)),
    "small dictionary uint8": _encoded(pa.int64(), pa.uint8()),
    "null": _as(pa.null()),
}
_TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
_MARK = pa.struct([("start", pa.int64()), ("end", pa.int32()), ("label", pa.string())])
_RECORD = pa.struct([("a", pa.string()), ("b.c", pa.null()), ("n", pa.int16()),
                     ("o", pa.struct([("deep", pa.list_(pa.string()))]))])  # fmt: skip
NESTED: dict[str, Callable[[Draw, list[Any]], pa.Array]] = {
    "turns list": _as(pa.list_(_TURN)),
    "turns large": _as(pa.large_list(_TURN)),
    "vector list": _as(pa.list_(pa.float32())),
    "vector fixed": _as(pa.list_(pa.float64(), 3)),
    "vector half": _as(pa.list_(pa.float16())),
    "vectors list": _as(pa.list_(pa.float64())),
    "holes list": _as(pa.list_(pa.float64())),
    "tokens list": _as(pa.list_(pa.string())),
    "tokens large": _as(pa.large_list(pa.large_string())),
    "tokens view": _as(pa.list_(pa.string_view())),
    "tokens dictionary": _as(pa.list_(pa.dictionary(pa.int32(), pa.string()))),
    "codes list": _as(pa.list_(pa.int64())),
    "codes unsigned": _as(pa.large_list(pa.uint64())),
    "marks list": _as(pa.list_(_MARK)),
    "record struct": _as(_RECORD),
    "records list": _as(pa.list_(_RECORD)),
    "pairs map": _as(pa.map_(pa.string(), pa.string())),
    "pairs large map": _as(pa.map_(pa.large_string(), pa.string_view())),
    "numbered map": _as(pa.map_(pa.int32(), pa.list_(pa.string()))),
    "lists list": _as(pa.list_(pa.list_(pa.string()))),
    "moments list": _as(pa.list_(pa.timestamp("us", "UTC"))),
    "sums list": _as(pa.list_(pa.decimal128(12, 2))),
    "flags list": _as(pa.list_(pa.bool_())),
    "bytes list": _as(pa.list_(pa.binary())),
    "spans list": _as(pa.list_(pa.duration("s"))),
    "nothing list": _as(pa.list_(pa.null())),
}
JSON_NESTED = {
    kind: NESTED[kind]
    for kind in (
        "turns list", "vector list", "vectors list", "tokens list", "codes list", "marks list",
        "record struct", "records list", "lists list", "flags list", "nothing list",
    )
}  # fmt: skip
TEXT_KINDS = {
    name: KINDS[name]
    for name in (
        "bool", "int int32", "long int64", "float float64", "decimal 128", "date 32",
        "stamp us None", "stamp us UTC", "time us", "word string", "text string", "mixed string",
        "code string", "null",
    )
}  # fmt: skip
