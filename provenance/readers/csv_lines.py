"""Lines of a CSV text that are no rows: those before the header, and those after the last row.

A contract says how many there are (`assay.csv: {skip, footer}`). A text that has other ones is
refused, since a row must never be left out for a line that is missing today.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import pyarrow as pa

from provenance.base.errors import AssayError
from provenance.readers.csv_dialect import Dialect
from provenance.readers.header import cells_of
from provenance.rows.cast import cast
from provenance.rows.column_types import ColumnSpec

LINE_END = re.compile(rb"\r\n|\n|\r")
HEAD = 1 << 16  # bytes in which a header is looked for
_MOST = 1_000  # lines in which it is looked for
# first words of a line below a table: totals, or how many rows there were
_TOTAL = re.compile(
    r"(?i)\W*(?:(?:grand|sub)[ -]?)?(?:total(?:[ei]?s)?|sums?|summe|gesamt(?:summe)?|insgesamt|"
    r"somme|totaux|totale[sn]?|averages?|mean|count|records?|row ?count|eof|"
    r"end(?: of (?:file|report|data))?|trailer|trl)\b(?:[ :=]+[0-9.,]*)?\W*"
)
_COUNTED = re.compile(
    r"(?i)\(?[0-9][0-9.,]* (?:rows?|records?|lines?|zeilen|lignes|filas)\b[^\n]{0,40}"
)


class _Counted(Protocol):
    @property
    def count(self) -> int:
        """Return the number of rows."""

    def without_last(self, rows: int) -> "tuple[_Counted, list[bytes]]":
        """Return the rest without the last rows, and these."""


Block = TypeVar("Block", bound=_Counted)


def after_lines(blocks: Iterator[bytes], count: int, where: str) -> Iterator[bytes]:
    """Yield a text without its first `count` lines, however they end.

    Raises:
        AssayError: ASSAY-I018 if the text has no more lines than that.
    """
    left, rest = count, b""
    for following in blocks:
        block, rest = rest + following, b""
        if left and block.endswith(b"\r"):  # its LF may be in the next block
            block, rest = block[:-1], b"\r"
        place = 0
        while left and (end := LINE_END.search(block, place)):
            place, left = end.end(), left - 1
        if not left and block[place:]:
            yield block[place:]
    if left and rest:
        left, rest = left - 1, b""
    if rest:
        yield rest
    if left:
        what = f"the contract skips {count:,} lines, but the file has {count - left:,} or fewer"
        fix = "correct assay.csv.skip in the contract, or export the file again"
        raise AssayError("I018", what, where=where, fix=fix)


def held_back(blocks: Iterable[Block], footer: int) -> Iterator[tuple[Block, list[bytes]]]:
    """Yield blocks, and with those at the end the lines that a footer of `footer` lines takes."""
    waiting: deque[Block] = deque()
    after = 0  # rows in all waiting blocks but the first
    for block in blocks:
        after += block.count if waiting else 0
        waiting.append(block)
        while len(waiting) > 1 and after >= footer:
            yield waiting.popleft(), []
            after -= waiting[0].count
    ended: list[tuple[Block, list[bytes]]] = []
    while waiting:
        block = waiting.pop()
        rest, lines = block.without_last(min(footer, block.count))
        footer -= len(lines)
        ended.append((rest, lines))  # type: ignore[arg-type]
    yield from reversed(ended)


def is_footer(cells: list[str] | None, names: list[str], specs: Iterable[ColumnSpec]) -> bool:
    """Return whether a line below a table is no row of it.

    It has another number of cells, begins with a word such as `Total`, is half empty, or has a cell
    that its column's type does not take.
    """
    if cells is None or len(cells) != len(names):
        return True
    empty = sum(not cell.strip() for cell in cells)
    if names_total(cells[0]) or (empty > 1 and 2 * empty >= len(cells)):
        return True
    by_name = {spec.name: spec for spec in specs}
    for name, cell in zip(names, cells, strict=True):
        spec = by_name.get(name)
        if spec is None:
            continue
        value, code = cast(pa.array([cell or None], pa.string()), spec)
        if code[0].is_valid or (spec.required and not value[0].is_valid):
            return True
    return False


def names_total(cell: str) -> bool:
    """Return whether the first cell of a line shows that the line is below the table."""
    return bool(_TOTAL.fullmatch(cell) or _COUNTED.fullmatch(cell))


def refuse_moved_header(
    head: bytes, names: list[str], specs: Iterable[ColumnSpec], dialect: Dialect, where: str
) -> None:
    """Refuse a text whose header is in another line than the one that was read as such.

    Args:
        head: the first bytes of the text, before any line is skipped.
        names: what was read as the header.
        specs: the contract's columns.
        dialect: of the text, according to the contract.
        where: the file, for messages.

    Raises:
        AssayError: ASSAY-I018, naming the line.
    """
    known = {spec.name: spec.outside for spec in specs}
    needed = {name for name, is_outside in known.items() if not is_outside}
    if needed <= set(names):
        return
    lines = LINE_END.split(head)[:_MOST]
    for place, line in enumerate(lines):
        cells = cells_of(line, dialect)
        if (
            cells is not None
            and len(set(cells)) == len(cells)
            and needed <= set(cells) <= set(known)
        ):
            raise _moved(lines[:place], dialect, where)


def _moved(before: list[bytes], dialect: Dialect, where: str) -> AssayError:
    line = len(before) + 1
    what = f"the header is in line {line}, but the contract expects it "
    what += f"after {dialect.skip} skipped lines" if dialect.skip else "in the first line"
    fix = f"set assay.csv: {{skip: {len(before)}}} in the contract"
    if not before:
        fix = "remove skip from assay.csv in the contract"
    elif not dialect.comment and all(text.startswith(b"#") for text in before):
        fix += ', or {comment: "#"} if lines that begin with # are comments'
    return AssayError("I018", what, where=where, fix=fix)
