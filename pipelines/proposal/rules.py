"""The rules that are proposed for a column's values: gaps, sets, ends, and how sure they are.

A rule that the rows do not make sure (`init_doubt`) becomes a warning with the reason beside it.
"""

from pipelines.proposal import confidence, personal
from pipelines.proposal.confidence import END_SHARE
from pipelines.proposal.contract_yaml import Proposal

MOST_CLASSES = 100
_LIST_MOST = 50  # values of a set
_LIST_REPEATS = 5  # rows of each value, on average
_MOST_WHOLE = 2**53  # a float holds no larger integer exactly
_TOP = 2**63 - 1


def propose(proposal: Proposal, numbers: int) -> None:
    """Propose the rules of one column, whose roles are known; `numbers` columns have ends."""
    _propose_type(proposal)
    _propose_required(proposal)
    if _is_set(proposal):
        seen = proposal.seen
        if seen.may_be_listed and not personal.hide(proposal):
            proposal.valid = sorted(seen.counts or ())
            proposal.doubt("valid", confidence.of_values(seen))
    elif proposal.seen.logical in ("integer", "number") and proposal.seen.low is not None:
        propose_ends(proposal, numbers)


def _propose_type(proposal: Proposal) -> None:
    """Let a column of a few whole numbers in a text file hold fractions too."""
    seen = proposal.seen
    is_open = not (seen.is_fixed or proposal.is_named or "label" in proposal.roles)
    if seen.logical != "integer" or not is_open or not confidence.is_few(seen):
        return
    if max(abs(seen.low), abs(seen.high)) < _MOST_WHOLE:
        seen.logical = "number"
        proposal.comments.append(
            f"unsure: all whole in {seen.filled:,} rows; integer, if none can be a fraction"
        )


def _propose_required(proposal: Proposal) -> None:
    seen = proposal.seen
    proposal.is_required = bool(seen.rows) and seen.filled == seen.rows and not proposal.is_key
    if proposal.is_required and "label" not in proposal.roles:
        proposal.doubt("required", confidence.of_required(seen))


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


def propose_ends(proposal: Proposal, numbers: int) -> None:
    """Propose ends with as much room beyond the sample as its rows near them ask for."""
    seen = proposal.seen
    if proposal.is_named:  # numbers that count rows go on
        proposal.ends = (0 if seen.low >= 0 else None), None
        return
    below, above = seen.tails.rooms(END_SHARE / (2 * max(numbers, 1)))
    low, high = seen.low - below, seen.high + above
    why = confidence.of_ends(seen)
    proposal.doubt("maximum", why)
    proposal.doubt("minimum", why)
    if seen.low >= 0 > low:
        low = 0
        if not _is_floor(proposal):
            share = confidence.told(confidence.upper(0, seen.filled))
            proposal.doubt("minimum", why or f"none is below 0, but {share} may be")
    if seen.logical == "integer":
        proposal.ends = max(int(low // 1), -_TOP - 1), min(int(-(-high // 1)), _TOP)
    else:
        proposal.ends = rounded(low, down=True), rounded(high, down=False)


def _is_floor(proposal: Proposal) -> bool:
    """Return whether 0 is likely the end of a column's scale: it is held, or values crowd to it."""
    seen = proposal.seen
    is_known = confidence.upper(0, seen.filled) <= confidence.SHARE
    return bool(seen.low == 0 or is_known or seen.tails.is_crowded())


def rounded(value: float, *, down: bool) -> float | None:
    """Round outwards to three digits; None if there is no finite number left."""
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
