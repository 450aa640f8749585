"""Figures in sentences: p-values, shares and counts, written the same way by every check."""

import math
from collections.abc import Sequence

LEAST_P = 0.001  # a smaller p-value is only bounded: its digits say nothing


def p_value(p: float) -> str:
    """Return a p-value for a sentence: `p < 0.001`, `p = 0.012`."""
    if math.isnan(p):
        return "p unknown"
    return f"p < {LEAST_P}" if p < LEAST_P else f"p = {p:.3f}"


def percent(share: float, decimals: int = 1) -> str:
    """Return a share as a percentage that never rounds something to nothing, or most to all.

    Args:
        share: in [0, 1]; NaN if nothing was there to measure it on.
        decimals: digits after the point, >= 0.
    """
    if math.isnan(share):
        return "an unknown share"
    least = 10.0 ** -(decimals + 2)
    if 0 < share < least:
        return f"under {least:.{decimals}%}"
    if 1 - least < share < 1:
        return f"over {1 - least:.{decimals}%}"
    return f"{share:.{decimals}%}"


def about(share: float, decimals: int = 1) -> str:
    """Return an estimated share: `about 19.9%`, or `under 0.1%` as `percent` says it."""
    text = percent(share, decimals)
    return f"about {text}" if text[0].isdigit() else text


def count(number: int, noun: str) -> str:
    """Return a number with its noun, singular or plural: `1 row`, `2,500 rows`, `0 entries`.

    Args:
        number: >= 0.
        noun: singular; only regular plurals are known.
    """
    return f"{number:,} {noun if number == 1 else _plural(noun)}"


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: `a`, `a and b`, `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "z", "ch", "sh")) else f"{noun}s"
