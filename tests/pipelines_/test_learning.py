"""What reviews teach: milder thresholds, within bounds, recorded, and nothing without decisions."""

import dataclasses
import functools
import json

import held_rows
import numpy as np
import pytest
from held_rows import (
    CONTRACT,
    COUNT,
    accused,
    decide,
    in_force_now,
    lessons_for,
    source_of,
    with_policy,
)

from checks.contract import loader
from checks.kit import findings, registry
from pipelines.commands.release import release
from pipelines.learning import cases, cuts, in_force, summary, teaching
from pipelines.learning.cases import Case
from pipelines.learning.corrections import Corrections
from pipelines.review import grouping, lessons, recording
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.run import learnt
from pipelines.run.learnt import Reviews
from pipelines.store.decisions import History
from provenance.base.errors import AssayError

KEY = ("outliers.joint", "size")


@pytest.fixture
def contract(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(CONTRACT)
    return path


@pytest.fixture
def night(contract):
    """Return what commits a run whose rows are held with scores; returns it for review."""
    return functools.partial(held_rows.commit, contract)


def taught(run):
    history = in_force_now(run)
    return teaching.of(cases.of(run.store, history), history, run.contract)


def applied(run, found):
    return teaching.apply(found, taught(run), run.contract)


def proposals(run):
    history = in_force_now(run)
    known = cases.of(run.store, history)
    return summary.proposals(known, run.store, history, run.contract)


def severities(found):
    return dict(zip(found["row"].to_pylist(), found["severity"].to_pylist(), strict=True))


def reviewed(night, released=range(15), rejected=range(30, 40), **how):
    run = night(**how)
    decide(run, "release", released)
    if len(rejected):
        decide(run, "reject", rejected)
    return ReviewedRun.of(run.store, run.entry)


def test_below_what_reviewers_released_an_error_is_a_warning_that_says_why(night):
    run = reviewed(night)
    made = applied(run, accused())
    assert [row for row, word in severities(made.found).items() if word == "warning"] == [
        *range(15)
    ]
    assert made.changed == (15,)
    first = made.found.to_pylist()[0]
    assert first["suggestion"].startswith("a warning, not an error: reviewers released 15 of 15")
    [notice] = made.notices
    assert notice.code == "ASSAY-K027"
    assert (
        "15 rows of outliers.joint size are warnings because reviewers released" in notice.message
    )


@pytest.mark.parametrize("rule", ["pii.EMAIL_ADDRESS", "poison.trigger", "size.maximum",
                                  "duplicates.flood", "ASSAY-V017"])  # fmt: skip
def test_only_graded_checks_become_milder(night, rule):
    run = reviewed(night, rule=rule)
    assert taught(run).cuts == ()
    assert severities(applied(run, accused(rule=rule)).found) == dict.fromkeys(
        range(COUNT), "error"
    )


def test_no_check_against_poison_or_for_personal_data_is_graded():
    graded = {name for name, kind in registry.load().items() if kind.is_graded}
    assert graded == {"labels", "label_sets", "outliers"}


def test_other_columns_and_rules_and_the_dataset_stay_as_they_are(night):
    run = reviewed(night)
    other = findings.make([0], check="outliers", rule="outliers.column", column="size", score=0.0)
    column = findings.make([0], check="outliers", rule="outliers.joint", column="key", score=0.0)
    whole = findings.make(None, check="outliers", rule="outliers.joint", column="size", score=0.0)
    for found in (other, column, whole):
        assert applied(run, found).found.equals(found)


def test_a_crowd_that_is_much_larger_than_the_reviewed_one_stays_held(night):
    run = reviewed(night)
    few, many = (np.zeros(15 * teaching.MOST_TIMES + more) for more in (0, 1))
    assert applied(run, accused(few)).changed == (len(few),)
    crowd = applied(run, accused(many))
    assert crowd.changed == (0,)
    assert set(severities(crowd.found).values()) == {"error"}
    assert "never reviewed" in crowd.notices[0].message


def test_no_decision_reaches_beyond_the_score_that_somebody_released(night):
    run = reviewed(night, released=range(COUNT), rejected=())
    made = severities(applied(run, accused(np.array([0.0, 0.975, 0.976, 1.0]))).found)
    assert [*made.values()] == ["warning", "warning", "error", "error"]


def test_a_few_decisions_teach_nothing_and_propose_nothing(night):
    few = cuts.LEAST - 1
    run = reviewed(night, released=range(few), rejected=())
    assert taught(run).cuts == ()
    assert proposals(run) == []
    decide(run, "release", [few])
    assert len(taught(run).cuts) == 1
    decide(run, "reject", [few + 1])
    decide(run, "reject", [0])
    assert taught(run).cuts == ()  # one wrong of 10 may be 40 % of all


def test_wrong_rows_among_the_released_stop_the_lesson_and_undoing_brings_it_back(night):
    run = reviewed(night, rejected=())
    assert taught(run).cuts[0].released == 15
    entry = decide(run, "reject", [0, 1, 2, 3])
    assert taught(run).cuts == ()
    recording.withdraw(ReviewedRun.of(run.store, run.entry), entry.seq, "anna", None)
    assert taught(run).cuts[0].released == 15


def test_a_warning_that_a_lesson_made_still_counts_when_it_is_rejected(night):
    run = reviewed(night, rejected=())
    milder = applied(run, accused()).found
    later = night(name="b", found=milder)
    decide(later, "reject", range(15))
    assert taught(run).cuts == ()


def test_without_the_run_releases_teach_nothing_and_wrong_rows_count(night):
    run = reviewed(night)
    assert len(taught(run).cuts) == 1
    run.store.run_folder(run.entry.seq).rename(run.store.folder.parent / "gone")
    known = cases.of(run.store, run.history)[KEY]
    assert known == [Case(cases.UNKNOWN, is_wrong=True)] * 10
    assert taught(run).cuts == ()


def test_one_opinion_of_two_teaches_nothing(night, contract):
    with_policy(contract, "{reviewers: 2}")
    run = night()
    decide(run, "release", range(15))
    decide(run, "reject", range(30, 40))
    assert not lessons_for(run, accused()).facts()
    assert lessons.of(ReviewedRun.of(run.store, run.entry)) == {}
    decide(run, "release", range(15), "ben")
    decide(run, "reject", range(30, 40), "ben")
    told = lessons_for(run, accused()).facts()
    assert len(told["learnt"]["cuts"]) == 1
    assert lessons.of(ReviewedRun.of(run.store, run.entry))["outliers.joint"].reviewed == 25


@pytest.mark.parametrize(
    ("policy", "word"), [("{reviewers: 2}", "reject"), ("{second_person: [outliers]}", "release")]
)
def test_a_release_tells_nothing_of_a_decision_that_waits_for_somebody_else(
    night, contract, policy, word
):
    with_policy(contract, policy)
    run = night()
    decide(run, word, range(15))
    assert "lessons" not in release(run.store, run.entry).entry.facts
    decide(run, word, range(15), "ben")
    [lesson] = release(run.store, run.entry).entry.facts["lessons"]
    assert (lesson["rule"], lesson["reviewed"]) == ("outliers.joint", 15)


@pytest.mark.parametrize(
    ("named", "cut_columns"), [("[outliers]", []), ("[labels, outliers]", []), ("[pii]", ["size"])]
)
def test_no_cut_makes_rows_clean_that_a_second_person_must_agree_to(
    night, contract, named, cut_columns
):
    with_policy(contract, f"{{second_person: {named}}}")
    run = night()
    for name in ("anna", "ben"):
        decide(run, "release", range(15), name)
    assert [cut.column for cut in taught(run).cuts] == cut_columns
    rows = [row for row, word in severities(applied(run, accused()).found).items()
            if word == "warning"]  # fmt: skip
    assert rows == [*range(15)] * len(cut_columns)
    with_policy(contract, f"{{second_person: {named}, hold_from: {{outliers.joint: 0.2}}}}")
    policy = loader.load(contract)
    found = teaching.apply(accused(), teaching.of({}, run.history, policy), policy).found
    assert severities(found)[7] == "warning"  # the contract's own word


def test_a_contract_can_switch_learning_off(night, contract):
    run = reviewed(night)
    with_policy(contract, "{learn: false}")
    off = dataclasses.replace(run, contract=loader.load(contract))
    assert taught(off).cuts == ()
    assert lessons.of(off)["outliers.joint"].reviewed == 25


def test_a_threshold_is_proposed_with_its_price_and_the_contract_takes_it(night, contract):
    run = reviewed(night, released=range(20), rejected=[10, *range(25, 40)][1:])
    [made] = proposals(run)
    assert (made.freed, made.released, made.missed, made.wrong) == (20, 20, 0, 15)
    assert 19 / COUNT < made.at < 25 / COUNT
    said = lessons.of(run)["outliers.joint"].says()
    assert "20 of 20 released rows would not have been held, and 0 of 15 wrong ones" in said
    assert f"hold_from: {{outliers.joint size: {made.at:g}}}" in said
    with_policy(contract, f"{{learn: false, hold_from: {{outliers.joint size: {made.at:g}}}}}")
    policy = loader.load(contract)
    found = teaching.apply(accused(), teaching.Teaching(), policy).found
    words = severities(found)
    assert {words[row] for row in range(20)} == {"warning"}
    assert {words[row] for row in range(25, 40)} == {"error"}


def bounded(contract, **limits):
    text = ", ".join(f"{name}: {value}" for name, value in limits.items())
    spec = f"logicalType: integer, logicalTypeOptions: {{{text}}}"
    contract.write_text(CONTRACT.replace("logicalType: integer", spec))


def broke(rule, rows):
    return findings.make(rows, check="contract", rule=rule, column="size", evidence="beyond")


@pytest.mark.parametrize(
    ("limits", "released", "rejected", "said"),
    [
        ({"maximum": 9}, range(10, 26), range(30, 40), "maximum: 25"),
        ({"minimum": 30}, range(12, 30), range(8), "minimum: 12"),
        ({"maximum": 9}, range(10, 14), range(14, 40), None),  # too few were released
        ({"maximum": 9}, range(10, 20), (), None),  # too few were reviewed
    ],
)
def test_a_bound_is_proposed_with_its_price(night, contract, limits, released, rejected, said):
    bounded(contract, **limits)
    [kind] = limits
    run = night(found=broke(f"size.{kind}", [*released, *rejected]))
    decide(run, "release", released)
    if rejected:
        decide(run, "reject", rejected)
    made = [each.knob for each in proposals(run)]
    assert made == ([] if said is None else [said])
    assert taught(run).cuts == ()
    if said:
        [proposal] = proposals(run)
        assert (proposal.freed, proposal.missed) == (len(released), 0)


def test_a_bound_of_a_column_that_may_be_personal_is_not_proposed(night, contract):
    bounded(contract, maximum=9)
    run = night(found=broke("size.maximum", [*range(10, 40)]))
    decide(run, "release", range(10, 26))
    decide(run, "reject", range(30, 40))
    assert len(proposals(run)) == 1
    text = contract.read_text().replace("name: size,", "name: size, customProperties: [{property: "
                                        "assay.role, value: quasi_identifier}],")  # fmt: skip
    contract.write_text(text)
    assert proposals(dataclasses.replace(run, contract=loader.load(contract))) == []


def test_a_group_is_told_the_threshold_of_its_own_column_only(night):
    run = reviewed(night, released=range(20), rejected=range(25, 40))
    [group] = grouping.of_findings(accused(), lessons.of(run))
    assert "hold_from" in group.lesson.says()
    other = accused().set_column(3, "column", [["key"] * COUNT])
    [group] = grouping.of_findings(other, lessons.of(run))
    assert "35 reviewed rows" in group.lesson.says()
    assert "hold_from" not in group.lesson.says()


@pytest.mark.parametrize(
    ("policy", "code", "fix"),
    [
        ("{hold_from: {outliers.joint: 1.5}}", "ASSAY-C005", ""),
        ("{hold_from: {outliers.join: 0.5}}", "ASSAY-C004", "outliers.joint"),
        ("{hold_from: {poison.trigger: 0.5}}", "ASSAY-C004", "known names"),
        ("{hold_from: {pii.EMAIL_ADDRESS: 0.5}}", "ASSAY-C004", "known names"),
        ("{hold_from: {outliers.joint siz: 0.5}}", "ASSAY-C007", "size"),
        ("{hold_from: 0.5}", "ASSAY-C005", ""),
        ("{learn: maybe}", "ASSAY-C005", ""),
    ],
)
def test_a_contract_may_not_ask_for_what_does_not_exist(contract, policy, code, fix):
    with_policy(contract, policy)
    with pytest.raises(AssayError) as caught:
        loader.load(contract)
    assert caught.value.code == code
    assert fix in caught.value.fix


def test_a_dataset_without_decisions_is_told_and_taught_nothing(night):
    run = night()
    found = accused()
    made = lessons_for(run, found)
    assert made.found is found
    assert (made.facts(), made.applied.notices) == ({}, ())


def test_what_was_learnt_is_recorded_so_that_it_can_be_worked_out_again(night):
    run = reviewed(night)
    history = History.of(run.store, "sizes")
    corrected = Corrections({3: "y"}, "0" * 64)
    facts = lessons_for(run, accused(), corrected).facts()
    json.dumps(facts)
    assert facts["learnt"]["upto"] == history.upto
    [cut] = facts["learnt"]["cuts"]
    assert cut == {"rule": "outliers.joint", "column": "size", "upto": 14 / COUNT,
                   "released": 15, "wrong": 0, "excluded": [], "rows": 15}  # fmt: skip
    assert facts["learnt"]["corrected_labels"] == 1
    assert facts["learnt"]["corrected_sha256"] == "0" * 64
    [lesson] = facts["lessons"]
    assert (lesson["rule"], lesson["wrong"], lesson["reviewed"]) == ("outliers.joint", 10, 25)
    before = in_force.of(History.of(run.store, "sizes", before=history.upto + 1), run.contract)
    again = learnt.from_reviews(run.store, before, run.contract, accused(), corrected)
    assert again.facts() == facts


@pytest.mark.parametrize(
    ("asks", "made"),
    [
        ([("relabel", {"value": "y"})], {2: "y"}),
        ([("correct", {"column": "kind", "value": "z"})], {2: "z"}),
        ([("correct", {"column": "size", "value": "7"})], {}),
        ([("reject", {})], {}),
        ([("release", {})], {}),
        ([("relabel", {"value": "y"}), ("undo", {})], {}),
        ([("relabel", {"value": "y"}), ("release", {})], {}),
        ([("relabel", {"value": "y"}), ("correct", {"column": "size", "value": "7"})], {2: "y"}),
    ],
)
def test_labels_that_persons_corrected_are_found_in_the_next_source(night, asks, made):
    run = night()
    for word, more in asks:
        decide(run, word, [2], **more)
    snapshot, reviews = source_of(run), Reviews.of(run.store, run.contract)
    corrected = reviews.corrections(snapshot, run.contract)
    assert corrected.labels == made
    assert bool(corrected.sha256) == bool(made)
    off = dataclasses.replace(run.contract.policy, learn=False)
    contract = dataclasses.replace(run.contract, policy=off)
    assert reviews.corrections(snapshot, contract) == Corrections()
