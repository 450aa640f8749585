"""Boosted trees of coded matrices: equal to scikit-learn's own, categories and gaps included."""

import pickle

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from checks.kit import boosting, encode


@pytest.mark.parametrize(
    ("own", "plain"),
    [
        (boosting.Classifier, HistGradientBoostingClassifier),
        (boosting.Regressor, HistGradientBoostingRegressor),
    ],
)
@pytest.mark.parametrize("is_category", [[False] * 4, [False, True, False, True], [True] * 4])
def test_predictions_equal_those_of_scikit_learn(own, plain, is_category):
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, encode.LEVELS + 1, (1200, 4)).astype(float)
    matrix[:, 1] = matrix[:, 1] // 13 * 3  # codes with gaps between them
    matrix[rng.random(matrix.shape) < 0.05] = np.nan
    given = (np.nan_to_num(matrix[:, 1]) > 6).astype(np.int64) + (rng.random(1200) < 0.2)
    learnt = matrix[:800].copy()
    learnt[learnt == 7] = np.nan  # a level that only the other rows have
    made = []
    for kind in (own, plain):
        model = kind(
            max_iter=10, categorical_features=is_category, early_stopping=False, random_state=0
        ).fit(learnt, given[:800])
        model = pickle.loads(pickle.dumps(model))  # noqa: S301  # its own
        made.append(getattr(model, "predict_proba", model.predict)(matrix[800:]))
    assert np.array_equal(*made)
