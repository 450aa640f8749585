"""Reads CSV as parts: all cells as text, every structural fault reported, nothing guessed.

Bytes are first split into rows (csv_rows), one block after the other, because a quoted cell may
span blocks; the blocks are then read in parallel (csv_block).
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor

import numpy as np

from provenance.base.errors import AssayError, Notice
from provenance.base.limits import Limits
from provenance.readers.csv_block import Block, BlockPart, Form, read_block
from provenance.readers.csv_dialect import Dialect
from provenance.readers.csv_lines import (
    HEAD,
    after_lines,
    held_back,
    is_footer,
    refuse_moved_header,
)
from provenance.readers.csv_rows import Rows, find_rows
from provenance.readers.encoding import text_notices, without_mark
from provenance.readers.header import (
    cells_of,
    check_header,
    parse_header,
    refuse_delimiter,
    refuse_wide,
)
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
        self._blank = self._comments = self._below = self._repeated = 0
        self._head = self._header = b""
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
            self._repeated += item.repeated
            if ragged == read >= _HOPELESS:
                raise self._all_ragged(read, widths)
            yield item.part
        if not self.columns:
            raise AssayError("I001", "the source has no rows and no columns", where=self.name)
        if ragged and ragged == self.rows:
            raise self._all_ragged(self.rows, widths)

    def _jobs(self) -> Iterator[Callable[[], BlockPart]]:
        """Yield a job for each block, in order; a block is split when its job is requested."""
        for block, footer in held_back(self._split(), self._dialect.footer):
            if footer:
                self._leave_out(footer)
            yield functools.partial(read_block, self._form(), block)
        if self.columns and self._below < self._dialect.footer:
            what = f"the contract leaves out {self._dialect.footer:,} lines below the table, but "
            what += f"the file has {self._below:,} after the header"
            fix = "correct assay.csv.footer in the contract, or export the file again"
            raise AssayError("I018", what, where=self.name, fix=fix)

    def _form(self) -> Form:
        names = self.columns
        return Form(self.name, names, self._specs, self._limits, self._dialect, self._header)

    def _split(self) -> Iterator[Block]:
        """Yield the rows below the header, block by block."""
        for rows in self._found():
            first = 0
            if not self.columns:
                first = self._read_header(rows)
                if not self.columns:
                    continue
            starts, ends = rows.starts[first:], rows.ends[first:]
            is_row = np.ones(len(starts), bool) if len(self.columns) == 1 else ends > starts
            is_comment = rows.is_comment[first:]
            self._blank += int(np.count_nonzero(~is_row))
            self._comments += int(np.count_nonzero(is_comment))
            block = Block(rows, first, is_row & ~is_comment, self._first_row + self.rows)
            self.rows += block.count
            yield block

    def _leave_out(self, lines: list[bytes]) -> None:
        """Leave out lines below the table; ASSAY-I018 if one of them looks like a row of it."""
        self.rows -= len(lines)
        self._below += len(lines)
        for line in lines if self._specs is not None else ():
            if not is_footer(cells_of(line, self._dialect), self.columns, self._specs or ()):
                what = "the last line looks like a row of the table, but the contract leaves out "
                what += f"{self._dialect.footer:,} lines below the table"
                fix = "remove footer from assay.csv in the contract, or export the file again"
                raise AssayError("I018", what, where=self.name, fix=fix)

    def notices(self) -> list[Notice]:
        """Return what a person should know about the text that was read."""
        found = text_notices(self.name, self._blank, has_bom=self._has_bom)
        if np.count_nonzero(self._line_ends) > 1:
            kinds = zip(self._line_ends.tolist(), ("LF", "CR LF", "CR"), strict=True)
            counts = ", ".join(f"{count:,} {kind}" for count, kind in kinds if count)
            found.append(Notice("ASSAY-I028", f"line endings are mixed: {counts}", self.name))
        left_out = {
            "above the header": self._dialect.skip,
            "with comments": self._comments,
            "below the table": self._below,
        }
        outside = [(count, place) for place, count in left_out.items() if count]
        if outside:
            told = ", ".join(f"{count:,} {place}" for count, place in outside)
            what = f"lines that the contract does not count as rows were skipped: {told}"
            found.append(Notice("ASSAY-I039", what, self.name))
        if self._repeated:
            what = f"{self._repeated:,} rows repeat the header and are rejected"
            if self._repeated == 1:
                what = "1 row repeats the header and is rejected"
            found.append(Notice("ASSAY-I040", what, self.name))
        if self._dialect.index and cells_of(self._header, self._unnamed) != self.columns:
            what = f"the first column has no name and is read as {self._dialect.index!r}"
            found.append(Notice("ASSAY-I027", what, self.name))
        return found

    @property
    def _unnamed(self) -> Dialect:
        return dataclasses.replace(self._dialect, index="")

    def _found(self) -> Iterator[Rows]:
        """Yield the rows of one block after the other."""
        mark, quote = self._dialect.delimiter.encode(), self._dialect.quote.encode()
        comment = self._dialect.comment.encode()
        rest = b""
        blocks = _thinned(self._below_preamble())
        following = next(blocks, None)
        while following is not None:
            block = rest + following
            following = next(blocks, None)
            rows = find_rows(block, mark, quote, comment=comment, is_last=following is None)
            longest = int((rows.ends - rows.starts).max(initial=0))
            self._refuse_endless(max(len(block) - rows.used, longest), rows)
            if following is None and rows.is_open:
                row = self.rows + len(rows.starts) - (1 if self.columns else 2)
                raise self._unclosed(max(row, 0))
            self._line_ends += rows.line_ends
            rest = block[rows.used :]
            if len(rows.starts):
                yield rows

    def _below_preamble(self) -> Iterator[bytes]:
        """Yield the text from its header on, without its byte order mark."""
        first = next(self._blocks, None)
        if first is None:
            return
        first, self._has_bom = without_mark(first, self.name)
        self._head = first[:HEAD]
        blocks = itertools.chain((first,) if first else (), self._blocks)
        skip = self._dialect.skip
        yield from after_lines(blocks, skip, self.name) if skip else blocks

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
        is_blank = rows.ends == rows.starts
        full = np.flatnonzero(~is_blank & ~rows.is_comment)
        place = int(full[0]) if len(full) else len(rows.starts)
        self._blank += int(np.count_nonzero(is_blank[:place]))
        self._comments += int(np.count_nonzero(rows.is_comment[:place]))
        if not len(full):
            return place
        refuse_wide(int(rows.cells[place]), self._limits, self.name)
        lines = [rows.block[rows.starts[at] : rows.ends[at]] for at in full[:2]]
        wanted = [spec.name for spec in self._specs or ()]
        if self._specs is not None:
            found = cells_of(lines[0], self._dialect) or []
            refuse_moved_header(self._head, found, self._specs, self._dialect, self.name)
        names = parse_header(lines[0], self._dialect, self.name)
        mark = self._dialect.delimiter
        first = lines[1].decode("utf-8", "replace").split(mark) if lines[1:] else None
        if wanted != names:
            has_contract = self._specs is not None
            refuse_delimiter(lines[0], names, self._dialect, self.name, has_contract=has_contract)
        check_header(names, first, self._specs, self.name)
        self.columns, self._header, self._head = names, lines[0], b""
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
