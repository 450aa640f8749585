"""Labels judged by given probabilities: a model that errs where it is sure holds no row."""

import numpy as np
import pyarrow as pa
import pytest
from rows_with_roles import judged
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB

from checks.labels import Labels

ROLES = {"p": "probabilities", "y": "label"}


def digits(model, share=0.0):
    """Return digits with a model's out-of-fold probabilities, and which labels are wrong."""
    pixels, true = load_digits(return_X_y=True)
    rng = np.random.default_rng(3)
    wrong = rng.random(len(true)) < share
    given = np.where(wrong, (true + rng.integers(1, 10, len(true))) % 10, true)
    found = cross_val_predict(model, pixels, given, method="predict_proba", cv=3)
    return pa.table({"p": pa.array(list(found)), "y": pa.array(given.astype(str))}), wrong


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_overconfident_probabilities_rank_and_hold_nothing(share):
    rows, wrong = digits(GaussianNB(var_smoothing=1e-2), share)
    found, model = judged(Labels, rows, **ROLES)
    assert set(found["severity"].to_pylist()) == {"warning"}
    assert "overconfident" in model.notes[0]
    if share:
        ranked = found.sort_by([("score", "descending")])["row"].to_numpy()[: wrong.sum() // 2]
        assert wrong[ranked].mean() > 0.5


def test_calibrated_probabilities_hold():
    rows, wrong = digits(LogisticRegression(C=1e-4, max_iter=100), 0.1)
    found, model = judged(Labels, rows, **ROLES)
    held = [r for r, s in zip(*(found[n].to_pylist() for n in ("row", "severity")), strict=True)
            if s == "error"]  # fmt: skip
    assert "overconfident" not in model.notes[0]
    assert wrong[held].mean() > 0.85
    assert wrong[held].sum() > 0.3 * wrong.sum()
