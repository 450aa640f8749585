"""Parts: some rows of a source as read, and the same settled: cast, told apart, looked at.

Settling a part needs nothing but the part, so parts may be settled side by side.
"""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.rows.cast import cast, describe
from provenance.rows.column_types import ColumnSpec
from provenance.rows.lookalikes import Looks
from provenance.rows.shards import ROW
from provenance.rows.snapshot import HELD_SCHEMA, REJECTED_SCHEMA


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a source, as read.

    Attributes:
        table: rows that could be told apart into cells, shape (n, columns).
        rows: int64, shape (n,), their ordinals.
        faults: HELD_SCHEMA, what is wrong with some of them already.
        rejected: REJECTED_SCHEMA, rows that could not be told apart into cells.
    """

    table: pa.Table
    rows: np.ndarray
    faults: pa.Table
    rejected: pa.Table


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """A part whose rows are sorted by what becomes of them.

    Attributes:
        typed: rows that could be cast; read: the same as read, with equal columns.
        rows: int64, shape (n,), their ordinals.
        held: the others as read, with ROW; faults: HELD_SCHEMA, why, by row.
        rejected: REJECTED_SCHEMA.
        looks: what the texts that are kept look like.
    """

    typed: pa.Table
    read: pa.Table
    rows: np.ndarray
    held: pa.Table
    faults: pa.Table
    rejected: pa.Table
    looks: Looks


def settle(part: Part, specs: dict[str, ColumnSpec], *, is_text: bool) -> Settled:
    """Cast a part's texts and set apart the rows that hold a fault.

    Args:
        part: as read.
        specs: by column name; none without a contract, then text stays text.
        is_text: whether the cells are texts that are to be cast.
    """
    typed, faults, read, rows = part.table, part.faults, part.table, part.rows
    if is_text and specs:
        typed, found = cast_table(part.table, part.rows, specs)
        faults = pa.concat_tables([faults, found])
    held = with_rows(read.slice(0, 0), rows[:0])
    if faults.num_rows:
        is_held = np.isin(rows, faults["row"].to_numpy())
        held = with_rows(read.filter(is_held), rows[is_held])
        faults = faults.sort_by([("row", "ascending")])
        typed, read, rows = typed.filter(~is_held), read.filter(~is_held), rows[~is_held]
    return Settled(typed, read, rows, held, faults, part.rejected, Looks.of(typed))


def cast_table(
    text: pa.Table, rows: np.ndarray, specs: dict[str, ColumnSpec]
) -> tuple[pa.Table, pa.Table]:
    """Cast all columns of text.

    Args:
        text: string columns, shape (n, columns).
        rows: int64, shape (n,), ordinals.
        specs: by column name; each column has one.

    Returns:
        The typed columns, null where a cell is bad; and the faults, HELD_SCHEMA, by column.
    """
    columns, faults = [], [HELD_SCHEMA.empty_table()]
    for name in text.column_names:
        column = whole(text[name])
        typed, codes = cast(column, specs[name])
        columns.append(typed)
        if codes.null_count < len(codes):
            bad = pc.is_valid(codes)
            evidence = describe(column.filter(bad), specs[name])
            at = rows[bad.to_numpy(zero_copy_only=False)]
            faults.append(faults_of(at, codes.filter(bad), name, evidence))
    return pa.table(columns, names=text.column_names), pa.concat_tables(faults)


def faults_of(rows: np.ndarray, codes: pa.Array | str, column: str, evidence: object) -> pa.Table:
    """Build faults (HELD_SCHEMA) of one column; code and evidence may be one for all rows."""
    count = len(rows)
    parts = [pa.array(rows, pa.int64())]
    given = (codes, column, evidence)
    parts += [pa.repeat(value, count) if isinstance(value, str) else value for value in given]
    return pa.table(parts, schema=HELD_SCHEMA)


def rejected_of(rows: list[int], raw: list[bytes], reasons: list[str]) -> pa.Table:
    """Build rejected rows (REJECTED_SCHEMA)."""
    return pa.table([rows, raw, reasons], schema=REJECTED_SCHEMA)


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    if column.num_chunks == 1:
        return column.chunk(0)  # which combine_chunks would copy
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


def with_rows(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Return a table with its rows' ordinals as a last column, ROW."""
    return table.append_column(ROW, pa.array(rows, pa.int64()))
