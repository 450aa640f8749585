"""Fates: write every source row to exactly one of clean, quarantine, rejected, with its lineage.

The clean dataset has the source's columns and types and nothing else; the quarantine has them as
read, with `_row` and `_reasons`. Before anything is committed, the counts must add up.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, registry, verdict
from checks.kit.contract_model import Contract
from pipelines.store import keys
from pipelines.store.outcome import Fated
from provenance.base.errors import AssayError
from provenance.ledger import lineage, merkle
from provenance.ledger.lineage import RowIds
from provenance.ledger.run_files import FATES
from provenance.rows import digest
from provenance.rows.shards import (
    DIGEST,
    ROW,
    as_read,
    read_shard,
    read_table,
    unpacked,
    write_table,
)
from provenance.rows.snapshot import REJECTED_SCHEMA, Snapshot

REFUSED = "rejected in review"  # the reason of a row that a person rejected
Change = Callable[[pa.Table, np.ndarray], pa.Table]
Name = Callable[[np.ndarray, np.ndarray], np.ndarray]


def held_findings(snapshot: Snapshot) -> findings.Findings:
    """Return why rows could not be cast, as findings of `ingest`."""
    if not snapshot.held_findings:
        return findings.empty()
    held = read_table(snapshot.held_findings)
    codes = [f"ASSAY-{code}" for code in held["code"].to_pylist()]
    return findings.make(
        held["row"],
        check="ingest",
        rule=codes,
        column=held["column"],
        evidence=held["evidence"],
        suggestion="repair the cell at its source, or reject the row",
    ).cast(findings.SCHEMA)


def ids_of(snapshot: Snapshot, contract: Contract) -> RowIds:
    """Return what turns the digests of a source's rows into their ids."""
    secrets = lineage.secrets_of(keys.own(make=True)) if contract.is_personal else None
    return RowIds(snapshot.sources, secrets)


def protected(table: pa.Table, contract: Contract) -> pa.Table:
    """Replace personal data in the columns for which the contract asks for it."""
    for column in contract.columns:
        if column.pii in ("redact", "pseudonymise") and column.name in table.column_names:
            key = keys.own(make=True).derived("pseudonym") if column.pii == "pseudonymise" else None
            place = table.column_names.index(column.name)
            cells = table[column.name].combine_chunks()
            texts = registry.redact(cells, column.name, contract, key=key)
            table = table.set_column(place, table.schema.field(place), texts)
    return table


@dataclasses.dataclass(frozen=True, slots=True)
class Sorting:
    """Which rows leave the clean dataset, and what changes in those that stay.

    Attributes:
        found: findings of all rows, for `_reasons` and lineage.
        quarantined, refused: int64 row ordinals; `refused` are those that a reviewer rejected.
        change: redacts or relabels clean rows, given their ordinals.
        name: turns the snapshot's row digests and ordinals into the ids that are published.
        entries: of the decisions in force, by row.
    """

    found: findings.Findings
    quarantined: np.ndarray
    refused: np.ndarray
    change: Change
    name: Name
    entries: Mapping[int, int] = dataclasses.field(default_factory=dict)


