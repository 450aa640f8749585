"""Dates, times and timestamps that a typed file can hold and no calendar has.

Databases write `infinity` as the last day their integers reach, and days before the year 1. Neither
has a text in ISO 8601, and Python cannot represent it.
"""

import pyarrow as pa
import pyarrow.compute as pc

_FIRST, _LAST = -719_162, 2_932_896  # days from 1970-01-01 to 0001-01-01 and to 9999-12-31
_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_INT64 = 1 << 63


def off_calendar(column: pa.Array) -> pa.Array | None:
    """Return where values lie outside the years 1 to 9999, or a time outside its day.

    A timestamp with a time zone must keep a day's distance, so that it has a local time everywhere.

    Returns:
        bool, shape (n,), null where the value is missing; None if no value does.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    ends = _ends(column.type)
    if ends is None:
        return None
    whole = column.view(pa.int32() if column.type.bit_width == 32 else pa.int64())  # noqa: PLR2004
    least, most = (pa.scalar(end, whole.type) for end in ends)
    found = pc.or_(pc.less(whole, least), pc.greater(whole, most))
    return found if pc.any(found).as_py() else None


def _ends(kind: pa.DataType) -> tuple[int, int] | None:
    """Return the least and the greatest integer of a type; None if it has no such limits."""
    if pa.types.is_date32(kind):
        return _FIRST, _LAST
    if pa.types.is_date64(kind):
        return _FIRST * _DAY["ms"], (_LAST + 1) * _DAY["ms"] - 1
    if pa.types.is_time(kind):
        return 0, _DAY[kind.unit] - 1
    if not pa.types.is_timestamp(kind):
        return None
    margin = 1 if kind.tz else 0
    low, high = (_FIRST + margin) * _DAY[kind.unit], (_LAST + 1 - margin) * _DAY[kind.unit] - 1
    return max(low, -_INT64), min(high, _INT64 - 1)
