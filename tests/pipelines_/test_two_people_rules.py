"""What decisions on one row amount to where some of them take two people."""

import dataclasses

import pytest

from checks.kit import findings
from checks.kit.contract_model import Column, Contract, Policy
from pipelines.learning import corrections
from pipelines.run import decided
from pipelines.store import opinions
from pipelines.store.decisions import History
from pipelines.store.opinions import ONE, Decision, Needed
from pipelines.store.weighing import never, weigh
from provenance.rows.column_types import ColumnSpec

BLIND = Needed(2)
SECOND = Needed(1, frozenset({"pii"}))
AT = (b"r" * 32, 0)
PII = ("pii.EMAIL_ADDRESS a",)


def decisions_of(*said, needed=SECOND, accused=PII):
    """Return decisions, one entry each, from words such as `anna release` or `anna c1=x`."""
    made = []
    for number, text in enumerate(said, 1):
        by, what = text.split()
        column, _, value = what.partition("=")
        word, column, value = ("correct", column, value) if value else (what, None, None)
        made.append(
            Decision(0, word, column, value, None, by, AT, None, frozenset(accused), 0, number,
                     f"2026-01-{number:02d}", needed=needed)
        )  # fmt: skip
    return made


def with_(made, **more):
    return dataclasses.replace(made, **more)


def weighed(made, needed=SECOND, lapse=never):
    return weigh(stack_of(made), needed, lapse)


def stack_of(made):
    stack = []
    for each in made:
        opinions.take(stack, each)
    return stack


def stands(made, needed=SECOND, lapse=never):
    """Return the decision in force with its changes and holders, None if there is none."""
    item = weighed(made, needed, lapse).standing
    return item and (item.last.decision, dict(item.changes), item.holders)


# who overrules


@pytest.mark.parametrize("between", ["reject", "redact", "c1=x"])
def test_an_opinion_that_somebody_overruled_is_no_second_person(between):
    made = decisions_of("anna release", f"ben {between}", "ben release")
    before = ("reject", {}, ()) if between == "reject" else None
    assert stands(made) == before
    assert [each.reviewer for each in weighed(made).opinions] == ["ben"]
    assert stands(decisions_of("anna release", f"ben {between}", "carl release")) == before
    more = decisions_of("anna release", f"ben {between}", "ben release", "carl release")
    assert stands(more) == ("release", {}, ("ben", "carl"))


def test_who_repeats_several_changes_one_by_one_approves_them():
    made = decisions_of("anna c1=x", "anna c2=y", "ben c1=x", "ben c2=y")
    assert stands(made[:3]) is None
    assert stands(made) == ("correct", {"c1": "x", "c2": "y"}, ("anna", "ben"))


# changes that wait


def test_a_lone_blind_change_is_not_brought_into_force_by_a_looser_contract():
    [first] = decisions_of("anna c1=hidden", needed=BLIND)
    second = decisions_of("anna c1=hidden", "ben c2=y", needed=ONE)[1]
    assert stands([first, second], ONE) == ("correct", {"c2": "y"}, ())


def test_a_change_that_waits_is_not_brought_into_force_by_one_that_need_not():
    first, second = decisions_of("anna c1=x", "ben c2=y")
    second = with_(second, accused=frozenset({"outliers.joint a"}))
    assert stands([first, second]) == ("correct", {"c2": "y"}, ())


def test_changes_that_are_in_force_stay_under_a_later_one():
    before, waits, second, last = decisions_of("anna c0=w", "anna c1=x", "ben c1=x", "carl c2=y")
    plain = frozenset({"outliers.joint a"})
    before, last = with_(before, accused=plain), with_(last, accused=plain)
    assert stands([before, waits, last])[1] == {"c0": "w", "c2": "y"}
    assert stands([waits, second, last])[1] == {"c1": "x", "c2": "y"}
    blind = [with_(each, needed=BLIND) for each in (waits, second)]
    assert stands([*blind, with_(last, needed=ONE)], ONE)[1] == {"c1": "x", "c2": "y"}


# what lapses


def forbids(*values):
    return lambda _, changes: "not allowed" if {*changes.values()} & {*values} else ""


def test_a_waiting_decision_that_lapses_leaves_what_was_in_force():
    made = decisions_of("xi reject", "anna c=5")
    assert stands(made, lapse=forbids("5")) == ("reject", {}, ())
    result = weighed(made, lapse=forbids("5"))
    assert (result.state, result.lapsed) == ("", "not allowed")
    two = decisions_of("anna release", "ben release", "carl c=5")
    assert stands(two, lapse=forbids("5")) == ("release", {}, ("anna", "ben"))


def test_what_two_people_put_in_force_replaced_what_was_before_for_good():
    made = decisions_of("xi reject", "anna c=5", "ben c=5")
    result = weighed(made, lapse=forbids("5"))
    assert (result.standing, result.state, result.lapsed) == (None, "", "not allowed")


