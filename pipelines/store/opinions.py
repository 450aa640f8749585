"""One decision of a person on a row, and how many people it takes until one is in force.

Where one person is enough, the last decision on a row is in force. Where a contract asks for two
reviewers, each person has one opinion on a row, the last that they did not withdraw, and what two
people hold is in force unless two others hold something else. Where it asks for a second person,
what would make a row clean waits until somebody else holds it too; until then what was in force
before stays so.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa

from checks.kit.contract_model import Policy
from provenance.rows.shards import DIGEST_BYTES

CHANGES = ("relabel", "correct")
ALTERS = (*CHANGES, "redact", "reject")  # what the run's files hold of the row is no longer its own
KEEPS = ("release", "redact", *CHANGES)
WORDS = ("release", "reject", *CHANGES, "redact", "approve", "undo", "forget")
ID = pa.binary(DIGEST_BYTES)

Identity = tuple[bytes, int]  # a row's id, and how many rows of the same content come before it
Effect = tuple[Any, ...]  # what two opinions must share to be the same
_OF_OTHERS = ("approve", "undo", "forget")  # decisions about other decisions
State = Literal["", "one", "disagreement", "approval"]


@dataclasses.dataclass(frozen=True, slots=True)
class Needed:
    """How many people a contract asks for.

    Attributes:
        reviewers: who decide about each row without seeing each other's decisions.
        second_person: families of rules; what makes a row clean that one of them accuses needs a
            second person.
    """

    reviewers: int = 1
    second_person: frozenset[str] = frozenset()

    @classmethod
    def of(cls, policy: Policy) -> "Needed":
        """Return what a contract's policy asks for; ONE itself if one person is enough."""
        made = cls(policy.reviewers, frozenset(policy.second_person))
        return ONE if made == ONE else made

    @classmethod
    def recorded(cls, facts: Mapping[str, Any]) -> "Needed":
        """Return what the contract asked for when an entry was made."""
        made = cls(facts.get("reviewers", 1), frozenset(facts.get("second_person", ())))
        return ONE if made == ONE else made

    def facts(self) -> dict[str, Any]:
        """Return what an entry records of it: nothing where one person is enough."""
        many = {"reviewers": self.reviewers} if self.reviewers > 1 else {}
        families = sorted(self.second_person)
        return many | ({"second_person": families} if families else {})

    def __or__(self, other: "Needed") -> "Needed":
        """Return the stricter of both."""
        families = self.second_person | other.second_person
        return Needed(max(self.reviewers, other.reviewers), families)

    @property
    def is_blind(self) -> bool:
        """Return whether people decide without seeing each other's decisions."""
        return self.reviewers > 1

    def is_two(self, decision: str, accused: Iterable[str]) -> bool:
        """Return whether a decision on a row that some rules accuse needs two people."""
        if self.is_blind or not self.second_person or decision not in KEEPS:
            return self.is_blind
        return any(text.partition(".")[0] in self.second_person for text in accused)


ONE = Needed()


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about one row of a run, and the ledger entry that records it.

    Attributes:
        approves: entry of the decision of somebody else that it approves, which it repeats.
        account: that recorded it in the reviewer's name, empty if that was the reviewer.
        needed: what the contract asked for then.
    """

    row: int
    decision: str
    column: str | None
    value: str | None
    reason: str | None
    reviewer: str
    identity: Identity
    key_id: bytes | None
    accused: frozenset[str]
    base: int
    entry: int
    time: str
    approves: int | None = None
    account: str = ""
    needed: Needed = ONE

    @property
    def what(self) -> tuple[str, str | None, str | None]:
        """Return what two decisions must share to say the same."""
        return self.decision, self.column, self.value

    @property
    def word(self) -> str:
        """Return the decision as a person gave it."""
        return self.decision if self.approves is None else "approve"

    @property
    def person(self) -> str:
        """Return who made it, as names are compared: whatever their case."""
        return self.reviewer.casefold()

    def is_of(self, name: str) -> bool:
        """Return whether a person, or an account, made it; case makes no difference."""
        return bool(name) and name.casefold() in (self.person, self.account.casefold())


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """The decisions in force for one row: the last one, and the changes that it leaves in place.

    Attributes:
        last: the decision that says what becomes of the row.
        changes: new texts of its cells by column.
        holders: who decided the same, where two people were needed.
        since: ISO time of the oldest of their decisions; empty for that of the last one.
    """

    last: Decision
    changes: Mapping[str, str]
    holders: tuple[str, ...] = ()
    since: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Weighed:
    """What the decisions on one row amount to.

    Attributes:
        standing: what is in force, None for nothing.
        state: empty if nothing is left to decide; `one` of two opinions, a `disagreement`, or a
            decision that waits for `approval`.
        opinions: that are not in force: of each person the last, and before it the changes that it
            leaves in place; whose last is older comes first.
        lapsed: why the last one is no longer in force, as the end of a sentence; empty if it is.
            What was in force before one that only waited stands then.
    """

    standing: Standing | None = None
    state: State = ""
    opinions: tuple[Decision, ...] = ()
    lapsed: str = ""

    def is_shown_to(self, name: str) -> bool:
        """Return whether a person may know of the opinions: a lone one is its owner's only."""
        return self.state != "one" or self.is_held_by(name)

    def is_held_by(self, name: str) -> bool:
        """Return whether the opinions wait for somebody other than this person."""
        return self.state in ("one", "approval") and any(d.is_of(name) for d in self.opinions)


