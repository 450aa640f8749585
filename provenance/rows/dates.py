"""Parses dates, times and timestamps in ISO 8601 or in a pattern such as `dd.MM.yyyy HH:mm`.

Pattern letters: yyyy, M or MM, MMM or MMMM (English names of months, in any letter case), d or dd,
H or HH, h or hh with a (AM or PM), mm, ss, S (one for each digit of the fraction), X (zone: Z or
an offset), 'text in quotes'; everything else is literal. A timestamp with a zone is converted to
UTC. A day that does not exist, or more than six fractional digits, is an error.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.base.errors import AssayError
from provenance.rows.column_types import ColumnSpec

_DATE = r"(?P<y>[0-9]{4})-(?P<mo>[0-9]{2})-(?P<d>[0-9]{2})"
_CLOCK = r"(?P<h>[0-9]{2}):(?P<mi>[0-9]{2})(?::(?P<s>[0-9]{2})(?:\.(?P<f>[0-9]{1,6}))?)?"
_ZONE = r"(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})"
_ISO = {
    "date": f"^{_DATE}$",
    "timestamp": f"^{_DATE}(?:[T ]{_CLOCK}{_ZONE}?)?$",
    "time": f"^{_CLOCK}$",
}
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")  # fmt: skip
_LETTERS = {
    "yyyy": "(?P<y>[0-9]{4})",
    "MM": "(?P<mo>[0-9]{2})",
    "M": "(?P<mo>[0-9]{1,2})",
    "MMM": f"(?P<mon>(?i:{'|'.join(name[:3] for name in _MONTHS)}))",
    "MMMM": f"(?P<mon>(?i:{'|'.join(_MONTHS)}))",
    "dd": "(?P<d>[0-9]{2})",
    "d": "(?P<d>[0-9]{1,2})",
    "HH": "(?P<h>[0-9]{2})",
    "H": "(?P<h>[0-9]{1,2})",
    "hh": "(?P<half>[0-9]{2})",
    "h": "(?P<half>[0-9]{1,2})",
    "a": "(?P<noon>(?i:[AP]M))",
    "mm": "(?P<mi>[0-9]{2})",
    "ss": "(?P<s>[0-9]{2})",
    "X": _ZONE,
    "XXX": _ZONE,
}
_TOKEN = re.compile(r"'(?P<quoted>[^']*)'|(?P<run>([A-Za-z])\3*)|(?P<other>.)", re.DOTALL)
# a month by its name is a month; an hour of the half day needs to know which half
_STANDS_FOR = {"mon": {"mo"}, "half": {"h"}, "noon": {"half"}}
_NEEDED = {"date": {"y", "mo", "d"}, "timestamp": {"y", "mo", "d"}, "time": {"h", "mi"}}
_TOP = {"mo": 12, "h": 23, "mi": 59, "s": 59}
_MICROS = 1_000_000
_HALF = 12  # hours
_DIGITS = 6  # of a fraction of a second
_DAY = 86_400 * _MICROS
_YEAR_1 = -719_162  # days from 1970-01-01 to 0001-01-01


def cast_moments(text: pa.Array, spec: ColumnSpec) -> tuple[pa.Array, pa.Array]:
    """Cast texts to the column's date, time or timestamp type.

    Returns:
        Values of type `spec.arrow` and codes (I036 or null), both shape (n,).

    Raises:
        AssayError: ASSAY-C005 if the pattern is invalid.
    """
    quick = _quick(text, spec)
    if quick is not None:
        return quick, pa.nulls(len(text), pa.string())
    parts = pc.extract_regex(text, pattern_of(spec))
    matched = parts.is_valid().to_numpy(zero_copy_only=False)
    values, exists = _micros(parts)
    good = matched & exists
    ticks = values // _DAY if spec.logical == "date" else values
    width = pa.int32() if spec.logical == "date" else pa.int64()
    typed = pa.array(ticks, width, mask=~good, safe=False).view(spec.arrow)
    bad = pa.array(~good & text.is_valid().to_numpy(zero_copy_only=False))
    return typed, pc.if_else(bad, "I036", pa.scalar(None, pa.string()))


def pattern_of(spec: ColumnSpec) -> str:
    """Return the RE2 pattern with named groups that a column's cells must match."""
    if spec.format is None:
        return _ISO[spec.logical]
    pattern, names = "", set()
    for token in _TOKEN.finditer(spec.format):
        if (run := token["run"]) is not None:
            piece = _piece(run, spec)
            names.update(re.findall(r"\?P<(\w+)>", piece))
            pattern += piece
        else:
            pattern += re.escape(token["quoted"] if token["other"] is None else token["other"])
    known = names.union(*(_STANDS_FOR.get(name, set()) for name in names))
    is_half = ("half" in names) != ("noon" in names)
    is_repeated = pattern.count("(?P<") != len(names) or {"mo", "mon"} <= names
    if _NEEDED[spec.logical] - known or is_half or is_repeated or {"h", "half"} <= names:
        raise _invalid(spec)
    return f"^{pattern}$"


