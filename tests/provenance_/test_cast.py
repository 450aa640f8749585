"""The cast: what is a value of a type, what is not, and with which code."""

import datetime as dt
import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.base.errors import AssayError
from provenance.rows import cast as casting
from provenance.rows.cast import cast, describe
from provenance.rows.column_types import ColumnSpec

CASES = [
    ("integer", "12", 12),
    ("integer", "-12", -12),
    ("integer", "0", 0),
    ("integer", "-0", 0),
    ("integer", "9223372036854775807", 2**63 - 1),
    ("integer", "-9223372036854775808", -(2**63)),
    ("integer", "9007199254740993", 2**53 + 1),
    ("integer", "9223372036854775808", "I034"),
    ("integer", "-9223372036854775809", "I034"),
    ("integer", "9" * 400, "I034"),
    ("integer", "+12", "I035"),
    ("integer", "007", "I035"),
    ("integer", "-01", "I035"),
    ("integer", "12.0", 12),
    ("integer", "-7.00", -7),
    ("integer", "12.", "I035"),
    ("integer", "12.5", "I035"),
    ("integer", "999999999999999.0", 999_999_999_999_999),
    ("integer", "9007199254740993.0", "I035"),  # a float would have rounded it
    ("integer", "1e3", "I035"),
    ("integer", " 12", "I035"),
    ("integer", "12\n", "I035"),
    ("integer", "1_000", "I035"),
    ("integer", "0x1A", "I035"),
    ("integer", "1,234", "I035"),
    ("integer", "-", "I035"),
    ("integer", "--1", "I035"),
    ("integer", "\u0661", "I035"),
    ("integer", "forty", "V010"),
    ("integer", "nan", "V001"),
    ("integer", "Infinity", "V002"),
    ("number", "12", 12.0),
    ("number", "-12.5", -12.5),
    ("number", ".5", 0.5),
    ("number", "5.", 5.0),
    ("number", "1e5", 1e5),
    ("number", "1.5E-3", 1.5e-3),
    ("number", "-0.0", -0.0),
    ("number", "5e-324", 5e-324),
    ("number", "1.7976931348623157e308", 1.7976931348623157e308),
    ("number", "1e309", "V002"),
    ("number", "-1e400", "V002"),
    ("number", "9" * 400, "V002"),
    ("number", "inf", "V002"),
    ("number", "-INF", "V002"),
    ("number", "NaN", "V001"),
    ("number", "-nan", "V001"),
    ("number", "1.#QNAN", "V001"),
    ("number", "1,234.50", "I035"),
    ("number", "1.234,50", "I035"),
    ("number", "1 234", "I035"),
    ("number", "00.5", "I035"),
    ("number", "+1.5", "I035"),
    ("number", "1e", "I035"),
    ("number", ".", "I035"),
    ("number", "1.2.3", "I035"),
    ("number", "0x1p3", "I035"),
    ("number", "12%", "I035"),
    ("number", "n/a", "V010"),
    ("boolean", "true", True),
    ("boolean", "False", False),
    ("boolean", "TRUE", True),
    ("boolean", "tRUE", "V010"),
    ("boolean", "yes", "V010"),
    ("boolean", "1", "I035"),
    ("date", "2025-03-04", dt.date(2025, 3, 4)),
    ("date", "2024-02-29", dt.date(2024, 2, 29)),
    ("date", "0001-01-01", dt.date(1, 1, 1)),
    ("date", "9999-12-31", dt.date(9999, 12, 31)),
    ("date", "2023-02-29", "I036"),
    ("date", "2025-13-01", "I036"),
    ("date", "2025-00-01", "I036"),
    ("date", "2025-04-31", "I036"),
    ("date", "0000-01-01", "I036"),
    ("date", "2025-3-4", "I036"),
    ("date", "20250304", "I036"),
    ("date", "04/03/2025", "I036"),
    ("date", "2025-03-04 ", "I036"),
    ("date", "nan", "I036"),
    ("timestamp", "2025-03-04", dt.datetime.fromisoformat("2025-03-04")),
    ("timestamp", "2025-03-04 05:06", dt.datetime.fromisoformat("2025-03-04T05:06")),
    ("timestamp", "1969-12-31T23:59:59.5", dt.datetime.fromisoformat("1969-12-31T23:59:59.500")),
    ("timestamp", "2025-03-04T05:06:07Z", dt.datetime.fromisoformat("2025-03-04T05:06:07")),
    ("timestamp", "2025-03-04T05:06:07+01:30", dt.datetime.fromisoformat("2025-03-04T03:36:07")),
    ("timestamp", "2025-03-04T05:06:07-0130", dt.datetime.fromisoformat("2025-03-04T06:36:07")),
    ("timestamp", "2025-03-04T05", "I036"),
    ("timestamp", "2025-03-04T24:00:00", "I036"),
    ("timestamp", "2025-03-04T05:60:00", "I036"),
    ("timestamp", "2025-03-04T05:06:60", "I036"),
    ("timestamp", "2025-03-04T05:06:07.1234567", "I036"),
    ("timestamp", "2025-03-04T05:06:07+25:00", "I036"),
    ("timestamp", "1741064767", "I036"),
    ("time", "05:06", dt.time(5, 6)),
    ("time", "23:59:59.000001", dt.time(23, 59, 59, 1)),
    ("time", "24:00", "I036"),
    ("time", "5:06", "I036"),
    ("string", " NaN ", " NaN "),
    ("string", "", ""),
]
EMPTY = [("integer", "1"), ("number", "1.5"), ("boolean", "true"), ("date", "2025-03-04")]
SENTINEL = {
    "integer": "x1",
    "number": "x1",
    "boolean": "x1",
    "date": "x1",
    "timestamp": "x1",
    "time": "x1",
}


