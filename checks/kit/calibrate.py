"""From scores to the share of honest rows among those that are accused.

`lapse` tells class overlap from label errors: overlap fades as a model grows surer, errors stay
at a floor. `cut` spends a budget of false accusations. `Tail` says how far a column's own tail
reaches. `conformal` compares with trusted rows. None is a guarantee; each states its estimate.
Source: lapse rates of psychometric functions (Wichmann, Hill 2001); generalised Pareto tails
(Pickands 1975); conformal p-values (Vovk et al. 2005).
"""

import dataclasses

import numpy as np

FLOORS = np.concatenate([[0.0], np.geomspace(1e-5, 0.3, 40)])
PRIOR_SD = 0.5  # of slope about 1 and intercept about 0: a model that is calibrated
DROP = 1.35  # log likelihood given up for the lower bound: one-sided 95 %
BINS = 100
ROUNDS = 30
NEAR = 1e-12  # values closer than this are one value


@dataclasses.dataclass(frozen=True, slots=True)
class Lapse:
    """P(label is c | logit z) = floor + (1 - 2 floor) sigmoid(slope z + intercept).

    Attributes:
        best: (floor, slope, intercept) of greatest likelihood.
        low: the same at the smallest floor that the data allow; blames overlap the most.
    """

    best: tuple[float, float, float]
    low: tuple[float, float, float]

    def honest(self, logits: np.ndarray, *, best: bool = False) -> np.ndarray:
        """Return the chance that a label given at this logit is honest, shape as `logits`."""
        floor, slope, intercept = self.best if best else self.low
        overlap = (1 - 2 * floor) * sigmoid(slope * logits + intercept)
        share: np.ndarray = overlap / (overlap + floor + 1e-12)
        return share


NO_ERRORS = Lapse((0.0, 1.0, 0.0), (0.0, 1.0, 0.0))


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-values)) without overflow."""
    made: np.ndarray = 1 / (1 + np.exp(-np.clip(values, -500, 500)))
    return made


def logits(chances: np.ndarray) -> np.ndarray:
    """Return log odds, clipped at one in a million."""
    kept = np.clip(chances, 1e-6, 1 - 1e-6)
    made: np.ndarray = np.log(kept / (1 - kept))
    return made


def lapse(where: np.ndarray, given: np.ndarray) -> Lapse:
    """Fit floor, slope and intercept by maximum likelihood, with the floor's lower bound.

    Args:
        where: float64, shape (n,), logit of one class for rows whose best class is another.
        given: bool, shape (n,), whether the row is labelled with that class all the same.
    """
    if not given.any():
        return NO_ERRORS
    at, hits, total = _binned(where, given)
    slope, intercept, gain = _profile(at, hits, total)
    best = int(np.argmax(gain))
    low = int(np.flatnonzero(gain >= gain[best] - DROP)[0])

    def chosen(index: int) -> tuple[float, float, float]:
        return float(FLOORS[index]), float(slope[index]), float(intercept[index])

    return Lapse(chosen(best), chosen(low))


def cut(honest: np.ndarray, alpha: float) -> tuple[float, float]:
    """Return (threshold, share): accuse where honest < threshold; share of honest ones expected.

    The threshold lies between two values seen, so that rounding cannot move a row over it. It is
    -1 where no row may be accused.
    """
    values = np.sort(honest)
    mean = np.cumsum(values) / np.arange(1, len(values) + 1)
    allowed = np.flatnonzero(mean <= alpha)
    # equal values stand or fall together
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
        """Return the chance that an honest row's score is beyond each value; in [0, mass]."""
        excess = np.maximum(values - self.start, 0.0) / self.scale
        with np.errstate(over="ignore"):
            chance: np.ndarray = self.mass * (1 + self.shape * excess) ** (-1 / self.shape)
        return chance


def tail(values: np.ndarray, *, least_shape: float = 0.1, most_shape: float = 0.5) -> Tail:
    """Fit an upper tail from inner quantiles alone, so that up to 2 % of outliers hardly move it.

    Args:
        values: float64, shape (n,), finite.
        least_shape: lower bound of the shape; more than the data say is the careful side.
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
    """Return (1 + trusted scores at or above) / (1 + trusted), for each value; in (0, 1]."""
    ranks = np.searchsorted(np.sort(trusted), values, side="left")
    chance: np.ndarray = (1 + len(trusted) - ranks) / (1 + len(trusted))
    return chance


def _binned(where: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.argsort(where, kind="stable")
    starts = np.unique(np.linspace(0, len(order), BINS + 1).astype(int)[:-1])
    total = np.diff(np.append(starts, len(order))).astype(float)
    at = np.add.reduceat(where[order], starts) / total
    return at, np.add.reduceat(given[order].astype(float), starts), total


def _profile(
    at: np.ndarray, hits: np.ndarray, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Fisher scoring for all floors at once, damped; arrays have shape (floors, bins)
    floor = FLOORS[:, None]
    slope, intercept = np.ones(len(FLOORS)), np.zeros(len(FLOORS))
    gain = _gain(at, hits, total, slope, intercept)
    for _ in range(ROUNDS):
        overlap = sigmoid(slope[:, None] * at + intercept[:, None])
        rate = np.clip(floor + (1 - 2 * floor) * overlap, 1e-9, 1 - 1e-9)
        lean = (1 - 2 * floor) * overlap * (1 - overlap)
        spread = rate * (1 - rate)
        pull = (hits - total * rate) * lean / spread
        weight = total * lean**2 / spread
        prior = 1 / PRIOR_SD**2
        first = (pull * at).sum(1) - (slope - 1) * prior
        second = pull.sum(1) - intercept * prior
        aa, ab, bb = (weight * at**2).sum(1) + prior, (weight * at).sum(1), weight.sum(1) + prior
        det = aa * bb - ab**2
        move = np.stack([(bb * first - ab * second) / det, (aa * second - ab * first) / det])
        for step in (1.0, 0.3, 0.05):
            tried = slope + step * move[0], intercept + step * move[1]
            better = (after := _gain(at, hits, total, *tried)) > gain
            slope = np.where(better, tried[0], slope)
            intercept = np.where(better, tried[1], intercept)
            gain = np.where(better, after, gain)
            move = move * ~better
    return slope, intercept, gain


def _gain(
    at: np.ndarray, hits: np.ndarray, total: np.ndarray, slope: np.ndarray, intercept: np.ndarray
) -> np.ndarray:
    floor = FLOORS[:, None]
    overlap = sigmoid(slope[:, None] * at + intercept[:, None])
    rate = np.clip(floor + (1 - 2 * floor) * overlap, 1e-9, 1 - 1e-9)
    likely = (hits * np.log(rate) + (total - hits) * np.log1p(-rate)).sum(1)
    gain: np.ndarray = likely - ((slope - 1) ** 2 + intercept**2) / (2 * PRIOR_SD**2)
    # a slope that is not positive would call the surest rows the likeliest
    return np.where(slope > 0, gain, -np.inf)
