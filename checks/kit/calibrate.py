"""From scores to thresholds, with an estimate of the share of false alarms.

`cut` spends a budget of false alarms. `Tail` says how far a column's own tail reaches.
`conformal` compares with trusted rows. None of them is a guarantee; each states its estimate.
Source: generalised Pareto tails (Pickands 1975); conformal p-values (Vovk et al. 2005).
"""

import dataclasses

import numpy as np

LEAST_GROUP = 10  # rows that one test must flag before their number counts as evidence
LARGE_GROUP = 20  # rows of a group before which even a narrow gap is no coincidence
MOST_GROUP = 0.02  # of the rows; a larger group is structure
TROUGH = 0.75  # width of the gap before a group, in -log probability
NARROW = 0.5  # the same before a large group, in -log of the probability in the actual tail
GAPS = 20.0  # usual gaps between neighbours that the gap before a large group must span
FASTEST = 10.0  # a tail may fall off at most so many times faster than fitted
ALIKE = 0.8  # share of the most flags of a test; tests with more are the first to be limited
NEAR = 1e-12  # values closer than this are one value


def cut(legitimate: np.ndarray, alpha: float) -> tuple[float, float]:
    """Return (threshold, share): flag rows below it; the expected share of false alarms.

    The threshold lies between two observed values, so that rounding cannot move a row across it. It
    is -1 if no row may be flagged.

    Args:
        legitimate: probability that each row is legitimate, shape (n,).
        alpha: accepted share of false alarms.
    """
    values = np.sort(legitimate)
    mean = np.cumsum(values) / np.arange(1, len(values) + 1)
    allowed = np.flatnonzero(mean <= alpha)
    # equal values are on the same side
    ends = np.flatnonzero(np.append(np.diff(values) > NEAR, True))
    allowed = np.intersect1d(allowed, ends)
    if not len(allowed):
        return -1.0, 0.0
    last = int(allowed[-1])
    after = values[last + 1] if last + 1 < len(values) else 1.0
    return float((values[last] + after) / 2), float(mean[last])


@dataclasses.dataclass(frozen=True, slots=True)
class Tail:
    """Upper tail of scores: beyond `start`, which a share `mass` passes, generalised Pareto."""

    start: float
    mass: float
    scale: float
    shape: float

    def beyond(self, values: np.ndarray) -> np.ndarray:
        """Return the probability that a legitimate row scores beyond each value; in [0, mass]."""
        excess = np.maximum(values - self.start, 0.0) / self.scale
        with np.errstate(over="ignore"):
            chance: np.ndarray = self.mass * (1 + self.shape * excess) ** (-1 / self.shape)
        return chance


def tail(values: np.ndarray, *, least_shape: float = 0.1, most_shape: float = 0.5) -> Tail:
    """Fit an upper tail to inner quantiles only, so that up to 2 % of outliers hardly move it.

    Args:
        values: float64, shape (n,), finite.
        least_shape: lower bound of the shape; a larger shape is more cautious.
        most_shape: upper bound of the shape.
    """
    low, mid, high = np.quantile(values, [0.80, 0.90, 0.95])
    first, second = mid - low, high - mid
    shape = np.log2(max(second, 1e-12) / max(first, 1e-12))  # Pickands, 1975
    error = 2.0 / np.sqrt(max(0.05 * len(values), 1.0))
    shape = float(np.clip(shape + error, least_shape, most_shape))
    steps = (first * shape / (2**shape - 1), second * shape / (2**shape - 1) / 2**shape)
    floor = 1e-9 + 0.05 * float(np.std(np.clip(values, None, high)))
    return Tail(float(low), 0.20, float(max(*steps, floor)), shape)


def conformal(values: np.ndarray, trusted: np.ndarray) -> np.ndarray:
    """Return (1 + trusted scores at or above) / (1 + trusted) for each value; in (0, 1]."""
    ranks = np.searchsorted(np.sort(trusted), values, side="left")
    chance: np.ndarray = (1 + len(trusted) - ranks) / (1 + len(trusted))
    return chance


