"""Whether a classifier can distinguish this run's rows from the reference's, and by which columns.

Trees are trained on one half of a bounded sample of both and judged on the other: an AUC of 0.5 is
chance. Many small shifts that add up are a warning, since each column has limits of its own. Then
each column is replaced by its ranks within this run and within the reference, so that no column
alone reveals anything; what remains are columns that relate to each other differently, an error
beyond its limit.
Left out: times, protected columns, columns beyond the first 200; text counts only by its length.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import pyarrow as pa

from checks.drift.effects import LIMITS, NOISE
from checks.kit import encode
from checks.kit.contract_model import Contract
from checks.kit.ranks import ranks

ROWS = 4_000  # of this run and of the reference
LEAST = 100
MOST_COLUMNS = 200
TREES = 30
LEAVES = 15
NAMED = 3  # columns named in the finding


@dataclasses.dataclass(frozen=True, slots=True)
class Distinguished:
    """How well the classifier distinguishes the two.

    Attributes:
        area: area under the ROC curve, on unseen rows.
        size: how far it exceeds 0.5 and chance; joint: the same with columns replaced by ranks.
        columns: the columns that contribute most, in order.
    """

    area: float
    size: float
    joint: float
    columns: tuple[str, ...]


def columns(contract: Contract, schema: pa.Schema, names: set[str]) -> list[str]:
    """Return the columns to learn from, out of those that the reference has too."""
    there, protected = names & set(schema.names), contract.protected
    kept = [n for n in contract.features if n in there and n not in protected]
    return [n for n in kept if not pa.types.is_temporal(schema.field(n).type)][:MOST_COLUMNS]


def distinguish(
    current: pa.Table, reference: pa.Table, contract: Contract, folds: np.ndarray, seed: int
) -> Distinguished | None:
    """Return how well the two can be distinguished, None with too few rows or columns.

    Args:
        current: rows of this run, at most ROWS.
        reference: the same columns and types; ROWS of its rows are drawn.
        contract: says which columns are text.
        folds: folds of the current rows, uint32.
        seed: seed of everything random.
    """
    import sklearn.ensemble  # noqa: F401  a limit holds for what is loaded when it is set
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if min(len(current), len(reference)) < LEAST or not current.num_columns:
        return None
    draw = np.random.default_rng(seed)
    rows = np.sort(draw.permutation(len(reference))[:ROWS])
    both = pa.concat_tables([current, reference.take(pa.array(rows))]).combine_chunks()
    encoder = encode.fit(both, encode.kinds(contract, both))
    matrix, is_current = encoder.trees(both), np.arange(len(both)) < len(current)
    half = np.concatenate([folds % 2, draw.integers(0, 2, len(rows))])
    names = tuple(part.name for part in encoder.parts)
    # one thread: fast on a busy machine, and the numbers do not depend on its cores
    with threadpool_limits(1, user_api="openmp"):
        return _distinguish(matrix, is_current, half, names, draw)


def _distinguish(
    matrix: np.ndarray,
    is_current: np.ndarray,
    half: np.ndarray,
    names: tuple[str, ...],
    draw: np.random.Generator,
) -> Distinguished:
    seed = int(draw.integers(2**31))
    area, found = _area(matrix, is_current, half, seed)
    size = area - 0.5 - _noise(is_current)
    if size < LIMITS["domain"][0] or not found:
        return Distinguished(area, size, 0.0, ())
    order = _order(matrix, is_current, half, found, draw)
    for rows in (is_current, ~is_current):
        matrix[rows] = _ranks(matrix[rows], draw)
    joint = _area(matrix, is_current, half, seed)[0] - 0.5 - _noise(is_current)
    return Distinguished(area, size, joint, tuple(names[n] for n in order))


def _noise(is_current: np.ndarray) -> float:
    one, other = int(is_current.sum()), int((~is_current).sum())
    return NOISE * math.sqrt((one + other + 1) / (12 * one * other))


def _area(
    matrix: np.ndarray, is_current: np.ndarray, half: np.ndarray, seed: int
) -> tuple[float, list[tuple[int, Any, float]]]:
    """Return the mean AUC of both halves, and each model with its own."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    made = []
    for mine in (0, 1):
        learn = half != mine
        if min(_classes(is_current[learn]), _classes(is_current[~learn])) < 2:  # noqa: PLR2004
            return 0.5, []
        model = HistGradientBoostingClassifier(
            max_iter=TREES, max_leaf_nodes=LEAVES, min_samples_leaf=20, l2_regularization=1.0,
            early_stopping=False, random_state=seed,
        )  # fmt: skip
        learnt = matrix[learn]
        learnt[:, np.isnan(learnt).all(axis=0)] = 0.0  # a column without a value cannot be binned
        model.fit(learnt, is_current[learn])
        made.append((mine, model, _scored(model, matrix[~learn], is_current[~learn])))
    return sum(area for *_, area in made) / 2, made


def _classes(values: np.ndarray) -> int:
    return len(np.unique(values))


def _scored(model: Any, matrix: np.ndarray, is_current: np.ndarray) -> float:
    own = ranks(model.decision_function(matrix))[is_current]
    one, other = len(own), len(is_current) - len(own)
    return float((own.sum() - one * (one + 1) / 2) / (one * other))


def _order(
    matrix: np.ndarray,
    is_current: np.ndarray,
    half: np.ndarray,
    found: list[tuple[int, Any, float]],
    draw: np.random.Generator,
) -> list[int]:
    """Return the columns whose permutation costs the most AUC, the greatest loss first."""
    lost = np.zeros(matrix.shape[1])
    for mine, model, area in found:
        kept = half == mine
        for column in range(matrix.shape[1]):
            mixed = matrix[kept].copy()
            mixed[:, column] = draw.permutation(mixed[:, column])
            lost[column] += area - _scored(model, mixed, is_current[kept])
    order = np.argsort(-lost, kind="stable")[:NAMED]
    return [int(n) for n in order if lost[n] > 0.1 * lost.max()]


def _ranks(matrix: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return each column as evenly spaced ranks, equal values in random order."""
    made = np.empty_like(matrix)
    for column in range(matrix.shape[1]):
        values = np.nan_to_num(matrix[:, column], nan=-np.inf)
        order = np.lexsort((draw.random(len(values)), values))
        made[order, column] = np.arange(len(values)) / max(len(values), 1)
    return made
