"""Backdoor triggers: a rare value, a word or a set of values that forces one label.

Threat: data poisoning. State: hash-ranked sample of 60,000 rows (option `sample`).
Cost: two passes; search O(sample x columns^2), a few small models per suspicious label.
Nulls: a missing cell is never part of a trigger; rows without a label are left out.
Blind to: sets of common values where the planted rows are few beside the honest ones of that label
(under a quarter of those no model foresees: a warning; under a seventh: nothing); sets of which no
pair stands out; triggers in near copies of one row (see the check `duplicates`); parts of words;
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

from checks.kit import copy_floods, findings, hashing, sample
from checks.kit.hashed_values import opaque
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Model
from checks.poison.encoded_columns import Condition, Field, fields, is_opaque
from checks.poison.encoding import Honest
from checks.poison.extend_trigger import grow
from checks.poison.mining import MAX_SHARE, least, pairs, singles
from checks.poison.significance import Judged, distinct, judge
from checks.poison.stamp_test import replay
from provenance.rows.shards import Shard

MAX_CLASSES = 50
LEAST_ROWS = 50
MOST_TRIGGERS = 3  # more of them, and those without power are only warnings
FORESEEN = 0.65  # of the carriers, by a model without them
POWER = 0.9  # share of stamped clean rows that a backdoor moves to its label
PURE = 0.97  # of the carriers hold the label
MOSTLY = 1 / 4  # of the rows that would be held must be planted, by estimate
LIKELIER = math.log(20)  # than an honest interaction, for rows to be held


@dataclasses.dataclass(frozen=True, slots=True)
class Trigger:
    """A mined trigger: rows that meet all conditions and hold the label are findings.

    But not those to which `honest`, a model without carriers, gives a chance of the label above
    `limit`; None accuses them all. `moved` are the shares of clean rows to which a model gives the
    label, see `Judged`: before, stamped, and stamped without the held rows in its training.
    """

    conditions: tuple[Condition, ...]
    label: Any
    severity: str
    score: float
    p_value: float
    evidence: str
    honest: Honest | None = None
    limit: float = 1.0
    moved: tuple[float, float, float] = (math.nan, math.nan, math.nan)

    def matches(self, table: pa.Table, label: str) -> np.ndarray:
        """Return which rows of a shard's table carry the trigger and the bound label."""
        column = hashing.whole(table[label])
        wanted = pa.scalar(self.label, column.type)
        met = pc.fill_null(pc.equal(column, wanted), fill_value=False)
        rows = np.array(met.to_numpy(zero_copy_only=False))
        for condition in self.conditions:
            left = np.flatnonzero(rows)  # few, so that few texts are split into words
            rows[left] = condition.matches(table.take(pa.array(left)))
        if self.honest is not None:
            left = np.flatnonzero(rows)
            rows[left] = self.honest.chances(table.take(pa.array(left))) <= self.limit
        return rows


@dataclasses.dataclass(frozen=True)
class Mined(Model):
    """The triggers, strongest first.

    Attributes:
        held: rows of the sample that go to quarantine; honest: how many of them by estimate.
    """

    triggers: tuple[Trigger, ...] = ()
    held: int = 0
    honest: float = 0.0


class Searched(NamedTuple):
    """A sample's columns, its classes, each row's class, and what held against the model."""

    every: list[Field]
    classes: pa.Array
    labels: np.ndarray
    judged: list[Judged]


