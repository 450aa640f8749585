"""Texts that stop in the middle of a sentence, of a word, or of a block of code.

Judged by the last line: prose that stops without a mark. Lists, headings, signatures and short
answers end without one for good, and some people never write the last mark; so either two earlier
sentences of the text have one, or the last word is no word that occurs elsewhere.
Blind to: texts that were cut at the end of a sentence, in a list, or in their first words; scripts
without blanks between words.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import hashing, word_grams
from provenance.rows.arrow_bytes import mask_of

TAIL = 600  # characters that are looked at
SENTENCES = 2  # that end before the last line stops
WORDS = 24  # bits of a word's place among the known words
_FENCE = "```"
_ENDS = r"""[.!?\x{2026}]["')\]\x{201d}\x{2019}]?\s"""
# the last line is no item of a list or of a table, has six words, and stops at a letter, a digit,
# a comma or an opening bracket
_STOPS = (
    r"""(?:^|\n|[.!?\x{2026}:]["')\]\x{201d}\x{2019}]?\s+)"""
    r"[ \t]*[^\s\-*+>#|0-9\x{2022}\x{2013}\x{2014}][^\n|`]*[\p{L}\p{N},;(\[&/-]$"
)
_LISTED = r"(?:^|\n)[ \t]*(?:[-*+>#|\x{2022}\x{2013}\x{2014}]|\(?[0-9a-z]{1,3}[.)][ \t])[^\n]*$"
_LONG = r"(?:^|\n)[^\n]*?(?:[^\s]+[ \t]+){5,}[^\s]+$"
_LAST = r"(?P<word>\p{L}{2,})$"


def are_cut(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return which texts stop in the middle, and the last word of those that may do so.

    Args:
        texts: large_string, shape (n,).

    Returns:
        is_cut: bool, shape (n,), false where null.
        words: int64, shape (n,), place of the last word of a text that stops without a mark but is
            not cut for certain; -1 for the others.
    """
    trimmed = pc.utf8_rtrim_whitespace(texts)
    is_cut = mask_of(pc.equal(pc.bit_wise_and(pc.count_substring(trimmed, _FENCE), 1), 1))
    words = np.full(len(texts), -1, np.int64)
    tails = pc.utf8_slice_codeunits(trimmed, -TAIL, None)
    at = np.flatnonzero(_matches(tails, _STOPS) & ~is_cut)
    some = tails.take(pa.array(at))
    is_prose = _matches(some, _LONG) & ~_matches(some, _LISTED)
    is_clear = mask_of(pc.greater_equal(pc.count_substring_regex(some, _ENDS), SENTENCES))
    is_cut[at[is_prose & is_clear]] = True
    left = is_prose & ~is_clear
    last = pc.extract_regex(some.filter(pa.array(left)), _LAST)
    is_word = np.asarray(last.is_valid())
    words[at[left][is_word]] = _places(last.drop_null().field("word"))
    return is_cut, words


def known_words(texts: pa.Array) -> np.ndarray:
    """Return the places of all words but the last one of each text, as bits: uint8, 2 MiB.

    Args:
        texts: large_string, shape (n,).
    """
    known = np.zeros(1 << WORDS, bool)
    for low, high in word_grams.parts(texts):
        places, codes, vocabulary = hashing.tokens(texts.slice(low, high - low))
        is_last = np.r_[places[1:] != places[:-1], True][: len(places)]
        inner = np.zeros(len(vocabulary), bool)
        inner[codes[~is_last]] = True
        known[_places(vocabulary.filter(pa.array(inner)))] = True
    return np.packbits(known)


def are_known(known: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return which words are among the known ones: bool, shape (n,), of places as above."""
    found: np.ndarray = known[words >> 3] >> (7 - (words & 7)).astype(np.uint8) & 1 == 1
    return found


def _places(words: pa.Array) -> np.ndarray:
    hashes = hashing.mixed(hashing.text_hashes(pc.utf8_lower(words)))
    return (hashes >> np.uint64(64 - WORDS)).astype(np.int64)


def _matches(texts: pa.Array, pattern: str) -> np.ndarray:
    return mask_of(pc.match_substring_regex(texts, pattern))