def are_two(made: Sequence[Decision]) -> bool:
    """Return whether two people are among those who made decisions.

    What an account recorded in the names of others is that account's too.
    """
    return any(
        not (one.is_of(other.reviewer) or one.is_of(other.account))
        for place, one in enumerate(made)
        for other in made[:place]
    )


def effect_of(own: Sequence[Decision]) -> Effect:
    """Return what the decisions of one person on a row, oldest first, amount to."""
    return effect(own[-1], changes_of(own))


def effect(last: Decision, changes: Mapping[str, str]) -> Effect:
    """Return what a decision with the changes in place amounts to."""
    return ("change", *sorted(changes.items())) if last.decision in CHANGES else (last.decision,)


def changes_of(stack: Sequence[Decision]) -> dict[str, str]:
    """Return the changes that are in place: those at the end of the stack, the last of a column."""
    changes: dict[str, str] = {}
    for each in _trail(stack):
        changes.setdefault(each.column or "", each.value or "")
    return changes


def _trail(stack: Sequence[Decision]) -> Iterator[Decision]:
    """Yield the changes at the end, the newest first; what an approval repeats is all of it."""
    approval = None
    for each in reversed(stack):
        if each.decision not in CHANGES or approval not in (None, each.entry):
            return
        approval = None if each.approves is None else each.entry
        yield each


def parts_of(own: Sequence[Decision]) -> tuple[Decision, ...]:
    """Return what makes up the opinion of one person: the last decision, after its changes."""
    found: dict[str | None, Decision] = {}
    for each in _trail(own):
        found.setdefault(each.column, each)
    return tuple(reversed(found.values())) or (own[-1],)


def take(stack: list[Decision], made: Decision) -> Decision:
    """Apply a decision to those before it on the same row, in place; returns it as it counts.

    Who decides blind withdraws their own decision only. An approval repeats what it approves, and
    counts for nothing if that is not the last decision any more.
    """
    if made.decision not in _OF_OTHERS:
        stack.append(made)
    elif made.decision == "undo":
        _undo(stack, made)
    elif made.decision == "forget":
        stack.clear()
    else:
        return _approve(stack, made)
    return made


def _undo(stack: list[Decision], made: Decision) -> None:
    if made.needed is not ONE and made.needed.is_blind:
        gone = [each.entry for each in stack if each.person == made.person][-1:]
        stack[:] = [each for each in stack if each.entry not in gone]
    elif stack:
        entry = stack[-1].entry
        while stack and stack[-1].entry == entry:  # an approval may repeat several
            stack.pop()


def _approve(stack: list[Decision], made: Decision) -> Decision:
    if not stack or stack[-1].entry != made.approves or not are_two([stack[-1], made]):
        return made
    own = [each for each in stack if each.person == stack[-1].person]
    copies = [
        dataclasses.replace(made, decision=each.decision, column=each.column, value=each.value)
        for each in parts_of(own)
    ]
    stack += copies
    return copies[-1]
