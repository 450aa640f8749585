"""Finds the rows of CSV text by their bytes, before any parser sees them.

A quote opens a quoted cell only at the start of a cell, a doubled quote inside it stands for one
quote, and only a delimiter or a line ending may follow the closing quote. A quote inside an
unquoted cell (`5" pipe`) is an ordinary character. Line endings are LF, CR LF and CR.

If every quote of a block lies at an edge of a cell, the parity of quotes separates inside from
outside in numpy; otherwise a compiled pattern goes through the quoted cells one by one. Both agree.
Delimiters are numerous and therefore located only when the number of cells is requested. A comment
line, which a dialect may allow, is a row here like any other, but its quotes are plain characters.
"""

import dataclasses
import functools
import re

import numpy as np

_LF, _CR = ord("\n"), ord("\r")
_NONE = np.zeros(0, np.int64)


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of a block.

    Attributes:
        block: the text.
        delimiter: one ASCII byte.
        starts, ends: int64, shape (n,), byte range of each row without its line ending.
        lines: int64, shape (n,), number of lines that each row spans.
        broken: bool, shape (n,), whether text follows a closing quote.
        used: number of bytes that these rows and their line endings take up.
        is_open: whether the block ends inside a quoted cell.
        ends_bare: whether the last row has no line ending.
        is_plain: whether every quote lies at an edge of a cell.
        is_comment: bool, shape (n,), whether the row is a comment line.
        line_ends: numbers of rows that end in LF, CR LF and CR.
        opens, closes: int64, where quoted cells start and end.
    """

    block: bytes
    delimiter: bytes
    starts: np.ndarray
    ends: np.ndarray
    lines: np.ndarray
    broken: np.ndarray
    used: int
    is_open: bool
    ends_bare: bool
    is_plain: bool
    is_comment: np.ndarray
    line_ends: tuple[int, int, int]
    opens: np.ndarray
    closes: np.ndarray

    @functools.cached_property
    def cells(self) -> np.ndarray:
        """Return the number of cells of each row: int64, shape (n,)."""
        outside = self._marks[~_within(self._marks, self.opens, self.closes)]
        counts: np.ndarray = _counts(outside, self.starts, self.ends) + 1
        return counts

    @functools.cached_property
    def hidden(self) -> np.ndarray:
        """Return the number of delimiters within quoted cells: int64, shape (n,)."""
        counts: np.ndarray = _counts(self._marks, self.starts, self.ends) - self.cells + 1
        return counts

    @functools.cached_property
    def _marks(self) -> np.ndarray:
        marks: np.ndarray = np.flatnonzero(
            np.frombuffer(self.block, np.uint8) == ord(self.delimiter)
        )
        return marks


def find_rows(
    block: bytes, delimiter: bytes, quote: bytes = b'"', *, comment: bytes = b"", is_last: bool
) -> Rows:
    """Find the rows of a block that starts at the beginning of a row.

    Args:
        block: the text.
        delimiter: one ASCII byte.
        quote: one ASCII byte; empty if cells are never quoted.
        comment: one ASCII byte that begins comment lines; empty if there are none.
        is_last: whether the text ends with the block; otherwise everything after the last line
            ending is left for the next block.
    """
    flat = np.frombuffer(block, np.uint8)
    stops, nexts, kinds = _line_ends(block, flat, is_last=is_last)
    all_stops = stops
    opens, closes, faults, is_plain = _NONE, _NONE, _NONE, True
    if quote and quote in block:
        opens, closes, faults, is_plain = _quoted(block, flat, delimiter + quote + comment)
        outside = ~_within(stops, opens, closes)
        if not outside.all():
            stops, nexts, kinds = stops[outside], nexts[outside], kinds[outside]
    starts = np.concatenate(([0], nexts))
    ends_bare = bool(is_last and starts[-1] < len(block))
    if ends_bare:
        stops = np.append(stops, len(block))
    starts = starts[: len(stops)]
    lines = np.ones(len(stops), np.int64)
    if len(all_stops) + ends_bare != len(stops):
        lines += _counts(all_stops, starts, stops)
    return Rows(
        block=block,
        delimiter=delimiter,
        starts=starts,
        ends=stops,
        lines=lines,
        broken=_broken(faults, starts, stops),
        used=len(block) if ends_bare else int(nexts[-1]) if len(nexts) else 0,
        is_open=len(opens) > len(closes),
        ends_bare=ends_bare,
        is_plain=is_plain,
        is_comment=_begins(flat, starts, stops, comment),
        line_ends=tuple(np.bincount(kinds, minlength=3).tolist()),
        opens=opens,
        closes=closes,
    )


def _counts(places: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return how many of the positions lie between each start and its end."""
    counts: np.ndarray = np.searchsorted(places, ends) - np.searchsorted(places, starts)
    return counts


