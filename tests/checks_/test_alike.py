"""Near copies: they share a fold, honest rows keep theirs, and none vouches for another."""

import numpy as np
import pyarrow as pa
import pytest
import tables

from checks.kit import cross_fit, encode, near_copies, sample

WORDS = np.array(["roof", "car", "school", "boat", "kitchen", "garden", "dentist", "move"])


def crowded(rows=3_000, copies=60, seed=0, fresh=()):
    """Return honest rows of which the first `copies` nearly repeat one, and a label from `a`."""
    rng = np.random.default_rng(seed)
    table = {f"n{i}": rng.normal(size=rows) for i in range(8)}
    table["kind"] = rng.choice(["x", "y", "z"], rows)
    table["note"] = [" ".join(WORDS[rng.integers(0, 8, 8)]) for _ in range(rows)]
    for name, values in table.items():
        if name[0] == "n" and name != "note" and name not in fresh:
            values[:copies] = values[0] + rng.normal(0, 0.01, copies)
    table["kind"][:copies] = table["kind"][0]
    label = (table["n0"] + table["n1"] + 0.3 * rng.normal(size=rows) > 0).astype(int)
    label[:copies] = 1 - int(table["n0"][0] + table["n1"][0] > 0)
    return pa.table(table), label


def split(table):
    how = encode.kinds(tables.contract_for(table.schema, note="text"), table)
    [shard] = tables.cut(table)
    own = sample.folds(shard)
    return how, own, near_copies.fit(table, how, own)


@pytest.mark.parametrize("fresh", [(), ("n3", "n7")])
def test_near_copies_share_a_fold_and_honest_rows_keep_theirs(fresh):
    table, _ = crowded(fresh=fresh)
    _, own, found = split(table)
    folds = found.folds(table, own)
    _, counts = np.unique(folds[:60], return_counts=True)
    assert counts.max() >= 57
    assert (folds[60:] == own[60:]).all()


def test_folds_are_equal_for_any_cut_and_for_rows_beyond_the_sample():
    table, _ = crowded()
    _, own, found = split(table)
    whole = found.folds(table, own)
    parts = [found.folds(table.slice(i, 700), own[i : i + 700]) for i in range(0, 3_000, 700)]
    assert np.array_equal(np.concatenate(parts), whole)
    learnt = table.slice(30)  # the other copies were not in the sample
    how, _, of_rest = split(learnt)
    assert set(how) == set(table.column_names)
    beyond = of_rest.folds(table.slice(0, 30), own[:30])
    assert (beyond == of_rest.folds(learnt, own[30:])[0]).mean() > 0.9


def test_copies_with_a_wrong_label_do_not_vouch_for_each_other(monkeypatch):
    table, label = crowded()
    how, own, _ = split(table)

    def believed():
        _, chances = cross_fit.fit(table, how, label, own, classes=2)
        return np.median(chances[np.arange(60), label[:60]])

    apart = believed()
    monkeypatch.setattr(near_copies, "fit", lambda *_: None)
    assert apart < 0.2
    assert believed() > 0.5


@pytest.mark.parametrize("levels", [2, 5])
def test_categories_that_repeat_honestly_are_no_copies(levels):
    rng = np.random.default_rng(0)
    cells = rng.integers(0, levels, (2_000, 6))
    table = pa.table({f"c{i}": np.char.add("v", cells[:, i].astype(str)) for i in range(6)})
    _, own, found = split(table)
    assert (found.folds(table, own) == own).mean() > 0.98


def test_few_columns_and_odd_numbers():
    odd = [np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0] * 50
    table = pa.table({"a": odd, "b": odd[::-1]})
    assert split(table)[2] is None
    wide = pa.table({"a": odd, "b": odd[::-1], "c": pa.nulls(300, pa.float64()), "d": odd})
    _, own, found = split(wide)
    assert found.folds(wide, own).shape == own.shape
    assert len(found.folds(wide.slice(0, 0), own[:0])) == 0
