"""Whether a column still relates to the label as in the reference.

Measured are the share of each class within each group of the column's values, and the share of each
group within each class. A shift of the column leaves the first unchanged, a shift of the label the
second; a change of the relation changes both, so the smaller of the two counts.
"""

import dataclasses
import math

import numpy as np

from checks.drift.bins import Bins
from checks.drift.effects import LEAST_ROWS, NOISE, Effect
from checks.kit.wording import percent

GROUPS = 10  # of a number's values, with equally many rows of the reference each
MOST_GROUPS = 20  # of a category's values
CLASSES = 8  # the most frequent ones


@dataclasses.dataclass(frozen=True, slots=True)
class Relation:
    """How a column's bins are grouped, and the reference's counts.

    Attributes:
        group_of: group of each place of `Bins.places`, int64.
        classes: number of classes that are counted.
        reference: int64 counts, shape (groups, classes).
    """

    group_of: np.ndarray
    classes: int
    reference: np.ndarray

    def count(self, places: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Count the cells by group and class: int64, shape (groups, classes)."""
        kept = labels < self.classes
        groups = int(self.group_of.max()) + 1
        both = self.group_of[places[kept]] * self.classes + labels[kept]
        counted = np.bincount(both, minlength=groups * self.classes).astype(np.int64)
        return counted.reshape(groups, self.classes)

    def effect(self, counts: np.ndarray) -> Effect | None:
        """Return how much the relation changed, None if there are too few rows."""
        if min(counts.sum(), self.reference.sum()) < LEAST_ROWS:
            return None
        both = [_apart(self.reference, counts), _apart(self.reference.T, counts.T)]
        apart, noise = min(both, key=lambda pair: pair[0] - pair[1])
        text = f"its relation to the label changed for {percent(apart)} of the rows"
        return Effect("relation", apart - noise, text)


def laid(bins: Bins, places: np.ndarray, label: Bins, labels: np.ndarray) -> Relation | None:
    """Return the relation in the reference; None with fewer than two classes."""
    classes = min(CLASSES, label.size)
    if label.kind != "category" or classes < 2:  # noqa: PLR2004
        return None
    inner = bins.reference[: bins.size]
    if bins.kind == "category":
        group = np.minimum(np.arange(bins.size), MOST_GROUPS)
    else:
        ends = np.cumsum(inner) / max(int(inner.sum()), 1)
        group = np.minimum((ends - 1e-12) * GROUPS, GROUPS - 1).clip(0).astype(np.int64)
        group = np.unique(group, return_inverse=True)[1]
    last = int(group.max(initial=-1))
    group_of = np.concatenate([group, [last + 1, last + 2]]).astype(np.int64)
    bare = Relation(group_of, classes, np.zeros((0, 0), np.int64))
    return dataclasses.replace(bare, reference=bare.count(places, labels))


def _apart(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Return the mean distance between the rows' shares, weighted by rows, and its noise."""
    first, second = before.sum(1, keepdims=True), after.sum(1, keepdims=True)
    both = ((first > 0) & (second > 0))[:, 0]  # groups that one of them lacks say nothing here
    before, after, first, second = before[both], after[both], first[both], second[both]
    if not len(before):
        return 0.0, 0.0
    weight = (second / second.sum())[:, 0]
    distance = 0.5 * np.abs(before / first - after / second).sum(1)
    pooled = (before + after + 0.5) / (first + second + 0.5 * before.shape[1])
    variance = pooled * (1 - pooled) * (1 / first + 1 / second)
    expected = 0.5 * np.sqrt(2 * variance / math.pi).sum(1)
    spread = 0.5 * math.sqrt(float((weight**2 * variance.sum(1)).sum()))
    return float((weight * distance).sum()), float((weight * expected).sum()) + NOISE * spread
