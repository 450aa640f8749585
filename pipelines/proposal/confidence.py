"""How sure the rows make us of a proposed rule; an unsure one is a warning and says why.

The goal is that at most one fresh honest row in a thousand breaks what is proposed as an error.
What was never seen in n rows may still occur in about 3 of n (the rule of three); with values
that were seen once, it is more (Good 1953). Ends are estimated from the rows nearest to them
(`infer_ends`), which takes enough rows that differ.
"""

from pipelines.proposal.columns import Seen

SHARE = 0.001  # of fresh honest rows that may break a sure rule
END_SHARE = SHARE / 2  # of them, for the ends of all columns together
ROWS = 100  # with fewer, no end and no integer is sure
TELLING = 50  # rows that do not hold the commonest value
RAREST = 10  # rows of the rarest value that make a set of values look whole
DENSE = 6  # n distinct numbers among n * n / 6 would repeat in 19 of 20 samples if they could


def upper(times: int, rows: int) -> float:
    """Return the share that may be seen `times` in so many rows, at 95 % or a little more."""
    return min(1.0, (times + 1 + 2 * (times + 1) ** 0.5) / rows) if rows else 1.0


def told(share: float) -> str:
    """Return a share as a person reads it."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"  # noqa: PLR2004


def of_required(seen: Seen) -> str | None:
    """Return why it is not sure that a column without gaps has none; None if it is."""
    most = upper(0, seen.rows)
    if most <= SHARE:
        return None
    return f"no gap in {seen.rows:,} rows, but {told(most)} may have one"


def of_values(seen: Seen) -> str | None:
    """Return why a set of values may not be whole; None if it is likely to be."""
    counts = list((seen.counts or {}).values())
    once = sum(count == 1 for count in counts)
    most = upper(once, seen.filled)
    if most <= SHARE or (counts and min(counts) >= RAREST):
        return None
    why = f"{once} of {len(counts)} values were seen once" if once else "some values are rare"
    return f"{why} in {seen.filled:,} rows, and {told(most)} may have another"


def of_ends(seen: Seen) -> str | None:
    """Return why the ends of a number are a guess; None if enough rows speak of them."""
    if not is_few(seen):
        return None
    if seen.filled < ROWS:
        return f"{seen.filled:,} rows are few to guess an end from"
    return f"all but {seen.telling:,} of {seen.filled:,} rows are alike: few to guess an end from"


def of_uniqueness(seen: Seen, numbers: tuple[int, int, int] | None) -> str | None:
    """Return why values that all differ may repeat in the next rows; None if they hardly can.

    Args:
        seen: of the column, whose values all differ.
        numbers: (rows, least, greatest) of the numbers in them, None if they are not numbered.
    """
    if upper(0, seen.filled) <= SHARE / 2:
        return None
    if numbers is not None:
        count, least, greatest = numbers
        if (greatest - least + 1) * DENSE <= count * count:
            return None
    return f"{seen.filled:,} rows are few to tell a key from a column that seldom repeats"


def is_few(seen: Seen) -> bool:
    """Return whether too few rows, or too few that differ, speak of a column's scale."""
    return seen.filled < ROWS or seen.telling < TELLING
