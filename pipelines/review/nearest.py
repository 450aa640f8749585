"""The clean rows most like one row, so that a person sees what is usual where it is not.

Distance: the mean over the columns, as Gower's: 0 for equal values and 1 for others; for numbers
and times d / (1 + d), where d is the difference over the column's range of 1 % to 99 %, so that a
value far outside still has near and far neighbours. A cell that is missing on one side is 1 apart.
Columns with the role `ignore`, nested ones, texts that hardly repeat, and columns that are masked
do not count: a distance would tell how far a cell that nobody may see is from another one.
Cost: O(rows x columns), on a bounded sample of the clean rows, spread over the dataset.
Source: Gower 1971, "A general coefficient of similarity and some of its properties".
"""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.review.reviewed_run import ReviewedRun
from pipelines.store.rebuild import typed_cells

K = 5
REPEATS = 2.0  # rows for each distinct text, from which a text column counts as categories
_TIMES = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_time, pa.types.is_duration)


@dataclasses.dataclass(frozen=True, slots=True)
class Near:
    """A clean row: its ordinal, its distance in [0, 1], and the columns in which it differs."""

    row: int
    distance: float
    differs: tuple[str, ...]


def nearest(run: ReviewedRun, row: int, k: int = K) -> list[Near]:
    """Return the k clean rows most like a row, the nearest first; none if it cannot be read."""
    own = run.cells([row])
    if row in run.unreadable or not len(own):
        return []
    rows, table = run.clean_sample
    own = typed_cells(own.drop_columns(["row"]), run.contract, table.schema)
    apart = {}
    for name in (name for name in table.column_names if name not in run.private):
        found = _apart(table[name], own[name])
        if found is not None:
            apart[name] = found
    if not apart:
        return []
    total = np.mean(list(apart.values()), axis=0)
    total[rows == row] = np.inf  # not itself, where it is clean
    order = [place for place in np.lexsort((rows, total))[:k].tolist() if total[place] < np.inf]
    return [
        Near(
            int(rows[place]),
            round(float(total[place]), 4),
            tuple(name for name, found in apart.items() if found[place] > 0),
        )
        for place in order
    ]


def _apart(column: pa.ChunkedArray, own: pa.ChunkedArray) -> np.ndarray | None:
    """Return each row's distance from one cell in [0, 1], None if the column does not count."""
    cells, cell = column.combine_chunks(), own.combine_chunks()
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
        cell = cell.dictionary_decode() if pa.types.is_dictionary(cell.type) else cell
    missing = np.asarray(cells.is_null())
    if not cell[0].is_valid:
        return np.where(missing, 0.0, 1.0)
    if (numbers := _numbers(cells)) is not None:
        given = _numbers(cell)
        spread = np.nanquantile(numbers, [0.01, 0.99]) if not missing.all() else np.zeros(2)
        width = float(spread[1] - spread[0]) or 1.0
        gap = np.abs(numbers - (given[0] if given is not None else np.nan)) / width
        return np.where(np.isnan(gap), 1.0, gap / (1 + gap))
    if pa.types.is_nested(cells.type):
        return None
    if pc.count_distinct(cells).as_py() * REPEATS > max(len(cells), 1):
        return None
    same = pc.fill_null(pc.equal(cells, cell.cast(cells.type)[0]), fill_value=False)
    return np.where(np.asarray(same), 0.0, 1.0)


def _numbers(cells: pa.Array) -> np.ndarray | None:
    """Return cells as float64, missing ones as NaN; None for what is no number or time."""
    if any(test(cells.type) for test in _TIMES):
        width = pa.int32() if pa.types.is_date32(cells.type) else pa.int64()
        if pa.types.is_time32(cells.type):
            width = pa.int32()
        cells = cells.cast(width)
    is_number = pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type)
    if not is_number and not pa.types.is_decimal(cells.type):
        return None
    values = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float64)
