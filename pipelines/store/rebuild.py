"""A committed run's files turned back into a snapshot, so that its rows can get new fates.

Clean rows are typed already; quarantined rows are stored as read and are cast by the contract. A
row that the contract could not cast stays held.
"""

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from provenance.ledger import lineage
from provenance.ledger.entry import Entry
from provenance.ledger.run_reader import RunReader
from provenance.rows import cast
from provenance.rows.shards import (
    DIGEST,
    ROW,
    Shard,
    ShardRef,
    packed,
    unpacked,
    write_shard,
    write_table,
)
from provenance.rows.snapshot import Snapshot, Source


def rebuild(
    files: RunReader, entry: Entry, contract: Contract, found: Findings, scratch: Path
) -> Snapshot:
    """Write a run's rows below `scratch` as a snapshot of the same source.

    Raises:
        AssayError: ASSAY-L011 if a file of the run does not match its record.
    """
    sources = tuple(Source(**item) for item in entry.facts["inputs"])
    uncast = found.filter(pc.equal(found["check"], "ingest"))["row"].drop_null().to_numpy()
    shards: list[ShardRef] = []
    schema, lineages = None, Lineages(files)
    for name in files.names("clean"):
        table = files.table(name)
        schema = table.schema
        rows, digests = clean_rows(lineages.of(name), sources)
        shards.append(write_shard(scratch, Shard(len(shards), table, rows, digests)))
    raw: list[str | None] = [None] * len(shards)
    held: list[pa.Table] = []
    for name in files.names("quarantine"):
        table = _with_ids(lineages.of(name), as_read(files.table(name)))
        is_held = np.isin(table[ROW].to_numpy(), uncast)
        held.append(table.filter(pa.array(is_held)))
        table = table.filter(pa.array(~is_held))
        ids = unpacked(table[DIGEST])
        table = table.drop_columns([DIGEST])
        cells = typed_cells(table.drop_columns([ROW]), contract, schema)
        shards.append(write_shard(scratch, Shard(len(shards), cells, table[ROW].to_numpy(), ids)))
        raw.append(_joined([table], scratch / f"raw-{len(raw):05d}.parquet"))
    refused = [_with_ids(lineages.of(n), files.table(n)) for n in files.names("rejected")]
    return Snapshot(
        folder=str(scratch),
        rows=entry.facts["rows"]["source"],
        sources=sources,
        shards=tuple(shards),
        raw=tuple(raw),
        held=_joined(held, scratch / "held.parquet"),
        held_findings=None,
        rejected=_joined(refused, scratch / "rejected.parquet"),
        warnings=(),
    )


def as_read(table: pa.Table) -> pa.Table:
    """Return quarantined rows as the source's columns, as read, and ROW."""
    *own, _, _ = table.column_names
    return table.rename_columns([*own, ROW, "_reasons"]).drop_columns(["_reasons"])


class Lineages:
    """The lineage of a run, stored in one part for each file with rows."""

    def __init__(self, files: RunReader) -> None:
        """Keep the run's reader; nothing is read yet."""
        self._files = files

    @functools.cached_property
    def _parts(self) -> dict[str, str]:
        """Return the part of each file with rows."""
        found = {}
        for part in self._files.names("lineage"):
            with self._files.opened(part) as source:
                for first in pq.ParquetFile(source).iter_batches(1, columns=["file"]):
                    found[str(first["file"][0])] = part
                    break  # all its rows are of one file
        return found

    def of(self, name: str) -> pa.Table:
        """Return the lineage of a file's rows in the file's order; empty if it has none."""
        if name in self._parts:
            return self._files.table(self._parts[name]).combine_chunks()
        schemas = [self._files.schema(part) for part in self._files.names("lineage")[:1]]
        return (schemas or [lineage.LINEAGE_SCHEMA])[0].empty_table()


def clean_rows(placed: pa.Table, sources: tuple[Source, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return ordinals (int64) and published ids (uint8, (n, 32 or 64)) of rows from lineage."""
    return lineage.ordinals_in(placed, sources), lineage.ids_in(placed)


def _with_ids(placed: pa.Table, table: pa.Table) -> pa.Table:
    """Append the published ids of a file's rows as DIGEST."""
    return table.append_column(DIGEST, packed(lineage.ids_in(placed)))


def typed_cells(cells: pa.Table, contract: Contract, schema: pa.Schema) -> pa.Table:
    """Cast text columns by the contract; leave columns that are typed already."""
    columns = []
    for field in schema:
        column = cells[field.name].combine_chunks()
        if column.type != field.type:
            column, _ = cast.cast(column, contract.column(field.name).spec)
        columns.append(column)
    return pa.table(columns, schema=pa.schema([pa.field(f.name, f.type) for f in schema]))


def _joined(tables: list[pa.Table], path: Path) -> str | None:
    rows = sum(len(table) for table in tables)
    if not rows:
        return None
    write_table(pa.concat_tables(tables), path)
    return str(path)
