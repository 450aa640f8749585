"""Target leakage: a single column that gives the label away.

Threat: data leakage. State: a sample of 20,000 rows. Cost: one pass, then one table of counts per
column. Nulls: a missing value is a level of its own, so missingness that predicts the label counts.
A number's levels are bins of five rows at least; in a small table `gap` weighs how far the classes
lie apart, since a few rows without an error prove little.
Blind to: a leak that is spread over several columns or hidden in the words of a text.
Source: Kaufman, Rosset, Perlich 2012 (leakage in data mining).
"""

import dataclasses
import math
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import encode, findings, numeric_label, ranks, sample
from checks.kit.protocol import Check, Context, Model
from checks.kit.wording import count
from checks.leakage import gap
from checks.leakage.gap import COPY, NEAR_AREA
from provenance.rows.shards import Shard

SIZE = 20_000
LEVELS = 200  # distinct values to count; numbers with more are binned by quantiles
PER_LEVEL = 5  # rows of a number's level on average, at least
FOLDS = 5
LEAST_OF_CLASS = 10
MOST_CLASSES = 100
TO_DO = (
    "remove the column from the source; or set assay.role: ignore for it and leave it out of "
    "training, since it stays in the clean files"
)
SURE = 0.05  # chance of a gap, over all columns together, below which it is no accident
COPY_RANK, NEAR_RANK = 0.9999, 0.99


@dataclasses.dataclass(frozen=True, slots=True)
class Separation:
    """How well one column alone predicts the label, out of fold.

    Attributes:
        recall: lowest recall of a class, less three rows for chance.
        area: lowest area under the ROC curve of a class against the rest.
        one_to_one: whether values and classes map to each other without exception.
    """

    recall: float
    area: float
    one_to_one: bool


class Leakage(Check[pa.Table, Model]):
    """Refuse a dataset in which one column is the label in another form."""

    name: ClassVar[str] = "leakage"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("data leakage",)
    needs: ClassVar[frozenset[str]] = frozenset({"label"})
    finds_telling_columns: ClassVar[bool] = True

    def __init__(self, context: Context) -> None:
        """Choose the columns to sample."""
        super().__init__(context)
        self.label = context.contract.label or ""
        present = set(context.schema.names)
        self.features = [n for n in context.contract.features if n in present]
        # ignored ones too: a contract that ignores a column must not make the others suspect
        self._tried = sum(
            column.spec.logical not in ("string", "boolean") and "label" not in column.roles
            for column in context.contract.columns
        )

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
        if numeric_label.is_quantity(table[self.label]):
            return Model(overall=findings.concat(self._ranked(table)))
        counted = table[self.label].combine_chunks().value_counts()
        kept = pc.greater_equal(counted.field("counts"), LEAST_OF_CLASS)
        classes = counted.field("values").filter(kept)
        if not 2 <= len(classes) <= MOST_CLASSES:  # noqa: PLR2004
            classes_ = count(len(classes), "class")
            note = (
                f"Not checked for leakage: the label has {classes_} with at least {LEAST_OF_CLASS} "
                f"rows, and 2 to {MOST_CLASSES} are needed."
            )
            return Model(notes=(note,))
        table = table.filter(pc.is_in(table[self.label], value_set=classes))
        given = pc.index_in(table[self.label], value_set=classes).to_numpy().astype(np.int64)
        fold = table[sample.FOLD].to_numpy() % FOLDS
        by_class, parts = gap.by_class(given), []
        for name in self.features:
            found = _separation_by(table[name], given, fold, by_class)
            part = self._judged(name, found)
            if part is None or part["severity"][0].as_py() != "error":
                part = self._apart(name, table[name], given, by_class) or part
            parts.append(part)
        return Model(overall=findings.concat([part for part in parts if part is not None]))

    def score(self, shard: Shard, model: Model) -> findings.Findings:  # noqa: ARG002
        """Report nothing: a leak concerns a column, not a row."""
        return findings.empty()

    def _judged(self, name: str, found: Separation) -> findings.Findings | None:
        if found.one_to_one:
            evidence = f"the values of {name!r} and the classes map one to one"
            return self._finding(name, evidence, 1.0)
        area = _rounded_down(found.area, 4)
        if found.recall >= COPY:
            evidence = f"{name!r} alone predicts the label perfectly (AUC {area})"
            if found.area < 1:
                evidence = f"{name!r} alone predicts the label almost perfectly (AUC {area})"
            return self._finding(name, evidence, found.area)
        if found.area > NEAR_AREA:
            evidence = f"{name!r} alone predicts the label suspiciously well (AUC {area})"
            return self._finding(name, evidence, found.area, "warning")
        return None

    def _apart(
        self, name: str, column: pa.ChunkedArray, given: np.ndarray, by_class: gap.ByClass
    ) -> findings.Findings | None:
        if pa.types.is_string(column.type) or pa.types.is_boolean(column.type):
            return None
        values = encode.numbers(column)
        if not gap.are_apart(values, by_class):  # as in nearly every column
            return None
        copy, honest = gap.chances(values, given)
        many = self._tried
        if honest * many >= SURE:
            return None
        smallest = int(np.bincount(given).min())
        evidence = (
            f"{name!r} alone separates the classes without an error in {count(len(given), 'row')} "
            f"({smallest:,} in the smallest class)"
        )
        if copy * many >= SURE:
            evidence += "; so few rows cannot tell it from a very good predictor"
            return self._finding(name, evidence, 1.0, "warning")
        return self._finding(name, evidence, 1.0)

    def _ranked(self, table: pa.Table) -> list[findings.Findings]:
        parts, target = [], encode.numbers(table[self.label])
        for name in self.features:
            kind = table[name].type
            if pa.types.is_string(kind) or pa.types.is_boolean(kind):
                continue
            values = encode.numbers(table[name])
            both = np.isfinite(values) & np.isfinite(target)
            if len(np.unique(values[both])) <= numeric_label.MOST_CLASSES:
                continue
            rank = abs(ranks.correlation(values[both], target[both]))
            if rank > NEAR_RANK:
                rounded = _rounded_down(rank, 4)
                evidence = f"{name!r} orders the rows like the label (rank correlation {rounded})"
                severity: findings.Severity = "error" if rank >= COPY_RANK else "warning"
                parts.append(self._finding(name, evidence, rank, severity))
        return parts

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


