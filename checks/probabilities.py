"""A model's chances of the classes: lists that are no chances, or do not fit the label's classes.

Threat: degradation by a broken export, after which every judgement of labels is wrong. State: rows
by length, by fault, and by class and place of the highest chance. Cost: two passes, O(numbers).
Nulls: a missing list is left to `required`; the label of its row is not judged.
Blind to: chances of a model that saw the row, which confirm whatever label it has.
"""

import dataclasses
from collections import Counter
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import class_chances, findings, vectors
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.wording import count, percent
from provenance.rows.arrow_bytes import whole
from provenance.rows.shards import Shard

CODE = "ASSAY-V021"
MOST_LENGTHS = 10_000
MOST_FAULTY = 0.5  # of the rows; if more are, the column holds something else
_ADVICE = "export the row's probabilities again, or reject the row"
_SAYS = {
    "length": "the list does not have one probability for each class",
    "value": "a probability is missing, negative or not finite",
    "sum": f"the probabilities do not sum to 1 (within {class_chances.OFF})",
}


@dataclasses.dataclass(frozen=True)
class State:
    """Rows of shards.

    Attributes:
        lengths: by length of the list; faulty: of each length, those that are no chances;
            highest: by label and place of the highest chance; values: that the label has.
    """

    lengths: Counter[int]
    faulty: Counter[int]
    highest: Counter[tuple[str, int]]
    values: frozenset[Any]


@dataclasses.dataclass(frozen=True)
class Fitting(Model):
    """The number of chances in a list; 0 if the lists do not fit."""

    size: int = 0


class Probabilities(Check[State, Fitting]):
    """Find lists that are no chances of the classes."""

    name: ClassVar[str] = "probabilities"
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation",)
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        f"probabilities.{key}": Explanation(
            ("error",), f"In this row, {says}.",
            "This is true of the row's list in the column with the role `probabilities`, but not "
            "of most other rows' lists.",
            f"{_ADVICE.capitalize()}.",
        )
        for key, says in _SAYS.items()
    }  # fmt: skip

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        self.column = next(iter(context.contract.having("probabilities")), "")
        self.label = context.contract.label

    def fit(self, shard: Shard) -> State:
        """Count lengths and faults, and where the highest chance of each class is."""
        column = self._lists(shard)
        label = self._label(shard)
        lengths, faulty, highest = Counter[int](), Counter[int](), Counter[tuple[str, int]]()
        own = vectors.lengths(column)
        is_there = np.asarray(column.is_valid())
        for size, rows in zip(*np.unique(own[is_there], return_counts=True), strict=True):
            mine = pa.array(is_there & (own == size))
            chances, faults = class_chances.read(column.filter(mine), int(size))
            lengths[int(size)] = int(rows)
            faulty[int(size)] = int(faults.any.sum())
            names = label.filter(mine).cast(pa.string())
            known = ~faults.any & np.asarray(names.is_valid())
            if size and known.any():
                places = pa.array(chances[known].argmax(1))
                pairs = pa.table({"name": names.filter(pa.array(known)), "at": places})
                counted = pairs.group_by(["name", "at"]).aggregate([([], "count_all")])
                for one in counted.to_pylist():
                    highest[one["name"], one["at"]] += one["count_all"]
        values = frozenset(pc.unique(label).drop_null().to_pylist())
        return _bounded(State(lengths, faulty, highest, values))

    def merge(self, left: State, right: State) -> State:
        """Add the counts."""
        return _bounded(
            State(
                left.lengths + right.lengths,
                left.faulty + right.faulty,
                left.highest + right.highest,
                left.values | right.values,
            )
        )

    def finish(self, state: State) -> Fitting:
        """Compare the lists with the classes."""
        rows = sum(state.lengths.values())
        if not rows:
            return Fitting()
        size = max(state.lengths, key=lambda length: (state.lengths[length], -length))
        faulty = rows - state.lengths[size] + state.faulty[size]
        why = ""
        if self.label is not None:
            if len(state.values) > class_chances.MOST_CLASSES:
                why = f"the label has more than {class_chances.MOST_CLASSES:,} values"
            else:
                classes = class_chances.classes_of(self.context.contract, state.values)
                why = class_chances.misfit(classes, size, state.highest)
        if faulty > MOST_FAULTY * rows:
            share = percent(faulty / rows)
            why = f"{share} of {count(rows, 'list')} are not probabilities that sum to 1"
        if not why:
            return Fitting(size=size)
        return Fitting(
            findings.make(
                None, check=self.name, rule=CODE, column=self.column, evidence=why,
                suggestion=(
                    "state the classes in the order of the probabilities, `assay.label: {classes: "
                    "[...]}`, or export the probabilities again"
                ),
            )
        )  # fmt: skip

    def score(self, shard: Shard, model: Fitting) -> findings.Findings:
        """Report the rows whose list is no chances."""
        if not model.size:
            return findings.empty()
        _, faults = class_chances.read(self._lists(shard), model.size)
        masks = {"length": faults.length, "value": faults.value, "sum": faults.sum}
        return findings.concat(
            [
                findings.make(
                    shard.rows[mask], check=self.name, rule=f"probabilities.{key}",
                    column=self.column, evidence=_SAYS[key], suggestion=_ADVICE,
                )
                for key, mask in masks.items()
            ]
        )  # fmt: skip

    def _lists(self, shard: Shard) -> pa.ListArray:
        return whole(vectors.with_lists(shard, (self.column,))[self.column])

    def _label(self, shard: Shard) -> pa.Array:
        if self.label is None or self.label not in shard.table.column_names:
            return pa.nulls(len(shard.rows), pa.string())
        return whole(shard.table[self.label])


def _bounded(state: State) -> State:
    """Keep the shortest lengths and the least values: beyond so many, nothing fits."""
    lengths = sorted(state.lengths)[:MOST_LENGTHS]
    values = state.values
    if len(values) > class_chances.MOST_CLASSES + 1:
        values = frozenset(sorted(values)[: class_chances.MOST_CLASSES + 1])
    names = {class_chances.as_text(value) for value in values}
    return State(
        Counter({size: state.lengths[size] for size in lengths}),
        Counter({size: state.faulty[size] for size in lengths}),
        Counter({key: rows for key, rows in state.highest.items() if key[0] in names}),
        values,
    )
