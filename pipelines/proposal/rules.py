"""The rules proposed for a column: missing values, sets, limits; and how sure the rows make us.

The goal: at most one fresh legitimate row in a thousand violates what is proposed as an error. A
rule that is not that sure becomes a warning and says why. What did not occur in n rows may still
occur in about 3 of n (the rule of three), and in more if some values occurred only once (Good
1953). Limits are extrapolated from the rows nearest to them (`columns.Tails`).
"""

import datetime as dt
from typing import Any

import numpy as np

from pipelines.proposal import privacy
from pipelines.proposal.columns import Seen
from pipelines.proposal.contract_yaml import Proposal
from pipelines.proposal.deviants import upper
from pipelines.proposal.far import DAY

SHARE = 0.001  # of fresh legitimate rows that may violate a sure rule
END_SHARE = SHARE / 2  # of them, for the limits of all columns together
ROWS = 100  # with fewer, no limit and no integer is sure
TELLING = 50  # rows with another than the commonest value, for a sure limit
RAREST = 10  # rows of the rarest value that make a set of values look complete
MOST_CLASSES = 100
_LIST_MOST = 50  # values of a set
_LIST_REPEATS = 5  # rows per value, on average
_MOST_WHOLE = 2**53  # above it, a float cannot hold every integer
_TOP = 2**63 - 1
YEARS = dt.timedelta(days=2 * 366)  # beyond the last date, at least; five times that at most


def propose(proposal: Proposal, numbers: int) -> None:
    """Propose the rules of a column with known roles; `numbers` columns in all have limits."""
    _propose_type(proposal)
    _propose_required(proposal)
    seen = proposal.seen
    if _is_set(proposal):
        if seen.may_be_listed and not privacy.hide(proposal):
            proposal.valid = sorted(seen.counts or ())
            proposal.doubt("valid", _doubt_values(seen))
    elif seen.logical in ("integer", "number") and seen.low is not None:
        propose_ends(proposal, numbers)
    elif seen.logical in ("date", "timestamp") and seen.low is not None:
        _propose_days(proposal)


def doubt_uniqueness(seen: Seen, *, is_dense: bool) -> str | None:
    """Return why values that all differ may repeat in new rows; None if that is unlikely.

    Args:
        seen: facts about the column, whose values all differ.
        is_dense: whether the numbers in them are so dense that they would repeat if they could.
    """
    if upper(0, seen.filled) <= SHARE / 2 or is_dense:
        return None
    return f"{seen.filled:,} rows are too few to tell a key from a column that rarely repeats"