@pytest.mark.parametrize(("logical", "text", "wanted"), CASES)
def test_cases_alone_and_among_bad_ones(logical, text, wanted):
    spec = ColumnSpec("c", logical)
    is_code = isinstance(wanted, str) and logical != "string"
    # alone a cell may take the quick path, beside a bad one it takes the exact path
    for texts in ([text], [text, SENTINEL.get(logical, "x1"), None]):
        values, codes = cast(pa.array(texts, pa.string()), spec)
        assert values.type == spec.arrow
        assert codes[0].as_py() == (wanted if is_code else None)
        value = values[0].as_py()
        assert value == (None if is_code else wanted)
        if isinstance(value, float):
            assert math.copysign(1, value) == math.copysign(1, wanted)
    if logical != "string":
        assert codes.to_pylist()[1:] == [
            "I036" if logical in ("date", "timestamp", "time") else "I035",
            None,
        ]


@pytest.mark.parametrize(("logical", "text"), EMPTY)
def test_the_empty_text_is_missing_where_it_is_no_text(logical, text):
    values, codes = cast(pa.array(["", None, text]), ColumnSpec("c", logical))
    assert values.null_count == 2
    assert codes.null_count == 3


def test_words_for_missing():
    spec = ColumnSpec("c", "integer", missing=("-9", "n/a"))
    values, codes = cast(pa.array(["1", "-9", "n/a", "-99"]), spec)
    assert values.to_pylist() == [1, None, None, -99]
    assert codes.null_count == 4


@pytest.mark.parametrize(
    ("logical", "form", "text", "wanted"),
    [
        ("date", "dd.MM.yyyy", "04.03.2025", dt.date(2025, 3, 4)),
        ("date", "MM/dd/yyyy", "03/04/2025", dt.date(2025, 3, 4)),
        ("date", "d/M/yyyy", "4/3/2025", dt.date(2025, 3, 4)),
        ("date", "yyyyMMdd", "20250304", dt.date(2025, 3, 4)),
        ("date", "yyyy-MM-dd", "2025-03-04", dt.date(2025, 3, 4)),
        ("date", "dd.MM.yyyy", "31.04.2025", None),
        ("date", "dd.MM.yyyy", "04-03-2025", None),
        ("date", "dd.MM.yyyy", "04x03x2025", None),
        (
            "timestamp",
            "yyyy-MM-dd'T'HH:mm:ss",
            "2025-03-04T05:06:07",
            dt.datetime.fromisoformat("2025-03-04T05:06:07"),
        ),
        (
            "timestamp",
            "yyyy-MM-ddTHH:mm:ss.SSS",
            "2025-03-04T05:06:07.089",
            dt.datetime.fromisoformat("2025-03-04T05:06:07.089"),
        ),
        (
            "timestamp",
            "yyyy-MM-dd HH:mm:ssX",
            "2025-03-04 05:06:07+01:00",
            dt.datetime.fromisoformat("2025-03-04T04:06:07"),
        ),
        ("timestamp", "yyyy-MM-dd HH:mm:ss", "2025-03-04 05:06:07Z", None),
        ("time", "HHmm", "0506", dt.time(5, 6)),
    ],
)
def test_patterns(logical, form, text, wanted):
    values, codes = cast(pa.array([text]), ColumnSpec("c", logical, format=form))
    assert values.to_pylist() == [wanted]
    assert codes.to_pylist() == ["I036" if wanted is None else None]


