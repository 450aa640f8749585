"""CSV as parts: all cells as text, every fault of form found and named, nothing guessed.

Bytes are cut into rows first (csv_rows), one block after the other, since a quote may reach from
one into the next; what is in the blocks is then read side by side (csv_block).
"""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor

import numpy as np

from provenance.base.errors import AssayError, Notice
from provenance.base.limits import Limits
from provenance.readers.csv_block import Block, Form, Taken, read_block
from provenance.readers.csv_dialect import Dialect
from provenance.readers.csv_rows import Rows, find_rows
from provenance.readers.encoding import without_mark
from provenance.readers.header import check_header, parse_header, refuse_delimiter, refuse_wide
from provenance.readers.parallel import in_order
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shard_parts import Part

_HOPELESS = 100_000  # rows that are all ragged need no more of the file to be refused
_DENSE = 1 << 19  # lines of a block that are taken in smaller pieces, to bound memory
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
        """Take the text as an iterator of blocks of UTF-8, none of them empty."""
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
            AssayError: ASSAY-I001, I018, I021 to I027 or I038.
        """
        self._first_row = first_row
        ragged = read = 0
        widths: set[int] = set()
        for taken in in_order(self._jobs(), pool):
            ragged, read, widths = ragged + taken.ragged, read + taken.rows, widths | taken.widths
            if ragged == read >= _HOPELESS:
                raise self._all_ragged(read, widths)
            yield taken.part
        if not self.columns:
            fix = "was the export finished?"
            raise AssayError("I001", "0 rows, 0 columns", where=self.name, fix=fix)
        if ragged and ragged == self.rows:
            raise self._all_ragged(self.rows, widths)

    def _jobs(self) -> Iterator[Callable[[], Taken]]:
        """Yield what is to be done for each block, in order; blocks are cut when asked for."""
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
        """Return what a person should know of the text that was read."""
        found = []
        if self._has_bom:
            found.append(Notice("ASSAY-I020", "the byte order mark was dropped", self.name))
        if np.count_nonzero(self._line_ends) > 1:
            kinds = zip(self._line_ends.tolist(), ("LF", "CR LF", "CR"), strict=True)
            told = ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)
            found.append(Notice("ASSAY-I028", f"line ends are mixed: {told}", self.name))
        if self._blank:
            told = f"{self._blank:,} blank lines between rows were skipped"
            found.append(Notice("ASSAY-I001", told, self.name))
        return found

    def _found(self) -> Iterator[Rows]:
        """Yield the rows of one block after the other."""
        mark, quote = self._dialect.delimiter.encode(), self._dialect.quote.encode()
        rest = b""
        blocks = _thinned(self._blocks)
        ahead = next(blocks, None)
        if ahead is not None:
            ahead, self._has_bom = without_mark(ahead, self.name)
        while ahead is not None:
            block = rest + ahead
            ahead = next(blocks, None)
            rows = find_rows(block, mark, quote, is_last=ahead is None)
            longest = int((rows.ends - rows.starts).max(initial=0))
            self._refuse_endless(max(len(block) - rows.used, longest), rows)
            if ahead is None and rows.is_open:
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
        what = f"a row after row {self.rows:,} is over {self._limits.max_row_bytes:,} bytes long"
        raise AssayError("I006", what, where=self.name, fix="raise assay.limits.max_row_bytes")

    def _all_ragged(self, rows: int, widths: set[int]) -> AssayError:
        told = " or ".join(str(width) for width in sorted(widths)[:3])
        what = f"{rows:,} of {rows:,} rows have {told} cells"
        what += f", the header has {len(self.columns)}"
        return AssayError("I024", what, where=self.name, fix="repair the header")

    def _unclosed(self, row: int) -> AssayError:
        what = f"a quote that is opened in row {row} or before does not close"
        return AssayError("I025", what, where=self.name, fix="repair the quote")

    def _read_header(self, rows: Rows) -> int:
        """Read the header and return the place of the first row after it."""
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
            is_promised = self._specs is not None
            refuse_delimiter(lines[0], names, self._dialect, self.name, is_promised=is_promised)
        check_header(names, first, self._specs, self.name)
        self.columns = names
        return place + 1


def _thinned(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks as they are, or in pieces where they hold very many lines."""
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
