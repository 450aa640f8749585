"""One-vs-rest models of many classes on one encoding: the probability that a row has each label.

A logistic regression and gradient-boosted trees for each class, and one forest for all of them,
mixed for each class by their out-of-fold likelihood; all cross-fitted. Near copies share a fold, as
in `cross_fit`.
Cost: FOLDS x (2 classes + TREES) fits, each on a matrix that is made once.
"""

import dataclasses
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from checks.kit import cross_fit, encode, fold_models, near_copies

FOLDS = 5
TREES = 40
Pair: TypeAlias = tuple[Any, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class OneVsRest:
    """Fitted models of all folds.

    Attributes:
        encoder: columns to matrices.
        copies: which rows are near copies of each other, None if that could not be determined.
        pairs: for each fold a linear model and boosted trees of each class, None where the fold
            knows too little of it.
        forests: for each fold the trees of all classes.
        shares: of linear model, boosted trees and forest in the mix, shape (3, classes).
    """

    encoder: encode.Encoder
    copies: near_copies.NearCopies | None
    pairs: tuple[tuple[Pair | None, ...], ...]
    forests: tuple[tuple[Any, ...], ...]
    shares: np.ndarray

    def predict(self, table: pa.Table, folds: np.ndarray) -> np.ndarray:
        """Return the probability of each class, shape (n, classes), NaN where none is known.

        Args:
            table: rows of a shard or sample.
            folds: uint32, shape (n,), see `sample.folds`, before copies and the modulus.
        """
        fold = cross_fit.with_copies(self.copies, table, folds) % FOLDS
        views = self.encoder.linear(table), self.encoder.trees(table)
        made = _by_member(self.pairs, self.forests, views, fold)
        return np.asarray((self.shares[:, None, :] * made).sum(0))


def fit(
    table: pa.Table, how: dict[str, encode.Kind], has: np.ndarray, folds: np.ndarray, seed: int
) -> tuple[OneVsRest, np.ndarray]:
    """Fit all folds; return the models and their out-of-fold probabilities, shape (n, classes).

    Args:
        table: the sample, shape (n, columns).
        how: columns to learn from, see `encode.kinds`.
        has: which row has which label, bool, shape (n, classes).
        folds: uint32, shape (n,).
        seed: for everything random.
    """
    copies = near_copies.fit(table, how, folds)
    encoder = encode.fit(table, how)
    fold = cross_fit.with_copies(copies, table, folds) % FOLDS
    wide, deep = views = encoder.linear(table), encoder.trees(table)

    def one(number: int) -> tuple[tuple[Pair | None, ...], tuple[Any, ...]]:
        learn = np.flatnonzero(fold != number)
        known, mine = _known(has, learn), (wide[learn], deep[learn])
        pairs = [
            fold_models.pair(encoder, mine, given.astype(np.int64), 2, seed) if is_known else None
            for given, is_known in zip(has[learn].T, known, strict=True)
        ]
        return tuple(pairs), _forest(mine[1], has[learn], seed)

    pairs, forests = zip(*cross_fit.in_threads(one, FOLDS), strict=True)
    made = _by_member(pairs, forests, views, fold)
    shares = np.column_stack([_shares(made[:, :, k], has[:, k]) for k in range(has.shape[1])])
    models = OneVsRest(encoder, copies, pairs, forests, shares)
    return models, np.asarray((shares[:, None, :] * made).sum(0))


def _by_member(
    pairs: tuple[tuple[Pair | None, ...], ...],
    forests: tuple[tuple[Any, ...], ...],
    views: tuple[Any, np.ndarray],
    fold: np.ndarray,
) -> np.ndarray:
    """Return the probabilities by each member, shape (3, n, classes), NaN where none is known."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    made = np.full((3, len(fold), len(pairs[0])), np.nan)
    with threadpool_limits(1):
        for number in range(FOLDS):
            mine = np.flatnonzero(fold == number)
            if len(mine):
                own = (views[0][mine], views[1][mine])
                made[:, mine] = _of_fold(pairs[number], forests[number], own)
    return made


def _of_fold(
    pairs: tuple[Pair | None, ...], forest: tuple[Any, ...], views: tuple[Any, np.ndarray]
) -> np.ndarray:
    rows = len(views[1])
    made = np.full((3, rows, len(pairs)), np.nan)
    small = fold_models.in_32_bits(views[1])
    made[2] = np.mean([tree.predict(small).reshape(rows, -1) for tree in forest], axis=0)
    for place, pair in enumerate(pairs):
        if pair is not None:
            for member, (model, view) in enumerate(zip(pair, views, strict=True)):
                made[member, :, place] = model.predict_proba(view)[:, 1]
    return made


def _known(has: np.ndarray, learn: np.ndarray) -> np.ndarray:
    """Return the classes of which half of the rows with and without it are learnt from."""
    here, all_ = has[learn].sum(0), has.sum(0)
    made: np.ndarray = (2 * here >= all_) & (2 * (len(learn) - here) >= len(has) - all_)
    return made


def _forest(deep: np.ndarray, has: np.ndarray, seed: int) -> tuple[Any, ...]:
    from sklearn.tree import ExtraTreeRegressor

    # the mean of 0 and 1 is a probability, of all classes at once
    matrix, goals = fold_models.in_32_bits(deep), has.astype(float)
    seeds = np.random.default_rng(seed).integers(0, 2**31 - 1, TREES)
    made = [
        ExtraTreeRegressor(max_features="sqrt", min_samples_leaf=3, random_state=int(one)).fit(
            matrix, goals
        )
        for one in seeds
    ]
    return tuple(made)


def _shares(made: np.ndarray, has: np.ndarray) -> np.ndarray:
    """Return the shares of the members for a class, shape (3,)."""
    known = np.isfinite(made).all(0)
    if not known.any():
        return np.full(len(made), 1 / len(made))
    both = [np.column_stack([1 - one[known], one[known]]) for one in made]
    return cross_fit.mix_shares(both, has[known].astype(np.int64))
