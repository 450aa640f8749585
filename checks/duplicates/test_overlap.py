"""Overlap with a test set: rows that a model would learn from and then be measured on.

A row repeats exactly if its hash does, nearly if it shares most columns to within a cell of the
floods' grid with a row of the test set, and chance does not bring two rows so close. Tables repeat
honestly: the overlap speaks against the test set only beyond what rows of the dataset have in
common with each other.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.duplicates import exact as repeats
from checks.kit import copy_floods, lsh, sample
from provenance.base.errors import AssayError

CHANCE = 1e-4  # of so much overlap among honest rows
ALIKE = 0.8  # of the axes must agree
RARER = 1e-3  # rows that chance may bring so close to one test row
EVERY = 5  # one in so many rows of the sample is compared with the others
CONTROLS = 20_000


@dataclasses.dataclass(frozen=True, slots=True)
class Overlap:
    """What the test set shares with the dataset.

    Attributes:
        exact, near: ordinals of the dataset's rows that repeat a row of the test set, int64.
        tested: rows of the test set that are repeated, exactly or nearly; of `size`.
        usual: share of the dataset's own rows that are like another one, the larger of both ways.
        is_error: whether that is more than the dataset's own repeats explain.
    """

    exact: np.ndarray
    near: np.ndarray
    tested: int
    size: int
    usual: float
    is_error: bool


def find(
    seen: repeats.Repeats,
    near: pa.Table,
    grid: copy_floods.Grid | None,
    test: pa.Table | None,
    columns: list[str],
) -> Overlap:
    """Compare the dataset with the test set.

    Args:
        seen: hashes of the dataset's rows.
        near: its settled sample.
        grid: over the sample, or None where near copies cannot be told from honest ones.
        test: rows with the same columns.
        columns: that a model may learn from.

    Raises:
        AssayError: ASSAY-K003 if there is no row to compare with.
    """
    if test is None or not test.num_rows:
        what, fix = "no row of the test set can be read", "give one that keeps this contract"
        raise AssayError("K003", what, fix=fix)
    hashes = repeats.hashes(test, columns)
    # beyond the cap only the rows of lowest hash are known
    known = hashes <= seen.hashes.max() if len(seen.hashes) >= repeats.CAP else np.ones(1, bool)
    exact = seen.rows[np.isin(seen.hashes, hashes)]
    is_tested = np.isin(hashes, seen.hashes)
    size = int(known.sum()) if len(known) == len(hashes) else len(hashes)
    counts = np.unique(seen.hashes, return_counts=True)[1]
    usual = float(counts[counts > 1].sum() / max(len(seen.hashes), 1))
    is_error = _beyond(int(is_tested.sum()), size, usual)
    none = np.zeros(0, np.int64)
    if grid is None:
        return Overlap(exact, none, int(is_tested.sum()), size, usual, is_error)
    pairs = _close(near, test.filter(pa.array(~is_tested)), grid)
    ordinals = near[sample.ROW].to_numpy()[pairs[:, 1]]
    tested = len(np.unique(pairs[:, 0]))
    among = _among(near, grid)
    # of the sample only a part of the rows can be met
    is_error |= _beyond(tested, test.num_rows, among)
    rows = np.setdiff1d(np.unique(ordinals), exact)
    return Overlap(exact, rows, int(is_tested.sum()) + tested, size, max(usual, among), is_error)


def _beyond(hits: int, trials: int, usual: float) -> bool:
    """Return whether so many rows are shared by chance less often than CHANCE."""
    from scipy.special import betainc

    if hits == 0 or usual >= 1:
        return False
    return usual == 0 or bool(betainc(hits, trials - hits + 1, usual) < CHANCE)


def _among(near: pa.Table, grid: copy_floods.Grid) -> float:
    """Return the share of the sample's rows that come nearly so close to another of them."""
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
    """Return which pairs agree on most axes, more than chance would have it: bool, shape (k,)."""
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
