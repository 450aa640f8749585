"""Columns that grow: times, counters and row numbers, which rise from row to row and run to run.

The next run lies beyond this one, so an end is no limit and new values are no outliers. What counts
is the order of the rows, drawn from the whole snapshot: the answer is the same for every cut.
A time may be out of step with its rows by a tenth; a number must never fall, save for faults, and
rise at an even pace. A rising price falls now and then, and a sorted feature is crowded in its
middle, so neither grows. Numbers that all differ and fill their range are row numbers in any order.
Blind to: a feature that is uniform and sorted (it passes for a counter); counters of several
machines in one column; unsorted counters with large gaps.
"""

from bisect import bisect_right

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import encode

LEAST_ROWS = 100
MOST_ROWS = 4_096  # of which the longest rising part is found
IN_STEP = 0.9  # rank correlation of a time with its rows
RISING = 0.95  # of the values of a counter belong to its longest rising part
DIFFERENT = 0.7  # of the values of a counter differ
EVEN = 0.37, 0.63  # of its range that the middle half of the rows covers; a sorted bell: 0.32
PARTS = (0.0, 0.05), (0.225, 0.275), (0.725, 0.775), (0.95, 1.0)  # rows around its quarters
EVEN_ERROR = 0.25  # standard error of that share in one row
EXPECTED = 12.0  # repeats that row numbers would have, were they drawn at random
FEWER = 10.0  # times fewer they have
REPEATED = 0.01  # of the rows, at most
NARROWER = 100.0  # times a run may span less time than the reference, and still follow it
EPOCH = 3e8, 4.2e9  # seconds since 1970, from 1979 to 2103; also in thousandths, millionths, ...
UNITS = (1.0, 1e3, 1e6, 1e9)
NUMBERED = r"^[^\d\s]{0,12}(?P<n>\d{1,15})[^\d\s]{0,12}$"
MOST_NUMBERED = 0.95  # of the texts


def growing(table: pa.Table, names: list[str]) -> frozenset[str]:
    """Return the columns of rows in their order that grow.

    Args:
        table: rows in the order of the source, a sample of them or all.
        names: columns to judge.
    """
    values = {name: numbers(table[name].combine_chunks()) for name in names}
    return frozenset(
        n for n, v in values.items() if v is not None and grows(v, is_moment=_is_moment(table, n))
    )


def numbers(column: pa.Array) -> np.ndarray | None:
    """Return a column as float64, shape (n,); None for a kind of values that cannot grow.

    A text counts if it is a short word around one number, such as `O-100017`.
    """
    if _may_grow(column.type):
        return encode.numbers(column)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return None
    parts = pc.struct_field(pc.extract_regex(column, NUMBERED), "n")
    if len(column) - parts.null_count < MOST_NUMBERED * max(len(column) - column.null_count, 1):
        return None
    return encode.numbers(parts.cast(pa.int64()))


def moved_on(current: pa.Table, reference: pa.Table, names: list[str]) -> frozenset[str]:
    """Return the times whose current values follow those of the reference, in any order."""
    known = set(reference.column_names)
    return frozenset(
        name
        for name in names
        if name in known
        and _may_grow(current.schema.field(name).type)
        and _may_grow(reference.schema.field(name).type)
        and _follows(
            encode.numbers(current[name]),
            encode.numbers(reference[name].cast(current.schema.field(name).type)),
            _is_moment(current, name),
        )
    )


def grows(values: np.ndarray, *, is_moment: bool) -> bool:
    """Return whether values in the order of their rows are times or a sequence.

    Args:
        values: float64, shape (n,), NaN where missing.
        is_moment: whether the column is a date or a timestamp.
    """
    values = values[np.isfinite(values)]
    if len(values) < LEAST_ROWS or values.min() == values.max():
        return False
    together = _in_step(values)
    if abs(together) >= IN_STEP and (is_moment or is_epoch(values)):
        return True
    if abs(together) >= IN_STEP and _rises(values if together > 0 else values[::-1]):
        return True
    return not is_moment and _numbers_rows(values)


def is_epoch(values: np.ndarray) -> bool:
    """Return whether whole numbers look like times since 1970, in seconds or a fraction of them."""
    low, middle, high = np.quantile(values, [0.01, 0.5, 0.99])
    first, last = EPOCH
    is_near = any(first * unit <= low and high <= last * unit for unit in UNITS)
    return bool(is_near and high - low < middle and np.all(values == np.floor(values)))


def _may_grow(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_date, pa.types.is_timestamp)
    return any(test(kind) for test in tests)


def _is_moment(table: pa.Table, name: str) -> bool:
    return bool(pa.types.is_temporal(table.schema.field(name).type))


def _in_step(values: np.ndarray) -> float:
    """Return the rank correlation of values with their order."""
    ranks = np.unique(values, return_inverse=True)[1].astype(float)
    order = np.arange(len(values), dtype=float)
    return float(np.corrcoef(ranks, order)[0, 1])


def _rises(values: np.ndarray) -> bool:
    """Return whether values rise from row to row at an even pace, most of them different."""
    few = values[:: -(-len(values) // MOST_ROWS)]
    if len(np.unique(few)) < DIFFERENT * len(few) or _longest(few) < RISING * len(few):
        return False
    # medians of neighbours, which no fault moves
    ends = [float(np.median(few[int(a * len(few)) : int(b * len(few))])) for a, b in PARTS]
    share = (ends[2] - ends[1]) / max(ends[3] - ends[0], 1e-300) * 0.95
    error = EVEN_ERROR / len(few) ** 0.5
    return bool(EVEN[0] + error <= share <= EVEN[1] - error)


def _longest(values: np.ndarray) -> int:
    """Return the length of the longest part that never falls, not necessarily contiguous."""
    ends: list[float] = []
    for value in values.tolist():
        place = bisect_right(ends, value)
        ends[place : place + 1] = [value]
    return len(ends)


def _numbers_rows(values: np.ndarray) -> bool:
    """Return whether whole numbers all differ and fill their range, as row numbers do."""
    if not np.all(values == np.floor(values)):
        return False
    low, high = np.quantile(values, [0.01, 0.99])
    inner = values[(values >= low) & (values <= high)]
    expected = len(inner) ** 2 / (2 * (high - low + 1))
    repeated = len(inner) - len(np.unique(inner))
    is_rare = repeated <= min(REPEATED * len(inner), expected / FEWER)
    return bool(expected >= EXPECTED and is_rare)


def _follows(values: np.ndarray, before: np.ndarray, is_moment: bool) -> bool:  # noqa: FBT001
    values, before = values[np.isfinite(values)], before[np.isfinite(before)]
    if min(len(values), len(before)) < LEAST_ROWS:
        return False
    if not is_moment and not (is_epoch(values) and is_epoch(before)):
        return False
    (first, last), (earliest, latest) = (np.quantile(v, [0.05, 0.95]) for v in (values, before))
    # one default date in all rows is no next day
    return bool(first >= latest and NARROWER * (last - first) >= latest - earliest)
