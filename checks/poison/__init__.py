"""Backdoor triggers: a rare value, a word or a combination of values that forces one label.

Threat: data poisoning. State: hash-ranked sample of 60,000 rows (option `sample`).
Cost: two passes; search O(sample x columns), at most 2,000 pairs of columns, a few small models per
suspicious label, of 64 columns besides those of the triggers.
Nulls: a missing cell is never part of a trigger; rows without a label are left out.
Blind to: combinations of common values if few of the rows whose label no model predicts are planted
(under a quarter: only a warning; under a seventh: nothing);
combinations of which no pair stands out; in a table of more than 63 columns, pairs of which both
values are common; triggers in near copies of one row (see the check `duplicates`); parts of words;
regression labels; adaptive poison without a trigger.
Source: Gu et al. 2017 (BadNets); Tran, Li, Madry 2018; Benjamini, Hochberg 1995.
"""

import dataclasses
import math
from collections import Counter
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, hashing, sample
from checks.kit.hashed_values import opaque
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.wording import about, count, listed, percent
from checks.poison.copied_rows import copies
from checks.poison.encoded_columns import Condition, Field, fields, is_opaque, matching
from checks.poison.encoding import Baseline
from checks.poison.extend_trigger import grow
from checks.poison.frequent_values import frequent
from checks.poison.mining import MAX_SHARE, Candidate, least, pairs, singles
from checks.poison.replay import replay
from checks.poison.significance import Judged, distinct, judge
from provenance.rows.shards import Shard

MAX_CLASSES = 50
LEAST_ROWS = 50
MOST_TRIGGERS = 3  # if there are more, those without power are only warnings
PREDICTED = 0.65  # largest share of the carriers that a model trained without them predicts
POWER = 0.9  # share of stamped clean rows that a backdoor moves to its label
PURE = 0.97  # share of the carriers that have the label
MOSTLY = 1 / 4  # least share of planted rows among those that would be held, by estimate
MOST_OF_CLASS = 0.5  # of the rows with a label; of more, a trigger's values are what it looks like
OF_CLASS = "Most rows of that label would be flagged, so this may be what the class looks like."
SUSPECTS = 8  # candidates that may be near copies of one row and nothing else, strongest first
MOSTLY_EXCESS = 0.5  # of the rows of such a candidate
LIKELIER = math.log(20)  # than a genuine interaction, for rows to be held


@dataclasses.dataclass(frozen=True, slots=True)
class Trigger:
    """A mined trigger: rows that meet all conditions and have the label are findings.

    Attributes:
        baseline: a model trained without carriers; rows to which it gives a chance of the label
            above `limit` are no findings. None if all of them are.
        moved: shares of clean rows to which a model gives the label, see `Judged`: before, stamped,
            and stamped for a model trained without the held rows.
    """

    conditions: tuple[Condition, ...]
    label: Any
    severity: str
    score: float
    p_value: float
    evidence: str
    baseline: Baseline | None = None
    limit: float = 1.0
    moved: tuple[float, float, float] = (math.nan, math.nan, math.nan)

    def matches(self, table: pa.Table, label: str) -> np.ndarray:
        """Return which rows of a shard's table carry the trigger and its label."""
        column = hashing.whole(table[label])
        wanted = pa.scalar(self.label, column.type)
        met = pc.fill_null(pc.equal(column, wanted), fill_value=False)
        rows = np.array(met.to_numpy(zero_copy_only=False))
        for condition in self.conditions:
            left = np.flatnonzero(rows)  # few rows, so that few texts are split into words
            rows[left] = condition.matches(table.take(pa.array(left)))
        if self.baseline is not None:
            left = np.flatnonzero(rows)
            rows[left] = self.baseline.chances(table.take(pa.array(left))) <= self.limit
        return rows


@dataclasses.dataclass(frozen=True)
class Mined(Model):
    """The triggers, strongest first.

    Attributes:
        held: sampled rows to quarantine; false_alarms: how many of them are clean, by estimate.
    """

    triggers: tuple[Trigger, ...] = ()
    held: int = 0
    false_alarms: float = 0.0


