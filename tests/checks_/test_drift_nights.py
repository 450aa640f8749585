"""Across nights: what adds up is seen, a season is not, and nothing of persons is remembered."""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tables

from checks.drift import Drift, earlier_runs
from checks.drift.earlier_runs import Series
from checks.kit.contract_model import Column, Contract
from checks.kit.protocol import Context
from provenance.rows.column_types import ColumnSpec

PATH = Path(__file__).parents[2] / "benchmarks" / "nights.py"
SPEC = importlib.util.spec_from_file_location("nights_benchmark", PATH)
bench = importlib.util.module_from_spec(SPEC)
sys.modules["nights_benchmark"] = bench
SPEC.loader.exec_module(bench)
SCENES = {scene.name: scene for scene in bench.scenes()}


def series(values, error=0.05, **given):
    values = np.asarray(values, float)
    return Series(values, np.full(len(values), error), 0.02, **given)


def test_a_slow_shift_is_seen_in_every_stream_and_long_before_one_night_alone_would_tell():
    errors, _ = bench.course(SCENES["slow 0.01 a night"], 1_000, 8, 40, 1)
    first = errors[:, :-1].argmax(0) + 1
    assert errors[:, :-1].any(0).all()
    assert np.median(first) <= 22
    assert not errors[:12].any()


def test_a_sudden_shift_is_seen_the_same_night():
    errors, _ = bench.course(SCENES["sudden 0.5"], 2_000, 8, bench.SUDDEN_NIGHT + 1, 2)
    assert errors[bench.SUDDEN_NIGHT, :-1].all()
    assert not errors[: bench.SUDDEN_NIGHT].any()


@pytest.mark.parametrize("name", ["weekly sine 0.2", "weekend step 0.2"])
def test_a_season_is_no_alarm(name):
    errors, _ = bench.course(SCENES[name], 1_000, 8, 30, 3)
    assert not errors.any()


def test_seasons_of_any_shape_cancel_once_they_are_known():
    rng = np.random.default_rng(4)
    shapes = rng.normal(0, 1, (60, 7))
    shapes -= shapes.mean(1, keepdims=True)
    for shape in shapes:
        drawn = np.tile(shape, 6) + rng.normal(0, 0.05, 42)
        for night in range(1, 43):
            assert earlier_runs.added_up(series(drawn[:night])) is None
        assert earlier_runs.added_up(series(drawn + np.linspace(0, 1.2, 42))) is not None


@pytest.mark.parametrize("pace", [0.03, 0.1, 0.3])
def test_a_drift_stays_an_alarm_whatever_its_pace(pace):
    drawn = pace * np.arange(40) + np.random.default_rng(6).normal(0, 0.05, 40)
    seen = [earlier_runs.added_up(series(drawn[:n])) is not None for n in range(1, 41)]
    assert seen.index(True) <= 20
    assert all(seen[seen.index(True) :])


def test_a_longer_season_needs_to_be_named():
    month = 0.7 * np.sin(2 * np.pi / 28 * np.arange(84))
    assert any(earlier_runs.added_up(series(month[:n])) for n in range(1, 85))
    assert not any(earlier_runs.added_up(series(month[:n], season=28)) for n in range(1, 85))


def test_one_broken_night_does_not_add_up():
    values = np.zeros(20)
    values[10] = 500.0
    assert [earlier_runs.added_up(series(values[:n])) for n in range(1, 21)] == [None] * 20


def test_a_drift_that_has_ended_is_over_soon():
    values = np.concatenate([np.linspace(0, 1.5, 20), np.zeros(15)])
    assert earlier_runs.added_up(series(values[:20])) is not None
    assert earlier_runs.added_up(series(values)) is None


def test_a_night_stands_out_only_where_nights_are_alike():
    flat = np.concatenate([np.zeros(20), [0.9]])
    assert earlier_runs.stands_out(series(flat)) == pytest.approx(0.9)
    assert earlier_runs.stands_out(series(flat[:20])) is None
    assert earlier_runs.stands_out(series(np.concatenate([np.zeros(9), [0.9]]))) is None
    weekend = np.tile([0, 0, 0, 0, 0, 0.9, 0.9], 4)
    assert [earlier_runs.stands_out(series(weekend[:n])) for n in range(1, 29)] == [None] * 28


def remembered(table, reference, **roles):
    check = Drift(tables.context_for(table, reference, **roles))
    [shard] = tables.cut(table)
    return check.finish(check.fit(shard)).memory


def test_memory_is_small_plain_and_names_no_value():
    memory = remembered(tables.loans(600), tables.loans(2_000, seed=1), **tables.ROLES)
    text = json.dumps(memory, allow_nan=False)
    assert len(text) < 1_500
    assert set(memory["streams"]) == {"late", "branch", "note", "label"}  # not the protected ones
    for value in ("north", "yes", "kitchen"):
        assert value not in text


def test_memory_is_bounded_for_any_number_of_columns():
    wide = pa.table({f"c{n}": np.random.default_rng(n).normal(size=50) for n in range(700)})
    streams = remembered(wide, wide)["streams"]
    assert sum(map(len, streams.values())) in (500, 501)


def test_memory_of_other_columns_is_left_alone():
    table, reference = tables.loans(300), tables.loans(2_000, seed=1)
    odd = {"run": 3, "time": "2026-01-01", "streams": {"gone": {"shift": [9.0, 0.1]}, "late": {}}}
    context = tables.context_for(table, reference, **tables.ROLES)
    history = {"drift": ({"run": 1, "time": ""}, *[odd] * 30)}
    check = Drift(dataclasses.replace(context, history=history))
    [shard] = tables.cut(table)
    assert check.finish(check.fit(shard)).overall.num_rows == 0


def test_the_finding_says_since_when_and_by_how_much():
    rng = np.random.default_rng(5)
    contract = Contract("t", "1", "t.yaml", "", (Column(ColumnSpec("x", "number")),))
    reference = pa.table({"x": rng.normal(size=4_000)})
    history = [
        {"run": n, "time": f"2026-02-{n:02}T02:00:00", "streams": {"x": {"shift": [n / 100, 0.03]}}}
        for n in range(1, 29)
    ]
    table = pa.table({"x": rng.normal(0.29, 1, 1_000)})
    context = Context(contract, table.schema, 1_000, reference, history={"drift": tuple(history)})
    check = Drift(context)
    [shard] = tables.cut(table)
    model = check.finish(check.fit(shard))
    [slow] = [f for f in model.overall.to_pylist() if f["rule"] == "ASSAY-K017"]
    assert slow["severity"] == "error"
    assert "since run 14 (2026-02-14)" in slow["evidence"]
    assert "+0.2" in slow["evidence"]
