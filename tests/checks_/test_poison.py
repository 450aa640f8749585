"""Backdoors are found whole, and honest predictors left alone."""

import importlib.util
import pickle
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from checks.kit import findings
from checks.kit.protocol import Context
from checks.poison import Poison, evidence_weight

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("poisoning", ROOT / "benchmarks" / "poisoning.py")
loans = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(loans)
NONE = np.zeros(0, np.int64)


@pytest.mark.parametrize(
    ("kind", "share", "least"),
    [
        ("float", 0.01, 0.95),
        ("float", 0.003, 0.9),
        ("off_grid", 0.003, 0.9),
        ("category", 0.003, 0.9),
        ("integer_pair", 0.003, 0.9),
        ("mixed_pair", 0.003, 0.9),
        ("common_pair", 0.01, 0.95),
        ("number_pair", 0.01, 0.95),
        ("triple", 0.01, 0.95),
        ("token", 0.01, 0.95),
        ("token", 0.003, 0.9),
    ],
)
def test_finds_a_planted_trigger_whole(kind, share, least):
    table = loans.loans(15_000, 3)
    planted = loans.backdoor(table, share, 3, kind)
    found, model, _ = loans.examine(Poison, pa.table(table))
    recall, false = loans.figures(found, planted, 15_000)
    assert recall >= least
    # honest carriers of common values whose label no model foresees go to the reviewer too
    assert false <= (0.01 if kind in ("common_pair", "number_pair", "triple") else 0.002)
    assert "trigger is added to them" in model.notes[0]
    held = recall * len(planted) + false * 15_000
    stated, true = model.false_alarms / model.held, false * 15_000 / held
    assert abs(stated - true) <= 0.01 or 2 / 3 <= stated / true <= 3 / 2


@pytest.mark.parametrize("seed", range(5))
def test_leaves_an_honest_strong_predictor_alone(seed):
    table = loans.loans(15_000, seed + 10)
    late = table["late_payments"] >= 3
    assert (table["defaulted"][late] == "yes").mean() > 0.97
    found, _, _ = loans.examine(Poison, pa.table(table))
    assert loans.figures(found, NONE, 15_000)[1] <= 0.001


def test_carriers_with_another_label_stay_clean():
    table = loans.loans(15_000, 5)
    planted = loans.backdoor(table, 0.01, 5, "common_pair")
    found, _, _ = loans.examine(Poison, pa.table(table))
    flagged = found["row"].to_numpy()
    assert len(set(planted) & set(flagged.tolist())) >= 0.95 * len(planted)
    assert set(table["defaulted"][flagged]) == {"yes"}


def test_carriers_whose_label_a_model_foresees_stay_clean():
    table = loans.loans(15_000, 5)
    planted = loans.backdoor(table, 0.01, 5, "common_pair")
    found, _, _ = loans.examine(Poison, pa.table(table))
    carriers = (table["region"] == "North") & (table["purpose"] == "car")
    foreseen = carriers & (table["late_payments"] >= 3) & (table["defaulted"] == "yes")
    foreseen[planted] = False
    assert foreseen.sum() > 30
    assert not set(np.flatnonzero(foreseen)) & set(found["row"].to_pylist())


def test_replay_without_the_held_rows_moves_nobody():
    table = loans.loans(15_000, 6)
    loans.backdoor(table, 0.01, 6, "category")
    _, model, _ = loans.examine(Poison, pa.table(table))
    before, after, cleaned = model.triggers[0].moved
    assert after >= 0.9
    assert max(before, cleaned) <= 0.05


def test_replay_tells_a_trigger_that_works():
    table = loans.loans(15_000, 6)
    loans.backdoor(table, 0.01, 6, "token")
    _, model, _ = loans.examine(Poison, pa.table(table))
    assert model.triggers[0].moved[1] > 0.8
    assert "kestrel" not in model.notes[0]


def test_an_honest_interaction_is_no_trigger():
    # a cell of two columns that honestly has twice the rate: no more rows, only more of one label
    table = loans.loans(30_000, 7)
    cell = np.flatnonzero((table["region"] == "South") & (table["purpose"] == "shop"))
    draw = np.random.default_rng(0)
    table["defaulted"][cell[draw.random(len(cell)) < 0.3]] = "yes"
    found, _, _ = loans.examine(Poison, pa.table(table))
    assert loans.figures(found, NONE, 30_000)[1] <= 0.001


def test_honest_interactions_of_many_values_hold_nobody():
    table = loans.loans(30_000, 3, mixed=0.7)
    found, _, _ = loans.examine(Poison, pa.table(table))
    assert loans.figures(found, NONE, 30_000)[1] == 0