def alone(
    chances: np.ndarray, *, alpha: float, rows: int, most: float = MOST_GROUP, in_all: float = 1.0
) -> np.ndarray:
    """Return the probability below which each test flags a single row, shape (tests,).

    Benjamini and Hochberg (1995) over all rows and tests; a single row is tested against all rows.

    Args:
        chances: probabilities of the sampled rows, shape (n, tests).
        alpha: accepted share of false alarms among flagged rows.
        rows: number of rows in the whole dataset, >= n.
        most: share of the rows that one test may flag; 1 if the tails are those of trusted rows.
        in_all: share of the rows that all tests together may flag.
    """
    count, tests = chances.shape
    crowded = np.zeros(tests, bool)
    while True:
        left = np.where(crowded, 1.0, chances)
        each = np.sort(left.min(1, initial=1.0)) * max(tests, 1)
        passed = np.flatnonzero(each <= alpha * np.arange(1, count + 1) / count)
        held = int(passed[-1]) + 1 if len(passed) else 0
        limit = max(held * alpha / count, alpha / rows) / max(tests, 1)
        hits = left < limit
        share = hits.mean(0)
        largest = share.max(initial=0.0)
        if largest <= most and hits.any(1).mean() <= in_all:
            return np.where(crowded, 0.0, limit)
        # what so many rows share is structure and says nothing about the others
        crowded |= share >= (largest if largest > most else ALIKE * largest)


def grouped(chances: np.ndarray, trusted: np.ndarray | None, *, alpha: float) -> np.ndarray:
    """Return the probability below which each test flags a group for its size, 0 for no group.

    A group is more rows than the tail leads to expect, or than trusted rows show; or it lies beyond
    a gap, since the tail of legitimate rows thins out and never rises.

    Args:
        chances: of the sample, shape (n, tests), by the tails; 1 where a test does not look.
        trusted: the same of trusted rows, shape (m, tests), or None.
        alpha: accepted share of false alarms among flagged rows.
    """
    count, tests = chances.shape
    most = int(MOST_GROUP * count) + 1
    made = np.zeros(tests)
    for number in range(tests):
        ranked = np.sort(chances[:, number])[: most + 1]
        expected = ranked * count
        if trusted is not None:
            below = np.searchsorted(np.sort(trusted[:, number]), ranked, side="right")
            expected = np.minimum(expected, (1 + below) / (1 + len(trusted)) * count)
        order = np.arange(1, len(ranked) + 1)
        wide = np.full(len(ranked), TROUGH)
        gap = np.minimum(
            _beyond_gap(ranked, wide, wide, count), _beyond_gap(ranked, *_narrow(ranked), count)
        )
        group = np.flatnonzero(
            (np.minimum(expected, gap) <= alpha * order) & (order >= LEAST_GROUP)
        )
        if len(group) and group[-1] + 1 < len(ranked):
            made[number] = float(ranked[group[-1] : group[-1] + 2].mean())
    return made


def within(chances: np.ndarray, limits: np.ndarray, lone: np.ndarray, in_all: float) -> np.ndarray:
    """Return limits by which all tests together flag at most a share of the rows.

    If they flag more, the tests with the largest groups fall back to the limit for single rows, and
    then to none.

    Args:
        chances: of the sample, shape (n, tests).
        limits: of each test, shape (tests,).
        lone: the limits for single rows, from `alone`.
        in_all: share of the rows.
    """
    made = limits.copy()
    while (hits := chances < made).any(1).mean() > in_all:
        share = hits.mean(0)
        largest = share >= ALIKE * share.max()
        made[largest] = np.where(made > lone, lone, 0.0)[largest]
    return made


def _narrow(ranked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row the gap that reveals a large group, and the tail's decline across it.

    A cautiously fitted tail falls off too slowly. The next rows show its actual rate: as many as
    the group has should lie within a doubling.
    """
    order = np.arange(1, len(ranked) + 1)
    first, last = (ranked[np.minimum(at, len(ranked) - 1)] for at in (order, 2 * order))
    is_known = (order >= LARGE_GROUP) & (2 * order < len(ranked)) & (last < 1)
    with np.errstate(divide="ignore"):
        rate = np.where(is_known, np.log(2) / np.log(np.maximum(last / first, 1 + 1e-9)), 1.0)
    rate = np.clip(rate, 1.0, FASTEST)
    fall = np.maximum(NARROW, GAPS / order)  # in -log of the chance that the tail really leaves
    return np.where(is_known, fall / rate, np.inf), fall


def _beyond_gap(ranked: np.ndarray, width: np.ndarray, fall: np.ndarray, count: int) -> np.ndarray:
    # a tail with few rows within a width has fewer beyond it: as many as would make it fall off by
    # the factor e^fall in between
    ends = ranked * np.exp(np.minimum(width, 700))
    after = np.searchsorted(ranked, ends, side="right")
    # a probability of 1 is a row that the test does not cover: the gap must end before those
    covered = ranked[ranked < 1].max(initial=0.0)
    inside = (after - np.arange(len(ranked))) / np.expm1(fall)
    made: np.ndarray = np.where(ends < covered, inside, count)
    return made
