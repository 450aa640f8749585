"""Drift: does this night's data still look like the trusted reference, column by column?

Threat: drift and degradation; a slow or sudden poisoning of whole columns.
State: integer counts per column against the reference's bins, so any cut into shards is exact; a
sample of at most 4,000 rows.
Cost: one pass, one search or look-up per cell; O(columns x bins) memory; a few small trees.
Nulls: counted on their own (missingness); NaN and infinities count as missing.
Blind to: what stays under a third of the limits for good; what grows in protected columns; seasons
longer than the option `season`; rows that arrive in another order.
Source: PSI (Siddiqi 2006); Kolmogorov-Smirnov; Jensen-Shannon (Lin 1991); Wasserstein; CUSUM (Page
1954). Effect sizes, less the noise expected of two samples of these sizes, not p-values.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.drift import (
    across_nights,
    classifier,
    cusum,
    label_relation,
    night_signals,
    public_panels,
)
from checks.drift.bins import Bins, lay
from checks.drift.effects import LEAST_ROWS, LIMITS, Effect, measure
from checks.drift.label_relation import Relation
from checks.drift.night_signals import Signals
from checks.kit import findings, hashing, sample
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Model
from provenance.base.errors import AssayError
from provenance.rows.shards import Shard

RULE = "ASSAY-K010"


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """Counts of each column over its bins, over public bins, and with the label; and a sample."""

    counts: dict[str, np.ndarray]
    public: dict[str, np.ndarray]
    joint: dict[str, np.ndarray]
    sample: pa.Table


class Drift(Check[State, Model]):
    """Compare each column's distribution with the reference's."""

    name: ClassVar[str] = "drift"
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation", "data poisoning")
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    takes: ClassVar[Takes] = {"season": "several"}

    def __init__(self, context: Context) -> None:
        """Lay the bins by the reference."""
        super().__init__(context)
        contract, reference = context.contract, context.reference
        self.label = contract.label
        wanted = [*contract.features, *contract.having("label"), *contract.having("source")]
        names = reference.column_names if reference is not None else []
        present = [n for n in wanted if n in context.schema.names]
        self.missing = [n for n in present if n not in names]
        self.lost = [n for n in wanted if n in names and n not in context.schema.names]
        self.protected = contract.protected
        self.bins: dict[str, Bins] = {}
        self.public: dict[str, Bins] = {}  # bins that do not come from the data
        self.relations: dict[str, Relation] = {}
        self.sampled: list[str] = []
        if reference is not None:
            typed = {n: _as_typed(reference[n], n, context.schema) for n in present if n in names}
            self.sampled = classifier.columns(contract, context.schema, names)
            self._lay(typed)

    def _lay(self, reference: dict[str, pa.Array]) -> None:
        """Lay the bins of each column, and how it goes with the label."""
        contract = self.context.contract
        places = {}
        for name, kept in reference.items():
            is_text = name in contract.having("text")
            self.bins[name] = lay(kept, is_text=is_text, is_class=name == self.label)
            places[name] = self.bins[name].places(kept)
            if (open_ := public_panels.public(kept, contract.column(name), contract)) is not None:
                self.public[name] = open_
        if self.label in places and self.label not in self.protected:
            label, labels = self.bins[self.label], places[self.label]
            for name, bins in self.bins.items():
                made = label_relation.laid(bins, places[name], label, labels)
                if made is not None and name != self.label:
                    self.relations[name] = made

    def fit(self, shard: Shard) -> State:
        """Count each column of the shard."""
        columns = {name: hashing.whole(shard.table[name]) for name in self.bins}
        places = {name: bins.places(columns[name]) for name, bins in self.bins.items()}
        labels = places.get(self.label or "", np.zeros(0, np.int64))
        return State(
            {n: bins.count(columns[n], places[n]) for n, bins in self.bins.items()},
            {n: bins.count(columns[n]) for n, bins in self.public.items()},
            {n: made.count(places[n], labels) for n, made in self.relations.items()},
            sample.take(shard, self.sampled, classifier.ROWS),
        )

    def merge(self, left: State, right: State) -> State:
        """Add the counts, join the samples."""
        return State(
            _sum(left.counts, right.counts),
            _sum(left.public, right.public),
            _sum(left.joint, right.joint),
            sample.merge(left.sample, right.sample, classifier.ROWS),
        )

    def finish(self, state: State) -> Model:
        """Compare with the reference."""
        parts = [self._lost(name) for name in (*self.missing, *self.lost)]
        parts.append(self._too_few())
        panels = []
        for name, bins in self.bins.items():
            counts = state.counts[name]
            effects = measure(bins, counts, is_label=name == self.label)
            related = self._related(name, state)
            if found := [e for e in (*effects, *related) if e.severity is not None]:
                parts.append(self._finding(name, found))
            if effects and name in self.public:
                open_, public = self.public[name], state.public[name]
                panels.append(public_panels.protected(name, open_, public, effects))
            elif effects and bins.kind != "text" and name not in self.protected:
                panels.append(public_panels.panel(name, bins, counts, effects))
        signals = self._signals(state.counts)
        parts.append(self._told_apart(state.sample))
        parts.append(self._nights(signals))
        memory = {"streams": signals} if signals else {}
        return Model(overall=findings.concat(parts), panels=tuple(panels), memory=memory)

    def score(self, shard: Shard, model: Model) -> findings.Findings:
        """Report nothing: drift is of the dataset, not of a row."""
        del shard, model
        return findings.empty()

    def _related(self, name: str, state: State) -> list[Effect]:
        """Return by how much a column's relation to the label changed, if that can be told."""
        if name not in self.relations:
            return []
        effect = self.relations[name].effect(state.joint[name])
        return [effect] if effect else []

    def _told_apart(self, taken: pa.Table) -> findings.Findings:
        """Return what a classifier between this night and the reference finds, if it finds much."""
        reference = self.context.reference
        if reference is None or not self.sampled:
            return findings.empty()
        rows = sample.settled(taken)
        night = rows.select(self.sampled)
        trusted = reference.select(self.sampled).cast(night.schema)
        folds = rows[sample.FOLD].to_numpy()
        contract, seed = self.context.contract, self.context.seed
        told = classifier.told(night, trusted, contract, folds, seed)
        if told is None or not told.columns:
            return findings.empty()
        is_error = told.joint >= LIMITS["domain"][1]
        apart = " Its columns go together differently than there." if is_error else ""
        return findings.make(
            None,
            check=self.name,
            rule=RULE,
            severity="error" if is_error else "warning",
            score=min(1.0, 2 * told.size),
            evidence="A classifier tells this night's rows from the reference's (area under the "
            f"curve {told.area:.2f}), most of all by {', '.join(told.columns)}.{apart}",
            suggestion="Look at these columns together; re-anchor the reference if it is meant.",
        )

    def _signals(self, counts: dict[str, np.ndarray]) -> Signals:
        """Return what later nights are to know of this one."""
        kept: Signals = {}
        for name, bins in self.bins.items():
            found = night_signals.signals(bins, counts[name], is_label=name == self.label)
            if found and name not in self.protected:
                kept[name] = found
            if sum(map(len, kept.values())) >= night_signals.MOST:
                break
        return kept

    def _nights(self, signals: Signals) -> findings.Findings:
        """Compare with the nights before this one."""
        errors = {
            (name, measure): error
            for name in signals
            for measure, (_, error) in night_signals.signals(
                self.bins[name], self.bins[name].reference, is_label=name == self.label
            ).items()
        }
        season = int(self.options.get("season", cusum.SEASON))
        return across_nights.judged(
            signals, errors, self.context.history.get(self.name, ()), season
        )

    def _finding(self, name: str, found: list[Effect]) -> findings.Findings:
        told = "; ".join(e.text for e in found)
        worst = max(found, key=lambda e: e.size / LIMITS[e.name][1])
        size = worst.size / (2 * LIMITS[worst.name][1])
        if name in self.protected:  # its figures are of persons: only that, and by which measure
            told = ", ".join(sorted(e.name for e in found)) + " (the column is protected)"
            size = 1.0
        return findings.make(
            None,
            check=self.name,
            rule=RULE,
            severity="error" if any(e.severity == "error" for e in found) else "warning",
            column=name,
            score=min(1.0, size),
            evidence=f"Column '{name}' differs from the reference: {told}.",
            suggestion="Find out what changed at the source; re-anchor the reference if meant.",
        )

    def _too_few(self) -> findings.Findings:
        """Say of a night that is too small to compare that it was not: a pass would be a lie."""
        if (rows := self.context.rows) >= LEAST_ROWS:
            return findings.empty()
        return findings.make(
            None,
            check=self.name,
            rule="ASSAY-V016",
            evidence=f"{rows} rows, at least {LEAST_ROWS} are needed to compare with the reference",
            suggestion="gather more rows",
        )

    def _lost(self, name: str) -> findings.Findings:
        where = "the reference" if name in self.missing else "the data"
        return findings.make(
            None,
            check=self.name,
            rule=RULE,
            column=name,
            evidence=f"Column '{name}' is not in {where}, so its drift cannot be measured.",
            suggestion="Give a reference with the same columns.",
        )


def _sum(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: left[name] + right[name] for name in left}


def _as_typed(column: pa.ChunkedArray, name: str, schema: pa.Schema) -> pa.Array:
    kind = schema.field(name).type
    try:
        return hashing.whole(column.cast(kind))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        what = f"column '{name}' of the reference is {column.type}, the data's is {kind}"
        fix = "Give a reference that the same contract was used for."
        raise AssayError("K003", what, fix=fix) from error
