"""One-vs-rest models of many classes on one encoding: the probability that a row has each label.

A logistic regression for each class, and one forest for all of them, mixed for each class by their
out-of-fold likelihood; both cross-fitted. Near copies share a fold, as in `cross_fit`.
Cost: FOLDS x (classes + TREES) fits, each on a matrix that is made once.
"""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from checks.kit import cross_fit, encode, near_copies

FOLDS = 5
TREES = 40


@dataclasses.dataclass(frozen=True, slots=True)
class OneVsRest:
    """Fitted models of all folds.

    Attributes:
        encoder: columns to matrices.
        copies: which rows are near copies of each other, None if that could not be determined.
        linear: for each fold a model of each class, None where the fold knows too little of it.
        forest: for each fold the trees.
        shares: of the linear model in the mix, shape (classes,).
    """

    encoder: encode.Encoder
    copies: near_copies.NearCopies | None
    linear: tuple[tuple[Any, ...], ...]
    forest: tuple[tuple[Any, ...], ...]
    shares: np.ndarray

    def predict(self, table: pa.Table, folds: np.ndarray) -> np.ndarray:
        """Return the probability of each class, shape (n, classes), NaN where none is known.

        Args:
            table: rows of a shard or sample.
            folds: uint32, shape (n,), see `sample.folds`, before copies and the modulus.
        """
        fold = cross_fit.with_copies(self.copies, table, folds) % FOLDS
        wide = self.encoder.linear(table)
        deep = cross_fit.in_32_bits(self.encoder.trees(table))
        made = np.full((table.num_rows, len(self.shares)), np.nan)
        for number in range(FOLDS):
            mine = np.flatnonzero(fold == number)
            if len(mine):
                linear = _linear(self.linear[number], wide[mine])
                forest = _forest(self.forest[number], deep[mine])
                made[mine] = self.shares * linear + (1 - self.shares) * forest
        return made


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
    wide, deep = encoder.linear(table), cross_fit.in_32_bits(encoder.trees(table))

    def one(number: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        learn = np.flatnonzero(fold != number)
        known = _known(has, learn)
        return _regressions(wide[learn], has[learn], known), _trees(deep[learn], has[learn], seed)

    linear, forest = zip(*cross_fit.in_threads(one, FOLDS), strict=True)
    by_linear, by_forest = np.full(has.shape, np.nan), np.zeros(has.shape)
    for number in range(FOLDS):
        mine = np.flatnonzero(fold == number)
        if len(mine):
            by_linear[mine] = _linear(linear[number], wide[mine])
            by_forest[mine] = _forest(forest[number], deep[mine])
    shares = np.array([_share(*each) for each in zip(by_linear.T, by_forest.T, has.T, strict=True)])
    chances = shares * by_linear + (1 - shares) * by_forest
    return OneVsRest(encoder, copies, linear, forest, shares), chances


def _known(has: np.ndarray, learn: np.ndarray) -> np.ndarray:
    """Return the classes of which half of the rows with and without it are learnt from."""
    here, all_ = has[learn].sum(0), has.sum(0)
    made: np.ndarray = (2 * here >= all_) & (2 * (len(learn) - here) >= len(has) - all_)
    return made


def _regressions(wide: Any, has: np.ndarray, known: np.ndarray) -> tuple[Any, ...]:
    from sklearn.linear_model import LogisticRegression

    made = [
        LogisticRegression(max_iter=100).fit(wide, mine) if is_known else None
        for mine, is_known in zip(has.T, known, strict=True)
    ]
    return tuple(made)


def _trees(deep: np.ndarray, has: np.ndarray, seed: int) -> tuple[Any, ...]:
    from sklearn.tree import ExtraTreeRegressor

    # the mean of 0 and 1 is a probability, of all classes at once
    goals, draw = has.astype(float), np.random.default_rng(seed)
    seeds = draw.integers(0, 2**31 - 1, TREES)
    made = [
        ExtraTreeRegressor(max_features="sqrt", min_samples_leaf=3, random_state=int(one)).fit(
            deep, goals
        )
        for one in seeds
    ]
    return tuple(made)


def _linear(models: tuple[Any, ...], wide: Any) -> np.ndarray:
    made = [
        np.full(wide.shape[0], np.nan) if model is None else model.predict_proba(wide)[:, 1]
        for model in models
    ]
    return np.column_stack(made)


def _forest(trees: tuple[Any, ...], deep: np.ndarray) -> np.ndarray:
    made: np.ndarray = np.mean([tree.predict(deep).reshape(len(deep), -1) for tree in trees], 0)
    return made


def _share(linear: np.ndarray, forest: np.ndarray, has: np.ndarray) -> float:
    known = np.isfinite(linear)
    if not known.any():
        return 1.0
    both = [np.column_stack([1 - one[known], one[known]]) for one in (linear, forest)]
    return float(cross_fit.mix_shares(both, has[known].astype(int))[0])
