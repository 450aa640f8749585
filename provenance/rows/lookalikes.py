"""Counts texts that look like something else and are kept unchanged.

Words that other readers take for missing values (I031), and cells that a spreadsheet would execute
or a browser would render (I037). Also counted are integers that were written as floats (I042).
"""

import dataclasses
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.base.errors import Notice
from provenance.rows.arrow_bytes import spans
from provenance.rows.missing_words import READ_AS_MISSING

_WORDS = sorted(READ_AS_MISSING)
_WORD_SET = pa.array(_WORDS)
_LONGEST_WORD = max(map(len, _WORDS))
_WORD_STARTS = np.zeros(256, bool)
_WORD_STARTS[[ord(word[0]) for word in _WORDS]] = True
_FORMULA = np.zeros(256, bool)
_FORMULA[list(b"=+@\t\r")] = True
_TAG = r"(?i)<(?:/?[a-z][a-z0-9]*[\s/>]|!--|!doctype)"


@dataclasses.dataclass(frozen=True, slots=True)
class Lookalikes:
    """Numbers of cells, by column, that look like missing values, or like formulas or HTML.

    `floats` are those of integer columns with a fraction of zero, such as `12.0`.
    """

    missing: Counter[str] = dataclasses.field(default_factory=Counter)
    active: Counter[str] = dataclasses.field(default_factory=Counter)
    floats: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, other: "Lookalikes") -> None:
        """Add the counts of another part."""
        self.missing.update(other.missing)
        self.active.update(other.active)
        self.floats.update(other.floats)

    @staticmethod
    def of(table: pa.Table) -> "Lookalikes":
        """Count the plain string columns of a table."""
        counts = Lookalikes()
        for name in table.column_names:
            for column in table[name].chunks:
                if pa.types.is_string(column.type) and len(column):
                    missing, active = _counts(column)
                    counts.missing[name] += missing
                    counts.active[name] += active
        return counts

    def notices(self) -> list[Notice]:
        """Return one notice for each kind that was found."""
        found = []
        for code, counts, kind in (
            ("ASSAY-I031", self.missing, "missing values"),
            ("ASSAY-I037", self.active, "formulas or HTML"),
        ):
            if total := counts.total():
                names = ", ".join(repr(name) for name, count in counts.items() if count)
                message = f"{total:,} cells look like {kind} and are kept as text"
                found.append(Notice(code, message, f"columns {names}"))
        for name, count in self.floats.items():
            if count:
                found.append(float_notice(name, count))
        return found


def float_notice(column: str, cells: int) -> Notice:
    """Return what a person should know about integers that were written as floats."""
    message = f"{cells:,} cells hold whole numbers as floats (12.0); they are read as integers"
    return Notice("ASSAY-I042", message, f"column {column!r}")


def _counts(column: pa.Array) -> tuple[int, int]:
    """Return the numbers of cells that look like missing values, and like formulas or HTML.

    First bytes and lengths rule out most cells; only the others are compared.
    """
    flat, ends = spans(column)
    lengths = np.diff(ends)
    starts = ends[:-1]
    if not lengths.all():
        starts, lengths = starts[lengths > 0], lengths[lengths > 0]
    first = flat[starts]
    active = int(np.count_nonzero(_FORMULA[first]))
    if (flat == ord("<")).any():
        active += _count(pc.match_substring_regex(column, _TAG))
    could = _WORD_STARTS[first] & (lengths <= _LONGEST_WORD)
    if not could.any():
        return 0, active
    return _count(pc.is_in(column, _WORD_SET)), active


def _count(mask: pa.Array) -> int:
    return int(pc.sum(mask).as_py() or 0)
