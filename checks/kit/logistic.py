"""Logistic regression that needs a quarter of the usual steps: each column on its own scale.

Text makes columns of very different weight, and a solver that takes all alike goes slowly: a word
of ten rows hardly counts beside a number of all rows. Here a weight is measured in units of its own
standard error at the start, and the intercept at the columns' means, so that the loss is about as
curved in every direction. The minimum is that of scikit-learn's LogisticRegression.
Cost: about 25 passes over the matrix, in 32 bits.
Source: Jacobi preconditioning; Liu, Nocedal 1989 (L-BFGS).
"""

import dataclasses
from typing import Any

import numpy as np

STEPS = 60  # at most
ENOUGH = 1e-5  # share of the loss by which a step must lower it for another one to follow
LEAST = 1e-3  # of a class's share, lest a weight's scale be endless


@dataclasses.dataclass(frozen=True, slots=True)
class Logistic:
    """A fitted model.

    Attributes:
        weights: float64, shape (columns, k); k is 1 for two classes, else their number.
        intercept: float64, shape (k,).
        classes_: int64, ascending; named as in scikit-learn's models.
    """

    weights: np.ndarray
    intercept: np.ndarray
    classes_: np.ndarray

    def predict_proba(self, matrix: Any) -> np.ndarray:
        """Return probabilities, float64, shape (n, classes)."""
        odds = matrix @ self.weights + self.intercept
        chances = _chances(odds)[0]
        return np.hstack([1 - chances, chances]) if odds.shape[1] == 1 else chances


def fit(matrix: Any, given: np.ndarray, *, weakness: float = 1.0) -> Logistic:
    """Fit the model with an L2 penalty on the weights.

    Args:
        matrix: dense or CSR, shape (n, columns), finite.
        given: int64 class codes, shape (n,), at least two distinct ones.
        weakness: of the penalty, `C` in scikit-learn.
    """
    from scipy.optimize import minimize

    classes, codes = np.unique(given, return_inverse=True)
    target = np.eye(len(classes), dtype=np.float32)[codes]
    if len(classes) == 2:  # noqa: PLR2004  # the odds of one tell those of the other
        target = target[:, 1:]
    loss = _Loss.of(matrix.astype(np.float32), target, 1 / weakness)
    options = {"maxiter": STEPS, "ftol": ENOUGH, "gtol": 0.0}
    found = minimize(loss, loss.start(), jac=True, method="L-BFGS-B", options=options)
    return Logistic(*loss.read(found.x), classes)


@dataclasses.dataclass(frozen=True, slots=True)
class _Loss:
    """The penalised log loss and its gradient, by scaled weights and an intercept.

    Attributes:
        target: one-hot, float32, shape (n, k).
        mean: of each column, float64, shape (columns,).
        scale: of each weight and, last, the intercept, float64, shape (columns + 1, k).
    """

    matrix: Any
    target: np.ndarray
    penalty: float
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, matrix: Any, target: np.ndarray, penalty: float) -> "_Loss":
        """Measure the columns."""
        rows = matrix.shape[0]
        mean = np.asarray(matrix.sum(axis=0, dtype=float)).ravel() / rows
        squares = matrix.power(2) if hasattr(matrix, "power") else matrix**2
        spread = np.asarray(squares.sum(axis=0, dtype=float)).ravel() - rows * mean**2
        share = np.clip(target.mean(axis=0, dtype=float), LEAST, 1 - LEAST)
        curved = np.append(np.maximum(spread, 0.0), rows)[:, None] * (share * (1 - share))
        curved[:-1] += penalty
        return cls(matrix, target, penalty, mean, 1 / np.sqrt(curved))

    def start(self) -> np.ndarray:
        """Return where every row has the overall chances of the classes, flat."""
        share = self.target.mean(axis=0, dtype=float)
        scaled = np.zeros(self.scale.shape)
        odds = np.log(share / (1 - share)) if len(share) == 1 else np.log(share)
        scaled[-1] = odds / self.scale[-1]
        return scaled.ravel()

    def read(self, scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights, shape (columns, k), and the intercept, shape (k,)."""
        whole = scaled.reshape(self.scale.shape) * self.scale
        return whole[:-1], whole[-1] - self.mean @ whole[:-1]

    def __call__(self, scaled: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient, flat."""
        weights, intercept = self.read(scaled)
        odds = self.matrix @ weights.astype(np.float32) + intercept.astype(np.float32)
        chances, total = _chances(odds)
        far = chances - self.target
        slope = np.empty_like(self.scale)
        slope[-1] = far.sum(axis=0, dtype=float)
        slope[:-1] = self.matrix.T @ far - self.mean[:, None] * slope[-1] + self.penalty * weights
        lost = float(total.sum(dtype=float)) - float((self.target * odds).sum(dtype=float))
        return lost + self.penalty / 2 * float((weights**2).sum()), (slope * self.scale).ravel()


def _chances(odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return chances, shape as `odds`, and the logarithm of what they were divided by."""
    if odds.shape[1] == 1:
        chances = (1 + np.tanh(odds / 2)) / 2  # as the logistic function, and cannot overflow
        return chances, np.maximum(odds, 0) + np.log1p(np.exp(-np.abs(odds)))
    top = odds.max(axis=1, keepdims=True)
    raised = np.exp(odds - top)
    total = raised.sum(axis=1, keepdims=True)
    return raised / total, np.log(total) + top
