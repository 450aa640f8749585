"""Classes that lie apart along one column: what a few rows can show of a leak.

In a small table no count of errors proves that a column is a copy of the label: 25 rows of a class
without an error are also what an honest column shows that errs in one row of ten. The width of the
gap between the classes is further evidence. It is compared with the gap that two normal classes
would leave by chance if the column were only as good as an honest one may be.
Source: the distribution of the extremes of normal samples; binormal ROC curves (Metz 1978).
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

COPY = 0.98  # recall of both classes from which a column is as good as a copy of the label
NEAR_AREA = 0.98  # area under the ROC curve from which a column is suspicious
MOST_MISSING = 0.1  # of the rows; with more, missingness is a value of its own
GRID = np.linspace(-9.0, 9.0, 1_801)


class ByClass(NamedTuple):
    """Rows in order of their classes (int64, shape (n,)), and where each class starts."""

    order: np.ndarray
    starts: np.ndarray


def by_class(given: np.ndarray) -> ByClass:
    """Return the rows by class.

    Args:
        given: int64 class codes, shape (n,), n > 0.
    """
    order = np.argsort(given, kind="stable")
    return ByClass(order, np.flatnonzero(np.r_[True, np.diff(given[order]) != 0]))


def are_apart(values: np.ndarray, classes: ByClass) -> bool:
    """Return whether each class has an interval of values of its own; missing ones do not count.

    Args:
        values: float64, shape (n,), NaN where missing.
        classes: the rows by class.
    """
    sorted_ = values[classes.order]
    low, high = (end.reduceat(sorted_, classes.starts) for end in (np.fmin, np.fmax))
    place = np.argsort(low)
    low, high = low[place], high[place]
    known = ~np.isnan(low)
    return bool((high[known][:-1] < low[known][1:]).all())


def chances(values: np.ndarray, given: np.ndarray) -> tuple[float, float]:
    """Return the chances of a gap this wide in a column that is no copy, and in an honest one.

    Both are 1 unless each class is one interval. The least separated neighbours count.

    Args:
        values: float64, shape (n,), NaN where missing.
        given: int64 class codes, shape (n,).
    """
    known = np.isfinite(values)
    if known.mean() < 1 - MOST_MISSING:
        return 1.0, 1.0
    order = np.lexsort((given[known], values[known]))
    values, given = values[known][order], given[known][order]
    starts = np.flatnonzero(np.r_[True, given[1:] != given[:-1]])
    ends = np.r_[starts[1:], len(given)]
    is_tied = values[starts[1:] - 1] == values[starts[1:]]
    if len(starts) < 2 or len(starts) > len(np.unique(given)) or is_tied.any():  # noqa: PLR2004
        return 1.0, 1.0
    if _is_serial(values):
        return 0.0, 0.0  # rows were numbered after they had been sorted by the label
    parts = [values[start:end] for start, end in zip(starts, ends, strict=True)]
    pairs = list(pairwise(parts))
    made = [max(_chance(low, high, apart) for low, high in pairs) for apart in _apart()]
    return made[0], made[1]


def _apart() -> tuple[float, float]:
    """Return the distances of two normal classes, in standard deviations, at both limits."""
    from scipy.special import ndtri

    return 2 * float(ndtri(COPY)), float(np.sqrt(2) * ndtri(NEAR_AREA))


def _chance(low: np.ndarray, high: np.ndarray, apart: float) -> float:
    """Return P(the smallest of `high` exceeds the largest of `low` by the gap that they show)."""
    from scipy.special import log_ndtr

    spread = (float(low.std()) + float(high.std())) / 2
    gap = float(high[0] - low[-1]) / spread if spread > 0 else np.inf
    if not np.isfinite(gap):
        return 0.0
    density = -(GRID**2) / 2 - np.log(2 * np.pi) / 2  # of the normal distribution, its logarithm
    largest = np.exp(np.log(len(low)) + density + (len(low) - 1) * log_ndtr(GRID))
    beyond = np.exp(len(high) * log_ndtr(-(GRID + gap - apart)))
    return float(np.trapezoid(largest * beyond, GRID))


def _is_serial(values: np.ndarray) -> bool:
    """Return whether sorted values only count: consecutive whole numbers without a repetition."""
    return bool(values[0] == np.floor(values[0]) and (np.diff(values) == 1).all())
