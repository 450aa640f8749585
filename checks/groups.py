"""Groups of rows that belong together: a group must not lie in the dataset and in its test set.

Threat: leakage: a model recognises the patient, session or document that it is measured on.
State: rows by group of the test set, at most as many as that has. Cost: two passes, O(n).
Nulls: a row without a group belongs to no other.
Blind to: groups that the column does not tell; the same person under two names.
"""

import dataclasses
from typing import ClassVar

import numpy as np

from checks.kit import findings
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.visible_columns import groups_of
from checks.kit.wording import count
from provenance.rows.shards import Shard

RULE = "groups.test"
_ADVICE = "draw the test set by whole groups, or reject the rows of these groups"


@dataclasses.dataclass(frozen=True)
class State:
    """Rows of the dataset by place in `Groups.tested`, int64; how many rows have no group."""

    rows: np.ndarray
    ungrouped: int


@dataclasses.dataclass(frozen=True)
class Shared(Model):
    """The groups of the test set that the dataset has too, as hashes, uint64, ascending."""

    groups: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint64))


class Groups(Check[State, Shared]):
    """Find groups that are also in the test set that the contract names."""

    name: ClassVar[str] = "groups"
    threats: ClassVar[tuple[str, ...]] = ("data leakage",)
    needs: ClassVar[frozenset[str]] = frozenset({"group"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        RULE: Explanation(
            ("error", "warning"),
            "A group has rows in both the dataset and the test set.",
            "A value of the column with the role `group` occurs in both; if several columns have "
            "the role, their values together identify the group. Error for the dataset, warning "
            "for each of its rows in such a group.",
            f"{_ADVICE.capitalize()}.",
        )
    }

    def __init__(self, context: Context) -> None:
        """Hash the groups of the test set."""
        super().__init__(context)
        found = None
        if context.test is not None:
            found = groups_of(context.test, context.contract)
        tested = np.zeros(0, np.uint64) if found is None else np.unique(found[found != 0])
        self.tested: np.ndarray = tested

    def fit(self, shard: Shard) -> State:
        """Count the rows of each group of the test set."""
        rows = np.zeros(len(self.tested), np.int64)
        if shard.groups is None:
            return State(rows, 0)
        hit = shard.groups[np.isin(shard.groups, self.tested)]
        np.add.at(rows, np.searchsorted(self.tested, hit), 1)
        return State(rows, int((shard.groups == 0).sum()))

    def merge(self, left: State, right: State) -> State:
        """Add the counts."""
        return State(left.rows + right.rows, left.ungrouped + right.ungrouped)

    def finish(self, state: State) -> Shared:
        """Tell how many groups are in both."""
        notes: tuple[str, ...] = ()
        if state.ungrouped:
            notes = (f"{count(state.ungrouped, 'row')} without a group, each taken by itself",)
        shared = self.tested[state.rows > 0]
        if not len(shared):
            return Shared(notes=notes)
        says = (
            f"{count(len(shared), 'group')} of {len(self.tested):,} in the test set are also in "
            f"the dataset, with {count(int(state.rows.sum()), 'row')}"
        )
        names = self.context.contract.used("group")
        overall = findings.make(
            None, check=self.name, rule=RULE, column=names[0], evidence=says,
            score=len(shared) / len(self.tested), suggestion=_ADVICE,
        )  # fmt: skip
        return Shared(overall, notes, groups=shared)

    def score(self, shard: Shard, model: Shared) -> findings.Findings:
        """Report the rows of these groups."""
        if shard.groups is None or not len(model.groups):
            return findings.empty()
        return findings.make(
            shard.rows[np.isin(shard.groups, model.groups)],
            check=self.name,
            rule=RULE,
            column=self.context.contract.used("group")[0],
            severity="warning",
            evidence="the group of the row is also in the test set",
            suggestion=_ADVICE,
        )
