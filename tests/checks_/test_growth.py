"""Times, counters and row numbers grow; prices, sorted features and births do not."""

import numpy as np
import pyarrow as pa
import pytest
import tables

from checks.drift import Drift
from checks.kit import growth
from checks.outliers import Outliers

SIZES = (200, 1500, 6000)


def growing(rows, draw):
    seconds = np.sort(draw.uniform(0, 86_400, rows))
    dirty = np.where(draw.random(rows) < 0.02, -999, np.cumsum(draw.exponential(3, rows)))
    return {
        "row": np.arange(rows) + 100_000.0,
        "newest first": -np.arange(rows) * 1.0,
        "epoch": 1_717_200_000 + np.floor(seconds),
        "epoch in ms, out of step": 1.7172e12
        + np.floor(seconds + draw.uniform(0, 7200, rows)) * 1e3,
        "counter": np.cumsum(draw.poisson(3, rows) + 1.0),
        "counter with faults": dirty,
        "offset": np.floor(seconds * 1000),
        "ids in any order": draw.permutation(rows) + 7.0,
    }


def steady(rows, draw):
    return {
        "rising price": 100 + np.arange(rows) / rows * 10 + draw.normal(0, 0.5, rows),
        "random walk": 100 + np.cumsum(draw.normal(0.1, 1, rows)),
        "sorted feature": np.sort(draw.normal(0, 1, rows)),
        "sorted incomes": np.sort(draw.lognormal(0, 1, rows)),
        "sorted ages": np.sort(draw.integers(18, 80, rows)).astype(float),
        "numbers at random": draw.integers(0, 2 * rows, rows).astype(float),
        "few values": draw.integers(0, 5, rows).astype(float),
        "one value": np.full(rows, 3.0),
    }


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_recognises_what_grows_and_nothing_else(rows, seed):
    draw = np.random.default_rng([5, rows, seed])
    yes, no = growing(rows, draw), steady(rows, draw)
    found = {name: growth.grows(values, is_moment=False) for name, values in (yes | no).items()}
    assert {name for name, is_so in found.items() if is_so} == set(yes)


def test_moments_may_be_out_of_step_and_births_are_in_none():
    draw = np.random.default_rng(3)
    micros = np.sort(draw.uniform(0, 86_400, 1000)) * 1e6
    assert growth.grows(1.7e15 + micros + draw.uniform(0, 7.2e9, 1000), is_moment=True)
    assert not growth.grows(draw.uniform(-1e15, 1e15, 1000), is_moment=True)


def test_texts_around_one_number_grow_too():
    orders = pa.table({"order": [f"O-{100_000 + n}" for n in range(300)], "city": ["Oslo"] * 300})
    assert growth.growing(orders, ["order", "city"]) == {"order"}


def test_a_time_follows_the_reference_but_a_default_date_does_not():
    draw = np.random.default_rng(8)

    def days(low, high):
        whole = draw.integers(low, high, 400).astype("int32")
        return pa.table({"d": pa.array(whole, pa.date32())})

    before, after = days(19_000, 19_030), days(19_030, 19_060)
    assert growth.moved_on(after, before, ["d"]) == {"d"}
    assert growth.moved_on(days(0, 20_000), before, ["d"]) == frozenset()
    births, default = days(0, 15_000), days(19_990, 19_991)
    assert growth.moved_on(default, births, ["d"]) == frozenset()


def night(number, rows=1200):
    draw = np.random.default_rng([6, number])
    start = number * rows
    return pa.table({
        "epoch_ms": (1_717_200_000_000 + number * 86_400_000
                     + np.sort(draw.integers(0, 86_400_000, rows))),
        "offset": start + np.arange(rows),
        "order": [f"O-{100_000 + start + n}" for n in range(rows)],
        "amount": draw.lognormal(3, 0.6, rows),
    })  # fmt: skip


@pytest.mark.parametrize("cuts", [(), (7, 500)])
def test_the_next_night_has_no_outlier_and_no_drift(cuts):
    before, after = night(0), night(1)
    shards = tables.cut(after, *cuts)
    for kind in (Outliers, Drift):
        check = kind(tables.context_for(after, before))
        state = None
        for shard in shards:
            part = check.fit(shard)
            state = part if state is None else check.merge(state, part)
        model = check.finish(state)
        found = [item for shard in shards for item in check.score(shard, model).to_pylist()]
        assert [f for f in found if f["severity"] == "error"] == []
        assert {f["column"] for f in model.overall.to_pylist()} <= {"amount"}
        assert any("epoch_ms, offset, order" in note for note in model.notes)


def test_an_outlier_beside_a_column_that_grows_is_still_found():
    table = night(0)
    amounts = table["amount"].to_numpy().copy()
    amounts[17] = 1e7
    table = table.set_column(3, "amount", pa.array(amounts))
    (shard,) = tables.cut(table)
    check = Outliers(tables.context_for(table))
    found = check.score(shard, check.finish(check.fit(shard))).to_pylist()
    assert {(f["row"], f["column"]) for f in found if f["severity"] == "error"} == {(17, "amount")}


def test_sequences_are_no_features():
    contract = tables.contract_for(night(0).schema, offset="sequence", epoch_ms="sequence")
    assert contract.features == ("order", "amount")