def _levels(column: pa.ChunkedArray) -> np.ndarray:
    flat = column.combine_chunks()
    codes = flat.dictionary_encode(null_encoding="encode")
    is_number = not (pa.types.is_string(flat.type) or pa.types.is_boolean(flat.type))
    if not is_number or len(codes.dictionary) <= min(LEVELS, len(flat) // PER_LEVEL):
        return np.asarray(codes.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    values = encode.numbers(flat)
    bins = min(LEVELS, len(flat) // PER_LEVEL)
    edges = np.unique(_quantiles(values[~np.isnan(values)], np.linspace(0, 1, bins)[1:-1]))
    binned = np.searchsorted(edges, values, side="right")
    binned[np.isnan(values)] = len(edges) + 1
    return binned


def _quantiles(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return what np.quantile returns; to sort is faster than its many partitions."""
    ordered, place = np.sort(values), shares * (len(values) - 1)
    low = np.floor(place).astype(np.int64)
    first, last, part = ordered[low], ordered[np.ceil(place).astype(np.int64)], place - low
    found: np.ndarray = np.where(
        part < 0.5,  # noqa: PLR2004
        first + (last - first) * part,
        last - (last - first) * (1 - part),
    )
    return found


def _separation_by(
    column: pa.ChunkedArray, given: np.ndarray, fold: np.ndarray, by_class: gap.ByClass
) -> Separation:
    """Return how well a column predicts the classes, by its levels or by its order alone.

    A number that sorts the rows by class tells every class: the row number of a sorted table in
    however few rows, any other number in as many as a copy needs. Levels need some rows each.
    """
    found = _separation(_levels(column), given, fold)
    is_text = pa.types.is_string(column.type) or pa.types.is_boolean(column.type)
    if is_text or found.one_to_one or found.recall >= COPY:
        return found
    values = encode.numbers(column)
    if np.isnan(values).any() or not gap.are_apart(values, by_class):
        return found
    # honest measures may separate a few rows by chance, but row numbers do not
    recall = 1.0 if _are_row_numbers(values) else float((1 - 3 / np.bincount(given)).min())
    return Separation(recall, 1.0, one_to_one=False)


def _are_row_numbers(values: np.ndarray) -> bool:
    """Return whether values are whole numbers that all differ and hardly leave one out."""
    is_dense = values.max() - values.min() < 2 * len(values)
    return bool(is_dense and (values % 1 == 0).all() and len(np.unique(values)) == len(values))


def _rounded_down(value: float, decimals: int) -> str:
    """Return a figure in [0, 1] that shows 1 only where it is 1."""
    return f"{math.floor(value * 10**decimals) / 10**decimals:.{decimals}f}"


def _separation(levels: np.ndarray, given: np.ndarray, fold: np.ndarray) -> Separation:
    wide, classes = int(levels.max()) + 1, int(given.max()) + 1
    whole = np.bincount(levels * classes + given, minlength=wide * classes).reshape(wide, classes)
    # rows of one level and fold get the same chances, so their counts are all that matters
    cell = levels * FOLDS + fold
    is_used = np.bincount(cell, minlength=wide * FOLDS) > 0
    used = np.flatnonzero(is_used)
    place = (np.cumsum(is_used) - 1)[cell]
    own = np.bincount(place * classes + given, minlength=len(used) * classes)
    own = own.reshape(len(used), classes)
    others = (whole[used // FOLDS] - own) + whole.sum(0) / len(given)
    chances = others / others.sum(1, keepdims=True)
    best = chances.argmax(1)
    hits = np.bincount(best, own[np.arange(len(used)), best], classes)
    sizes = own.sum(0)
    # the last class of two has the area of the first: its chances are what the first's lack
    told = range(1 if classes == 2 else classes)  # noqa: PLR2004
    areas = [_area(chances[:, c], own[:, c], own.sum(1)) for c in told]
    filled = whole > 0
    one_to_one = wide == classes and bool((filled.sum(0) == 1).all() and (filled.sum(1) == 1).all())
    return Separation(float(((hits - 3) / sizes).min()), min(areas), one_to_one)


def _area(score: np.ndarray, own: np.ndarray, total: np.ndarray) -> float:
    """Return the chance that a row of the class scores above another row; equal ones count half.

    Args:
        score: of each cell, float64, shape (k,).
        own: rows of the class in each cell, int64, shape (k,).
        total: all rows in each cell, int64, shape (k,).
    """
    _, place = np.unique(score, return_inverse=True)
    mine, rest = np.bincount(place, own), np.bincount(place, total - own)
    below = np.cumsum(rest) - rest / 2
    return float((mine * below).sum() / (mine.sum() * rest.sum()))
