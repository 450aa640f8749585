"""Digests: SHA-256 of each row's canonical encoding.

A row's digest covers the schema (names, kinds, scale, time zone) and every cell, and nothing else:
it does not depend on the order of columns, the width of integers, the unit of times, dictionary
encoding, or the row's shard. Golden vectors in the tests pin the encoding; ALGORITHM names it.

Encoding of one row: SHA-256(fingerprint || null bits || fixed-width cells || u32 text lengths ||
text bytes), columns in UTF-8 order of their names, little endian, a null cell all zero. A nested
cell is a text: byte 1 and the values it holds, each encoded so that its end shows, null as byte 0.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.base.errors import AssayError
from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import as_list, is_list, sizes
from provenance.rows.shards import DIGEST_BYTES

ALGORITHM = "assay-row-1-sha256"
_STEP = 1 << 16  # rows encoded at once, which bounds memory in addition to the table itself
_STEP_BYTES = 32 << 20  # of rows with nested cells
_NANOS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_SECOND = _NANOS["s"]


def of_rows(table: pa.Table, prefix: bytes = b"") -> np.ndarray:
    """Digest each row of a table.

    Args:
        table: shape (n, columns).
        prefix: bytes to hash before each row, to separate other uses of the encoding.

    Returns:
        uint8, shape (n, 32), in the table's order.

    Raises:
        AssayError: ASSAY-I008 if the type of a column has no encoding.
    """
    order = sorted(table.column_names, key=lambda name: name.encode())
    table = table.select(order)
    base = hashlib.sha256(prefix + fingerprint(table.schema))
    parts: list[bytes] = []
    step = _step(table)
    for start in range(0, table.num_rows, step):
        parts += _hashed(base.copy, _encoded(table.slice(start, step).combine_chunks()))
    return np.frombuffer(b"".join(parts), np.uint8).reshape(-1, DIGEST_BYTES)


def order_free(digests: np.ndarray) -> str:
    """Return one digest of a multiset of row digests in hex, independent of their order.

    Args:
        digests: uint8, shape (n, 32).
    """
    words = np.ascontiguousarray(digests).view(">u8")
    order = np.lexsort(words.T[::-1])
    return hashlib.sha256(digests[order].tobytes()).hexdigest()


def fingerprint(schema: pa.Schema) -> bytes:
    """Return 32 bytes that differ between schemas whose rows must never share a digest."""
    text = [ALGORITHM, [[field.name, kind_of(field)] for field in _by_name(schema)]]
    return hashlib.sha256(json.dumps(text, ensure_ascii=False).encode()).digest()


def kind_of(field: pa.Field) -> Any:
    """Return the kind of a column's cells for the digest.

    Returns:
        A text; of a list (or map) `["list", KIND]`, of a struct `["struct", [[NAME, KIND], ...]]`.

    Raises:
        AssayError: ASSAY-I008 if the type has no encoding.
    """
    plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if is_list(plain):
        return ["list", kind_of(as_list(plain).value_field)]
    if pa.types.is_struct(plain):
        return ["struct", [[part.name, kind_of(part)] for part in _by_name(plain)]]
    for test, name in _KINDS:
        if test(plain):
            return name
    if pa.types.is_decimal(plain):
        return f"decimal:{plain.scale}"
    if pa.types.is_timestamp(plain):
        return f"timestamp:{plain.tz or ''}"
    raise AssayError(
        "I008",
        f"column {field.name!r} has the type {field.type}, which has no row digest",
        fix="flatten or drop the column before the run",
    )


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_uint64, "unsigned"),
    (pa.types.is_integer, "integer"),
    (pa.types.is_floating, "number"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (pa.types.is_duration, "duration"),
    (pa.types.is_string, "string"),
    (pa.types.is_large_string, "string"),
    (pa.types.is_string_view, "string"),
    (pa.types.is_binary, "binary"),
    (pa.types.is_large_binary, "binary"),
    (pa.types.is_fixed_size_binary, "binary"),
    (pa.types.is_binary_view, "binary"),
    (pa.types.is_null, "null"),
)


def _by_name(fields: Iterable[pa.Field]) -> list[pa.Field]:
    return sorted(fields, key=lambda field: field.name.encode())


def _step(table: pa.Table) -> int:
    """Return how many rows to encode at once: fewer where cells are nested and may be long."""
    if not table.num_rows or not any(pa.types.is_nested(field.type) for field in table.schema):
        return _STEP
    wide: int = max(1, table.nbytes // table.num_rows)
    return min(_STEP, max(1, _STEP_BYTES // wide))


def _hashed(new: Callable[[], "hashlib._Hash"], joined: pa.LargeBinaryArray) -> Iterator[bytes]:
    # a copied context costs half as much as a new one; hashlib takes one row at a time
    _, ends, data = joined.buffers()
    offsets = np.frombuffer(ends, np.int64)[joined.offset : joined.offset + len(joined) + 1]
    view = memoryview(data) if data is not None else memoryview(b"")
    for start, stop in pairwise(offsets.tolist()):
        row = new()
        row.update(view[start:stop])
        yield row.digest()


def _encoded(table: pa.Table) -> pa.LargeBinaryArray:
    nulls = np.zeros((table.num_rows, table.num_columns), bool)
    fixed: list[np.ndarray] = []
    lengths: list[np.ndarray] = []
    texts: list[pa.Array] = []
    for place, field in enumerate(table.schema):
        column = _plain(table.column(place))
        if column.null_count:
            nulls[:, place] = pc.is_null(column).to_numpy(zero_copy_only=False)
        kind = kind_of(field)
        if kind in ("string", "binary") or isinstance(kind, list):
            text = _nested(column, kind) if isinstance(kind, list) else column
            text = pc.fill_null(text.cast(pa.large_binary()), b"")
            lengths.append(pc.binary_length(text).to_numpy(zero_copy_only=False).astype("<u4"))
            texts.append(text)
        else:
            fixed += _FIXED[kind.partition(":")[0]](column)
    head = _head([np.packbits(nulls, axis=1), *fixed, *lengths], table.num_rows)
    return pc.binary_join_element_wise(head, *texts, pa.scalar(b"", pa.large_binary()))


def _nested(array: pa.Array, kind: Any) -> pa.Array:
    """Return each value of a nested column as bytes whose end shows, null as null.

    A list is its length and its items, a struct its parts by name, a text its length and bytes.
    """
    ones = np.ones(len(array), "u1")
    if kind in ("string", "binary"):
        text = pc.fill_null(array.cast(pa.large_binary()), b"")
        size = pc.binary_length(text).to_numpy(zero_copy_only=False).astype("<u4")
        made = [_head([ones, size], len(array)), text]
    elif isinstance(kind, str):
        made = [_head([ones, *_FIXED[kind.partition(":")[0]](array)], len(array))]
    elif kind[0] == "struct":
        parts = {field.name: array.flatten()[n] for n, field in enumerate(array.type)}
        cells = [_delimited(parts[name], inner) for name, inner in kind[1]]
        made = [_head([ones], len(array)), *cells]
    else:
        array = as_list(array)
        size = sizes(array)
        items = _grouped(_delimited(array.flatten(), kind[1]), size)
        made = [_head([ones, size.astype("<u4")], len(array)), items]
    joined = pc.binary_join_element_wise(*made, pa.scalar(b"", pa.large_binary()))
    if not array.null_count:
        return joined
    return pc.if_else(array.is_valid(), joined, pa.scalar(None, pa.large_binary()))


def _delimited(array: pa.Array, kind: Any) -> pa.Array:
    return pc.fill_null(_nested(_plain(pa.chunked_array([array])), kind), b"\0")


def _grouped(items: pa.Array, sizes: np.ndarray) -> pa.Array:
    """Join so many consecutive items for each list, without copying their bytes."""
    _, ends, data = items.buffers()
    offsets = np.frombuffer(ends, np.int64)[items.offset : items.offset + len(items) + 1]
    starts = offsets[np.r_[0, np.cumsum(sizes, dtype=np.int64)]]
    return pa.Array.from_buffers(pa.large_binary(), len(sizes), [None, pa.py_buffer(starts), data])


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = whole(column)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
        array = array.cast(pa.large_binary())
    return array


def _head(parts: list[np.ndarray], length: int) -> pa.Array:
    wide = [part if part.ndim > 1 else part.reshape(length, 1) for part in parts]
    kinds = [(f"f{place}", part.dtype, part.shape[1:]) for place, part in enumerate(wide)]
    packed = np.zeros(length, np.dtype(kinds))
    for place, part in enumerate(wide):
        packed[f"f{place}"] = part
    width = packed.dtype.itemsize
    ends = pa.py_buffer(np.arange(length + 1, dtype=np.int64) * width)
    return pa.Array.from_buffers(pa.large_binary(), length, [None, ends, pa.py_buffer(packed)])


def _ticks(column: pa.Array) -> list[np.ndarray]:
    ticks = _integers(column)
    nanos = _NANOS[column.type.unit]
    seconds, rest = np.divmod(ticks, _SECOND // nanos)
    return [seconds.astype("<i8"), (rest * nanos).astype("<u4")]


def _filled(column: pa.Array, null: float) -> np.ndarray:
    """Return the cells with `null` (0, 0.0 or False) in place of nulls."""
    filled = pc.fill_null(column, fill_value=null) if column.null_count else column
    cells: np.ndarray = filled.to_numpy(zero_copy_only=False)
    return cells


def _integers(column: pa.Array) -> np.ndarray:
    return _filled(column.cast(pa.int64()), 0).astype("<i8", copy=False)


def _floats(column: pa.Array) -> np.ndarray:
    values = _filled(column.cast(pa.float64()), 0.0).astype("<f8")
    values += 0.0  # -0.0 becomes 0.0
    values[np.isnan(values)] = np.nan  # one payload for every NaN
    return values


def _decimals(column: pa.Array) -> np.ndarray:
    wide = column.cast(pa.decimal256(76, column.type.scale))
    flat = np.frombuffer(wide.buffers()[1], "<u8")
    cells = flat[wide.offset * 4 : (wide.offset + len(wide)) * 4].reshape(-1, 4).copy()
    if wide.null_count:
        cells[pc.is_null(wide).to_numpy(zero_copy_only=False)] = 0
    return cells


_FIXED: dict[str, Callable[[pa.Array], list[np.ndarray]]] = {
    "null": lambda _: [],
    "boolean": lambda column: [_filled(column, null=False).view("u1")],
    "unsigned": lambda column: [_filled(column, 0).astype("<u8", copy=False)],
    "integer": lambda column: [_integers(column)],
    "number": lambda column: [_floats(column)],
    "decimal": lambda column: [_decimals(column)],
    "date": lambda column: [_integers(column.cast(pa.date32()).cast(pa.int32()))],
    "time": lambda column: [_integers(column.cast(pa.time64("ns")))],
    "duration": _ticks,
    "timestamp": _ticks,
}
