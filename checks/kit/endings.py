"""Texts that stop in the middle of a sentence or of a block of code.

Judged by the last line: prose that stops without a mark, in a text whose earlier sentences have
one. Lists, headings, signatures and short answers end without a mark for good.
Blind to: texts that were cut at the end of a sentence, in a list, or within the first two
sentences; scripts without blanks between words.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TAIL = 600  # characters that are looked at
SENTENCES = 2  # that end before the last line stops
_FENCE = "```"
_ENDS = r"""[.!?\x{2026}]["')\]\x{201d}\x{2019}]?\s"""
# the last line is no item of a list or of a table, has six words, and stops at a letter, a digit,
# a comma or an opening bracket
_STOPS = (
    r"""(?:^|\n|[.!?\x{2026}:]["')\]\x{201d}\x{2019}]?\s+)"""
    r"[ \t]*[^\s\-*+>#|0-9\x{2022}\x{2013}\x{2014}][^\n|`]*[\p{L}\p{N},;(\[&/-]$"
)
_LISTED = r"(?:^|\n)[ \t]*(?:[-*+>#|\x{2022}\x{2013}\x{2014}]|\(?[0-9a-z]{1,3}[.)][ \t])[^\n]*$"
_WORDS = r"(?:^|\n)[^\n]*?(?:[^\s]+[ \t]+){5,}[^\s]+$"


def are_cut(texts: pa.Array) -> np.ndarray:
    """Return which texts stop in the middle: bool, shape (n,), false where null.

    Args:
        texts: string or large_string, shape (n,).
    """
    found = np.zeros(len(texts), bool)
    trimmed = pc.utf8_rtrim_whitespace(texts)
    is_open = _mask(pc.equal(pc.bit_wise_and(pc.count_substring(trimmed, _FENCE), 1), 1))
    tails = pc.utf8_slice_codeunits(trimmed, -TAIL, None)
    at = np.flatnonzero(_matches(tails, _STOPS) & ~is_open)
    some = tails.take(pa.array(at))
    is_prose = _matches(some, _WORDS) & ~_matches(some, _LISTED)
    is_prose &= _mask(pc.greater_equal(pc.count_substring_regex(some, _ENDS), SENTENCES))
    found[at[is_prose]] = True
    found |= is_open
    return found


def _matches(texts: pa.Array, pattern: str) -> np.ndarray:
    return _mask(pc.match_substring_regex(texts, pattern))


def _mask(values: pa.Array) -> np.ndarray:
    mask: np.ndarray = pc.fill_null(values, fill_value=False).to_numpy(zero_copy_only=False)
    return mask
