"""Models that judge only rows they have not seen: one set per fold of the rows.

A logistic regression beside gradient-boosted trees, and in small samples, where more is cheap, a
kernel's landmarks and a forest too; they are mixed by their likelihood out of fold. Near copies
share a fold (`near_copies`), so that none vouches for another. One thread a model, so that the
numbers do not depend on the machine's cores.
"""

import dataclasses
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from checks.kit import encode, extra_trees, near_copies

FOLDS, MOST_FOLDS = 5, 10
LEARNT = 120_000  # rows that all folds of classes learn together: so a sample may have more folds
SMALL = 5_000  # rows up to which two more models are cheaper than more folds, and tell more
LANDMARKS = 300
TREES = 40
MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of the linear model where a number is foretold
MIX_STEPS = 60
LEAST_SHARE = 0.01  # of a member; below it the mix does without
THREADS = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Crossfit:
    """Fitted models of all folds.

    Attributes:
        encoder: columns to matrices.
        members: of each fold, models that have not seen its rows: linear, trees, and of a small
            sample kernel and forest.
        shares: of the members in the mix, float64, shape (members,); they sum to 1.
        classes: number of classes; 0 for a numeric label.
        copies: which rows are near copies of each other, None where nothing could tell.
    """

    encoder: encode.Encoder
    members: tuple[tuple[Any, ...], ...]
    shares: np.ndarray
    classes: int
    copies: near_copies.NearCopies | None = None

    def predict(self, table: pa.Table, folds: np.ndarray) -> np.ndarray:
        """Return chances, shape (n, classes), or predicted numbers, shape (n,).

        Args:
            table: rows of a shard or sample.
            folds: uint32, shape (n,), see `sample.folds`; copies and the modulus are seen to here.
        """
        fold = _apart(self.copies, table, folds) % len(self.members)
        views = _views(self.encoder, table, self.shares > 0)
        made = np.zeros((table.num_rows, self.classes) if self.classes else table.num_rows)
        for number, members in enumerate(self.members):
            mine = np.flatnonzero(fold == number)
            for share, model, view in zip(self.shares, members, views, strict=True):
                if len(mine) and view is not None:
                    made[mine] += share * chances(model, view[mine], self.classes)
        return made


def fit(
    table: pa.Table,
    how: dict[str, encode.Kind],
    given: np.ndarray,
    folds: np.ndarray,
    *,
    classes: int,
    seed: int = 0,
) -> tuple[Crossfit, np.ndarray]:
    """Fit all folds; return the models and their predictions out of fold.

    Args:
        table: the sample, shape (n, columns).
        how: columns to learn from, see `encode.kinds`.
        given: int64 class codes or float64 numbers, shape (n,); a negative code is not learnt.
        folds: uint32, shape (n,).
        classes: number of classes; 0 for a numeric label.
        seed: of everything random.
    """
    copies = near_copies.fit(table, how, folds)
    encoder = encode.fit(table, how)
    views = _views(encoder, table, np.ones(4 if classes and len(given) <= SMALL else 2, bool))
    count = _count(len(given), classes)
    fold = _apart(copies, table, folds) % count
    usable = given >= 0 if classes else np.isfinite(given)

    def one(number: int) -> tuple[tuple[Any, ...], list[np.ndarray]]:
        learn = np.flatnonzero((fold != number) & usable)
        mine = np.flatnonzero(fold == number)
        if _varies(given[learn]):
            seen = [view[learn] for view in views]
            members = _members(encoder, seen, given[learn], classes, seed)
        else:  # nearly all rows are copies of each other, and copies share a fold
            plain = _constant(classes).fit(np.zeros((int(usable.sum()), 1)), given[usable])
            members = (plain,) * len(views)
        told = zip(members, views, strict=True)
        return members, [chances(model, view[mine], classes) for model, view in told]

    with warnings.catch_warnings(), _one_thread("blas"), ThreadPoolExecutor(THREADS) as pool:
        warnings.simplefilter("ignore")  # lbfgs says when it stops early; a rough fit will do
        done = list(pool.map(one, range(count)))
    order = np.argsort(np.concatenate([np.flatnonzero(fold == n) for n in range(count)]))
    sides = [np.concatenate(side)[order] for side in zip(*(told for _, told in done), strict=True)]
    shares = (_shares if classes else _mixed)([side[usable] for side in sides], given[usable])
    made = Crossfit(encoder, tuple(members for members, _ in done), shares, classes, copies)
    return made, np.asarray(sum(share * side for share, side in zip(shares, sides, strict=True)))


def _apart(copies: near_copies.NearCopies | None, table: pa.Table, folds: np.ndarray) -> np.ndarray:
    return folds if copies is None else copies.folds(table, folds)