def _piece(run: str, spec: ColumnSpec) -> str:
    if set(run) == {"S"} and len(run) <= _DIGITS:
        return f"(?P<f>[0-9]{{{len(run)}}})"
    if run in _LETTERS:
        return _LETTERS[run]
    if run == "T":
        return run
    raise _invalid(spec)


def _invalid(spec: ColumnSpec) -> AssayError:
    return AssayError(
        "C005",
        f"column {spec.name!r}: {spec.format!r} is not a valid pattern for a {spec.logical}",
        fix="use yyyy, MM or MMM, dd, HH (or hh with a), mm, ss, S and X at most once each, "
        "such as yyyy-MM-dd'T'HH:mm:ss",
    )


def _quick(text: pa.Array, spec: ColumnSpec) -> pa.Array | None:
    if spec.logical == "time" or spec.format not in (None, "yyyy-MM-dd"):
        return None
    if spec.format is not None and spec.logical != "date":
        return None
    try:
        values = text.cast(spec.arrow)
    except pa.ArrowInvalid:
        return None
    ticks = values.view(pa.int32() if spec.logical == "date" else pa.int64())
    lowest = pc.min(ticks).as_py()
    floor = _YEAR_1 if spec.logical == "date" else _YEAR_1 * _DAY
    if lowest is not None and lowest < floor:
        return None
    if spec.logical == "timestamp":  # Arrow accepts an hour without minutes, this grammar does not
        hour_only = pc.equal(pc.binary_length(text), len("2020-01-01T01"))
        return None if pc.any(hour_only).as_py() else values
    return values


def _micros(parts: pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
    """Return microseconds since 1970 (or midnight), and whether that moment exists."""
    part = {field.name: _number(parts, field.name) for field in parts.type if field.name != "z"}
    absent = np.zeros(len(parts), np.int64)
    half = part.get("half", absent + 1)
    if "half" in part:
        part["h"] = half % _HALF + _HALF * part["noon"]
    part["mo"] = part.get("mon", part.get("mo", absent + 1))
    year, month, day = (part.get(n, absent + b) for n, b in (("y", 1970), ("mo", 1), ("d", 1)))
    exists = (year >= 1) & (month >= 1) & (day >= 1) & (half >= 1) & (half <= _HALF)
    for name, top in _TOP.items():
        exists &= part.get(name, absent) <= top
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]")
    following = (months + 1).astype("datetime64[M]").astype("datetime64[D]")
    exists &= day <= (following - first).astype(np.int64)
    clock = (part.get("h", absent) * 60 + part.get("mi", absent)) * 60 + part.get("s", absent)
    days = first.astype(np.int64) + day - 1
    micros = days * _DAY + clock * _MICROS + part.get("f", absent)
    zone, zone_exists = _zone(parts)
    return micros - zone, exists & zone_exists


def _number(parts: pa.StructArray, name: str) -> np.ndarray:
    text = pc.fill_null(pc.struct_field(parts, name), "")
    if name in ("mon", "noon"):
        words = [month[:3].lower() for month in _MONTHS] if name == "mon" else ["am", "pm"]
        place = pc.index_in(pc.utf8_lower(pc.utf8_slice_codeunits(text, 0, 3)), pa.array(words))
        first = pc.fill_null(place, 0).to_numpy(zero_copy_only=False).astype(np.int64)
        return first + (name == "mon")  # type: ignore[no-any-return]
    if name == "f":
        text = pc.utf8_rpad(text, width=_DIGITS, padding="0")
    filled = pc.if_else(pc.equal(text, ""), "0", text)
    numbers: np.ndarray = filled.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers


def _zone(parts: pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's offset from UTC in microseconds, and whether that offset is valid."""
    if parts.type.get_field_index("z") < 0:
        return np.zeros(len(parts), np.int64), np.ones(len(parts), bool)
    text = pc.fill_null(pc.struct_field(parts, "z"), "")
    offset = pc.if_else(pc.is_in(text, pa.array(["", "Z"])), "+0000", text)
    digits = pc.replace_substring(offset, ":", "")
    hours = pc.utf8_slice_codeunits(digits, 1, 3).cast(pa.int64())
    minutes = pc.utf8_slice_codeunits(digits, 3, 5).cast(pa.int64())
    sign = pc.if_else(pc.starts_with(digits, "-"), -1, 1)
    total = pc.multiply(sign, pc.add(pc.multiply(hours, 60), minutes))
    exists = pc.and_(pc.less(hours, 24), pc.less(minutes, 60))
    to_numpy = {"zero_copy_only": False}
    return total.to_numpy(**to_numpy) * 60 * _MICROS, exists.to_numpy(**to_numpy)
