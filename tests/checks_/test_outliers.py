"""Outliers: broken values, impossible combinations, decoys; honest tails and modes beside them."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
import tables

from checks.outliers import Outliers

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "tables"


def people(rows=8_000, seed=0):
    rng = np.random.default_rng(seed)
    age = np.clip(rng.normal(42, 13, rows), 18, 85).round().astype(int)
    worked = (np.maximum(0, age - 18 - rng.integers(0, 8, rows)) * rng.beta(3, 2, rows)).round(1)
    income = np.exp(rng.normal(10.2, 0.45, rows)) * (1 + worked / 60)
    amount = income * np.exp(rng.normal(-0.7, 0.6, rows))
    return {
        "age": age,
        "worked": worked,
        "income": income,
        "amount": amount,
        "late": rng.poisson(0.5, rows),
        "region": rng.choice(list("abcdef"), rows),
    }, rng


def held(columns, reference=None):
    table = pa.table(columns)
    check = Outliers(tables.context_for(table, reference))
    [shard] = tables.cut(table)
    model = check.finish(check.fit(shard))
    found = check.score(shard, model)
    return found.filter(pc.equal(found["severity"], "error")), found, model


@pytest.mark.parametrize("seed", range(3))
def test_clean_rows_stay(seed):
    severe, found, _ = held(people(seed=seed)[0])
    assert len(severe) <= 8
    assert len(found) <= 0.01 * 8_000


@pytest.mark.parametrize("share", [0.002, 0.005])
def test_impossible_combinations_are_found(share):
    columns, rng = people()
    hit = rng.choice(8_000, int(share * 8_000), replace=False)
    columns["age"][hit] = rng.integers(18, 24, len(hit))
    columns["worked"][hit] = rng.uniform(33, 45, len(hit)).round(1)
    severe, _, _ = held(columns)
    rows = set(severe["row"].to_pylist())
    assert len(rows & set(hit.tolist())) >= 0.9 * len(hit)
    assert len(rows - set(hit.tolist())) <= 0.003 * 8_000
    told = set(severe["evidence"].to_pylist())
    assert any("'worked'" in text and "'age'" in text for text in told)


@pytest.mark.parametrize("value", [1e308, -1e308, 5e7])
def test_a_lone_broken_value_is_found_and_named(value):
    columns, _ = people()
    columns["income"][17] = value
    severe, _, _ = held(columns)
    [row] = [r for r in severe.to_pylist() if r["row"] == 17]
    assert row["column"] == "income"
    assert row["evidence"].startswith("'income' is far ")
    assert "0" not in row["evidence"]


def test_sixty_decoys_do_not_mask_an_outlier():
    columns, rng = people(6_000)
    columns["income"][:60] = rng.normal(3e7, 1e5, 60)
    columns["income"][100] = 8e6
    severe, _, _ = held(columns)
    assert {*range(60), 100} <= set(severe["row"].to_pylist())


def test_heavy_tails_and_zeros_are_honest():
    rng = np.random.default_rng(1)
    pay = rng.pareto(2.5, 8_000) + 1
    gain = np.where(rng.random(8_000) < 0.92, 0.0, rng.lognormal(8, 1, 8_000))
    severe, _, _ = held({"pay": pay, "gain": gain, "count": rng.poisson(0.3, 8_000)})
    assert len(severe) <= 8


def test_a_mode_that_another_column_explains_is_honest():
    columns, rng = people()
    term = rng.choice([12, 24, 36, 48, 60], 8_000, p=[0.03, 0.2, 0.37, 0.2, 0.2])
    columns |= {"term": term, "rate": columns["amount"] / term * rng.normal(1, 0.02, 8_000)}
    assert len(held(columns)[0]) <= 0.003 * 8_000


def test_with_a_reference_its_tails_count():
    columns, _ = people(seed=5)
    columns["income"][:400] *= 60  # too many to be told from a tail of the data's own
    reference = pa.table(people(seed=6)[0])
    severe, _, _ = held(columns, reference)
    assert len(set(severe["row"].to_pylist()) & set(range(400))) > 300


@pytest.mark.parametrize("rows", [1, 50])
def test_few_rows_are_not_judged(rows):
    _, found, model = held(people(rows)[0])
    assert not len(found)
    assert "not judged" in model.notes[0]


def test_columns_without_numbers_do_not_raise():
    rows = 300
    columns = {
        "kind": ["a", "b", None] * 100,
        "gone": pa.nulls(rows, pa.float64()),
        "same": np.ones(rows),
        "flag": [True, False] * 150,
    }
    severe, _, _ = held(columns)
    assert not len(severe)


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
def test_diamonds_without_size_are_found_and_few_others():
    table = pyarrow.csv.read_csv(DATA / "diamonds.csv")
    sizes = np.column_stack([table[name].to_numpy() for name in "xyz"])
    odd = (sizes.min(1) == 0) | (sizes.max(1) > 30)
    taken = odd | (np.arange(len(table)) % 8 == 0)
    table, sizes = table.filter(pa.array(taken)), sizes[taken]
    severe, _, _ = held({name: table[name] for name in table.column_names})
    rows = severe["row"].to_numpy()
    broken = np.flatnonzero((sizes.min(1) == 0) | (sizes.max(1) > 30))
    assert set(broken.tolist()) <= set(rows.tolist())
    assert len(rows) < 0.005 * len(table)


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
def test_titanic_loses_no_passenger():
    table = pyarrow.csv.read_csv(DATA / "titanic.csv")
    assert len(held({name: table[name] for name in table.column_names})[0]) <= 4


def test_equal_rows_give_a_model_of_equal_bytes_and_nothing_of_the_memory():
    columns, _ = people(600)

    def saved():
        junk = [np.full(size, 0xA5A5A5A5A5A5A5A5, np.uint64) for size in range(8, 4_000, 8)]
        del junk  # what the next allocations find
        return pickle.dumps(held(columns)[2], protocol=5)

    first, *others = (saved() for _ in range(3))
    assert all(other == first for other in others)
    assert b"\xa5\xa5\xa5\xa5\xa5\xa5" not in first


def test_levels_that_the_sample_lacks_do_not_fill_the_review():
    rows = 25_000  # more than the sample; most levels stand in one row
    code = [f"k{n}" for n in range(rows)]
    _, found, _ = held({"code": code, "size": np.random.default_rng(0).normal(size=rows)})
    assert len(found) <= 0.01 * rows


def test_a_level_that_the_sample_lacks_is_rare_among_common_ones():
    kind = np.random.default_rng(0).choice(list("abc"), 2_000)
    model = held({"kind": kind, "size": np.random.default_rng(1).normal(size=2_000)})[2]
    usual, new = (model.rarity(pa.table({"kind": [k], "size": [0.0]}))[0] for k in ("a", "z"))
    assert new > usual + 3


def test_wide_and_extreme_tables_are_judged():
    rng = np.random.default_rng(0)
    columns = {f"c{n}": rng.normal(size=300) for n in range(500)}
    columns["c7"] = np.resize([np.nan, 1e308, -1e308, 5e-324, 0.0], 300)
    columns["c8"] = pa.nulls(300, pa.string())
    columns["c9"] = np.full(300, 1e308)
    severe, found, model = held(columns)
    assert len(severe) <= 3
    assert set(found["check"].to_pylist()) == {"outliers"}
    assert np.isfinite(model.rarity(pa.table(columns))).all()


def words(rows=3_000, kinds=40, seed=0):
    """Shares of words in texts of some topics: mostly none, and what is there goes together."""
    rng = np.random.default_rng(seed)
    topics = rng.gamma(0.3, 1.0, (rows, 6))
    rate = topics @ (rng.gamma(0.3, 1.0, (6, kinds)) * (rng.random((6, kinds)) < 0.4))
    length = rng.integers(20, 400, rows)
    counts = rng.poisson(rate * length[:, None] * rng.gamma(0.5, 0.02, (rows, kinds)))
    return {f"word{n}": (100 * counts[:, n] / length).round(2) for n in range(kinds)}


@pytest.mark.parametrize("seed", [1, pytest.param(0, marks=pytest.mark.long)])
def test_many_pairs_of_odd_shape_do_not_add_up(seed):
    severe, _, _ = held(words(seed=seed))
    assert len(np.unique(severe["row"].to_numpy())) <= 0.03 * 3_000