def _count(rows: int, classes: int) -> int:
    if not classes or rows <= SMALL:
        return FOLDS
    return int(np.clip(LEARNT // rows, FOLDS, MOST_FOLDS))


def _views(encoder: encode.Encoder, table: pa.Table, used: np.ndarray) -> list[Any]:
    """Return what each member looks at, None for those that are not used."""
    is_linear = np.array([True, False, True, False])[: len(used)]
    wide = encoder.linear(table) if used[is_linear].any() else None
    deep = encoder.trees(table) if used[~is_linear].any() else None
    sides = zip(used, is_linear, strict=True)
    return [(wide if linear else deep) if kept else None for kept, linear in sides]


def _members(
    encoder: encode.Encoder, views: Sequence[Any], given: np.ndarray, classes: int, seed: int
) -> tuple[Any, ...]:
    both = pair(encoder, views[:2], given, classes, seed)
    if len(views) == 2:  # noqa: PLR2004
        return both
    return *both, _kernel(views[2], given, seed), extra_trees.grown(views[3], given, TREES, seed)


def pair(
    encoder: encode.Encoder, views: Sequence[Any], given: np.ndarray, classes: int, seed: int
) -> tuple[Any, Any]:
    """Return a linear model and grown trees, fitted to their views of the same rows.

    Args:
        encoder: that made the views, (linear, trees).
        views: matrices, shape (n, columns) each.
        given: int64 class codes, two at least, or float64 numbers, shape (n,).
        classes: number of classes; 0 for numbers.
        seed: of everything random.
    """
    linear = _linear(classes).fit(views[0], given)
    return linear, _grown(encoder, views[1], given, classes, seed)


def _varies(given: np.ndarray) -> bool:
    return len(given) > 1 and bool((given != given[0]).any())


def _constant(classes: int) -> Any:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return DummyClassifier(strategy="prior") if classes else DummyRegressor(strategy="median")


def _linear(classes: int) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    if not classes:
        return Ridge(alpha=1.0, solver="lsqr")
    return LogisticRegression(max_iter=100)


def _kernel(wide: Any, given: np.ndarray, seed: int) -> Any:
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # as wide as the rows lie apart: the mean squared distance of two of them
    mean = np.asarray(wide.mean(axis=0)).ravel()
    apart = 2 * float(wide.multiply(wide).sum() / wide.shape[0] - (mean**2).sum())
    landmarks = min(LANDMARKS, wide.shape[0])
    kernel = Nystroem(gamma=1 / max(apart, 1e-9), n_components=landmarks, random_state=seed)
    return make_pipeline(kernel, LogisticRegression(C=10.0, max_iter=100)).fit(wide, given)


def _grown(
    encoder: encode.Encoder, deep: np.ndarray, given: np.ndarray, classes: int, seed: int
) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    few = min(40, max(5, len(given) // 100))
    model = kind(
        max_iter=60,
        max_leaf_nodes=15,
        min_samples_leaf=few,
        l2_regularization=1.0,
        early_stopping=False,
        categorical_features=[part.kind == "category" for part in encoder.parts],
        random_state=seed,
    )
    # a column without a value in these folds cannot be binned; as a constant it is never split
    deep[:, np.isnan(deep).all(axis=0)] = 0.0
    with _one_thread("openmp"):
        return model.fit(deep, given)


def _one_thread(api: str) -> Any:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(1, user_api=api)


def chances(model: Any, matrix: Any, classes: int) -> np.ndarray:
    """Return a member's chances, shape (n, classes), or its numbers, shape (n,), for its view."""
    rows = matrix.shape[0]
    if not rows:
        return np.zeros((0, classes) if classes else 0)
    if not classes:
        return np.asarray(model.predict(matrix), dtype=float)
    made = np.zeros((rows, classes))
    # a class that this fold's models never saw keeps chance 0
    made[:, model.classes_] = model.predict_proba(matrix)
    return made


def _shares(sides: list[np.ndarray], given: np.ndarray) -> np.ndarray:
    """Return the shares of greatest likelihood, by expectation and maximisation."""
    seen = np.clip([side[np.arange(len(given)), given] for side in sides], 1e-6, None)
    shares = np.full(len(sides), 1 / len(sides))
    for _ in range(MIX_STEPS):
        part = shares[:, None] * seen
        shares = (part / part.sum(0)).mean(1)
    kept = np.where(shares < LEAST_SHARE, 0.0, shares)
    return np.asarray(kept / kept.sum())


def _mixed(sides: list[np.ndarray], given: np.ndarray) -> np.ndarray:
    """Return the shares of least median error, of two members."""
    left, right = sides

    def loss(mix: float) -> float:
        return float(np.median(np.abs(given - (mix * left + (1 - mix) * right))))

    mix = min(MIXES, key=loss)
    return np.array([mix, 1 - mix])
