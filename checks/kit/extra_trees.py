"""A forest of extremely random trees, grown and asked in the calling thread alone.

scikit-learn's own one swaps the process's warning filters for each tree, which threads share.
Source: Geurts, Ernst, Wehenkel 2006.
"""

import dataclasses
from typing import Any

import numpy as np

LARGEST = 1e38  # a tree's numbers have 32 bits


@dataclasses.dataclass(frozen=True, slots=True)
class Forest:
    """Grown trees, and the classes that they know, int64, ascending."""

    trees: tuple[Any, ...]
    classes_: np.ndarray  # the name by which scikit-learn's models tell it

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        """Return the trees' mean chances, float64, shape (n, classes)."""
        seen = _small(matrix)
        made = [tree.predict_proba(seen, check_input=False) for tree in self.trees]
        return np.asarray(np.mean(made, axis=0))


def grown(matrix: np.ndarray, given: np.ndarray, trees: int, seed: int) -> Forest:
    """Grow a forest.

    Args:
        matrix: float64, shape (n, columns); missing is NaN.
        given: int64 class codes, shape (n,).
        trees: how many.
        seed: of everything random.
    """
    from sklearn.tree import ExtraTreeClassifier

    seen = _small(matrix)
    seeds = np.random.default_rng(seed).integers(0, 2**31 - 1, trees)
    made = tuple(
        ExtraTreeClassifier(max_features="sqrt", min_samples_leaf=3, random_state=int(one)).fit(
            seen, given
        )
        for one in seeds
    )
    return Forest(made, made[0].classes_)


def _small(matrix: np.ndarray) -> np.ndarray:
    made: np.ndarray = np.clip(matrix, -LARGEST, LARGEST).astype(np.float32)
    return made
