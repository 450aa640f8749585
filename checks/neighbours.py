"""Neighbours by embedding: near copies of a vector, and vectors far from all others.

Threat: poisoning by near copies; degradation by rows of another kind. State: a sample of 10,000
vectors by column. Cost: two passes; each row is compared with the sample, in blocks: O(rows x
sample x width), at most 512 numbers a vector, O(block x sample) memory.
Nulls: a missing vector, or one of another length, has no neighbours.
Blind to: copies of which none is in the sample; groups of more than 30 near copies, which are dense
like any others; outliers that lie close together. All findings are warnings.
Source: nearest-neighbour distances of d-dimensional points (Levina, Bickel 2004, for d); outliers
by the distance of the k-th neighbour (Ramaswamy, Rastogi, Shim 2000).
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.kit import calibrate, findings, sample, vectors
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.wording import count, percent
from provenance.rows.shards import Shard

SIZE = 10_000
LEAST = 200  # sampled vectors, to say what is usual
NEAREST = 30  # the neighbour whose distance says how dense it is around a row
OUTLYING = 10  # the one whose distance says how far a row is from all others
BLOCK = 512  # rows that are compared at once
CLOSE = 0.05  # expected number of rows in all that come so close by chance
MOST_COPIES = 0.05  # of the rows; if more are copies, that is one finding
MOST_OUTLIERS = 0.02  # of the rows; more are a part of the data
MOST_SHAPE = 0.15  # of the tail: logarithms of distances have light ones


@dataclasses.dataclass(frozen=True, slots=True)
class Cloud:
    """The sampled vectors of a column, and what is usual among them.

    Attributes:
        rows: ordinals, int64, shape (m,), ascending; values: float32, shape (m, width).
        dimension: how many directions the cloud has locally.
        tail: of the logarithm of the distance to the `OUTLYING`-th neighbour.
        limit: probability in that tail below which a row is an outlier.
        copies: share of the sampled rows that are copies.
    """

    rows: np.ndarray
    values: np.ndarray
    dimension: float = 1.0
    tail: calibrate.Tail | None = None
    limit: float = 0.0
    copies: float = 0.0


@dataclasses.dataclass(frozen=True)
class Clouds(Model):
    """The cloud of each column; none where there is too little to compare with."""

    by_column: dict[str, Cloud] = dataclasses.field(default_factory=dict)


class Neighbours(Check[pa.Table, Clouds]):
    """Find near copies and outliers among embeddings."""

    name: ClassVar[str] = "neighbours"
    threats: ClassVar[tuple[str, ...]] = ("data poisoning", "drift and degradation")
    needs: ClassVar[frozenset[str]] = frozenset({"embedding"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        "neighbours.copy": Explanation(
            ("warning", "info"), "The embedding nearly repeats that of another row.",
            "Its distance to the nearest other vector is so small, for the density around it, that "
            f"chance would bring fewer than {CLOSE} rows of the dataset so close. If more than one "
            "row in 20 is like that, one finding on the dataset says so instead.",
            "Compare both rows; keep copies in the same fold when you evaluate a model.",
        ),
        "neighbours.outlier": Explanation(
            ("warning",), "The embedding is far from all others.",
            f"Its distance to the {OUTLYING}th nearest vector lies where the tail of those "
            "distances does not reach: false alarms should make up at most alpha of these rows.",
            "Look at the row: it may be of another kind, language or modality.",
        ),
    }  # fmt: skip

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        self.columns = context.contract.used("embedding")

    def fit(self, shard: Shard) -> pa.Table:
        """Return the shard's part of the sample."""
        return sample.take(self._seen(shard), list(self.columns), SIZE)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Join both samples."""
        return sample.merge(left, right, SIZE)

    def finish(self, state: pa.Table) -> Clouds:
        """Measure the distances within the sample."""
        table, found, notes, overall = sample.settled(state), {}, [], [findings.empty()]
        for name in self.columns:
            size = vectors.usual_length(table[name])
            values = vectors.matrix(table[name], size).astype(np.float32)
            known = np.isfinite(values).all(1) & bool(size)
            if known.sum() < LEAST:
                few = count(int(known.sum()), "vector")
                notes.append(f"'{name}': {few}, too few to compare them")
                continue
            cloud = Cloud(table[sample.ROW].to_numpy()[known], values[known])
            found[name] = self._measured(cloud)
            if (share := found[name].copies) > MOST_COPIES:
                says = f"{percent(share)} of the sampled embeddings nearly repeat an earlier one"
                overall.append(
                    findings.make(
                        None, check=self.name, rule="neighbours.copy", column=name,
                        severity="info", score=share, evidence=says,
                        suggestion="keep copies in the same fold when you evaluate a model",
                    )
                )  # fmt: skip
        return Clouds(findings.concat(overall), tuple(notes), by_column=found)

    def score(self, shard: Shard, model: Clouds) -> findings.Findings:
        """Report near copies and outliers among the shard's rows."""
        parts, table = [findings.empty()], self._seen(shard).table
        for name, cloud in model.by_column.items():
            values = vectors.matrix(table[name], cloud.values.shape[1]).astype(np.float32)
            known = np.flatnonzero(np.isfinite(values).all(1))
            rows = shard.rows[known]
            far, first = _distances(cloud, values[known], rows)
            if cloud.copies <= MOST_COPIES:
                chance = self._by_chance(far, first, rows, cloud.dimension)
                hit = chance < 1
                parts.append(self._rows(rows[hit], name, "copy", 1 - chance[hit]))
            if cloud.tail is not None:
                beyond = cloud.tail.beyond(_logs(far[:, OUTLYING - 1]))
                out = beyond < cloud.limit
                parts.append(self._rows(rows[out], name, "outlier", 1 - beyond[out]))
        return findings.concat(parts)

    def _seen(self, shard: Shard) -> Shard:
        table = vectors.with_lists(shard, self.columns, vectors.WIDEST)
        return dataclasses.replace(shard, table=table)

    def _by_chance(
        self, far: np.ndarray, first: np.ndarray, rows: np.ndarray, dimension: float
    ) -> np.ndarray:
        """Return the probability of so close a neighbour; 1 for rows that are no later copies."""
        # a row's own dimension is a rough estimate, that of all may not hold where it lies
        own = (_dimensions(far) + dimension) / 2
        chance = _closeness(far, np.minimum(own, dimension))
        hit = (chance * max(self.context.rows, 1) < CLOSE) & (first < rows)
        return np.where(hit, chance, 1.0)

    def _measured(self, cloud: Cloud) -> Cloud:
        far, first = _distances(cloud, cloud.values, cloud.rows)
        logs = _logs(far[:, OUTLYING - 1])
        tail = calibrate.tail(logs, most_shape=MOST_SHAPE)
        alpha, rows = self.context.contract.policy.alpha, max(self.context.rows, len(logs))
        chances = tail.beyond(logs)[:, None]
        lone = calibrate.alone(chances, alpha=alpha, rows=rows, most=MOST_OUTLIERS)
        group = calibrate.grouped(chances, None, alpha=alpha)
        limit = calibrate.within(chances, np.maximum(lone, group), lone, MOST_OUTLIERS)
        dimension = float(np.median(_dimensions(far)))
        copies = float((self._by_chance(far, first, cloud.rows, dimension) < 1).mean())
        return dataclasses.replace(
            cloud, dimension=dimension, tail=tail, limit=float(limit[0]), copies=copies
        )

    def _rows(
        self, rows: np.ndarray, column: str, rule: str, score: np.ndarray
    ) -> findings.Findings:
        says = {
            "copy": "the embedding nearly repeats that of an earlier row",
            "outlier": "the embedding is far from all others",
        }
        return findings.make(
            rows, check=self.name, rule=f"neighbours.{rule}", column=column, severity="warning",
            score=score, p_value=1 - score, evidence=says[rule],
            suggestion="look at the row, and at its nearest neighbours",
        )  # fmt: skip