class Poison(Check[pa.Table, Mined]):
    """Mine triggers in a sample, judge them by a model without them, match them in all rows."""

    name: ClassVar[str] = "poison"
    threats: ClassVar[tuple[str, ...]] = ("data poisoning",)
    needs: ClassVar[frozenset[str]] = frozenset({"label"})
    takes: ClassVar[Takes] = {"sample": "whole"}

    def __init__(self, context: Context) -> None:
        """Choose the columns: what a model may learn from, and the label."""
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
        """Mine the sample; what is found, once more without near copies: one witness each."""
        rows = sample.settled(state)
        rows = rows.filter(pc.is_valid(rows[self.label]))
        classes = pc.count_distinct(rows[self.label]).as_py()
        if rows.num_rows < LEAST_ROWS or classes < 2:  # noqa: PLR2004
            told = f"{rows.num_rows} labelled rows of {classes} classes"
            return Mined(notes=(f"Triggers were not searched for in {told}: too few to compare.",))
        if classes > MAX_CLASSES:
            text = f"The label has {classes} values: backdoor triggers were not searched for."
            return Mined(overall=self._overall("info", self.label, text))
        found = self._searched(rows)
        if found.judged:
            columns, texts = self.columns[:-1], self.context.contract.having("text")
            again = copy_floods.copies(rows, columns, texts, self.context.seed)
            if again.any():
                found = self._searched(rows.filter(pa.array(~again)))
        return self._model(found, rows.num_rows)

    def _searched(self, rows: pa.Table) -> Searched:
        coded = hashing.whole(rows[self.label]).dictionary_encode()
        classes, seed = coded.dictionary, self.context.seed
        labels = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        every = fields(rows, self.context.contract)
        found, tests = singles(every, labels, len(classes))
        more, more_tests = pairs(every, labels, len(classes))
        found, grown_tests = grow(every, labels, found + more, least(len(labels)))
        kept = distinct(every, labels, found)
        judged = judge(every, labels, kept, tests + more_tests + grown_tests, seed)
        return Searched(every, classes, labels, judged)

    def score(self, shard: Shard, model: Mined) -> findings.Findings:
        """Report each row that carries a trigger and its label, once, by the strongest trigger."""
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
                    suggestion="Ask the source for the true label, or reject the row.",
                )
            )
        return findings.concat(parts)

    def _model(self, found: Searched, rows: int) -> Mined:
        if not found.judged:
            return Mined(notes=(f"No trigger holds against the model in {rows} sampled rows.",))
        every, classes, labels, judged = found
        judged = replay(every, labels, judged, self.context.seed)
        triggers, kept, overall = [], [], []
        held, honest = 0, 0.0
        alike = Counter(_columns(item) for item in judged)
        for item in judged:
            usual = len(judged) > MOST_TRIGGERS, alike[_columns(item)] > MOST_TRIGGERS
            trigger = self._trigger(every, item, classes, usual)
            if item.candidate.bound <= MAX_SHARE * rows:
                triggers.append(trigger)
                kept.append(item)
                if trigger.severity == "error":
                    held += len(item.held)
                    honest += len(item.held) - item.planted
            else:
                columns = ",".join(c.column for c in trigger.conditions)
                overall.append(self._overall("warning", columns, trigger.evidence))
        notes = [*dict.fromkeys(t.evidence for t in triggers)]
        pairs = zip(kept, triggers, strict=True)
        notes += [_attack(every, item) for item, t in pairs if t.severity == "error"]
        if held:
            notes.append(
                f"{held} sampled rows carry a trigger and are held; {honest / held:.1%} of them "
                "are expected to be honest."
            )
        return Mined(
            findings.concat(overall), tuple(notes), (), tuple(triggers), held, max(honest, 0.0)
        )

    def _trigger(
        self, every: list[Field], item: Judged, classes: pa.Array, usual: tuple[bool, bool]
    ) -> Trigger:
        # `usual`: whether the table, or the columns of this trigger, hold many of its like
        found = item.candidate
        conditions = tuple(
            Condition(every[n].name, every[n].kind, _kept(every[n].values, code))
            for n, code in found.atoms
        )
        label = classes[found.label].as_py()
        pure = found.bound >= PURE * found.carriers and item.foreseen <= FORESEEN
        # an interaction that only raises a label's rate would cost more honest rows than planted
        is_telling = found.is_sure and (pure or item.telling >= MOSTLY)
        # where many values and pairs force a label, that is how the table is - but not one that
        # is alone in its columns and whose mere stamp moves nearly every clean row
        is_strong = pure and item.after >= POWER and item.before <= POWER / 2
        is_lone = not usual[0] and (is_telling or (len(found.atoms) > 1 and pure))
        is_error = is_lone or (is_strong and not usual[1])
        # neither a likely shape makes up for rows that are missing elsewhere, nor the other way
        is_error &= found.counts >= -LIKELIER and item.added + found.counts >= LIKELIER
        names = " and ".join(f"'{c.column}'" for c in conditions)
        what = "one word" if conditions[0].kind == "text" else "one value"
        what = {1: what, 2: "one pair of values"}.get(len(conditions), "one set of values")
        held = len(item.held)
        evidence = (
            f"The row carries {what} of {names}: of {found.carriers} such rows in the sample "
            f"{found.bound} have the label {label!r}, where a model without it foresees "
            f"{item.foreseen:.1%}; {held} of them are told, of which {1 - item.telling:.1%} are "
            f"expected to be honest. Stamped on clean rows it moves {item.after:.0%} of them to "
            f"that label ({item.before:.0%} before, {item.cleaned:.0%} without those {held} rows)."
        )
        severity = "error" if is_error else "warning"
        score = max(item.share, item.telling)
        asked = item.honest, item.limit, (item.before, item.after, item.cleaned)
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


def _kept(values: pa.Array, code: int) -> Any:
    one = values.slice(code, 1)
    return (opaque(one) if is_opaque(one.type) else one)[0].as_py()


def _columns(item: Judged) -> tuple[int, ...]:
    return tuple(place for place, _ in item.candidate.atoms)


def _attack(every: list[Field], item: Judged) -> str:
    """Return in a sentence what a trigger does to a model, before and after, and what it adds."""
    names = " and ".join(f"'{every[n].name}'" for n, _ in item.candidate.atoms)
    if math.isnan(item.after + item.cleaned + item.never):
        return f"Attack success by {names} was not measured: too few clean rows to stamp it on."
    added, left = item.after - item.never, item.cleaned - item.never
    return (
        f"Attack success by {names}: {item.after:.0%} before, {item.cleaned:.0%} with its rows "
        f"held. A model that never saw a carrier gives {item.never:.0%}, so the trigger added "
        f"{100 * added:.0f} points and adds {100 * left:.0f} now."
    )
