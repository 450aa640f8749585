"""A run under review whose accused rows are indexed, so that a decision reads nothing of a run.

State: 16 bytes for each row, 60 more for each accused one, its findings, the files last looked at
(at most MOST), and the identities of other rows that were asked for (at most MOST_KNOWN).
Cost: two passes over the lineage and one sort of the findings, once.
"""

import functools
import sys
import threading
from collections.abc import Collection, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import verdict
from checks.kit.findings import Findings
from pipelines.review.reviewed_run import PLACES, ReviewedRun
from pipelines.store import decisions
from pipelines.store.decisions import History
from pipelines.store.opinions import ID, Decision, Identity
from provenance.ledger import lineage
from provenance.ledger.run_files import FATES
from provenance.rows.shards import DIGEST_BYTES, packed, unpacked
from provenance.rows.snapshot import Source

MOST = 256 << 20  # bytes of the run's tables that stay in memory
MOST_KNOWN = 100_000  # rows that nothing accuses whose identities stay in memory
MANY = 1000  # rows from which a scan of the findings is cheaper than to find each row's own


class IndexedRun(ReviewedRun):
    """A run whose decisions and history are kept up to date by whoever holds it."""

    @functools.cached_property
    def history(self) -> History:
        """Return all decisions on the dataset; later ones must be added to it."""
        return decisions.History.of(self.store, self.entry.facts["dataset"])

    @functools.cached_property
    def _keyed(self) -> dict[bytes, list[Decision]]:
        """Return all decisions on each primary key."""
        return _by_key({}, (each for stack in self.history.every.values() for each in stack))

    def follow(self, made: Collection[Decision]) -> None:
        """Add later decisions to the history."""
        keyed = self._keyed  # of what was decided before
        _by_key(keyed, self.history.extend(made))

    def _of_key(self, _: History, key: bytes) -> Iterable[Decision]:
        return self._keyed.get(key, ())

    @functools.cached_property
    def ordered(self) -> Findings:
        """Return the findings on rows, by row, causes first."""
        return verdict.causes_first(self.rowed)

    @functools.cached_property
    def accused(self) -> np.ndarray:
        """Return the rows that an error or a warning accuses: int64, ascending."""
        return np.unique(self.accusing["row"].to_numpy())

    @functools.cached_property
    def fates(self) -> np.ndarray:
        """Return the fate of each accused row in this run, as its place in FATES: int8, (n,)."""
        return self._index[0]

    def place(self, row: int) -> int | None:
        """Return a row's place among the accused ones, None if nothing accuses it."""
        place = int(np.searchsorted(self.accused, row))
        return place if place < len(self.accused) and self.accused[place] == row else None

    def findings_on(self, rows: Collection[int]) -> Findings:
        """Return the findings on some rows, by row, causes first."""
        if len(rows) > MANY:
            return super().findings_on(rows)
        parts = [self.ordered.slice(0, 0)]
        for row in sorted(rows):
            start, end = np.searchsorted(self._finding_rows, [row, row + 1])
            parts.append(self.ordered.slice(start, end - start))
        return pa.concat_tables(parts).combine_chunks()

    def identities(self, rows: Collection[int]) -> dict[int, Identity]:
        """Return the identities of rows by row."""
        wanted = np.array(sorted(rows), np.int64)
        places = self.places(wanted)
        if (places < 0).any():
            return self._identities_of_others(rows)
        _, ids, copies, _, _ = self._index
        texts = packed(ids[places]).to_pylist()
        made = zip(texts, copies[places].tolist(), strict=True)
        return dict(zip(wanted.tolist(), made, strict=True))

    def _identities_of_others(self, rows: Collection[int]) -> dict[int, Identity]:
        """Return the identities of rows of which something accuses at most some.

        The lineage is read for each row once; what is known takes no lock, so that nobody waits
        here for what somebody else has read.
        """
        known = self._known
        found = {row: at for row in sorted(rows) if (at := known.get(row)) is not None}
        if len(found) == len(rows):
            return found
        found = super().identities(rows)
        if len(known) + len(found) > MOST_KNOWN:
            known.clear()
        if len(found) <= MANY:
            known |= found
        return found

    @functools.cached_property
    def _known(self) -> dict[int, Identity]:
        return {}

    def rows_of(self, wanted: Collection[Identity]) -> dict[int, Identity]:
        """Return the rows that have one of some identities; quick unless nothing accuses them."""
        asked = set(wanted)
        ids = pa.array(sorted({row_id for row_id, _ in asked}), ID)
        _, every, copies, _, _ = self._index
        texts = packed(every)
        places = np.flatnonzero(pc.is_in(texts, ids).to_numpy(zero_copy_only=False))
        pairs = zip(texts.take(pa.array(places)).to_pylist(), copies[places].tolist(), strict=True)
        found = dict(zip(self.accused[places].tolist(), pairs, strict=True))
        missing = asked.difference(found.values())
        heads = np.array([int.from_bytes(row_id[:8], sys.byteorder) for row_id, _ in missing],
                         np.uint64)  # fmt: skip
        if np.isin(heads, self._heads[0]).any():
            found |= decisions.locate(decisions.rows_of(self.files, self.entry), ids)
        return {row: identity for row, identity in found.items() if identity in asked}

    @functools.cached_property
    def _finding_rows(self) -> np.ndarray:
        found: np.ndarray = self.ordered["row"].to_numpy()
        return found

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Return the places of rows, int64, shape (n,), among the accused ones; -1: not accused."""
        if not len(self.accused):
            return np.full(len(rows), -1)
        found = np.minimum(np.searchsorted(self.accused, rows), len(self.accused) - 1)
        return np.where(self.accused[found] == rows, found, -1)

    def _places(self, rows: Collection[int]) -> pa.Table:
        at = self.places(np.array(sorted(rows), np.int64))
        if (at < 0).any():
            return super()._places(rows)
        fates, _, _, files, lines = self._index
        at = at[fates[at] != FATES.index("rejected")]
        names = pa.array(self._names, pa.string()).take(pa.array(files[at]))
        return pa.table([pa.array(self.accused[at]), names, pa.array(lines[at])], PLACES)

    def _lines(self, name: str, columns: list[str], places: pa.ChunkedArray) -> pa.Table:
        if len(places) > MANY and not self._tables.has(name):
            return super()._lines(name, columns, places)
        return self._tables.of(name).select(columns).take(places)

    @functools.cached_property
    def _tables(self) -> "_Tables":
        return _Tables(self)

    @functools.cached_property
    def _names(self) -> list[str]:
        return [name for fate in FATES for name in self.files.names(fate)]

    @functools.cached_property
    def _index(self) -> tuple[np.ndarray, ...]:
        """Return of each accused row its fate, id, copy, file and row of the file."""
        sources = [Source(**item) for item in self.entry.facts["inputs"]]
        number = {name: place for place, name in enumerate(self._names)}
        size = len(self.accused)
        fates, files = np.zeros(size, np.int8), np.zeros(size, np.int32)
        ids, lines = np.zeros((size, DIGEST_BYTES), np.uint8), np.zeros(size, np.int64)
        for table in self.files.tables("lineage"):
            rows = lineage.ordinals_in(table, sources)
            mine = np.isin(rows, self.accused)
            at, kept = np.searchsorted(self.accused, rows[mine]), table.filter(pa.array(mine))
            fates[at] = pc.index_in(kept["fate"], pa.array(FATES)).to_numpy()
            ids[at] = unpacked(kept["row_id"])
            files[at] = [number.get(name, -1) for name in kept["file"].to_pylist()]
            lines[at] = pc.fill_null(kept["file_row"], -1).to_numpy()
        return fates, ids, self._copies(), files, lines

    def _copies(self) -> np.ndarray:
        """Return how many rows of the same content come before each accused row: int64, (n,)."""
        copies = np.zeros(len(self.accused), np.int64)
        twins = self._twins()
        if not len(twins):
            return copies
        texts, ordinals = [], []
        for ids, rows in decisions.rows_of(self.files, self.entry):
            mine = np.isin(rows, twins)
            texts.append(packed(np.ascontiguousarray(ids[mine][:, :DIGEST_BYTES])))
            ordinals.append(rows[mine])
        codes = pa.chunked_array(texts).combine_chunks().dictionary_encode().indices.to_numpy()
        every = np.concatenate(ordinals)
        order = np.lexsort((every, codes))
        codes, every = codes[order], every[order]
        firsts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
        nth = np.arange(len(codes)) - np.repeat(firsts, np.diff(np.r_[firsts, len(codes)]))
        mine = np.isin(every, self.accused)
        copies[np.searchsorted(self.accused, every[mine])] = nth[mine]
        return copies

    def _twins(self) -> np.ndarray:
        """Return the rows that may have the content of another one: int64; most runs have none."""
        heads, rows = self._heads
        same = heads[1:] == heads[:-1]
        found: np.ndarray = rows[np.r_[same, False] | np.r_[False, same]] if len(heads) else rows
        return found

    @functools.cached_property
    def _heads(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the first 8 bytes of the ids of all rows, uint64, ascending, and their rows."""
        heads, ordinals = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        for ids, rows in decisions.rows_of(self.files, self.entry):
            heads.append(np.ascontiguousarray(ids[:, :8]).view(np.uint64).ravel())
            ordinals.append(rows)
        every = np.concatenate(heads)
        order = np.argsort(every)
        return every[order], np.concatenate(ordinals)[order]


class _Tables:
    """The tables of a run that were last read, whole."""

    def __init__(self, run: ReviewedRun) -> None:
        self._run, self._lock = run, threading.Lock()
        self._held: dict[str, pa.Table] = {}

    def has(self, name: str) -> bool:
        """Return whether a table is held."""
        return name in self._held

    def of(self, name: str) -> pa.Table:
        """Return a table of the run; its file is read, and checked, if it is not held."""
        with self._lock:
            table = self._held.pop(name, None)
            if table is None:
                table = self._run.files.table(name)
            self._held[name] = table
            while len(self._held) > 1 and sum(t.nbytes for t in self._held.values()) > MOST:
                del self._held[next(iter(self._held))]
            return table


def _by_key(
    keyed: dict[bytes, list[Decision]], made: Iterable[Decision]
) -> dict[bytes, list[Decision]]:
    """Add decisions to those on the same primary key, in place."""
    for decision in made:
        if decision.key_id is not None:
            keyed.setdefault(decision.key_id, []).append(decision)
    return keyed
