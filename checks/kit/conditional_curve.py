"""How one column depends on another, robustly: for rows that are normal in each column alone.

A curve holds the median of one column along another and the spread above and below it; a row's
score is its distance from the curve in local spreads. It uses inner quantiles only, so that a few
per cent of outliers, even in one place, neither bend nor widen it.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import cross_fit, encode, sample

SECOND_ROWS = 8_000
ACQUITTED = 1.0  # spreads from the prediction by all other columns; nearer values are explained
KNOTS = 40
LEAST_IN_KNOT = 25
UNIT = 1.036  # the normal's 85 % quantile: spreads are comparable to standard deviations
LEAST_SPREAD = 0.10  # of the whole column's: neighbours of a dominant value are not outliers
LEAST_SHARE = 0.05  # of the variance of ranks that a curve must explain


@dataclasses.dataclass(frozen=True, slots=True)
class Curve:
    """One column along another.

    Attributes:
        at: knots on the other column, ascending, shape (k,).
        center, above, below: median and both spreads at the knots, shape (k,).
        ends: slopes at the first and last knot, by which spreads grow beyond them.
    """

    at: np.ndarray
    center: np.ndarray
    above: np.ndarray
    below: np.ndarray
    ends: tuple[float, float]

    def distance(self, values: np.ndarray, along: np.ndarray) -> np.ndarray:
        """Return signed distances in local spreads, shape (n,); 0 where either is missing."""
        rest = values - np.interp(along, self.at, self.center)
        before, after = self.at[0] - along, along - self.at[-1]
        slack = self.ends[0] * np.maximum(before, 0) + self.ends[1] * np.maximum(after, 0)
        above = np.interp(along, self.at, self.above) + slack
        below = np.interp(along, self.at, self.below) + slack
        with np.errstate(invalid="ignore", over="ignore"):
            made = np.where(rest > 0, rest / above, rest / below)
        return np.where(np.isfinite(made), made, 0.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Second:
    """The out-of-fold prediction of a column by all others, and the column's curve along it."""

    fitted: cross_fit.Crossfit
    curve: Curve | None

    def agrees(self, table: pa.Table, folds: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return whether each value is high, and whether it is low, for its row: shape (n, 2)."""
        if self.curve is None:
            return np.ones((table.num_rows, 2), bool)
        far = self.curve.distance(values, self.fitted.predict(table, folds))
        return np.column_stack([far > ACQUITTED, -far > ACQUITTED])


def second(
    table: pa.Table,
    how: dict[str, encode.Kind],
    name: str,
    values: np.ndarray,
    *,
    seed: int,
) -> Second:
    """Fit models that predict one column from all others except texts.

    Args:
        table: the sample, with its folds.
        how: columns to learn from, see `encode.kinds`.
        name: the column itself, left out.
        values: float64, shape (n,), the column on its robust scale.
        seed: for everything random.
    """
    others: dict[str, encode.Kind] = {n: k for n, k in how.items() if n != name and k != "text"}
    picked = np.arange(0, table.num_rows, -(-table.num_rows // SECOND_ROWS))
    few, own = table.take(pa.array(picked)), values[picked]
    folds = few[sample.FOLD].to_numpy()
    fitted, predicted = cross_fit.fit(few, others, own, folds, classes=0, seed=seed)
    return Second(fitted, curve(own, predicted))


def curve(values: np.ndarray, along: np.ndarray) -> Curve | None:
    """Fit a curve on the sample, or return None if the columns are unrelated.

    Args:
        values: float64, shape (n,), NaN where missing.
        along: float64, shape (n,), the other column, or codes of its categories.
    """
    both = np.isfinite(values) & np.isfinite(along)
    if both.sum() < 4 * LEAST_IN_KNOT:
        return None
    order = np.argsort(along[both], kind="stable")
    y, x = values[both][order], along[both][order]
    starts = _starts(x)
    if len(starts) < 2 or _explained(y, starts) < LEAST_SHARE:  # noqa: PLR2004
        return None
    at, center = _quantiles(x, starts, 0.5)[0], _quantiles(y, starts, 0.5)[0]
    rest = y - np.interp(x, at, center)
    whole = np.quantile(y, 0.85) - np.quantile(y, 0.15)
    floor = max(LEAST_SPREAD * float(whole) / (2 * UNIT), 1e-9)
    low, high = _quantiles(rest, starts, 0.15, 0.85)
    above, below = np.maximum(high / UNIT, floor), np.maximum(-low / UNIT, floor)
    slopes = np.abs(np.diff(center) / np.maximum(np.diff(at), 1e-12))
    return Curve(at, center, _wide(above), _wide(below), (float(slopes[0]), float(slopes[-1])))


def _starts(sorted_values: np.ndarray) -> np.ndarray:
    # equal values stay in one knot
    each = max(LEAST_IN_KNOT, len(sorted_values) // KNOTS)
    first = np.searchsorted(sorted_values, sorted_values[::each], side="left")
    starts = np.unique(first)
    while len(starts) > 1 and len(sorted_values) - starts[-1] < LEAST_IN_KNOT:
        starts = starts[:-1]
    return starts


def _quantiles(values: np.ndarray, starts: np.ndarray, *shares: float) -> np.ndarray:
    """Return quantiles of each part, interpolated as numpy does: shape (shares, parts)."""
    sizes = np.diff(np.append(starts, len(values)))
    part = np.repeat(np.arange(len(starts)), sizes)
    ranked = values[np.lexsort((values, part))]
    at = np.array(shares)[:, None] * (sizes - 1)
    low = np.floor(at).astype(np.int64)
    first, second = ranked[starts + low], ranked[starts + np.minimum(low + 1, sizes - 1)]
    share, gap = at - low, second - first
    made: np.ndarray = np.where(share < 0.5, first + gap * share, second - gap * (1 - share))  # noqa: PLR2004
    return made


def _explained(values: np.ndarray, starts: np.ndarray) -> float:
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable") / len(values)
    sizes = np.diff(np.append(starts, len(values)))
    means = np.add.reduceat(ranks, starts) / sizes
    return float(
        (sizes * (means - ranks.mean()) ** 2).sum() / (len(ranks) * max(ranks.var(), 1e-12))
    )


def _wide(spread: np.ndarray) -> np.ndarray:
    # the widest of a knot and its neighbours: a spread that changes fast is not an outlier
    padded = np.pad(spread, 1, mode="edge")
    return np.asarray(np.maximum(np.maximum(padded[:-2], padded[2:]), spread))
