"""Two people for one decision: blind double review, and a second person for pii and poison."""

import csv
import json
import random
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
import review_page
from review_page import accused, commit, lines

from pipelines import config
from pipelines.cli import main
from pipelines.review import approval, grouping, recording
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection, Selector
from pipelines.store import agreement, decisions
from pipelines.store.store import Store
from provenance.base.errors import AssayError

REASON = "a-reason-that-is-seen-at-once"
TWO = {"reviewers": 2}
SECOND = {"second_person": "[pii, poison]"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def run(store, tmp_path):
    """Return what commits a run under a policy; rows 1 and 3 look poisoned, 5 and 6 far off."""

    def committed(policy, rows=None, found=None):
        contract = review_page.contract_in(tmp_path, **policy)
        every = [accused([1, 3], "poison.trigger", column="note"), accused([5, 6])]
        return commit(
            store, contract, tmp_path, rows or lines(9), every if found is None else found
        )

    return committed


@pytest.fixture
def call(store, capsys, monkeypatch):
    """Return what runs `assay review RUN` as an account; returns the exit code and what it said."""

    def review(account, number, *words):
        monkeypatch.setattr(config, "reviewer", lambda: account)
        code = main(["review", str(number), "--store", str(store.folder), *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    return review


@pytest.fixture
def decide(call):
    """Return what records a decision, which must succeed."""

    def made(account, entry, word, *words):
        by = ["--undo", *words] if word == "undo-entry" else ["--decide", word, *words]
        code, told = call(account, entry.seq, *by)
        assert code == 0, told
        return told

    return made


def story(store, capsys, entry, row):
    assert main(["explain", str(entry.seq), str(row), "--store", str(store.folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def fates(store, entry):
    """Return the fate of each row."""
    found = {}
    for table in store.reader(entry).tables("lineage"):
        found |= zip(table["source_row"].to_pylist(), table["fate"].to_pylist(), strict=True)
    return found


def listed(call, account, entry):
    code, told = call(account, entry.seq, "--list", "--json")
    assert code == 0
    return json.loads(told)


def test_another_reviewer_sees_nothing_of_the_first_decision(
    run, call, decide, store, capsys, tmp_path
):
    entry = run(TWO)

    def seen(name):
        """Return all that ben is told, without how many rows have one of two opinions."""
        target = tmp_path / f"{name}.csv"
        call("ben", entry.seq, "--export", str(target))
        told = [listed(call, "ben", entry), call("ben", entry.seq, "--list")[1],
                target.read_text(), story(store, capsys, entry, 1)]  # fmt: skip
        assert told[0]["people"].pop("one") == (0 if name == "before" else 1)
        head, _, rest = told[1].partition("\ngroup ")
        assert REASON not in str(told)
        return told[0], head.partition("\n")[0], rest, *told[2:]

    before = seen("before")
    told = decide("anna", entry, "release", "--row", "1", "--reason", REASON)
    assert "once two people have decided the same" in told
    assert seen("after") == before
    own = story(store, capsys, entry, 1)  # of ben
    assert (own["decisions"], own["review"]) == ([], None)
    config.reviewer = lambda: "anna"
    mine = story(store, capsys, entry, 1)
    assert [each["reason"] for each in mine["decisions"]] == [REASON]
    assert mine["says"].startswith("waits for another opinion: release by anna")
    assert 1 not in [item["row"] for item in listed(call, "anna", entry)["rows"]]


def test_one_of_two_opinions_is_applied_nowhere(run, decide, store, capsys):
    entry = run(TWO)
    decide("anna", entry, "release", "--row", "1")
    decide("anna", entry, "reject", "--row", "5")
    later = run(TWO)
    assert {row: fates(store, later)[row] for row in (1, 3, 5, 6)} == dict.fromkeys(
        (1, 3, 5, 6), "quarantine"
    )
    assert later.facts["decided"]["rows"] == later.facts["decided"]["asked"] == 0
    assert not decisions.applied(store, later)
    main(["release", str(entry.seq), "--store", str(store.folder)])
    assert store.ledger.head().facts["rows"] == entry.facts["rows"]
    capsys.readouterr()


def test_what_two_people_decide_is_in_force_in_every_later_run(run, decide, call, store, capsys):
    entry = run(TWO)
    decide("anna", entry, "release", "--rule", "poison.trigger")
    decide("ben", entry, "release", "--rule", "poison.trigger")
    decide("anna", entry, "correct", "--row", "5", "--column", "age", "--value", "30")
    decide("ben", entry, "correct", "--row", "5", "--column", "age", "--value", "30")
    told = listed(call, "carla", entry)
    assert (told["decided"], told["waiting"]) == (3, 1)
    later = run(TWO)
    assert [fates(store, later)[row] for row in (1, 3, 5, 6)] == ["clean"] * 3 + ["quarantine"]
    assert {row: item.entry for row, item in decisions.applied(store, later).items()} == {
        1: entry.seq + 2, 3: entry.seq + 2, 5: entry.seq + 4}  # fmt: skip
    [clean] = [row for table in store.reader(later).tables("clean") for row in table.to_pylist()
               if row["key"] == "k0005"]  # fmt: skip
    assert clean["age"] == 30
    code = main(["diff", str(entry.seq), str(later.seq), "--store", str(store.folder)])
    assert "decision" in capsys.readouterr().out
    assert code in (0, 1)


def test_a_group_and_a_file_count_as_single_decisions_do(run, decide, call, store, tmp_path):
    entry = run(TWO)
    [group] = [each["group"] for each in listed(call, "anna", entry)["groups"]
               if each["reasons"][0]["rule"] == "outliers.joint"]  # fmt: skip
    decide("anna", entry, "reject", "--group", group)
    code, told = call("anna", entry.seq, "--decide", "reject", "--group", group)
    assert (code, "no group" in told) == (2, True)  # it does not wait for anna any more
    target = tmp_path / "of_ben.csv"
    call("ben", entry.seq, "--export", str(target))
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["row"] for row in rows} == {"1", "3", "5", "6"}
    for row in rows:
        row["decision"] = "reject" if row["row"] in "56" else ""
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert call("ben", entry.seq, "--apply", str(target))[0] == 0
    assert {row: item.last.decision for row, item in ReviewedRun.of(store, entry).standing.items()
            } == {5: "reject", 6: "reject"}  # fmt: skip
    assert call("ben", entry.seq, "--decide", "reject", "--key", "key=k0006")[0] == 0


def test_a_disagreement_is_shown_to_all_and_settled_by_a_third_person(
    run, decide, call, store, capsys
):
    entry = run(TWO)
    decide("anna", entry, "release", "--row", "1", "--reason", "known")
    decide("ben", entry, "reject", "--row", "1", "--reason", "planted")
    for name in ("anna", "ben", "carla"):
        told = listed(call, name, entry)
        [row] = [item for item in told["rows"] if item["row"] == 1]
        assert row["review"]["state"] == "disagreement"
        assert "release by anna in entry" in row["says"]
        assert "reject by ben in entry" in row["says"]
        assert told["people"]["disagreement"] == 1
    assert "1 disagreement\n" in call("carla", entry.seq, "--list")[1]
    assert story(store, capsys, entry, 1)["review"]["state"] == "disagreement"
    later = run(TWO)
    assert fates(store, later)[1] == "quarantine"
    decide("carla", entry, "reject", "--row", "1")
    assert fates(store, run(TWO))[1] == "rejected"
    code, told = call("ben", entry.seq, "--decide", "release", "--row", "1")
    assert (code, "decided otherwise" in told) == (2, True)


def test_what_people_disagree_about_is_held_though_nothing_accuses_it(run, decide, store):
    entry = run(TWO)
    decide("anna", entry, "release", "--row", "1")
    decide("ben", entry, "reject", "--row", "1")
    later = run(TWO, found=[])
    assert fates(store, later)[1] == "quarantine"
    [said] = [item["evidence"] for item in ReviewedRun.of(store, later).rowed.to_pylist()]
    assert "reviewers disagree" in said


def test_each_takes_back_their_own_opinion_only(run, decide, call, store):
    entry = run(TWO)
    first = entry.seq + 1
    decide("anna", entry, "release", "--row", "1")
    for words in (["--decide", "undo", "--row", "1"], ["--forget", "--row", "1"]):
        code, told = call("ben", entry.seq, *words)
        assert (code, "has no decision" in told) == (2, True)  # as for a row nobody decided about
        assert told.replace("row 3", "row 1") == told
    code, told = call("ben", entry.seq, "--undo", str(first))
    assert (code, "their own decisions only" in told) == (2, True)
    decide("ben", entry, "release", "--row", "1")
    assert set(ReviewedRun.of(store, entry).standing) == {1}
    decide("anna", entry, "undo-entry", str(first))  # though ben has decided since
    assert not ReviewedRun.of(store, entry).standing
    [mine] = ReviewedRun.of(store, entry).pending[1].opinions
    assert mine.reviewer == "ben"
    decide("ben", entry, "undo", "--row", "1")
    assert not ReviewedRun.of(store, entry).pending


def test_what_one_person_decided_before_is_asked_again_by_a_stricter_contract(run, decide, store):
    entry = run({})
    decide("anna", entry, "release", "--row", "1")
    decide("anna", entry, "reject", "--row", "5")
    assert [fates(store, run({}))[row] for row in (1, 5)] == ["clean", "rejected"]
    strict = run(TWO)
    assert [fates(store, strict)[row] for row in (1, 5)] == ["quarantine", "quarantine"]
    assert strict.facts["decided"]["asked"] == 2
    unaccused = run(TWO, found=[])
    assert [fates(store, unaccused)[row] for row in (1, 5)] == ["clean", "quarantine"]
    told = ReviewedRun.of(store, strict)
    evidence = " ".join(item["evidence"] for item in told.rowed.to_pylist())
    assert "the contract now asks for two" in evidence
    assert not {"anna", "reject"} & set(evidence.split())
    decide("ben", strict, "reject", "--row", "5")
    assert fates(store, run(TWO))[5] == "rejected"
    # what was asked of two stays so for a contract that asks for one
    decide("ben", strict, "release", "--row", "3")
    assert fates(store, run({}))[3] == "quarantine"


# a second person


def test_a_release_of_poison_waits_for_a_second_person(run, decide, call, store, capsys):
    entry = run(SECOND)
    told = decide("anna", entry, "release", "--row", "1", "--reason", "known")
    assert "1 row waits for the approval of a second person\n" in told
    assert "approval" not in decide("anna", entry, "release", "--row", "5")
    assert [fates(store, run(SECOND))[row] for row in (1, 5)] == ["quarantine", "clean"]
    assert 1 not in [item["row"] for item in listed(call, "anna", entry)["rows"]]
    [row] = [item for item in listed(call, "ben", entry)["rows"] if item["row"] == 1]
    assert (
        row["says"]
        == f"waits for a second person: release by anna in entry {entry.seq + 1} (known)"
    )
    assert "1 row waits for the approval of a second person" in call("ben", entry.seq, "--list")[1]
    code, told = call("anna", entry.seq, "--decide", "approve", "--row", "1")
    assert (code, "decided by you" in told) == (2, True)
    decide("ben", entry, "approve", "--row", "1", "--reason", "seen it")
    assert fates(store, run(SECOND))[1] == "clean"
    words = [each["decision"] for each in story(store, capsys, entry, 1)["decisions"]]
    assert words == ["release", "approve"]
    last = decisions.last_review(store.ledger.entries(), "people")
    [line] = pq.read_table(store.review_file(last)).to_pylist()
    assert (line["decision"], line["approves"]) == ("approve", entry.seq + 1)


def test_a_rejection_and_what_nobody_named_need_no_second_person(run, decide, store):
    entry = run(SECOND)
    decide("anna", entry, "reject", "--row", "1")
    decide("anna", entry, "relabel", "--row", "5", "--value", "good")
    assert [fates(store, run(SECOND))[row] for row in (1, 5)] == ["rejected", "clean"]


@pytest.mark.parametrize("word", ["release", "redact", "correct"])
def test_the_same_decision_by_another_person_approves(run, decide, store, word):
    entry = run(SECOND, found=[accused([1], "pii.EMAIL_ADDRESS", column="note")])
    more = ["--column", "note", "--value", "gone"] if word == "correct" else []
    decide("anna", entry, word, "--row", "1", *more)
    assert not ReviewedRun.of(store, entry).standing
    decide("ben", entry, word, "--row", "1", *more)
    assert ReviewedRun.of(store, entry).standing[1].holders == ("anna", "ben")


def test_an_approval_takes_over_all_cells_that_were_corrected(run, decide, store):
    entry = run(SECOND)
    decide("anna", entry, "correct", "--row", "1", "--column", "note", "--value", "new")
    decide("anna", entry, "correct", "--row", "1", "--column", "age", "--value", "44")
    decide("ben", entry, "approve", "--row", "1")
    later = run(SECOND)
    [row] = [row for table in store.reader(later).tables("clean") for row in table.to_pylist()
             if row["key"] == "k0001"]  # fmt: skip
    assert (row["note"], row["age"]) == ("new", 44)
    decide("ben", later, "undo", "--row", "1")
    assert fates(store, run(SECOND))[1] == "quarantine"


def test_a_group_is_approved_at_once_and_only_what_waits(run, decide, call, store):
    entry = run(SECOND, found=[accused([1, 3, 4], "poison.trigger", column="note")])
    decide("anna", entry, "release", "--row", "1")
    decide("anna", entry, "release", "--row", "3")
    [group] = listed(call, "ben", entry)["groups"]
    decide("ben", entry, "approve", "--group", group["group"])
    assert set(ReviewedRun.of(store, entry).standing) == {1, 3}
    code, told = call("ben", entry.seq, "--decide", "approve", "--row", "4")
    assert (code, "no decision that waits" in told) == (2, True)
    code, told = call("ben", entry.seq, "--decide", "reject", "--row", "4")
    assert code == 0


def test_what_was_rejected_stays_so_while_its_release_waits(run, decide, call, store):
    entry = run(SECOND)
    decide("anna", entry, "reject", "--row", "1")
    decide("ben", entry, "release", "--row", "1", "--overrule", "--reason", "known")
    assert fates(store, run(SECOND))[1] == "rejected"
    decide("carla", entry, "approve", "--row", "1")
    assert fates(store, run(SECOND))[1] == "clean"
    code, told = call("dora", entry.seq, "--decide", "reject", "--row", "1")
    assert (code, "decided otherwise" in told) == (2, True)


def test_who_refuses_to_approve_overrules_with_a_reason(run, decide, call, store):
    entry = run(SECOND)
    decide("anna", entry, "release", "--row", "1")
    code, told = call("ben", entry.seq, "--decide", "reject", "--row", "1")
    assert (code, "anna decided otherwise" in told) == (2, True)
    decide("ben", entry, "reject", "--row", "1", "--overrule", "--reason", "planted")
    assert fates(store, run(SECOND))[1] == "rejected"


@pytest.mark.parametrize("between", ["reject", "redact"])
def test_who_may_not_approve_is_no_second_person_in_two_steps(run, decide, store, between):
    entry = run(SECOND)
    decide("anna", entry, "release", "--row", "1")

    def step(word, who):
        ask = recording.Ask(Selection(row="1"), word, reason="known")
        now = ReviewedRun.of(store, entry)
        end = now.history.end
        return recording.attempt(now, [ask], who, Selector(now, who.reviewer), end=end,
                                 overrule=True)  # fmt: skip

    ben = approval.Who("ben", approves=False)
    with pytest.raises(AssayError, match="takes the role of an approver"):
        step("release", ben)
    step(between, ben)
    assert step("release", ben).wait == 1
    standing = ReviewedRun.of(store, entry).standing.get(1)
    assert standing is None if between == "redact" else standing.last.decision == "reject"
    with pytest.raises(AssayError, match="takes the role of an approver"):
        step("release", approval.Who("dave", approves=False))
    assert step("release", approval.Who("carla")).wait == 0
    assert ReviewedRun.of(store, entry).standing[1].holders == ("ben", "carla")


def test_who_did_not_see_the_first_decision_is_no_second_person(run, decide, store):
    entry = run(SECOND)
    decide("anna", entry, "release", "--row", "1")
    decide("ben", entry, "reject", "--row", "1", "--overrule", "--reason", "planted")
    told = decide("carla", entry, "release", "--row", "1", "--overrule", "--reason", "known")
    assert "1 row waits for the approval of a second person\n" in told
    assert fates(store, run(SECOND))[1] == "rejected"


def test_an_approval_is_refused_if_something_else_waits_meanwhile(run, decide, store):
    entry = run(SECOND)
    decide("anna", entry, "release", "--row", "1")
    shown = ReviewedRun.of(store, entry)
    assert shown.pending
    decide("anna", entry, "redact", "--row", "1")
    asks = [recording.Ask(Selection(row="1"), "approve")]
    with pytest.raises(AssayError, match="another decision may wait now"):
        recording.record(shown, asks, "ben")
    assert not ReviewedRun.of(store, entry).standing
    recording.record(ReviewedRun.of(store, entry), asks, "ben")
    assert ReviewedRun.of(store, entry).standing[1].last.decision == "redact"


def test_all_that_an_approval_would_bring_into_force_is_listed(run, decide, call, store, capsys):
    entry = run(SECOND)
    decide("ben", entry, "correct", "--row", "1", "--column", "age", "--value", "41")
    by = ["--overrule", "--reason", "known"]
    decide("anna", entry, "correct", "--row", "1", "--column", "note", "--value", "new", *by)
    decide("anna", entry, "correct", "--row", "1", "--column", "age", "--value", "44", *by)
    [row] = [item for item in listed(call, "ben", entry)["rows"] if item["row"] == 1]
    assert [each["column"] for each in row["review"]["opinions"]] == ["note", "age"]
    assert "correct note by anna" in row["says"]
    assert "correct note by anna" in story(store, capsys, entry, 1)["says"]
    assert "waits" not in decide("ben", entry, "approve", "--row", "1")
    assert ReviewedRun.of(store, entry).standing[1].changes == {"note": "new", "age": "44"}


@pytest.mark.parametrize("policy", [TWO, SECOND])
def test_one_account_is_never_two_people_whatever_names_it_gives(run, decide, call, store, policy):
    entry = run(policy)
    decide("root", entry, "release", "--row", "1", "--as", "anna")
    decide("root", entry, "release", "--row", "1", "--as", "ben")
    assert store.ledger.head().facts["account"] == "root"
    assert not ReviewedRun.of(store, entry).standing
    if policy is SECOND:
        code, told = call("root", entry.seq, "--decide", "approve", "--row", "1", "--as", "carla")
        assert (code, "from your account" in told) == (2, True)
    decide("carla", entry, "release", "--row", "1")
    assert set(ReviewedRun.of(store, entry).standing) == {1}


def test_a_contract_that_names_a_second_person_later_asks_for_one(run, decide, store):
    entry = run({})
    decide("anna", entry, "redact", "--row", "1")
    assert fates(store, run({}))[1] == "clean"
    assert fates(store, run(SECOND))[1] == "quarantine"
    assert fates(store, run(SECOND, found=[]))[1] == "quarantine"  # it may still hold the data


def test_nobody_approves_where_two_decide_blind(run, decide, call):
    entry = run({**TWO, **SECOND})
    decide("anna", entry, "release", "--row", "1")
    code, told = call("ben", entry.seq, "--decide", "approve", "--row", "1")
    assert (code, "nobody approves" in told) == (2, True)


# how far two people agree


def test_kappa_is_in_the_list_and_in_the_run_page_facts(run, decide, call, store):
    entry = run(TWO)
    said = {1: ("release", "release"), 3: ("reject", "reject"), 5: ("release", "reject"),
            6: ("reject", "reject")}  # fmt: skip
    for row, (one, other) in said.items():
        decide("anna", entry, one, "--row", str(row))
        decide("ben", entry, other, "--row", str(row))
    [told] = listed(call, "carla", entry)["people"]["agreement"]
    assert (told["people"], told["rows"], told["same"]) == (["anna", "ben"], 4, 3)
    assert told["kappa"] == 0.5
    assert told["says"] in call("carla", entry.seq, "--list")[1]
    decide("anna", entry, "reject", "--row", "5")  # a change of mind is no agreement
    assert listed(call, "carla", entry)["people"]["agreement"] == [told]
    # one opinion of a reviewer alone teaches nothing
    assert [group.likely for group in grouping.groups(ReviewedRun.of(store, entry))] == []


def test_kappa_equals_that_of_scikit_learn():
    from sklearn.metrics import cohen_kappa_score

    chance = random.Random(5)
    for _ in range(40):
        kinds = [(word,) for word in "abcd"[: chance.randint(2, 4)]]
        first = [chance.choice(kinds) for _ in range(chance.randint(5, 60))]
        second = [each if chance.random() < 0.6 else chance.choice(kinds) for each in first]
        counts = Counter(zip(first, second, strict=True))
        made = agreement.agreement(("a", "b"), counts)
        if len(set(first) | set(second)) == 1:
            assert made.kappa is None
            continue
        wanted = cohen_kappa_score([each[0] for each in first], [each[0] for each in second])
        assert made.kappa == pytest.approx(wanted)
        assert made.low is None or made.low <= made.kappa <= made.high


def test_the_variance_is_that_of_the_delta_method():
    """The variance of the source is that of kappa as a smooth function of multinomial shares."""
    table = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    counts = {((str(i),), (str(j),)): int(table[i, j]) for i in range(3) for j in range(3)}
    made = agreement.agreement(("a", "b"), counts)

    def kappa(cells):
        shares = cells.reshape(3, 3)
        by_chance = shares.sum(axis=1) @ shares.sum(axis=0)
        return (np.trace(shares) - by_chance) / (1 - by_chance)

    shares, step = table.ravel() / 100, 1e-6
    slopes = np.array([(kappa(shares + each) - kappa(shares - each)) / (2 * step)
                       for each in step * np.eye(9)])  # fmt: skip
    spread = np.diag(shares) - np.outer(shares, shares)
    wanted = 1.959964 * np.sqrt(slopes @ spread @ slopes / 100)
    assert made.kappa == pytest.approx(kappa(shares))
    assert (made.high - made.low) / 2 == pytest.approx(wanted, rel=1e-6)


def test_kappa_is_not_defined_where_both_said_one_and_the_same():
    made = agreement.agreement(("a", "b"), {(("release",), ("release",)): 7})
    assert (made.kappa, made.low) == (None, None)
    assert "not defined" in made.says()
    always = agreement.agreement(("a", "b"), {(("x",), ("x",)): 3, (("y",), ("y",)): 2})
    assert (always.kappa, always.low) == (1.0, None)
    assert "without an interval" in always.says()


# what a contract may say


@pytest.mark.parametrize(
    ("policy", "code", "says"),
    [
        ({"reviewers": 0}, "C005", "reviewers must be at least 1"),
        ({"reviewers": 3}, "C005", "reviewers must be at most 2"),
        ({"reviewers": "two"}, "C005", "reviewers"),
        ({"reviewers": "true"}, "C005", "reviewers"),
        ({"reviewer": 2}, "C004", "reviewer"),
        ({"second_person": "[]"}, "C005", "second_person is empty"),
        ({"second_person": "[pi]"}, "C005", "pi"),
        ({"second_person": "pii"}, "C005", "second_person"),
        ({"second_persons": "[pii]"}, "C004", "second_persons"),
    ],
)
def test_a_wrong_policy_is_refused(run, policy, code, says):
    with pytest.raises(AssayError, match=says) as raised:
        run(policy)
    assert raised.value.code == f"ASSAY-{code}"
