"""Can a classifier tell this night's rows from the reference's, and by which columns?

Trees on a bounded sample of both, judged on the half that they have not seen: 0.5 is chance. Told
apart by many small shifts is a warning, since each column has limits of its own. Then each column
is put in ranks on either side, so that alone it tells nothing; what is still told apart are columns
that go together differently, and that is an error beyond its limit.
Left out: times, protected columns, columns beyond the first 200; of texts only the length counts.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import pyarrow as pa

from checks.drift.effects import LIMITS, NOISE
from checks.kit import encode
from checks.kit.contract_model import Contract

ROWS = 4_000  # of each side
LEAST = 100
MOST_COLUMNS = 200
TREES = 30
LEAVES = 15
NAMED = 3  # columns that explain


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What the classifier told apart.

    Attributes:
        area: under the curve, on rows that it has not seen.
        size: how far beyond 0.5 and beyond chance; joint: the same with columns in ranks.
        columns: that tell most, the first most.
    """

    area: float
    size: float
    joint: float
    columns: tuple[str, ...]


def columns(contract: Contract, schema: pa.Schema, names: list[str]) -> list[str]:
    """Return the columns that are looked at, of those that the reference has as well."""
    both = [n for n in contract.features if n in names and n in schema.names]
    kept = [n for n in both if n not in contract.protected]
    return [n for n in kept if not pa.types.is_temporal(schema.field(n).type)][:MOST_COLUMNS]


def told(
    night: pa.Table, reference: pa.Table, contract: Contract, folds: np.ndarray, seed: int
) -> Told | None:
    """Return how well the two are told apart, None with too few rows or columns.

    Args:
        night: rows of this night, at most ROWS.
        reference: the same columns and types; ROWS of its rows are drawn.
        contract: says which columns are texts.
        folds: of the night's rows, uint32.
        seed: of everything random.
    """
    import sklearn.ensemble  # noqa: F401  a limit holds for what is loaded when it is set
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if min(len(night), len(reference)) < LEAST or not night.num_columns:
        return None
    draw = np.random.default_rng(seed)
    rows = np.sort(draw.permutation(len(reference))[:ROWS])
    both = pa.concat_tables([night, reference.take(pa.array(rows))]).combine_chunks()
    encoder = encode.fit(both, encode.kinds(contract, both))
    matrix, is_night = encoder.trees(both), np.arange(len(both)) < len(night)
    half = np.concatenate([folds % 2, draw.integers(0, 2, len(rows))])
    names = tuple(part.name for part in encoder.parts)
    # one thread: quick on a machine that is busy, and the numbers do not depend on its cores
    with threadpool_limits(1, user_api="openmp"):
        return _told(matrix, is_night, half, names, draw)


def _told(
    matrix: np.ndarray,
    is_night: np.ndarray,
    half: np.ndarray,
    names: tuple[str, ...],
    draw: np.random.Generator,
) -> Told:
    seed = int(draw.integers(2**31))
    area, found = _area(matrix, is_night, half, seed)
    size = area - 0.5 - _noise(is_night)
    if size < LIMITS["domain"][0] or not found:
        return Told(area, size, 0.0, ())
    order = _order(matrix, is_night, half, found, draw)
    for side in (is_night, ~is_night):
        matrix[side] = _ranks(matrix[side], draw)
    joint = _area(matrix, is_night, half, seed)[0] - 0.5 - _noise(is_night)
    return Told(area, size, joint, tuple(names[n] for n in order))


def _noise(is_night: np.ndarray) -> float:
    one, other = int(is_night.sum()), int((~is_night).sum())
    return NOISE * math.sqrt((one + other + 1) / (12 * one * other))


def _area(
    matrix: np.ndarray, is_night: np.ndarray, half: np.ndarray, seed: int
) -> tuple[float, list[tuple[int, Any, float]]]:
    """Return the mean area under the curve of both halves, and each model with its own."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    made = []
    for mine in (0, 1):
        learn = half != mine
        if min(_classes(is_night[learn]), _classes(is_night[~learn])) < 2:  # noqa: PLR2004
            return 0.5, []
        model = HistGradientBoostingClassifier(
            max_iter=TREES, max_leaf_nodes=LEAVES, min_samples_leaf=20, l2_regularization=1.0,
            early_stopping=False, random_state=seed,
        )  # fmt: skip
        learnt = matrix[learn]
        learnt[:, np.isnan(learnt).all(axis=0)] = 0.0  # what has no value cannot be binned
        model.fit(learnt, is_night[learn])
        made.append((mine, model, _scored(model, matrix[~learn], is_night[~learn])))
    return sum(area for *_, area in made) / 2, made


def _classes(values: np.ndarray) -> int:
    return len(np.unique(values))


def _scored(model: Any, matrix: np.ndarray, is_night: np.ndarray) -> float:
    from scipy.stats import rankdata

    ranks = rankdata(model.decision_function(matrix))[is_night]
    one, other = len(ranks), len(is_night) - len(ranks)
    return float((ranks.sum() - one * (one + 1) / 2) / (one * other))


def _order(
    matrix: np.ndarray,
    is_night: np.ndarray,
    half: np.ndarray,
    found: list[tuple[int, Any, float]],
    draw: np.random.Generator,
) -> list[int]:
    """Return the columns without which least is told apart, the worst loss first."""
    lost = np.zeros(matrix.shape[1])
    for mine, model, area in found:
        kept = half == mine
        for column in range(matrix.shape[1]):
            mixed = matrix[kept].copy()
            mixed[:, column] = draw.permutation(mixed[:, column])
            lost[column] += area - _scored(model, mixed, is_night[kept])
    order = np.argsort(-lost, kind="stable")[:NAMED]
    return [int(n) for n in order if lost[n] > 0.1 * lost.max()]


def _ranks(matrix: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return each column as evenly spread ranks, equal values in an order of chance."""
    made = np.empty_like(matrix)
    for column in range(matrix.shape[1]):
        values = np.nan_to_num(matrix[:, column], nan=-np.inf)
        order = np.lexsort((draw.random(len(values)), values))
        made[order, column] = np.arange(len(values)) / max(len(values), 1)
    return made