def _within(places: np.ndarray, opens: np.ndarray, closes: np.ndarray) -> np.ndarray:
    """Return which positions lie in quoted cells."""
    if not len(opens):
        return np.zeros(len(places), bool)
    inside: np.ndarray = np.searchsorted(opens, places) > np.searchsorted(closes, places)
    return inside


def _broken(faults: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    broken = np.zeros(len(stops), bool)
    if len(faults) and len(stops):
        faults = faults[faults < stops[-1]]
        broken[np.searchsorted(starts, faults, "right") - 1] = True
    return broken


def _begins(flat: np.ndarray, starts: np.ndarray, stops: np.ndarray, char: bytes) -> np.ndarray:
    """Return which rows begin with a character: bool, shape (n,)."""
    found = np.zeros(len(stops), bool)
    if char and len(flat):
        found = (flat[np.minimum(starts, len(flat) - 1)] == ord(char)) & (stops > starts)
    return found


def _line_ends(
    block: bytes, flat: np.ndarray, *, is_last: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where each line stops and the next starts, and its ending: 0 LF, 1 CR LF, 2 CR."""
    feeds = np.flatnonzero(flat == _LF)
    if b"\r" not in block:
        return feeds, feeds + 1, np.zeros(len(feeds), np.uint8)
    returns = np.flatnonzero(flat == _CR)
    if not is_last and flat[-1] == _CR:
        returns = returns[:-1]  # its LF may be in the next block
    follows = flat[np.minimum(returns + 1, len(flat) - 1)] == _LF
    follows &= returns + 1 < len(flat)
    alone = returns[~follows]
    paired = np.isin(feeds, returns[follows] + 1, assume_unique=True)
    stops = np.concatenate((feeds - paired, alone))
    nexts = np.concatenate((feeds + 1, alone + 1))
    kinds = np.concatenate((paired.astype(np.uint8), np.full(len(alone), 2, np.uint8)))
    order = np.argsort(stops, kind="stable")
    return stops[order], nexts[order], kinds[order]


def _quoted(
    block: bytes, flat: np.ndarray, marks: bytes
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Return where quoted cells open and close, where faults lie, and whether parity sufficed.

    `marks` are the delimiter, the quote and, if there are comment lines, what they begin with.
    """
    delimiter, quote, comment = marks[:1], marks[1:2], marks[2:]
    quotes = np.flatnonzero(flat == ord(quote))
    opens, closes = quotes[::2], quotes[1::2]
    if not _has_comment(block, comment) and _at_edges(flat, opens, closes, delimiter + quote):
        return opens, closes, _NONE, True
    return *_walk(block, flat, marks), False


def _has_comment(block: bytes, comment: bytes) -> bool:
    ends = (b"\n" + comment, b"\r" + comment)
    return bool(comment) and (block.startswith(comment) or any(end in block for end in ends))


def _at_edges(flat: np.ndarray, opens: np.ndarray, closes: np.ndarray, marks: bytes) -> bool:
    """Return whether every quote opens or closes a cell, or is half of a doubled quote."""
    edge = np.zeros(256, bool)
    edge[[*marks, _LF, _CR]] = True
    before = flat[np.maximum(opens - 1, 0)]
    after = flat[np.minimum(closes + 1, len(flat) - 1)]
    return bool(edge[before].all() and edge[after].all())


def _walk(
    block: bytes, flat: np.ndarray, marks: bytes
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mark, q = re.escape(marks[:1]), re.escape(marks[1:2])
    text = rb"[^" + q + rb"]*+"
    cell = q + text + rb"(?:" + q + q + text + rb")*+(" + q + rb"?)"
    whole = rb"(?:(?<=[" + mark + rb"\r\n])|\A)" + cell
    if comment := marks[2:]:  # a comment line is matched as a whole, so that its quotes are passed
        whole = rb"(?:(?<=[\r\n])|\A)" + re.escape(comment) + rb"[^\r\n]*+|" + whole
    hits = re.compile(whole, re.DOTALL).finditer(block)
    spans = [(hit.start(), hit.end(), bool(hit[1])) for hit in hits if hit[1] is not None]
    if not spans:
        return _NONE, _NONE, _NONE
    starts, ends, closed = (np.array(part) for part in zip(*spans, strict=True))
    closes = ends[closed] - 1
    after = closes[closes + 1 < len(flat)] + 1
    edge = np.isin(flat[after], [marks[0], _LF, _CR])
    return starts, closes, after[~edge]
