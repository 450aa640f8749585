"""Source contrast: a source whose labels, influence or share deviate from the others or its past.

Threat: data poisoning by one supplier. State: hash-ranked sample of 30,000 rows (option `sample`).
Cost: two folds of one model per label class on the sample (one class if labels are binary); sums
over rows for the influence. Nulls: rows without a label or source are skipped; missing features
count as missing.
Blind to: a source that poisons few of its rows; sources with fewer than 50 sampled rows, and for
the influence all but the 20 largest; labels with more than ten values; a shift that all sources
share (see drift); without a reference, changes that five earlier runs do not show. A source of
unusual but correct rows may be reported.
Source: direct standardisation; leave-one-out influence (Cook 1977; Koh, Liang 2017).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, hashing, sample
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.wording import count, percent
from checks.sources import contrast, finding_rates, influence, past_runs, shares
from checks.sources.contrast import OWNER
from provenance.rows.shards import Shard, ShardRef

LEAST = 50
NOISE = 5.0  # standard deviations over draws that an influence must pass
HARM = 0.005  # of the loss that a source must cost the others


class Sources(Check[pa.Table, Model]):
    """Compare each source with the others, with the reference and with earlier runs."""

    name: ClassVar[str] = "sources"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("data poisoning",)
    needs: ClassVar[frozenset[str]] = frozenset({"source"})
    takes: ClassVar[Takes] = {"sample": "whole"}
    explains: ClassVar[Explains] = {
        "sources.label_mix": Explanation(
            ("warning",),
            "A source labels its rows differently from the other sources.",
            "A model trained on the other sources' rows predicts how often a given label should "
            "occur in this source. The actual proportion differs from that prediction by at least "
            "5 percentage points more than chance and the usual variation between sources explain.",
            "The finding does not name the source. Group the labels by source to see which one "
            "stands out, then ask it how it assigns labels.",
        ),
        "sources.label_change": Explanation(
            ("warning",),
            "A source labels its rows differently than it did in the reference.",
            "The proportion of the source's rows with a given label differs from that in the "
            "reference, and at least 5 percentage points of the difference are explained neither "
            "by chance nor by the change across all sources.",
            "Compare the source's labels with its labels in the reference, and ask the source what "
            "changed.",
        ),
        "sources.influence": Explanation(
            ("warning",),
            "A model predicts other sources' labels better if trained without this source.",
            "Leaving the source out lowers the loss on the other sources' rows more than leaving "
            "out the same number of random rows does, by at least 0.5% of the loss and by at least "
            "5 times the spread in loss over such random choices.",
            "The finding does not name the source. To identify it, retrain leaving out one source "
            "at a time, see which omission lowers the loss on the other sources' rows most, and "
            "ask that source how it assigns labels.",
        ),
        "sources.share": Explanation(
            ("warning",),
            "A source supplies a far larger or smaller share of the rows than in the reference.",
            "The source's share of all rows has at least doubled or halved, and has changed by at "
            "least 5 percentage points more than chance explains.",
            "Count the rows by source, now and in the reference, and ask the source why.",
        ),
        "sources.findings_rate": Explanation(
            ("warning",),
            "The checks flag a far larger proportion of one source's rows than of other rows.",
            "At least 20 of the source's rows have errors or warnings, and their proportion is at "
            "least 3 times that of the other sources combined and higher by at least 1 percentage "
            "point more than chance explains.",
            "Review that source's rows together, and ask the source what is different.",
        ),
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns that exist."""
        super().__init__(context)
        contract, names = context.contract, set(context.schema.names)
        self.label = contract.label if contract.label in names else None
        self.source = contract.having("source")[0]
        usable = {field.name for field in context.schema if _is_usable(field.type)}
        usable &= set(contract.features)
        self.features = [name for name in context.schema.names if name in usable]
        named = (*self.features, *filter(None, [self.label]), self.source)
        self.columns = [n for n in named if n in names]
        self.size = int(self.options.get("sample", 30_000))
        self.is_withheld = bool({self.source, self.label} & contract.protected)

    def fit(self, shard: Shard) -> pa.Table:
        """Return the shard's part of the sample."""
        return sample.take(shard, self.columns, self.size)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Keep the rows of lowest rank of both."""
        return sample.merge(left, right, self.size)

    def finish(self, state: pa.Table) -> Model:
        """Report the sources that stand out."""
        rows = self._owned(sample.settled(state))
        if rows.num_rows < 2 * LEAST:
            return Model(notes=("Sources were not compared: there are too few rows.",))
        before = None if self.context.reference is None else self._owned(self.context.reference)
        parts, notes = [], []
        if before is None or before.num_rows < 2 * LEAST:
            notes.append("No reference: sources were not checked for changes in share or labels.")
        else:
            moved = shares.moved(rows[OWNER], before[OWNER])
            parts += [self._found("share", move.size, move.evidence) for move in moved]
        labelled, why = self._labelled(rows, before if parts or not notes else None)
        kept = {} if self.is_withheld else self._remembered(rows)
        if kept:
            past = self.context.history.get(self.name, ())
            parts.append(past_runs.changed(kept, past, self.source))
        return Model(overall=findings.concat(parts + labelled), notes=(*notes, *why), memory=kept)

    def score(self, shard: Shard, model: Model) -> findings.Findings:
        """Report nothing: sources are judged, not rows."""
        del shard, model
        return findings.empty()

    @classmethod
    def conclude(
        cls,
        context: Context,
        found: findings.Findings,
        shards: list[ShardRef],
        memory: Mapping[str, Any],
    ) -> Model:
        """Report sources whose rows have far more findings than others, or than in earlier runs."""
        return finding_rates.conclude(context, found, shards, memory)

    def _owned(self, rows: pa.Table) -> pa.Table:
        if self.source not in rows.column_names:
            return rows.slice(0, 0).append_column(OWNER, pa.array([], pa.string()))
        owner = hashing.whole(rows[self.source]).cast(pa.string())
        return rows.append_column(OWNER, owner).filter(pc.is_valid(owner))

    def _remembered(self, rows: pa.Table) -> dict[str, Any]:
        label = None if self.label is None else rows[self.label]
        if label is not None and pc.count_distinct(label).as_py() > contrast.MOST_CLASSES:
            label = None
        return past_runs.remembered(rows[OWNER], label)

    def _labelled(
        self, rows: pa.Table, before: pa.Table | None
    ) -> tuple[list[findings.Findings], list[str]]:
        if self.label is None:
            return [], ["No label: only the shares of sources were compared."]
        rows = rows.filter(pc.is_valid(rows[self.label]))
        labels = hashing.whole(rows[self.label]).dictionary_encode()
        if rows.num_rows < 2 * LEAST or not 1 < len(labels.dictionary) <= contrast.MOST_CLASSES:
            most = contrast.MOST_CLASSES
            why = f"too few rows, or the label does not have between 2 and {most} values"
            return [], [f"Labels of sources were not compared: {why}."]
        seed = self.context.seed
        found = contrast.contrasts(rows, self.features, labels, least=LEAST, seed=seed)
        parts = [self._mix(item) for item in contrast.apart(found)]
        parts += [self._harm(item) for item in self._influences(rows, labels)]
        if before is not None and self.label in before.column_names:
            before = before.filter(pc.is_valid(before[self.label]))
            changed = contrast.apart(contrast.against(rows, before, self.label, least=LEAST))
            parts += [self._change(item) for item in changed]
        return parts, []

    def _influences(self, rows: pa.Table, labels: pa.DictionaryArray) -> list[influence.Influence]:
        found = influence.influences(
            rows,
            self.features,
            labels.indices.to_numpy(zero_copy_only=False),
            owner=OWNER,
            least=LEAST,
            seed=self.context.seed,
        )
        usual = float(np.median([item.noise for item in found])) if found else 0.0
        return [
            item
            for item in found
            if item.gain >= HARM * item.loss and item.gain >= NOISE * max(item.noise, usual)
        ]

    def _mix(self, item: contrast.Contrast) -> findings.Findings:
        text = (
            f"{percent(item.observed)} of {count(item.rows, 'sampled row')} from one source are "
            f"labelled {item.label!r}; the other columns predict {percent(item.expected)}."
        )
        return self._found("label_mix", item.gap, text)

    def _change(self, item: contrast.Contrast) -> findings.Findings:
        text = (
            f"{percent(item.observed)} of {count(item.rows, 'sampled row')} from one source are "
            f"labelled {item.label!r}; its rows in the reference and the change common to all "
            f"sources suggest {percent(item.expected)}."
        )
        return self._found("label_change", item.gap, text)

    def _harm(self, item: influence.Influence) -> findings.Findings:
        text = (
            f"A model trained without one source ({count(item.rows, 'sampled row')}) has a loss "
            f"on the rows of all others that is {percent(item.gain / item.loss)} lower than a "
            "model trained without as many random rows: "
            f"{item.gain / max(item.noise, 1e-12):,.0f} standard deviations over random draws."
        )
        return self._found("influence", item.gain / item.loss, text)

    def _found(self, rule: str, size: float, text: str) -> findings.Findings:
        if self.is_withheld:  # its figures concern persons: report only that it stands out
            size, text = 1.0, "A source stands out; figures of protected columns are not shown."
        return findings.make(
            None,
            check=self.name,
            rule=f"sources.{rule}",
            severity="warning",
            column=self.source,
            score=min(1.0, size),
            evidence=text,
            suggestion=ADVICE[rule],
        )


ADVICE = {
    "label_mix": "group the labels by source; ask the one that stands out how it assigns labels",
    "label_change": "compare each source's labels with the reference, and ask what changed",
    "influence": "train without each source in turn to find it, then ask it how it assigns labels",
    "share": "count each source's rows, now and in the reference, and ask what changed",
}


def _is_usable(kind: pa.DataType) -> bool:
    plain = pa.types.is_string(kind) or pa.types.is_boolean(kind)
    return bool(hashing.is_number(kind) or plain)
