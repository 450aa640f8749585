"""Repeated rows, floods of near copies, and rows of a test set that is named (option `test`).

Threat: data poisoning; copies also raise membership inference, and leak between folds and tests.
State: 32 bytes a row up to 2,000,000 rows, and a hash-ranked sample of 100,000 rows.
Cost: two passes; O(rows x columns), and 40 sorts of the sample.
Nulls: a missing cell equals a missing cell. Key, time, source and ignored columns are left out.
Blind to: copies with half of their columns fresh; floods under ten sampled rows; floods in tables
of categories alone, unless labels or one source speak against them (such tables repeat honestly);
near copies of test rows beyond the sample, or where fewer than three columns are fine.
Source: min-hash, Broder 1997; the contrast of inner and outer boxes is our own.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.duplicates import exact as repeats
from checks.duplicates import test_overlap
from checks.kit import copy_floods, findings, sample
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, FileUse, Model
from provenance.rows.shards import Shard

FLOOD = "ASSAY-V017"
OVERLAP = "ASSAY-V020"


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """Exact hashes, and the sample."""

    exact: repeats.Repeats
    near: pa.Table


@dataclasses.dataclass(frozen=True)
class Copies(Model):
    """What was found; `rows` maps a rule to (severity, ordinals, evidence).

    Attributes:
        held: rows of the sample that lie in floods; honest: how many of them by estimate.
    """

    rows: tuple[tuple[str, str, np.ndarray, str], ...] = ()
    grid: copy_floods.Grid | None = None
    crowds: tuple[tuple[copy_floods.Flood, str], ...] = ()
    held: int = 0
    honest: float = 0.0


class Duplicates(Check[Seen, Copies]):
    """Find exact repeats and near copies; quarantine copies only where more speaks against them."""

    name: ClassVar[str] = "duplicates"
    threats: ClassVar[tuple[str, ...]] = ("data poisoning", "model inversion", "data leakage")
    takes: ClassVar[Takes] = {"sample": "whole", "test": "path"}
    named_files: ClassVar[Mapping[str, FileUse]] = {"test": "rows"}

    def __init__(self, context: Context) -> None:
        """Choose the columns that a model may learn from."""
        super().__init__(context)
        contract = context.contract
        self.columns = repeats.shared_columns(context.schema, contract.features)
        names = context.schema.names
        self.label = contract.label if contract.label in names else None
        sources = [n for n in contract.having("source") if n in names]
        self.source = sources[0] if sources else None
        self.size = int(self.options.get("sample", 100_000))

    def fit(self, shard: Shard) -> Seen:
        """Hash the rows and sample them."""
        exact = repeats.gather(shard, self.columns, self.label, self.source)
        wanted = [*self.columns, *([self.label] if self.label else [])]
        return Seen(exact, sample.take(shard, wanted, self.size))

    def merge(self, left: Seen, right: Seen) -> Seen:
        """Join both parts."""
        exact = repeats.merge(left.exact, right.exact)
        return Seen(exact, sample.merge(left.near, right.near, self.size))

    def finish(self, state: Seen) -> Copies:
        """Weigh the repeats and look for floods."""
        if not self.columns or not len(state.exact.rows):
            return Copies()
        repeated = repeats.weigh(state.exact)
        near = sample.settled(state.near)
        texts = self.context.contract.having("text")
        grid = copy_floods.grid(near, self.columns, texts, self.context.seed, self.label)
        found = copy_floods.find(near, grid, near[sample.ROW].to_numpy()) if grid else []
        told = tuple((flood, self._told(flood, near)) for flood in found)
        notes = tuple(text for _, text in told)
        if grid is None:
            notes = (
                "Near copies were not searched for: fewer than three columns are fine enough.",
            )
        overall = self._overall(repeated, len(state.exact.rows))
        rows = self._rows(repeated, is_fine=grid is not None)
        if "test" in self.options:
            shared = test_overlap.find(state.exact, near, grid, self.context.test, self.columns)
            overall = findings.concat([overall, self._overlap(shared)])
            rows += _shared(shared)
        held, honest = sum(f.size - 1 for f in found), sum(f.expected for f in found)
        return Copies(overall, notes, (), rows, grid, told, held, honest)

    def score(self, shard: Shard, model: Copies) -> findings.Findings:
        """Report the copies among the shard's rows."""
        parts = []
        for rule, severity, rows, evidence in model.rows:
            hit = shard.rows[np.isin(shard.rows, rows)]
            parts.append(self._found(hit, rule, severity, evidence))
        if model.grid is not None and model.crowds and len(shard.rows):
            left = np.ones(len(shard.rows), bool)
            using = {side.axis for flood, _ in model.crowds for side in flood.box.sides}
            columns = copy_floods.coordinates(shard.table, model.grid, using)  # once for all floods
            for flood, evidence in model.crowds:
                hit = left & flood.box.holds(columns)
                left &= ~hit
                parts.append(
                    self._found(
                        shard.rows[hit & (shard.rows > flood.first)], FLOOD, "error", evidence
                    )
                )
        return findings.concat(parts)

    def _told(self, flood: copy_floods.Flood, near: pa.Table) -> str:
        text = (
            f"The row is a near copy of row {flood.first}: {flood.size} such rows among "
            f"{near.num_rows} sampled ones, where the columns' own spread allows less than one"
        )
        if self.label is None:
            return text + "."
        counts = near[self.label].take(pa.array(flood.members)).value_counts().to_pylist()
        most = max(counts, key=lambda item: (item["counts"], str(item["values"])))
        return (
            f"{text}; {most['counts'] / flood.size:.0%} of them have the label {most['values']!r}."
        )

    def _overall(self, repeated: repeats.Repeated, rows: int) -> findings.Findings:
        if not repeated.copies:
            return findings.empty()
        text = (
            f"{repeated.copies} of {rows} rows repeat an earlier row in every column that a model "
            f"may learn from ({repeated.groups} groups); {len(repeated.differing)} of these copies "
            "have another label than the first row."
        )
        return findings.make(
            None,
            check=self.name,
            rule="duplicates.exact",
            severity="info",
            score=repeated.copies / rows,
            evidence=text,
            suggestion="Keep copies together in one fold when you evaluate a model.",
        )

    def _overlap(self, shared: test_overlap.Overlap) -> findings.Findings:
        text = (
            f"{shared.tested} of {shared.size} rows of the test set repeat a row of the dataset, "
            f"exactly ({len(shared.exact)} rows here) or nearly ({len(shared.near)}); of the "
            f"dataset's own rows {shared.usual:.2%} repeat another."
        )
        return findings.make(
            None,
            check=self.name,
            rule=OVERLAP,
            severity="error" if shared.is_error else "info",
            score=shared.tested / shared.size,
            evidence=text,
            suggestion="Reject the rows with this code (`assay review`), or cut the test set anew.",
        )

    def _rows(
        self, repeated: repeats.Repeated, *, is_fine: bool
    ) -> tuple[tuple[str, str, np.ndarray, str], ...]:
        found: list[tuple[str, str, np.ndarray, str]] = []
        if len(repeated.differing) and (repeated.is_conflict or is_fine):
            severity = "error" if repeated.is_conflict else "warning"
            text = (
                "The row repeats an earlier row but has another label, as do "
                f"{len(repeated.differing)} of {repeated.copies} copies"
            )
            text += ", more than labels drawn at random would." if repeated.is_conflict else "."
            found.append(("duplicates.conflict", severity, repeated.differing, text))
        if len(repeated.flooded):
            text = (
                "The row repeats an earlier row, and its source supplies "
                f"{repeated.shares[0]:.0%} of all copies but {repeated.shares[1]:.0%} of the rest."
            )
            found.append(("duplicates.source", "error", repeated.flooded, text))
        return tuple(found)

    def _found(
        self, rows: np.ndarray, rule: str, severity: str, evidence: str
    ) -> findings.Findings:
        return findings.make(
            rows,
            check=self.name,
            rule=rule,
            severity=severity,
            evidence=evidence,
            suggestion="Ask the source whether these are distinct events; else reject the copies.",
        )


def _shared(shared: test_overlap.Overlap) -> tuple[tuple[str, str, np.ndarray, str], ...]:
    """Return the rows of the dataset that are in the test set too, if they speak against it."""
    if not shared.is_error:
        return ()
    named = (("is", shared.exact), ("nearly is", shared.near))
    return tuple(
        (OVERLAP, "warning", rows, f"The row {word} one of the test set.")
        for word, rows in named
        if len(rows)
    )
