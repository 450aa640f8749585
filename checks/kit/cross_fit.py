"""Cross-fitting: models that predict only rows they were not trained on, one set per fold.

A logistic regression and gradient-boosted trees, and in small samples, where more is cheap, a
kernel approximation and a forest too; they are mixed by their out-of-fold likelihood. Near copies
share a fold (`near_copies`), so that none vouches for another; of many columns each fold learns
from the best (`screening`). Each model uses one thread, so that the numbers do not depend on the
machine's cores.
"""

import dataclasses
import importlib
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from checks.kit import encode, fold_models, near_copies, screening

FOLDS, MOST_FOLDS = 5, 10
LEARNT = 120_000  # rows to learn in all folds of a class label together: small samples get more
SMALL = 5_000  # rows up to which two more models are cheaper than more folds, and help more
MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of the linear model for a numeric label
MIX_STEPS = 60
LEAST_SHARE = 0.01  # of a member; below it the member is dropped from the mix
THREADS = 2
# what the threads use: two that import at once may each see a half-initialised module
IMPORTED = (
    "checks.kit.boosting", "scipy.optimize", "scipy.sparse", "sklearn.dummy",
    "sklearn.gaussian_process.kernels", "sklearn.kernel_approximation",
    "sklearn.linear_model", "sklearn.tree", "threadpoolctl",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Crossfit:
    """Fitted models of all folds.

    Attributes:
        encoder: columns to matrices.
        members: for each fold, models not trained on its rows: linear, trees, and in a small
            sample kernel and forest.
        shares: of the members in the mix, float64, shape (members,); they sum to 1.
        classes: number of classes; 0 for a numeric label.
        copies: which rows are near copies of each other, None if that could not be determined.
        seen: bool, shape (folds, classes), whether the models of a fold were trained on half of
            the rows of a class or more; None for a numeric label.
    """

    encoder: encode.Encoder
    members: tuple[tuple[Any, ...], ...]
    shares: np.ndarray
    classes: int
    copies: near_copies.NearCopies | None = None
    seen: np.ndarray | None = None

    def judges(self, table: pa.Table, folds: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return for which rows the models know the class that the row is given: bool, shape (n,).

        Of a class whose rows are nearly all copies of each other, hence in one fold, the models of
        that fold know nothing, and what they predict for its rows says nothing about their label.

        Args:
            table: rows of a shard or sample.
            folds: as in `predict`.
            given: int64 class codes, shape (n,), none negative.
        """
        return self._knows(self._fold(table, folds), given)

    def judged(
        self, table: pa.Table, folds: np.ndarray, given: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what `judges` returns, and what `predict` returns for those rows.

        Args:
            table: rows of a shard or sample.
            folds: as in `predict`.
            given: as in `judges`.
        """
        fold = self._fold(table, folds)
        known = self._knows(fold, given)
        return known, self._predicted(table.filter(pa.array(known)), fold[known])

    def predict(self, table: pa.Table, folds: np.ndarray) -> np.ndarray:
        """Return probabilities, shape (n, classes), or predicted numbers, shape (n,).

        Args:
            table: rows of a shard or sample.
            folds: uint32, shape (n,), see `sample.folds`, before copies and the modulus.
        """
        return self._predicted(table, self._fold(table, folds))

    def _fold(self, table: pa.Table, folds: np.ndarray) -> np.ndarray:
        return with_copies(self.copies, table, folds) % len(self.members)

    def _knows(self, fold: np.ndarray, given: np.ndarray) -> np.ndarray:
        return np.ones(len(given), bool) if self.seen is None else self.seen[fold, given]

    def _predicted(self, table: pa.Table, fold: np.ndarray) -> np.ndarray:
        views = _views(self.encoder, table, self.shares > 0)
        made = np.zeros((table.num_rows, self.classes) if self.classes else table.num_rows)
        for number, members in enumerate(self.members):
            mine = np.flatnonzero(fold == number)
            for share, model, view in zip(self.shares, members, views, strict=True):
                if len(mine) and view is not None:
                    made[mine] += share * fold_models.chances(model, view[mine], self.classes)
        return made


def in_threads(one: Callable[[int], Any], count: int) -> list[Any]:
    """Return what `one` returns for 0 to count - 1, in order; each call uses one thread."""
    for name in IMPORTED:  # not by two threads at once
        importlib.import_module(name)
    with (
        warnings.catch_warnings(),
        fold_models.one_thread("blas"),
        ThreadPoolExecutor(THREADS) as pool,
    ):
        warnings.simplefilter("ignore")  # a library may warn of an odd column; a rough fit suffices
        return list(pool.map(one, range(count)))


def fit(
    table: pa.Table,
    how: dict[str, encode.Kind],
    given: np.ndarray,
    folds: np.ndarray,
    *,
    classes: int,
    seed: int = 0,
) -> tuple[Crossfit, np.ndarray]:
    """Fit all folds; return the models and their out-of-fold predictions.

    Args:
        table: the sample, shape (n, columns).
        how: columns to learn from, see `encode.kinds`.
        given: int64 class codes or float64 numbers, shape (n,); negative codes are not learnt.
        folds: uint32, shape (n,).
        classes: number of classes; 0 for a numeric label.
        seed: for everything random.
    """
    copies = near_copies.fit(table, how, folds, given if classes else None)
    encoder = encode.fit(table, how)
    views = _views(encoder, table, np.ones(4 if classes and len(given) <= SMALL else 2, bool))
    count = _count(len(given), classes)
    fold = with_copies(copies, table, folds) % count
    usable = given >= 0 if classes else np.isfinite(given)
    screen = screening.fit(encoder, views[1])

    def one(number: int) -> tuple[tuple[Any, ...], list[np.ndarray]]:
        learn = np.flatnonzero((fold != number) & usable)
        mine = np.flatnonzero(fold == number)
        if _varies(given[learn]):
            members = _narrowed(screen, views, learn, given[learn], classes, seed)
        else:  # nearly all rows are copies of each other, and copies share a fold
            plain = fold_models.constant(classes).fit(
                np.zeros((int(usable.sum()), 1)), given[usable]
            )
            members = (plain,) * len(views)
        pairs = zip(members, views, strict=True)
        return members, [fold_models.chances(model, view[mine], classes) for model, view in pairs]

    done = in_threads(one, count)
    order = np.argsort(np.concatenate([np.flatnonzero(fold == n) for n in range(count)]))
    by_member = zip(*(predicted for _, predicted in done), strict=True)
    predicted = [np.concatenate(parts)[order] for parts in by_member]
    shares = (mix_shares if classes else _mixed)([one[usable] for one in predicted], given[usable])
    seen = _seen(fold, given, count, classes) if classes else None
    made = Crossfit(encoder, tuple(members for members, _ in done), shares, classes, copies, seen)
    mixed = sum(share * part for share, part in zip(shares, predicted, strict=True))
    return made, np.asarray(mixed)


def with_copies(
    copies: near_copies.NearCopies | None, table: pa.Table, folds: np.ndarray
) -> np.ndarray:
    """Return the folds of rows, near copies in one: uint32, shape (n,), before the modulus."""
    return folds if copies is None else copies.folds(table, folds)


def _seen(fold: np.ndarray, given: np.ndarray, count: int, classes: int) -> np.ndarray:
    """Return whether most rows of a class lie outside a fold: bool, shape (count, classes)."""
    own = np.zeros((count, classes), int)
    known = given >= 0
    np.add.at(own, (fold[known], given[known]), 1)
    return np.asarray(2 * own <= own.sum(0))


def _count(rows: int, classes: int) -> int:
    if not classes or rows <= SMALL:
        return FOLDS
    return int(np.clip(LEARNT // rows, FOLDS, MOST_FOLDS))


def _views(encoder: encode.Encoder, table: pa.Table, used: np.ndarray) -> list[Any]:
    """Return the matrix of each member, None for unused ones."""
    is_linear = np.array([True, False, True, False])[: len(used)]
    wide = encoder.linear(table) if used[is_linear].any() else None
    deep = encoder.trees(table) if used[~is_linear].any() else None
    members = zip(used, is_linear, strict=True)
    return [(wide if linear else deep) if kept else None for kept, linear in members]


def _narrowed(
    screen: screening.Screen,
    views: Sequence[Any],
    learn: np.ndarray,
    own: np.ndarray,
    classes: int,
    seed: int,
) -> tuple[Any, ...]:
    """Return the members fitted to some rows with these codes or numbers, by their best columns."""
    encoder, both = screen.narrowed(learn, own)
    parts = [view[learn] for view in views]
    if both is None:
        return fold_models.fitted(encoder, parts, own, classes, seed)
    columns = [both[number % 2] for number in range(len(views))]  # linear and trees take turns
    parts = [part[:, kept] for part, kept in zip(parts, columns, strict=True)]
    members = fold_models.fitted(encoder, parts, own, classes, seed)
    return tuple(map(screening.Narrow, members, columns))


def _varies(given: np.ndarray) -> bool:
    return len(given) > 1 and bool((given != given[0]).any())


def mix_shares(predicted: list[np.ndarray], given: np.ndarray) -> np.ndarray:
    """Return the shares of maximum likelihood, by expectation maximisation."""
    likelihood = np.clip([one[np.arange(len(given)), given] for one in predicted], 1e-6, None)
    shares = np.full(len(predicted), 1 / len(predicted))
    for _ in range(MIX_STEPS):
        part = shares[:, None] * likelihood
        shares = (part / part.sum(0)).mean(1)
    kept = np.where(shares < LEAST_SHARE, 0.0, shares)
    return np.asarray(kept / kept.sum())


def _mixed(predicted: list[np.ndarray], given: np.ndarray) -> np.ndarray:
    """Return the shares of two members that minimise the median error."""
    left, right = predicted

    def loss(mix: float) -> float:
        return float(np.median(np.abs(given - (mix * left + (1 - mix) * right))))

    mix = min(MIXES, key=loss)
    return np.array([mix, 1 - mix])
