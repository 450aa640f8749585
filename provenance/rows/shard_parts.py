"""Parts: some rows of a source as read, and the same rows settled: cast, sorted by fate, counted.

A part is settled without reference to other parts, so parts can be settled in parallel.
"""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.base.limits import Limits
from provenance.rows.arrow_bytes import whole
from provenance.rows.cast import cast, describe, written_as_floats
from provenance.rows.column_types import ColumnSpec
from provenance.rows.lookalikes import Lookalikes
from provenance.rows.nested_cast import cast_nested
from provenance.rows.shards import ROW
from provenance.rows.snapshot import HELD_SCHEMA, REJECTED_SCHEMA


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a source, as read.

    Attributes:
        table: rows that could be split into cells, shape (n, columns).
        rows: int64, shape (n,), their ordinals.
        faults: HELD_SCHEMA, faults that the reader found in some of them.
        rejected: REJECTED_SCHEMA, rows that could not be split into cells.
    """

    table: pa.Table
    rows: np.ndarray
    faults: pa.Table
    rejected: pa.Table


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """A part whose rows are sorted by what happens to them.

    Attributes:
        typed: rows that could be cast.
        read: the same rows as read, with the same columns.
        rows: int64, shape (n,), their ordinals.
        held: all other rows as read, with ROW.
        faults: HELD_SCHEMA, why those rows are held, sorted by row.
        rejected: REJECTED_SCHEMA.
        lookalikes: counts of kept texts that look like something else.
    """

    typed: pa.Table
    read: pa.Table
    rows: np.ndarray
    held: pa.Table
    faults: pa.Table
    rejected: pa.Table
    lookalikes: Lookalikes


def settle(part: Part, specs: dict[str, ColumnSpec], *, is_text: bool) -> Settled:
    """Cast a part's texts and separate the rows that have a fault.

    Args:
        part: as read.
        specs: by column name; empty without a contract, in which case text stays text.
        is_text: whether the cells are texts that must be cast.
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
    looks = Lookalikes.of(typed)
    if is_text and specs:
        looks.floats.update(_floats(read, specs))
    return Settled(typed, read, rows, held, faults, part.rejected, looks)


def _floats(read: pa.Table, specs: dict[str, ColumnSpec]) -> dict[str, int]:
    """Return the number of cells in each integer column that are written like `12.0`."""
    names = [name for name in read.column_names if specs[name].logical == "integer"]
    return {name: written_as_floats(whole(read[name]), specs[name]) for name in names}


def cast_table(
    text: pa.Table, rows: np.ndarray, specs: dict[str, ColumnSpec]
) -> tuple[pa.Table, pa.Table]:
    """Cast all columns of text.

    Args:
        text: string columns, shape (n, columns).
        rows: int64, shape (n,), ordinals.
        specs: by column name, one for each column.

    Returns:
        The typed columns, null where a cell is bad; and the faults, HELD_SCHEMA, by column.
    """
    columns, faults = [], [HELD_SCHEMA.empty_table()]
    for name in text.column_names:
        column = whole(text[name])
        if specs[name].is_nested:
            made = cast_nested(column, specs[name])
            columns.append(made.typed)
            found = pa.table([pa.array(rows, pa.int64()), made.codes, made.paths, made.evidence],
                             schema=HELD_SCHEMA)  # fmt: skip
            faults.append(found.filter(made.codes.is_valid()))
            continue
        typed, codes = cast(column, specs[name])
        columns.append(typed)
        if codes.null_count < len(codes):
            bad = pc.is_valid(codes)
            evidence = describe(column.filter(bad), specs[name])
            at = rows[bad.to_numpy(zero_copy_only=False)]
            faults.append(faults_of(at, codes.filter(bad), name, evidence))
    return pa.table(columns, names=text.column_names), pa.concat_tables(faults)


def cell_faults(
    table: pa.Table, rows: np.ndarray, limits: Limits, *, longest: int, has_nul: bool
) -> pa.Table:
    """Find the text cells that are too large or contain a NUL byte.

    Args:
        table: string columns, shape (n, columns).
        rows: int64, shape (n,), ordinals.
        limits: `max_field_bytes`.
        longest: size of the longest row in bytes; cells are measured only if one can be too large.
        has_nul: whether the table contains a NUL byte at all.

    Returns:
        HELD_SCHEMA: I023 and I030.
    """
    found = [HELD_SCHEMA.empty_table()]
    most = limits.max_field_bytes
    for name in table.column_names if has_nul or longest > most else ():
        column = whole(table[name])
        over = pc.greater(pc.binary_length(column), most)
        found.append(masked_faults(rows, over, "I030", name, f"more than {most:,} bytes"))
        nul = pc.match_substring(column, "\0")
        found.append(masked_faults(rows, nul, "I023", name, "a NUL byte"))
    return pa.concat_tables(found)


def masked_faults(
    rows: np.ndarray, mask: pa.Array, code: str, column: str, content: str
) -> pa.Table:
    """Build faults (HELD_SCHEMA) of the rows where a boolean mask holds; null counts as false."""
    is_bad = pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False)
    return faults_of(rows[is_bad], code, column, f"column {column!r} contains {content}")


def faults_of(rows: np.ndarray, codes: pa.Array | str, column: str, evidence: object) -> pa.Table:
    """Build faults (HELD_SCHEMA) of one column; `codes` and `evidence` may be one for all rows."""
    count = len(rows)
    parts = [pa.array(rows, pa.int64())]
    given = (codes, column, evidence)
    parts += [pa.repeat(value, count) if isinstance(value, str) else value for value in given]
    return pa.table(parts, schema=HELD_SCHEMA)


def rejected_of(rows: list[int], raw: list[bytes], reasons: list[str]) -> pa.Table:
    """Build rejected rows (REJECTED_SCHEMA)."""
    return pa.table([rows, raw, reasons], schema=REJECTED_SCHEMA)


def with_rows(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Return a table with its rows' ordinals as a last column, ROW."""
    return table.append_column(ROW, pa.array(rows, pa.int64()))
