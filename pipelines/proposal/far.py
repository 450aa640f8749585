"""Numbers and dates that are kept out of a proposed range: placeholders and values far off.

A placeholder has a known shape (-999, 9999, 1900-01-01) and stands apart from the others. A value
is far off if a gap lies before it that the column's own tail does not explain: the logarithm of a
fitted tail (`checks.kit.calibrate`) falls by independent exponential steps, the k-th of mean 1/k
(Rényi 1953), so that k values beyond a gap g have a chance of exp(-k g). A narrower gap suffices if
one factor of 10 takes the values among the others, as a wrong unit does. Among few different values
the gap must be as wide as all others together. More than a few such values are a part of the data
(`deviants.is_rare`), unless they are one placeholder.
Blind to: values that are wrong but not far, such as one of ten times the size in a wide column.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterable

import numpy as np

from checks.kit import calibrate, encode
from pipelines.proposal.deviants import is_rare, most_rare

LEAST_ROWS = 50
TAIL_VALUES = 20  # different values that a tail needs
WIDE, SURE = 3.0, 6.0  # steps of a tail that a gap spans; and times the values beyond it
WIDE_UNIT, SURE_UNIT = 1.0, 5.0  # the same where those are of another unit
UNIT_SHARE, UNIT_RANGE = 0.9, 100.0  # values that fit; most times between the ends of the others
MODE_SHARE = 0.2  # of the rows; a value that more share is left out of the fit
BOUNDED = -0.5  # shape of an upper tail that has an end; above it, logarithms are taken
APART = 0.5  # of the range of the others that lies before a placeholder
FURTHEST = 1e6  # deviations from the median
REPEATED = 2  # rows of a placeholder
FACTORS = (10.0, 100.0, 1000.0, 0.1, 0.01, 0.001)
_DAYS = ("0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01",
         "1980-01-01", "1980-01-06", "2099-12-31", "2999-12-31", "3000-01-01", "9999-12-31",
         "9999-01-01", "2100-01-01", "1111-11-11", "1901-01-01", "1904-01-01")  # fmt: skip
_EPOCH = dt.date(1970, 1, 1)
DAY = 86_400_000_000  # microseconds
_ODD = frozenset((2**31 - 1, -(2**31), 2**32 - 1, 2**15 - 1, -(2**15), 1e9, 1e99, -1e9, 123456789))


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """Which values of a column are believed, as floats.

    Attributes:
        low, high: values beyond them are kept out.
        banned: placeholders that are kept out.
        missing: placeholders that so many rows share that they mean a missing value.
        middle: the 5 % and the 95 % quantile of the values that are believed.
        is_positive: whether none of those is negative.
    """

    low: float = -np.inf
    high: float = np.inf
    banned: tuple[float, ...] = ()
    missing: tuple[float, ...] = ()
    middle: tuple[float, float] = (0.0, 0.0)
    is_positive: bool = False

    def is_odd(self, values: np.ndarray) -> np.ndarray:
        """Return which values are kept out, bool, shape (n,); NaN is not."""
        with np.errstate(invalid="ignore"):
            odd: np.ndarray = (values < self.low) | (values > self.high)
        return odd | np.isin(values, self.banned)

    def kind(self, value: float, *, is_moment: bool) -> str:
        """Return in words why a value is kept out."""
        if value in self.banned:
            return "placeholders"
        if is_moment:
            return "dates far from the others"
        low, high = self.middle
        if low > 0 or high < 0:
            fits = next((f for f in FACTORS if low <= value / f <= high), None)
            if fits is not None:
                how = (
                    f"{fits:,.0f} times too large"
                    if fits > 1
                    else f"{1 / fits:,.0f} times too small"
                )
                return f"numbers that look {how}"
        if self.is_positive and value < 0:
            return "negative numbers"
        return "numbers far from the others"


def found(values: np.ndarray, *, ticks: int = 0) -> Range:
    """Return the range of a column that is believed.

    Args:
        values: float64, shape (n,), a sample of the column; NaN where missing.
        ticks: of a date or timestamp, its units in a day; 0 for a number.
    """
    values = values[np.isfinite(values)]
    if len(values) < LEAST_ROWS:
        return Range()
    shaped, counts = np.unique(values[_is_shaped(values, ticks)], return_counts=True)
    rest = values[~np.isin(values, shaped)]
    if not len(rest):
        return Range()
    banned: list[float] = []
    missing: list[float] = []
    for value, times in zip(shaped.tolist(), counts.tolist(), strict=True):
        if times < len(values) / 2 and _is_apart(value, times, rest, is_moment=ticks > 0):
            (banned if is_rare(times, len(values)) else missing).append(value)
    kept = values[~np.isin(values, banned + missing)]
    low, high = _ends(kept, is_moment=ticks > 0)
    inner = kept[(kept >= low) & (kept <= high)]
    middle = np.quantile(inner, [0.05, 0.95])
    return Range(
        low, high, tuple(banned), tuple(missing), (float(middle[0]), float(middle[1])),
        is_positive=bool(inner.min() >= 0),
    )  # fmt: skip


def _is_shaped(values: np.ndarray, ticks: int) -> np.ndarray:
    if ticks:
        days = [(dt.date.fromisoformat(day) - _EPOCH).days * ticks for day in _DAYS]
        return np.isin(values, np.array(days, float))
    with np.errstate(invalid="ignore"):
        plain = np.abs(values)
    shapes: list[float] = [1.0, 9.0, *_repeated("9"), *_repeated("8"), *_repeated("7"), *_ODD]
    shapes += [value + 0.9 for value in _repeated("9")] + [value + 0.99 for value in _repeated("9")]
    is_shaped = np.isin(plain, np.array(sorted(map(abs, shapes))))
    # 1 and 9 are digits like any other, unless their sign is the odd one
    is_shaped &= ~((plain < 10) & (values > 0))  # noqa: PLR2004
    return is_shaped


def _repeated(digit: str) -> Iterable[float]:
    least = 2 if digit == "9" else 3
    return [float(digit * length) for length in range(least, 13)]


def _is_apart(value: float, times: int, rest: np.ndarray, *, is_moment: bool) -> bool:
    """Return whether a placeholder lies outside the other values, or alone has its sign."""
    low, high = np.quantile(rest, [0.02, 0.98])
    width = (high - low) or max(abs(high), 1.0)
    if value < low - APART * width or value > high + APART * width:
        if is_moment:
            return True
        return times >= REPEATED or value < low - 3 * width or value > high + 3 * width
    is_only = value < 0 and rest.min() >= 0 and len(np.unique(rest)) >= TAIL_VALUES
    return bool(is_only and times >= REPEATED and not is_moment)


def _ends(values: np.ndarray, *, is_moment: bool) -> tuple[float, float]:
    """Return the ends beyond which the values are far off; infinite for none."""
    return -_upper_end(-values, is_moment=is_moment), _upper_end(values, is_moment=is_moment)


def _upper_end(values: np.ndarray, *, is_moment: bool) -> float:
    """Return where to cut the upper tail: half-way between what it explains and what is far off."""
    ranked = np.sort(values)
    distinct, counts = np.unique(ranked, return_counts=True)
    usual = ranked
    if counts.max() > MODE_SHARE * len(ranked):
        usual = ranked[ranked != distinct[counts.argmax()]]
    most = most_rare(len(usual))
    if most < 1:
        return np.inf
    if len(distinct) < TAIL_VALUES:
        place = _by_gap(ranked, most)
    else:
        place = _by_tail(ranked, usual, most, is_moment=is_moment)
    return np.inf if place is None else float(ranked[place] / 2 + ranked[place + 1] / 2)


def _by_gap(ranked: np.ndarray, most: int) -> int | None:
    """Return the place before the first gap that is as wide as all values below it."""
    first = float(ranked[int(0.005 * len(ranked))])  # what is far below must not widen the range
    start = len(ranked) - 1 - most
    is_wide = np.diff(ranked[start:]) > np.maximum(ranked[start:-1] - first, 0.0)
    places = (start + np.flatnonzero(is_wide)).tolist()
    return next((at for at in places if len(np.unique(ranked[: at + 1])) > 2), None)  # noqa: PLR2004


def _by_tail(ranked: np.ndarray, usual: np.ndarray, most: int, *, is_moment: bool) -> int | None:
    """Return the place before the first gap that the tail of the usual values does not explain."""
    logs = None if is_moment else _logs(ranked, usual)
    placed, fitted = _scaled(*(logs or (ranked, usual)))
    inner, outer = np.quantile(fitted, [0.80, 0.95])
    if outer <= inner:
        return None
    # the logarithm of the heaviest usual tail, a Pareto's, has the shape 0
    tail = calibrate.tail(fitted, most_shape=1.0 if logs is None and _shape(fitted) > 0 else 0.5)
    above = np.arange(most, 0, -1)
    steps = -np.diff(np.log(tail.beyond(placed[-most - 1 :])))
    for at in np.flatnonzero((steps >= WIDE_UNIT) & (steps * above >= SURE_UNIT)):
        place = len(ranked) - 1 - int(above[at])
        is_gap = steps[at] >= WIDE and steps[at] * above[at] >= SURE
        if is_gap or (not is_moment and _is_other_unit(ranked[place + 1 :], ranked[: place + 1])):
            return place
    return None


def _is_other_unit(odd: np.ndarray, others: np.ndarray) -> bool:
    """Return whether nearly all values, divided by one factor, are values like the others."""
    low, high = np.quantile(others, [0.005, 0.995])
    if low <= 0 <= high or max(low / high, high / low) > UNIT_RANGE:
        return False
    fits = [np.mean((odd / factor >= low) & (odd / factor <= high)) for factor in FACTORS]
    return bool(max(fits) >= UNIT_SHARE)


def _logs(ranked: np.ndarray, usual: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the logarithms of positive values, unless their upper tail has an end.

    The lower tail of positive values arrives here with its sign turned.
    """
    low = float(np.quantile(usual, 0.01))
    if low > 0 and _shape(usual) > BOUNDED:
        return np.log(np.maximum(ranked, low / 1e3)), np.log(np.maximum(usual, low / 1e3))
    return (-np.log(-ranked), -np.log(-usual)) if ranked[-1] < 0 else None


def _scaled(ranked: np.ndarray, usual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all values and the usual ones in deviations from the median."""
    center, scale = encode.spread(usual)
    with np.errstate(over="ignore"):
        placed, fitted = ((part - center) / scale for part in (ranked, usual))
    return np.clip(placed, -FURTHEST, FURTHEST), np.clip(fitted, -FURTHEST, FURTHEST)


def _shape(ranked: np.ndarray) -> float:
    low, mid, high = np.quantile(ranked, [0.80, 0.90, 0.95])
    return float(np.log2(max(high - mid, 1e-12) / max(mid - low, 1e-12)))
