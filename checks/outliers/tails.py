"""A number's robust scale and its tails, fitted so that outliers hardly move either.

A positive column with a long tail is measured by its logarithm; if distances from the median still
have a heavy tail, so are they. A value that many rows share is left out of the fit.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import calibrate, encode
from checks.kit.hashed_values import opaque

LEAST_ROWS = 100
LEAST_VALUES = 20  # distinct numbers that a tail needs; fewer are treated as categories
MODE_SHARE = 0.2  # of the rows; a value that more of them share is left out
SKEWED = -0.15  # shape of the upper tail above which a positive column uses its logarithm
HEAVY = 0.15  # shape above which distances from the median use theirs


@dataclasses.dataclass(frozen=True, slots=True)
class Axis:
    """A number's robust scale and both tails, None for a tail that cannot be fitted.

    Attributes:
        least: smallest value whose logarithm is taken, 0 if the values are used as they are.
        bent: whether the logarithm of distances from the median is taken.
    """

    name: str
    center: float
    scale: float
    bent: bool
    least: float
    tails: tuple[calibrate.Tail | None, calibrate.Tail | None]

    def place(self, values: np.ndarray) -> np.ndarray:
        """Return signed robust distances from the median, logarithmic for a heavy tail."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self.least > 0:
                values = np.log(np.maximum(values, self.least))
            off = np.clip((values - self.center) / self.scale, -1e12, 1e12)
        return np.sign(off) * np.log1p(np.abs(off)) if self.bent else off


def fit(name: str, values: np.ndarray) -> Axis | None:
    """Return a column's axis, None for fewer than two distinct values; few values have no tails.

    Args:
        name: the column.
        values: float64, shape (n,), NaN where missing.
    """
    values = values[np.isfinite(values)]
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= 1:
        return None
    if len(values) < LEAST_ROWS or len(distinct) < LEAST_VALUES:
        return Axis(name, *encode.spread(values), bent=False, least=0.0, tails=(None, None))
    if counts.max() > MODE_SHARE * len(values):
        values = values[values != distinct[counts.argmax()]]
    least = 0.0
    low = float(np.quantile(values, 0.01))
    if low > 0 and _raw_shape(values) > SKEWED:
        # values that are not positive end up far below all others
        least, logs = low / 1e3, np.log(np.maximum(values, low / 1e3))
    center, scale = encode.spread(logs if least else values)
    plain = Axis(name, center, scale, bent=False, least=least, tails=(None, None))
    shapes = [_raw_shape(sign * plain.place(values)) for sign in (1, -1)]
    axis = dataclasses.replace(plain, bent=max(shapes) > HEAVY)
    placed = axis.place(values)
    return dataclasses.replace(axis, tails=(_tail(placed), _tail(-placed)))


def _raw_shape(placed: np.ndarray) -> float:
    low, mid, high = np.quantile(placed, [0.80, 0.90, 0.95])
    return float(np.log2(max(high - mid, 1e-12) / max(mid - low, 1e-12)))


def _tail(placed: np.ndarray) -> calibrate.Tail | None:
    low, high = np.quantile(placed, [0.80, 0.95])
    if len(placed) < LEAST_ROWS or high - low <= 0:
        return None
    return calibrate.tail(placed)


def levels(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """Return the hashed levels of a category, and the rarity of each as a robust distance.

    The last entry, one more than there are levels, is for unknown levels: as rare as a single row.
    So an unknown level is nothing special if many known levels have one row each.
    """
    counted = encode.categories(column).value_counts()
    count = np.append(counted.field("counts").to_numpy().astype(float), 1.0)
    # a level with one row in a thousand lies about three deviations out
    total = max(count[:-1].sum(), 1.0)
    return opaque(counted.field("values")), np.sqrt(2 * np.log(total / count)) - 1
