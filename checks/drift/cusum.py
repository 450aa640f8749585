"""Across nights: a slow drift adds up (CUSUM), and a night stands out from the last ones.

`added_up` sums by how much a stream's mean over one season lies beyond what does not matter, to
either side (Page 1954). Over a whole season its ups and downs cancel, whatever their shape; nights
are counted, not dates. `stands_out` compares a night with the mean of the season before it.
All values are shares of the limit at which one night alone is an error.
Blind to: seasons longer than the one that is set; levels under a third of a limit.
"""

import dataclasses

import numpy as np

SEASON = 7  # nights
ALLOWED = 1 / 3  # of a limit: a level that does not matter
ALARM = 2 / 3  # limits x nights beyond it
ERRORS = 3.0  # standard errors of the level that are put down to chance
MOST = 2.0  # limits that a single night may count for
SUDDEN = 0.5  # of a limit, against the last season
SUDDEN_ERRORS = 4.0
MEMORY = 4  # seasons that tell how far nights differ anyway
KNOWN = 4  # differences between equal nights of two seasons that are enough to tell


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """One stream over the nights, this one last.

    Attributes:
        values: differences from the reference, shape (nights,), shares of the limit.
        errors: each night's standard error, the same shape and unit.
        reference: standard error that the reference gives all of them alike.
        season: nights of a season.
    """

    values: np.ndarray
    errors: np.ndarray
    reference: float
    season: int = SEASON

    def noises(self) -> np.ndarray:
        """Return the standard deviation of one night around its season, as known each night."""
        season, count = self.season, len(self.values)
        drawn: np.ndarray = np.sqrt(_means(self.errors**2, season))
        # equal nights of two seasons: their differences hold no season, and a drift in their middle
        apart = self.values[season:] - self.values[: max(count - season, 0)]
        if len(apart) >= KNOWN:
            padded = np.concatenate([np.full(MEMORY * season - 1, np.nan), apart])
            windows = np.lib.stride_tricks.sliding_window_view(padded, MEMORY * season)
            windows = windows[KNOWN - 1 :]
            off = np.abs(windows - np.nanmedian(windows, axis=1, keepdims=True))
            spread = np.nanmedian(off, axis=1) * 1.4826 / np.sqrt(2)
            first = season + KNOWN - 1
            drawn[first:] = np.maximum(drawn[first:], spread)
        return drawn


@dataclasses.dataclass(frozen=True, slots=True)
class Drifting:
    """A slow drift: the level over the last season, and the night since when it adds up."""

    level: float
    since: int


def added_up(series: Series) -> Drifting | None:
    """Return the drift that the last night stands at the end of, None if there is none."""
    values = np.clip(series.values, -MOST, MOST)
    season = series.season
    errors = np.hypot(series.noises() / np.sqrt(season), series.reference)
    allowances = np.maximum(ALLOWED, ERRORS * errors).tolist()
    levels = _means(values, season).tolist()
    sums, since = {1: 0.0, -1: 0.0}, {1: 0, -1: 0}  # by side, up and down
    for night in range(season - 1, len(values)):
        level, allowed = levels[night], allowances[night]
        for side, total in sums.items():
            if total == 0:
                since[side] = night
            # bounded, so that a drift that has ended is over soon
            sums[side] = min(max(0.0, total + side * level - allowed), 2 * ALARM)
    found = [side for side, total in sums.items() if total > ALARM]
    return Drifting(levels[-1], since[found[0]]) if found else None


def stands_out(series: Series) -> float | None:
    """Return by how much the last night differs from the season before it, None if by little.

    Needs two seasons: how far nights differ anyway is known from nights, not from a formula.
    """
    values = np.clip(series.values, -MOST, MOST)
    season, last = series.season, len(values) - 1
    if last < 2 * season:
        return None
    apart = (values[season:] - _means(values, season)[season - 1 : -1])[-MEMORY * season - 1 :]
    noise = SUDDEN_ERRORS * series.noises()[-2] * np.sqrt(1 + 1 / season)
    if abs(apart[-1]) > max(SUDDEN + noise, 2 * np.abs(apart[:-1]).max()):
        return float(apart[-1])
    return None


def _means(values: np.ndarray, season: int) -> np.ndarray:
    """Return the mean of the last season, or of as many nights as there are, at each night."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    nights = np.arange(1, len(values) + 1)
    first = np.maximum(nights - season, 0)
    made: np.ndarray = (total[nights] - total[first]) / (nights - first)
    return made
