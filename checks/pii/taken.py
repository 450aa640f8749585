"""Parts of a text that are taken, asked whether another one overlaps them; O(log n) a question."""

import bisect
from collections.abc import Iterable


class Taken:
    """A set of spans, kept as disjoint ones in order."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        """Take spans, half open; they may overlap."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):
            if self._ends and start < self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def overlaps(self, start: int, end: int) -> bool:
        """Return whether a span shares a character with one that is taken."""
        at = bisect.bisect_left(self._starts, end)
        return at > 0 and self._ends[at - 1] > start

    def add(self, start: int, end: int) -> None:
        """Take a span that overlaps none."""
        at = bisect.bisect_left(self._starts, start)
        self._starts.insert(at, start)
        self._ends.insert(at, end)
