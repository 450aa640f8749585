"""Datasets that a model cannot learn from: few rows, one class, empty or constant columns.

Threat: degradation by a broken export. State: counts, minimum, maximum and up to 10,001 value
hashes per column. Cost: one pass. Nulls: counted; a column of nulls alone is refused.
Blind to: nearly constant columns, and classes with too few rows to learn.
Source: KMV distinct counts (Bar-Yossef et al. 2002) beyond the hashes kept.
"""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, hashing
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Model
from checks.kit.wording import count
from provenance.rows.shards import Shard

LEAST_ROWS = 20
MOST_CATEGORIES = 10_000
CLASS_SHARE = 0.5  # classes per labelled row; beyond it the label identifies rows


@dataclasses.dataclass(frozen=True, slots=True)
class Extent:
    """Summary of one column.

    Attributes:
        filled: rows with a value.
        low, high: minimum and maximum, None if there is no value.
        hashes: the smallest hashes of its values, sorted, uint64; empty if not counted.
    """

    filled: int
    low: Any
    high: Any
    hashes: np.ndarray


@dataclasses.dataclass(frozen=True, slots=True)
class ShapeState:
    """Rows and the extent of each column."""

    rows: int
    columns: dict[str, Extent]


class Shape(Check[ShapeState, Model]):
    """Refuse a dataset that a model cannot learn from; warn about columns of no use to it."""

    name: ClassVar[str] = "shape"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation",)
    takes: ClassVar[Takes] = {"least_rows": "whole"}

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        contract = context.contract
        self.least = int(contract.options(self.name).get("least_rows", LEAST_ROWS))
        self.label = contract.label
        self.keys = {column.name for column in contract.columns if column.key}
        ignored = set(contract.having("ignore"))
        self.columns = [name for name in context.schema.names if name not in ignored]
        texts = {*contract.having("text"), *self.keys}
        self.counted = {
            name
            for name in self.columns
            if name == self.label
            or (pa.types.is_string(context.schema.field(name).type) and name not in texts)
        }

    def fit(self, shard: Shard) -> ShapeState:
        """Return the number of rows and the extent of each column of a shard."""
        made = {name: self._extent(name, shard.table[name]) for name in self.columns}
        return ShapeState(shard.table.num_rows, made)

    def merge(self, left: ShapeState, right: ShapeState) -> ShapeState:
        """Join the extents of both."""
        joined = {name: _joined(left.columns[name], right.columns[name]) for name in left.columns}
        return ShapeState(left.rows + right.rows, joined)

    def finish(self, state: ShapeState) -> Model:
        """Return what is wrong with the dataset as a whole."""
        found = [self._rows(state.rows)]
        for name, extent in state.columns.items():
            if name == self.label:
                found.append(self._label(name, extent))
            else:
                found.append(self._column(name, extent, state.rows))
        return Model(overall=findings.concat([part for part in found if part is not None]))

    def score(self, shard: Shard, model: Model) -> findings.Findings:  # noqa: ARG002
        """Report nothing: shape is a property of the whole dataset."""
        return findings.empty()

    def _extent(self, name: str, column: pa.ChunkedArray) -> Extent:
        filled = column.length() - column.null_count
        if not filled:
            return Extent(0, None, None, np.zeros(0, np.uint64))
        ends = pc.min_max(column).as_py()
        hashes = _hashes(column) if name in self.counted else np.zeros(0, np.uint64)
        return Extent(filled, ends["min"], ends["max"], hashes)

    def _rows(self, rows: int) -> findings.Findings | None:
        needed = self.least if rows < self.least else LEAST_ROWS
        if rows >= needed:
            return None
        severity: findings.Severity = "error" if rows < self.least else "warning"
        evidence = f"the dataset has {count(rows, 'row')}; at least {needed:,} are needed"
        return self._finding("V016", None, evidence, severity)

    def _label(self, name: str, extent: Extent) -> findings.Findings | None:
        classes = _distinct(extent.hashes)
        if classes <= 1:
            named = f": '{extent.low}'" if classes else ""
            evidence = f"the label has {count(classes, 'class')}{named}; a model needs two"
            return self._finding("V012", name, evidence)
        if extent.filled >= LEAST_ROWS and self._names_rows(extent, classes):
            evidence = f"the label has {classes:,} classes in {count(extent.filled, 'row')}"
            return self._finding("V014", name, evidence)
        return None

    def _names_rows(self, extent: Extent, classes: int) -> bool:
        kind = self.context.schema.field(self.label or "").type
        if pa.types.is_integer(kind):
            # a quantity may differ in every row too, but only a serial number leaves no gap
            return bool(classes == extent.filled == extent.high - extent.low + 1)
        return bool(not pa.types.is_floating(kind) and classes > CLASS_SHARE * extent.filled)

    def _column(self, name: str, extent: Extent, rows: int) -> findings.Findings | None:
        if not extent.filled:
            evidence = f"the column has no value in {count(rows, 'row')}"
            return self._finding("V015", name, evidence) if rows else None
        if extent.low == extent.high and rows > 1:
            return self._finding("V015", name, "the column has only one value", "warning")
        many = _distinct(extent.hashes)
        if many > MOST_CATEGORIES:
            evidence = f"about {many:,} categories, more than {MOST_CATEGORIES:,}; they are hashed"
            return self._finding("V019", name, evidence, "warning")
        return None

    def _finding(
        self, code: str, column: str | None, evidence: str, severity: findings.Severity = "error"
    ) -> findings.Findings:
        return findings.make(
            None,
            check=self.name,
            rule=f"ASSAY-{code}",
            column=column,
            severity=severity,
            evidence=evidence,
            suggestion=_ADVICE[code],
        )


_ADVICE = {
    "V012": "check that the label was exported with all its classes",
    "V014": "choose a different column as the label",
    "V015": "repair the export, or set assay.role: ignore for the column",
    "V016": "collect more rows",
    "V019": "set assay.role: text or ignore for the column, unless this is intended",
}


def _hashes(column: pa.ChunkedArray) -> np.ndarray:
    values = pc.unique(column.cast(pa.string())).drop_null()
    return np.unique(hashing.value_hashes(values))[: MOST_CATEGORIES + 1]


def _distinct(hashes: np.ndarray) -> int:
    if len(hashes) <= MOST_CATEGORIES:
        return len(hashes)
    about = int((len(hashes) - 1) / (float(hashes[-1]) / 2.0**64))
    return max(about, len(hashes))


def _joined(left: Extent, right: Extent) -> Extent:
    if not left.filled or not right.filled:
        return left if left.filled else right
    return Extent(
        left.filled + right.filled,
        min(left.low, right.low),
        max(left.high, right.high),
        np.union1d(left.hashes, right.hashes)[: MOST_CATEGORIES + 1],
    )
