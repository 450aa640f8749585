"""Cells that differ from the majority of their column: how many are tolerated, and what they are.

A column is of a type, or within a range or a set, if at 95 % confidence fewer than MOST of its
cells differ. So 1 cell of 97 may differ, 10 of 353, and 36 of 1,000: fewer rows are no evidence,
and what more cells share is no fault but a part of the data. The deviants are kept out of the
proposed rules, which therefore hold their rows; examples are masked where they may be personal.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from checks.kit.wording import count
from provenance.rows.missing_words import MAYBE_MISSING

MOST = 0.05  # share of deviants that a majority may have
EXAMPLES = 3
_LONGEST = 24  # characters of an example

_TESTS = r"""
test tests testing test1 test2 asdf asdfgh qwerty xxx xxxx aaa foo bar foobar dummy todo
lorem n/n blah sample placeholder default abc abc123 123 1234 12345
"""
TESTS = frozenset(_TESTS.split())
_KINDS = (
    (r"^#[A-Z/0]+[!?A]?$", "errors of a spreadsheet"),
    (r"^\s|\s$", "blanks around the value"),
    (r"^[+-]?\d{1,3}(?:[.,' \u00a0\u202f]\d{3})+(?:[.,]\d*)?$", "thousands separators"),
    (r"^[+-]?\d+,\d+$", "decimal commas"),
    (r"^[+-]?(?:0|[1-9]\d*)?\.?\d+[eE][+-]?\d+$", "exponents"),
    (r"^\+", "plus signs"),
    (r"^-?0\d", "leading zeros"),
    (r"(?i)^[+-]?(?:nan|inf|infinity)$", "NaN or infinity"),
    (r"^\D{0,3}[$€£¥]|[$€£¥%]\s*$", "currency or percent signs"),
    (r"^[<>~≈=]", "signs such as < or ~"),
    (r"^[+-]?[\d.,]+\s*[^\W\d_]{1,6}$", "numbers with a unit or letters"),
    (r"^[^0-9]*[^\W\d_][^0-9]*$", "words"),
)
_MOMENT = re.compile(
    r"^\d{1,4}[-/. ](?:\d{1,2}|[A-Za-z]{3,9})[-/., ]+\d{1,4}\b|^[A-Za-z]{3,9}\.? \d{1,2},? \d{4}\b"
)


def upper(times: int, rows: int) -> float:
    """Return the largest likely share of what occurred `times` in `rows`, at 95 % confidence."""
    return min(1.0, (times + 1 + 2 * (times + 1) ** 0.5) / rows) if rows else 1.0


def is_rare(times: int, rows: int) -> bool:
    """Return whether so few cells differ that they are deviants and not a part of the data."""
    return upper(times, rows) <= MOST


def most_rare(rows: int) -> int:
    """Return the most cells of so many rows that `is_rare` takes for deviants; -1 if not even 0."""
    return int(((1 + MOST * rows) ** 0.5 - 1) ** 2) - 1


@dataclasses.dataclass(slots=True)
class Deviants:
    """Cells of one column that are kept out of its rules: kind -> cell -> rows."""

    kinds: dict[str, Counter[str]] = dataclasses.field(default_factory=dict)

    def add(self, kind: str, cell: str, rows: int) -> None:
        """Add rows with the same cell."""
        self.kinds.setdefault(kind, Counter())[cell] += rows

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of cells of each kind."""
        return {kind: sum(cells.values()) for kind, cells in self.kinds.items()}

    def worded(self, filled: int, *, is_private: bool) -> list[str]:
        """Return a sentence for each kind, the most frequent first: count, share, examples."""
        ranked = sorted(self.kinds.items(), key=lambda item: (-sum(item[1].values()), item[0]))
        return [_sentence(kind, cells, filled, is_private) for kind, cells in ranked]


def _sentence(kind: str, cells: Counter[str], filled: int, is_private: bool) -> str:  # noqa: FBT001
    rows = sum(cells.values())
    best = sorted(cells, key=lambda cell: (-cells[cell], cell))
    shown = dict.fromkeys(shortened(masked(c) if is_private else c) for c in best[: 4 * EXAMPLES])
    such = ", ".join(f"'{cell}'" for cell in list(shown)[:EXAMPLES])
    share = 100 * rows / max(filled, 1)
    return f"{count(rows, 'cell')} ({share:.2g} %) kept out of the rules: {kind}, such as {such}"


def read_as_missing(absent: Counter[str]) -> list[str]:
    """Return a sentence on the words and numbers that mean a missing value, [] for none."""
    if not absent:
        return []
    shown = ", ".join(f"'{cell}' {rows:,}" for cell, rows in absent.most_common(2 * EXAMPLES))
    return [f"{count(absent.total(), 'cell')} read as missing (assay.missing): {shown}"]


def doubtful_words(counts: Mapping[Any, int] | None) -> list[str]:
    """Return a sentence on categories that may mean a missing value, [] for none."""
    found = {word: rows for word, rows in (counts or {}).items() if word in MAYBE_MISSING}
    if not found:
        return []
    shown = ", ".join(f"'{word}' {rows:,}" for word, rows in sorted(found.items()))
    return [f"values that may mean a missing one: {shown}; if so, list them in assay.missing"]


def masked(cell: str) -> str:
    """Return the shape of a cell: digits as 9, letters as x."""
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", cell))


def shortened(cell: str) -> str:
    """Return an example that fits a line."""
    return cell if len(cell) <= _LONGEST else cell[: _LONGEST - 3] + "..."


def kind_of(cell: str, logical: str) -> str:
    """Return in words why a cell is not a value of a type."""
    if cell in MAYBE_MISSING:
        return "words for a missing value"
    if logical in ("date", "timestamp", "time"):
        is_moment = bool(_MOMENT.match(cell.strip()))
        return "dates or times in another form" if is_moment else "text instead of a date or time"
    if _MOMENT.match(cell):
        return "dates"
    return next((kind for pattern, kind in _KINDS if re.search(pattern, cell)), "other text")
