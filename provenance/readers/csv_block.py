"""Reads one block of CSV text as a part: finds its valid rows and their cells as text.

If every quote lies at the edge of a cell, no row is blank or spans lines and all of it is UTF-8,
Arrow's reader alone is used; it refuses a row with a different number of cells. Only if it does, or
if the block is less simple, are the cells of each row counted here as well: rows that cannot be
split into cells are rejected with their bytes, and Arrow must agree on the number of the others.
Nothing here is shared, so blocks can be read in parallel.
"""

import codecs
import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.readers.csv_dialect import Dialect
from provenance.readers.csv_rows import Rows
from provenance.rows.cast import cast
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shard_parts import Part, cell_faults, rejected_of
from provenance.rows.snapshot import REJECTED_SCHEMA

_ASCII = 0x80  # the first byte that is not ASCII
_REPEATED = "ASSAY-I040: the row repeats the header"
_ENOUGH = 6  # delimiters on complete lines that are no coincidence, if there are no types to check


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """How a text is read: its name and header, the contract's columns, limits and dialect.

    `header` is the line that names the columns.
    """

    name: str
    columns: list[str]
    specs: tuple[ColumnSpec, ...] | None
    limits: Limits
    dialect: Dialect
    header: bytes = b""


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of a text.

    Attributes:
        rows: all rows that were found.
        first: index of the first row after the header.
        is_row: bool, shape (n,), from `first` on: whether it is a row, not a blank line or comment.
        ordinal: of the first row.
    """

    rows: Rows
    first: int
    is_row: np.ndarray
    ordinal: int

    @property
    def count(self) -> int:
        """Return the number of rows."""
        return int(np.count_nonzero(self.is_row))

    def without_last(self, rows: int) -> "tuple[Block, list[bytes]]":
        """Return the block without its last rows, and the text of these."""
        gone = np.flatnonzero(self.is_row)[self.count - rows :]
        kept = self.is_row.copy()
        kept[gone] = False
        return dataclasses.replace(self, is_row=kept), self.texts(gone.tolist())

    def texts(self, places: list[int]) -> list[bytes]:
        """Return the text of some rows."""
        starts, ends = self.rows.starts[self.first :], self.rows.ends[self.first :]
        return [self.rows.block[starts[place] : ends[place]] for place in places]

    def repeats(self, line: bytes) -> list[int]:
        """Return the places of the rows that are this very line, also after a byte order mark."""
        starts, ends = self.rows.starts[self.first :], self.rows.ends[self.first :]
        if not len(starts) or self.rows.block.find(line, int(starts[0])) < 0:
            return []
        same = (line, codecs.BOM_UTF8 + line)
        is_alike = np.isin(ends - starts, [len(text) for text in same]) & self.is_row
        alike = np.flatnonzero(is_alike).tolist()
        return [p for p, text in zip(alike, self.texts(alike), strict=True) if text in same]


@dataclasses.dataclass(frozen=True, slots=True)
class BlockPart:
    """A part, and how many of the block's rows have a wrong number of cells, and which numbers.

    `repeated` is the number of rows that repeat the header.
    """

    part: Part
    rows: int
    ragged: int = 0
    repeated: int = 0
    widths: frozenset[int] = frozenset()


def read_block(form: Form, block: Block) -> BlockPart:
    """Read a block.

    Raises:
        AssayError: ASSAY-I025 if two readings of the text disagree.
    """
    table = _simple_cells(form, block)
    if table is None:
        return _row_by_row(form, block)
    ordinals = np.arange(block.ordinal, block.ordinal + table.num_rows, dtype=np.int64)
    faults = _faults(form, block, table, ordinals)
    return BlockPart(Part(table, ordinals, faults, REJECTED_SCHEMA.empty_table()), table.num_rows)


def _simple_cells(form: Form, block: Block) -> pa.Table | None:
    """Return the cells of a block that needs no closer look; None if it does."""
    rows, first = block.rows, block.first
    is_plain = rows.is_plain and block.is_row.all() and (rows.lines[first:] == 1).all()
    if not is_plain or not len(block.is_row) or _not_utf8(rows, first):
        return None
    if _repeated(form, block):
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


def _row_by_row(form: Form, block: Block) -> BlockPart:
    rows, first, is_row = block.rows, block.first, block.is_row
    cells = rows.cells[first:]
    is_ragged = (cells != len(form.columns)) & is_row
    refused = _refused(form, block, np.flatnonzero(is_ragged))
    bad = np.zeros(len(is_row), bool)
    bad[list(refused)] = True
    good = is_row & ~bad
    table = _parsed(form, block, good)
    ordinals = block.ordinal + np.cumsum(is_row) - 1
    at = sorted(refused)
    rejected = rejected_of(ordinals[at].tolist(), block.texts(at), [refused[i] for i in at])
    kept = ordinals[good]
    part = Part(table, kept, _faults(form, block, table, kept), rejected)
    widths = frozenset(np.unique(cells[is_ragged])[:3].tolist())
    ragged = int(is_ragged.sum()) - _is_cut(form, block)
    repeated = sum(reason == _REPEATED for reason in refused.values())
    return BlockPart(part, block.count, ragged, repeated, widths)


def _repeated(form: Form, block: Block) -> list[int]:
    """Return the places of the rows that repeat the header; with one column it may be a value."""
    return block.repeats(form.header) if form.header and len(form.columns) > 1 else []


def _is_cut(form: Form, block: Block) -> bool:
    """Return whether the text ends in the middle of a row."""
    cells = block.rows.cells[block.first :]
    is_last = bool(block.rows.ends_bare and len(cells) and block.is_row[-1])
    return is_last and bool(cells[-1] < len(form.columns))


def _refused(form: Form, block: Block, ragged: np.ndarray) -> dict[int, str]:
    """Return the index of each row that cannot be read as a row of this table, with the reason."""
    rows, first, width = block.rows, block.first, len(form.columns)
    cells, lines = rows.cells[first:], rows.lines[first:]
    found = {int(p): f"ASSAY-I024: {cells[p]} cells, but the header has {width}" for p in ragged}
    if _is_cut(form, block):
        reason = f"the last line is cut off: {cells[-1]} of {width} cells, no line ending"
        found[len(cells) - 1] = f"ASSAY-I003: {reason}"
    for place in np.flatnonzero(rows.broken[first:] & block.is_row).tolist():
        found[place] = "ASSAY-I025: text follows a closing quote"
    found |= dict.fromkeys(_repeated(form, block), _REPEATED)
    is_suspect = (rows.hidden[first:] >= width - 1) | (lines > form.limits.max_lines_per_row)
    is_suspect &= block.is_row
    at = np.flatnonzero((lines > 1) & is_suspect).tolist()
    reasons = swallowed(form, block.texts(at))
    found |= {p: f"ASSAY-I025: {why}" for p, why in zip(at, reasons, strict=True) if why}
    found.update(_not_utf8(rows, first))
    return {place: reason for place, reason in found.items() if block.is_row[place]}


def _parsed(form: Form, block: Block, good: np.ndarray) -> pa.Table:
    """Return the cells of the good rows, joining the stretches between bad ones."""
    if not good.any():
        return pa.table({name: pa.nulls(0, pa.string()) for name in form.columns})
    rows, first = block.rows, block.first
    nexts = np.append(rows.starts[first + 1 :], rows.used)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], good.view(np.int8), [0]))))
    text = memoryview(rows.block)
    runs = [text[rows.starts[first + a] : nexts[b - 1]] for a, b in edges.reshape(-1, 2)]
    data = runs[0] if len(runs) == 1 else b"".join(runs)
    count, what = int(good.sum()), f"two readings of the text after row {block.ordinal:,} disagree"
    try:
        table = _cells(form, data, is_bare=rows.ends_bare and bool(good[-1]))
    except pa.ArrowInvalid:  # its message may contain data
        table = None
    if table is None or table.num_rows != count:
        what += f": {count:,} and {table.num_rows:,} rows" if table is not None else ""
        fix = "check the quotes and line endings of the file"
        raise AssayError("I025", what, where=form.name, fix=fix)
    return table


def _cells(form: Form, data: bytes | memoryview, *, is_bare: bool) -> pa.Table:
    if is_bare:
        # Arrow takes an empty cell at the very end for a quoted one if the cell before it is quoted
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


def _not_utf8(rows: Rows, first: int) -> dict[int, str]:
    """Return the index of each row (from `first` on) that is not UTF-8, with the reason.

    One pass if the block is valid; otherwise the rows that are not ASCII are decoded one by one.
    """
    found: dict[int, str] = {}
    block, starts, ends = rows.block, rows.starts[first:], rows.ends[first:]
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


# Rows that a stray pair of quotes has swallowed. A legitimate text may span lines, too; swallowed
# lines have the header's number of delimiters, line after line, and cells of the contract's types.


def swallowed(form: Form, texts: list[bytes]) -> list[str | None]:
    """Return for each row that spans lines why it cannot be legitimate, or None if it may be."""
    by_name = {spec.name: spec for spec in form.specs or ()}
    typed = {n: by_name[c] for n, c in enumerate(form.columns) if c in by_name}
    typed = {place: spec for place, spec in typed.items() if spec.logical != "string"}
    marks, most = len(form.columns) - 1, form.limits.max_lines_per_row
    plain = [text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") for text in texts]
    rows = [text.split(b"\n", most) for text in plain]  # one more than the limit shows an excess
    suspects = [_suspects(lines, marks, form.dialect.delimiter) for lines in rows]
    fits = iter(_fits([line for lines in suspects for line in lines], typed, form.dialect).tolist())
    return [
        _reason(lines, sum(next(fits) for _ in found), marks, most, is_typed=bool(typed))
        for lines, found in zip(rows, suspects, strict=True)
    ]


def _suspects(lines: list[bytes], marks: int, delimiter: str) -> list[bytes]:
    """Return the relevant lines that have as many delimiters as a row."""
    if not marks:
        return []
    mark = delimiter.encode()
    return [line for line in lines[1:-1] or lines if line.count(mark) == marks]


def _reason(lines: list[bytes], fit: int, marks: int, most: int, *, is_typed: bool) -> str | None:
    if len(lines) > most:
        return f"the row spans more than {most:,} lines, which is the limit"
    # half of the lines between the first and the last must be rows; if there are only two, both
    inner = len(lines) - 2
    enough = 2 * fit >= inner if inner else fit == len(lines)
    proof = marks * (fit if inner else 1)
    if fit and enough and (is_typed or proof >= _ENOUGH):
        return f"a quote swallows lines that look like rows: the row spans {len(lines):,} lines"
    return None


def _fits(lines: list[bytes], typed: dict[int, ColumnSpec], dialect: Dialect) -> np.ndarray:
    """Return whether each line's cells, read without quotes, are values of the contract's types."""
    good = np.ones(len(lines), bool)
    if not lines or not typed:
        return good
    cells = [*_split(lines, dialect)]
    for place, spec in typed.items():
        column = pa.array([row[place] for row in cells], pa.string())
        _, codes = cast(column, spec)
        good &= pc.is_null(codes).to_numpy(zero_copy_only=False)
    return good


def _split(lines: list[bytes], dialect: Dialect) -> Iterator[list[str]]:
    for line in lines:
        text = line.decode("utf-8", "replace")
        yield text.replace(dialect.quote or "\0", "").split(dialect.delimiter)
