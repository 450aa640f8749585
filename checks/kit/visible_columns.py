"""A dataset as checks see it: in its contract's types, whatever types its file has.

Parquet has a dozen ways to store the same column: dictionaries, large strings, half floats,
decimals, unsigned integers, columns of nulls only. The clean dataset and the records keep them; a
check sees one type per logical type, so that no check has to know them all. Columns of lists,
objects or bytes are apart from the flat ones, so that a check sees them only if it looks for them.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import hashing
from checks.kit.contract_model import Contract
from provenance.rows.column_types import ARROW
from provenance.rows.nested import flat_names
from provenance.rows.shards import Shard, ShardRef, read_shard


def read_seen(ref: ShardRef, contract: Contract) -> Shard:
    """Read a shard as checks see it."""
    return shard_seen(read_shard(ref), contract)


def shard_seen(shard: Shard, contract: Contract) -> Shard:
    """Return a shard with its table as checks see it."""
    table = table_seen(shard.table, contract)
    nested = nested_of(shard.table)
    return dataclasses.replace(shard, table=table, nested=nested, groups=groups_of(table, contract))


def groups_of(table: pa.Table, contract: Contract) -> np.ndarray | None:
    """Return one hash for each group of rows that belong together; see `Shard.groups`.

    Several columns of the role `group` name a group together. None without such a column.
    """
    names = [name for name in contract.used("group") if name in table.column_names]
    if not names:
        return None
    made, is_there = np.zeros(table.num_rows, np.uint64), np.ones(table.num_rows, bool)
    for number, name in enumerate(names):
        column = hashing.whole(table[name])
        made = hashing.mixed(made ^ hashing.value_hashes(column, number), number)
        is_there &= np.asarray(column.is_valid())
    return np.where(is_there, made | np.uint64(1), np.uint64(0))


def nested_of(table: pa.Table) -> pa.Table:
    """Return the columns of a table that are not flat, in their own types."""
    flat = set(flat_names(table.schema))
    return table.select([name for name in table.column_names if name not in flat])


def whole_seen(table: pa.Table, contract: Contract) -> pa.Table:
    """Return what `table_seen` does, and behind it the columns that are not flat."""
    seen, nested = table_seen(table, contract), nested_of(table)
    columns = dict(zip(seen.column_names, seen.columns, strict=True))
    return pa.table(columns | dict(zip(nested.column_names, nested.columns, strict=True)))


def table_seen(table: pa.Table, contract: Contract) -> pa.Table:
    """Return a table's flat columns in the types of its contract; unknown ones stay unchanged.

    Decimals become floats, times microseconds in UTC. Where the contract says number, integers stay
    integers, except unsigned 64-bit ones; where it says integer, ingest quarantined larger values.
    """
    logical = {column.name: column.spec.logical for column in contract.columns}
    flat = flat_names(table.schema)
    table = table if len(flat) == table.num_columns else table.select(flat)
    for place, field in enumerate(table.schema):
        kind = _seen(field.type, logical.get(field.name))
        if kind == field.type:
            continue
        column = table.column(place)
        if pa.types.is_dictionary(field.type):
            column = column.cast(field.type.value_type)
        table = table.set_column(place, field.with_type(kind), column.cast(kind, safe=False))
    return table


def _seen(kind: pa.DataType, logical: str | None) -> pa.DataType:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    if logical is None:
        return plain
    is_small = pa.types.is_integer(plain) and not pa.types.is_uint64(plain)
    return pa.int64() if is_small and logical == "number" else ARROW[logical]
