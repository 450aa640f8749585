"""Ordinals on the command line: the number of a row, a run or an entry, counted from 0."""

DIGITS = 18  # all such numbers fit int64; Python itself refuses to parse thousands of digits
MOST = 10**DIGITS - 1


def ordinal(text: str) -> int | None:
    """Return the number that a text spells; None unless it is at most DIGITS ASCII digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else None
