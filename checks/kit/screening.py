"""The columns of a wide table that a model learns from: those that tell most of its target.

Trees and linear models take time for each column, and of thousands most say nothing of the target.
A column's score is the chi-squared statistic of its values, in groups, against the target's, as a
standard normal deviate, so that columns of few and many values compare. Scores come from the rows
that the model learns from alone: chosen by all rows, a column would vouch for the rows it is asked
about. Texts are always kept.
Cost: one sort of each column, then O(rows x columns) for each model.
Blind to: columns that tell nothing alone and something together, beyond the MOST best.
Source: Wilson, Hilferty 1931 (chi-squared as normal).
"""

import dataclasses
from typing import Any

import numpy as np

from checks.kit import encode

MOST = 160  # columns; a table of fewer is not screened
GROUPS = 8  # of a number's values, with as many rows each; the levels of a category
LEVELS = 15  # of a category, the most frequent; the rest is one
AT_ONCE = 256  # columns that are counted at once, for memory


@dataclasses.dataclass(frozen=True, slots=True)
class Narrow:
    """A model of some columns of a matrix; it takes the whole matrix."""

    model: Any
    columns: np.ndarray

    @property
    def classes_(self) -> Any:  # named as in scikit-learn's models
        """Return the classes that the model knows, ascending."""
        return self.model.classes_

    def predict(self, matrix: Any) -> Any:
        """Return what the model predicts of its columns."""
        return self.model.predict(matrix[:, self.columns])

    def predict_proba(self, matrix: Any) -> Any:
        """Return the model's probabilities by its columns."""
        return self.model.predict_proba(matrix[:, self.columns])


@dataclasses.dataclass(frozen=True, slots=True)
class Screen:
    """The groups of each column's values: uint8, shape (n, parts), None for few columns."""

    encoder: encode.Encoder
    groups: np.ndarray | None

    def narrowed(
        self, learn: np.ndarray, given: np.ndarray
    ) -> tuple[encode.Encoder, tuple[np.ndarray, np.ndarray] | None]:
        """Return the encoder's best parts, and their columns in the linear and the trees' view.

        Of few columns all are kept, and the second is None.

        Args:
            learn: rows to learn from, int64, shape (m,).
            given: their class codes, int64, or numbers, float64, shape (m,).
        """
        if self.groups is None:
            return self.encoder, None
        parts = self.encoder.parts
        target = given if given.dtype.kind == "i" else _grouped(given)
        score = scores(self.groups[learn], np.unique(target, return_inverse=True)[1])
        score[[part.kind == "text" for part in parts]] = np.inf
        kept = np.sort(np.argsort(-score, kind="stable")[:MOST])
        widths = [part.width for part in parts]
        ends = np.cumsum(widths)
        wide = np.concatenate([np.arange(ends[n] - widths[n], ends[n]) for n in kept])
        return encode.Encoder(tuple(parts[n] for n in kept)), (wide, kept)


def fit(encoder: encode.Encoder, deep: np.ndarray) -> Screen:
    """Group the values of each column of the trees' view."""
    if len(encoder.parts) <= MOST:
        return Screen(encoder, None)
    groups = np.zeros(deep.shape, np.uint8, order="F")
    for number, part in enumerate(encoder.parts):
        column = deep[:, number]
        is_level = part.kind == "category"
        known = np.minimum(np.nan_to_num(column, nan=-1), LEVELS) + 1
        groups[:, number] = known if is_level else _grouped(column)
    return Screen(encoder, groups)


def scores(groups: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return how much each column tells of the target, a normal deviate, float64, shape (parts,).

    Args:
        groups: uint8, shape (n, parts).
        target: codes from 0, int64, shape (n,).
    """
    height, classes = LEVELS + 2, int(target.max(initial=0)) + 1
    made = np.zeros(groups.shape[1])
    share = np.bincount(target, minlength=classes) / max(len(target), 1)
    for start in range(0, groups.shape[1], AT_ONCE):
        block = groups[:, start : start + AT_ONCE].astype(np.int64)
        cells = (np.arange(block.shape[1]) * height + block) * classes + target[:, None]
        count = np.bincount(cells.ravel(), minlength=block.shape[1] * height * classes)
        count = count.reshape(block.shape[1], height, classes)
        rows = count.sum(2, keepdims=True)
        expected = np.maximum(rows * share, 1e-9)
        far = ((count - expected) ** 2 / expected).sum((1, 2))
        free = np.maximum(((rows > 0).sum((1, 2)) - 1) * (classes - 1), 1)
        made[start : start + AT_ONCE] = _normal(far, free)
    return made


def _normal(far: np.ndarray, free: np.ndarray) -> np.ndarray:
    off = 2 / (9 * free)
    made: np.ndarray = (np.cbrt(far / free) - (1 - off)) / np.sqrt(off)
    return made


def _grouped(values: np.ndarray) -> np.ndarray:
    """Return the group of each number, from 1, shape (n,); 0 is missing."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values), np.int64)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, GROUPS + 1)[1:-1]))
    return np.where(known, 1 + np.searchsorted(edges, values, side="right"), 0)