def propose_ends(proposal: Proposal, numbers: int) -> None:
    """Propose limits with as much room beyond the sample as the rows near them call for."""
    seen = proposal.seen
    if proposal.is_named or seen.grows:  # numbers that count rows will go on
        proposal.ends = (0 if seen.low >= 0 else None), None
        return
    below, above = seen.tails.rooms(END_SHARE / (2 * max(numbers, 1)))
    low, high = seen.low - below, seen.high + above
    why = _doubt_ends(seen)
    proposal.doubt("maximum", why)
    proposal.doubt("minimum", why)
    if seen.low >= 0 > low:
        low = 0
        if not _is_floor(seen):
            share = _percent(upper(0, seen.filled))
            proposal.doubt("minimum", why or f"no value is below 0, but up to {share} may be")
    least, most = _clear(seen)
    low, high = max(low, least), min(high, most)
    if seen.logical == "integer":
        proposal.ends = max(int(low // 1), -_TOP - 1), min(int(-(-high // 1)), _TOP)
    else:
        ends = rounded(low, down=True), rounded(high, down=False)
        proposal.ends = _within(ends[0], least, down=True), _within(ends[1], most, down=False)


def _clear(seen: Seen) -> tuple[float, float]:
    """Return ends that shut out the values that are kept out: half-way to the nearest of them."""
    below, above = seen.near
    least = seen.low / 2 + below / 2 if np.isfinite(below) and below < seen.low else -np.inf
    most = seen.high / 2 + above / 2 if np.isfinite(above) and above > seen.high else np.inf
    return least, most


def _within(end: float | None, limit: float, *, down: bool) -> float | None:
    """Return a rounded end, or the limit that rounding has passed."""
    if end is None or not np.isfinite(limit):
        return end
    return max(end, limit) if down else min(end, limit)


def _propose_days(proposal: Proposal) -> None:
    """Propose an end of a date only where dates are kept out, with years of room for new ones."""
    seen = proposal.seen
    ticks = 1 if seen.logical == "date" else DAY
    below, above = seen.near
    room = (seen.high - seen.low) / 10
    low, high = None, None
    if np.isfinite(below):
        low = _moment((below + _ticks(seen.low)) / 2, ticks)
        low = seen.low - room if seen.low - low > room else low
    if np.isfinite(above):
        high = _moment((above + _ticks(seen.high)) / 2, ticks)
        high = seen.high + 5 * YEARS if high - seen.high > 5 * YEARS else high
        high = high if high - seen.high >= YEARS else None  # the next days are to come
    proposal.ends = low, high
    why = _doubt_ends(seen)
    proposal.doubt("minimum", why)
    proposal.doubt("maximum", why)


def _ticks(moment: Any) -> float:
    if isinstance(moment, dt.datetime):
        return float((moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1))  # noqa: DTZ001
    return float((moment - dt.date(1970, 1, 1)).days)


def _moment(ticks: float, unit: int) -> Any:
    if unit == 1:
        return dt.date(1970, 1, 1) + dt.timedelta(days=int(ticks))
    found = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=int(ticks))  # noqa: DTZ001
    return found.replace(microsecond=0)


def rounded(value: float, *, down: bool) -> float | None:
    """Round outwards to three digits; None if no finite number is left."""
    if value == 0 or abs(value) == float("inf"):
        return 0.0 if value == 0 else None
    near = float(f"{value:.2e}")
    step = float(f"1e{int(f'{value:e}'.rpartition('e')[2]) - 2}")
    if down and near > value:
        near -= step
    if not down and near < value:
        near += step
    found = float(f"{near:.3g}")
    return found if abs(found) != float("inf") else None


def _propose_type(proposal: Proposal) -> None:
    """Allow fractions in a text file's column of only a few whole numbers."""
    seen = proposal.seen
    is_open = not (seen.is_fixed or proposal.is_named or "label" in proposal.roles)
    if seen.logical != "integer" or not is_open or not _is_few(seen):
        return
    if max(abs(seen.low), abs(seen.high)) < _MOST_WHOLE:
        seen.logical = "number"
        why = f"all {seen.filled:,} values are whole; use integer if none can be a fraction"
        proposal.comments.append(f"unsure: {why}")


def _propose_required(proposal: Proposal) -> None:
    seen = proposal.seen
    proposal.is_required = seen.is_complete and not proposal.is_key and not proposal.is_partial
    most = upper(0, seen.rows)
    if proposal.is_required and "label" not in proposal.roles and most > SHARE:
        why = f"no value is missing in {seen.rows:,} rows, but up to {_percent(most)} may be"
        proposal.doubt("required", why)


def _is_set(proposal: Proposal) -> bool:
    seen = proposal.seen
    if not seen.counts:
        return False
    if "label" in proposal.roles:
        is_class = seen.logical in ("string", "integer", "boolean")
        return is_class and seen.distinct <= MOST_CLASSES
    return (
        seen.logical == "string"
        and "text" not in proposal.roles
        and not proposal.is_named
        and seen.distinct <= _LIST_MOST
        and seen.filled >= _LIST_REPEATS * seen.distinct
    )


def _doubt_values(seen: Seen) -> str | None:
    """Return why a set of values may be incomplete; None if it is probably complete."""
    counts = list((seen.counts or {}).values())
    once = sum(count == 1 for count in counts)
    most = upper(once, seen.filled)
    if most <= SHARE or (counts and min(counts) >= RAREST):
        return None
    why = f"{once} of {len(counts)} values appeared only once" if once else "some values are rare"
    return f"{why} in {seen.filled:,} rows; up to {_percent(most)} may have another"


def _doubt_ends(seen: Seen) -> str | None:
    """Return why the limits of a number are a guess; None if enough rows support them."""
    if not _is_few(seen):
        return None
    if seen.filled < ROWS:
        return f"{seen.filled:,} rows are too few to estimate the range"
    return f"only {seen.telling:,} of {seen.filled:,} rows differ from the commonest value"


def _is_few(seen: Seen) -> bool:
    """Return whether too few rows, or too few different ones, show a column's range."""
    return seen.filled < ROWS or seen.telling < TELLING


def _is_floor(seen: Seen) -> bool:
    """Return whether 0 is probably the end of the scale: it occurs, or values crowd there."""
    return bool(seen.low == 0 or upper(0, seen.filled) <= SHARE or seen.tails.is_crowded())


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"  # noqa: PLR2004
