"""Overlap with a test set: rows that a model would learn from and then be measured on.

A row repeats a test row exactly if their hashes are equal, and nearly if both share most columns to
within a cell of the floods' grid and chance does not bring two rows so close. Tables repeat
legitimately: overlap is an error only beyond what rows of the dataset share with each other.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.duplicates import exact
from checks.kit import copy_floods, lsh, sample
from provenance.base.errors import AssayError

CHANCE = 1e-4  # of so much overlap among legitimate rows
ALIKE = 0.8  # of the axes must agree
RARER = 1e-3  # expected number of rows that come so close to a test row by chance
EVERY = 5  # one row in 5 of the sample is compared with the others
CONTROLS = 20_000  # of these at most


@dataclasses.dataclass(frozen=True, slots=True)
class Overlap:
    """What the test set shares with the dataset.

    Attributes:
        exact, near: ordinals of the dataset's rows that repeat a row of the test set, int64.
        tested: rows of the test set, out of `size`, that are repeated exactly or nearly.
        usual: share of the dataset's own rows that repeat another, exactly or nearly, the larger.
        is_error: whether the overlap is more than the dataset's own repeats explain.
    """

    exact: np.ndarray
    near: np.ndarray
    tested: int
    size: int
    usual: float
    is_error: bool


def find(
    known: exact.Repeats,
    near: pa.Table,
    grid: copy_floods.Grid | None,
    test: pa.Table | None,
    columns: list[str],
) -> Overlap:
    """Compare the dataset with the test set.

    Args:
        known: hashes of the dataset's rows.
        near: its settled sample.
        grid: over the sample; None if near copies cannot be distinguished from legitimate rows.
        test: rows of the test set, with the same columns.
        columns: columns that a model may learn from.

    Raises:
        AssayError: ASSAY-K003 if the test set has no readable row.
    """
    if test is None or not test.num_rows:
        what, fix = (
            "no row of the test set can be read",
            "give a test set that follows this contract",
        )
        raise AssayError("K003", what, fix=fix)
    hashes = exact.hashes([test[name] for name in columns], test.num_rows)
    # beyond the cap, only the rows of lowest hash are known
    is_capped = len(known.hashes) >= exact.CAP
    size = int((hashes <= known.hashes.max()).sum()) if is_capped else len(hashes)
    same = known.rows[np.isin(known.hashes, hashes)]
    is_tested = np.isin(hashes, known.hashes)
    counts = np.unique(known.hashes, return_counts=True)[1]
    usual = float(counts[counts > 1].sum() / max(len(known.hashes), 1))
    is_error = _beyond(int(is_tested.sum()), size, usual)
    none = np.zeros(0, np.int64)
    if grid is None:
        return Overlap(same, none, int(is_tested.sum()), size, usual, is_error)
    pairs = _close(near, test.filter(pa.array(~is_tested)), grid)
    ordinals = near[sample.ROW].to_numpy()[pairs[:, 1]]
    tested = len(np.unique(pairs[:, 0]))
    among = _among(near, grid)
    # only the sampled rows are searched for near copies
    is_error |= _beyond(tested, test.num_rows, among)
    rows = np.setdiff1d(np.unique(ordinals), same)
    return Overlap(same, rows, int(is_tested.sum()) + tested, size, max(usual, among), is_error)


def _beyond(hits: int, trials: int, usual: float) -> bool:
    """Return whether the chance of so many shared rows is below CHANCE."""
    from scipy.special import betainc

    if hits == 0 or usual >= 1:
        return False
    return usual == 0 or bool(betainc(hits, trials - hits + 1, usual) < CHANCE)


def _among(near: pa.Table, grid: copy_floods.Grid) -> float:
    """Return the share of the sample's rows that are a near copy of another sampled row."""
    part = np.arange(near.num_rows) % EVERY == 0
    part &= np.cumsum(part) <= CONTROLS
    left = near.filter(pa.array(part))
    pairs = _close(near.filter(pa.array(~part)), left, grid)
    return float(len(np.unique(pairs[:, 0])) / max(left.num_rows, 1))


def _close(near: pa.Table, test: pa.Table, grid: copy_floods.Grid) -> np.ndarray:
    """Return pairs (row of `test`, row of `near`) that are near copies: int64, shape (k, 2)."""
    none = np.zeros((0, 2), np.int64)
    if not near.num_rows or not test.num_rows:
        return none
    every = range(len(grid.axes))
    ours = list(copy_floods.coordinates(near, grid, every).values())
    theirs = list(copy_floods.coordinates(test, grid, every).values())
    shares = [np.log(lsh.shares(column)) for column in ours]
    cells, tested = copy_floods.hashes(near, grid), copy_floods.hashes(test, grid)
    found = [none]
    for own, other in zip(cells, tested, strict=True):
        order = np.argsort(own, kind="stable")
        place = np.minimum(np.searchsorted(own[order], other), len(own) - 1)
        candidate = order[place]
        met = np.flatnonzero(own[candidate] == other)
        pairs = np.column_stack([met, candidate[met]])
        found.append(pairs[_agree(ours, theirs, shares, pairs, near.num_rows)])
    return np.unique(np.concatenate(found), axis=0)


def _agree(
    ours: list[np.ndarray],
    theirs: list[np.ndarray],
    shares: list[np.ndarray],
    pairs: np.ndarray,
    rows: int,
) -> np.ndarray:
    """Return which pairs agree on most axes, and more than by chance: bool, shape (k,)."""
    agreeing = np.zeros(len(pairs))
    chance = np.full(len(pairs), np.log(rows))
    for own, other, share in zip(ours, theirs, shares, strict=True):
        left, right = own[pairs[:, 1]], other[pairs[:, 0]]
        same = left == right
        if own.dtype != np.uint64:
            with np.errstate(invalid="ignore"):
                same |= np.abs(left - right) <= 1
        agreeing += same
        chance += np.where(same, lsh.TOGETHER * share[pairs[:, 1]], 0.0)
    alike: np.ndarray = (agreeing >= ALIKE * len(ours)) & (chance <= np.log(RARER))
    return alike