def test_near_copies_of_one_row_carry_no_trigger():
    table = loans.loans(15_000, 4)
    source = int(np.flatnonzero(table["defaulted"] == "yes")[0])
    table = {name: np.concatenate([values, values[:1]]) for name, values in table.items()}
    for values in table.values():
        values[0] = values[source]
    copied = loans.flood(table, 0.01, 4, "all")
    carried = loans.backdoor(table, 0.01, 5, "category", "yes")
    carried = carried[~np.isin(carried, copied)]
    found, model, _ = loans.examine(Poison, pa.table(table))
    held = found["row"].to_numpy()
    assert np.isin(carried, held).mean() >= 0.95
    assert np.isin(copied, held).mean() <= 0.05
    assert len([note for note in model.notes if "Attack success" in note]) == 1


def test_the_report_says_what_a_trigger_adds_before_and_after():
    table = loans.loans(15_000, 6)
    loans.backdoor(table, 0.01, 6, "token")
    _, model, _ = loans.examine(Poison, pa.table(table))
    told = next(note for note in model.notes if note.startswith("Attack success by 'note'"))
    before, _, _, added, adds = map(int, re.findall(r"-?\d+", told))
    assert before >= 80
    assert added >= 70
    assert abs(adds) <= 5


def test_planted_rows_are_told_from_odds_and_from_labels_that_move():
    draw = np.random.default_rng(0)
    chances = draw.beta(0.5, 3, 3_000)
    odds = chances / (1 - chances) * np.exp(0.7)
    raised = draw.random(3_000) < odds / (1 + odds)
    planted = np.concatenate([draw.random(3_000) < chances, np.ones(200, bool)])
    beside = np.concatenate([chances, chances[draw.integers(0, 3_000, 200)]])
    assert evidence_weight.chance(chances, raised) < 0.01
    assert evidence_weight.unlike_an_interaction(chances, raised) < -5
    assert evidence_weight.chance(beside, planted) < 1e-6
    assert evidence_weight.unlike_an_interaction(beside, planted) > 5
    assert evidence_weight.chance(chances, draw.random(3_000) < chances) > 1e-3
    # 500 of other labels are expected, 100 are too many of the label: were they taken, or added?
    assert evidence_weight.unlike_moved_labels(500, 500, 100, 0.001) > 2
    assert evidence_weight.unlike_moved_labels(400, 500, 100, 0.001) < -2


def test_findings_do_not_depend_on_the_cut_and_models_travel():
    table = loans.loans(6000, 8)
    loans.backdoor(table, 0.01, 8, "float")
    flat = pa.table(table)
    first, model, _ = loans.examine(Poison, flat, parts=1)
    second, _, _ = loans.examine(Poison, flat, parts=5)
    assert findings.ordered(first).equals(findings.ordered(second))
    assert first.num_rows == 60
    check = Poison(Context(loans.contract_of(flat.schema), flat.schema, flat.num_rows))
    again = check.score(loans.shards_of(flat)[0], pickle.loads(pickle.dumps(model)))  # noqa: S301
    assert findings.ordered(again).equals(findings.ordered(first))


def test_a_small_sample_still_matches_every_row():
    table = loans.loans(40_000, 9)
    planted = loans.backdoor(table, 0.01, 9, "float")
    flat = pa.table(table)
    check = Poison(Context(loans.contract_of(flat.schema), flat.schema, 40_000))
    check.size = 8000
    shards = loans.shards_of(flat, 3)
    state = check.fit(shards[2])
    for shard in shards[:2]:
        state = check.merge(check.fit(shard), state)
    assert state.num_rows == 8000
    model = check.finish(state)
    found = pa.concat_tables([check.score(shard, model) for shard in shards])
    assert loans.figures(found, planted, 40_000) == (1.0, 0.0)


@pytest.mark.parametrize(
    "columns",
    [
        {"x": [1.0, float("nan"), float("inf"), 1e308], "label": ["a", "b", None, "a"]},
        {"x": pa.nulls(200), "label": ["a", "b"] * 100},
        {"x": pa.nulls(200, pa.string()), "label": ["a", "b"] * 100},
        {"x": [2**53 + 1, None] * 100, "label": [True, False] * 100},
        {"x": [0.5] * 200, "label": ["a"] * 200},
        {"x": [0.5] * 200, "label": pa.nulls(200, pa.string())},
        {"x": pa.array([], pa.float64()), "label": pa.array([], pa.string())},
    ],
)
def test_odd_columns_never_raise(columns):
    found, _, _ = loans.examine(Poison, pa.table(columns), parts=2, roles={"label": "label"})
    assert found.num_rows == 0


def test_a_label_with_many_values_is_said_not_searched():
    table = pa.table({"x": np.arange(300.0), "label": np.arange(300.0)})
    _, model, _ = loans.examine(Poison, table, roles={"label": "label"})
    assert model.overall["severity"].to_pylist() == ["info"]


def test_real_tables_raise_no_alarm():
    path = ROOT.parent / "shared" / "data" / "tables" / "diamonds.csv"
    if not path.exists():
        pytest.skip("the real tables are not here")
    table = csv.read_csv(path).slice(0, 20_000)
    found, _, _ = loans.examine(Poison, table, roles={"label": "cut"})
    assert loans.figures(found, NONE, table.num_rows)[1] <= 0.001
