"""Parquet that is changed where it counts: footer, pages, lengths; and odd tables written well."""

import datetime as dt
import decimal
import io
import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing.mutation import mutated

_ENDS = 8  # bytes of the footer's length and the mark behind it
_TEXTS = ["", "NA", "x" * 70, "two\nlines", "nul\0", "\U0001f642", "7", "-1", "\u202e"]
_ENCODINGS = ("PLAIN", "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY",
              "BYTE_STREAM_SPLIT")  # fmt: skip


def changed(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Return a Parquet file with a change in one of its parts, or another one altogether."""
    how = draw.randrange(8)
    if how < 2:
        return written(draw)
    if how == 2:
        data = written(draw)
    size = int.from_bytes(data[-_ENDS:-4], "little")
    if not 0 < size <= len(data) - _ENDS - 4:
        return mutated(draw, data, (), other)
    pages, footer = data[: -_ENDS - size], data[-_ENDS - size : -_ENDS]
    if how < 6:
        footer = mutated(draw, footer, (), other)
    else:
        pages = mutated(draw, pages, (), other)
    return pages + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def written(draw: random.Random) -> bytes:
    """Return a table of odd types, in whatever form the writer knows."""
    rows = draw.choice((0, 1, 2, 9, 70))
    names = draw.sample(["a", "b", "c", "d", "id", "note", "x.y", "\xe9", "A"], draw.randint(1, 5))
    columns = [_column(draw, rows) for _ in names]
    if draw.random() < 0.1:
        names[-1] = names[0]
    made = pa.table(columns, names=names)
    for options in (_options(draw), {"write_page_checksum": draw.random() < 0.5}):
        sink = io.BytesIO()
        try:
            pq.write_table(made, sink, **options)
        except (pa.ArrowException, OSError, ValueError):
            continue  # the writer knows no such form for these types
        return sink.getvalue()
    return b"PAR1"


def _options(draw: random.Random) -> dict[str, Any]:
    options: dict[str, Any] = {
        "compression": draw.choice(("none", "snappy", "gzip", "zstd", "lz4", "brotli")),
        "use_dictionary": draw.random() < 0.5,
        "data_page_version": draw.choice(("1.0", "2.0")),
        "version": draw.choice(("1.0", "2.4", "2.6")),
        "row_group_size": draw.choice((1, 7, 1000)),
        "data_page_size": draw.choice((16, 1 << 20)),
        "write_statistics": draw.random() < 0.5,
        "write_page_checksum": draw.random() < 0.5,
        "write_page_index": draw.random() < 0.3,
        "store_schema": draw.random() < 0.7,
    }
    if not options["use_dictionary"] and draw.random() < 0.4:
        options["column_encoding"] = draw.choice(_ENCODINGS)
    return options


def _column(draw: random.Random, rows: int) -> pa.Array:
    kind, make = draw.choice(_KINDS)
    gap = draw.choice((0.0, 0.2, 1.0))
    values = [None if draw.random() < gap else make(draw) for _ in range(rows)]
    column = pa.array(values, kind)
    flat = not pa.types.is_nested(kind) and not pa.types.is_null(kind)
    return column.dictionary_encode() if flat and draw.random() < 0.2 else column


def _when(draw: random.Random) -> dt.datetime:
    return dt.datetime(1970, 1, 1) + dt.timedelta(seconds=draw.randint(-(10**9), 10**9))  # noqa: DTZ001


def _whole(bits: int, *, signed: bool = True) -> Callable[[random.Random], int]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return lambda draw: draw.choice((low, high, 0, 1, draw.randint(low, high)))


def _real(draw: random.Random) -> float:
    return draw.choice((0.0, -0.0, float("nan"), float("inf"), 5e-324, draw.gauss(0, 9)))


def _text(draw: random.Random) -> str:
    return draw.choice(_TEXTS)


_KINDS: list[tuple[pa.DataType, Callable[[random.Random], Any]]] = [
    *((pa.int8(), _whole(8)), (pa.int64(), _whole(64)), (pa.uint32(), _whole(32, signed=False))),
    *((pa.uint64(), _whole(64, signed=False)), (pa.float32(), lambda draw: draw.gauss(0, 9))),
    *((pa.float64(), _real), (pa.bool_(), lambda draw: draw.random() < 0.5), (pa.string(), _text)),
    *((pa.large_string(), _text), (pa.string_view(), _text), (pa.null(), lambda _: None)),
    *((pa.binary(), lambda draw: draw.randbytes(5)), (pa.binary(3), lambda d: d.randbytes(3))),
    (pa.large_binary(), lambda draw: draw.randbytes(draw.randrange(9))),
    (pa.decimal128(9, 2), lambda draw: decimal.Decimal(draw.randint(-999, 999)) / 100),
    (pa.decimal256(60, 3), lambda draw: decimal.Decimal(draw.randint(-999, 999)) / 1000),
    *((pa.date32(), lambda d: _when(d).date()), (pa.date64(), lambda d: _when(d).date())),
    *((pa.timestamp("ns"), _when), (pa.timestamp("ms", "Europe/Oslo"), _when)),
    (pa.timestamp("us", "UTC"), _when),
    *((pa.time32("s"), lambda d: _when(d).time()), (pa.time64("ns"), lambda d: _when(d).time())),
    (pa.duration("us"), lambda draw: dt.timedelta(seconds=draw.randint(0, 9))),
    (pa.list_(pa.int64()), lambda draw: [1] * draw.randrange(3)),
    (pa.struct([("a", pa.int64())]), lambda _: {"a": 1}),
    (pa.map_(pa.string(), pa.int64()), lambda _: [("k", 1)]),
]
