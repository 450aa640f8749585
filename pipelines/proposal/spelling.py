"""Categories that are kept out of a proposed set: odd spellings and what is no category at all.

A value is an odd spelling of a usual one if it is at least ten times rarer and differs by case,
blanks, signs or look-alike letters only, by one letter (two in long words), by a wrong encoding, or
is its initial. Words such as `#N/A` and `test`, and numbers among words, are no categories while
they are rare. In a large table, what hardly occurs is left out too: it may be anything.
Blind to: wrong categories that are spelt well; misspellings that are common.
"""

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from checks.kit import text_folding
from pipelines.proposal.deviants import TESTS, is_rare
from provenance.rows.missing_words import NO_CATEGORY

RARER = 10  # times rarer than the usual spelling
SHARE = 0.03  # of the rows that odd spellings of one value have at most
SHORTEST, LONG = 4, 8  # letters of a word that one letter may be wrong in, and two letters
MIDDLE = 6  # letters of a word in which one may be another, if the spelling is not seldom
FEW = 3  # rows of a spelling that is wrong in two letters
LEAST_ROWS = 500  # of a table in which a value may hardly occur
HARDLY = 0.0005  # of the rows such a value has at most, or one row
FAR_RARER = 20  # times rarer than all others, if such values have more than FREE of the rows
FREE = 0.0005  # of the rows, which honest values may lose
MOST_USUAL = 50  # values of a set
_MOST = 200  # usual values that are compared with
_LETTERS = 0.9  # of the rows hold a letter where a number is no category


def odd(counts: Counter[Any]) -> dict[str, str]:
    """Return the values to keep out, each with its kind in words."""
    total = sum(counts.values())
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    if not total or counts[ranked[0]] < RARER:
        return {}
    usual = [value for value in ranked[:_MOST] if counts[value] >= RARER]
    found: dict[str, str] = {}
    spelt = _Usual(usual, counts)
    wordy = sum(n for value, n in counts.items() if re.search(r"[^\W\d_]", value)) / total
    for value in ranked:
        if counts[value] * RARER > counts[ranked[0]] or counts[value] > SHARE * total:
            continue
        kind = spelt.variant(value) or _no_category(value, counts[value], total, wordy)
        if kind:
            found[value] = kind
    return found | dict.fromkeys(_hardly(ranked, counts, found), "values that hardly occur")


def absent(counts: Counter[Any]) -> list[str]:
    """Return the words that mean a missing value in a column of few categories, and often."""
    total = sum(counts.values())
    words = [value for value in counts if value in NO_CATEGORY]
    rows = sum(counts[word] for word in words)
    is_set = len(counts) <= MOST_USUAL and total >= 5 * len(counts) > 5 * len(words)
    return words if is_set and not is_rare(rows, total) else []


def _hardly(ranked: list[str], counts: Counter[Any], found: Mapping[str, str]) -> list[str]:
    """Return the rarest values: far rarer than all others, or too few to matter."""
    total, left = sum(counts.values()), [value for value in ranked if value not in found]
    most = max(1.0, HARDLY * total)
    rare = [value for value in left if counts[value] <= most]
    rest = len(left) - len(rare)
    if total < LEAST_ROWS or rest < 2 or rest > MOST_USUAL:  # noqa: PLR2004  one value is no set
        return []
    is_gap = counts[left[rest - 1]] >= FAR_RARER * max((counts[v] for v in rare), default=1)
    rows = sum(counts[value] for value in rare)
    return rare if rows <= (SHARE if is_gap else FREE) * total else []


@dataclasses.dataclass(slots=True)
class _Usual:
    """The usual values, by the keys that an odd spelling shares with one."""

    values: list[str]
    counts: Counter[Any]

    def variant(self, value: str) -> str | None:
        """Return how a value differs from a usual one that is much commoner."""
        for usual in self.values:
            if usual != value and self.counts[usual] >= RARER * self.counts[value]:
                kind = _same(value, usual)
                if kind is None and self._is_initial(value, usual):
                    kind = "initials of a usual value"
                if kind is None and self._is_misspelt(value, usual):
                    kind = "misspellings of a usual value"
                if kind is not None:
                    return kind
        return None

    def _is_initial(self, value: str, usual: str) -> bool:
        letter = skeleton(value)
        if len(letter) != 1 or skeleton(usual)[:1] != letter:
            return False
        return sum(skeleton(other).startswith(letter) for other in self.values) == 1

    def _is_misspelt(self, value: str, usual: str) -> bool:
        one, other = skeleton(value), skeleton(usual)
        if len(other) < SHORTEST or _digits(one) != _digits(other):
            return False
        is_few = self.counts[value] <= FEW
        is_other_letter = len(one) == len(other) and sorted(one) != sorted(other)
        if not is_few and (one[:1] != other[:1] or (is_other_letter and len(one) < MIDDLE)):
            return False  # Rome and Dome, Iran and Iraq are two words
        most = 2 if len(other) >= LONG and is_few else 1
        return _distance(one, other, most) <= most


def _same(value: str, usual: str) -> str | None:
    """Return how a value differs from a usual one that it stands for; None if it does not."""
    if "".join(value.casefold().split()) == "".join(usual.casefold().split()):
        return "other case or blanks than a usual value"
    if skeleton(value) == skeleton(usual):
        return "look-alikes of a usual value"
    if len(_key(value)) > 2 and _key(value) == _key(usual):  # noqa: PLR2004
        return "other signs than a usual value"
    if _decoded(value) == usual or ("\ufffd" in value and _fits_holes(value, usual)):
        return "usual values in a wrong encoding"
    return None


def _no_category(value: str, times: int, total: int, wordy: float) -> str | None:
    if not is_rare(times, total):
        return None
    if value in NO_CATEGORY or value.strip() == "" or value in ("NA", "None"):
        return "words for a missing value"
    if value.casefold() in TESTS:
        return "words of a test"
    if wordy >= _LETTERS and not re.search(r"[^\W\d_]", value):
        return "numbers or signs among words"
    return None


@functools.lru_cache(4096)
def skeleton(value: str) -> str:
    """Return the key that look-alike texts share."""
    return text_folding.skeleton(value)


@functools.lru_cache(4096)
def _key(value: str) -> str:
    return re.sub(r"[\W_]+", "", skeleton(value))


def _digits(value: str) -> str:
    return re.sub(r"\D", "", value)


def _decoded(value: str) -> str | None:
    for wrong in ("cp1252", "latin-1"):
        try:
            return value.encode(wrong).decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
    return None


def _fits_holes(value: str, usual: str) -> bool:
    pattern = "".join(r".?" if char == "\ufffd" else re.escape(char) for char in value)
    return re.fullmatch(pattern, usual) is not None


def _distance(one: str, other: str, most: int) -> int:
    """Return the edits between two words, swaps of neighbours among them; at most `most` + 1."""
    last: list[int] = []
    row = list(range(len(other) + 1))
    if abs(len(one) - len(other)) > most:
        return most + 1
    for i, char in enumerate(one, 1):
        before, last, row = last, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (char != wanted))
            is_swap = i > 1 and j > 1 and char == other[j - 2] and one[i - 2] == wanted
            row.append(min(cost, before[j - 2] + 1) if is_swap else cost)
        if min(row) > most:
            return most + 1
    return row[-1]
