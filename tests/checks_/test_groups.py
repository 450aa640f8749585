"""Rows that belong together: never split over folds, and never on both sides of a test set."""

import numpy as np
import pyarrow as pa
import pytest
from rows_with_roles import contract_of, judged, rows_by_rule, shards_of

from checks.groups import Groups
from checks.kit import model_comparison, near_copies, sample
from checks.labels import Labels

ROLES = {"who": "group", "y": "label"}


def patients(groups=120, each=6, seed=0):
    """Return rows that nearly repeat within a patient, and which patients' label is wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 2, groups)
    # what tells the classes, and much more that tells the patient
    centers = rng.normal(0, 1, (groups, 12))
    centers[:, :4] += 3.0 * true[:, None]
    wrong = rng.random(groups) < 0.06
    who = np.repeat(np.arange(groups), each)
    made = centers[who] + rng.normal(0, 0.15, (len(who), 12))
    columns = {f"x{n}": made[:, n] for n in range(12)}
    given = np.where(wrong, 1 - true, true)[who]
    names = [f"p{n:03}" for n in who]
    return pa.table({"who": names, **columns, "y": np.array(["no", "yes"])[given]}), wrong[who]


@pytest.fixture(scope="module")
def found():
    rows, wrong = patients(seed=1)
    grouped, _ = judged(Labels, rows, **ROLES)
    alone, _ = judged(Labels, rows, who="ignore", y="label")
    return rows, wrong, grouped, alone


def test_rows_of_a_group_do_not_confirm_each_other(found):
    _, wrong, grouped, alone = found
    by_group, by_row = (wrong[f["row"].to_numpy()].sum() for f in (grouped, alone))
    assert by_group >= 0.6 * wrong.sum()
    assert by_row <= 0.3 * wrong.sum()
    assert wrong[grouped["row"].to_numpy()].mean() >= 0.8


def test_a_fold_holds_whole_groups_and_cuts_change_nothing(found):
    rows = found[0]
    contract = contract_of(rows, **ROLES)
    [shard] = shards_of(rows, contract)
    folds, who = sample.folds(shard), rows["who"].to_numpy()
    assert all(len({*folds[who == one].tolist()}) == 1 for one in {*who})
    how = dict.fromkeys([n for n in rows.column_names if n.startswith("x")], "number")
    copies = near_copies.fit(shard.table, how, folds)
    after = copies.folds(shard.table, folds)
    assert all(len({*after[who == one].tolist()}) == 1 for one in {*who})
    first, second = shards_of(rows, contract, (250,))
    joined = np.r_[sample.folds(first), sample.folds(second)]
    assert np.array_equal(joined, folds)


def test_copies_across_groups_join_the_groups():
    rows, _ = patients(40, 3, seed=2)
    cells = {name: rows[name].to_numpy().copy() for name in rows.column_names}
    for name, values in cells.items():
        if name.startswith("x"):
            values[30] = values[0]  # a row of another patient
    rows = pa.table(cells)
    [shard] = shards_of(rows, contract_of(rows, **ROLES))
    folds = sample.folds(shard)
    how = dict.fromkeys([n for n in rows.column_names if n.startswith("x")], "number")
    after = near_copies.fit(shard.table, how, folds).folds(shard.table, folds)
    assert len({*after[[0, 1, 2, 30, 31, 32]].tolist()}) == 1
    assert len({*after.tolist()}) > 10


def test_rows_without_a_group_are_by_themselves():
    rows = pa.table({"who": [None] * 20 + ["a"] * 20, "x": [float(n) for n in range(40)]})
    [shard] = shards_of(rows, contract_of(rows, who="group"))
    folds = sample.folds(shard)
    assert len({*folds[:20].tolist()}) == 20
    assert len({*folds[20:].tolist()}) == 1
    assert "20 rows without a group" in judged(Groups, rows, who="group")[1].notes[0]


def test_two_columns_name_a_group_together():
    rows = pa.table({"site": ["a", "a", "b", "b"], "who": [1, 2, 1, 1]})
    [shard] = shards_of(rows, contract_of(rows, site="group", who="group"))
    assert len({*shard.groups.tolist()}) == 3
    assert shard.groups[2] == shard.groups[3]


@pytest.mark.parametrize("sizes", [(), (0, 90)], ids=str)
def test_a_group_in_the_test_set_is_told(found, sizes):
    rows = found[0]
    test = pa.concat_tables([rows.slice(6, 2), rows.slice(30, 1)])
    known, _ = judged(Groups, rows.slice(0, 200), sizes, more={"test": test}, **ROLES)
    assert rows_by_rule(known) == {"groups.test": [*range(6, 12), *range(30, 36), None]}
    assert known["severity"].to_pylist() == ["warning"] * 12 + ["error"]
    apart, _ = judged(Groups, rows.slice(60), more={"test": test}, **ROLES)
    assert len(apart) == 0
    assert len(judged(Groups, rows, **ROLES)[0]) == 0


def test_models_are_compared_on_whole_groups():
    groups = np.repeat(np.arange(30, dtype=np.uint64), 4)
    every = np.ones(120, bool)
    for learnt, asked in model_comparison._parts(every, every, None, groups):
        kept = groups[learnt][groups[learnt] > 0]
        assert not {*kept.tolist()} & {*groups[asked].tolist()}