class Emitter:
    """Writes one run's clean, quarantine, rejected and lineage files below `out`."""

    def __init__(self, snapshot: Snapshot, sorting: Sorting, out: Path) -> None:
        """Make the folders and index the findings by row."""
        self._snapshot, self._sorting, self._out = snapshot, sorting, out
        self._counts, self._parts = dict.fromkeys(FATES, 0), dict.fromkeys(FATES, 0)
        self._tree = merkle.Tree()
        for name in (*FATES, "lineage"):
            (out / name).mkdir(parents=True)
        rowed = sorting.found.filter(pc.is_valid(sorting.found["row"]))
        order = pc.sort_indices(rowed, sort_keys=[("row", "ascending"), ("rule", "ascending")])
        self._found = rowed.take(order).combine_chunks()
        self._rows = self._found["row"].to_numpy()

    def write(self) -> Fated:
        """Write everything; ASSAY-K016 if the rows do not add up."""
        for number, ref in enumerate(self._snapshot.shards):
            shard = read_shard(ref)
            raw = self._snapshot.raw[number] if self._snapshot.raw else None
            texts = as_read(shard.table, raw) if raw else shard.table
            self._sort_shard(number, shard.table, texts, shard.rows, shard.digests)
        self._write_unread(len(self._snapshot.shards))
        self._ensure_a_part()
        fated = Fated(self._snapshot.rows, **self._counts, root=self._tree.root().hex())
        if fated.source != fated.clean + fated.quarantine + fated.rejected:
            raise AssayError("K016", f"rows do not add up: {fated.as_dict()}")
        return fated

    def _write_unread(self, number: int) -> None:
        """Write the rows that could not be cast, then those that could not be split into cells."""
        if self._snapshot.held:
            held = read_table(self._snapshot.held)
            rows = held[ROW].to_numpy()
            as_read, digests = _apart(held.drop_columns([ROW]))
            gone = np.isin(rows, self._sorting.refused)
            self._hold(number, as_read, rows, digests, gone)
        if self._snapshot.rejected:
            self._reject(number + 1, read_table(self._snapshot.rejected))

    def _sort_shard(
        self, number: int, typed: pa.Table, as_read: pa.Table, rows: np.ndarray, digests: np.ndarray
    ) -> None:
        gone = np.isin(rows, self._sorting.refused)
        bad = np.isin(rows, self._sorting.quarantined) & ~gone
        good = ~bad & ~gone
        clean = self._sorting.change(typed.filter(pa.array(good)), rows[good])
        self._put("clean", clean, rows[good], digests[good], number)
        self._hold(
            number, as_read.filter(pa.array(~good)), rows[~good], digests[~good], gone[~good]
        )

    def _hold(
        self,
        number: int,
        as_read: pa.Table,
        rows: np.ndarray,
        digests: np.ndarray,
        gone: np.ndarray,
    ) -> None:
        """Write rows that left the clean dataset: to rejected if refused, else to quarantine."""
        kept = as_read.filter(pa.array(~gone))
        table = kept.append_column("_row", pa.array(rows[~gone], pa.int64()))
        table = table.append_column("_reasons", self._reasons(rows[~gone]))
        self._put("quarantine", table, rows[~gone], digests[~gone], number)
        if gone.any():
            lines = [line.encode() for line in _as_json(as_read.filter(pa.array(gone)))]
            columns = [pa.array(rows[gone]), pa.array(lines, pa.binary())]
            columns.append(pa.repeat(pa.scalar(REFUSED), len(lines)))
            table = pa.table(columns, REJECTED_SCHEMA)
            self._put("rejected", table, rows[gone], digests[gone], number)

    def _reject(self, number: int, table: pa.Table) -> None:
        if DIGEST in table.column_names:
            table, digests = _apart(table)
        else:
            digests = digest.of_rows(table.select(["_raw"]))
        self._put("rejected", table, table["_row"].to_numpy(), digests, number)

    def _reasons(self, rows: np.ndarray) -> pa.Array:
        low, high = np.searchsorted(self._rows, [rows[0], rows[-1] + 1]) if len(rows) else (0, 0)
        near = self._found.slice(low, high - low)
        reasons = verdict.reasons_of(near.filter(pa.array(np.isin(self._rows[low:high], rows))))
        if len(reasons) != len(rows):
            raise AssayError("K016", "a row is quarantined without a recorded reason")
        return reasons

    def _put(
        self, fate: str, table: pa.Table, rows: np.ndarray, digests: np.ndarray, number: int
    ) -> None:
        if not len(rows):
            return
        name = f"{fate}/part-{self._parts[fate]:05d}.parquet"
        self._parts[fate] += 1
        self._counts[fate] += len(rows)
        write_table(table, self._out / name)
        ids = self._sorting.name(digests, rows)
        placed = fate, name
        table = lineage.table_of(
            self._snapshot.sources, rows, ids, placed, self._rules(rows), self._decisions(rows)
        )
        self._tree.extend(lineage.leaves(table))  # the parts' names sort in the order of writing
        write_table(table, self._out / "lineage" / f"part-{number:05d}-{fate}.parquet")

    def _rules(self, rows: np.ndarray) -> pa.Array:
        """Return the rules that found each row: list<string>, empty for none."""
        low, high = np.searchsorted(self._rows, rows), np.searchsorted(self._rows, rows, "right")
        lengths = high - low
        starts = np.repeat(low - np.r_[0, np.cumsum(lengths)[:-1]], lengths)
        taken = self._found["rule"].combine_chunks().take(pa.array(np.arange(len(starts)) + starts))
        offsets = pa.array(np.r_[0, np.cumsum(lengths)], pa.int32())
        return pa.ListArray.from_arrays(offsets, taken)

    def _decisions(self, rows: np.ndarray) -> pa.Array | None:
        """Return the entry of each row's decision, 0 for none; None if the run applies none."""
        entries = self._sorting.entries
        found = (entries.get(row, 0) for row in rows.tolist())
        return pa.array(found, pa.int64()) if entries else None

    def _ensure_a_part(self) -> None:
        """Write an empty clean part if no row is clean, so that readers find the columns."""
        if not self._parts["clean"]:
            empty = read_shard(self._snapshot.shards[0]).table.slice(0, 0)
            write_table(empty, self._out / "clean" / "part-00000.parquet")


def _apart(table: pa.Table) -> tuple[pa.Table, np.ndarray]:
    """Return rows without the ids that a rebuilt snapshot has, and these ids or new digests."""
    if DIGEST in table.column_names:
        return table.drop_columns([DIGEST]), unpacked(table[DIGEST])
    return table, digest.of_rows(table)


def _as_json(table: pa.Table) -> Iterator[str]:
    """Yield rows that a reviewer rejected as JSON lines, the raw form in `rejected`."""
    import json

    for item in table.to_pylist():
        yield json.dumps(item, default=str, ensure_ascii=False)
