"""The models of one fold: linear, boosted trees and, in a small sample, a kernel and a forest.

Each uses one thread, so that the numbers do not depend on the machine's cores.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from checks.kit import encode, logistic

LANDMARKS = 300
TREES = 40
ROUNDS = 60  # of boosting
DENSE = 0.1  # share of entries of the linear view above which a dense one is faster
LARGEST = 1e38  # a tree's numbers have 32 bits


@dataclasses.dataclass(frozen=True, slots=True)
class Forest:
    """Extremely random trees (Geurts, Ernst, Wehenkel 2006) and their classes, int64, ascending.

    scikit-learn's own forest swaps the process's warning filters for each tree, and threads share
    those; this one works in the calling thread alone.
    """

    trees: tuple[Any, ...]
    classes_: np.ndarray  # named as in scikit-learn's models

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        """Return the mean probabilities of the trees, float64, shape (n, classes)."""
        view = in_32_bits(matrix)
        made = [tree.predict_proba(view, check_input=False) for tree in self.trees]
        return np.asarray(np.mean(made, axis=0))


@dataclasses.dataclass(frozen=True, slots=True)
class Kernel:
    """A logistic regression on how near a row is to some others."""

    view: Any
    model: logistic.Logistic

    @property
    def classes_(self) -> np.ndarray:  # named as in scikit-learn's models
        """Return the classes that the model knows, ascending."""
        return self.model.classes_

    def predict_proba(self, matrix: Any) -> np.ndarray:
        """Return probabilities, float64, shape (n, classes)."""
        return self.model.predict_proba(self.view.transform(matrix))


def fitted(
    encoder: encode.Encoder, views: Sequence[Any], given: np.ndarray, classes: int, seed: int
) -> tuple[Any, ...]:
    """Return the members, two or as many as there are views; the arguments are those of `pair`."""
    both = pair(encoder, views[:2], given, classes, seed)
    if len(views) == 2:  # noqa: PLR2004
        return both
    return *both, _kernel(views[2], given, seed), _forest(views[3], given, seed)


def pair(
    encoder: encode.Encoder, views: Sequence[Any], given: np.ndarray, classes: int, seed: int
) -> tuple[Any, Any]:
    """Return a linear model and boosted trees, fitted to their views of the same rows.

    Args:
        encoder: made the views, (linear, trees).
        views: matrices, shape (n, columns) each.
        given: int64 class codes, at least two distinct ones, or float64 numbers, shape (n,).
        classes: number of classes; 0 for numbers.
        seed: for everything random.
    """
    wide = _dense(views[0])
    linear = logistic.fit(wide, given) if classes else _ridge().fit(wide, given)
    return linear, _boosted(encoder, views[1], given, classes, seed)


def _dense(wide: Any) -> Any:
    """Return the linear view as what is faster to fit; predictions are of CSR, row by row."""
    return wide.toarray() if wide.nnz > DENSE * wide.shape[0] * wide.shape[1] else wide


def constant(classes: int) -> Any:
    """Return a model, not fitted, that tells every row the same."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return DummyClassifier(strategy="prior") if classes else DummyRegressor(strategy="median")


def _ridge() -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(alpha=1.0, solver="lsqr")


def _kernel(wide: Any, given: np.ndarray, seed: int) -> Kernel:
    from sklearn.kernel_approximation import Nystroem

    # the width of the kernel: the mean squared distance between two rows
    mean = np.asarray(wide.mean(axis=0)).ravel()
    distance = 2 * float(wide.multiply(wide).sum() / wide.shape[0] - (mean**2).sum())
    landmarks = min(LANDMARKS, wide.shape[0])
    view = Nystroem(gamma=1 / max(distance, 1e-9), n_components=landmarks, random_state=seed)
    seen = view.fit_transform(_dense(wide))
    return Kernel(view, logistic.fit(seen, given, weakness=10.0))


def _boosted(
    encoder: encode.Encoder, deep: np.ndarray, given: np.ndarray, classes: int, seed: int
) -> Any:
    from checks.kit import boosting

    kind = boosting.Classifier if classes else boosting.Regressor
    few = min(40, max(5, len(given) // 100))
    model = kind(
        max_iter=ROUNDS,
        max_leaf_nodes=15,
        min_samples_leaf=few,
        l2_regularization=1.0,
        early_stopping=False,
        # of two values, the order is no matter
        categorical_features=[part.kind == "category" and part.width > 3 for part in encoder.parts],  # noqa: PLR2004
        random_state=seed,
    )
    # a column without a value in these folds cannot be binned; a constant one is never split
    deep[:, np.isnan(deep).all(axis=0)] = 0.0
    with one_thread("openmp"):
        return model.fit(deep, given)


def _forest(deep: np.ndarray, given: np.ndarray, seed: int) -> Forest:
    from sklearn import config_context
    from sklearn.tree import ExtraTreeClassifier

    matrix = in_32_bits(deep)
    seeds = np.random.default_rng(seed).integers(0, 2**31 - 1, TREES)
    is_checked = bool(np.isnan(matrix).any())  # only then does a fit look for missing values
    with config_context(skip_parameter_validation=True):  # it takes as long as a small tree
        made = tuple(
            ExtraTreeClassifier(max_features="sqrt", min_samples_leaf=3, random_state=int(one)).fit(
                matrix, given, check_input=is_checked
            )
            for one in seeds
        )
    return Forest(made, made[0].classes_)


def in_32_bits(matrix: np.ndarray) -> np.ndarray:
    """Return what trees take: float32, far numbers clipped."""
    made: np.ndarray = np.clip(matrix, -LARGEST, LARGEST).astype(np.float32)
    return made


def one_thread(api: str) -> Any:
    """Limit a library to one thread, as a context."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(1, user_api=api)


def chances(model: Any, matrix: Any, classes: int) -> np.ndarray:
    """Return a member's probabilities, shape (n, classes), or its numbers, shape (n,)."""
    rows = matrix.shape[0]
    if not rows:
        return np.zeros((0, classes) if classes else 0)
    if not classes:
        return np.asarray(model.predict(matrix), dtype=float)
    made = np.zeros((rows, classes))
    # a class that is missing from this fold's training rows keeps probability 0
    made[:, model.classes_] = model.predict_proba(matrix)
    return made