@pytest.mark.parametrize("form", ["", "dd.mm.yyyy", "yy-MM-dd", "yyyy-MM-dd-dd", "foo", "%Y-%m-%d"])
def test_patterns_that_mean_nothing_are_refused(form):
    with pytest.raises(AssayError, match="C005"):
        cast(pa.array(["x"]), ColumnSpec("c", "date", format=form))


@settings(max_examples=300)
@given(st.lists(st.text(alphabet="0123456789-+.eE", max_size=5), min_size=1, max_size=3))
def test_the_quick_path_agrees_with_the_exact_one(texts):
    array = pa.array(texts)
    for logical in ("integer", "number"):
        spec = ColumnSpec("c", logical)
        exact = {"integer": casting._integers, "number": casting._numbers}[logical]
        filled = casting.absent(array, spec)
        wanted, codes = exact(filled)
        quick = casting._quick(filled, logical)
        if quick is not None:
            assert codes.null_count == len(codes)
            assert quick.equals(wanted)


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_integers_come_back(numbers):
    texts = pa.array([None if n is None else str(n) for n in numbers], pa.string())
    values, codes = cast(texts, ColumnSpec("c", "integer"))
    assert values.to_pylist() == numbers
    assert codes.null_count == len(codes)


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_come_back(numbers):
    texts = pa.array([None if n is None else repr(n) for n in numbers], pa.string())
    values, codes = cast(texts, ColumnSpec("c", "number"))
    assert values.to_pylist() == numbers
    assert codes.null_count == len(codes)


@given(st.lists(st.datetimes(), min_size=1))
def test_moments_come_back_by_either_path(moments):
    texts = [moment.isoformat() for moment in moments]
    spec = ColumnSpec("c", "timestamp")
    assert cast(pa.array(texts), spec)[0].to_pylist() == moments
    values, codes = cast(pa.array([*texts, "x"]), spec)
    assert values.to_pylist() == [*moments, None]
    assert codes.null_count == len(moments)


@given(st.lists(st.dates(), min_size=1))
def test_dates_come_back_by_either_path(dates):
    texts = [date.isoformat() for date in dates]
    spec = ColumnSpec("c", "date")
    assert cast(pa.array(texts), spec)[0].to_pylist() == dates
    assert cast(pa.array([*texts, "x"]), spec)[0].to_pylist() == [*dates, None]


def test_slices_are_cast_as_slices():
    texts = pa.array(["x", "1", "2", "y"]).slice(1, 2)
    values, codes = cast(texts, ColumnSpec("c", "integer"))
    assert values.to_pylist() == [1, 2]
    assert codes.null_count == 2


@pytest.mark.parametrize(
    ("logical", "text", "phrase"),
    [
        ("number", "1,234.50", "a thousands separator"),
        ("number", "12,5", "a decimal comma"),
        ("number", "1e999", "a number that is too large"),
        ("integer", "12.5", "a decimal point"),
        ("integer", "forty", "a word"),
        ("integer", "007", "a leading zero"),
        ("integer", "12 ", "blanks around a value"),
        ("number", "NaN", "NaN (not a number"),
        ("date", "31.02.2025", "does not exist"),
    ],
)
def test_evidence_names_the_kind_and_not_the_value(logical, text, phrase):
    (sentence,) = describe(pa.array([text]), ColumnSpec("c", logical)).to_pylist()
    assert sentence.startswith("column 'c' contains ")
    assert phrase in sentence
    assert text not in sentence or text == "NaN"
