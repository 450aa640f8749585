"""A user's own chances of the classes, role `probabilities`: one list a row, one chance a class.

They must come from models that did not see the row (out of fold). The order of the classes is what
`assay.label: {classes: [...]}` states; else the label's valid values, else those that occur, sorted
as scikit-learn does.
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from checks.kit import vectors
from checks.kit.contract_model import Contract
from checks.kit.wording import count

OFF = 0.05  # from 1, that a sum of chances may be by rounding
MOST_CLASSES = 1_000
SWAPPED = 0.5  # share of the rows of some classes whose highest chances change places


@dataclasses.dataclass(frozen=True, slots=True)
class Faults:
    """Which lists are no chances, bool, each of shape (n,); a missing list has no fault."""

    length: np.ndarray
    value: np.ndarray
    sum: np.ndarray

    @property
    def any(self) -> np.ndarray:
        """Return which rows have a fault."""
        made: np.ndarray = self.length | self.value | self.sum
        return made


def read(column: pa.ChunkedArray | pa.Array, size: int) -> tuple[np.ndarray, Faults]:
    """Return chances, float64, shape (n, size), NaN where there are none, and the faulty rows.

    Args:
        column: lists, see `vectors.lists`.
        size: number of classes.
    """
    chances = vectors.matrix(column, size)
    is_there = np.asarray(column.is_valid())
    length = is_there & (vectors.lengths(column) != size)
    with np.errstate(invalid="ignore"):
        value = is_there & ~length & ~(np.isfinite(chances) & (chances >= 0)).all(1)
        total = is_there & ~length & ~value & ~(np.abs(chances.sum(1) - 1) <= OFF)
    faults = Faults(length, value, total)
    chances[faults.any] = np.nan
    return chances, faults


def classes_of(contract: Contract, found: Collection[Any]) -> tuple[str, ...]:
    """Return the classes in the order of the chances, as text.

    Args:
        contract: with a label.
        found: the values of the label that occur.
    """
    label = contract.column(contract.label or "")
    if label.classes:
        return label.classes
    return tuple(map(as_text, sorted(label.valid_values or {*found})))


def as_text(value: object) -> str:
    """Return a value of a label as its column prints it."""
    return str(pa.scalar(value).cast(pa.string()))


def misfit(classes: tuple[str, ...], size: int, highest: Mapping[tuple[str, int], int]) -> str:
    """Return why chances do not fit the classes, an empty text if they do.

    Args:
        classes: in the order of the chances.
        size: the usual length of the lists.
        highest: number of rows by the class that is given and the place of the highest chance.
    """
    from scipy.optimize import linear_sum_assignment

    if len(classes) != size:
        return f"the lists have {size:,} probabilities, but the label has {len(classes):,} classes"
    place = {name: number for number, name in enumerate(classes)}
    counts = np.zeros((size, size))
    for (name, at), rows in highest.items():
        if name in place and at < size:
            counts[place[name], at] += rows
    own, best = linear_sum_assignment(counts, maximize=True)
    moved = own != best
    # a class that a model takes for a larger one stays: the other one's place is taken
    if counts[own[moved], best[moved]].sum() > SWAPPED * counts[own[moved]].sum():
        return (
            f"the highest probabilities of {count(int(moved.sum()), 'class')} are mostly in each "
            "other's places, so the classes are in a different order"
        )
    return ""
