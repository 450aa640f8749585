"""Logistic regression: the minimum of scikit-learn's, dense and sparse, of two classes and more."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from checks.kit import logistic


def rows_of(classes, seed=0, rows=1500):
    """Return a matrix of columns on very different scales, rare ones too, and classes by them."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(3, [0.1, 1, 5], (rows, 3))
    rare = rng.random((rows, 30)) < np.geomspace(0.002, 0.5, 30)
    matrix = np.column_stack([numbers, rare])
    odds = matrix @ rng.normal(0, 1, (matrix.shape[1], classes)) + rng.gumbel(size=(rows, classes))
    return matrix, odds.argmax(1) * 2  # the codes have gaps


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("weakness", [1.0, 10.0])
def test_minimum_is_that_of_scikit_learn(classes, weakness):
    matrix, given = rows_of(classes)
    plain = LogisticRegression(C=weakness, max_iter=10_000, tol=1e-8).fit(matrix, given)
    wanted = plain.predict_proba(matrix)
    for view in (matrix, sparse.csr_matrix(matrix)):
        model = logistic.fit(view, given, weakness=weakness)
        found = model.predict_proba(view)
        assert model.classes_.tolist() == plain.classes_.tolist()
        assert np.abs(found.sum(1) - 1).max() < 1e-9
        assert np.abs(found - wanted).mean() < 2e-3
        assert np.abs(found - wanted).max() < 0.05


def test_constant_columns_and_sure_classes_neither_warn_nor_overflow():
    matrix, given = rows_of(2)
    matrix[:, 1] = 6.0 * (given > 0) - 3
    wide = np.column_stack([matrix, np.zeros(len(matrix)), np.full(len(matrix), 6.0)])
    found = logistic.fit(wide, given).predict_proba(1000 * wide)
    assert np.isfinite(found).all()
    assert (found.argmax(1) * 2 == given).mean() > 0.99


def test_rows_are_predicted_each_by_itself():
    matrix, given = rows_of(3)
    view = sparse.csr_matrix(matrix)
    model = logistic.fit(view, given)
    alone = np.vstack([model.predict_proba(view[n]) for n in range(50)])
    assert np.array_equal(alone, model.predict_proba(view)[:50])
