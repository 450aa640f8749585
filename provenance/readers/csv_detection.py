"""The dialect that a CSV text seems to be written in, for `assay init`; a run never detects one.

A table's header is the first line with as many cells as nearly all lines below it. What stands
above are lines to skip, or comments. Below the table, only lines that cannot be rows are left out.
"""

import codecs
import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from provenance.readers.csv_dialect import DELIMITERS, Dialect, may_delimit, wide_of
from provenance.readers.csv_lines import LINE_END, names_total
from provenance.readers.csv_rows import Rows, find_rows
from provenance.readers.header import cells_of, is_like_data, looks_like_data

_SAMPLE = 1 << 20  # bytes that are searched for the delimiter
_TAIL = 1 << 14  # bytes that are searched for lines below the table
_ALIKE = 0.9  # share of rows that must have as many cells as the header
_QUOTES = ('"', "'")
_WESTERN = "cp1252"  # the most common single-byte encoding
_STRAY = re.compile("[\udc80-\udcff]")
_BEYOND = re.compile("[^\x00-\x7f\udc80-\udcff]")
_SEP = re.compile(r'\A"?sep=(.)"?(?:\r\n|\n|\r)')  # how Excel is told the delimiter
_COMMENTS = ("#", "%")
_PREAMBLE = 100  # lines above a header
_FOOTER = 5  # lines below a table
_ROWS = 200  # that show how cells are written
_LEAST = 3  # rows of a table below which nothing is said about its end
_INTEGER = re.compile(r"[0-9]{1,18}")


def detect(blocks: Iterable[bytes], base: str, delimiter: str | None = None) -> Dialect:
    """Return the dialect that a text is most likely written in.

    Args:
        blocks: of the text, from its start; all of them are read.
        base: `csv` or `tsv`; decides a tie.
        delimiter: if it is known; the rest is detected.
    """
    remaining = iter(blocks)
    head = next(remaining, b"")
    wide = wide_of(head)
    if wide == "utf-16" and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        wide = None  # stray NUL bytes without a pattern
    end = _End(head)
    narrow = _narrow(end.passing(remaining))
    encoding = wide or narrow
    text = head[: 4 * _SAMPLE].decode(encoding, "replace").removeprefix("\ufeff")
    is_whole = len(head) <= _SAMPLE and end.is_head
    told = _SEP.match(text)
    if told:
        delimiter = delimiter or (told[1] if may_delimit(told[1]) else None)
        text = text[told.end() :]
    sample = text[:_SAMPLE].encode()
    found = _marks(sample, encoding, base, delimiter, is_whole=is_whole)
    last = sample if is_whole else b"" if wide else end.last.decode(encoding, "replace").encode()
    found = _laid_out(sample, last, found, is_whole=is_whole)
    return dataclasses.replace(found, skip=found.skip + 1) if told else found


