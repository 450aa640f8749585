"""What reviews teach lasts as long as the decisions, and is read once by a run."""

import functools

import held_rows
import pytest
from held_rows import CONTRACT, accused, decide, in_force_now, with_policy

from pipelines.learning import in_force
from pipelines.review import lessons, recording
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.run import learnt, reading
from pipelines.store import decisions
from pipelines.store.decisions import History
from provenance.rows.snapshot import Snapshot


@pytest.fixture
def contract(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(CONTRACT)
    return path


@pytest.fixture
def night(contract):
    """Return what commits a run whose rows are held with scores; returns it for review."""
    return functools.partial(held_rows.commit, contract)


@pytest.fixture
def later(monkeypatch):
    """Return what moves the clock of decisions by some days."""

    def move(days):
        time = decisions._moved(decisions.now(), days)
        for module in (decisions, in_force, recording):
            monkeypatch.setattr(module, "now", lambda: time)

    return move


def source_of(run):
    folder = run.store.folder.parent
    reading.read_sources(str(folder / "c.yaml"), [str(folder / "a.csv")], [], str(folder / "read"))
    return Snapshot.load(folder / "read" / "source" / "snapshot.json")


def test_nothing_that_was_learnt_outlives_its_decision(night, contract, later):
    with_policy(contract, "{decisions_valid: 30d}")
    run = night()
    decide(run, "release", range(15))
    decide(run, "relabel", [20], value="y")
    snapshot = source_of(run)
    corrected = learnt.corrections(run.store, snapshot, run.contract)
    history = History.of(run.store, "sizes")
    before = learnt.from_reviews(run.store, history, run.contract, accused(), corrected)
    assert (corrected, len(before.teaching.cuts)) == ({20: "y"}, 1)
    assert before.lessons[0]["reviewed"] == 16
    later(31)
    corrected = learnt.corrections(run.store, snapshot, run.contract)
    after = learnt.from_reviews(run.store, history, run.contract, accused(), corrected)
    assert (after.facts(), lessons.of(ReviewedRun.of(run.store, run.entry))) == ({}, {})


@pytest.mark.parametrize("policy", ["reviewers: 2", "second_person: [outliers]"])
def test_of_two_opinions_both_must_be_valid(night, contract, later, policy):
    with_policy(contract, f"{{decisions_valid: 30d, {policy}}}")
    run = night()
    decide(run, "release", [0])
    later(20)
    decide(run, "release", [0], "ben")
    assert len(in_force_now(run).stacks) == 1
    later(11)
    assert in_force_now(run).stacks == {}
    decide(run, "release", [0])
    assert len(in_force_now(run).stacks) == 1
