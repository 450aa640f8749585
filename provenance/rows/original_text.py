"""Rows as read, beside the same rows typed, without writing down twice what is one and the same.

A text that a typed value prints as needs no file of its own: most texts, integers and dates. What
is written is only the rest, such as `1.50`, `2e1` or a word that stands for a missing value.
"""

import pyarrow as pa

from provenance.rows.shard_parts import whole
from provenance.rows.shards import ROW, read_table

_PRINTED = (pa.types.is_string, pa.types.is_integer, pa.types.is_date, pa.types.is_boolean)


def unprinted(read: pa.Table, typed: pa.Table) -> pa.Table:
    """Return the columns of texts that their typed values do not print as.

    Args:
        read: string columns, shape (n, columns).
        typed: the same rows and columns, cast.
    """
    names = [name for name in read.column_names if not _is_printed(read[name], typed[name])]
    return read.select(names)


def as_read(typed: pa.Table, raw: str) -> pa.Table:
    """Return the rows of a shard as they were read: string columns, in the shard's order.

    Args:
        typed: the shard's own columns, shape (n, columns).
        raw: file of what `unprinted` gave, and ROW.
    """
    kept = read_table(raw).drop_columns([ROW])
    columns = [
        whole(kept[name]) if name in kept.column_names else whole(typed[name]).cast(pa.string())
        for name in typed.column_names
    ]
    return pa.table(columns, names=typed.column_names)


def _is_printed(read: pa.ChunkedArray, typed: pa.ChunkedArray) -> bool:
    if read.null_count != typed.null_count or not any(test(typed.type) for test in _PRINTED):
        return False
    return bool(typed.cast(pa.string()).equals(read))
