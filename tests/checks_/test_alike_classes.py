"""Classes whose rows are near copies of each other: learnt, or not judged, and never emptied."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import tables

from checks.kit import cross_fit, encode, findings, near_copies, sample
from checks.labels import Labels
from checks.poison import Poison


def diseases(sizes, noise, seed=0, columns=20):
    """Return alike categorical rows: a pattern a class, each cell redrawn with chance `noise`."""
    rng = np.random.default_rng(seed)
    usual = rng.integers(0, 4, columns)
    differs = rng.random((len(sizes), columns)) < 0.4
    pattern = np.where(differs, rng.integers(0, 4, differs.shape), usual)
    given = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    cells = pattern[given]
    cells = np.where(rng.random(cells.shape) < noise, rng.integers(0, 4, cells.shape), cells)
    table = {f"s{n}": np.char.add("v", cells[:, n].astype(str)) for n in range(columns)}
    return pa.table({**table, "disease": np.char.add("d", given.astype(str))})


def held(kind, table):
    check = kind(tables.context_for(table, disease="label"))
    [shard] = tables.cut(table)
    model = check.finish(check.fit(shard))
    found = findings.concat([model.overall, check.score(shard, model)])
    texts = [*found["evidence"].to_pylist(), *model.notes]
    assert not any("nan" in text for text in texts)
    errors = found.filter(pc.equal(found["severity"], "error"))
    return np.unique(errors["row"].drop_null().to_numpy()), model


@pytest.mark.parametrize("noise", [0.0, 0.03])
@pytest.mark.parametrize("kind", [Labels, Poison])
def test_no_class_of_near_copies_is_held(kind, noise):
    table = diseases([120, 90, 60, 18, 12, 10], noise)
    rows, _ = held(kind, table)
    assert len(rows) <= 0.005 * len(table)


def test_a_class_of_equal_rows_is_not_judged_and_the_note_says_so():
    _, model = held(Labels, diseases([120, 90, 18, 12], 0.0))
    assert any("not judged: most rows of the class are copies" in note for note in model.notes)


def test_a_group_that_is_most_of_a_class_is_spread_over_the_folds():
    table = diseases([200, 150, 18], 0.03, seed=1)
    how = encode.kinds(tables.contract_for(table.schema, disease="label"), table)
    [shard] = tables.cut(table)
    own = sample.folds(shard)
    given = pc.index_in(table["disease"], value_set=pa.array(["d0", "d1", "d2"])).to_numpy()
    mine = given == 2
    together = near_copies.fit(table, how, own).folds(table, own)[mine]
    apart = near_copies.fit(table, how, own, given.astype(np.int64)).folds(table, own)[mine]
    assert len(np.unique(apart)) > len(np.unique(together))
    assert np.array_equal(apart, own[mine])


def test_models_know_which_classes_they_have_seen():
    table = diseases([80, 80, 20], 0.0)
    how = encode.kinds(tables.contract_for(table.schema, disease="label"), table)
    [shard] = tables.cut(table)
    given = pc.index_in(table["disease"], value_set=pa.array(["d0", "d1", "d2"])).to_numpy()
    given, own = given.astype(np.int64), sample.folds(shard)
    fitted, _ = cross_fit.fit(table, how, given, own, classes=3)
    assert not fitted.judges(table, own, given).any()  # each class is one row, repeated
    numbers, _ = cross_fit.fit(table, how, given.astype(float), own, classes=0)
    assert numbers.judges(table, own, given).all()


def test_wrong_labels_among_near_copies_of_a_large_class_are_still_held():
    table = diseases([300, 200], 0.1, seed=2)
    labels = table["disease"].to_pylist()
    wrong = [n for n, label in enumerate(labels) if label == "d0"][:12]
    for row in wrong:
        labels[row] = "d1"
    rows, _ = held(Labels, table.set_column(20, "disease", pa.array(labels)))
    assert len(np.intersect1d(rows, wrong)) >= 10
    assert len(np.setdiff1d(rows, wrong)) <= 2
