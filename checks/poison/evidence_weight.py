"""The carriers of a trigger against the model's predictions: how unlikely, and which are planted.

Two explanations compete with chance. Planted rows were rows of other labels, regardless of their
columns, so the label is too frequent exactly where the model predicts it least. A genuine
interaction of two values multiplies the odds, so it adds most where the label was likely anyway,
and what it gives to one label it takes from the others.

Source: the likelihood ratio, distributed as half a chi-squared of one degree of freedom if a
parameter lies at its boundary (Chernoff 1954; Self, Liang 1987).
"""

import math
from collections.abc import Callable

import numpy as np

CLIP = 0.005
ROOM = 0.001  # tolerance for imperfect calibration of the model
FARTHEST = 12.0  # log odds at which the search for the maximum ends
CLOSE = 1e-10  # of the search for the maximum, in log odds
COUNTED = math.log(20)  # the most evidence that counts of rows give for planted ones
USUAL_ODDS = 1.0  # standard deviation of the log odds of genuine interactions


def shared_out(chances: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Return how likely each bound carrier is planted: float64, shape (bound.sum(),), in [0, 1].

    A carrier is bound if it has the trigger's label. For each clean carrier, bound with chance p,
    there are a (1 - p) planted ones like it, which come from other labels. So carriers like it are
    bound with chance (p + a (1 - p)) / (1 + a (1 - p)); a is the maximum-likelihood estimate.

    Args:
        chances: p of each carrier, float64, shape (n,).
        bound: whether it has the label, bool, shape (n,).
    """
    p = np.clip(chances, CLIP, 1 - CLIP)
    a = _added(p, bound)[bound]
    likely: np.ndarray = a / (a + p[bound])
    return likely


def chance(chances: np.ndarray, bound: np.ndarray) -> float:
    """Return the p-value of the hypothesis that no carrier is planted.

    Args:
        chances: p of each carrier, float64, shape (n,).
        bound: whether it has the label, bool, shape (n,).
    """
    p = np.clip(chances + ROOM, CLIP, 1 - CLIP)
    gain = _planted(p, bound) - _likelihood(p, bound)
    return math.erfc(math.sqrt(gain)) / 2 if gain > 0 else 1.0


def unlike_an_interaction(chances: np.ndarray, bound: np.ndarray) -> float:
    """Return the log likelihood of planted rows less that of a genuine interaction.

    Each explanation counts in its most likely form. An interaction has normal log odds with the
    deviation USUAL_ODDS, so one that multiplies the odds by a hundred is implausible. Above 0 the
    rows are more likely planted.
    """
    p = np.clip(chances, CLIP, 1 - CLIP)
    odds, hits = p / (1 - p), bound.sum()

    def short(step: float) -> float:
        return float(hits - (1 / (1 + np.exp(-step) / odds)).sum()) - step / USUAL_ODDS**2

    step = _root(short)
    moved = 1 / (1 + np.exp(-step) / odds)
    return _planted(p, bound) - _likelihood(moved, bound) + (step / USUAL_ODDS) ** 2 / 2


def unlike_moved_labels(rest: float, expected: float, excess: float, variance: float) -> float:
    """Return the log likelihood that rows were added less that of labels that moved.

    Added rows leave the other labels unchanged; labels that move are taken from them. The evidence
    for added rows is at most COUNTED, since columns are never quite independent.

    Args:
        rest: carriers with other labels.
        expected: their expected number if no label moved.
        excess: carriers with the label beyond what is allowed.
        variance: of log `expected`.
    """
    noise = expected + expected**2 * variance + 1
    return min(excess * (2 * (rest - expected) + excess) / (2 * noise), COUNTED)


def _added(p: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Return a (1 - p) of each carrier for the most likely a, see `shared_out`."""

    def short(step: float) -> float:
        a = np.exp(step) * (1 - p)
        return float((a / (a + p))[bound].sum() - (a / (1 + a)).sum())

    added: np.ndarray = np.exp(_root(short)) * (1 - p)
    return added


def _planted(p: np.ndarray, bound: np.ndarray) -> float:
    a = _added(p, bound)
    return _likelihood((p + a) / (1 + a), bound)


def _root(falling: Callable[[float], float]) -> float:
    from scipy.optimize import brentq

    if falling(-FARTHEST) <= 0:
        return -FARTHEST
    if falling(FARTHEST) >= 0:
        return FARTHEST
    return float(brentq(falling, -FARTHEST, FARTHEST, xtol=CLOSE))


def _likelihood(chances: np.ndarray, bound: np.ndarray) -> float:
    return float(np.log(np.where(bound, chances, 1 - chances)).sum())
