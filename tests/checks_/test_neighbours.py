"""Near copies and outliers among embeddings: planted ones are found, others hardly ever."""

import numpy as np
import pyarrow as pa
import pytest
from rows_with_roles import judged, rows_by_rule

from checks.neighbours import Neighbours

COPIES, OUTLIERS = range(900, 915), range(915, 922)


def cloud(seed, width=24):
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 2, (6, width))
    return centers[rng.integers(0, 6, 900)] + rng.normal(0, 1, (900, width))


def planted(seed):
    rng = np.random.default_rng(seed)
    values = cloud(seed)
    copies = values[: len(COPIES)] + rng.normal(0, 0.03, (len(COPIES), values.shape[1]))
    far = rng.normal(0, 4, (len(OUTLIERS), values.shape[1]))
    return np.r_[values, copies, far]


def run(values, sizes=()):
    cells = [None if row is None else list(row) for row in values]
    table = pa.table({"e": pa.array(cells, pa.list_(pa.float64()))})
    return judged(Neighbours, table, sizes, e="embedding")


@pytest.mark.parametrize("seed", range(3))
def test_planted_copies_and_outliers_are_found(seed):
    found = rows_by_rule(run(planted(seed))[0])
    assert {*found["neighbours.copy"]} >= {*COPIES}
    assert {*found["neighbours.outlier"]} >= {*OUTLIERS}
    assert sum(map(len, found.values())) <= len(COPIES) + len(OUTLIERS) + 2


@pytest.mark.parametrize("seed", range(3))
def test_clouds_without_a_fault_have_hardly_a_finding(seed):
    rng = np.random.default_rng(seed)
    heavy = rng.standard_t(4, (800, 16))
    flat = rng.random((800, 2))
    for values in (cloud(seed), heavy, flat):
        assert len(run(values)[0]) <= 2


def test_the_cut_into_shards_changes_nothing():
    values = planted(4)
    assert run(values, (0, 300, 1))[0].equals(run(values)[0])


def test_exact_copies_gaps_and_few_vectors():
    values = [*cloud(1), *cloud(1)[:3], None, [1.0], []]
    assert rows_by_rule(run(values)[0]) == {"neighbours.copy": [900, 901, 902]}
    assert "too few" in run(values[:50])[1].notes[0]
    assert rows_by_rule(run([[1.0, 1.0]] * 300)[0]) == {"neighbours.copy": [None]}
    assert len(run([])[0]) == 0


def test_wide_vectors_are_folded():
    wide = planted(2) @ np.random.default_rng(0).normal(size=(24, 900))
    found = rows_by_rule(run(wide)[0])
    assert {*found["neighbours.copy"]} >= {*COPIES}
