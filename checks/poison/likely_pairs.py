"""Which pairs of columns are searched for pairs of values: the likeliest, or all if they are few.

Two planted values are both more common among the rows of their label than elsewhere, and meet there
more often than chance lets them. In a wide table one product of matrices counts how often the most
raised values meet, and only the pairs of columns that stand out are tested. So the cost does not
grow with the square of the columns.
"""

import itertools
import math

import numpy as np

from checks.poison.frequent_values import Frequent

MAX_PAIRS = 2000  # of columns
RAISED = 1024  # values, at most, whose meetings are counted for each label
LIKELY_Z = 3.0  # deviations by which two values must meet more often than chance lets them
PRODUCTS = 1e10  # multiplications, at most, over all labels
AT_ONCE = 8192  # rows


def likely_pairs(
    values: Frequent, labels: np.ndarray, classes: int, low: int
) -> list[tuple[int, int]]:
    """Return pairs of fields, the smaller first, in ascending order.

    Args:
        values: frequent values.
        labels: class of each row, int64, shape (n,).
        classes: number of classes.
        low: bound rows of a trigger, at least.
    """
    usable = values.columns.tolist()
    if math.comb(len(usable), 2) <= MAX_PAIRS:
        return list(itertools.combinations(usable, 2))
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        found = [_meeting(values, labels, label, low) for label in range(classes)]
    excess, pairs = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((pairs, -excess))
    _, first = np.unique(pairs[order], return_index=True)
    best = pairs[order][np.sort(first)[:MAX_PAIRS]]
    width = max(usable) + 1
    return [(int(pair) // width, int(pair) % width) for pair in np.sort(best)]


def _meeting(
    values: Frequent, labels: np.ndarray, label: int, low: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far pairs of raised values exceed chance, and their pairs of fields as numbers."""
    size = int(min(RAISED, math.sqrt(PRODUCTS / len(labels))))
    own = np.flatnonzero(labels == label)
    top = _raised(values, label, len(own) / len(labels), low)[:size]
    place = np.full(len(values.codes) + 1, -1)
    place[top] = np.arange(len(top))
    met = np.zeros((len(top), len(top)), np.float32)
    for start in range(0, len(own), AT_ONCE):
        at = place[values.cells[own[start : start + AT_ONCE]]]
        rows, columns = np.nonzero(at >= 0)
        has = np.zeros((len(at), len(top)), np.float32)
        has[rows, at[rows, columns]] = 1.0
        met += has.T @ has
    alone = values.counts[top, label].astype(float)
    chance = np.outer(alone, alone) / max(len(own), 1)
    excess = (met - chance) / np.sqrt(chance + 1)
    fields = values.fields[top]
    likely = (met >= low) & (excess >= LIKELY_Z)
    left, right = np.nonzero(likely & (fields[:, None] < fields[None, :]))
    width = int(values.columns.max()) + 1
    return excess[left, right], fields[left] * width + fields[right]


def _raised(values: Frequent, label: int, rate: float, low: int) -> np.ndarray:
    """Return the values that enough rows of a label have, the most unlike its usual rate first."""
    bound, expected = values.counts[:, label], values.counts.sum(1) * rate
    above = (bound - expected) / np.sqrt(expected * (1 - rate) + 1)
    usable = np.flatnonzero((bound >= low) & np.isin(values.fields, values.columns))
    return np.asarray(usable[np.argsort(-above[usable], kind="stable")])
