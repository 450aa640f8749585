"""Labels judged by an embedding: flips are found, gaps are no fault, cuts change nothing."""

import numpy as np
import pyarrow as pa
import pytest
from rows_with_roles import judged

from checks.kit import embedded
from checks.labels import Labels

ROLES = {"e": "embedding", "y": "label"}


def table(rows=400, width=12, seed=0):
    """Return vectors in three clouds, their labels, and which of these are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, rows)
    made = rng.normal(0, 1, (rows, width)) + 1.6 * rng.normal(0, 1, (3, width))[true]
    wrong = rng.random(rows) < 0.05
    given = np.where(wrong, (true + 1) % 3, true)
    cells = [None if n == 9 else list(v)[: 5 if n == 8 else width] for n, v in enumerate(made)]
    names = pa.array(np.array(["a", "b", "c"])[given])
    return pa.table({"e": pa.array(cells, pa.list_(pa.float64())), "y": names}), wrong


@pytest.fixture(scope="module")
def found():
    rows, wrong = table()
    return judged(Labels, rows, **ROLES)[0], rows, wrong


def test_planted_flips_are_found(found):
    rows, wrong = found[0]["row"].to_pylist(), found[2]
    assert wrong[rows].sum() >= 0.7 * wrong.sum()
    assert wrong[rows].mean() >= 0.8


def test_the_cut_into_shards_changes_nothing(found):
    assert judged(Labels, found[1], (0, 150), **ROLES)[0].equals(found[0])


def test_an_embedding_that_is_ignored_or_empty_judges_nothing():
    rows, _ = table(60)
    _, model = judged(Labels, rows, e="ignore", y="label")
    assert "no column" in model.notes[0]
    empty = rows.set_column(0, "e", pa.array([[]] * 60, pa.list_(pa.float64())))
    assert "not judged" in judged(Labels, empty, **ROLES)[1].notes[0]


def test_wide_vectors_keep_what_varies():
    values = np.random.default_rng(0).normal(size=(50, 3)) @ np.ones((3, 40))
    column = pa.table({"e": pa.array(list(values.astype(np.float32)))})
    projection = embedded.fit(column, ("e",))
    assert projection.names == ["e[0]"]
    assert projection.of(column).column_names == ["e[0]"]
