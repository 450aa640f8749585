"""Exact repeats: a 64-bit hash per row over the columns that a model learns from.

Up to `CAP` rows every repeat is found; beyond it only the rows of lowest hash are kept, so a group
of equal rows is kept or dropped as a whole.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import hashing
from provenance.rows.shards import Shard

CAP = 2_000_000
CHANCE = 1e-6  # below it, so many hits are not put down to chance
LEAST = 10  # hits


@dataclasses.dataclass(frozen=True, slots=True)
class Repeats:
    """Hashes of rows, in row order; every array has shape (n,).

    Attributes:
        rows: int64 ordinals; hashes, labels, sources: uint64 (0 without such a column).
    """

    rows: np.ndarray
    hashes: np.ndarray
    labels: np.ndarray
    sources: np.ndarray

    def take(self, keep: np.ndarray) -> "Repeats":
        """Return the rows that a mask or an index array selects."""
        return Repeats(*(getattr(self, f.name)[keep] for f in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True, slots=True)
class Repeated:
    """The repeats of a dataset.

    Attributes:
        groups, copies: number of groups of equal rows; rows beyond the first of each group.
        differing: ordinals of copies with a different label from the first row of their group.
        is_conflict: whether more copies differ than if their labels were drawn at random.
        flooded: ordinals of copies from a source that supplies nearly all of them.
        shares: of the copies and of the other rows that this source supplies.
    """

    groups: int
    copies: int
    differing: np.ndarray
    is_conflict: bool
    flooded: np.ndarray
    shares: tuple[float, float]


def gather(shard: Shard, columns: list[str], label: str | None, source: str | None) -> Repeats:
    """Hash the rows of a shard."""
    marks = [
        np.zeros(len(shard.rows), np.uint64)
        if name is None
        else hashing.value_hashes(hashing.whole(shard.table[name]), 1)
        for name in (label, source)
    ]
    tables = (shard.table, shard.nested)
    cells = {name: table[name] for table in tables for name in table.column_names}
    found = hashes([cells[name] for name in columns], len(shard.rows))
    return _bounded(Repeats(shard.rows, found, *marks))


def hashes(columns: list[pa.ChunkedArray], rows: int) -> np.ndarray:
    """Return the hash of each row over these columns: uint64, shape (n,)."""
    total = np.zeros(rows, np.uint64)
    for number, column in enumerate(columns):
        total += hashing.value_hashes(hashing.whole(column), number + 1)
    return hashing.mixed(total)


def merge(left: Repeats, right: Repeats) -> Repeats:
    """Join both in row order, within the cap."""
    names = [f.name for f in dataclasses.fields(left)]
    both = Repeats(*(np.concatenate([getattr(left, n), getattr(right, n)]) for n in names))
    return _bounded(both.take(np.argsort(both.rows, kind="stable")))


def _bounded(repeats: Repeats) -> Repeats:
    if len(repeats.rows) <= CAP:
        return repeats
    return repeats.take(repeats.hashes < np.partition(repeats.hashes, CAP)[CAP])


def weigh(repeats: Repeats) -> Repeated:
    """Count the repeats, and test their labels and sources."""
    order = np.argsort(repeats.hashes, kind="stable")
    ranked = repeats.hashes[order]
    is_copy = np.zeros(len(order), bool)
    is_copy[1:] = ranked[1:] == ranked[:-1]
    first = order[np.maximum.accumulate(np.where(is_copy, 0, np.arange(len(order))))]
    copies, originals = order[is_copy], first[is_copy]
    differs = repeats.labels[copies] != repeats.labels[originals]
    flooded, shares = _concentration(repeats, copies)
    return Repeated(
        groups=len(np.unique(originals)),
        copies=len(copies),
        differing=np.sort(repeats.rows[copies[differs]]),
        is_conflict=_beyond(int(differs.sum()), len(copies), _random_difference(repeats.labels)),
        flooded=np.sort(repeats.rows[flooded]),
        shares=shares,
    )


def _random_difference(labels: np.ndarray) -> float:
    """Return how often two labels drawn at random differ: legitimate repeats differ no more."""
    counts = np.unique(labels, return_counts=True)[1] / max(len(labels), 1)
    return float(1 - (counts**2).sum())


def _beyond(hits: int, trials: int, usual: float) -> bool:
    """Return whether the hits exceed the usual share significantly and by a large margin."""
    from scipy.special import betainc

    if hits < LEAST or hits / trials < usual + 0.2 * (1 - usual):
        return False
    return bool(betainc(hits, trials - hits + 1, min(max(usual, 1e-6), 1 - 1e-9)) < CHANCE)


def _concentration(repeats: Repeats, copies: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    none = np.zeros(0, np.int64), (0.0, 0.0)
    if len(copies) < LEAST:
        return none
    names, counts = np.unique(repeats.sources[copies], return_counts=True)
    most = int(counts.argmax())
    rest = len(repeats.rows) - len(copies)
    elsewhere = int((repeats.sources == names[most]).sum()) - int(counts[most])
    shares = counts[most] / len(copies), elsewhere / max(rest, 1)
    if shares[0] < 0.8 or shares[1] > 0.25 or not _beyond(counts[most], len(copies), shares[1]):  # noqa: PLR2004
        return none
    return copies[repeats.sources[copies] == names[most]], shares


def shared_columns(table: pa.Schema, wanted: tuple[str, ...]) -> list[str]:
    """Return the wanted columns that the schema has and that are not of type null."""
    return [n for n in wanted if n in table.names and not pa.types.is_null(table.field(n).type)]
