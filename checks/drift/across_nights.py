"""A night among the nights before it: findings on what adds up, and on what stands out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from checks.drift import cusum, night_signals
from checks.drift.cusum import Drifting, Series
from checks.drift.night_signals import Signals
from checks.kit import findings

SLOW = "ASSAY-K017"
RECENT = "drift.recent"
Night = Mapping[str, Any]


def judged(
    signals: Signals,
    errors: Mapping[tuple[str, str], float],
    before: Sequence[Night],
    season: int,
) -> findings.Findings:
    """Return at most two findings a column: a slow drift (error), a sudden change (warning).

    Args:
        signals: of this night.
        errors: standard error that the reference gives each column and measure.
        before: earlier nights, oldest first: `run`, `time`, `streams` as signals.
        season: nights after which honest ups and downs repeat.
    """
    parts = []
    for column, measures in signals.items():
        slow, recent = [], []
        for measure, now in measures.items():
            limit = night_signals.limit_of(measure)
            known, given = _given(before, column, measure)
            values, own = np.array([*given, now]).T / limit
            series = Series(values, own, errors.get((column, measure), 0.0) / limit, season)
            if found := cusum.added_up(series):
                slow.append((found, measure, [*known, None][found.since]))
            if (apart := cusum.stands_out(series)) is not None:
                recent.append((apart, measure))
        if slow:
            parts.append(_slow(column, slow, season))
        if recent:
            parts.append(_recent(column, recent, season))
    return findings.concat(parts)


def _given(
    before: Sequence[Night], column: str, measure: str
) -> tuple[list[Night], list[night_signals.Signal]]:
    """Return the nights that have a stream, and what it was then."""
    known, given = [], []
    for night in before:
        signal = night.get("streams", {}).get(column, {}).get(measure)
        if signal is not None:
            known.append(night)
            given.append((float(signal[0]), float(signal[1])))
    return known, given


def _slow(
    column: str, found: list[tuple[Drifting, str, Night | None]], season: int
) -> findings.Findings:
    worst, measure, since = max(found, key=lambda item: abs(item[0].level))
    told = night_signals.told(measure, worst.level * night_signals.limit_of(measure))
    when = f"since run {since['run']} ({str(since['time'])[:10]})" if since else "now"
    return findings.make(
        None,
        check="drift",
        rule=SLOW,
        column=column,
        score=min(1.0, abs(worst.level)),
        evidence=f"Column '{column}' drifts from the reference night by night: {told} in the mean "
        f"of the last {season} nights; it has added up {when}.",
        suggestion="Find out what changes at the source; re-anchor the reference if it is meant.",
    )


def _recent(column: str, found: list[tuple[float, str]], season: int) -> findings.Findings:
    apart, measure = max(found, key=lambda item: abs(item[0]))
    told = night_signals.told(measure, apart * night_signals.limit_of(measure))
    return findings.make(
        None,
        check="drift",
        rule=RECENT,
        severity="warning",
        column=column,
        score=min(1.0, abs(apart) / 2),
        evidence=f"Column '{column}' stands out from the last {season} nights: {told}.",
        suggestion="Find out what changed at the source since the last night.",
    )
