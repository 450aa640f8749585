"""A run among the earlier runs of its dataset: slow drift adds up, sudden change stands out.

A run leaves streams: small signed differences from the reference, by column and measure. Measures
are `shift` (standard deviations, by rank), `missing` (share of the cells), and `share0` to `share7`
or `label0` to `label7` (shares of the reference's most frequent categories, which have a place and
no name here). Protected columns have none. In `Series` all values are multiples of the limit at
which a single run is an error. `added_up` sums how far a stream's mean over one season exceeds what
does not matter, in either direction (CUSUM, Page 1954): over a whole season, ups and downs of any
shape cancel. Seasons are counted in runs, not dates.
Blind to: seasons longer than the option `season`; levels under a third of a limit.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from checks.drift.bins import Bins
from checks.drift.effects import LEAST_ROWS, LIMITS, SHIFT_ERROR, shift_of
from checks.kit import findings

SLOW = "ASSAY-K017"
RECENT = "drift.recent"
MOST_CATEGORIES = 8
MOST = 500  # streams that a run keeps
# measure -> (effect whose limit applies, wording)
MEASURES = {
    "shift": ("shift", "its values are shifted by {:+.3f} standard deviations"),
    "missing": ("missing", "its share of missing cells differs by {:+.1f} percentage points"),
    "share": ("mix", "the share of one of its categories differs by {:+.1f} percentage points"),
    "label": ("label", "the share of one of its classes differs by {:+.1f} percentage points"),
}
SEASON = 7  # runs
ALLOWED = 1 / 3  # of a limit: a level that does not matter
ALARM = 2 / 3  # limits x runs beyond it
ERRORS = 3.0  # standard errors of the level that are put down to chance
LARGEST = 2.0  # limits that a single run may count for
SUDDEN = 0.5  # of a limit, against the last season
SUDDEN_ERRORS = 4.0
MEMORY = 4  # seasons that show how much runs differ anyway
KNOWN = 4  # differences between corresponding runs of two seasons that suffice to tell

Signal = tuple[float, float]  # difference from the reference, and the run's own standard error
Signals = dict[str, dict[str, Signal]]  # by column and measure
Earlier = Mapping[str, Any]  # `run`, `time`, `streams` as signals


def signals(bins: Bins, counts: np.ndarray, *, is_label: bool) -> dict[str, Signal]:
    """Return each measure of a column, rounded; none if there are too few rows."""
    known = bins.size + (bins.kind == "category")
    before, after = bins.reference[: bins.size + 2], counts[: bins.size + 2]
    if min(before.sum(), after.sum()) < LEAST_ROWS:
        return {}
    made = {"missing": _share(before[-1], before.sum(), after[-1], after.sum())}
    total, now = int(before[:known].sum()), int(after[:known].sum())
    if min(total, now) < LEAST_ROWS:
        return _rounded(made)
    if bins.kind == "category":
        name = "label" if is_label else "share"
        for place in range(min(bins.size, MOST_CATEGORIES)):
            made[f"{name}{place}"] = _share(before[place], total, after[place], now)
    elif bins.size > 1:
        made["shift"] = shift_of(before[:known], after[:known]), SHIFT_ERROR / math.sqrt(now)
    return _rounded(made)


def _share(before: int, total: int, after: int, now: int) -> Signal:
    share = (after + 1) / (now + 2)
    return after / now - before / total, math.sqrt(share * (1 - share) / now)


def _rounded(made: dict[str, Signal]) -> dict[str, Signal]:
    digits = findings.DECIMALS
    return {name: (round(d, digits) + 0.0, round(e, digits)) for name, (d, e) in made.items()}


def _kind(measure: str) -> str:
    return measure.rstrip("0123456789")


def _limit(measure: str) -> float:
    """Return the difference at which a single run is an error."""
    return LIMITS[MEASURES[_kind(measure)][0]][1]


def _worded(measure: str, multiple: float) -> str:
    """Return a difference, given as a multiple of its limit, as a sentence."""
    unit = 1 if measure == "shift" else 100
    return MEASURES[_kind(measure)][1].format(unit * multiple * _limit(measure))


def judged(
    current: Signals,
    errors: Mapping[tuple[str, str], float],
    before: Sequence[Earlier],
    season: int,
) -> findings.Findings:
    """Return at most two findings per column: slow drift (error), sudden change (warning).

    Args:
        current: signals of this run.
        errors: standard error that the reference adds to each column and measure.
        before: earlier runs, oldest first.
        season: number of runs after which regular ups and downs repeat.
    """
    parts = []
    for column, measures in current.items():
        slow, recent = [], []
        for measure, now in measures.items():
            limit = _limit(measure)
            known, past = _past(before, column, measure)
            values, own = np.array([*past, now]).T / limit
            series = Series(values, own, errors.get((column, measure), 0.0) / limit, season)
            if found := added_up(series):
                slow.append((found, measure, [*known, None][found.since]))
            if (apart := stands_out(series)) is not None:
                recent.append((apart, measure))
        if slow:
            parts.append(_slow(column, slow, season))
        if recent:
            parts.append(_recent(column, recent, season))
    return findings.concat(parts)


def _past(
    before: Sequence[Earlier], column: str, measure: str
) -> tuple[list[Earlier], list[Signal]]:
    """Return the runs that have a stream, and its signals."""
    known, past = [], []
    for run in before:
        signal = run.get("streams", {}).get(column, {}).get(measure)
        if signal is not None:
            known.append(run)
            past.append((float(signal[0]), float(signal[1])))
    return known, past


def _slow(
    column: str, found: list[tuple["Drifting", str, Earlier | None]], season: int
) -> findings.Findings:
    worst, measure, since = max(found, key=lambda item: abs(item[0].level))
    when = f"since run {since['run']} ({str(since['time'])[:10]})" if since else "in this run"
    return findings.make(
        None,
        check="drift",
        rule=SLOW,
        column=column,
        score=min(1.0, abs(worst.level)),
        evidence=f"Column '{column}' is drifting away from the reference run by run: "
        f"{_worded(measure, worst.level)} on average over the last {season} runs; the drift has "
        f"been adding up {when}.",
        suggestion="find out what is changing at the source; if the change is "
        "intended, make this run the reference: `assay review RUN --anchor`",
    )


def _recent(column: str, found: list[tuple[float, str]], season: int) -> findings.Findings:
    apart, measure = max(found, key=lambda item: abs(item[0]))
    return findings.make(
        None,
        check="drift",
        rule=RECENT,
        severity="warning",
        column=column,
        score=min(1.0, abs(apart) / 2),
        evidence=f"Column '{column}' stands out from the last {season} runs: "
        f"{_worded(measure, apart)}.",
        suggestion="find out what has changed at the source since the last run",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """One stream over the runs, the current run last.

    Attributes:
        values: differences from the reference, shape (runs,), multiples of the limit.
        errors: standard error of each run, same shape and unit.
        reference: standard error that the reference adds to all runs alike.
        season: runs in a season.
    """

    values: np.ndarray
    errors: np.ndarray
    reference: float
    season: int = SEASON

    def noises(self) -> np.ndarray:
        """Return the standard deviation of a run around its season, as known at each run."""
        season, count = self.season, len(self.values)
        noise: np.ndarray = np.sqrt(_means(self.errors**2, season))
        # differences between corresponding runs of two seasons contain no season, and a drift only
        # in their median
        apart = self.values[season:] - self.values[: max(count - season, 0)]
        if len(apart) >= KNOWN:
            padded = np.concatenate([np.full(MEMORY * season - 1, np.nan), apart])
            windows = np.lib.stride_tricks.sliding_window_view(padded, MEMORY * season)
            windows = windows[KNOWN - 1 :]
            off = np.abs(windows - np.nanmedian(windows, axis=1, keepdims=True))
            spread = np.nanmedian(off, axis=1) * 1.4826 / np.sqrt(2)
            first = season + KNOWN - 1
            noise[first:] = np.maximum(noise[first:], spread)
        return noise


@dataclasses.dataclass(frozen=True, slots=True)
class Drifting:
    """A slow drift: its level over the last season, and the run since which it adds up."""

    level: float
    since: int


def added_up(series: Series) -> Drifting | None:
    """Return the drift that is still going on in the last run, None if there is none."""
    values = np.clip(series.values, -LARGEST, LARGEST)
    season = series.season
    errors = np.hypot(series.noises() / np.sqrt(season), series.reference)
    allowances = np.maximum(ALLOWED, ERRORS * errors).tolist()
    levels = _means(values, season).tolist()
    sums, since = {1: 0.0, -1: 0.0}, {1: 0, -1: 0}  # by direction, up and down
    for run in range(season - 1, len(values)):
        level, allowed = levels[run], allowances[run]
        for sign, total in sums.items():
            if total == 0:
                since[sign] = run
            # bounded, so that the alarm soon ends after the drift does
            sums[sign] = min(max(0.0, total + sign * level - allowed), 2 * ALARM)
    found = [sign for sign, total in sums.items() if total > ALARM]
    return Drifting(levels[-1], since[found[0]]) if found else None


def stands_out(series: Series) -> float | None:
    """Return how far the last run differs from the season before it, None if not significantly.

    Needs two seasons: how much runs differ anyway is learnt from runs, not from a formula.
    """
    values = np.clip(series.values, -LARGEST, LARGEST)
    season, last = series.season, len(values) - 1
    if last < 2 * season:
        return None
    apart = (values[season:] - _means(values, season)[season - 1 : -1])[-MEMORY * season - 1 :]
    noise = SUDDEN_ERRORS * series.noises()[-2] * np.sqrt(1 + 1 / season)
    if abs(apart[-1]) > max(SUDDEN + noise, 2 * np.abs(apart[:-1]).max()):
        return float(apart[-1])
    return None


def _means(values: np.ndarray, season: int) -> np.ndarray:
    """Return the mean over the last season, or over all runs so far, at each run."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    runs = np.arange(1, len(values) + 1)
    first = np.maximum(runs - season, 0)
    made: np.ndarray = (total[runs] - total[first]) / (runs - first)
    return made
