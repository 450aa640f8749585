"""Repeated rows, floods of near copies, and overlap with a test set (option `test`).

Threat: data poisoning; copies also help membership inference and leak between folds and tests.
State: 32 bytes a row up to 2,000,000 rows, and a hash-ranked sample of 100,000 rows.
Cost: two passes; O(rows x columns), and 40 sorts of the sample.
Nulls: missing cells are equal. Key, time, source and ignored columns are left out.
Blind to: copies with half of their columns changed; floods of fewer than ten sampled rows; floods
in purely categorical tables, which repeat legitimately, unless labels or a single source give them
away; near copies of test rows beyond the sample, or with fewer than three fine-grained columns.
Source: min-hash, Broder 1997; the contrast of inner and outer boxes is our own.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.duplicates import exact, shared_rows
from checks.kit import copy_floods, findings, sample
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Explains, Explanation, FileUse, Model
from checks.kit.visible_columns import nested_of
from checks.kit.wording import count, percent
from provenance.rows.shards import Shard

FLOOD = "ASSAY-V017"
OVERLAP = "ASSAY-V020"
ADVICE = "ask the source whether the rows are distinct events; if not, reject the copies"
ADVICE_ON_OVERLAP = "reject the rows with this code (`assay review`), or draw a new test set"


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """Exact hashes, and the sample for near copies."""

    repeats: exact.Repeats
    near: pa.Table


@dataclasses.dataclass(frozen=True)
class Copies(Model):
    """The copies that were found.

    Attributes:
        rows: (rule, severity, ordinals, evidence) of exact repeats and of overlap.
        crowds: floods with their evidence.
        held: sampled rows in floods; false_alarms: how many of them are legitimate, by estimate.
    """

    rows: tuple[tuple[str, str, np.ndarray, str], ...] = ()
    grid: copy_floods.Grid | None = None
    crowds: tuple[tuple[copy_floods.Flood, str], ...] = ()
    held: int = 0
    false_alarms: float = 0.0


class Duplicates(Check[State, Copies]):
    """Find exact repeats and near copies; quarantine copies only on further evidence."""

    name: ClassVar[str] = "duplicates"
    threats: ClassVar[tuple[str, ...]] = ("data poisoning", "model inversion", "data leakage")
    takes: ClassVar[Takes] = {"sample": "whole", "test": "path"}
    libraries: ClassVar[tuple[str, ...]] = ("scipy.special",)
    named_files: ClassVar[Mapping[str, FileUse]] = {"test": "rows"}
    explains: ClassVar[Explains] = {
        "duplicates.exact": Explanation(
            ("info",),
            "Some rows repeat an earlier row in every column that a model may learn from.",
            "At least one such row exists. Repetition alone is no reason for quarantine.",
            "Keep copies in the same fold when you evaluate a model; if they are not distinct "
            "events, remove them at the source.",
        ),
        "duplicates.conflict": Explanation(
            ("error", "warning"),
            "The row repeats an earlier row but has a different label.",
            "Error if copies disagree on the label significantly more often than randomly drawn "
            "labels would. Otherwise warning, but only in tables fine-grained enough that rows "
            "seldom repeat by chance; in other tables the rule does not fire.",
            f"{ADVICE.capitalize()}.",
        ),
        "duplicates.source": Explanation(
            ("error",),
            "The row repeats an earlier row, and one source supplies nearly all such copies.",
            "One source supplies at least 10 copies, at least 80% of all copies and at most 25% of "
            "the other rows, and chance does not explain the difference.",
            f"{ADVICE.capitalize()}.",
        ),
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns that a model may learn from."""
        super().__init__(context)
        contract = context.contract
        self.columns = exact.shared_columns(context.schema, contract.features)
        self.learnt = {*contract.features, *contract.nested_features}
        names = context.schema.names
        self.label = contract.label if contract.label in names else None
        sources = [n for n in contract.having("source") if n in names]
        self.source = sources[0] if sources else None
        self.size = int(self.options.get("sample", 100_000))

    def fit(self, shard: Shard) -> State:
        """Hash the rows and sample them."""
        compared = self._compared(shard.nested.column_names)
        repeats = exact.gather(shard, compared, self.label, self.source)
        columns = [*self.columns, *([self.label] if self.label else [])]
        return State(repeats, sample.take(shard, columns, self.size))

    def merge(self, left: State, right: State) -> State:
        """Join the hashes and the samples."""
        repeats = exact.merge(left.repeats, right.repeats)
        return State(repeats, sample.merge(left.near, right.near, self.size))

    def finish(self, state: State) -> Copies:
        """Count the repeats and search for floods and for rows of the test set."""
        if not self.learnt or not len(state.repeats.rows):
            return Copies()
        repeated = exact.weigh(state.repeats)
        near = sample.settled(state.near)
        texts = self.context.contract.having("text")
        grid = copy_floods.grid(near, self.columns, texts, self.context.seed, self.label)
        found = copy_floods.find(near, grid, near[sample.ROW].to_numpy()) if grid else []
        crowds = tuple((flood, self._flood(flood, near)) for flood in found)
        notes = tuple(text for _, text in crowds)
        if grid is None:
            notes = ("Near copies not searched for: fewer than three columns are fine-grained.",)
        overall = self._overall(repeated, len(state.repeats.rows))
        rows = self._rows(repeated, is_fine=grid is not None)
        if "test" in self.options:
            test = self.context.test
            compared = self._compared(nested_of(test).column_names if test is not None else [])
            shared = shared_rows.find(state.repeats, near, grid, test, compared)
            overall = findings.concat([overall, self._overlap(shared)])
            rows += _shared(shared)
        held, false_alarms = sum(f.size - 1 for f in found), sum(f.expected for f in found)
        return Copies(overall, notes, (), rows, grid, crowds, held, false_alarms)

    def score(self, shard: Shard, model: Copies) -> findings.Findings:
        """Report the copies among the shard's rows."""
        parts = []
        for rule, severity, rows, evidence in model.rows:
            hit = shard.rows[np.isin(shard.rows, rows)]
            parts.append(self._found(hit, rule, severity, evidence))
        if model.grid is not None and model.crowds and len(shard.rows):
            left = np.ones(len(shard.rows), bool)
            axes = {side.axis for flood, _ in model.crowds for side in flood.box.sides}
            columns = copy_floods.coordinates(shard.table, model.grid, axes)  # once for all floods
            for flood, evidence in model.crowds:
                hit = left & flood.box.holds(columns)
                left &= ~hit
                parts.append(
                    self._found(
                        shard.rows[hit & (shard.rows > flood.first)], FLOOD, "error", evidence
                    )
                )
        return findings.concat(parts)

    def _compared(self, names: list[str]) -> list[str]:
        """Return the columns of exact repeats: the flat ones, and of others those to learn from."""
        return [*self.columns, *sorted(self.learnt & {*names} - {*self.columns})]

    def _flood(self, flood: copy_floods.Flood, near: pa.Table) -> str:
        text = (
            f"The row is a near copy of row {flood.first}: {flood.size:,} such rows among "
            f"{count(near.num_rows, 'sampled row')}, where the spread of the columns explains "
            "fewer than one"
        )
        if self.label is None:
            return text + "."
        counts = near[self.label].take(pa.array(flood.members)).value_counts().to_pylist()
        most = max(counts, key=lambda item: (item["counts"], str(item["values"])))
        return (
            f"{text}; {percent(most['counts'] / flood.size, 0)} of them have the label "
            f"{most['values']!r}."
        )

    def _overall(self, repeated: exact.Repeated, rows: int) -> findings.Findings:
        if not repeated.copies:
            return findings.empty()
        repeat = "repeats" if repeated.copies == 1 else "repeat"
        have = "has" if len(repeated.differing) == 1 else "have"
        text = (
            f"{repeated.copies:,} of {count(rows, 'row')} {repeat} an earlier row in every column "
            f"that a model may learn from ({count(repeated.groups, 'group')}); "
            f"{len(repeated.differing):,} of these copies {have} a different label from the first "
            "row of their group."
        )
        return findings.make(
            None,
            check=self.name,
            rule="duplicates.exact",
            severity="info",
            score=repeated.copies / rows,
            evidence=text,
            suggestion="keep copies in the same fold when you evaluate a model",
        )

    def _overlap(self, shared: shared_rows.Overlap) -> findings.Findings:
        text = (
            f"{shared.tested:,} of {count(shared.size, 'row')} of the test set repeat a row of the "
            f"dataset, exactly ({count(len(shared.exact), 'row')} of the dataset) or nearly "
            f"({count(len(shared.near), 'row')}); {percent(shared.usual, 2)} of the dataset's own "
            "rows repeat another one."
        )
        return findings.make(
            None,
            check=self.name,
            rule=OVERLAP,
            severity="error" if shared.is_error else "info",
            score=shared.tested / shared.size,
            evidence=text,
            suggestion=ADVICE_ON_OVERLAP,
        )

    def _rows(
        self, repeated: exact.Repeated, *, is_fine: bool
    ) -> tuple[tuple[str, str, np.ndarray, str], ...]:
        found: list[tuple[str, str, np.ndarray, str]] = []
        if len(repeated.differing) and (repeated.is_conflict or is_fine):
            severity = "error" if repeated.is_conflict else "warning"
            text = (
                "The row repeats an earlier row but has a different label. Copies with a different "
                f"label: {len(repeated.differing):,} of {repeated.copies:,}"
            )
            more = ", more than if their labels were drawn at random."
            text += more if repeated.is_conflict else "."
            found.append(("duplicates.conflict", severity, repeated.differing, text))
        if len(repeated.flooded):
            text = (
                "The row repeats an earlier row, and its source supplies "
                f"{percent(repeated.shares[0], 0)} of all copies but only "
                f"{percent(repeated.shares[1], 0)} of the other rows."
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
            suggestion=ADVICE_ON_OVERLAP if rule == OVERLAP else ADVICE,
        )


def _shared(shared: shared_rows.Overlap) -> tuple[tuple[str, str, np.ndarray, str], ...]:
    """Return the dataset's rows that are also in the test set, if they are too many."""
    if not shared.is_error:
        return ()
    named = (("repeats", shared.exact), ("nearly repeats", shared.near))
    return tuple(
        (OVERLAP, "warning", rows, f"The row {verb} a row of the test set.")
        for verb, rows in named
        if len(rows)
    )
