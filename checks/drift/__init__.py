"""Drift: does the data still resemble the trusted reference, column by column?

Threat: drift and degradation; slow or sudden poisoning of whole columns.
State: integer counts per column over the reference's bins, exact for any cut into shards; a sample
of at most 4,000 rows.
Cost: one pass, one search or look-up per cell; O(columns x bins) memory; a few small trees.
Nulls: counted separately (missingness); NaN and infinities count as missing.
Blind to: drift that always stays under a third of the limits; slow drift of protected columns;
seasons longer than the option `season`; a changed order of the rows; columns that grow (times,
counters, row numbers), whose values always move on.
Source: PSI (Siddiqi 2006); Kolmogorov-Smirnov; Jensen-Shannon (Lin 1991); Wasserstein; CUSUM (Page
1954). Effect sizes less the noise expected between two samples of these sizes, not p-values.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.drift import classifier, earlier_runs, label_relation
from checks.drift.bins import Bins, declared, lay
from checks.drift.earlier_runs import Signals
from checks.drift.effects import LEAST_ROWS, LIMITS, Effect, measure
from checks.drift.label_relation import Relation
from checks.kit import findings, growth, hashing, sample
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Explains, Explanation, Model, Panel
from checks.kit.wording import count
from provenance.base.errors import AssayError
from provenance.rows.shards import Shard

RULE = "ASSAY-K010"


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """Counts of each column over its bins, over declared bins and with the label; and a sample."""

    counts: dict[str, np.ndarray]
    declared: dict[str, np.ndarray]
    joint: dict[str, np.ndarray]
    sample: pa.Table


class Drift(Check[State, Model]):
    """Compare the distribution of each column with the reference."""

    name: ClassVar[str] = "drift"
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation", "data poisoning")
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    libraries: ClassVar[tuple[str, ...]] = ("sklearn.ensemble",)
    takes: ClassVar[Takes] = {"season": "several"}
    explains: ClassVar[Explains] = {
        earlier_runs.RECENT: Explanation(
            ("warning",),
            "A column suddenly differs from the most recent runs, even though its difference from "
            "the reference may be too small to count as drift.",
            f"The difference from the mean of the last season (option `season`, default "
            f"{earlier_runs.SEASON} runs) is more than half the drift limit plus an allowance for "
            "chance, and more than twice any such difference in the "
            f"{earlier_runs.MEMORY} seasons before. Needs two seasons of earlier runs.",
            "Find out what has changed at the source since the last run.",
        )
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns and lay their bins over the reference."""
        super().__init__(context)
        contract, reference = context.contract, context.reference
        self.label = contract.label
        wanted = [*contract.features, *contract.having("label"), *contract.having("source")]
        names = set(reference.column_names if reference is not None else ())
        there = set(context.schema.names)
        present = [n for n in wanted if n in there]
        self.missing = [n for n in present if n not in names]
        self.lost = [n for n in wanted if n in names and n not in there]
        self.protected = contract.protected
        self.bins: dict[str, Bins] = {}
        self.declared: dict[str, Bins] = {}  # of protected columns, from the contract alone
        self.relations: dict[str, Relation] = {}
        self.sampled: list[str] = []
        self.watched: list[str] = []  # sampled, and the other numbers, which may grow
        if reference is not None:
            typed = {n: _as_typed(reference[n], n, context.schema) for n in present if n in names}
            self.sampled = classifier.columns(contract, context.schema, names)
            sampled, features = set(self.sampled), set(contract.features)
            others = [n for n in typed if n not in sampled and n not in self.protected]
            numeric = [n for n in others if hashing.is_number(context.schema.field(n).type)]
            self.watched = [*self.sampled, *(n for n in numeric if n in features)]
            self._lay(typed)

    def _lay(self, reference: dict[str, pa.Array]) -> None:
        """Lay the bins of each column and its relation to the label."""
        contract = self.context.contract
        places = {}
        for name, kept in reference.items():
            is_text = name in contract.having("text")
            self.bins[name] = lay(kept, is_text=is_text, is_class=name == self.label)
            places[name] = self.bins[name].places(kept)
            if (bins := declared(kept, contract.column(name), contract)) is not None:
                self.declared[name] = bins
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
            {n: bins.count(columns[n]) for n, bins in self.declared.items()},
            {n: made.count(places[n], labels) for n, made in self.relations.items()},
            sample.take(shard, self.watched, classifier.ROWS),
        )

    def merge(self, left: State, right: State) -> State:
        """Add the counts and join the samples."""
        return State(
            _sum(left.counts, right.counts),
            _sum(left.declared, right.declared),
            _sum(left.joint, right.joint),
            sample.merge(left.sample, right.sample, classifier.ROWS),
        )

    def finish(self, state: State) -> Model:
        """Compare with the reference."""
        parts = [self._absent(name) for name in (*self.missing, *self.lost)]
        parts.append(self._too_few())
        panels = []
        rising = growth.growing(sample.settled(state.sample), self.watched)
        for name, bins in self.bins.items():
            if name in rising:
                continue
            counts = state.counts[name]
            effects = measure(bins, counts, is_label=name == self.label)
            related = self._related(name, state)
            if found := [e for e in (*effects, *related) if e.severity is not None]:
                parts.append(self._finding(name, found))
            if effects and name in self.declared:
                shown = _panel(name, self.declared[name], state.declared[name], effects)
                panels.append(_protected(shown, self.declared[name], state.declared[name]))
            elif effects and bins.kind != "text" and name not in self.protected:
                panels.append(_panel(name, bins, counts, effects))
        signals = self._signals({n: c for n, c in state.counts.items() if n not in rising})
        parts.append(self._classified(state.sample, rising))
        parts.append(self._over_time(signals))
        memory = {"streams": signals} if signals else {}
        notes: tuple[str, ...] = ()
        if rising:
            notes = (f"not compared, since they grow from row to row: {', '.join(sorted(rising))}",)
        overall = findings.concat(parts)
        return Model(overall=overall, panels=tuple(panels), memory=memory, notes=notes)

    def score(self, shard: Shard, model: Model) -> findings.Findings:
        """Report nothing: drift concerns the dataset, not a row."""
        del shard, model
        return findings.empty()

    def _related(self, name: str, state: State) -> list[Effect]:
        """Return how much a column's relation to the label changed, if it can be measured."""
        if name not in self.relations:
            return []
        effect = self.relations[name].effect(state.joint[name])
        return [effect] if effect else []

    def _classified(self, kept: pa.Table, rising: frozenset[str]) -> findings.Findings:
        """Report a classifier that distinguishes this run from the reference."""
        reference = self.context.reference
        names = [name for name in self.sampled if name not in rising]
        if reference is None or not names:
            return findings.empty()
        rows = sample.settled(kept)
        current = rows.select(names)
        trusted = reference.select(names).cast(current.schema)
        folds = rows[sample.FOLD].to_numpy()
        contract, seed = self.context.contract, self.context.seed
        found = classifier.distinguish(current, trusted, contract, folds, seed)
        if found is None or not found.columns:
            return findings.empty()
        is_error = found.joint >= LIMITS["domain"][1]
        joint = " The columns relate to each other differently." if is_error else ""
        return findings.make(
            None,
            check=self.name,
            rule=RULE,
            severity="error" if is_error else "warning",
            score=min(1.0, 2 * found.size),
            evidence="A classifier distinguishes the rows of this run from those of the reference "
            f"(AUC {found.area:.2f}, expected about 0.50), mainly by {', '.join(found.columns)}."
            + joint,
            suggestion="examine these columns together; if the change is intended, run "
            "`assay review RUN --anchor`",
        )

    def _signals(self, counts: dict[str, np.ndarray]) -> Signals:
        """Return what later runs need to know about this one."""
        kept: Signals = {}
        for name, bins in ((n, b) for n, b in self.bins.items() if n in counts):
            found = earlier_runs.signals(bins, counts[name], is_label=name == self.label)
            if found and name not in self.protected:
                kept[name] = found
            if sum(map(len, kept.values())) >= earlier_runs.MOST:
                break
        return kept

    def _over_time(self, signals: Signals) -> findings.Findings:
        """Compare with earlier runs."""
        errors = {
            (name, measure): error
            for name in signals
            for measure, (_, error) in earlier_runs.signals(
                self.bins[name], self.bins[name].reference, is_label=name == self.label
            ).items()
        }
        season = int(self.options.get("season", earlier_runs.SEASON))
        return earlier_runs.judged(signals, errors, self.context.history.get(self.name, ()), season)

    def _finding(self, name: str, found: list[Effect]) -> findings.Findings:
        how = f": {'; '.join(e.worded() for e in found)}"
        worst = max(found, key=lambda e: e.size / LIMITS[e.name][1])
        size = worst.size / (2 * LIMITS[worst.name][1])
        if name in self.protected:  # its figures concern persons: name only the measures
            measures = ", ".join(sorted(e.name for e in found))
            how, size = f" by {measures}; the figures of a protected column are withheld", 1.0
        return findings.make(
            None,
            check=self.name,
            rule=RULE,
            severity="error" if any(e.severity == "error" for e in found) else "warning",
            column=name,
            score=min(1.0, size),
            evidence=f"Column '{name}' differs from the reference{how}.",
            suggestion="find out what changed at the source; if the change is "
            "intended, make this run the reference: `assay review RUN --anchor`",
        )

    def _too_few(self) -> findings.Findings:
        """Report a dataset that is too small to compare: not compared is not passed."""
        if (rows := self.context.rows) >= LEAST_ROWS:
            return findings.empty()
        return findings.make(
            None,
            check=self.name,
            rule="ASSAY-V016",
            evidence=f"The dataset has {count(rows, 'row')}; at least {LEAST_ROWS} are needed to "
            "compare it with the reference.",
            suggestion="collect more rows",
        )

    def _absent(self, name: str) -> findings.Findings:
        where = "the reference" if name in self.missing else "the data"
        return findings.make(
            None,
            check=self.name,
            rule=RULE,
            column=name,
            evidence=f"Column '{name}' is missing from {where}, so its drift cannot be measured.",
            suggestion="use a reference with the same columns as the data",
        )


