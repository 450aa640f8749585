"""Columns of lists of numbers as matrices, each row's numbers made from that row alone."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import as_list, sizes
from provenance.rows.shards import Shard

WIDEST = 512  # numbers of a vector that are kept; longer ones are folded


def lists(column: pa.ChunkedArray, *, widest: int | None = None) -> pa.ListArray:
    """Return a column of lists of any kind as plain lists of float32, missing numbers as NaN.

    Args:
        column: shape (n,).
        widest: fold longer lists to so many numbers; see `folded`.
    """
    cells = as_list(whole(column))
    size, is_there = sizes(cells), np.asarray(cells.is_valid())
    flat = pc.fill_null(cells.flatten().cast(pa.float32(), safe=False), np.nan)
    values = np.asarray(flat.to_numpy(zero_copy_only=False), np.float32)
    if widest is not None and (size > widest).any():
        values, size = _narrowed(values, size, widest)
    offsets = pa.array(np.r_[0, np.cumsum(size)], pa.int32(), mask=np.r_[~is_there, False])
    return pa.ListArray.from_arrays(offsets, pa.array(values, pa.float32()))


def matrix(column: pa.ChunkedArray | pa.Array, size: int) -> np.ndarray:
    """Return lists as float64, shape (n, size); rows of another length are NaN."""
    cells = as_list(whole(column) if isinstance(column, pa.ChunkedArray) else column)
    fits = np.asarray(cells.is_valid()) & (sizes(cells) == size)
    made = np.full((len(cells), size), np.nan)
    if size and fits.any():
        flat = cells.filter(pa.array(fits)).flatten().cast(pa.float64(), safe=False)
        made[fits] = flat.to_numpy(zero_copy_only=False).reshape(-1, size)
    return made


def lengths(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return the length of each list: int64, shape (n,), 0 for a missing one."""
    return sizes(whole(column) if isinstance(column, pa.ChunkedArray) else column)


def usual_length(column: pa.ChunkedArray | pa.Array) -> int:
    """Return the commonest length of the lists, the least of several; 0 without a list."""
    found = lengths(column)[np.asarray(column.is_valid())]
    return int(np.bincount(found).argmax()) if len(found) else 0


def with_lists(shard: Shard, names: tuple[str, ...], widest: int | None = None) -> pa.Table:
    """Return a shard's flat columns, and behind them nested ones as `lists`; null where absent."""
    table = shard.table
    for name in names:
        if name in shard.nested.column_names:
            column = lists(shard.nested[name], widest=widest)
        else:
            column = pa.nulls(len(shard.rows), pa.list_(pa.float32()))
        table = table.append_column(name, column)
    return table


def folded(values: np.ndarray, size: int) -> np.ndarray:
    """Return vectors of `size` numbers that keep distances nearly: float32, shape (n, size).

    Each number is added to one of `size` sums, with a sign, by chance (count sketch: Charikar,
    Chen, Farach-Colton 2002). The order of addition is that of the row, so that a row's result
    does not depend on the others.
    """
    width = values.shape[1]
    draw = np.random.default_rng(width)
    times = -(-width // size)
    padded = np.zeros((len(values), times * size), np.float32)
    padded[:, :width] = values * draw.choice(np.array([-1, 1], np.float32), width)
    order = draw.permutation(times * size)
    made: np.ndarray = padded[:, order].reshape(len(values), size, times).sum(2)
    return made


def _narrowed(values: np.ndarray, size: np.ndarray, widest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers and lengths of lists whose long ones are folded."""
    ends = np.cumsum(size)
    starts = ends - size
    kept = np.minimum(size, widest)
    made = np.empty(int(kept.sum()), np.float32)
    places = np.cumsum(kept) - kept
    for length in np.unique(size):
        mine = size == length
        read = values[starts[mine][:, None] + np.arange(length)]
        read = folded(read, widest) if length > widest else read
        made[places[mine][:, None] + np.arange(read.shape[1])] = read
    return made, kept
