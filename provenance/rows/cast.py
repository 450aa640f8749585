"""Casts text to the contract's types: strictly, with a code for each cell that does not fit.

A cell is cast only if its text *is* a value of the type; it is never repaired. No blanks are
stripped, no separators or leading zeros dropped, no words guessed, unless the column's type says so
(`trim`, `decimal`, `thousands`). A whole number that was written as a float (`12.0`) is an integer.
Every path first checks the text and then casts what passed; a test compares the fast path with the
exact one. Cells that do not fit become null and get a short code.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.rows.arrow_bytes import holds, spans
from provenance.rows.column_types import ColumnSpec
from provenance.rows.dates import cast_moments
from provenance.rows.nested_cast import cast_nested

_INTEGER = r"^-?(?:0|[1-9][0-9]*)$"
# digits that a float, which wrote the zeros after the point, has kept exactly
_WHOLE = r"^-?(?:0|[1-9][0-9]{0,14})\.0+$"
_NUMBER = r"^-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_NAN = r"(?i)^[+-]?(?:nan|1\.#(?:qnan|snan|ind))$"
_INFINITY = r"(?i)^[+-]?(?:inf|infinity|1\.#inf|∞)$"
_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
_INT64_DIGITS = 19
_TOP = {True: "9223372036854775808", False: "9223372036854775807"}  # by sign: True is negative


def _table(allowed: bytes) -> np.ndarray:
    table = np.zeros(256, bool)
    table[list(allowed)] = True
    return table


_INTEGER_BYTES = _table(b"0123456789-")
_NUMBER_BYTES = _table(b"0123456789-+.eE")
_DIGITS = _table(b"0123456789")

_TOO_LARGE = "a number that is too large"
# phrases for the evidence: the first one that matches a bad cell of a numeric or boolean column
_KINDS: tuple[tuple[str, str], ...] = (
    (_NAN, "NaN (not a number, which is not the same as a missing value)"),
    (_INFINITY, "an infinity"),
    (r"^\s|\s$", "blanks around a value"),
    (r"^[+-]?[0-9]{1,3}(?:[,'.\x{a0}\x{202f} ][0-9]{3})+(?:[.,][0-9]*)?$", "a thousands separator"),
    (r"^[+-]?[0-9]+,[0-9]+$", "a decimal comma"),
    (r"^[+-]?[0-9]+(?:_[0-9]+)+", "an underscore between digits"),
    (r"(?i)^[+-]?0[xob]", "a hexadecimal, octal or binary number"),
    (r"^\+", "a plus sign"),
    (r"^-?0[0-9]", "a leading zero"),
    (r"^-?[0-9]*\.[0-9]*$", "a decimal point"),
    (r"^-?[0-9]*\.?[0-9]*[eE][+-]?[0-9]+$", "an exponent"),
    (r"^-?[0-9]+$", _TOO_LARGE),
    (r"[$€£¥%]", "a currency or percent sign"),
    (r"^[^0-9]*\p{L}[^0-9]*$", "a word"),
)


def cast(text: pa.Array, spec: ColumnSpec) -> tuple[pa.Array, pa.Array]:
    """Cast one column of text.

    Args:
        text: string, shape (n,); a cell is missing if it is null, one of `spec.missing`, or an
            empty text in a column of another type than string.
        spec: the column's type.

    Returns:
        Values of type `spec.arrow`, shape (n,), null where missing or bad; and short codes
        (string, shape (n,)), null where the cell is good: V001, V002, V010, I034, I035, I036.

    Raises:
        AssayError: ASSAY-C005 if `spec.format` is not a valid date and time pattern.
    """
    if spec.is_nested:
        made = cast_nested(text, spec)
        return made.typed, made.codes
    text = absent(text, spec)
    if spec.logical == "string":
        return text, pa.nulls(len(text), pa.string())
    if spec.logical in ("date", "timestamp", "time"):
        return cast_moments(text, spec)
    if spec.logical == "boolean":
        return _booleans(text)
    return _numeric(text, spec)


def _numeric(text: pa.Array, spec: ColumnSpec) -> tuple[pa.Array, pa.Array]:
    if (spec.decimal, spec.thousands) != (".", ""):
        return _localised(text, spec)
    quick = _quick(text, spec.logical)
    if quick is not None:
        return quick, pa.nulls(len(text), pa.string())
    return _integers(text) if spec.logical == "integer" else _numbers(text)


def absent(text: pa.Array, spec: ColumnSpec) -> pa.Array:
    """Return the texts with null for each one that stands for a missing value."""
    words = list(spec.missing)
    if spec.trim:
        text = pc.utf8_trim(text, " \t")
    if spec.logical != "string" or spec.trim:
        words.append("")
    if not words or (words == [""] and not _has_empty(text)):
        return text
    is_missing = pc.is_in(text, pa.array(words, pa.string()))
    if not pc.any(is_missing).as_py():
        return text
    return pc.if_else(is_missing, pa.scalar(None, pa.string()), text)


def _has_empty(text: pa.Array) -> bool:
    """Return whether a cell may be an empty text rather than null."""
    _, ends = spans(text)
    return bool(np.count_nonzero(ends[1:] == ends[:-1]) > text.null_count)


def describe(text: pa.Array, spec: ColumnSpec) -> pa.Array:
    """Describe the content of each bad cell without quoting it.

    Args:
        text: string, shape (n,), bad cells only.
        spec: the column's type.

    Returns:
        String, shape (n,): a sentence for a person.
    """
    content = pa.repeat(pa.scalar("text that is not a value of its type"), len(text))
    if spec.logical in ("integer", "number", "boolean"):
        for pattern, phrase in reversed(_KINDS):
            content = pc.if_else(pc.match_substring_regex(text, pattern), phrase, content)
        if (
            spec.logical == "number" and spec.decimal == "."
        ):  # a valid number is bad only if it overflows
            content = pc.if_else(pc.match_substring_regex(text, _NUMBER), _TOO_LARGE, content)
    else:
        form = spec.format or "ISO 8601"
        is_date = pc.match_substring_regex(text, r"^[0-9]{1,4}[-/. ][0-9]{1,2}[-/. ][0-9]{1,4}")
        phrase = f"a date or time that does not exist or is not in the format {form}"
        content = pc.if_else(is_date, phrase, f"text that is not in the format {form}")
    start = f"column {spec.name!r} contains "
    end = f", but the contract says {spec.logical}"
    return pc.binary_join_element_wise(start, content, end, "")


def _quick(text: pa.Array, logical: str) -> pa.Array | None:
    """Cast a column whose cells are all obviously good; otherwise return None."""
    data, starts, lengths = _bytes(text)
    if not _all_of(data, _INTEGER_BYTES if logical == "integer" else _NUMBER_BYTES):
        return None
    if _zero_led(data, starts, lengths):
        return None
    try:
        values = text.cast(pa.int64() if logical == "integer" else pa.float64())
    except pa.ArrowInvalid:
        return None
    if logical == "number" and pc.any(pc.is_inf(values)).as_py():
        return None
    return values


def _bytes(text: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    flat, ends = spans(text)
    lengths = np.diff(ends)
    if lengths.all():
        return flat, ends[:-1], lengths
    full = lengths > 0
    return flat, ends[:-1][full], lengths[full]


def _all_of(data: np.ndarray, allowed: np.ndarray) -> bool:
    """Return whether all bytes are allowed; minimum and maximum suffice if all are digits."""
    if not len(data) or (data.min() >= ord("0") and data.max() <= ord("9")):
        return True
    return bool(allowed[data].all())


def _zero_led(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> bool:
    """Return whether any cell starts with `+`, or with a zero that a cast would drop."""
    leads = data[starts]
    if (leads == ord("+")).any():
        return True
    odd = (leads == ord("0")) | (leads == ord("-"))
    if not odd.any():
        return False
    signed = leads[odd] == ord("-")
    places = starts[odd] + signed
    long = lengths[odd] - signed > 1
    nexts = data[np.minimum(places + 1, len(data) - 1)]
    zero = data[np.minimum(places, len(data) - 1)] == ord("0")
    return bool((long & zero & _DIGITS[nexts]).any())


def _localised(text: pa.Array, spec: ColumnSpec) -> tuple[pa.Array, pa.Array]:
    """Cast numbers that are written with a decimal comma or with groups of three digits."""
    fits = pc.match_substring_regex(text, number_pattern(spec))
    plain = text
    if spec.thousands:
        plain = pc.replace_substring(plain, spec.thousands, "")
    plain = pc.if_else(fits, pc.replace_substring(plain, spec.decimal, "."), None)
    values, codes = _integers(plain) if spec.logical == "integer" else _numbers(plain)
    return values, pc.coalesce(codes, _codes(text, fits))


def number_pattern(spec: ColumnSpec) -> str:
    """Return the RE2 pattern of a column's numbers; groups of digits are complete or absent."""
    point = re.escape(spec.decimal)
    whole = "0|[1-9][0-9]*"
    if spec.thousands:
        whole += rf"|[1-9][0-9]{{0,2}}(?:{re.escape(spec.thousands)}[0-9]{{3}})+"
    if spec.logical == "integer":
        return rf"^-?(?:{whole})(?:{point}0+)?$"
    return rf"^-?(?:(?:{whole})(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def written_as_floats(text: pa.Array, spec: ColumnSpec) -> int:
    """Return how many texts of an integer column have a fraction of zero, such as `12.0`."""
    if not holds(text, spec.decimal.encode()):
        return 0
    zeros = pc.match_substring_regex(text, rf"[0-9]{re.escape(spec.decimal)}0+[ \t]*$")
    return int(pc.sum(zeros).as_py() or 0)


