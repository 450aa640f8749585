"""What reviews teach lasts as long as the decisions, and is read once by a run."""

import dataclasses
import functools
import json

import held_rows
import pytest
from held_rows import (
    CONTRACT,
    accused,
    decide,
    in_force_now,
    lessons_for,
    source_of,
    with_policy,
)

import assay
from pipelines.review import lessons, recording
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.run import examination, reuse
from pipelines.run.learnt import Reviews
from pipelines.store import decisions
from pipelines.store.decisions import History


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
        for module in (decisions, recording):
            monkeypatch.setattr(module, "now", lambda: time)

    return move


def test_nothing_that_was_learnt_outlives_its_decision(night, contract, later):
    with_policy(contract, "{decisions_valid: 30d}")
    run = night()
    decide(run, "release", range(15))
    decide(run, "relabel", [20], value="y")
    snapshot = source_of(run)
    corrected = Reviews.of(run.store, run.contract).corrections(snapshot, run.contract)
    before = lessons_for(run, accused(), corrected)
    assert (corrected.labels, len(before.teaching.cuts)) == ({20: "y"}, 1)
    assert before.lessons[0]["reviewed"] == 16
    later(31)
    corrected = Reviews.of(run.store, run.contract).corrections(snapshot, run.contract)
    after = lessons_for(run, accused(), corrected)
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


def test_a_run_reads_reviews_once(night, tmp_path, monkeypatch):
    """What is decided while a run examines the source is neither learnt nor recorded as read."""
    run = night()
    decide(run, "relabel", [2], value="y")
    examine = examination.run_checks

    def overtaken(*given):
        decide(run, "relabel", [3], value="y")
        return examine(*given)

    monkeypatch.setattr(examination, "run_checks", overtaken)
    made = assay.run(tmp_path / "a.csv", tmp_path / "c.yaml", store=run.store.folder)
    facts = made.entry.facts
    assert facts["learnt"]["corrected_labels"] == 1
    assert facts["learnt"]["upto"] == facts["decided"]["upto"] == run.entry.seq + 1
    upto = History.of(run.store, "sizes").upto
    assert upto == run.entry.seq + 2
    assert not reuse._has_learnt_all(run.store, made.entry, run.contract, upto)
    assert not reuse._has_all_decisions(run.store, made.entry, upto)


def has_learnt_all(run, **facts):
    """Return whether the gate would take the run for up to date, had it learnt this."""
    body = json.dumps({**run.entry.facts, **facts}).encode()
    checked = dataclasses.replace(run.entry, body=body)
    upto = History.of(run.store, "sizes").upto
    return reuse._has_learnt_all(run.store, checked, run.contract, upto)


def test_the_gate_reuses_no_pass_from_before_a_lesson(night):
    run = night()
    assert has_learnt_all(run)
    decide(run, "release", range(15))
    assert not has_learnt_all(run)
    facts = lessons_for(run, accused()).facts()
    assert has_learnt_all(run, **facts)
    decide(run, "reject", range(5))
    assert not has_learnt_all(run, **facts)


def test_the_gate_reuses_no_pass_whose_models_learnt_other_labels(night):
    run = night()
    snapshot = source_of(run)

    def learnt_now():
        corrected = Reviews.of(run.store, run.contract).corrections(snapshot, run.contract)
        return lessons_for(run, accused(), corrected).facts()

    entry = decide(run, "relabel", [2, 3], value="y")
    before = learnt_now()
    assert not has_learnt_all(run)
    assert has_learnt_all(run, **before)
    decide(run, "relabel", [2], value="z")
    assert not has_learnt_all(run, **before)
    assert has_learnt_all(run, **learnt_now())
    decide(run, "forget", [2, 3])
    assert has_learnt_all(run)
    assert not has_learnt_all(run, **before)
    assert "y" not in before["learnt"].values()
    assert entry.seq == before["learnt"]["upto"]
