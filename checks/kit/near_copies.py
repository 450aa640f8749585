"""Rows that nearly repeat each other: they share a fold, or one would vouch for the others.

Numbers are cut into cells of a tenth of a robust deviation; each of some subsets of the columns
makes a key of a row's cells. Rows with a key in common are alike where chance would hardly give two
rows the same one; who is alike to any of a group belongs to it. Decided on the sample; a row of a
shard joins a group whose key it has, so it depends on that row and the sample alone.
Cost: O(rows x columns x subsets), vectorised. O(sample x subsets) memory.
Source: hashing into subsets of cells as in locality-sensitive hashing (Indyk, Motwani 1998).
"""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import encode, hashing
from checks.kit.encode import Kind

SUBSETS = 16
SHARE = 0.6  # of the columns that a subset has
LEAST_COLUMNS = 3
CELL = 0.1  # robust deviations
TOGETHER = 0.6  # power of the product of shares: columns that go together tell less than they seem
CHANCE = 0.3  # pairs for each row that chance may give a key, so that its rows count as alike
MOST = 0.05  # of the sample; a larger group is how the table is


@dataclasses.dataclass(frozen=True, slots=True)
class Alike:
    """Groups of near copies.

    Attributes:
        units: of each column its kind and, of a number, the width of a cell.
        chosen: bool, shape (subsets, columns).
        keys: of all rows in groups, uint64, ascending.
        fold: of each key's group, uint32, same shape.
    """

    units: tuple[tuple[str, Kind, float], ...]
    chosen: np.ndarray
    keys: np.ndarray
    fold: np.ndarray

    def folds(self, table: pa.Table, own: np.ndarray) -> np.ndarray:
        """Return each row's fold, its group's if it has one: uint32, shape (n,).

        Args:
            table: rows with the columns of `units`.
            own: fold of each row by itself, uint32, shape (n,).
        """
        made = own.copy()
        if not len(self.keys):
            return made
        for keys in _keys(_cells(table, self.units), self.chosen)[::-1]:
            at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            made = np.where(self.keys[at] == keys, self.fold[at], made)
        return made


def fit(table: pa.Table, how: dict[str, Kind], own: np.ndarray) -> Alike | None:
    """Find the groups of a sample; None where the columns are too few to tell copies from chance.

    Args:
        table: the sample, shape (n, columns).
        how: columns to compare, see `encode.kinds`.
        own: fold of each row by itself, uint32, shape (n,).
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if len(how) < LEAST_COLUMNS or table.num_rows < 2:  # noqa: PLR2004
        return None
    units = tuple((name, kind, _width(table, name, kind)) for name, kind in how.items())
    size = max(LEAST_COLUMNS, round(SHARE * len(units)))
    chosen = np.zeros((SUBSETS, len(units)), bool)
    draw = np.random.default_rng(len(units))
    for subset in chosen:
        subset[draw.choice(len(units), size, replace=False)] = True
    cells = _cells(table, units)
    keys = _keys(cells, chosen)
    expected = np.log(table.num_rows) + TOGETHER * (chosen @ _logs(cells))
    rare = (expected < np.log(CHANCE)).ravel()
    row = np.tile(np.arange(table.num_rows), SUBSETS)[rare]
    found, place, count = np.unique(keys.ravel()[rare], return_inverse=True, return_counts=True)
    shared = count[place] > 1
    row, place = row[shared], place[shared]
    links = coo_matrix((np.ones(len(row), bool), (row, place + table.num_rows)),
                       shape=(table.num_rows + len(found),) * 2)  # fmt: skip
    _, group = connected_components(links, directed=False)
    members = np.bincount(group[: table.num_rows], minlength=group.max() + 1)
    kept = (members > 1) & (members <= max(MOST * table.num_rows, 2))
    fold = np.full(group.max() + 1, np.iinfo(np.uint32).max, np.uint32)
    np.minimum.at(fold, group[: table.num_rows], own)
    of = group[table.num_rows :]
    seen = (count > 1) & kept[of]
    return Alike(units, chosen, found[seen], fold[of[seen]])


def _width(table: pa.Table, name: str, kind: Kind) -> float:
    return CELL * encode.spread(encode.numbers(table[name]))[1] if kind == "number" else 0.0


def _cells(table: pa.Table, units: tuple[tuple[str, Kind, float], ...]) -> np.ndarray:
    """Return each cell as one hash: uint64, shape (columns, n); a missing one is a value too."""
    made = np.zeros((len(units), table.num_rows), np.uint64)
    for number, (name, kind, width) in enumerate(units):
        if kind == "number":
            with np.errstate(over="ignore", invalid="ignore"):
                steps = np.floor(np.clip(encode.numbers(table[name]) / width, -1e15, 1e15))
            hashes = np.where(np.isnan(steps), 2.0**60, steps).astype(np.int64).view(np.uint64)
            made[number] = hashing.mixed(hashes, number)
        else:
            made[number] = hashing.value_hashes(hashing.whole(table[name]), number)
    return made


def _keys(cells: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the key of each row by each subset: uint64, shape (subsets, n)."""
    made = np.zeros((len(chosen), cells.shape[1]), np.uint64)
    for number, subset in enumerate(chosen):
        made[number] = hashing.mixed(cells[subset].sum(0, dtype=np.uint64), number)
    return made


def _logs(cells: np.ndarray) -> np.ndarray:
    """Return the log of the share of rows with the same cell: float64, shape (columns, n)."""
    made = np.zeros(cells.shape)
    for number, column in enumerate(cells):
        _, place, count = np.unique(column, return_inverse=True, return_counts=True)
        made[number] = np.log(count[place] / len(column))
    return made
