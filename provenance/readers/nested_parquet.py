"""Nested columns of Parquet: their types against the contract, and the faults of their leaves."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.rows.arrow_bytes import whole
from provenance.rows.column_types import MAP, ColumnSpec, below
from provenance.rows.nested import Node, as_list, is_list, is_text, leaves, sizes
from provenance.rows.shard_parts import faults_of
from provenance.rows.snapshot import HELD_SCHEMA

Fits = Callable[[pa.DataType, ColumnSpec | None], bool]
_MOST = (1 << 63) - 1


def misfit(field: pa.Field, spec: ColumnSpec | None, fits: Fits, limits: Limits) -> str:
    """Return how the type of a nested column disagrees with the contract; empty if it does not.

    Args:
        field: a column of the file.
        spec: what the contract says, None without one.
        fits: whether the type of a leaf fits what the contract says of it.
        limits: on the depth.
    """
    if _is_deeper(field.type, limits.max_depth):
        return f"column {field.name!r} is nested deeper than {limits.max_depth} levels"
    return next(_misfits(field.type, spec, field.name, fits), "")


def _is_deeper(kind: pa.DataType, most: int) -> bool:
    """Return whether a type has more levels of lists and structs; looks no deeper than that."""
    if is_list(kind):
        inner = [as_list(kind).value_type]
    elif pa.types.is_struct(kind):
        inner = [field.type for field in kind]
    else:
        return False
    return most == 0 or any(_is_deeper(part, most - 1) for part in inner)


def _misfits(kind: pa.DataType, spec: ColumnSpec | None, path: str, fits: Fits) -> Iterator[str]:
    if spec is not None and spec.arrow == MAP:
        if kind != MAP:
            yield f"{path!r} is no map of texts, but the contract names no properties of it"
    elif is_list(kind):
        if spec is not None and spec.logical != "array":
            yield f"{path!r} is a list, but the contract says {spec.logical}"
        else:
            items = spec.items if spec else None
            yield from _misfits(as_list(kind).value_type, items, f"{path}[]", fits)
    elif pa.types.is_struct(kind):
        yield from _struct_misfits(kind, spec, path, fits)
    elif spec is not None and spec.is_nested and not pa.types.is_null(kind):
        yield f"{path!r} is not nested, but the contract says {spec.logical}"
    elif not fits(kind, spec):
        wish = f", but the contract says {spec.logical}" if spec else ""
        yield f"{path!r} is {kind}{wish}"


def _struct_misfits(
    kind: pa.StructType, spec: ColumnSpec | None, path: str, fits: Fits
) -> Iterator[str]:
    names = [field.name for field in kind]
    if not names or "" in names or len(set(names)) < len(names):
        yield f"{path!r} has no parts, or parts without names of their own"
        return
    if spec is not None and spec.logical != "object":
        yield f"{path!r} is an object, but the contract says {spec.logical}"
        return
    parts = {part.name: part for part in spec.properties} if spec else {}
    if spec and (differing := len(set(names) ^ parts.keys())):
        yield f"{differing} parts of {path!r} are not both in the file and in the contract"
        return
    for field in kind:
        yield from _misfits(field.type, parts.get(field.name), below(path, field.name), fits)


def refuse_items(table: pa.Table, first_row: int, limits: Limits) -> None:
    """Refuse a cell with more values than the limit (ASSAY-I006)."""
    for field in table.schema:
        if not pa.types.is_nested(field.type):
            continue
        total = _inside(whole(table[field.name]))
        if total.max(initial=0) > limits.max_items:
            row = first_row + int(total.argmax())
            what = f"row {row:,}: column {field.name!r} has a cell of {total.max():,} values, "
            what += f"more than {limits.max_items:,}"
            raise AssayError("I006", what, fix="raise assay.limits.max_items")


def _inside(cells: pa.Array) -> np.ndarray:
    """Return the number of values in each cell, at all levels: int64, shape (n,).

    The innermost values are not touched, which may be very many.
    """
    if pa.types.is_struct(cells.type):
        total: np.ndarray = np.asarray(cells.is_valid()) * np.int64(cells.type.num_fields)
        for part in cells.flatten():
            total = total + _inside(part)
        return total
    if not is_list(cells.type):
        return np.zeros(len(cells), np.int64)
    plain, counts = as_list(cells), sizes(cells)
    if not pa.types.is_nested(plain.type.value_type):
        return counts
    ends = np.r_[0, np.cumsum(counts)]
    sums = np.r_[0, np.cumsum(_inside(plain.flatten()))]
    return np.asarray(counts + sums[ends[1:]] - sums[ends[:-1]])


def leaf_faults(
    table: pa.Table, rows: np.ndarray, specs: dict[str, ColumnSpec], limits: Limits
) -> pa.Table:
    """Find the rows of nested columns with a value that no flat cell may have.

    Args:
        table: nested columns only, shape (n, columns).
        rows: int64, shape (n,), ordinals.
        specs: by column.
        limits: `max_field_bytes`.

    Returns:
        HELD_SCHEMA: V001, V002, I023, I030 and I034.
    """
    found = [HELD_SCHEMA.empty_table()]
    for name in table.column_names:
        integers = set(_integers(specs[name], name))
        for leaf in leaves(whole(table[name]), name):
            for code, content, mask in _masks(leaf, limits, is_integer=leaf.path in integers):
                is_bad = pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False)
                if is_bad.any():
                    at = rows[np.unique(leaf.owners[is_bad])]
                    evidence = pa.array([f"{leaf.path} contains {content}"] * len(at))
                    found.append(faults_of(at, code, leaf.path, evidence))
    return pa.concat_tables(found)


def _masks(leaf: Node, limits: Limits, *, is_integer: bool) -> Iterator[tuple[str, str, pa.Array]]:
    values = leaf.values
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        nan = "NaN (not a number, which is not the same as a missing value)"
        yield "V001", nan, pc.is_nan(values)
        yield "V002", "an infinity", pc.is_inf(values)
    elif is_integer and pa.types.is_uint64(values.type):
        over = pc.greater(values, pa.scalar(_MOST, pa.uint64()))
        yield "I034", "a number that is too large, but the contract says integer", over
    elif is_text(values.type):
        most = limits.max_field_bytes
        yield "I030", f"more than {most:,} bytes", pc.greater(pc.binary_length(values), most)
        yield "I023", "a NUL byte", pc.match_substring(values, "\0")


def _integers(spec: ColumnSpec, path: str) -> Iterator[str]:
    if spec.logical == "integer":
        yield path
    if spec.items:
        yield from _integers(spec.items, f"{path}[]")
    for part in spec.properties:
        yield from _integers(part, below(path, part.name))