def _distances(cloud: Cloud, values: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances to the nearest other vectors of the sample, and the nearest's row.

    The candidates come from products of whole blocks; their distances are then measured one by one,
    so that they do not depend on the block.

    Returns:
        float64, shape (n, NEAREST), ascending, and int64, shape (n,): the earliest row among the
        neighbours at (nearly) the smallest distance.
    """
    made = np.zeros((len(values), NEAREST))
    first = np.zeros(len(values), np.int64)
    squares = np.einsum("ij,ij->i", cloud.values, cloud.values)
    for start in range(0, len(values), BLOCK):
        block, own = values[start : start + BLOCK], rows[start : start + BLOCK]
        rough = squares - 2 * block @ cloud.values.T
        rough[own[:, None] == cloud.rows] = np.inf
        near = np.argpartition(rough, NEAREST, axis=1)[:, :NEAREST]
        gaps = block[:, None, :].astype(np.float64) - cloud.values[near]
        exact = np.sqrt((gaps**2).sum(2))
        nearest = exact <= exact.min(1, keepdims=True) * 2
        first[start : start + BLOCK] = np.where(
            nearest, cloud.rows[near], np.iinfo(np.int64).max
        ).min(1)
        made[start : start + BLOCK] = np.sort(exact, axis=1)
    return made, first


def _logs(far: np.ndarray) -> np.ndarray:
    logs: np.ndarray = np.log(np.maximum(far, 1e-30))
    return logs


def _dimensions(far: np.ndarray) -> np.ndarray:
    """Return the dimension around each row by maximum likelihood: float64, shape (n,), >= 1.

    The nearest third of the neighbours is left out: near copies would make a cloud look flat.
    """
    inner = far[:, NEAREST // 3 : -1]
    ratios = np.log(np.maximum(far[:, -1:], 1e-30) / np.maximum(inner, 1e-30)).mean(1)
    # as it would be in one dimension
    flat = np.log(NEAREST / np.arange(NEAREST // 3 + 1, NEAREST)).mean()
    made: np.ndarray = np.maximum(flat / np.maximum(ratios, 1e-9), 1.0)
    return made


def _closeness(far: np.ndarray, dimension: np.ndarray) -> np.ndarray:
    """Return the probability that the nearest vector is so close by chance: float64, shape (n,)."""
    ratio = far[:, 0] / np.maximum(far[:, -1], 1e-30)
    inside = np.clip(ratio, 0, 1) ** dimension
    made: np.ndarray = -np.expm1((NEAREST - 1) * np.log1p(-np.minimum(inside, 1 - 1e-12)))
    return made
