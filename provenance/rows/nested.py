"""Nested columns: structs, lists and maps, with the parts of their cells by path.

A path names a column and what lies in it: `messages[].content` is the content of each message.
A map counts as a list of structs of `key` and `value`, as Parquet stores it.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.rows.arrow_bytes import is_binary, whole
from provenance.rows.column_types import below

_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_map)


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """All values at one path.

    Attributes:
        path: such as `messages[].content`.
        values: shape (m,), those of all rows in order; values of a null struct are left out.
        owners: int64, shape (m,), index of the row that each value belongs to.
    """

    path: str
    values: pa.Array
    owners: np.ndarray


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type is that of a list of any kind, or of a map."""
    return any(test(kind) for test in _LISTS)


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a type is that of bytes, of any or of one length, which are not a text."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return is_binary(plain) or bool(pa.types.is_fixed_size_binary(plain))


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is that of texts."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_string(plain)
        or pa.types.is_large_string(plain)
        or pa.types.is_string_view(plain)
    )


def is_flat(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds one number, text, truth value or moment a cell."""
    return not (pa.types.is_nested(kind) or is_bytes(kind))


def flat_names(schema: pa.Schema) -> list[str]:
    """Return the flat columns, in order."""
    return [field.name for field in schema if is_flat(field.type)]


def as_list(given: pa.DataType | pa.Array) -> "pa.DataType | pa.Array":
    """Return a list of fixed size or a map, or the type of one, as a plain list."""
    if isinstance(given, pa.Array):
        kind = as_list(given.type)
        return given if kind == given.type else given.cast(kind)
    if pa.types.is_map(given):
        parts = [("key", given.key_type), ("value", given.item_type)]
        return pa.list_(pa.struct(parts))
    if pa.types.is_fixed_size_list(given):
        return pa.list_(given.value_field)
    return given


def column_of(path: str, names: Collection[str]) -> str | None:
    """Return which of the columns a path begins with, the longest; None if it begins with none."""
    ends = [len(path), *(at for at in range(len(path) - 1, 0, -1) if path[at] in ".[")]
    return next((path[:end] for end in ends if path[:end] in names), None)


def nodes(column: pa.ChunkedArray | pa.Array, path: str) -> Iterator[Node]:
    """Yield the values of a column by path, each nested one before its parts."""
    array = whole(column) if isinstance(column, pa.ChunkedArray) else column
    yield from _nodes(array, path, np.arange(len(array), dtype=np.int64))


def leaves(column: pa.ChunkedArray | pa.Array, path: str) -> Iterator[Node]:
    """Yield the values of a column that hold no others."""
    yield from (node for node in nodes(column, path) if not pa.types.is_nested(node.values.type))


def _nodes(array: pa.Array, path: str, owners: np.ndarray) -> Iterator[Node]:
    yield Node(path, array, owners)
    if pa.types.is_struct(array.type):
        if array.null_count:
            is_there = array.is_valid()
            array = array.filter(is_there)
            owners = owners[is_there.to_numpy(zero_copy_only=False)]
        for field, part in zip(array.type, array.flatten(), strict=True):
            yield from _nodes(part, below(path, field.name), owners)
    elif is_list(array.type):
        array = as_list(array)
        yield from _nodes(array.flatten(), f"{path}[]", np.repeat(owners, sizes(array)))


def sizes(array: pa.Array) -> np.ndarray:
    """Return the number of items of each list, int64, 0 for null."""
    counts = pc.fill_null(pc.list_value_length(as_list(array)), 0)
    return np.asarray(counts.to_numpy(zero_copy_only=False), np.int64)


def owners_of(cells: pa.Array) -> np.ndarray:
    """Return the place of the list that each item belongs to, int64."""
    return np.repeat(np.arange(len(cells)), sizes(cells))


def rows_with(cells: pa.Array, items: np.ndarray) -> np.ndarray:
    """Return which lists hold one of the chosen items: bool, shape (n,).

    Args:
        cells: lists, shape (n,).
        items: bool, one for each item of all lists joined.
    """
    found = np.zeros(len(cells), bool)
    found[owners_of(cells)[items]] = True
    return found


def repeats(cells: pa.Array) -> np.ndarray:
    """Return which lists hold an item twice: bool, shape (n,).

    Two nulls are equal, and so are two NaN. A missing list holds none.
    """
    cells = as_list(cells)
    items = cells.flatten()
    if pa.types.is_nested(items.type):
        items = pa.array(map(repr, items.to_pylist()), pa.string())
    codes = (items if pa.types.is_dictionary(items.type) else items.dictionary_encode()).indices
    values = pc.fill_null(codes, -1).to_numpy(zero_copy_only=False)
    owners = owners_of(cells)
    order = np.lexsort((values, owners))
    same = (np.diff(owners[order]) == 0) & (np.diff(values[order]) == 0)
    found = np.zeros(len(cells), bool)
    found[owners[order][1:][same]] = True
    return found


def replaced(
    array: pa.Array,
    path: str,
    change: Callable[[pa.Array, str], pa.Array],
    kind: pa.DataType | None = None,
) -> pa.Array:
    """Return a column whose leaves were changed.

    Args:
        array: any type.
        path: the column's name.
        change: from the values of a leaf, and its path, to as many values.
        kind: the type of the result; by default the column's own. It is nested in the same way.
    """
    kind = array.type if kind is None else kind
    if pa.types.is_struct(kind):
        parts = [
            replaced(array.field(n), below(path, field.name), change, field.type)
            for n, field in enumerate(kind)
        ]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=array.is_null())
    if not is_list(kind):
        return change(array, path)
    plain = as_list(array)
    ends = np.r_[0, np.cumsum(sizes(plain))]
    items = replaced(plain.flatten(), f"{path}[]", change, as_list(kind).value_type)
    if pa.types.is_map(kind):
        offsets = pa.array(ends, pa.int32(), mask=_gaps(array))
        return pa.MapArray.from_arrays(offsets, items.field(0), items.field(1), kind)
    if pa.types.is_large_list(kind):
        offsets = pa.array(ends, pa.int64(), mask=_gaps(array))
        return pa.LargeListArray.from_arrays(offsets, items, kind)
    offsets = pa.array(ends, pa.int32(), mask=_gaps(array))
    return pa.ListArray.from_arrays(offsets, items, as_list(kind)).cast(kind)


def _gaps(array: pa.Array) -> np.ndarray:
    """Return which offsets are null because their list is; the last one never is."""
    return np.append(array.is_null().to_numpy(zero_copy_only=False), [False])
