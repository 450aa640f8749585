"""How the numbers of a CSV are written: decimal comma or point, and groups of three digits.

One cell tells little: `76.915` is seventy-six in one export and seventy-six thousand in another. So
columns are judged as a whole, and the file by its columns: `2.624,93` in one column tells what the
points of another mean. A column that does not fit the file's way is left as text, and told.
"""

import dataclasses
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.readers.csv_dialect import THOUSANDS, Dialect
from provenance.rows.arrow_bytes import spans
from provenance.rows.cast import number_pattern
from provenance.rows.column_types import ColumnSpec
from provenance.rows.missing_words import MAYBE_MISSING

SHARE = 0.9  # of a column's cells that must be numbers
_OTHERS = "".join(sep for sep in THOUSANDS if sep not in ",.")
_INT = "(?:0|[1-9][0-9]*)"
_GROUPED = rf"[1-9][0-9]{{0,2}}(?:[{_OTHERS}][0-9]{{3}})+"
# kinds of cells; the first that matches counts
_FORMS: tuple[tuple[str, str], ...] = (
    ("whole", rf"^-?{_INT}$"),
    ("comma group", r"^-?[1-9][0-9]{0,2},[0-9]{3}$"),  # or three decimals
    ("point group", r"^-?[1-9][0-9]{0,2}\.[0-9]{3}$"),  # the same
    ("comma groups", r"^-?[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){2,}|(?:,[0-9]{3})+\.[0-9]*)$"),
    ("point groups", r"^-?[1-9][0-9]{0,2}(?:(?:\.[0-9]{3}){2,}|(?:\.[0-9]{3})+,[0-9]*)$"),
    ("comma", rf"^-?(?:{_INT}|{_GROUPED})?,[0-9]+(?:[eE][+-]?[0-9]+)?$"),
    ("point", rf"^-?(?:(?:{_INT}|{_GROUPED})?\.[0-9]+|{_INT}\.?[0-9]*[eE][+-]?[0-9]+)$"),
    ("other groups", rf"^-?{_GROUPED}$"),
)
_ABSENT = pa.array(sorted({"", *(word.lower() for word in MAYBE_MISSING)}))
_SAMPLE = 1_000
_TELLING = np.zeros(256, bool)  # bytes that no plain number has
_TELLING[list("".join(char for char in THOUSANDS if char != ".").encode())] = True
_COMMA, _POINT = ("comma", "point groups"), ("point", "comma groups")


@dataclasses.dataclass(slots=True)
class Forms:
    """The kinds of cells of one column; `separators` counts the cells with each other one."""

    cells: int = 0
    kinds: Counter[str] = dataclasses.field(default_factory=Counter)
    separators: Counter[str] = dataclasses.field(default_factory=Counter)

    def see(self, cells: pa.Array) -> None:
        """Count cells, none of them missing; a sample if all numbers can only be plain ones."""
        flat, _ = spans(cells)
        if not _TELLING[flat].any():
            cells = cells.slice(0, _SAMPLE)
        # words for a missing value say nothing about numbers
        cells = cells.filter(pc.invert(pc.is_in(pc.utf8_lower(cells), _ABSENT)))
        self.cells += len(cells)
        left = cells
        for kind, pattern in _FORMS:
            is_kind = pc.match_substring_regex(left, pattern)
            hits = pc.sum(is_kind).as_py() or 0
            if hits and kind in ("comma", "point", "other groups"):
                self._count_separators(left.filter(is_kind))
            self.kinds[kind] += hits
            left = left.filter(pc.invert(is_kind)) if hits else left

    def _count_separators(self, numbers: pa.Array) -> None:
        for separator in _OTHERS:
            self.separators[separator] += pc.sum(pc.match_substring(numbers, separator)).as_py()

    @property
    def is_numeric(self) -> bool:
        """Return whether nearly all cells are numbers, however written."""
        return bool(self.cells) and self.kinds.total() >= SHARE * self.cells

    def has(self, kinds: tuple[str, ...]) -> bool:
        """Return whether cells of these kinds occur."""
        return any(self.kinds[kind] for kind in kinds)


def notation(columns: dict[str, Forms]) -> tuple[str, str]:
    """Return the decimal and the thousands character of a file; `.` and nothing by default."""
    numeric = [forms for forms in columns.values() if forms.is_numeric]
    comma = sum(forms.has(_COMMA) and not forms.has(_POINT) for forms in numeric)
    point = sum(forms.has(_POINT) and not forms.has(_COMMA) for forms in numeric)
    decimal = "," if comma > point else "."
    separators: Counter[str] = Counter()
    for forms in numeric:
        separators += forms.separators
        if decimal == ",":
            separators["."] += forms.kinds["point groups"] + forms.kinds["point group"]
        else:  # three digits after a comma are a group only if points are decimal elsewhere
            separators[","] += forms.kinds["comma groups"]
            separators[","] += forms.kinds["comma group"] if point else 0
    thousands = max(separators, key=lambda char: separators[char], default="")
    return decimal, thousands if separators[thousands] else ""


def plain(cells: pa.Array, dialect: Dialect) -> tuple[pa.Array, int]:
    """Return a column with its numbers in plain notation, and how many cells are numbers.

    What is a number in plain notation only gets a blank, so that it is none.
    """
    spec = ColumnSpec("", "number", decimal=dialect.decimal, thousands=dialect.thousands)
    fits = pc.match_substring_regex(cells, number_pattern(spec))
    made = cells
    if dialect.thousands:
        made = pc.replace_substring(made, dialect.thousands, "")
    made = pc.replace_substring(made, dialect.decimal, ".")
    is_other = pc.match_substring_regex(cells, number_pattern(ColumnSpec("", "number")))
    left = pc.if_else(is_other, pc.binary_join_element_wise(cells, "", " "), cells)
    return pc.if_else(fits, made, left), pc.sum(fits).as_py() or 0


def ambiguity(forms: Forms) -> str | None:
    """Return how three digits after a comma or point are read, if only other columns tell it."""
    telling = set(forms.kinds) - {"whole", "comma group", "point group"}
    if forms.has(tuple(telling)):
        return None
    for kind, mark in (("comma group", "comma"), ("point group", "point")):
        if forms.kinds[kind]:
            return f"a {mark} before three digits is read as in the other columns of the file"
    return None


def doubt(forms: Forms, dialect: Dialect) -> str | None:
    """Return why a column of numbers is left as text; None if it is not one, or is none."""
    if not forms.is_numeric or not forms.has(tuple(kind for kind, _ in _FORMS[1:])):
        return None
    if forms.has(_COMMA) and forms.has(_POINT):
        what = "some numbers have a decimal comma and some a decimal point"
    elif dialect.decimal == "," and forms.has(_POINT):
        what = "its numbers have a decimal point, but those of most columns a decimal comma"
    elif dialect.decimal == "." and forms.has(_COMMA):
        what = "its numbers have a decimal comma, but those of most columns a decimal point"
    elif forms.kinds["comma group"] and not dialect.thousands:
        what = "its commas may be decimal or between thousands: set assay.csv.decimal or thousands"
    else:
        what = "its numbers are not written like those of other columns"
    return f"left as text: {what}"