def _panel(name: str, bins: Bins, counts: np.ndarray, effects: list[Effect]) -> Panel:
    """Return a column's counts and its worst effect, for the report to draw."""
    worst = max(effects, key=lambda e: e.size / LIMITS[e.name][1])
    size = bins.size + (bins.kind == "category")  # new categories get a bin of their own
    absent = int(bins.reference[bins.size + 1]), int(counts[bins.size + 1])
    rows = [max(int(c[: bins.size + 2].sum()), 1) for c in (bins.reference, counts)]
    return Panel(
        column=name,
        edges=tuple(bins.edges.tolist()),
        categories=tuple(map(str, bins.values.to_pylist())),
        reference=tuple(bins.reference[:size].tolist()),
        current=tuple(counts[:size].tolist()),
        statistic=worst.name,
        value=round(max(worst.size, 0.0), findings.DECIMALS),
        limit=LIMITS[worst.name][1],
        is_drifted=any(e.severity == "error" for e in effects),
        missing=(absent[0] / rows[0], absent[1] / rows[1]),
    )


def _protected(shown: Panel, bins: Bins, counts: np.ndarray) -> Panel:
    """Return the panel of a protected column over declared bins: counts for noise, no figures."""
    absent = int(bins.reference[bins.size + 1]), int(counts[bins.size + 1])
    return dataclasses.replace(
        shown, statistic="", value=None, limit=None, missing=None, absent=absent, is_protected=True
    )


def _sum(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: left[name] + right[name] for name in left}


def _as_typed(column: pa.ChunkedArray, name: str, schema: pa.Schema) -> pa.Array:
    kind = schema.field(name).type
    try:
        return hashing.whole(column.cast(kind))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        what = f"column '{name}' is {column.type} in the reference and {kind} in the data"
        fix = "use a reference that follows the same contract"
        raise AssayError("K003", what, fix=fix) from error
