"""One block of CSV text as a part: which of its rows are rows, and their cells as text.

Where every quote lies at the edge of a cell, no row is blank or spread over lines and all of it is
UTF-8, Arrow's reader alone is asked; it refuses a row with another number of cells. Only where it
does, or where the block is not so plain, are the cells of each row counted here as well; rows that
cannot be told apart are then rejected with their bytes, and Arrow's count of the others must agree.
Nothing here is shared, so blocks may be read side by side.
"""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.readers.csv_dialect import Dialect
from provenance.readers.csv_rows import Rows
from provenance.readers.csv_swallowed_rows import swallowed
from provenance.readers.text_faults import cell_faults, not_utf8
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shard_parts import Part, rejected_of
from provenance.rows.snapshot import REJECTED_SCHEMA


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """What a text is read by: its name and header, the contract's columns, limits, dialect."""

    name: str
    columns: list[str]
    specs: tuple[ColumnSpec, ...] | None
    limits: Limits
    dialect: Dialect


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """Rows of a text that belong together.

    Attributes:
        rows: all that were found; first: the place of the first that is no header.
        is_row: bool, shape (n,), from `first` on: whether it is a row and not a blank line.
        ordinal: of the first row.
    """

    rows: Rows
    first: int
    is_row: np.ndarray
    ordinal: int


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """A part, and how many of the block's rows had how many cells too many or too few."""

    part: Part
    rows: int
    ragged: int = 0
    widths: frozenset[int] = frozenset()


def read_block(form: Form, block: Block) -> Taken:
    """Read a block.

    Raises:
        AssayError: ASSAY-I025 if two readings of the text disagree.
    """
    table = _plainly(form, block)
    if table is None:
        return _row_by_row(form, block)
    ordinals = np.arange(block.ordinal, block.ordinal + table.num_rows, dtype=np.int64)
    faults = _faults(form, block, table, ordinals)
    return Taken(Part(table, ordinals, faults, REJECTED_SCHEMA.empty_table()), table.num_rows)


def _plainly(form: Form, block: Block) -> pa.Table | None:
    """Return the cells of a block in which nothing needs a closer look; None if something does."""
    rows, first = block.rows, block.first
    is_plain = rows.is_plain and block.is_row.all() and (rows.lines[first:] == 1).all()
    if not is_plain or not len(block.is_row) or not_utf8(rows.block, rows, first):
        return None
    try:
        data = memoryview(rows.block)[rows.starts[first] : rows.used]
        table = _cells(form, data, is_bare=rows.ends_bare)
    except pa.ArrowInvalid:
        return None
    return table if table.num_rows == len(block.is_row) else None


def _faults(form: Form, block: Block, table: pa.Table, ordinals: np.ndarray) -> pa.Table:
    rows = block.rows
    longest = int((rows.ends[block.first :] - rows.starts[block.first :]).max(initial=0))
    has_nul = b"\0" in rows.block
    return cell_faults(table, ordinals, form.limits, longest=longest, has_nul=has_nul)


def _row_by_row(form: Form, block: Block) -> Taken:
    rows, first, is_row = block.rows, block.first, block.is_row
    cells = rows.cells[first:]
    is_ragged = (cells != len(form.columns)) & is_row
    refused = _refused(form, block, np.flatnonzero(is_ragged))
    is_cut = bool(rows.ends_bare and len(cells) and is_row[-1] and cells[-1] < len(form.columns))
    bad = np.zeros(len(is_row), bool)
    bad[list(refused)] = True
    good = is_row & ~bad
    table = _parsed(form, block, good)
    ordinals = block.ordinal + np.cumsum(is_row) - 1
    at = sorted(refused)
    raw = [rows.block[rows.starts[first + place] : rows.ends[first + place]] for place in at]
    rejected = rejected_of(ordinals[at].tolist(), raw, [refused[place] for place in at])
    kept = ordinals[good]
    part = Part(table, kept, _faults(form, block, table, kept), rejected)
    widths = frozenset(np.unique(cells[is_ragged])[:3].tolist())
    return Taken(part, int(is_row.sum()), int(is_ragged.sum()) - is_cut, widths)


def _refused(form: Form, block: Block, ragged: np.ndarray) -> dict[int, str]:
    """Return the places of rows that are no rows of this table, each with its reason."""
    rows, first, width = block.rows, block.first, len(form.columns)
    cells, lines = rows.cells[first:], rows.lines[first:]
    found = {int(p): f"ASSAY-I024: {cells[p]} cells, the header has {width}" for p in ragged}
    if rows.ends_bare and len(cells) and block.is_row[-1] and cells[-1] < width:
        told = f"the last line is cut: {cells[-1]} of {width} cells, no line end"
        found[len(cells) - 1] = f"ASSAY-I003: {told}"
    for place in np.flatnonzero(rows.broken[first:]).tolist():
        found[place] = "ASSAY-I025: text follows a closing quote"
    is_suspect = (rows.hidden[first:] >= width - 1) | (lines > form.limits.max_lines_per_row)
    at = np.flatnonzero((lines > 1) & is_suspect).tolist()
    texts = [rows.block[rows.starts[first + place] : rows.ends[first + place]] for place in at]
    reasons = swallowed(texts, form.columns, form.specs, form.dialect, form.limits)
    found |= {p: f"ASSAY-I025: {why}" for p, why in zip(at, reasons, strict=True) if why}
    found.update(not_utf8(rows.block, rows, first))
    return found


def _parsed(form: Form, block: Block, good: np.ndarray) -> pa.Table:
    """Return the cells of the good rows, the runs of which are joined."""
    if not good.any():
        return pa.table({name: pa.nulls(0, pa.string()) for name in form.columns})
    rows, first = block.rows, block.first
    nexts = np.append(rows.starts[first + 1 :], rows.used)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], good.view(np.int8), [0]))))
    whole = memoryview(rows.block)
    runs = [whole[rows.starts[first + a] : nexts[b - 1]] for a, b in edges.reshape(-1, 2)]
    fix = "look at its quotes and line ends"
    try:
        data = runs[0] if len(runs) == 1 else b"".join(runs)
        table = _cells(form, data, is_bare=rows.ends_bare and bool(good[-1]))
    except pa.ArrowInvalid:  # its message may hold data
        what = f"two readings of the text disagree after row {block.ordinal:,}"
        raise AssayError("I025", what, where=form.name, fix=fix) from None
    if table.num_rows != int(good.sum()):
        counts = f"{int(good.sum()):,} and {table.num_rows:,} rows"
        what = f"two readings of the text disagree: {counts}"
        raise AssayError("I025", what, where=form.name, fix=fix)
    return table


def _cells(form: Form, data: bytes | memoryview, *, is_bare: bool) -> pa.Table:
    if is_bare:
        # Arrow takes an empty cell at the very end for a quoted one if the cell before it is
        data = bytes(data) + b"\n"
    return pa_csv.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        read_options=pa_csv.ReadOptions(
            block_size=len(data) + 1, column_names=form.columns, use_threads=False
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=form.dialect.delimiter,
            quote_char=form.dialect.quote or False,
            newlines_in_values=True,
            ignore_empty_lines=False,
        ),
        convert_options=pa_csv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(form.columns, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
