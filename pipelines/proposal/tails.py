"""The ends of a column's range: how far beyond the sample the next one may reach.

It is an estimate: a generalised Pareto
tail is fitted to the rows nearest each end (probability-weighted moments, Hosking and Wallis 1987)
and read at a small share of rows. Few rows say little about a tail's shape, so it is drawn towards
a nearly exponential one and then made heavier by its error. Blind to: values of another kind of
row that the sample does not contain.
"""

import dataclasses

import numpy as np

KEPT = 256  # of the least and of the greatest values
LEAST_TAIL = 10  # rows that a tail is fitted to, if available
STEPS = 3  # distinct values of a tail, if available
TAIL_SHARE = 20  # one row in 20 belongs to the tail
USUAL_SHAPE, USUAL_WEIGHT = 0.1, 10  # the shape that a tail is drawn to, weighing as many rows
LIGHTEST, HEAVIEST = -0.5, 1.0  # shapes of tails that are believed
ERRORS = 1.5  # standard errors that a tail is made heavier by
SHARED_ROWS = 5  # rows on one extreme value that make it the end of the scale
FEW = 50  # with fewer rows, the sample's range may be half of the whole one
ROOM = 0.1  # of the range, at least


@dataclasses.dataclass(slots=True)
class Tails:
    """The values nearest the ends of a column, as floats, ascending.

    Attributes:
        rows: with a finite value; total: their sum; least, most: up to KEPT of them each.
    """

    rows: int = 0
    total: float = 0.0
    least: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    most: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))

    def add(self, values: np.ndarray) -> None:
        """Add finite values, in any order."""
        self.rows += len(values)
        with np.errstate(over="ignore", invalid="ignore"):
            self.total += float(values.sum())
        ranked = np.sort(values)
        self.least = np.sort(np.concatenate([self.least, ranked[:KEPT]]))[:KEPT]
        self.most = np.sort(np.concatenate([self.most, ranked[-KEPT:]]))[-KEPT:]

    def rooms(self, share: float) -> tuple[float, float]:
        """Return how far the scale may extend below the least and above the greatest value.

        An end that many rows share is the scale's own (a shortest term, an age capped at 79).

        Args:
            share: of fresh rows that may lie beyond either end, > 0.
        """
        span = float(self.most[-1]) - float(self.least[0]) if self.rows else 0.0
        usual = ROOM * span or abs(float(self.most[-1])) * ROOM or 1.0
        wide = max(usual, min(1.0, FEW / self.rows) * span)
        below, above = -self.least[::-1], self.most
        return tuple(  # type: ignore[return-value]  # two in, two out
            usual if _is_shared(end) else max(wide, _beyond(end, self.rows, share))
            for end in (below, above)
        )

    def is_crowded(self) -> bool:
        """Return whether values crowd at the low end: many on it, or a mean near it."""
        if _is_shared(-self.least[::-1]):
            return True
        mean, low, high = self.total / self.rows, float(self.least[0]), float(self.most[-1])
        return 2 * (mean - low) < high - mean


def _is_shared(end: np.ndarray) -> bool:
    """Return whether many rows have the greatest value, not far fewer than have other values.

    Counts of rare events also end on a shared value, but it has fewer rows than those before it.
    """
    on_it = int(np.count_nonzero(end == end[-1]))
    others = max(1, len(np.unique(end)) - 1)
    return on_it >= SHARED_ROWS and 2 * on_it * others >= len(end) - on_it


def _beyond(end: np.ndarray, rows: int, share: float) -> float:
    """Return how far above the greatest value the tail's shape leaves only `share` of the rows."""
    steps = np.unique(end)
    stepped = np.count_nonzero(end > steps[-STEPS - 1]) if len(steps) > STEPS else 0
    count = min(len(end) - 1, max(rows // TAIL_SHARE, LEAST_TAIL, int(stepped)))
    if count < 3:  # noqa: PLR2004  two moments need three
        return 0.0
    start = float(end[-count - 1])
    width = float(end[-1]) - start
    if not 0 < width < float("inf"):
        return 0.0
    excess = (end[-count:] / width) - (start / width)  # scaled so that no sum overflows
    middle, shape = float(np.median(excess)), _shape(excess)
    depth = max(count / (rows * share), count)
    by_middle = middle / _times(2.0, shape) * _times(depth, shape)
    by_greatest = _times(depth, shape) / _times(count, shape)
    return max(0.0, max(by_middle, by_greatest) - 1) * width


def _shape(excess: np.ndarray) -> float:
    """Return the shape of a generalised Pareto tail, plus a margin for its error."""
    count = len(excess)
    ranks = (np.arange(1, count + 1) - 0.35) / count
    mean, weighted = float(excess.mean()), float(np.mean((1 - ranks) * excess))
    rest = mean - 2 * weighted
    fitted = 2 - mean / rest if rest > 0 else HEAVIEST
    fitted = min(max(fitted, LIGHTEST), HEAVIEST)
    drawn = (count * fitted + USUAL_WEIGHT * USUAL_SHAPE) / (count + USUAL_WEIGHT)
    error = (1 + max(drawn, 0.0)) / (count + USUAL_WEIGHT) ** 0.5
    return min(drawn + ERRORS * float(error), HEAVIEST)


def _times(depth: float, shape: float) -> float:
    """Return the excess at one in `depth` rows of the tail, in units of its scale."""
    if abs(shape) < 1e-6:  # noqa: PLR2004
        return float(np.log(depth))
    made: float = (depth**shape - 1) / shape
    return made
