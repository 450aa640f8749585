"""A numeric label compared with its out-of-fold prediction from the rest of the row.

The distance is from a robust curve along the prediction, in local spreads, so that noise that grows
with the label is not an error; the tails of that distance say what overlap cannot explain.
"""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import calibrate, conditional_curve, cross_fit, encode, sample
from checks.kit.protocol import Context

MOST_CLASSES = 50  # an integer label with more values is a quantity
LEARNT = 10.0  # spreads from the median at which a label is clipped for learning
REACH = 1e6  # the same for its distance, so that no number overflows
NEAREST = 3.0  # spreads below which no distance counts
HEAVY = 0.3  # least shape of both tails
CAREFUL = 0.1  # of the policy's alpha: the tail does not know where the model itself is wrong
REVIEW_SHARE = 0.02
RARE = 1e-3  # probability below which a row is worth a review


@dataclasses.dataclass(frozen=True, slots=True)
class Quantity:
    """Fitted models, the curve along their prediction, both tails, and limits of probability.

    `center` and `scale` are the label's median and robust standard deviation.
    """

    center: float
    scale: float
    fitted: cross_fit.Crossfit
    curve: conditional_curve.Curve
    tails: tuple[calibrate.Tail, calibrate.Tail]
    limit: float
    review: float

    def chances(self, far: np.ndarray) -> np.ndarray:
        """Return the probability of so large a distance in its tail, shape (n,)."""
        made = np.where(far > 0, self.tails[0].beyond(far), self.tails[1].beyond(-far))
        return np.where(np.abs(far) > NEAREST, made, 1.0)

    def distance(self, table: pa.Table, values: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """Return signed distances from the prediction, in local spreads, shape (n,)."""
        placed = _placed(values, self.center, self.scale)
        return self.curve.distance(placed, self.fitted.predict(table, folds))


def is_quantity(column: pa.ChunkedArray) -> bool:
    """Return whether a label is a number rather than the name of a class."""
    if pa.types.is_floating(column.type):
        return True
    many = pa.types.is_integer(column.type) and pc.count_distinct(column).as_py() > MOST_CLASSES
    return bool(many)


def fit(
    table: pa.Table, how: dict[str, encode.Kind], values: np.ndarray, context: Context
) -> Quantity | None:
    """Fit on the sample; None if the rest of the row does not predict the label.

    Args:
        table: the sample, with its folds.
        how: columns to learn from, see `encode.kinds`.
        values: float64, shape (n,), the label, NaN where missing.
        context: policy, number of rows and seed.
    """
    folds, alpha = table[sample.FOLD].to_numpy(), CAREFUL * context.contract.policy.alpha
    center, scale = encode.spread(values)
    placed = _placed(values, center, scale)
    # one extreme label would distort the models for all
    learnt = np.clip(placed, -LEARNT, LEARNT)
    fitted, predicted = cross_fit.fit(table, how, learnt, folds, classes=0, seed=context.seed)
    bend = conditional_curve.curve(placed, predicted)
    if bend is None:
        return None
    far = bend.distance(placed, predicted)
    # a model errs most at the edges: the tail of its errors is heavier than the noise's
    tails = tuple(
        calibrate.tail(np.maximum(sign * far, -LEARNT), least_shape=HEAVY) for sign in (1, -1)
    )
    made = Quantity(center, scale, fitted, bend, (tails[0], tails[1]), 0.0, 0.0)
    chances = made.chances(far)
    limit = float(
        calibrate.alone(chances[:, None], alpha=alpha, rows=max(context.rows, len(far)))[0]
    )
    ranked = np.sort(chances)
    most = float(ranked[int(REVIEW_SHARE * len(ranked))])
    return dataclasses.replace(made, limit=limit, review=min(most, RARE))


def _placed(values: np.ndarray, center: float, scale: float) -> np.ndarray:
    with np.errstate(over="ignore"):
        made: np.ndarray = np.clip((values - center) / scale, -REACH, REACH)
    return made
