"""scikit-learn's gradient boosting for matrices of `encode.Encoder.trees`, with less around it.

The library sends each matrix, to fit or to predict, through a pipeline of transformers that finds
out which categories there are, which takes longer than to predict a few thousand rows. Here they
are small whole numbers already, and one look-up does the same: the models are equal, bit by bit.
Should a later version of the library no longer call `_preprocess_X`, only the speed is lost.
"""

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from checks.kit import encode


class _Coded:
    """Replaces how the library reads a matrix.

    Attributes:
        known: of each column of categories, the new code of each code, NaN for one not learnt.
    """

    categorical_features: Any
    known: list[np.ndarray]

    def _preprocess_X(self, X: np.ndarray, *, reset: bool) -> Any:  # noqa: N802, N803  theirs
        is_category = np.asarray(self.categorical_features, bool)
        own = np.flatnonzero(is_category)
        if reset:
            self.known = [_renumbered(X[:, column]) for column in own]
            self.n_features_in_ = X.shape[1]
            self.is_categorical_ = is_category if len(own) else None
            # categories come first
            remapped = np.sort(is_category)[::-1] if len(own) else None
            self._is_categorical_remapped = remapped
        made = np.empty(X.shape, order="F")
        made[:, len(own) :] = X[:, ~is_category]
        for place, (column, codes) in enumerate(zip(own, self.known, strict=True)):
            made[:, place] = codes[np.nan_to_num(X[:, column], nan=len(codes) - 1).astype(np.intp)]
        if not reset:
            return made
        counts = [np.arange(np.isfinite(codes).sum(), dtype=float) for codes in self.known]
        return made, [*counts, *[None] * (X.shape[1] - len(own))] if len(own) else None


class Classifier(_Coded, HistGradientBoostingClassifier):  # type: ignore[misc]
    """Boosted trees for classes."""


class Regressor(_Coded, HistGradientBoostingRegressor):  # type: ignore[misc]
    """Boosted trees for numbers."""


def _renumbered(codes: np.ndarray) -> np.ndarray:
    """Return the new code of each code and, last, of a missing one."""
    present = np.unique(codes[np.isfinite(codes)]).astype(np.intp)
    made = np.full(encode.LEVELS + 2, np.nan)
    made[present] = np.arange(len(present))
    return made
