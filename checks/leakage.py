"""Target leakage: a single column that gives the label away.

Threat: data leakage. State: a sample of 20,000 rows. Cost: one pass, then one table of counts
a column. Nulls: a missing value is a level of its own, so that a telling gap is seen too.
Blind to: a leak that is spread over several columns or hidden in the words of a text.
Source: Kaufman, Rosset, Perlich 2012 (leakage in data mining).
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import encode, findings, sample
from checks.kit.protocol import Check, Context, Model
from provenance.rows.shards import Shard

SIZE = 20_000
LEVELS = 200  # values that are counted one by one; further numbers fall into quantiles
FOLDS = 5
LEAST_OF_CLASS = 10
MOST_CLASSES = 100
NUMERIC_CLASSES = 50
COPY = 0.98  # of the rows told right in every class, by the lower bound; as good as a copy
TO_DO = (
    "remove it from the source; or give it assay.role: ignore, and leave it out when you train, "
    "for it stays in the clean files"
)
NEAR_AREA = 0.98
COPY_RANK, NEAR_RANK = 0.9999, 0.99


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """How well one column alone tells the label, out of fold.

    Attributes:
        right: least share of a class that is told right, less three rows for chance.
        area: least area under the curve of a class against the rest.
        one_to_one: whether values and classes map to each other without exception.
    """

    right: float
    area: float
    one_to_one: bool


class Leakage(Check[pa.Table, Model]):
    """Refuse a dataset in which one column is the label in another form."""

    name: ClassVar[str] = "leakage"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("data leakage",)
    needs: ClassVar[frozenset[str]] = frozenset({"label"})
    finds_telling_columns: ClassVar[bool] = True

    def __init__(self, context: Context) -> None:
        """Name the columns that are sampled."""
        super().__init__(context)
        self.label = context.contract.label or ""
        self.features = [n for n in context.contract.features if n in context.schema.names]

    def fit(self, shard: Shard) -> pa.Table:
        """Return the shard's part of the sample."""
        return sample.take(shard, [*self.features, self.label], SIZE)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Return the sample of both."""
        return sample.merge(left, right, SIZE)

    def finish(self, state: pa.Table) -> Model:
        """Judge each column alone."""
        table = sample.settled(state)
        table = table.filter(pc.is_valid(table[self.label]))
        if _is_quantity(table[self.label]):
            return Model(overall=findings.concat(self._ranked(table)))
        counted = table[self.label].combine_chunks().value_counts()
        kept = pc.greater_equal(counted.field("counts"), LEAST_OF_CLASS)
        classes = counted.field("values").filter(kept)
        if not 2 <= len(classes) <= MOST_CLASSES:  # noqa: PLR2004
            note = f"leakage not judged: {len(classes)} classes of {LEAST_OF_CLASS} rows or more"
            return Model(notes=(note,))
        table = table.filter(pc.is_in(table[self.label], value_set=classes))
        given = pc.index_in(table[self.label], value_set=classes).to_numpy().astype(np.int64)
        fold = table[sample.FOLD].to_numpy() % FOLDS
        said = [
            self._said(name, _told(_levels(table[name]), given, fold)) for name in self.features
        ]
        return Model(overall=findings.concat([part for part in said if part is not None]))

    def score(self, shard: Shard, model: Model) -> findings.Findings:  # noqa: ARG002
        """Report nothing: a leak is a property of a column."""
        return findings.empty()

    def _said(self, name: str, told: Told) -> findings.Findings | None:
        if told.one_to_one:
            evidence = f"the values of {name!r} and the classes map one to one"
            return self._finding(name, evidence, 1.0)
        area = f"area under the curve {told.area:.4f}"
        if told.right >= COPY:
            evidence = f"{name!r} alone tells every class right ({area})"
            return self._finding(name, evidence, told.area)
        if told.area > NEAR_AREA:
            evidence = f"{name!r} alone nearly tells the label ({area})"
            return self._finding(name, evidence, told.area, "warning")
        return None

    def _ranked(self, table: pa.Table) -> list[findings.Findings]:
        from scipy.stats import spearmanr

        said, target = [], encode.numbers(table[self.label])
        for name in self.features:
            kind = table[name].type
            if pa.types.is_string(kind) or pa.types.is_boolean(kind):
                continue
            values = encode.numbers(table[name])
            both = np.isfinite(values) & np.isfinite(target)
            if len(np.unique(values[both])) <= NUMERIC_CLASSES:
                continue
            rank = abs(float(spearmanr(values[both], target[both]).statistic))
            if rank > NEAR_RANK:
                evidence = f"it ranks the rows as the label does (rank correlation {rank:.4f})"
                severity: findings.Severity = "error" if rank >= COPY_RANK else "warning"
                said.append(self._finding(name, evidence, rank, severity))
        return said

    def _finding(
        self, column: str, evidence: str, score: float, severity: findings.Severity = "error"
    ) -> findings.Findings:
        return findings.make(
            None,
            check=self.name,
            rule="ASSAY-V018",
            column=column,
            severity=severity,
            score=score,
            evidence=evidence,
            suggestion=TO_DO,
        )


def _is_quantity(column: pa.ChunkedArray) -> bool:
    if pa.types.is_floating(column.type):
        return True
    return bool(
        pa.types.is_integer(column.type) and pc.count_distinct(column).as_py() > NUMERIC_CLASSES
    )


def _levels(column: pa.ChunkedArray) -> np.ndarray:
    flat = column.combine_chunks()
    codes = flat.dictionary_encode(null_encoding="encode")
    if len(codes.dictionary) <= LEVELS or pa.types.is_string(flat.type):
        return np.asarray(codes.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    values = encode.numbers(flat)
    edges = np.unique(np.nanquantile(values, np.linspace(0, 1, LEVELS)[1:-1]))
    binned = np.searchsorted(edges, values, side="right")
    binned[np.isnan(values)] = len(edges) + 1
    return binned


def _told(levels: np.ndarray, given: np.ndarray, fold: np.ndarray) -> Told:
    wide, classes = int(levels.max()) + 1, int(given.max()) + 1
    cell = levels * classes + given
    whole = np.bincount(cell, minlength=wide * classes).reshape(wide, classes)
    base = whole.sum(0) / len(given)
    chances = np.zeros((len(given), classes))
    for number in range(FOLDS):
        mine = fold == number
        own = np.bincount(cell[mine], minlength=wide * classes).reshape(wide, classes)
        seen = (whole - own) + base
        chances[mine] = (seen / seen.sum(1, keepdims=True))[levels[mine]]
    count = np.bincount(given, minlength=classes)
    hits = np.bincount(given[chances.argmax(1) == given], minlength=classes)
    area = min(_area(chances[:, c], given == c) for c in range(classes))
    filled = whole > 0
    one_to_one = wide == classes and bool((filled.sum(0) == 1).all() and (filled.sum(1) == 1).all())
    return Told(float(((hits - 3) / count).min()), area, one_to_one)


def _area(score: np.ndarray, hit: np.ndarray) -> float:
    from scipy.stats import rankdata

    positive, negative = int(hit.sum()), int((~hit).sum())
    ranks = rankdata(score)[hit].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))
