"""Locality-sensitive hashing: rows that nearly repeat each other share a key in some subset.

Each column is cut into cells, numbers by width and other values by identity. A subset of the
columns makes one key of a row's cells. Near copies differ in few columns, so some subset misses
those; rows that are merely similar differ in most of them.
Source: Indyk, Motwani 1998.
"""

from collections.abc import Iterable

import numpy as np

from checks.kit import hashing

SHARE = 0.6  # of the columns in a subset
SUBSETS = 16
LEAST_COLUMNS = 3  # fewer give keys to too many rows
CELL = 0.1  # width of a number's cell, in robust standard deviations
TOGETHER = 0.6  # exponent of the product of shares: columns that correlate say less together
CLIP = 2.0**40  # cells from 0; numbers farther away share the last one


def size_of(columns: int) -> int:
    """Return the size of a subset of so many columns."""
    return max(LEAST_COLUMNS, round(SHARE * columns))


def subsets(
    count: int, columns: int, among: np.ndarray, size: int, draw: np.random.Generator
) -> np.ndarray:
    """Return random subsets of the columns: bool, shape (count, columns).

    Args:
        count: how many.
        columns: how many there are.
        among: indices of the columns to draw from, int, shape (m,), m >= size.
        size: columns of each subset.
        draw: the source of randomness.
    """
    chosen = np.zeros((count, columns), bool)
    for subset in chosen:
        subset[draw.choice(among, size, replace=False)] = True
    return chosen


def places(values: np.ndarray, width: float, offset: float = 0.0) -> np.ndarray:
    """Return the cells of numbers along their axis: whole float64, shape (n,)."""
    with np.errstate(over="ignore"):
        return np.clip(np.floor(values / width + offset), -CLIP, CLIP)


def cells(values: np.ndarray, usable: np.ndarray, width: float, offset: float = 0.0) -> np.ndarray:
    """Return the cell of each number as uint64, shape (n,); unusable ones share a cell."""
    whole = places(np.where(usable, values, 0), width, offset).astype(np.int64)
    return np.where(usable, whole.view(np.uint64), hashing.MISSING)


def keys(columns: Iterable[tuple[np.ndarray, np.ndarray]], count: int, rows: int) -> np.ndarray:
    """Return the key of each row in each subset: uint64, shape (count, rows).

    Args:
        columns: of each column, its hashes (uint64, shape (rows,), of a seed of its own) and the
            subsets that hold it (bool, shape (count,)).
        count: number of subsets.
        rows: number of rows.
    """
    made = np.zeros((count, rows), np.uint64)
    for hashes, using in columns:
        made[using] += hashes
    return made


def shares(column: np.ndarray) -> np.ndarray:
    """Return the share of all rows that each row's own cell holds, shape (n,).

    Args:
        column: hashes (uint64), or coordinates in cells (float64).
    """
    whole = column if column.dtype == np.uint64 else np.floor(column)
    _, place, counts = np.unique(whole, return_inverse=True, return_counts=True)
    held: np.ndarray = counts[place] / len(column)
    return held
