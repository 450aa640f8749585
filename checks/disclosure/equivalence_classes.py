"""Equivalence classes: rows with equal quasi-identifiers, and the values to generalise them from.

A 64-bit hash of its values identifies a class. For each sensitive column a class keeps the lowest
and the highest hash and a 64-bit map of its values, so that states of a class can be merged: they
give a lower bound on the number of distinct values, exact up to two.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import hashing

CAP = 500_000  # classes


@dataclasses.dataclass(frozen=True, slots=True)
class Classes:
    """Classes by rising hash; every array has shape (n,) or (n, sensitive columns).

    Attributes:
        keys: uint64 hashes; counts: int64 rows of each class.
        cells: the quasi-identifiers of each class.
        lows, highs, bits: uint64, of each sensitive column.
        is_whole: whether no class was left out for lack of room.
    """

    keys: np.ndarray
    counts: np.ndarray
    cells: pa.Table
    lows: np.ndarray
    highs: np.ndarray
    bits: np.ndarray
    is_whole: bool = True

    def distinct(self, number: int) -> np.ndarray:
        """Return a lower bound on each class's distinct values of a sensitive column: int64."""
        return at_least(self.lows[:, number], self.highs[:, number], self.bits[:, number])


def at_least(lows: np.ndarray, highs: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return the lower bound that lowest and highest hash and bit map imply: int64, shape (n,)."""
    found: np.ndarray = np.maximum(np.bitwise_count(bits).astype(np.int64), 1 + (lows != highs))
    return found


def keys_of(table: pa.Table, columns: list[str]) -> np.ndarray:
    """Return the hash of each row's class: uint64, shape (n,)."""
    total = np.zeros(table.num_rows, np.uint64)
    for number, name in enumerate(columns):
        total += _hashes(table[name], number + 1)
    return hashing.mixed(total)


def _hashes(column: pa.ChunkedArray, seed: int = 0) -> np.ndarray:
    # each distinct value is hashed once: such columns have few
    coded = hashing.whole(column).dictionary_encode()
    known = np.append(hashing.value_hashes(coded.dictionary, seed), hashing.MISSING)
    places = coded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
    found: np.ndarray = known[places]
    return found


def gather(table: pa.Table, columns: list[str], sensitive: list[str]) -> Classes:
    """Return the classes of a shard."""
    keys = keys_of(table, columns)
    columns_ = [_hashes(table[name]) for name in sensitive]
    hashes = np.stack(columns_, axis=1) if columns_ else np.zeros((len(keys), 0), np.uint64)
    bits = np.uint64(1) << (hashes >> np.uint64(58))
    ones = np.ones(len(keys), np.int64)
    return _joined(keys, ones, table.select(columns), (hashes, hashes, bits), is_whole=True)


def merge(left: Classes, right: Classes) -> Classes:
    """Return the classes of both, the counts of equal ones added."""
    pairs = [(getattr(left, n), getattr(right, n)) for n in ("lows", "highs", "bits")]
    lows, highs, bits = (np.concatenate(pair) for pair in pairs)
    return _joined(
        np.concatenate([left.keys, right.keys]),
        np.concatenate([left.counts, right.counts]),
        pa.concat_tables([left.cells, right.cells]),
        (lows, highs, bits),
        is_whole=left.is_whole and right.is_whole,
    )


def _joined(
    keys: np.ndarray,
    counts: np.ndarray,
    values: pa.Table,
    sensitive: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    is_whole: bool,
) -> Classes:
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else order
    kept, is_whole = min(len(starts), CAP), is_whole and len(starts) <= CAP
    # a class is kept or dropped whole: one below the cap now was below it in every part
    end = starts[kept] if kept < len(starts) else len(keys)
    order, starts = order[:end], starts[:kept]
    lows, highs, bits = (values_[order] for values_ in sensitive)
    return Classes(
        keys[starts],
        np.add.reduceat(counts[order], starts) if kept else counts[:0],
        values.take(pa.array(order[starts])).combine_chunks(),
        np.minimum.reduceat(lows, starts, axis=0) if kept else lows,
        np.maximum.reduceat(highs, starts, axis=0) if kept else highs,
        np.bitwise_or.reduceat(bits, starts, axis=0) if kept else bits,
        is_whole,
    )
