"""Laws of decisions that need two people, over drawn histories of a few rows and people.

Nothing is in force with fewer people than a contract asks for, one person never counts as two, and
what two people agree on does not depend on who spoke first.
"""

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.kit import findings, verdict
from checks.kit.contract_model import Column, Contract, Policy
from pipelines.run.decided import Decided
from pipelines.store import opinions
from pipelines.store.agreement import Pairs
from pipelines.store.decisions import History
from pipelines.store.opinions import KEEPS, ONE, Decision, Needed
from provenance.rows.column_types import ColumnSpec

BLIND = Needed(2)
SECOND = Needed(1, frozenset({"pii"}))
PEOPLE = ("anna", "ben", "carla", "dave")
ROWS = 3
ACCUSED = ("pii.EMAIL_ADDRESS a", "outliers.joint a")
GIVEN = ("release", "reject", "redact", "correct")
STEP = st.fixed_dictionaries(
    {
        "row": st.integers(0, ROWS - 1),
        "by": st.sampled_from(PEOPLE),
        "word": st.sampled_from([*GIVEN, "undo", "forget"]),
        "column": st.sampled_from("ab"),
        "value": st.sampled_from("12"),
    }
)
STEPS = st.lists(STEP, max_size=12)


def made_of(steps, needed=BLIND, *, accounts=None, accused=ACCUSED[:1]):
    """Return decisions, one entry each."""
    return [
        Decision(
            step["row"], step["word"], *_change(step), None, step["by"], identity(step["row"]),
            None, frozenset(accused), 0, number, f"2026-01-{number:02d}",
            account=(accounts or {}).get(step["by"], ""), needed=needed,
        )
        for number, step in enumerate(steps, 1)
    ]  # fmt: skip


def _change(step):
    return (step["column"], step["value"]) if step["word"] == "correct" else (None, None)


def identity(row):
    return bytes([row]) * 32, 0


def judged(made, *, days=None, reviewers=2, second=(), base=0):
    """Return what stands of decisions that were made on the run itself, so that nothing is news."""
    policy = Policy(decisions_valid=days, reviewers=reviewers, second_person=second)
    contract = Contract("n", "1", "", "", tuple(Column(ColumnSpec(n)) for n in "ab"), policy=policy)
    located = {row: identity(row) for row in range(ROWS)}
    history = History.made_of(made, len(made))
    return history, history.judge(located, contract, findings.empty(), base)


def held(made, row):
    """Return each person's opinion on a row, kept the plain way."""
    own = {}
    for each in made:
        if each.row != row:
            continue
        if each.decision == "forget":
            own = {}
        elif each.decision == "undo":
            del own.get(each.reviewer, [])[-1:]
        else:
            own.setdefault(each.reviewer, []).append(each)
    return {name: _amounts_to(mine) for name, mine in own.items() if mine}


def _amounts_to(mine):
    if mine[-1].decision != "correct":
        return mine[-1].decision
    new = {}
    for each in mine:
        new = {**new, each.column: each.value} if each.decision == "correct" else {}
    return frozenset(new.items())


def stands(result, row):
    item = result.standing.get(row)
    if item is None:
        return None
    return frozenset(item.changes.items()) if item.changes else item.last.decision


@given(STEPS)
def test_two_reviewers_are_in_force_where_exactly_one_thing_is_held_by_two(steps):
    made = made_of(steps)
    history, result = judged(made)
    for row in range(ROWS):
        said = list(held(made, row).values())
        twice = {each for each in said if said.count(each) > 1}
        assert stands(result, row) == (next(iter(twice)) if len(twice) == 1 else None)
        if not said:
            assert identity(row) not in history.stacks
        elif len(twice) != 1:
            assert result.pending[row].state == ("one" if len(said) == 1 else "disagreement")
    assert result.standing.keys().isdisjoint(result.pending)
    assert len(history.stacks) == len(result.standing) + len(result.pending)


