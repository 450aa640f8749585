"""What a night leaves for later nights: small signed differences from the reference, by column.

A stream is a column and a measure: `shift` (standard deviations, by rank), `missing` (share of the
cells), `share0` to `share7` and `label0` to `label7` (shares of the reference's most frequent
categories, which have a place and no name here). Protected columns have none.
"""

import math

import numpy as np

from checks.drift.bins import Bins
from checks.drift.effects import LEAST_ROWS, LIMITS, SHIFT_ERROR, shift_of
from checks.kit import findings

MOST_CATEGORIES = 8
MOST = 500  # streams that a night keeps
# measure -> the effect whose limit it is held to
HELD_TO = {"shift": "shift", "missing": "missing", "share": "mix", "label": "label"}
Signal = tuple[float, float]  # difference from the reference, and the night's own standard error
Signals = dict[str, dict[str, Signal]]  # by column and measure
WORDS = {
    "shift": "its values are shifted by {:+.3f} standard deviations",
    "missing": "its share of missing cells differs by {:+.1%}",
    "share": "the share of one of its categories differs by {:+.1%}",
    "label": "the share of one of its classes differs by {:+.1%}",
}


def limit_of(measure: str) -> float:
    """Return the difference at which one night alone is an error."""
    return LIMITS[HELD_TO[_kind(measure)]][1]


def told(measure: str, difference: float) -> str:
    """Say what a difference of a measure means."""
    return WORDS[_kind(measure)].format(difference)


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
        shift = shift_of(before[:known], after[:known])
        made["shift"] = shift, SHIFT_ERROR / math.sqrt(now)
    return _rounded(made)


def _share(before: int, total: int, after: int, now: int) -> Signal:
    share = (after + 1) / (now + 2)
    return after / now - before / total, math.sqrt(share * (1 - share) / now)


def _rounded(made: dict[str, Signal]) -> dict[str, Signal]:
    digits = findings.DECIMALS
    return {name: (round(d, digits) + 0.0, round(e, digits)) for name, (d, e) in made.items()}


def _kind(measure: str) -> str:
    return measure.rstrip("0123456789")