class _End:
    """Keeps the last bytes of a text that passes."""

    def __init__(self, head: bytes) -> None:
        self.last = head[-_TAIL:]
        self.is_head = True  # whether nothing followed the first block
        self._head = head

    def passing(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the first block and those that follow."""
        yield self._head
        for block in blocks:
            self.is_head = False
            self.last = (self.last + block)[-_TAIL:]
            yield block


def _marks(
    sample: bytes, encoding: str, base: str, delimiter: str | None, *, is_whole: bool
) -> Dialect:
    """Return the delimiter and the quote that fit a sample best."""
    usual = delimiter or Dialect().named(base).delimiter
    marks = [delimiter] if delimiter else sorted(DELIMITERS, key=lambda mark: mark != usual)
    tried = [Dialect(mark, quote, encoding) for mark in marks for quote in _QUOTES]
    scores = [_score(sample, dialect, is_whole=is_whole) for dialect in tried]
    best = max(scores)
    found = tried[scores.index(best)] if best[0] else Dialect()
    if best[0] > 1:
        return found
    below = [(_table(sample, one, is_whole=is_whole), one) for one in tried if one.quote == '"']
    tables = [(table.width, one) for table, one in below if table and table.start]
    if tables:  # lines above the header hid the delimiter
        return max(tables, key=lambda pair: pair[0])[1]
    return Dialect(usual, found.quote, encoding)


def _narrow(blocks: Iterable[bytes]) -> str:
    """Return UTF-8, or a single-byte encoding if most non-ASCII bytes are not valid UTF-8."""
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    stray = beyond = 0
    for block in blocks:
        if not block.isascii():
            text = decode(block)
            stray += len(_STRAY.findall(text))
            beyond += len(_BEYOND.findall(text))
    return _WESTERN if stray > beyond else "utf-8"


def _score(sample: bytes, dialect: Dialect, *, is_whole: bool) -> tuple[int, int]:
    """Return the number of cells per row of a sample, and the total number of quoted cells.

    No cells if too few rows have as many as the first, or if single quotes do not fit.
    """
    rows = _rows(sample, dialect, is_whole=is_whole)
    cells = rows.cells[rows.ends > rows.starts]
    is_alike = len(cells) and (cells == cells[0]).mean() >= _ALIKE
    quoted = len(rows.closes)
    is_single = dialect.quote == "'"
    if not is_alike or (is_single and (not quoted or rows.is_open or rows.broken.any())):
        return 0, 0
    return int(cells[0]), quoted


def _rows(sample: bytes, dialect: Dialect, *, is_whole: bool) -> Rows:
    marks = dialect.delimiter.encode(), dialect.quote.encode()
    return find_rows(sample, *marks, comment=dialect.comment.encode(), is_last=is_whole)


@dataclasses.dataclass(frozen=True, slots=True)
class _Table:
    """Where a table begins in a sample.

    Attributes:
        rows: all rows; full: int64, places of those that are neither blank nor comments.
        start: place of the header among `full`; width: cells of the header.
    """

    rows: Rows
    full: np.ndarray
    start: int
    width: int

    def line(self, number: int) -> bytes:
        """Return the text of a row, by its place among `full`."""
        place = self.full[number]
        return self.rows.block[self.rows.starts[place] : self.rows.ends[place]]

    def cells(self, dialect: Dialect, most: int) -> list[list[str]]:
        """Return the cells of the first rows below the header that are as wide."""
        lines = map(self.line, range(self.start + 1, min(len(self.full), self.start + 1 + most)))
        found = (cells_of(line, dialect) for line in lines)
        return [cells for cells in found if cells is not None and len(cells) == self.width]


def _table(sample: bytes, dialect: Dialect, *, is_whole: bool) -> _Table | None:
    """Return the table that nearly all rows from its header on belong to; None without one."""
    rows = _rows(sample, dialect, is_whole=is_whole)
    full = np.flatnonzero((rows.ends > rows.starts) & ~rows.is_comment)
    widths = rows.cells[full]
    wide = Counter(widths[widths > 1].tolist())
    if not wide:
        return None
    width = wide.most_common(1)[0][0]
    start = int(np.argmax(widths == width))
    table = _Table(rows, full, start, width)
    while start < min(len(full) - 1, _PREAMBLE) and _is_padded(table.line(start), width, dialect):
        start += 1
    table = dataclasses.replace(table, start=start)
    if table.start > int(np.argmax(widths == width)) and not _has_header(table, dialect):
        return None
    is_odd = start > _PREAMBLE or (widths[start:] == width).mean() < _ALIKE
    # a header with one name less than its rows have cells is a header all the same
    is_above = start > 0 and full[start] - full[start - 1] == 1
    is_short = is_above and 1 < widths[start - 1] == width - 1
    if is_odd or is_short or (start and _is_row(table, dialect)):
        return None
    return table


def _is_padded(line: bytes, width: int, dialect: Dialect) -> bool:
    """Return whether a line is a title that a spreadsheet filled up with empty cells."""
    cells = cells_of(line, dialect) or []
    filled = [bool(cell.strip()) for cell in cells]
    return len(cells) == width > 2 and sum(filled) <= width // 2 and not any(filled[width // 2 :])  # noqa: PLR2004


def _has_header(table: _Table, dialect: Dialect) -> bool:
    """Return whether values below a header of names show that it is one."""
    names = cells_of(table.line(table.start), dialect) or []
    values = [cell for row in table.cells(dialect, _ROWS) for cell in row]
    return not any(map(is_like_data, names)) and any(map(is_like_data, values))


def _is_row(table: _Table, dialect: Dialect) -> bool:
    """Return whether what would be the header looks like a row of the table."""
    names = cells_of(table.line(table.start), dialect)
    below = table.cells(dialect, 1)
    if names is None or not below:
        return True
    return looks_like_data(names, below[0])


def _laid_out(sample: bytes, last: bytes, dialect: Dialect, *, is_whole: bool) -> Dialect:
    """Return the dialect with the lines of a text that are no rows, and how its cells are written.

    Args:
        sample: from the start of the text.
        last: from its end; the first line of it may be cut.
        dialect: delimiter, quote and encoding.
        is_whole: whether the sample is all of the text.
    """
    for comment in (*_COMMENTS, ""):
        if comment == dialect.delimiter:
            continue
        marked = dataclasses.replace(dialect, comment=comment)
        table = _table(sample, marked, is_whole=is_whole)
        if table is None or (comment and not _are_comments(table)):
            continue
        above = sample[: table.rows.starts[table.full[table.start]]]
        lines = LINE_END.split(above)[:-1]
        if all(not line or (comment and line.startswith(comment.encode())) for line in lines):
            lines = []
        footer = _footer(last, table, marked)
        found = dataclasses.replace(marked, skip=len(lines), footer=footer)
        return _written(table, found)
    return dialect


def _are_comments(table: _Table) -> bool:
    """Return whether there are comment lines, and all of them unlike the table's rows."""
    is_comment = table.rows.is_comment
    return bool(is_comment.any() and (table.rows.cells[is_comment] != table.width).all())


def _footer(last: bytes, table: _Table, dialect: Dialect) -> int:
    """Return how many of the last lines are below the table: totals, or how many rows there are."""
    lines = [line for line in LINE_END.split(last) if line]
    if dialect.comment:
        lines = [line for line in lines if not line.startswith(dialect.comment.encode())]
    below = 0
    for line in reversed(lines[1 + _LEAST :]):
        cells = cells_of(line, dialect)
        if below == _FOOTER or cells is None or not cells or not names_total(cells[0]):
            break
        below += 1
    if not below:
        return 0
    above = table.cells(dialect, len(table.full))[: -below or None]
    # a column may well hold such words: then the last row with one is a row like any other
    is_word = any(names_total(cells[0]) for cells in above)
    return 0 if is_word or len(above) < _LEAST else below


def _written(table: _Table, dialect: Dialect) -> Dialect:
    """Return the dialect with the blanks around cells, and the name of an index without one."""
    names = cells_of(table.line(table.start), dialect) or []
    cells = table.cells(dialect, _ROWS)
    after = [cell for row in cells for cell in row[1:] if cell]
    is_padded = [cell != cell.strip(" \t") for cell in after]
    if after and sum(is_padded) >= _ALIKE * len(after):
        dialect = dataclasses.replace(dialect, trim=True)
    if names and not names[0].strip() and all(name.strip() for name in names[1:]):
        numbers = [row[0] for row in cells if _INTEGER.fullmatch(row[0].strip())]
        if cells and len(set(numbers)) == len(cells):
            free = (name for name in _index_names() if name not in names)
            dialect = dataclasses.replace(dialect, index=next(free))
    return dialect


def _index_names() -> Iterator[str]:
    yield "index"
    yield from (f"index_{number}" for number in itertools.count(1))
