"""A bounded sample of rows that is the same for every division into shards.

Each row gets a rank from its digest and ordinal; the sample holds the rows of lowest rank. So it
merges (union, keep the lowest), is stable from run to run, and copies of one row are drawn
independently of each other. Cost: one pass, O(n) per shard, O(size) memory.
"""

import numpy as np
import pyarrow as pa

from provenance.rows.shards import Shard

RANK = "__assay_rank"
ROW = "__assay_row"
FOLD = "__assay_fold"


def take(shard: Shard, columns: list[str], size: int) -> pa.Table:
    """Return at most `size` rows of a shard, those of lowest rank: columns, ROW, FOLD, RANK."""
    rank = ranks(shard)
    keep = np.argpartition(rank, size - 1)[:size] if len(rank) > size else np.arange(len(rank))
    own = shard.table.select(columns).take(pa.array(keep)) if columns else pa.table({})
    marks = {
        ROW: pa.array(shard.rows[keep], pa.int64()),
        FOLD: pa.array(folds(shard)[keep], pa.uint32()),
        RANK: pa.array(rank[keep], pa.uint64()),
    }
    # not appended: a table without columns has no rows
    return pa.table([*own.columns, *marks.values()], names=[*columns, *marks])


def merge(left: pa.Table, right: pa.Table, size: int) -> pa.Table:
    """Return the `size` lowest-ranked rows of both, in order of (rank, row)."""
    both = pa.concat_tables([left, right])
    order = np.lexsort((both[ROW].to_numpy(), both[RANK].to_numpy()))
    return both.take(pa.array(order[:size])).combine_chunks()


def settled(sample: pa.Table) -> pa.Table:
    """Return the sample in row order; call it first in `finish`."""
    return sample.take(pa.array(np.argsort(sample[ROW].to_numpy(), kind="stable"))).combine_chunks()


def ranks(shard: Shard) -> np.ndarray:
    """Return each row's rank: uint64, shape (n,), mixed from digest and ordinal."""
    first = np.ascontiguousarray(shard.digests[:, :8]).view(np.uint64).reshape(-1)
    return _mixed(first ^ _mixed(shard.rows.astype(np.uint64)))


def folds(shard: Shard) -> np.ndarray:
    """Return each row's fold number before the modulus: uint32, shape (n,).

    It is equal for copies, and for the rows of a group where the contract names groups.
    """
    own = np.ascontiguousarray(shard.digests[:, 8:12]).view(np.uint32).reshape(-1)
    if shard.groups is None:
        return own
    grouped = (_mixed(shard.groups) >> np.uint64(32)).astype(np.uint32)
    return np.where(shard.groups == 0, own, grouped)


def _mixed(values: np.ndarray) -> np.ndarray:
    # the finalizer of SplitMix64 (Steele, Lea, Flood 2014)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed
