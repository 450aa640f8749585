"""The type of a column by the majority of its cells, found by the very cast that a run uses.

A type is proposed if all cells but a rare few (`deviants.is_rare`) are values of it and none of
those loses anything: integers beyond 64 bits, and columns of codes with leading zeros, stay text.
Dates may be in any form that a contract can state; where two forms are mixed, the one that most
cells fit is proposed. Words for a missing value are part of the data if they are frequent.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.proposal import date_forms
from pipelines.proposal.deviants import is_rare
from provenance.base.errors import AssayError
from provenance.rows.cast import cast
from provenance.rows.column_types import ColumnSpec, Logical
from provenance.rows.missing_words import MAYBE_MISSING

KEPT = 1_000  # different deviants that are told apart
# types that are tried, by what all their cells match: a cast costs twenty times as much
_LIKE: dict[str, tuple[Logical, ...]] = {
    r"^[-.0-9]": ("integer", "number"),
    "^[0-9]{4}-": ("date", "timestamp"),
    "^[0-9]{2}:": ("time",),
}
_PROBE = 400  # cells of a shard that are tried first
_LIKELY = 0.4  # of them that must fit
_MIXED = 0.5  # of the cells that the form fits which is proposed for a mixture
_FOREIGN = 0.1  # of the others that need not be dates of another form
_SAME = 0.6  # of the cells of a code have one length
_EXACT_DIGITS = 15  # digits of an integer that a float keeps
_LONG = rf"^-?[0-9]{{{_EXACT_DIGITS + 1},}}(?:\.0*)?$"
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
_CODE = re.compile(
    r"(?i)(^|[_ .-])(code|zip|zip_?code|post_?code|plz|phone|tel|fax|ref|reference|ticket|sku|isbn|"
    r"iban|account|serial|house_?no|part_?no|number|num|nr|no|id|key)([_ .-]|$)"
)


@dataclasses.dataclass(slots=True)
class Typed:
    """The proposed type of a column.

    Attributes:
        logical, form: the type, and the pattern of its dates or times, None for ISO 8601.
        odd: cells that are no value of it; words: those that mean a missing value.
        filled: cells that are not empty; empty: the others.
        comment: on a mixture of forms, None if there is none.
        is_fixed: whether the file itself defines the type.
    """

    logical: Logical = "string"
    form: str | None = None
    odd: Counter[str] = dataclasses.field(default_factory=Counter)
    words: Counter[str] = dataclasses.field(default_factory=Counter)
    filled: int = 0
    empty: int = 0
    comment: str | None = None
    is_fixed: bool = False


@dataclasses.dataclass(slots=True)
class _Candidate:
    """A type, the cells that do not fit it, and those that a float would round."""

    spec: ColumnSpec
    bad: Counter[str] = dataclasses.field(default_factory=Counter)
    lost: int = 0
    long: int = 0
    has_point: bool = False

    def see(self, values: pa.Array) -> None:
        _, codes = cast(values, self.spec)
        if codes.null_count < len(codes):
            self.lost += len(codes) - codes.null_count
            for item in values.filter(pc.is_valid(codes)).value_counts().to_pylist():
                if item["values"] in self.bad or len(self.bad) < KEPT:
                    self.bad[item["values"]] += item["counts"]
        if self.spec.logical == "number":
            good = values.filter(pc.is_null(codes))
            self.has_point |= bool(pc.any(pc.match_substring(good, ".")).as_py())
            self.long += pc.sum(pc.match_substring_regex(values, _LONG)).as_py() or 0

    @property
    def misses(self) -> int:
        return self.lost + self.long


class Typing:
    """The types that may fit a column, and what does not fit each."""

    def __init__(self, field: pa.Field, *, is_typed: bool, trust: bool) -> None:
        """Start with no type, or with the file's own; `trust` lets no cell deviate."""
        self.fixed = logical_of(field, is_typed=is_typed)
        self.name, self.trust = field.name, trust
        self.open: list[_Candidate] | None = None
        self.words: Counter[str] = Counter()
        self.filled = self.empty = 0
        self.widths: Counter[int] = Counter()

    def see(self, values: pa.Array) -> None:
        """Count what does not fit among these cells."""
        if self.fixed is not None:
            return
        if values.null_count == len(values):  # perhaps of no type at all
            self.empty += len(values)
            return
        present = values.filter(pc.not_equal(pc.fill_null(values, ""), ""))
        self.empty += len(values) - len(present)
        self.filled += len(present)
        is_word = pc.is_in(present, pa.array(sorted(MAYBE_MISSING)))
        for item in present.filter(is_word).value_counts().to_pylist():
            self.words[item["values"]] += item["counts"]
        plain = present.filter(pc.invert(is_word))
        if not len(plain):
            return
        if self.open is None:
            self.open = self._candidates(plain)
        for candidate in self.open:
            candidate.see(plain)
        most = self.filled - sum(self.words.values())
        self.open = [c for c in self.open if not c.lost or (not self.trust and c.lost < 2 * most)]

    def settled(self) -> Typed:
        """Return the type that fits best."""
        made = Typed(filled=self.filled, empty=self.empty, is_fixed=self.fixed is not None)
        if self.fixed is not None or not self.open:
            made.logical = self.fixed or "string"
            return made
        body = self.filled - sum(self.words.values())
        fits = [c for c in self.open if self._may_be(c, body)]
        best = min(fits, key=lambda c: c.misses, default=None)
        if best is not None and best.spec.logical == "timestamp" and best.spec.format is None:
            best = next((c for c in fits if c.spec.logical == "date"), best)
        if best is None:
            return self._mixture(made, body)
        twin = self._twin(best)
        if twin is not None and twin.misses == best.misses:
            forms = " and ".join(sorted(str(c.spec.format) for c in (best, twin)))
            made.comment = f"every date reads both as {forms}: set logicalType and its format"
            return made
        return self._taken(made, best)

    def _taken(self, made: Typed, best: _Candidate) -> Typed:
        made.logical, made.form = best.spec.logical, best.spec.format
        made.odd, made.words = best.bad, self.words
        if best.lost > sum(best.bad.values()):
            made.odd["(others)"] = best.lost - sum(best.bad.values())
        return made

    def _mixture(self, made: Typed, body: int) -> Typed:
        """Return the form that most dates have, if nearly all others are dates of another form."""
        moments = [c for c in self.open or () if c.spec.logical in ("date", "timestamp", "time")]
        best = min(moments, key=lambda c: c.lost, default=None)
        if best is None or self.trust or best.lost > (1 - _MIXED) * body:
            return made
        own = best.spec.format or "ISO 8601"
        others = Counter[str]()
        for cell, rows in best.bad.items():
            others[_form_of(cell)] += rows
        foreign = others.pop("", 0) + others.pop(own, 0)  # no dates, or dates that do not exist
        if foreign > _FOREIGN * best.bad.total():
            return made
        told = ", ".join(f"{rows:,} {form}" for form, rows in others.most_common(3))
        made.comment = (
            f"forms are mixed: {body - best.lost:,} of {body:,} cells are {own}, which is "
            f"proposed; the others will be held: {told}"
        )
        return self._taken(made, best)

    def _twin(self, best: _Candidate) -> _Candidate | None:
        """Return the same form with day and month swapped, if it was tried."""
        form = best.spec.format
        wanted = date_forms.other_order(form) if form else None
        if wanted is None or wanted == form:
            return None
        return next((c for c in self.open or () if c.spec.format == wanted), None)

    def _may_be(self, candidate: _Candidate, body: int) -> bool:
        is_number = candidate.spec.logical == "number"
        if is_number and not candidate.has_point:
            return False
        if candidate.misses == 0:
            return True
        is_numeric = is_number or candidate.spec.logical == "integer"
        if self.trust or (is_numeric and self._is_code(candidate.bad)):
            return False
        return is_rare(candidate.misses, body)

    def _is_code(self, bad: Iterable[str]) -> bool:
        """Return whether cells that are no numbers show a code: 12a, or 0123 as long as others."""
        if _CODE.search(self.name) and any(
            re.search(r"^0\d|\d[^\W\d_]|[^\W\d_]\d", c) for c in bad
        ):
            return True
        width, times = self.widths.most_common(1)[0]
        is_even = times >= _SAME * self.widths.total()
        return is_even and any(re.match(r"0\d", cell) and len(cell) == width for cell in bad)

    def _candidates(self, values: pa.Array) -> list[_Candidate]:
        """Return the types that a sample of the cells makes likely."""
        places = np.unique(np.linspace(0, len(values) - 1, _PROBE).astype(int))
        probe = values.take(pa.array(places))
        cells = probe.to_pylist()
        self.widths.update(map(len, cells))
        tried = [ColumnSpec("", kind) for kind in _tried(probe)]
        if pc.any(pc.match_substring_regex(probe, date_forms.LIKE_ONE)).as_py():
            tried += date_forms.specs(cells)
        least = (1.0 if self.trust else _LIKELY) * len(probe)
        return [_Candidate(spec) for spec in tried if cast(probe, spec)[1].null_count >= least]


