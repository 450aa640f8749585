"""Parquet written byte by byte: forms that no writer at hand knows, and pages that lie.

One column of one page and one row group: enough for old lists of two levels, for every logical
type, and for sizes and checksums that do not fit.
"""

import itertools
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

REQUIRED, OPTIONAL, REPEATED = range(3)
BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE, BYTES, FIXED = range(8)
UTF8, MAP, _, LIST, ENUM, DECIMAL = range(6)
JSON, BSON, INTERVAL = 19, 20, 21
_ROOT: dict[int, Any] = {4: b"schema"}
CODECS = {"": 0, "snappy": 1, "gzip": 2, "brotli": 4, "zstd": 6}
_PACK = {INT32: "<i", INT64: "<q", FLOAT: "<f", DOUBLE: "<d"}


class Long(int):
    """A number of 64 bits; plain numbers have 32."""


def node(name: str, repetition: int, **facts: Any) -> dict[int, Any]:
    """Return an element of a schema: `kind`, `length`, `children`, `converted`, ..."""
    places = {"kind": 1, "length": 2, "children": 5, "converted": 6, "scale": 7, "precision": 8}
    given = {places[key]: value for key, value in facts.items()}
    return dict(sorted({3: repetition, 4: name.encode(), **given}.items()))


def save(  # what a page says of itself, one argument each
    path: Path,
    schema: Sequence[dict[int, Any]],
    values: Iterable[Any],
    *,
    rows: int,
    levels: tuple[Sequence[int], Sequence[int]] = ((), ()),
    checksum: int | None = None,
    page_size: int | None = None,
    declared: int | None = None,
    codec: str = "",
    pairs: dict[str, str] | None = None,
) -> None:
    """Write one column in plain encoding.

    Args:
        path: of the file.
        schema: from the column's outermost element to its leaf.
        values: those that are there.
        rows: of the file.
        levels: of repetition and of definition, for each value or null; empty where always 0.
        checksum: of the page, None for the right one.
        page_size: what the page says that it has, unpacked.
        declared: how many values the page says that it has.
        codec: of the page; not compressed if empty.
        pairs: metadata of the file.
    """
    leaf, values = schema[-1], list(values)
    body = b"".join(map(_levels, levels)) + b"".join(_plain(leaf, value) for value in values)
    count = max(len(levels[1]), len(values)) if declared is None else declared
    page_size = len(body) if page_size is None else page_size
    if codec:
        body = pa.compress(body, codec, asbytes=True)
    crc = zlib.crc32(body) if checksum is None else checksum
    crc -= (crc >> 31) << 32  # as a signed number
    data = {1: count, 2: 0, 3: 3, 4: 3}
    page = _thrift({1: 0, 2: page_size, 3: len(body), 4: crc, 5: data})
    names = [element[4] for element in schema]
    size = Long(len(page) + len(body))
    sizes = {5: Long(count), 6: size, 7: size, 9: Long(4)}
    chunk = {1: leaf[1], 2: [0, 3], 3: names, 4: CODECS[codec], **sizes}
    group = {1: [{2: Long(4), 3: chunk}], 2: size, 3: Long(rows)}
    meta = {1: 2, 2: [_ROOT | {5: 1}, *schema], 3: Long(rows), 4: [group]}
    if pairs:
        meta[5] = [{1: key.encode(), 2: value.encode()} for key, value in pairs.items()]
    _save(path, page + body, meta)


def save_without_columns(path: Path, rows: int) -> None:
    """Write a file that has rows, but no column."""
    group = {1: [], 2: Long(0), 3: Long(rows)}
    _save(path, b"", {1: 2, 2: [_ROOT | {5: 0}], 3: Long(rows), 4: [group]})


def _save(path: Path, pages: bytes, meta: dict[int, Any]) -> None:
    footer = _thrift(meta)
    path.write_bytes(b"PAR1" + pages + footer + struct.pack("<I", len(footer)) + b"PAR1")


def _plain(leaf: dict[int, Any], value: Any) -> bytes:
    if leaf[1] == BYTES:
        return struct.pack("<I", len(value)) + value
    return value if leaf[1] in (FIXED, INT96) else struct.pack(_PACK[leaf[1]], value)


def _levels(levels: Sequence[int]) -> bytes:
    if not levels:
        return b""
    runs = b"".join(_varint(len(list(run)) << 1) + bytes([level])
                    for level, run in itertools.groupby(levels))  # fmt: skip
    return struct.pack("<I", len(runs)) + runs


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


def _thrift(fields: dict[int, Any]) -> bytes:
    """Return a struct in Thrift's compact protocol."""
    made, last = b"", 0
    for number, value in fields.items():
        kind = _kind(value)
        made += bytes([(number - last) << 4 | kind]) + _value(value, kind)
        last = number
    return made + b"\0"


def _kind(value: Any) -> int:
    if isinstance(value, int):
        return 6 if isinstance(value, Long) else 5
    return 8 if isinstance(value, bytes) else 9 if isinstance(value, list) else 12


def _value(value: Any, kind: int) -> bytes:
    if kind in (5, 6):
        return _varint(value << 1 if value >= 0 else (-value << 1) - 1)
    if kind == 8:
        return _varint(len(value)) + value
    if kind == 12:
        return _thrift(value)
    inner = _kind(value[0]) if value else 12
    size = bytes([len(value) << 4 | inner]) if len(value) < 15 else b"\xf0" + _varint(len(value))
    return size + b"".join(_value(item, inner) for item in value)
