"""Reads CSV as parts: all cells as text, every structural fault reported, nothing guessed.

Bytes are first split into rows (csv_rows), one block after the other, because a quoted cell may
span blocks; the blocks are then read in parallel (csv_block).
"""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor

import numpy as np

from provenance.base.errors import AssayError, Notice
from provenance.base.limits import Limits
from provenance.readers.csv_block import Block, BlockPart, Form, read_block
from provenance.readers.csv_dialect import Dialect
from provenance.readers.csv_rows import Rows, find_rows
from provenance.readers.encoding import text_notices, without_mark
from provenance.readers.header import check_header, parse_header, refuse_delimiter, refuse_wide
from provenance.readers.parallel import in_order
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shard_parts import Part

_HOPELESS = 100_000  # if this many rows are all ragged, the rest of the file need not be read
_DENSE = 1 << 19  # blocks with more lines are read in smaller pieces, to bound memory
_PIECE = 1 << 19
_LF, _CR = ord("\n"), ord("\r")


class CsvSource:
    """One CSV text, read once from its first block to its last."""

    def __init__(
        self,
        name: str,
        blocks: Iterator[bytes],
        specs: tuple[ColumnSpec, ...] | None,
        limits: Limits,
        dialect: Dialect,
    ) -> None:
        """Take the text as an iterator of non-empty blocks of UTF-8."""
        self.name = name
        self.columns: list[str] = []
        self.rows = 0
        self._blocks = blocks
        self._specs = specs
        self._limits = limits
        self._dialect = dialect
        self._first_row = 0
        self._blank = 0
        self._has_bom = False
        self._line_ends = np.zeros(3, np.int64)

    def parts(self, first_row: int, pool: Executor) -> Iterator[Part]:
        """Yield the text's rows as parts; ordinals start at `first_row`.

        Raises:
            AssayError: ASSAY-I001, I006, I009, I018, I021 to I027 or I038.
        """
        self._first_row = first_row
        ragged = read = 0
        widths: set[int] = set()
        for item in in_order(self._jobs(), pool):
            ragged, read, widths = ragged + item.ragged, read + item.rows, widths | item.widths
            if ragged == read >= _HOPELESS:
                raise self._all_ragged(read, widths)
            yield item.part
        if not self.columns:
            raise AssayError("I001", "the source has no rows and no columns", where=self.name)
        if ragged and ragged == self.rows:
            raise self._all_ragged(self.rows, widths)

    def _jobs(self) -> Iterator[Callable[[], BlockPart]]:
        """Yield a job for each block, in order; a block is split when its job is requested."""
        form: Form | None = None
        for rows in self._found():
            first = 0
            if form is None:
                first = self._read_header(rows)
                if not self.columns:
                    continue
                form = Form(self.name, self.columns, self._specs, self._limits, self._dialect)
            starts, ends = rows.starts[first:], rows.ends[first:]
            is_row = np.ones(len(starts), bool) if len(self.columns) == 1 else ends > starts
            ordinal, count = self._first_row + self.rows, int(np.count_nonzero(is_row))
            self._blank += len(is_row) - count
            self.rows += count
            yield functools.partial(read_block, form, Block(rows, first, is_row, ordinal))

    def notices(self) -> list[Notice]:
        """Return what a person should know about the text that was read."""
        found = text_notices(self.name, self._blank, has_bom=self._has_bom)
        if np.count_nonzero(self._line_ends) > 1:
            kinds = zip(self._line_ends.tolist(), ("LF", "CR LF", "CR"), strict=True)
            counts = ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)
            found.append(Notice("ASSAY-I028", f"line endings are mixed: {counts}", self.name))
        return found

    def _found(self) -> Iterator[Rows]:
        """Yield the rows of one block after the other."""
        mark, quote = self._dialect.delimiter.encode(), self._dialect.quote.encode()
        rest = b""
        blocks = _thinned(self._blocks)
        following = next(blocks, None)
        if following is not None:
            following, self._has_bom = without_mark(following, self.name)
        while following is not None:
            block = rest + following
            following = next(blocks, None)
            rows = find_rows(block, mark, quote, is_last=following is None)
            longest = int((rows.ends - rows.starts).max(initial=0))
            self._refuse_endless(max(len(block) - rows.used, longest), rows)
            if following is None and rows.is_open:
                row = self.rows + len(rows.starts) - (1 if self.columns else 2)
                raise self._unclosed(max(row, 0))
            self._line_ends += rows.line_ends
            rest = block[rows.used :]
            if len(rows.starts):
                yield rows

    def _refuse_endless(self, size: int, rows: Rows) -> None:
        if size <= self._limits.max_row_bytes:
            return
        if rows.is_open:
            raise self._unclosed(self._first_row + self.rows + len(rows.starts))
        most = self._limits.max_row_bytes
        what = f"a row after row {self.rows:,} is longer than the limit of {most:,} bytes"
        raise AssayError("I006", what, where=self.name, fix="raise assay.limits.max_row_bytes")

    def _all_ragged(self, rows: int, widths: set[int]) -> AssayError:
        cells = " or ".join(str(width) for width in sorted(widths)[:3])
        what = f"all {rows:,} rows have {cells} cells, but the header has {len(self.columns)}"
        return AssayError("I024", what, where=self.name, fix="repair the header")

    def _unclosed(self, row: int) -> AssayError:
        what = f"a quote that opens in row {row} or earlier is never closed"
        return AssayError("I025", what, where=self.name, fix="repair the quote")

    def _read_header(self, rows: Rows) -> int:
        """Read the header and return the index of the first row after it."""
        full = np.flatnonzero(rows.ends > rows.starts)
        if not len(full):
            self._blank += len(rows.starts)
            return len(rows.starts)
        place = int(full[0])
        self._blank += place
        refuse_wide(int(rows.cells[place]), self._limits, self.name)
        lines = [rows.block[rows.starts[at] : rows.ends[at]] for at in full[:2]]
        names = parse_header(lines[0], self._dialect, self.name)
        mark = self._dialect.delimiter
        first = lines[1].decode("utf-8", "replace").split(mark) if lines[1:] else None
        if [spec.name for spec in self._specs or ()] != names:
            has_contract = self._specs is not None
            refuse_delimiter(lines[0], names, self._dialect, self.name, has_contract=has_contract)
        check_header(names, first, self._specs, self.name)
        self.columns = names
        return place + 1


def _thinned(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks, cutting those with a very large number of lines into pieces."""
    for block in blocks:
        if len(block) > _PIECE and _lines(block) > _DENSE:
            for start in range(0, len(block), _PIECE):
                yield block[start : start + _PIECE]
        else:
            yield block


def _lines(block: bytes) -> int:
    flat = np.frombuffer(block, np.uint8)
    feeds = int(np.count_nonzero(flat == _LF))
    return feeds + int(np.count_nonzero(flat == _CR)) if b"\r" in block else feeds
