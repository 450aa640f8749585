"""Near copies: rows that nearly repeat each other share a fold, so that none vouches for another.

Rows are linked if they share a key (`lsh`) that chance would hardly give to two rows; linked rows
form a group, together with all rows of their folds: those that a contract's role `group` keeps
together stay so. Groups are found in the sample; a row of a shard joins the group of its fold or,
if the sample has no such row, one whose key it has, so the result depends on that row and the
sample alone. A group that holds most rows of a class is no group: its rows are what the class looks
like, and a model must see some of them.
Cost: O(rows x columns x subsets), vectorised; O(sample x subsets) memory.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import encode, hashing, lsh
from checks.kit.encode import Kind
from checks.kit.lsh import LEAST_COLUMNS, SUBSETS, TOGETHER

CHANCE = 0.3  # expected chance matches of a row, below which a shared key links rows
MOST = 0.05  # of the sample; a larger group is a property of the table
MOST_OF_CLASS = 0.5  # of a class; a larger group is a property of the class


@dataclasses.dataclass(frozen=True, slots=True)
class NearCopies:
    """Groups of near copies.

    Attributes:
        units: of each column its kind and, for a number, the width of a cell.
        chosen: bool, shape (subsets, columns).
        keys: of all rows in groups, uint64, ascending.
        fold: of each key's group, uint32, same shape.
        owns: folds of rows in groups before, uint32, ascending, and what they become.
    """

    units: tuple[tuple[str, Kind, float], ...]
    chosen: np.ndarray
    keys: np.ndarray
    fold: np.ndarray
    owns: tuple[np.ndarray, np.ndarray]

    def folds(self, table: pa.Table, own: np.ndarray) -> np.ndarray:
        """Return each row's fold, that of its group if it has one: uint32, shape (n,).

        Args:
            table: rows with the columns of `units`.
            own: each row's fold without a group, uint32, shape (n,).
        """
        made = own.copy()
        if not len(self.keys):
            return made
        for keys in _keys(_cells(table, self.units), self.chosen)[::-1]:
            at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            made = np.where(self.keys[at] == keys, self.fold[at], made)
        before, after = self.owns
        at = np.minimum(np.searchsorted(before, own), len(before) - 1)
        return np.where(before[at] == own, after[at], made)


def fit(
    table: pa.Table, how: dict[str, Kind], own: np.ndarray, given: np.ndarray | None = None
) -> NearCopies | None:
    """Find the groups of a sample; None if the columns are too few to rule out chance.

    Args:
        table: the sample, shape (n, columns).
        how: columns to compare, see `encode.kinds`.
        own: each row's fold without a group, uint32, shape (n,).
        given: int64 class codes, shape (n,), negative for rows without a class; None for a label
            that is a number.
    """
    if len(how) < LEAST_COLUMNS or table.num_rows < 2:  # noqa: PLR2004
        return None
    units = tuple((name, kind, _width(table, name, kind)) for name, kind in how.items())
    draw, every = np.random.default_rng(len(units)), np.arange(len(units))
    chosen = lsh.subsets(SUBSETS, len(units), every, lsh.size_of(len(units)), draw)
    cells = _cells(table, units)
    keys = _keys(cells, chosen)
    logs = np.log(np.stack([lsh.shares(column) for column in cells]))
    expected = np.log(table.num_rows) + TOGETHER * (chosen @ logs)
    rare = (expected < np.log(CHANCE)).ravel()
    row = np.tile(np.arange(table.num_rows), SUBSETS)[rare]
    found, place, count = np.unique(keys.ravel()[rare], return_inverse=True, return_counts=True)
    shared = count[place] > 1
    row, place = row[shared], place[shared]
    owns, owned = np.unique(own, return_inverse=True)
    pairs = np.r_[row, np.arange(table.num_rows)], np.r_[place, owned + len(found)]
    group = _connected(*pairs, table.num_rows, len(found) + len(owns))
    mine = group[: table.num_rows]
    members = np.bincount(mine, minlength=group.max() + 1)
    kept = (members > 1) & (members <= max(MOST * table.num_rows, 2))
    if given is not None:
        kept &= ~_are_classes(mine, given, len(kept))
    fold = np.full(group.max() + 1, np.iinfo(np.uint32).max, np.uint32)
    np.minimum.at(fold, mine, own)
    owner = group[table.num_rows : table.num_rows + len(found)]
    is_shared = (count > 1) & kept[owner]
    holder = group[table.num_rows + len(found) :]
    is_held = kept[holder]
    moved = (owns[is_held], fold[holder[is_held]])
    return NearCopies(units, chosen, found[is_shared], fold[owner[is_shared]], moved)


def _connected(rows: np.ndarray, others: np.ndarray, size: int, more: int) -> np.ndarray:
    """Return the group of each of `size` rows, and of each of `more` things that link them."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    marks = np.ones(len(rows), bool)
    links = coo_matrix((marks, (rows, others + size)), shape=(size + more,) * 2)
    return np.asarray(connected_components(links, directed=False)[1])


def _are_classes(group: np.ndarray, given: np.ndarray, groups: int) -> np.ndarray:
    """Return which groups hold most rows of some class: bool, shape (groups,)."""
    classed = given >= 0
    pairs, counts = np.unique(
        np.column_stack([group[classed], given[classed]]), axis=0, return_counts=True
    )
    found = np.zeros(groups, bool)
    if len(pairs):
        sizes = np.bincount(given[classed])
        found[pairs[counts > MOST_OF_CLASS * sizes[pairs[:, 1]], 0]] = True
    return found


def _width(table: pa.Table, name: str, kind: Kind) -> float:
    return lsh.CELL * encode.spread(encode.numbers(table[name]))[1] if kind == "number" else 0.0


def _cells(table: pa.Table, units: tuple[tuple[str, Kind, float], ...]) -> np.ndarray:
    """Return each cell as one hash: uint64, shape (columns, n); missing is a value too."""
    made = np.zeros((len(units), table.num_rows), np.uint64)
    for number, (name, kind, width) in enumerate(units):
        if kind == "number":
            values = encode.numbers(table[name])
            made[number] = hashing.mixed(lsh.cells(values, ~np.isnan(values), width), number)
        else:
            made[number] = hashing.value_hashes(hashing.whole(table[name]), number)
    return made


def _keys(cells: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the key of each row by each subset: uint64, shape (subsets, n)."""
    made = lsh.keys(zip(cells, chosen.T, strict=True), len(chosen), cells.shape[1])
    for number, key in enumerate(made):  # keys of different subsets must differ
        made[number] = hashing.mixed(key, number)
    return made
