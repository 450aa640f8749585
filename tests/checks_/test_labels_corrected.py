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
    dirty, is_wrong = flipped(table, "y", 0.1, seed=1)
    return dirty, is_wrong, table["y"].to_pylist(), rows_of(judged(dirty, {}), "error")


def test_no_correction_changes_nothing(labelled):
    table, _, _, before = labelled
    assert rows_of(judged(table, {10_000: "1"}), "error").tolist() == before.tolist()


def test_corrections_hide_no_error_of_other_rows_and_none_of_their_own(labelled):
    table, is_wrong, true, before = labelled
    known = before[is_wrong[before]][::2]  # every other wrong row that was held
    rest = np.setdiff1d(np.flatnonzero(is_wrong), known)
    after = rows_of(judged(table, {int(row): true[row] for row in known}), "error")
    assert np.isin(rest, after).sum() >= np.isin(rest, before).sum() >= 10
    assert np.isin(known, after).mean() > 0.9  # their label in the source is as it was
    assert (~is_wrong[after]).sum() <= (~is_wrong[before]).sum() + 1
