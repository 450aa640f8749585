"""Which columns of a wide table a model is shown: those that tell most of the label by counts.

The cost of boosting grows with the columns, and of hundreds most say nothing about a label. Each
column is weighed alone by Pearson's chi-squared over bins, categories or words, as deviations from
what chance gives.
"""

import numpy as np

from checks.poison.encoded_columns import Field

SHOWN = 64  # columns, at most, that a model is shown besides those of the candidates
BINS = 16  # of an ordered column, of about equal size
LEVELS = 32  # values of a category, or words of a text, most frequent first


def telling(every: list[Field], target: np.ndarray) -> list[int]:
    """Return the fields to show a model of the label, ascending: all if they are few.

    Args:
        every: all fields.
        target: whether each row has the label, bool, shape (n,).
    """
    if len(every) <= SHOWN:
        return list(range(len(every)))
    worth = np.array([_worth(field, target) for field in every])
    return sorted(np.argsort(-worth, kind="stable")[:SHOWN].tolist())


def _worth(field: Field, target: np.ndarray) -> float:
    """Return by how many deviations the label's rates differ between values more than by chance."""
    bins = _bins(field)
    cells = bins[field.codes]
    own = target if field.places is None else target[field.places]
    total = np.bincount(cells, minlength=bins.max() + 1)
    bound = np.bincount(cells[own], minlength=len(total))
    rate = float(target.mean())
    expected = total * rate
    distance = ((bound - expected) ** 2 / (expected * (1 - rate) + 1)).sum()
    free = max(int((total > 0).sum()) - 1, 1)
    return float((distance - free) / np.sqrt(2 * free))


def _bins(field: Field) -> np.ndarray:
    """Return the bin of each code, int64, shape (len(values) + 1,), the last for missing ones."""
    counts = field.counts
    if field.kind == "ordered":
        before = np.cumsum(counts) - counts
        bins = before * BINS // max(int(counts.sum()), 1)
        return np.append(bins, BINS)
    bins = np.full(len(counts) + 1, LEVELS)
    top = np.argsort(-counts, kind="stable")[:LEVELS]
    bins[top] = np.arange(len(top))
    bins[-1] = LEVELS + 1
    return bins