def test_two_against_two_disagree():
    step = {"row": 0, "column": "a", "value": "1"}
    words = dict(zip(PEOPLE, ("release", "release", "reject", "reject"), strict=True))
    made = made_of([{**step, "by": name, "word": word} for name, word in words.items()])
    _, result = judged(made)
    assert result.pending[0].state == "disagreement"
    assert not result.standing


@given(STEPS, st.randoms(use_true_random=False))
def test_what_two_people_agree_on_does_not_depend_on_who_spoke_first(steps, chance):
    steps = [step for step in steps if step["word"] != "forget"]  # of everybody's, at one time
    own = {name: [step for step in steps if step["by"] == name] for name in PEOPLE}
    turns = [step["by"] for step in steps]
    chance.shuffle(turns)
    other = [own[name].pop(0) for name in turns]
    _, first = judged(made_of(steps))
    _, second = judged(made_of(other))
    for row in range(ROWS):
        assert stands(first, row) == stands(second, row)


@given(STEPS, st.sampled_from([BLIND, SECOND]))
def test_one_person_or_one_account_never_counts_as_two(steps, needed):
    alone = [{**step, "by": "anna"} for step in steps]
    one_account = dict.fromkeys(PEOPLE, "root")
    for made in (made_of(alone, needed), made_of(steps, needed, accounts=one_account)):
        _, result = judged(made, reviewers=needed.reviewers, second=tuple(needed.second_person))
        words = {item.last.decision for item in result.standing.values()}
        assert not words & set(KEEPS)
        assert needed is SECOND or not words


@given(STEPS)
def test_each_sees_their_own_decisions_only_before_two_have_an_opinion(steps):
    made = made_of(steps)
    history, result = judged(made)
    for row in range(ROWS):
        said = held(made, row)
        for name in (*PEOPLE, "dora", ""):
            shown = history.shown(identity(row), name, BLIND)
            every = [each for each in made if each.row == row]
            if len(said) < 2:
                assert shown == [each for each in every if each.reviewer == name]
            else:
                assert shown == every
            if name not in said and len(said) < 2:
                assert row not in result.pending or not result.pending[row].is_shown_to(name)


def test_a_lone_opinion_teaches_nothing_and_finds_no_key():
    step = {"row": 0, "by": "anna", "word": "reject", "column": "a", "value": "1"}
    [made] = made_of([step])
    history = History.made_of([dataclasses.replace(made, key_id=b"k")], 1)
    assert not history.agreed(BLIND).stacks
    assert not history.by_key(ONE)  # it was made where two are asked for


@given(STEPS)
def test_what_a_second_person_must_approve_stands_with_two_people_only(steps):
    made = made_of(steps, SECOND)
    history, result = judged(made, reviewers=1, second=("pii",))
    for row, item in result.standing.items():
        stack = history.stacks[identity(row)]
        if item.last.decision in KEEPS:
            assert len(set(item.holders)) > 1
            assert {each.reviewer for each in stack} >= set(item.holders)
        else:
            assert item.last.decision == "reject"
    for row, stack in ((row, history.stacks.get(identity(row))) for row in range(ROWS)):
        if stack and stack[-1].decision == "reject":  # a person alone may hold a row back
            assert stands(result, row) == "reject"
        assert bool(stack) == (row in result.standing or row in result.pending)


@given(STEPS)
def test_a_second_person_is_asked_for_by_what_the_contract_names_only(steps):
    made = made_of(steps, SECOND, accused=ACCUSED[1:])
    plain = made_of(steps, ONE, accused=ACCUSED[1:])
    _, result = judged(made, reviewers=1, second=("pii",))
    _, wanted = judged(plain, reviewers=1)
    assert [stands(result, row) for row in range(ROWS)] == [
        stands(wanted, row) for row in range(ROWS)
    ]
    assert not result.pending


