"""Find the rows of CSV text by their bytes, before any parser sees them.

A quote opens a quoted cell only at the start of a cell, a doubled quote inside it stands for one,
and anything else but a delimiter or a line end after the closing quote is a fault. A quote inside
an unquoted cell (`5" pipe`) is an ordinary character. Line ends are LF, CR LF and CR.

Where every quote of a block lies at an edge of a cell, parity tells inside from outside in numpy;
where one does not, a compiled pattern walks the quoted cells one by one. Both agree.
"""

import dataclasses
import re

import numpy as np

_QUOTE, _LF, _CR = ord('"'), ord("\n"), ord("\r")


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Where the rows of a block lie.

    Attributes:
        starts, ends: int64, shape (n,), byte range of each row without its line end.
        cells: int64, shape (n,), number of cells of each row.
        lines: int64, shape (n,), number of lines each row spreads over.
        hidden: int64, shape (n,), number of delimiters within quoted cells.
        broken: bool, shape (n,), whether text follows a closing quote.
        used: bytes of the block that these rows and their line ends take up.
        is_open: whether the block ends within a quoted cell.
        ends_bare: whether the last row has no line end.
        line_ends: how many lines end in LF, CR LF and CR.
    """

    starts: np.ndarray
    ends: np.ndarray
    cells: np.ndarray
    lines: np.ndarray
    hidden: np.ndarray
    broken: np.ndarray
    used: int
    is_open: bool
    ends_bare: bool
    line_ends: tuple[int, int, int]


def find_rows(block: bytes, delimiter: bytes, *, is_last: bool) -> Rows:
    """Find the rows of a block that starts where a row does.

    Args:
        block: bytes.
        delimiter: one ASCII byte.
        is_last: whether the text ends with the block; otherwise what follows the last line end
            is left for the next block.
    """
    flat = np.frombuffer(block, np.uint8)
    marks = all_marks = np.flatnonzero(flat == ord(delimiter))
    stops, nexts, line_ends = _line_ends(block, flat, is_last=is_last)
    all_stops = stops
    is_open, broken_at = False, np.zeros(0, np.int64)
    if b'"' in block:
        inside, is_open, broken_at = _inside(block, flat, delimiter)
        marks = marks[~inside[marks]]
        outside = ~inside[stops]
        stops, nexts = stops[outside], nexts[outside]
    starts = np.concatenate(([0], nexts))
    ends_bare = bool(is_last and starts[-1] < len(block))
    if ends_bare:
        stops = np.append(stops, len(block))
    starts = starts[: len(stops)]
    cells = np.searchsorted(marks, stops) - np.searchsorted(marks, starts) + 1
    lines, hidden = np.ones(len(stops), np.int64), np.zeros(len(stops), np.int64)
    if len(all_stops) + ends_bare != len(stops):
        lines += np.searchsorted(all_stops, stops) - np.searchsorted(all_stops, starts)
        hidden += np.searchsorted(all_marks, stops) - np.searchsorted(all_marks, starts)
        hidden -= cells - 1
    broken = np.zeros(len(stops), bool)
    broken_at = broken_at[broken_at < stops[-1]] if len(stops) else broken_at[:0]
    broken[np.searchsorted(starts, broken_at, "right") - 1] = True
    used = len(block) if ends_bare else int(nexts[-1]) if len(nexts) else 0
    return Rows(starts, stops, cells, lines, hidden, broken, used, is_open, ends_bare, line_ends)


def _line_ends(
    block: bytes, flat: np.ndarray, *, is_last: bool
) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int]]:
    """Return where each line stops, where the next starts, and counts by kind."""
    feeds = np.flatnonzero(flat == _LF)
    if b"\r" not in block:
        return feeds, feeds + 1, (len(feeds), 0, 0)
    returns = np.flatnonzero(flat == _CR)
    if not is_last and flat[-1] == _CR:
        returns = returns[:-1]  # its LF may stand in the next block
    follows = flat[np.minimum(returns + 1, len(flat) - 1)] == _LF
    follows &= returns + 1 < len(flat)
    alone = returns[~follows]
    paired = np.isin(feeds, returns[follows] + 1, assume_unique=True)
    stops = np.concatenate((feeds - paired, alone))
    nexts = np.concatenate((feeds + 1, alone + 1))
    order = np.argsort(stops, kind="stable")
    counts = (int((~paired).sum()), int(paired.sum()), len(alone))
    return stops[order], nexts[order], counts


def _inside(
    block: bytes, flat: np.ndarray, delimiter: bytes
) -> tuple[np.ndarray, bool, np.ndarray]:
    """Return which bytes are in quoted cells, whether the last is, and where faults lie."""
    quotes = np.flatnonzero(flat == _QUOTE)
    opens, closes = quotes[::2], quotes[1::2]
    faults = np.zeros(0, np.int64)
    if not _at_edges(flat, opens, closes, delimiter):
        opens, closes, faults = _walk(block, flat, delimiter)
    change = np.zeros(len(flat) + 1, np.int8)
    change[opens] = 1
    change[closes] = -1
    inside = np.cumsum(change[:-1], dtype=np.int8).view(bool)
    return inside, len(opens) > len(closes), faults


def _at_edges(flat: np.ndarray, opens: np.ndarray, closes: np.ndarray, delimiter: bytes) -> bool:
    """Return whether every quote opens or closes a cell, or is half of a doubled one."""
    edge = np.zeros(256, bool)
    edge[[ord(delimiter), _LF, _CR, _QUOTE]] = True
    before = flat[np.maximum(opens - 1, 0)]
    after = flat[np.minimum(closes + 1, len(flat) - 1)]
    return bool(edge[before].all() and edge[after].all())


def _walk(
    block: bytes, flat: np.ndarray, delimiter: bytes
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mark = re.escape(delimiter)
    pattern = re.compile(rb"(?:(?<=[" + mark + rb'\r\n])|\A)"[^"]*+(?:""[^"]*+)*+("?)', re.DOTALL)
    spans = [(hit.start(), hit.end(), bool(hit[1])) for hit in pattern.finditer(block)]
    if not spans:
        return (np.zeros(0, np.int64),) * 3
    starts, ends, closed = (np.array(part) for part in zip(*spans, strict=True))
    closes = ends[closed] - 1
    after = closes[closes + 1 < len(flat)] + 1
    edge = np.isin(flat[after], [ord(delimiter), _LF, _CR])
    return starts, closes, after[~edge]
