"""Drift: does this night's data still look like the trusted reference, column by column?

Threat: drift and degradation; a slow or sudden poisoning of whole columns.
State: integer counts per column against the reference's bins, so any cut into shards is exact.
Cost: one pass, one search or look-up per cell; O(columns x bins) memory.
Nulls: counted on their own (missingness); NaN and infinities count as missing.
Blind to: changes in how columns go together; rows that arrive in another order.
Source: PSI (Siddiqi 2006); Kolmogorov-Smirnov; Jensen-Shannon (Lin 1991). Effect sizes, from which
the noise expected of two samples of these sizes is taken off, not p-values.
"""

from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.drift import history, nights, streams
from checks.drift.bins import Bins, even, lay, named
from checks.drift.effects import LIMITS, Effect, measure
from checks.drift.streams import Signals
from checks.kit import findings, sketches
from checks.kit.contract import Column, Contract
from checks.kit.options import Takes
from checks.kit.protocol import Check, Context, Model, Panel
from provenance.errors import AssayError
from provenance.shards import Shard

State = dict[str, np.ndarray]
RULE = "ASSAY-K010"
_SHOWN = "\0"  # before a column's name: its counts over public bins


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
        for name in dict.fromkeys(present):
            if reference is not None and name in names:
                is_text = name in contract.having("text")
                is_class = name == self.label
                kept = _as_typed(reference[name], name, context.schema.field(name).type)
                self.bins[name] = lay(kept, is_text=is_text, is_class=is_class)
                if (open_ := _public(kept, contract.column(name), contract)) is not None:
                    self.public[name] = open_

    def fit(self, shard: Shard) -> State:
        """Count each column of the shard."""
        shown = {
            _SHOWN + n: b.count(sketches.whole(shard.table[n])) for n, b in self.public.items()
        }
        return shown | {n: b.count(sketches.whole(shard.table[n])) for n, b in self.bins.items()}

    def merge(self, left: State, right: State) -> State:
        """Add the counts."""
        return {name: left[name] + right[name] for name in left}

    def finish(self, state: State) -> Model:
        """Compare with the reference."""
        parts = [self._lost(name) for name in (*self.missing, *self.lost)]
        panels = []
        signals = self._signals(state)
        for name, bins in self.bins.items():
            counts = state[name]
            effects = measure(bins, counts, is_label=name == self.label)
            if found := [e for e in effects if e.severity is not None]:
                parts.append(self._finding(name, found))
            if effects and name in self.public:
                panels.append(_protected(name, self.public[name], state[_SHOWN + name], effects))
            elif effects and bins.kind != "text" and name not in self.protected:
                panels.append(_panel(name, bins, counts, effects))
        parts.append(self._nights(signals))
        memory = {"streams": signals} if signals else {}
        return Model(overall=findings.concat(parts), panels=tuple(panels), memory=memory)

    def score(self, shard: Shard, model: Model) -> findings.Findings:
        """Report nothing: drift is of the dataset, not of a row."""
        del shard, model
        return findings.empty()

    def _signals(self, state: State) -> Signals:
        """Return what later nights are to know of this one."""
        kept: Signals = {}
        for name, bins in self.bins.items():
            found = streams.signals(bins, state[name], is_label=name == self.label)
            if found and name not in self.protected:
                kept[name] = found
            if sum(map(len, kept.values())) >= streams.MOST:
                break
        return kept

    def _nights(self, signals: Signals) -> findings.Findings:
        """Compare with the nights before this one."""
        errors = {
            (name, measure): error
            for name in signals
            for measure, (_, error) in streams.signals(
                self.bins[name], self.bins[name].reference, is_label=name == self.label
            ).items()
        }
        season = int(self.options.get("season", nights.SEASON))
        return history.judged(signals, errors, self.context.history.get(self.name, ()), season)

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


def _panel(name: str, bins: Bins, counts: np.ndarray, effects: list[Effect]) -> Panel:
    """Return a column's counts and its worst effect, for the report to draw."""
    worst = max(effects, key=lambda e: e.size / LIMITS[e.name][1])
    size = bins.size + (bins.kind == "category")  # new categories are a bin of their own
    before, now = bins.reference, counts
    missing = [float(c[bins.size + 1] / max(c[: bins.size + 2].sum(), 1)) for c in (before, now)]
    return Panel(
        column=name,
        edges=tuple(bins.edges.tolist()),
        categories=tuple(map(str, bins.values.to_pylist())),
        reference=tuple(before[:size].tolist()),
        current=tuple(now[:size].tolist()),
        statistic=worst.name,
        value=round(worst.size, findings.DECIMALS),
        limit=LIMITS[worst.name][1],
        is_drifted=any(e.severity == "error" for e in effects),
        missing=(missing[0], missing[1]),
    )


def _protected(name: str, bins: Bins, counts: np.ndarray, effects: list[Effect]) -> Panel:
    """Return the counts of a protected column over bins that tell nothing of it themselves."""
    size = bins.size + (bins.kind == "category")
    return Panel(
        column=name,
        edges=tuple(bins.edges.tolist()),
        categories=tuple(map(str, bins.values.to_pylist())),
        reference=tuple(bins.reference[:size].tolist()),
        current=tuple(counts[:size].tolist()),
        statistic="",
        value=None,
        limit=None,
        is_drifted=any(e.severity == "error" for e in effects),
        missing=None,
        absent=(int(bins.reference[bins.size + 1]), int(counts[bins.size + 1])),
        is_protected=True,
    )


def _public(array: pa.Array, column: Column, contract: Contract) -> Bins | None:
    """Return bins of a protected column from what the contract declares, None if it does not."""
    if not column.is_protected:
        return None
    if column.valid_values is not None:
        try:
            return named(array, column.valid_values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return None
    ends = {r.kind: r.params["value"] for r in contract.rules if r.column == column.name and r.kind
            in ("minimum", "maximum")}  # fmt: skip
    is_plain = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if is_plain and len(ends) == 2 and ends["minimum"] < ends["maximum"]:  # noqa: PLR2004
        return even(array, ends["minimum"], ends["maximum"])
    return None


def _as_typed(column: pa.ChunkedArray, name: str, kind: pa.DataType) -> pa.Array:
    try:
        return sketches.whole(column.cast(kind))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        what = f"column '{name}' of the reference is {column.type}, the data's is {kind}"
        fix = "Give a reference that the same contract was used for."
        raise AssayError("K003", what, fix=fix) from error