@given(STEPS, st.integers(0, ROWS - 1), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE))
def test_an_approval_counts_for_what_was_seen_and_from_somebody_else_only(
    steps, row, first, second
):
    last = {"row": row, "by": first, "word": "release", "column": "a", "value": "1"}
    made = made_of([*steps, last], SECOND)
    entry = len(made)
    approval = dataclasses.replace(
        made[-1], decision="approve", reviewer=second, approves=entry, entry=entry + 1
    )
    _, result = judged([*made, approval], reviewers=1, second=("pii",))
    _, before = judged(made, reviewers=1, second=("pii",))
    if first != second:
        assert stands(result, row) == "release"
        assert {first, second} <= set(result.standing[row].holders)
    else:
        assert stands(result, row) == stands(before, row)
    # an approval of anything but the last decision changes nothing
    stale = dataclasses.replace(approval, approves=entry - 1)
    _, unmoved = judged([*made, stale], reviewers=1, second=("pii",))
    assert stands(unmoved, row) == stands(before, row)


@given(STEPS)
def test_a_stricter_contract_asks_again_about_what_one_person_decided(steps):
    made = [each for each in made_of(steps, ONE) if each.decision not in ("undo", "forget")]
    _, result = judged(made, base=None)
    for row in range(ROWS):
        said = list(held(made, row).values())
        twice = {each for each in said if said.count(each) > 1}
        assert stands(result, row) == (next(iter(twice)) if len(twice) == 1 else None)


@given(STEPS, st.integers(1, 40))
def test_expired_opinions_do_not_count(steps, days):
    made = made_of(steps)  # all of January 2026
    history, result = judged(made, days=days)
    assert not result.standing
    assert not result.pending
    assert len(result.lapsed) == len(history.stacks)
    fresh = [dataclasses.replace(each, time="2999-01-01") for each in made]
    assert judged(fresh, days=days)[1].standing.keys() == judged(made)[1].standing.keys()


@given(STEPS, st.sampled_from([BLIND, SECOND]), st.sets(st.integers(0, ROWS - 1)))
def test_every_row_has_one_fate_whatever_people_say(steps, needed, accused):
    _, result = judged(made_of(steps, needed), reviewers=needed.reviewers,
                       second=tuple(needed.second_person))  # fmt: skip
    found = findings.make(np.array(sorted(accused), np.int64), check="x", rule="x")
    decided = Decided(result.standing)
    held_, refused = decided.quarantined(found), decided.rows("reject")
    assert not set(held_.tolist()) & set(refused.tolist())
    clean = set(range(ROWS)) - set(held_.tolist()) - set(refused.tolist())
    assert len(clean) + len(held_) + len(refused) == ROWS
    assert clean & accused <= set(decided.rows(*KEEPS).tolist())
    assert set(held_.tolist()) == set(verdict.quarantined_rows(found).tolist()) - set(
        result.standing
    )


@given(STEPS)
def test_opinions_are_paired_as_they_were_before_either_was_seen(steps):
    pairs, stacks, wanted = Pairs(), {}, {}
    for made in made_of(steps):
        stack = stacks.setdefault(made.row, [])
        before = held([each for each in made_of(steps) if each.entry < made.entry], made.row)
        pairs.add(stack, made)
        opinions.take(stack, made)
        if made.decision == "forget":
            wanted.pop(made.row, None)
        elif made.decision != "undo" and len(before) == 1 and made.reviewer not in before:
            wanted.setdefault(made.row, tuple(sorted((*before, made.reviewer))))
    every = pairs.agreements()
    counts = {each.names: each.rows for each in every}
    assert counts == {names: [*wanted.values()].count(names) for names in wanted.values()}


@pytest.mark.parametrize("seed", range(2))
def test_many_changes_of_mind_take_no_deep_recursion(seed):
    chance = random.Random(seed)
    steps = [{"row": 0, "by": "anna", "word": chance.choice(GIVEN), "column": "a", "value": "1"}
             for _ in range(1500)]  # fmt: skip
    made = [dataclasses.replace(each, time="2026-01-01") for each in made_of(steps, SECOND)]
    _, result = judged(made[:1] + [each for each in made[1:] if each.decision != "reject"],
                       reviewers=1, second=("pii",))  # fmt: skip
    assert result.pending[0].state == "approval"
