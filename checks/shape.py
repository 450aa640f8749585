"""Datasets that cannot teach: too few rows, one class, empty, constant or boundless columns.

Threat: degradation by a broken export. State: counts, ends and up to 10,001 value hashes a
column. Cost: one pass. Nulls: counted; a column with nothing else is refused.
Blind to: nearly constant columns, and classes that exist but are too few to learn.
Source: KMV distinct counts (Bar-Yossef et al. 2002) for numbers beyond the hashes kept.
"""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Model
from provenance.rows.shards import Shard

LEAST_ROWS = 20
MOST_CATEGORIES = 10_000
CLASS_SHARE = 0.5  # of the labelled rows; beyond it a label names rows, not classes


@dataclasses.dataclass(frozen=True, slots=True)
class Extent:
    """What was seen of one column.

    Attributes:
        filled: rows with a value.
        low, high: least and greatest value, None without one.
        hashes: the smallest hashes of its values, sorted, uint64; empty where not asked for.
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
    """Refuse a dataset, or warn of a column, whose shape a model cannot learn from."""

    name: ClassVar[str] = "shape"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation",)
    takes: ClassVar[Takes] = {"least_rows": "whole"}

    def __init__(self, context: Context) -> None:
        """Name the columns that are looked at."""
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
        """Return rows, filled cells, ends and value hashes of a shard."""
        made = {name: self._extent(name, shard.table[name]) for name in self.columns}
        return ShapeState(shard.table.num_rows, made)

    def merge(self, left: ShapeState, right: ShapeState) -> ShapeState:
        """Return the extents of both."""
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
        """Report nothing: the shape is a property of the whole."""
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
        told = f"{rows} rows, at least {needed} are needed to judge"
        return self._said("V016", None, told, "error" if rows < self.least else "warning")

    def _label(self, name: str, extent: Extent) -> findings.Findings | None:
        classes = _distinct(extent.hashes)
        if classes <= 1:
            named = f": '{extent.low}'" if classes else ""
            return self._said(
                "V012",
                name,
                f"the label has {classes} {'class' if classes == 1 else 'classes'}{named}",
            )
        if extent.filled >= LEAST_ROWS and self._names_rows(extent, classes):
            return self._said("V014", name, f"{classes} classes in {extent.filled} labelled rows")
        return None

    def _names_rows(self, extent: Extent, classes: int) -> bool:
        kind = self.context.schema.field(self.label or "").type
        if pa.types.is_integer(kind):
            # a quantity may differ in every row; only a running number leaves no gap as well
            return bool(classes == extent.filled == extent.high - extent.low + 1)
        return bool(not pa.types.is_floating(kind) and classes > CLASS_SHARE * extent.filled)

    def _column(self, name: str, extent: Extent, rows: int) -> findings.Findings | None:
        if not extent.filled:
            told = f"{rows} of {rows} rows have no value"
            return self._said("V015", name, told) if rows else None
        if extent.low == extent.high and rows > 1:
            return self._said("V015", name, "the column has one value only", "warning")
        many = _distinct(extent.hashes)
        if many > MOST_CATEGORIES:
            told = f"about {many} categories"
            return self._said("V019", name, f"{told}; they are hashed", "warning")
        return None

    def _said(
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
    "V012": "check that the label was exported; a model needs two classes",
    "V014": "name another column as the label",
    "V015": "repair the export, or give the column assay.role: ignore",
    "V016": "gather more rows",
    "V019": "nothing to do if that is meant; else give it assay.role: text or ignore",
}


def _hashes(column: pa.ChunkedArray) -> np.ndarray:
    from pandas.util import hash_array

    values = pc.unique(column.cast(pa.string())).drop_null()
    made = hash_array(values.to_numpy(zero_copy_only=False).astype(object), categorize=False)
    return np.unique(made)[: MOST_CATEGORIES + 1]


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
