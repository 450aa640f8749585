"""Classes that persons corrected: the models learn them, and the row's own label is judged."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import tables
from checks_.test_labels import flipped, rows_of, sklearn_table
from sklearn.datasets import load_breast_cancer

from checks.labels import Labels, corrected

GIVEN = np.array([0, 0, 1, 1, -1])
ROWS = pa.chunked_array([pa.array([7, 3, 9, 2, 5])])


@pytest.mark.parametrize(
    ("made", "learnt"),
    [
        ({}, [0, 0, 1, 1, -1]),
        ({3: "b"}, [0, 1, 1, 1, -1]),
        ({3: None}, [0, -1, 1, 1, -1]),
        ({3: "no such class"}, [0, -1, 1, 1, -1]),
        ({5: "a"}, [0, 0, 1, 1, 0]),
        ({4: "b"}, [0, 0, 1, 1, -1]),  # of a row that is not in the sample
        ({3: "b", 7: "b"}, [0, 0, 1, 1, -1]),  # no class may vanish
    ],
)
def test_classes_to_learn(made, learnt):
    assert corrected.codes(GIVEN, ROWS, made, ("a", "b")).tolist() == learnt
    assert GIVEN.tolist() == [0, 0, 1, 1, -1]


def judged(table, made):
    context = dataclasses.replace(tables.context_for(table, y="label"), corrected=made)
    check = Labels(context)
    [shard] = tables.cut(table)
    return check.score(shard, check.finish(check.fit(shard)))


@pytest.fixture(scope="module")
def labelled():
    table = sklearn_table(load_breast_cancer)
    dirty, is_wrong = flipped(table, "y", 0.1, seed=3)
    return dirty, np.flatnonzero(is_wrong), table["y"].to_pylist()


def test_no_correction_changes_nothing(labelled):
    table, _, _ = labelled
    assert judged(table, {}).equals(judged(table, {10_000: "1"}))


def test_corrections_hide_no_error_of_other_rows_and_none_of_their_own(labelled):
    table, wrong, true = labelled
    known, rest = wrong[::2], wrong[1::2]
    before = rows_of(judged(table, {}), "error")
    after = rows_of(judged(table, {int(row): true[row] for row in known}), "error")
    assert np.isin(rest, after).mean() >= np.isin(rest, before).mean()
    assert np.isin(known, after).mean() >= np.isin(known, before).mean()  # their label is as it was
    honest = np.setdiff1d(np.arange(len(true)), wrong)
    assert np.isin(honest, after).sum() <= np.isin(honest, before).sum() + 2


def test_rejected_rows_teach_no_model(labelled):
    table, wrong, _ = labelled
    known, rest = wrong[::2], wrong[1::2]
    before = rows_of(judged(table, {}), "error")
    after = rows_of(judged(table, dict.fromkeys(known.tolist())), "error")
    assert np.isin(rest, after).mean() >= np.isin(rest, before).mean()
