"""Hits: where a text holds personal data, and which of its spans are already accounted for."""

import bisect
import dataclasses
from collections.abc import Iterable


class UnscannedError(Exception):
    """A text that could not be searched to its end; says why and quotes no text."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Hit:
    """Personal data at [start, end) of a text.

    Attributes:
        start, end: characters, half open.
        entity: Presidio's entity type, or SECRET, or DENIED.
        score: in (0, 1].
    """

    start: int
    end: int
    entity: str
    score: float


class SpanSet:
    """A set of spans, kept disjoint and in order; finds an overlap in O(log n)."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        """Collect spans, half open; they may overlap."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):
            if self._ends and start < self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def overlaps(self, start: int, end: int) -> bool:
        """Return whether a span shares a character with one of the set."""
        at = bisect.bisect_left(self._starts, end)
        return at > 0 and self._ends[at - 1] > start

    def add(self, start: int, end: int) -> None:
        """Add a span that overlaps none."""
        at = bisect.bisect_left(self._starts, start)
        self._starts.insert(at, start)
        self._ends.insert(at, end)
