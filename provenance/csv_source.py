"""CSV as parts: all cells as text, every fault of form found and named, nothing guessed.

Bytes are cut into rows first (csv_rows); rows that cannot be told apart into cells are rejected
with their raw bytes, the others go to Arrow's reader, whose row count must agree.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from provenance.casting import ColumnSpec
from provenance.csv_faults import cell_faults, not_utf8
from provenance.csv_header import check_header, parse_header, refuse_delimiter, refuse_wide
from provenance.csv_rows import Rows, find_rows
from provenance.csv_swallowed import swallowed
from provenance.dialect import Dialect
from provenance.errors import AssayError, Notice
from provenance.intake import Part, rejected_of
from provenance.limits import Limits
from provenance.text_source import without_mark

_HOPELESS = 100_000  # rows that are all ragged need no more of the file to be refused
_DENSE = 1 << 19  # lines of a block that are taken in smaller pieces, to bound memory
_PIECE = 1 << 19


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
        self._ragged = 0
        self._widths: set[int] = set()
        self._blank = 0
        self._has_bom = False
        self._line_ends = np.zeros(3, np.int64)

    def parts(self, first_row: int) -> Iterator[Part]:
        """Yield the text's rows as parts; ordinals start at `first_row`.

        Raises:
            AssayError: ASSAY-I001, I018, I021 to I027 or I038.
        """
        self._first_row = first_row
        for block, rows in self._with_rows():
            start = 0
            if not self.columns:
                start = self._read_header(block, rows)
            if not self.columns:
                continue
            yield self._part(block, rows, start)
        if not self.columns:
            raise AssayError(
                "I001", "0 rows, 0 columns", where=self.name, fix="was the export finished?"
            )
        if self._ragged and self._ragged == self.rows:
            raise self._all_ragged()

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

    def _with_rows(self) -> Iterator[tuple[bytes, Rows]]:
        """Yield blocks that start and end where rows do, with the rows in them."""
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
                yield block, rows

    def _refuse_endless(self, size: int, rows: Rows) -> None:
        if size <= self._limits.max_row_bytes:
            return
        if rows.is_open:
            raise self._unclosed(self._first_row + self.rows + len(rows.starts))
        what = f"a row after row {self.rows:,} is over {self._limits.max_row_bytes:,} bytes long"
        raise AssayError("I006", what, where=self.name, fix="raise assay.limits.max_row_bytes")

    def _all_ragged(self) -> AssayError:
        widths = " or ".join(str(width) for width in sorted(self._widths)[:3])
        what = f"{self.rows:,} of {self.rows:,} rows have {widths} cells"
        what += f", the header has {len(self.columns)}"
        return AssayError("I024", what, where=self.name, fix="repair the header")

    def _unclosed(self, row: int) -> AssayError:
        what = f"a quote that is opened in row {row} or before does not close"
        return AssayError("I025", what, where=self.name, fix="repair the quote")

    def _read_header(self, block: bytes, rows: Rows) -> int:
        """Read the header and return the place of the first row after it."""
        full = np.flatnonzero(rows.ends > rows.starts)
        if not len(full):
            self._blank += len(rows.starts)
            return len(rows.starts)
        place = int(full[0])
        self._blank += place
        refuse_wide(int(rows.cells[place]), self._limits, self.name)
        lines = [block[rows.starts[at] : rows.ends[at]] for at in full[:2]]
        names = parse_header(lines[0], self._dialect, self.name)
        mark = self._dialect.delimiter
        first = lines[1].decode("utf-8", "replace").split(mark) if lines[1:] else None
        if [spec.name for spec in self._specs or ()] != names:
            refuse_delimiter(lines[0], names, self._dialect, self.name)
        check_header(names, first, self._specs, self.name)
        self.columns = names
        return place + 1

    def _part(self, block: bytes, rows: Rows, first: int) -> Part:
        starts, ends = rows.starts[first:], rows.ends[first:]
        width = len(self.columns)
        is_row = np.ones(len(starts), bool) if width == 1 else ends > starts
        self._blank += int((~is_row).sum())
        ordinals = self._first_row + self.rows + np.cumsum(is_row) - 1
        self.rows += int(is_row.sum())
        refused = self._refused(block, rows, first, is_row)
        bad = np.zeros(len(starts), bool)
        bad[list(refused)] = True
        good = is_row & ~bad
        table = self._parse(block, rows, first, good)
        at = sorted(refused)
        raw = [block[starts[place] : ends[place]] for place in at]
        rejected = rejected_of(ordinals[at].tolist(), raw, [refused[place] for place in at])
        kept = ordinals[good]
        longest = int((ends - starts).max(initial=0))
        faults = cell_faults(table, kept, self._limits, longest=longest, has_nul=b"\0" in block)
        return Part(table, kept, faults, rejected)

    def _refused(self, block: bytes, rows: Rows, first: int, is_row: np.ndarray) -> dict[int, str]:
        """Return the places of rows that are no rows of this table, each with its reason."""
        width = len(self.columns)
        cells, lines = rows.cells[first:], rows.lines[first:]
        ragged = np.flatnonzero((cells != width) & is_row)
        self._ragged += len(ragged)
        self._widths.update(np.unique(cells[ragged])[:3].tolist())
        if self._ragged == self.rows >= _HOPELESS:
            raise self._all_ragged()
        found = {int(p): f"ASSAY-I024: {cells[p]} cells, the header has {width}" for p in ragged}
        if rows.ends_bare and len(cells) and is_row[-1] and cells[-1] < width:
            self._ragged -= 1
            told = f"the last line is cut: {cells[-1]} of {width} cells, no line end"
            found[len(cells) - 1] = f"ASSAY-I003: {told}"
        for place in np.flatnonzero(rows.broken[first:]).tolist():
            found[place] = "ASSAY-I025: text follows a closing quote"
        is_suspect = (rows.hidden[first:] >= width - 1) | (lines > self._limits.max_lines_per_row)
        at = np.flatnonzero((lines > 1) & is_suspect).tolist()
        texts = [block[rows.starts[first + place] : rows.ends[first + place]] for place in at]
        reasons = swallowed(texts, self.columns, self._specs, self._dialect, self._limits)
        found |= {p: f"ASSAY-I025: {why}" for p, why in zip(at, reasons, strict=True) if why}
        found.update(not_utf8(block, rows, first))
        return found

    def _parse(self, block: bytes, rows: Rows, first: int, good: np.ndarray) -> pa.Table:
        nexts = np.append(rows.starts[first + 1 :], rows.used)
        names = self.columns
        if good.all():
            data = memoryview(block)[rows.starts[first] : rows.used] if len(good) else b""
        else:
            # runs of good rows, joined
            edges = np.flatnonzero(np.diff(np.concatenate(([0], good.view(np.int8), [0]))))
            runs = edges.reshape(-1, 2)
            ends = [(rows.starts[first + a], nexts[b - 1]) for a, b in runs]
            data = b"".join(memoryview(block)[start:end] for start, end in ends)
        if not good.any():
            return pa.table({name: pa.nulls(0, pa.string()) for name in names})
        if rows.ends_bare and good[-1]:
            # Arrow takes an empty cell at the very end for a quoted one if the cell before it is
            data = bytes(data) + b"\n"
        table = self._cells(data)
        if table.num_rows != int(good.sum()):
            counts = f"{int(good.sum()):,} and {table.num_rows:,} rows"
            what = f"two readings of the text disagree: {counts}"
            raise AssayError("I025", what, where=self.name, fix="look at its quotes and line ends")
        return table

    def _cells(self, data: bytes | memoryview) -> pa.Table:
        names = self.columns
        try:
            return pa_csv.read_csv(
                pa.BufferReader(pa.py_buffer(data)),
                read_options=pa_csv.ReadOptions(block_size=len(data) + 1, column_names=names),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self._dialect.delimiter,
                    quote_char=self._dialect.quote or False,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                ),
                convert_options=pa_csv.ConvertOptions(
                    check_utf8=False,
                    column_types=dict.fromkeys(names, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid:  # its message may hold data
            what = f"two readings of the text disagree after row {self.rows:,}"
            fix = "look at its quotes and line ends"
            raise AssayError("I025", what, where=self.name, fix=fix) from None


def _thinned(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks as they are, or in pieces where they hold very many lines."""
    for block in blocks:
        if len(block) > _PIECE and block.count(b"\n") + block.count(b"\r") > _DENSE:
            for start in range(0, len(block), _PIECE):
                yield block[start : start + _PIECE]
        else:
            yield block