def _integers(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    if holds(text, b"."):
        is_whole = pc.match_substring_regex(text, _WHOLE)
        text = pc.if_else(is_whole, pc.replace_substring_regex(text, r"\.0+$", ""), text)
    good = pc.match_substring_regex(text, _INTEGER)
    over = _overflows(text)
    codes = pc.if_else(pc.and_(good, over), "I034", _codes(text, good))
    fits = pc.and_not(good, over)
    return pc.if_else(fits, text, None).cast(pa.int64()), codes


def _overflows(text: pa.Array) -> pa.Array:
    negative = pc.starts_with(text, "-")
    digits = pc.if_else(negative, pc.utf8_slice_codeunits(text, 1), text)
    size = pc.binary_length(digits)
    top = pc.if_else(negative, _TOP[True], _TOP[False])
    equal = pc.and_(pc.equal(size, _INT64_DIGITS), pc.greater(digits, top))
    return pc.or_(pc.greater(size, _INT64_DIGITS), equal)


def _numbers(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    good = pc.match_substring_regex(text, _NUMBER)
    values = pc.if_else(good, text, None).cast(pa.float64())
    over = pc.fill_null(pc.is_inf(values), fill_value=False)
    codes = pc.if_else(over, "V002", _codes(text, good))
    return pc.if_else(over, None, values), codes


def _booleans(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    place = pc.index_in(text, pa.array([*_TRUE, *_FALSE]))
    good = pc.or_(pc.is_valid(place), pc.is_null(text))
    codes = pa.nulls(len(text), pa.string())
    if not pc.all(good).as_py():
        codes = _codes(text, good)
    return pc.less(place, len(_TRUE)), codes


def _codes(text: pa.Array, good: pa.Array) -> pa.Array:
    """Return the short code of each cell that is neither good nor null."""
    word = pc.match_substring_regex(text, r"^[^0-9]*\p{L}[^0-9]*$")
    codes = pc.if_else(word, "V010", "I035")
    codes = pc.if_else(pc.match_substring_regex(text, _INFINITY), "V002", codes)
    codes = pc.if_else(pc.match_substring_regex(text, _NAN), "V001", codes)
    return pc.if_else(good, pa.scalar(None, pa.string()), codes)
