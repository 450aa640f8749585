"""Hashes of the words of texts, and of runs of n words, in numpy.

Words are compared folded: letter case, compatibility forms and punctuation at the edges of a word
do not count, and each character of a script without blanks between words is a word.
Cost: O(words), vectorised; a caller passes a bounded part of its texts at a time.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import hashing

AT_ONCE = 1 << 22  # bytes of texts whose words are hashed at once
_NO_BLANKS = (
    r"([\x{e00}-\x{eff}\x{1000}-\x{109f}\x{3040}-\x{30ff}\x{3400}-\x{9fff}\x{f900}-\x{faff}])"
)
_STEP = np.uint64(0x9E3779B97F4A7C15)


def parts(texts: pa.Array) -> Iterator[tuple[int, int]]:
    """Yield the bounds of parts of the texts (large_string) with about AT_ONCE bytes each."""
    sizes = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(sizes)
    cuts = np.searchsorted(ends, np.arange(AT_ONCE, ends[-1] if len(ends) else 0, AT_ONCE)) + 1
    yield from itertools.pairwise(np.unique([0, *cuts, len(texts)]).tolist())


def words(texts: pa.Array, *, is_number_one: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the words of texts as (place of the text, hash): int64 and uint64, shape (m,).

    Args:
        texts: large_string, shape (n,); a missing one has no words.
        is_number_one: whether all numbers are the same word.
    """
    folded = pc.fill_null(texts, "")
    if not pc.all(pc.string_is_ascii(folded)).as_py():
        folded = pc.utf8_normalize(folded, "NFKC")
        folded = pc.replace_substring_regex(folded, _NO_BLANKS, r" \1 ")
    places, codes, vocabulary = hashing.tokens(folded)
    if is_number_one:
        vocabulary = pc.replace_substring_regex(vocabulary, r"[0-9]+([.,:][0-9]+)*", "0")
    hashes = hashing.mixed(hashing.text_hashes(vocabulary))
    return places, hashes[codes] if len(codes) else np.zeros(0, np.uint64)


def grams(places: np.ndarray, hashes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the runs of `size` words within one text, as (place of the text, hash), in order."""
    count = max(len(hashes) - size + 1, 0)
    joined = np.zeros(count, np.uint64)
    for step in range(size):
        joined = joined * _STEP + hashes[step : step + count]
    is_one = places[:count] == places[size - 1 : size - 1 + count]
    return places[:count][is_one], hashing.mixed(joined[is_one])
