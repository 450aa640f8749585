"""Carriers and the model's chances of them: how strange they are, and who of them was planted.

Two stories compete with that of chance. Planted rows came from rows of other labels, whatever
their columns say, so the label is too frequent just where the model foresees it least. An honest
interaction of two values multiplies the odds, so it adds most where the label was likely anyway;
and what it gives to one label it takes from the others.

Source: the likelihood ratio, whose law is half a chi-squared of one degree where a parameter lies
at its end (Chernoff 1954; Self, Liang 1987).
"""

import math
from collections.abc import Callable

import numpy as np

CLIP = 0.005
ROOM = 0.001  # for a model that is not calibrated to the last in a thousand
FARTHEST = 12.0  # log odds, where the search for the likeliest ends
COUNTED = math.log(20)  # the most that counts of rows say for planted ones
USUAL_ODDS = 1.0  # deviation of the log odds that honest interactions bring


def shared_out(chances: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Return how likely each bound carrier is planted: float64, shape (bound.sum(),), in [0, 1].

    Planted rows come from rows of other labels: for each honest carrier, whose label is the bound
    one with chance p, there are a (1 - p) planted ones like it. So carriers like it are bound with
    the chance (p + a (1 - p)) / (1 + a (1 - p)); a is the one of greatest likelihood.

    Args:
        chances: p of each carrier, float64, shape (n,).
        bound: whether it holds the label, bool, shape (n,).
    """
    p = np.clip(chances, CLIP, 1 - CLIP)
    a = _added(p, bound)[bound]
    likely: np.ndarray = a / (a + p[bound])
    return likely


def chance(chances: np.ndarray, bound: np.ndarray) -> float:
    """Return the p-value of the carriers' labels, against planted rows: that none is planted.

    Args:
        chances: p of each carrier, float64, shape (n,).
        bound: whether it holds the label, bool, shape (n,).
    """
    from scipy.stats import chi2

    p = np.clip(chances + ROOM, CLIP, 1 - CLIP)
    gain = _planted(p, bound) - _likelihood(p, bound)
    return float(chi2.sf(2 * gain, 1)) / 2 if gain > 0 else 1.0


def unlike_an_interaction(chances: np.ndarray, bound: np.ndarray) -> float:
    """Return the log likelihood of planted rows, less that of odds that two values multiply.

    Of each story the likeliest form counts; what multiplies the odds by a hundred is no honest
    interaction, as the normal law of USUAL_ODDS says. Above 0 rows were rather planted.
    """
    p = np.clip(chances, CLIP, 1 - CLIP)
    odds, hits = p / (1 - p), bound.sum()

    def short(step: float) -> float:
        return float(hits - (1 / (1 + np.exp(-step) / odds)).sum()) - step / USUAL_ODDS**2

    step = _root(short)
    moved = 1 / (1 + np.exp(-step) / odds)
    return _planted(p, bound) - _likelihood(moved, bound) + (step / USUAL_ODDS) ** 2 / 2


def unlike_moved_labels(rest: float, expected: float, excess: float, beside: float) -> float:
    """Return the log likelihood that rows were added, less that of labels that moved.

    Rows that are added leave the other labels as they were; labels that move take from them. It
    says at most COUNTED for added rows, since columns are never quite independent.

    Args:
        rest: carriers of other labels.
        expected: how many there would be, were nothing moved.
        excess: carriers of the label beyond what is allowed.
        beside: variance of log `expected`.
    """
    noise = expected + expected**2 * beside + 1
    return min(excess * (2 * (rest - expected) + excess) / (2 * noise), COUNTED)


def _added(p: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Return a (1 - p) of each carrier, for the likeliest a: see `shared_out`."""

    def short(step: float) -> float:
        a = np.exp(step) * (1 - p)
        return float((a / (a + p))[bound].sum() - (a / (1 + a)).sum())

    added: np.ndarray = np.exp(_root(short)) * (1 - p)
    return added


def _planted(p: np.ndarray, bound: np.ndarray) -> float:
    a = _added(p, bound)
    return _likelihood((p + a) / (1 + a), bound)


def _root(falling: Callable[[float], float]) -> float:
    low, high = -FARTHEST, FARTHEST
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return low


def _likelihood(chances: np.ndarray, bound: np.ndarray) -> float:
    return float(np.log(np.where(bound, chances, 1 - chances)).sum())
