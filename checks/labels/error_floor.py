"""Label errors as a floor: class overlap fades as a model becomes more certain, errors do not.

For each pair of classes, the rate of labels that contradict the model is fitted as overlap plus a
floor of errors; the smallest plausible floor (95 %, one-sided) decides. It complements
`noise_channel`, which fits all classes at once but needs a model that is certain of some rows: the
floor finds errors even where the model is never certain.
Source: lapse rates of psychometric functions (Wichmann, Hill 2001).
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

_FLOORS = np.concatenate([[0.0], np.geomspace(1e-5, 0.3, 40)])
_BENDS = (0.0, 0.5, 1.0)  # share of the floor that the model has learnt
# every combination of floor and bend, by ascending floor
FLOORS, BENDS = np.repeat(_FLOORS, len(_BENDS)), np.tile(_BENDS, len(_FLOORS))
PRIOR_SD = 0.5  # of the slope around 1 and the intercept around 0: a calibrated model
DROP = 1.35  # loss of log likelihood at the lower bound: one-sided 95 %
EVIDENCE = 5.0  # log likelihood that a floor must gain before any row is quarantined
BINS = 100
ROUNDS = 30
LEAST_OF_PAIR = 20  # contradicting labels that a pair needs for a curve of its own


@dataclasses.dataclass(frozen=True, slots=True)
class Lapse:
    """P(label is c | logit z) = floor + (1 - 2 floor) sigmoid(slope bent(z) + intercept).

    `bent` removes what the model itself has learnt of the floor, see `_bent`.

    Attributes:
        best: (floor, slope, intercept, bend) of maximum likelihood.
        low: the same at the smallest plausible floor, which explains the most by overlap.
    """

    best: tuple[float, float, float, float]
    low: tuple[float, float, float, float]

    def correct(self, logits: np.ndarray) -> np.ndarray:
        """Return the chance that a label given at this logit is correct, shape as `logits`."""
        floor, slope, intercept, bend = self.low
        at = _bent(logits, np.array(bend * floor))
        overlap = (1 - 2 * floor) * sigmoid(slope * at + intercept)
        share: np.ndarray = overlap / (overlap + floor + 1e-12)
        return share


NO_ERRORS = Lapse((0.0, 1.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0))


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
        where: float64, shape (n,), logit of one class in rows whose most likely class is another.
        given: bool, shape (n,), whether the row is labelled with that class nevertheless.
    """
    if not given.any():
        return NO_ERRORS
    at, hits, total = _binned(where, given)
    slope, intercept, gain = _profile(at, hits, total)
    # the plain curve ranks better: a bent one has ties where it is most certain
    best = int(np.argmax(np.where(BENDS == 0, gain, -np.inf)))
    most = float(gain.max())
    is_sure = most - float(gain[FLOORS == 0].max()) >= EVIDENCE
    low = int(np.flatnonzero(gain >= most - DROP)[0]) if is_sure else 0
    made = [tuple(map(float, four)) for four in zip(FLOORS, slope, intercept, BENDS, strict=True)]
    return Lapse(made[best], made[low])  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True, slots=True)
class Floors:
    """A curve for each pair (most likely class, given class)."""

    curves: Mapping[tuple[int, int], Lapse]

    def correct(self, chances: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return the chance that each label is correct, at the fewest errors: float64, shape (n,).

        Args:
            chances: out-of-fold probabilities, shape (n, classes).
            given: class of each label, int64, shape (n,).
        """
        best, where = chances.argmax(1), logits(chances[np.arange(len(given)), given])
        found = np.ones(len(given))
        for (first, second), curve in self.curves.items():
            mine = (best == first) & (given == second)
            found[mine] = curve.correct(where[mine])
        return found


def floors(chances: np.ndarray, given: np.ndarray) -> Floors:
    """Fit a curve per pair; pairs with few contradicting labels share a pooled one."""
    best, where = chances.argmax(1), logits(chances)
    count = chances.shape[1]
    rest = [(where[best != c, c], given[best != c] == c) for c in range(count)]
    pooled = lapse(np.concatenate([at for at, _ in rest]), np.concatenate([hit for _, hit in rest]))
    curves = {}
    for likely in range(count):
        mine = best == likely
        for given_as in range(count):
            hit = given[mine] == given_as
            if given_as != likely and hit.any():
                own = hit.sum() >= LEAST_OF_PAIR
                curves[likely, given_as] = lapse(where[mine, given_as], hit) if own else pooled
    return Floors(curves)


def _bent(logit: np.ndarray, learnt: np.ndarray) -> np.ndarray:
    # a model trained on wrong labels never predicts less than their share: p becomes p - share
    # where p is much greater, and falls off smoothly below
    chance = sigmoid(logit)
    kept = np.maximum(learnt, 1e-12)
    rest = np.where(learnt > 0, chance - kept * -np.expm1(-chance / kept), chance)
    return np.where(learnt > 0, np.log(np.maximum(rest, 1e-9) / (1 - rest)), logit)


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
    at = _bent(at[None, :], (BENDS * FLOORS)[:, None])
    slope, intercept = np.ones(len(FLOORS)), np.zeros(len(FLOORS))
    gain = _gain(at, FLOORS[:, None], hits, total, slope, intercept)
    left = np.arange(len(FLOORS))  # the floors that a step still improves
    for _ in range(ROUNDS):
        own, floor = at[left], FLOORS[left, None]
        move = _step(own, floor, hits, total, slope[left], intercept[left])
        open_ = np.ones(len(left), bool)
        for step in (1.0, 0.3, 0.05):
            rows = left[open_]
            tried = slope[rows] + step * move[0, open_], intercept[rows] + step * move[1, open_]
            after = _gain(own[open_], floor[open_], hits, total, *tried)
            better = after > gain[rows]
            hit = rows[better]
            slope[hit], intercept[hit], gain[hit] = (
                tried[0][better],
                tried[1][better],
                after[better],
            )
            open_[np.flatnonzero(open_)[better]] = False
        left = left[~open_]
        if not len(left):
            break
    return slope, intercept, gain


def _step(
    at: np.ndarray,
    floor: np.ndarray,
    hits: np.ndarray,
    total: np.ndarray,
    slope: np.ndarray,
    intercept: np.ndarray,
) -> np.ndarray:
    """Return the full step of slope and intercept, shape (2, floors)."""
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
    return np.stack([(bb * first - ab * second) / det, (aa * second - ab * first) / det])


def _gain(
    at: np.ndarray,
    floor: np.ndarray,
    hits: np.ndarray,
    total: np.ndarray,
    slope: np.ndarray,
    intercept: np.ndarray,
) -> np.ndarray:
    overlap = sigmoid(slope[:, None] * at + intercept[:, None])
    rate = np.clip(floor + (1 - 2 * floor) * overlap, 1e-9, 1 - 1e-9)
    likely = (hits * np.log(rate) + (total - hits) * np.log1p(-rate)).sum(1)
    gain: np.ndarray = likely - ((slope - 1) ** 2 + intercept**2) / (2 * PRIOR_SD**2)
    # a slope that is not positive would rank the most certain rows as the most overlapping
    return np.where(slope > 0, gain, -np.inf)