def test_nothing_waits_for_approval_below_a_decision_that_lapsed():
    made = decisions_of("anna release", "ben c=5")
    result = weighed(made, lapse=forbids("5"))
    assert (result.standing, result.state, result.lapsed) == (None, "", "not allowed")


# approvals


def approving(made, by):
    last = made[-1]
    more = {"decision": "approve", "column": None, "value": None, "reviewer": by}
    return with_(last, **more, approves=last.entry, entry=last.entry + 1)


def test_all_changes_that_an_approval_would_repeat_are_told():
    made = decisions_of("anna c1=x", "anna c2=z", "anna c2=y")
    told = [(each.column, each.value) for each in weighed(made).opinions]
    assert told == [("c1", "x"), ("c2", "y")]
    assert stands([*made, approving(made, "ben")])[1] == dict(told)


def test_an_approval_ends_the_earlier_changes_of_who_approves():
    made = decisions_of("ben c3=z", "anna c1=x")
    stack = [*made, approving(made, "ben")]
    assert stands(stack) == ("correct", {"c1": "x"}, ("anna", "ben"))
    later = with_(decisions_of("ben c4=w")[0], entry=9)
    assert [each.column for each in weighed([*stack, later]).opinions] == ["c1", "c4"]


# names


def test_case_makes_nobody_a_second_person():
    made = decisions_of("Ben release", "root release")
    made = [made[0], with_(made[1], account="ben")]
    assert stands(made) is None
    assert not opinions.are_two(decisions_of("Ben release", "ben release"))
    assert stands(decisions_of("Ben release", "ben release", needed=BLIND), BLIND) is None


# who sees and learns what


def judged(made, *, reviewers=2, days=None, second=()):
    """Return the history of decisions, and what stands of them on their own run."""
    policy = Policy(decisions_valid=days, reviewers=reviewers, second_person=second)
    contract = Contract("n", "1", "", "", (Column(ColumnSpec("c1")),), policy=policy)
    history = History.made_of(made, len(made))
    return history, history.judge({0: AT}, contract, findings.empty(), 0)


def seen(history, name):
    return [each.reviewer for each in history.shown(AT, name, BLIND)]


def test_a_lapsed_opinion_makes_nobody_see_one_that_is_alone():
    first, second = decisions_of("anna release", "ben reject", needed=BLIND)
    history, result = judged([first, with_(second, time="2999-01-01")], days=30)
    assert result.pending[0].state == "one"
    assert [seen(history, name) for name in ("anna", "ben", "carl")] == [["anna"], ["ben"], []]
    history, _ = judged([first, second])
    assert seen(history, "carl") == ["anna", "ben"]


def test_who_decides_alone_does_not_see_what_another_withdrew():
    made = decisions_of("anna release", "anna undo", "ben release", needed=BLIND)
    history, _ = judged(made)
    assert [seen(history, name) for name in ("anna", "ben", "carl")] == [["anna"] * 2, ["ben"], []]


@pytest.mark.parametrize("word", ["release", "reject", "c1=x"])
def test_a_lapsed_opinion_that_was_never_in_force_is_told_to_nobody(word):
    _, result = judged(decisions_of(f"anna {word}", needed=BLIND), days=30)
    assert set(result.lapsed) == {0}
    assert not len(decided._lapsed(result))
    two = decisions_of(f"anna {word}", f"ben {word}", needed=BLIND)
    assert len(decided._lapsed(judged(two, days=30)[1])) == 1


def test_what_one_person_decided_before_lapses_without_telling_what_it_was():
    told = [
        decided._lapsed(judged(decisions_of(f"anna {word}", needed=ONE), days=30)[1]).to_pylist()
        for word in ("release", "reject", "c1=x")
    ]
    assert told[0] == told[1] == told[2] != []
    assert "anna" not in str(told)


@pytest.mark.parametrize("needed", [BLIND, SECOND])
def test_a_label_that_two_agreed_on_is_learnt_though_they_changed_more_since(needed):
    said = ("anna y=b", "anna c=5", "ben y=b", "ben c=5")
    made = [
        with_(each, decision="relabel") if each.column == "y" else each
        for each in decisions_of(*said, needed=needed)
    ]
    history = History.made_of(made, 4)
    [stack] = history.agreed(needed).stacks.values()
    assert [(each.column, each.value) for each in stack] == [("y", "b"), ("c", "5")]
    assert corrections._last_on(stack, "y").value == "b"


def test_a_label_of_one_opinion_is_not_learnt_from_under_a_later_change():
    first = decisions_of("anna y=b", needed=BLIND)
    later = with_(decisions_of("ben c=5", needed=ONE)[0], entry=2)
    history = History.made_of([*first, later], 2)
    [stack] = history.agreed(ONE).stacks.values()
    assert [each.column for each in stack] == ["c"]
