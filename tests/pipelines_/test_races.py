"""Several processes decide about one row at the same moment: one is recorded, the others are told.

What is looked at is the ledger: whatever a process was told, no two decisions of one round stand.
"""

import collections

import pytest
import racing_reviewers
import review_page
from racing_reviewers import Race
from review_page import accused, commit, lines

from pipelines.review import recording
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.store.store import Store

ROUNDS = [15, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def begun(store, folder, rows):
    """Commit a run whose rows are all accused."""
    contract = review_page.contract_in(folder)
    return commit(store, contract, folder, lines(rows), [accused(list(range(rows)))])


@pytest.mark.parametrize("rounds", ROUNDS)
def test_of_two_shells_and_a_page_that_contradict_each_other_one_is_recorded(
    store, tmp_path, rounds
):
    entry = begun(store, tmp_path, rounds)
    kinds = (racing_reviewers.shell, racing_reviewers.shell, racing_reviewers.page)
    with Race(store.folder, entry.seq, *kinds) as race:
        told = [
            race.round(("decide", row, "release", "anna"), ("decide", row, "reject", "bob"),
                       ("decide", row, "redact"))
            for row in range(rounds)
        ]  # fmt: skip
    every = ReviewedRun.of(store, entry).history.every.values()
    assert sorted(len(made) for made in every) == [1] * rounds
    assert {made[0].entry for made in every} == {
        n for answers in told for word, n in answers if word == "recorded"
    }
    words = collections.Counter(word for answers in told for word, _ in answers)
    assert set(words) <= {"recorded", "conflict", "ASSAY-C014"}
    assert words["recorded"] == rounds
    said = [what for answers in told for word, what in answers if word == "ASSAY-C014"]
    assert all("decided otherwise about row" in what for what in said)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_an_entry_is_withdrawn_once(store, tmp_path, rounds):
    """Twice would take back the decision before it too, which nobody withdrew."""
    entry = begun(store, tmp_path, rounds)
    run = ReviewedRun.of(store, entry)
    recording.record(run, [Ask(Selection(row=str(row)), "release") for row in range(rounds)], "ann")
    with Race(store.folder, entry.seq, racing_reviewers.shell, racing_reviewers.shell) as race:
        for row in range(rounds):
            ask = Ask(Selection(row=str(row)), "reject")
            made = recording.record(ReviewedRun.of(store, entry), [ask], "ann").entry
            told = race.round(("undo", made.seq, "ann"), ("undo", made.seq, "ann"))
            assert sorted(word for word, _ in told) == ["ASSAY-C014", "recorded"]
    standing = ReviewedRun.of(store, entry).standing
    assert {row: each.last.decision for row, each in standing.items()} == dict.fromkeys(
        range(rounds), "release"
    )