class Searched(NamedTuple):
    """A sample's columns, its classes, each row's class, and the confirmed candidates."""

    every: list[Field]
    classes: pa.Array
    labels: np.ndarray
    judged: list[Judged]


def mined(every: list[Field], labels: np.ndarray) -> tuple[list[Candidate], int]:
    """Return the candidates, strongest first, and the number of tests."""
    classes = int(labels.max()) + 1
    values = frequent(every, labels, classes, least(len(labels)))
    found, tests = singles(every, labels, classes)
    more, more_tests = pairs(every, labels, classes, values)
    found, grown_tests = grow(every, labels, found + more, values)
    return distinct(every, labels, found), tests + more_tests + grown_tests


def bound(every: list[Field], labels: np.ndarray, candidate: Candidate) -> np.ndarray:
    """Return the ordinals of the rows that carry a candidate and have its label."""
    carriers = matching(every, candidate.atoms, len(labels))
    return np.flatnonzero(carriers & (labels == candidate.label))


class Poison(Check[pa.Table, Mined]):
    """Mine triggers in a sample, judge them by a model trained without them, match all rows."""

    name: ClassVar[str] = "poison"
    threats: ClassVar[tuple[str, ...]] = ("data poisoning",)
    needs: ClassVar[frozenset[str]] = frozenset({"label"})
    takes: ClassVar[Takes] = {"sample": "whole"}
    explains: ClassVar[Explains] = {
        "poison.trigger": Explanation(
            ("error", "warning", "info"),
            "Rows with a certain value, word or combination of values (a trigger) have one label "
            "far more often than the other columns predict. A planted backdoor has this effect.",
            "Rows with the trigger have the label more often than rows with similar values, and a "
            "model trained without these rows does not predict that label for them. If deliberate "
            "planting explains the rows far better than a genuine relationship does, "
            "the severity is error in either of two cases. "
            f"(1) The dataset has at most {MOST_TRIGGERS} such triggers, and either nearly all "
            "rows with this one have the label or at least a quarter of the flagged rows appear "
            "to be planted. (2) Nearly all rows with this one have the label, and adding it to "
            "clean rows makes a model predict that label for nearly all of them. Otherwise the "
            f"severity is warning. It is also warning if the trigger occurs in more than "
            f"{MAX_SHARE:.0%} of the rows, or if it would flag most rows with its label, since "
            "such a trigger cannot be told from an ordinary feature of the class. A warning "
            "accuses no single row if a genuine relationship explains the rows far better than "
            "planting does, or if the trigger is that common. Info means that "
            f"the label has more than {MAX_CLASSES} values, so the search for triggers was "
            "skipped.",
            "Ask the source for the true label, or reject the row. The report shows what the "
            "trigger does to a model.",
        )
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns that a model may learn from, and the label."""
        super().__init__(context)
        names = set(context.schema.names)
        self.label = str(context.contract.label)
        self.columns = [c for c in (*context.contract.features, self.label) if c in names]
        self.size = int(self.options.get("sample", 60_000))

    def fit(self, shard: Shard) -> pa.Table:
        """Return the shard's part of the sample."""
        return sample.take(shard, self.columns, self.size)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Keep the rows of lowest rank of both."""
        return sample.merge(left, right, self.size)

    def finish(self, state: pa.Table) -> Mined:
        """Mine the sample, and once more without near copies if a trigger is made of them."""
        rows = sample.settled(state)
        rows = rows.filter(pc.is_valid(rows[self.label]))
        classes = pc.count_distinct(rows[self.label]).as_py()
        if rows.num_rows < LEAST_ROWS or classes < 2:  # noqa: PLR2004
            note = (
                f"Triggers were not searched for: {count(rows.num_rows, 'labelled row')} in "
                f"{count(classes, 'class')}, at least {LEAST_ROWS} in 2 are needed."
            )
            return Mined(notes=(note,))
        if classes > MAX_CLASSES:
            text = (
                f"Triggers were not searched for: the label has {count(classes, 'value')}, the "
                f"limit is {MAX_CLASSES}."
            )
            return Mined(overall=self._overall("info", self.label, text))
        return self._model(self._searched(rows), rows.num_rows)

    def _searched(self, rows: pa.Table) -> Searched:
        coded = hashing.whole(rows[self.label]).dictionary_encode()
        labels = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        every = fields(rows, self.context.contract)
        seed = self.context.seed
        found, tests = mined(every, labels)
        suspects = [c for c in found if c.excess >= MOSTLY_EXCESS * c.bound][:SUSPECTS]
        again = self._copies(rows, [bound(every, labels, c) for c in suspects])
        if again.any():  # the models need not judge what copies make up
            every, labels = [field.among(~again) for field in every], labels[~again]
            found, tests = mined(every, labels)
        judged = judge(every, labels, found, tests, seed)
        if not again.any():
            again = self._copies(rows, [j.held for j in judged if j.candidate not in suspects])
            if again.any():
                every, labels = [field.among(~again) for field in every], labels[~again]
                judged = judge(every, labels, *mined(every, labels), seed)
        return Searched(every, coded.dictionary, labels, judged)

    def _copies(self, rows: pa.Table, groups: list[np.ndarray]) -> np.ndarray:
        texts = self.context.contract.having("text")
        return copies(rows, self.columns[:-1], texts, groups, self.context.seed)

    def score(self, shard: Shard, model: Mined) -> findings.Findings:
        """Report each row that carries a trigger and its label, once, for the strongest trigger."""
        left = np.ones(len(shard.rows), bool)
        parts = []
        for trigger in model.triggers:
            hit = trigger.matches(shard.table, self.label) & left
            left &= ~hit
            parts.append(
                findings.make(
                    shard.rows[hit],
                    check=self.name,
                    rule="poison.trigger",
                    severity=trigger.severity,
                    column=",".join(c.column for c in trigger.conditions),
                    score=trigger.score,
                    p_value=trigger.p_value,
                    evidence=trigger.evidence,
                    suggestion="ask the source for the true label, or reject the row",
                )
            )
        return findings.concat(parts)

    def _model(self, found: Searched, rows: int) -> Mined:
        if not found.judged:
            return Mined(notes=(f"No trigger found in {count(rows, 'sampled row')}.",))
        every, classes, labels, judged = found
        judged = replay(every, labels, judged, self.context.seed)
        kept, overall = [], []
        alike = Counter(_columns(item) for item in judged)
        for item in judged:
            usual = len(judged) > MOST_TRIGGERS, alike[_columns(item)] > MOST_TRIGGERS
            trigger = self._trigger(every, item, classes, usual)
            # a genuine interaction accuses no row; it is told once
            is_genuine = trigger.severity != "error" and item.added <= -LIKELIER
            if item.candidate.bound <= MAX_SHARE * rows and not is_genuine:
                kept.append((item, trigger))
            else:
                columns = ",".join(c.column for c in trigger.conditions)
                overall.append(self._overall("warning", columns, trigger.evidence))
        kept = _without_classes(kept, labels)
        errors = [item for item, trigger in kept if trigger.severity == "error"]
        held = sum(len(item.held) for item in errors)
        false_alarms = held - sum(item.planted for item in errors)
        notes = [*dict.fromkeys(trigger.evidence for _, trigger in kept)]
        notes += [_attack(every, item) for item in errors]
        if held:
            notes.append(
                f"{count(held, 'sampled row')} with a trigger quarantined, "
                f"{about(max(false_alarms, 0.0) / held)} false alarms."
            )
        return Mined(
            overall=findings.concat(overall),
            notes=tuple(notes),
            triggers=tuple(trigger for _, trigger in kept),
            held=held,
            false_alarms=max(false_alarms, 0.0),
        )

    def _trigger(
        self, every: list[Field], item: Judged, classes: pa.Array, usual: tuple[bool, bool]
    ) -> Trigger:
        # `usual`: whether the table, or the columns of this trigger, have many such triggers
        found = item.candidate
        conditions = tuple(
            Condition(every[n].name, every[n].kind, _kept(every[n].values, code))
            for n, code in found.atoms
        )
        label = classes[found.label].as_py()
        pure = found.bound >= PURE * found.carriers and item.predicted <= PREDICTED
        # an interaction that only raises a label's rate would cost more clean rows than planted
        is_planted = found.is_sure and (pure or item.planted_share >= MOSTLY)
        # if many values and pairs force a label, that is the nature of the table; but not if one
        # is alone in its columns and its mere stamp moves nearly every clean row
        is_strong = pure and item.after >= POWER and item.before <= POWER / 2
        is_lone = not usual[0] and (is_planted or (len(found.atoms) > 1 and pure))
        is_error = is_lone or (is_strong and not usual[1])
        # likely shape and rows missing elsewhere cannot make up for each other
        is_error &= found.counts >= -LIKELIER and item.added + found.counts >= LIKELIER
        severity = "error" if is_error else "warning"
        score = max(item.share, item.planted_share)
        evidence = _evidence(item, conditions, label)
        baseline = item.foresight.baseline() if item.is_partial else None
        asked = baseline, item.limit, (item.before, item.after, item.cleaned)
        return Trigger(conditions, label, severity, score, item.p_value, evidence, *asked)

    def _overall(self, severity: str, columns: str, text: str) -> findings.Findings:
        return findings.make(
            None,
            check=self.name,
            rule="poison.trigger",
            severity=severity,
            column=columns,
            evidence=text,
        )


def _without_classes(
    kept: list[tuple[Judged, Trigger]], labels: np.ndarray
) -> list[tuple[Judged, Trigger]]:
    """Return triggers with their severity lowered where they would hold most rows of a label.

    Those values are what the class looks like: no model that never saw them can know the class.
    """
    sizes, made = np.bincount(labels), []
    for item, trigger in kept:
        mine = [i.held for i, t in kept if t.label == trigger.label and t.severity == "error"]
        held = len(np.unique(np.concatenate(mine))) if mine else 0
        if held > MOST_OF_CLASS * sizes[item.candidate.label]:
            why = f"{trigger.evidence} {OF_CLASS}"
            made.append((item, dataclasses.replace(trigger, severity="warning", evidence=why)))
        else:
            made.append((item, trigger))
    return made


def _kept(values: pa.Array, code: int) -> Any:
    one = values.slice(code, 1)
    return (opaque(one) if is_opaque(one.type) else one)[0].as_py()


def _columns(item: Judged) -> tuple[int, ...]:
    return tuple(place for place, _ in item.candidate.atoms)


def _evidence(item: Judged, conditions: tuple[Condition, ...], label: Any) -> str:
    found, held = item.candidate, len(item.held)
    names = listed([f"'{c.column}'" for c in conditions])
    one = "a word" if conditions[0].kind == "text" else "a value"
    what = {1: one, 2: "a pair of values"}.get(len(conditions), "a combination of values")
    text = (
        f"The row has {what} of {names}: {found.bound:,} of "
        f"{count(found.carriers, 'sampled row')} with it have the label {label!r}, where a model "
        f"trained without them predicts {percent(item.predicted)}; {held:,} of these are flagged, "
        f"{about(1 - item.planted_share)} of them probably legitimate."
    )
    if math.isnan(item.before + item.after + item.cleaned):
        return text
    return (
        f"{text} A model gives that label to {percent(item.before, 0)} of clean rows of other "
        f"labels, to {percent(item.after, 0)} once the trigger is added to them, and then to "
        f"{percent(item.cleaned, 0)} if it is trained without the flagged rows."
    )


def _attack(every: list[Field], item: Judged) -> str:
    """Return a sentence on the attack success before and after, and what the trigger adds."""
    names = listed([f"'{every[n].name}'" for n, _ in item.candidate.atoms])
    if math.isnan(item.after + item.cleaned + item.never):
        return f"Attack success by {names} not measured: too few clean rows to add the trigger to."
    added, left = item.after - item.never, item.cleaned - item.never
    return (
        f"Attack success by {names}: {percent(item.after, 0)} with its rows in training, "
        f"{percent(item.cleaned, 0)} without the quarantined ones. It is {percent(item.never, 0)} "
        f"for a model that never saw the trigger, so the trigger added {round(100 * added)} points "
        f"and still adds {round(100 * left)}."
    )