def _tried(probe: pa.Array) -> list[Logical]:
    """Return the types of which a cell of the probe has at least the characters."""
    return [
        kind
        for pattern, kinds in _LIKE.items()
        if pc.any(pc.match_substring_regex(probe, pattern)).as_py()
        for kind in kinds
    ]


def _form_of(cell: str) -> str:
    """Return a form of a date in words, '' for none."""
    if re.match(r"^\d{4}-\d\d-\d\d(?:$|[T ])", cell):
        return "ISO 8601"
    found = sorted({pattern for _, pattern in date_forms.forms(cell)}, key=lambda p: (-len(p), p))
    if found:
        twin = date_forms.other_order(found[0])
        return f"{found[0]} or {twin}" if twin in found and twin != found[0] else found[0]
    return ""


def logical_of(field: pa.Field, *, is_typed: bool) -> Logical | None:
    """Return the logical type of a typed column; None for text whose type must be found.

    Raises:
        AssayError: ASSAY-I008 if no logical type corresponds to it.
    """
    plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    tests: list[tuple[Any, Logical]] = [
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "number"),
        (pa.types.is_decimal, "number"),
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_time, "time"),
    ]
    found: Logical | None = next((logical for test, logical in tests if test(plain)), None)
    if found is None and not any(test(plain) for test in _TEXTS):
        what = f"column '{field.name}' has the type {field.type}, which a contract cannot describe"
        raise AssayError("I008", what, fix="leave it out of the export, or export it as text")
    return "string" if found is None and is_typed else found
