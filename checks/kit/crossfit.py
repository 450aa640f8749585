"""Models that judge only rows they have not seen: one per fold of the row digest.

Each is a logistic regression beside gradient-boosted trees; their mix is the one of least log
loss out of fold. One thread a model, so that the numbers do not depend on the machine's cores.
"""

import dataclasses
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from checks.kit import encode

FOLDS = 5
MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of the linear model
THREADS = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Crossfit:
    """Fitted models of all folds.

    Attributes:
        encoder: columns to matrices.
        members: (linear, trees) of each fold; a fold's models have not seen its rows.
        mix: share of the linear model, in [0, 1].
        classes: number of classes; 0 for a numeric label.
    """

    encoder: encode.Encoder
    members: tuple[tuple[Any, Any], ...]
    mix: float
    classes: int

    def predict(self, table: pa.Table, folds: np.ndarray) -> np.ndarray:
        """Return chances, shape (n, classes), or predicted numbers, shape (n,).

        Args:
            table: rows of a shard or sample.
            folds: uint32, shape (n,), see `sample.folds`; the modulus is taken here.
        """
        wide, deep = _both(self.encoder, table, self.mix)
        made = np.zeros((table.num_rows, self.classes) if self.classes else table.num_rows)
        fold = folds % FOLDS
        for number, (linear, trees) in enumerate(self.members):
            mine = np.flatnonzero(fold == number)
            if not len(mine):
                continue
            if wide is not None:
                made[mine] += self.mix * _chances(linear, wide[mine], self.classes)
            if deep is not None:
                made[mine] += (1 - self.mix) * _chances(trees, deep[mine], self.classes)
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
    encoder = encode.fit(table, how)
    wide, deep = encoder.linear(table), encoder.trees(table)
    fold = folds % FOLDS
    usable = given >= 0 if classes else np.isfinite(given)

    def one(number: int) -> tuple[Any, Any, np.ndarray, np.ndarray]:
        learn = np.flatnonzero((fold != number) & usable)
        mine = np.flatnonzero(fold == number)
        if _varies(given[learn]):
            linear = _linear(classes).fit(wide[learn], given[learn])
            trees = _grown(encoder, deep[learn], given[learn], classes, seed)
        else:  # nearly all rows are copies of each other, and copies share a fold
            linear = trees = _constant(classes).fit(deep[usable], given[usable])
        told = _chances(linear, wide[mine], classes), _chances(trees, deep[mine], classes)
        return linear, trees, *told

    with warnings.catch_warnings(), _one_thread("blas"), ThreadPoolExecutor(THREADS) as pool:
        warnings.simplefilter("ignore")  # lbfgs says when it stops early; a rough fit will do
        done = list(pool.map(one, range(FOLDS)))
    order = np.argsort(np.concatenate([np.flatnonzero(fold == n) for n in range(FOLDS)]))
    left, right = (np.concatenate([each[side] for each in done])[order] for side in (2, 3))
    mix = _best_mix(left[usable], right[usable], given[usable], classes)
    members = tuple(each[:2] for each in done)
    return Crossfit(encoder, members, mix, classes), mix * left + (1 - mix) * right


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


def _both(encoder: encode.Encoder, table: pa.Table, mix: float) -> tuple[Any, Any]:
    wide = encoder.linear(table) if mix > 0 else None
    return wide, encoder.trees(table) if mix < 1 else None


def _chances(model: Any, matrix: Any, classes: int) -> np.ndarray:
    if not matrix.shape[0]:
        return np.zeros((0, classes) if classes else 0)
    if not classes:
        return np.asarray(model.predict(matrix), dtype=float)
    made = np.zeros((matrix.shape[0], classes))
    # a class that this fold's models never saw keeps chance 0
    made[:, model.classes_] = model.predict_proba(matrix)
    return made


def _best_mix(left: np.ndarray, right: np.ndarray, given: np.ndarray, classes: int) -> float:
    def loss(mix: float) -> float:
        made = mix * left + (1 - mix) * right
        if not classes:
            return float(np.median(np.abs(given - made)))
        chance = made[np.arange(len(given)), given]
        return float(-np.log(np.clip(chance, 1e-6, None)).mean())

    return min(MIXES, key=loss)
