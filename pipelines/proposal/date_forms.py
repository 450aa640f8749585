"""Forms of dates and times that cells may have, as the patterns that a contract takes."""

import re
from collections import Counter

from provenance.rows.column_types import ColumnSpec, Logical

MOST_FORMS = 12
SHARE = 0.1  # of the cells that a form must be seen in, to be tried
_DATE = re.compile(
    r"^(?P<a>\d{1,4}|[A-Za-z]{3,9})(?P<s>[-/. ])(?P<b>\d{1,2}|[A-Za-z]{3,9})(?P<t>, |[-/. ])"
    r"(?P<c>\d{4}|\d{1,2})(?P<rest>[T ].*)?$"
)
_CLOCK = re.compile(
    r"^(?P<h>\d{1,2}):(?P<m>\d{2})(?P<s>:\d{2})?(?P<f>\.\d{1,6})?(?P<a> ?[AaPp][Mm])?"
    r"(?P<z>Z|[+-]\d{2}:?\d{2})?$"
)
_YEAR = 4
# what every cell matches that a form of `specs` casts; RE2, for a whole column at once
LIKE_ONE = r"^[0-9A-Za-z]{1,9}[-/. ][0-9A-Za-z]{1,9}[-/., ]|^[0-9]{1,2}:[0-9]"


def specs(cells: list[str]) -> list[ColumnSpec]:
    """Return the forms to try on a column, from a sample of its cells, the most frequent first."""
    seen: Counter[tuple[Logical, str]] = Counter()
    for cell in cells:
        seen.update(forms(cell))
    least = SHARE * len(cells)
    # of two forms that fit alike, the stricter one, with two digits, comes first
    ranked = sorted(seen, key=lambda form: (-seen[form], -len(form[1]), form))[:MOST_FORMS]
    return [ColumnSpec("", form[0], format=form[1]) for form in ranked if seen[form] >= least]


def forms(cell: str) -> set[tuple[Logical, str]]:
    """Return the forms that a cell may have: (type, pattern); those of ISO 8601 are left out."""
    if clock := _clock(cell):
        return {("time", pattern) for pattern in clock if pattern.endswith("a")}
    hit = _DATE.match(cell)
    if hit is None:
        return set()
    days = _days(hit["a"], hit["b"], hit["c"], hit["s"], hit["t"])
    if not hit["rest"]:
        return {("date", day) for day in days if day != "yyyy-MM-dd"}
    join = "'T'" if hit["rest"][0] == "T" else " "
    return {
        ("timestamp", f"{day}{join}{clock}") for day in days for clock in _clock(hit["rest"][1:])
        if day != "yyyy-MM-dd" or clock.endswith("a")
    }  # fmt: skip


def other_order(pattern: str) -> str:
    """Return a pattern with day and month swapped."""
    swap = {"d": "M", "M": "d"}
    return "".join(swap.get(char, char) for char in pattern)


def _days(first: str, second: str, third: str, sign: str, last: str) -> set[str]:
    if first.isalpha():
        month = "MMM" if len(first) == 3 else "MMMM"  # noqa: PLR2004
        return {f"{month}{sign}{d}{last}yyyy" for d in _digits("d", second) if len(third) == _YEAR}
    if second.isalpha():
        month = "MMM" if len(second) == 3 else "MMMM"  # noqa: PLR2004
        return {f"{d}{sign}{month}{last}yyyy" for d in _digits("d", first) if len(third) == _YEAR}
    if len(first) == _YEAR:
        pairs = [(m, d) for m in _digits("M", second) for d in _digits("d", third)]
        return {f"yyyy{sign}{m}{last}{d}" for m, d in pairs if len(m) == len(d)}
    if len(third) != _YEAR:
        return set()
    orders = (("d", "M"), ("M", "d"))
    pairs = [(a, b) for x, y in orders for a in _digits(x, first) for b in _digits(y, second)]
    return {f"{a}{sign}{b}{last}yyyy" for a, b in pairs if len(a) == len(b)}


def _digits(letter: str, text: str) -> list[str]:
    return [letter, letter * 2] if len(text) == 2 else [letter]  # noqa: PLR2004


def _clock(text: str) -> set[str]:
    hit = _CLOCK.match(text)
    if hit is None:
        return set()
    hour, noon = ("h", " a" if (hit["a"] or "").startswith(" ") else "a") if hit["a"] else ("H", "")
    fraction = "." + "S" * (len(hit["f"]) - 1) if hit["f"] else ""
    rest = f":mm{':ss' if hit['s'] else ''}{fraction}{'X' if hit['z'] else ''}{noon}"
    return {f"{digits}{rest}" for digits in _digits(hour, hit["h"])}
