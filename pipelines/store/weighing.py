"""What the decisions on one row amount to: what is in force, and what waits for another person."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from pipelines.store.opinions import (
    CHANGES,
    ONE,
    Decision,
    Effect,
    Needed,
    Standing,
    State,
    Weighed,
    are_two,
    changes_of,
    effect,
    parts_of,
)

Lapse = Callable[[Decision, Mapping[str, str]], str]  # why a decision is not in force, or ""


class _Held(NamedTuple):
    """The opinion of one person: the last decision, the changes in place, and those that say so."""

    last: Decision
    changes: Mapping[str, str]
    parts: Sequence[Decision]


def never(last: Decision, changes: Mapping[str, str]) -> str:
    """Return that a decision has not lapsed, whatever it is."""
    del last, changes
    return ""


def weigh(stack: Sequence[Decision], needed: Needed, lapse: Lapse) -> Weighed:
    """Return what the decisions on a row amount to.

    Args:
        stack: those not withdrawn, oldest first; not empty.
        needed: what the contract asks for; what it asked for when the last one was made counts
            too.
        lapse: returns why a decision with its changes is not in force, empty if it is.
    """
    last = stack[-1]
    if needed is not ONE or last.needed is not ONE:
        every = needed | last.needed
        if every.is_blind:
            return _blind(stack, lapse)
        if every.is_two(last.decision, last.accused):
            return _second(list(stack), needed, lapse)
    changes = changes_of(stack) if len(stack) == 1 else _in_place(stack, needed, lapse)
    why = lapse(last, changes)
    return Weighed(lapsed=why) if why else Weighed(Standing(last, changes))


def _in_place(stack: Sequence[Decision], needed: Needed, lapse: Lapse) -> Mapping[str, str]:
    """Return the changes in place where one person was enough for the last decision.

    What took two people counts if two hold it, and is passed over as long as it waits.
    """
    if needed is ONE and all(each.needed is ONE for each in stack):
        return changes_of(stack)
    changes: dict[str, str] = {}
    for place in range(len(stack), 0, -1):
        each = stack[place - 1]
        every = needed | each.needed
        if every.is_two(each.decision, each.accused):
            before = _held_by_two(stack[:place], lapse, is_blind=every.is_blind)
            if before or every.is_blind:
                return {**before.changes, **changes} if before else changes
        elif each.decision in CHANGES:
            changes.setdefault(each.column or "", each.value or "")
        else:
            break
    return changes


def _held_by_two(stack: Sequence[Decision], lapse: Lapse, *, is_blind: bool) -> Standing | None:
    """Return what is in force where the last decision took two people, None if it waits."""
    if is_blind:
        return _blind(stack, lapse).standing
    same, why = _same(stack, lapse)
    return _standing(same) if _are_two(same) and not why else None


def _blind(stack: Sequence[Decision], lapse: Lapse) -> Weighed:
    """Return what two reviewers agree on; nothing is in force if two others agree otherwise."""
    if len(stack) == 1:  # as after one decision about many rows
        why = lapse(stack[0], changes_of(stack))
        return Weighed(lapsed=why) if why else Weighed(None, "one", (stack[0],))
    held, why = _opinions(stack, lapse)
    if not held:
        return Weighed(lapsed=why)
    same: dict[Effect, list[_Held]] = {}
    for each in held:
        same.setdefault(effect(each.last, each.changes), []).append(each)
    agreed = [each for each in same.values() if _are_two(each)]
    if len(agreed) == 1:
        return Weighed(_standing(agreed[0]))
    state: State = "one" if len(same) == 1 else "disagreement"
    return Weighed(None, state, _parts(held))


def _second(rest: list[Decision], needed: Needed, lapse: Lapse) -> Weighed:
    """Return what is in force where the last decision needs a second person; takes `rest` apart."""
    made = Weighed()  # without what is in force
    while rest:
        last = rest[-1]
        every = needed | last.needed
        if every.is_blind or not every.is_two(last.decision, last.accused):
            before = weigh(rest, needed, lapse)
            if made.state:
                return dataclasses.replace(made, standing=before.standing)
            return dataclasses.replace(before, lapsed=made.lapsed or before.lapsed)
        same, why = _same(rest, lapse)
        is_two = _are_two(_same(rest, never)[0] if why else same)
        if is_two:
            if why:  # it was in force, and what it replaced is not any more
                return made if made.state else Weighed(lapsed=made.lapsed or why)
            return dataclasses.replace(made, standing=_standing(same))
        if not (made.state or made.lapsed):
            made = Weighed(lapsed=why) if why else Weighed(None, "approval", _parts(same))
        rest.pop()
        while rest and last.decision in CHANGES and rest[-1].person == last.person and (
            rest[-1].decision in CHANGES
        ):  # fmt: skip
            rest.pop()
    return made


def _same(stack: Sequence[Decision], lapse: Lapse) -> tuple[list[_Held], str]:
    """Return the opinions that say what the last decision says, and why that has lapsed.

    An opinion that somebody else overruled since counts no more, not even for whoever decides the
    same later: they need not have seen it.
    """
    last = _held([each for each in stack if each.person == stack[-1].person])
    wanted = effect(last.last, last.changes)
    same = [
        each for each in _opinions(stack, lapse)[0]
        if effect(each.last, each.changes) == wanted and not _is_overruled(each, stack)
    ]  # fmt: skip
    return same, lapse(last.last, last.changes)


def _is_overruled(opinion: _Held, stack: Sequence[Decision]) -> bool:
    """Return whether somebody else decided otherwise after an opinion, whatever they say now."""
    last = opinion.last
    for each in reversed(stack):
        if each is last:
            break
        if last.decision in CHANGES:  # who repeats several changes does so one by one
            is_part = opinion.changes.get(each.column or "") == (each.value or "")
            is_same = each.decision in CHANGES and is_part
        else:
            is_same = each.decision == last.decision
        if each.person != last.person and not is_same:
            return True
    return False


def _held(own: Sequence[Decision]) -> _Held:
    return _Held(own[-1], changes_of(own), parts_of(own))


def _opinions(stack: Iterable[Decision], lapse: Lapse) -> tuple[list[_Held], str]:
    """Return the opinion of each person, and why another one has lapsed."""
    own: dict[str, list[Decision]] = {}
    for each in stack:
        own.setdefault(each.person, []).append(each)
    held, why = [], ""
    for opinion in map(_held, own.values()):
        if reason := lapse(opinion.last, opinion.changes):
            why = reason
        else:
            held.append(opinion)
    return sorted(held, key=lambda each: each.last.entry), why


def _parts(held: Iterable[_Held]) -> tuple[Decision, ...]:
    return tuple(part for each in held for part in each.parts)


def _standing(held: Sequence[_Held]) -> Standing:
    last, changes, _ = held[-1]
    holders = tuple(each.last.reviewer for each in held)
    return Standing(last, changes, holders, min(each.last.time for each in held))


def _are_two(held: Sequence[_Held]) -> bool:
    return are_two([each.last for each in held])


def makes_up(standing: Standing, stack: Sequence[Decision]) -> list[Decision]:
    """Return those decisions on a row that make up what is in force: of a change, one a column."""
    last, found = standing.last, dict[str, Decision]()
    for each in stack:
        is_held = not standing.holders or each.reviewer in standing.holders
        column = each.column or ""
        if is_held and each.decision in CHANGES and each.entry <= last.entry and (
            standing.changes.get(column) == (each.value or "")
        ):  # fmt: skip
            found[column] = each
    found.pop(last.column or "", None)
    return [*found.values(), last]
