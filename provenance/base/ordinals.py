"""Ordinals as people write them: the number of a row, a run or an entry, from 0."""

DIGITS = 18  # all of which fit int64; Python itself refuses to read thousands of them
MOST = 10**DIGITS - 1


def ordinal(text: str) -> int | None:
    """Return the number that a text is; None unless it is ASCII digits, and no more than DIGITS."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else None
