"""Faults of CSV text within its rows: bytes that are no UTF-8, NUL bytes, cells over the limit."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.base.limits import Limits
from provenance.readers.csv_rows import Rows
from provenance.rows.shard_parts import faults_of, whole
from provenance.rows.snapshot import HELD_SCHEMA

_ASCII = 0x80  # the first byte that is not


def cell_faults(
    table: pa.Table, ordinals: np.ndarray, limits: Limits, *, longest: int, has_nul: bool
) -> pa.Table:
    """Find the cells that hold their rows back although they are text.

    Args:
        table: string columns, shape (n, columns).
        ordinals: int64, shape (n,).
        limits: `max_field_bytes`.
        longest: bytes of the longest row, so that cells are only measured when one can be over.
        has_nul: whether there is a NUL byte anywhere.

    Returns:
        HELD_SCHEMA: I023 and I030.
    """
    found = [HELD_SCHEMA.empty_table()]
    most = limits.max_field_bytes
    for name in table.column_names if has_nul or longest > most else ():
        column = whole(table[name])
        over = pc.greater(pc.binary_length(column), most)
        nul = pc.match_substring(column, "\0")
        for code, mask, what in (
            ("I030", over, f"more than {most:,} bytes"),
            ("I023", nul, "a NUL byte"),
        ):
            is_bad = pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False)
            if is_bad.any():
                told = f"column {name!r} holds {what}"
                found.append(faults_of(ordinals[is_bad], code, name, told))
    return pa.concat_tables(found)


def not_utf8(block: bytes, rows: Rows, first: int) -> dict[int, str]:
    """Return the places of rows (from `first` on) that are not UTF-8, each with its reason.

    One pass where all is well; otherwise the rows that are not ASCII are decoded one by one.
    """
    found: dict[int, str] = {}
    starts, ends = rows.starts[first:], rows.ends[first:]
    if not len(starts) or _is_utf8(block, int(starts[0]), rows.used):
        return found
    odd = np.flatnonzero(np.frombuffer(block, np.uint8) >= _ASCII)
    counts = np.searchsorted(odd, ends) - np.searchsorted(odd, starts)
    for place in np.flatnonzero(counts).tolist():
        text = block[starts[place] : ends[place]]
        try:
            text.decode()
        except UnicodeDecodeError as error:
            byte = f"byte {error.start} of the row, 0x{text[error.start]:02X}"
            found[place] = f"ASSAY-I022: {byte}, is not UTF-8"
    return found


def _is_utf8(block: bytes, start: int, end: int) -> bool:
    ends = pa.py_buffer(np.array([0, end - start], np.int32))
    text = pa.py_buffer(block).slice(start, end - start)
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, ends, text]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
