"""Ranks of values, as scipy.stats has them, whose import would cost more than a small table's fits.

Cost: O(n log n).
"""

import numpy as np


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value, from 1; equal values share the mean of theirs.

    Args:
        values: shape (n,), without NaN.
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    made: np.ndarray = (last - (counts - 1) / 2)[place]
    return made


def correlation(left: np.ndarray, right: np.ndarray) -> float:
    """Return Spearman's rank correlation, from -1 to 1; NaN if either has only one value.

    Args:
        left: shape (n,), without NaN.
        right: shape (n,), without NaN.
    """
    if not len(left) or np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(np.corrcoef(np.stack([ranks(left), ranks(right)]))[0, 1])
