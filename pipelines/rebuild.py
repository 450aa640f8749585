"""A committed run's files as a snapshot again, so that its rows can be sorted anew.

Clean rows come typed, as they are; quarantined rows come as read and are cast by the contract.
A row that the contract could not cast stays held.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from checks.kit.contract import Contract
from checks.kit.findings import Findings
from provenance import cast, lineage
from provenance.entry import Entry
from provenance.errors import AssayError
from provenance.shards import (
    DIGEST,
    ROW,
    Shard,
    ShardRef,
    packed,
    read_table,
    unpacked,
    write_shard,
    write_table,
)
from provenance.snapshot import Snapshot, Source


def rebuild(
    folder: Path, entry: Entry, contract: Contract, found: Findings, scratch: Path
) -> Snapshot:
    """Write a run's rows below `scratch` as a snapshot of the same source.

    Raises:
        AssayError: ASSAY-C014 if two of its files are the same: digest and row name a row, and
            there they name two.
    """
    sources = tuple(Source(**item) for item in entry.facts["inputs"])
    _refuse_twins(sources, entry.seq)
    uncast = found.filter(pc.equal(found["check"], "ingest"))["row"].drop_null().to_numpy()
    shards: list[ShardRef] = []
    schema = None
    for path in _parts(folder / "clean"):
        table = read_table(path)
        schema = table.schema
        rows, digests = clean_rows(folder, path.name, sources)
        shards.append(write_shard(scratch, Shard(len(shards), table, rows, digests)))
    raw: list[str | None] = [None] * len(shards)
    held: list[pa.Table] = []
    for path in _parts(folder / "quarantine"):
        table = _with_ids(path, as_read(read_table(path)))
        is_held = np.isin(table[ROW].to_numpy(), uncast)
        held.append(table.filter(pa.array(is_held)))
        table = table.filter(pa.array(~is_held))
        ids = unpacked(table[DIGEST])
        table = table.drop_columns([DIGEST])
        cells = typed(table.drop_columns([ROW]), contract, schema)
        shards.append(write_shard(scratch, Shard(len(shards), cells, table[ROW].to_numpy(), ids)))
        raw.append(_joined([table], scratch / f"raw-{len(raw):05d}.parquet"))
    refused = [_with_ids(path, read_table(path)) for path in _parts(folder / "rejected")]
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


def _refuse_twins(sources: tuple[Source, ...], run: int) -> None:
    seen: dict[str, str] = {}
    for source in sources:
        if source.rows and source.sha256 in seen:
            what = f"run {run} read the same file twice, so its rows cannot be told apart"
            where = f"{seen[source.sha256]} and {source.name}"
            fix = "run again without the copy, then review that run"
            raise AssayError("C014", what, where=where, fix=fix)
        seen[source.sha256] = source.name


def as_read(table: pa.Table) -> pa.Table:
    """Return rows of the quarantine as the source's columns, as read, and ROW."""
    *own, _, _ = table.column_names
    return table.rename_columns([*own, ROW, "_reasons"]).drop_columns(["_reasons"])


def clean_rows(
    folder: Path, part: str, sources: tuple[Source, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return ordinals (int64) and published ids (uint8, (n, 32 or 64)) of a clean part's rows."""
    table = _lineage_of(folder / "clean" / part)
    firsts = {bytes.fromhex(source.sha256): source.first_row for source in sources}
    keys = table["source_sha256"].unique()
    offsets = pa.array([firsts[key.as_py()] for key in keys], pa.int64())
    start = offsets.take(pc.index_in(table["source_sha256"].combine_chunks(), keys))
    rows = pc.add(table["source_row"].combine_chunks(), start).to_numpy(zero_copy_only=False)
    return rows, lineage.ids_in(table)


def _lineage_of(part: Path) -> pa.Table:
    """Return the lineage of a part's rows, in the part's order."""
    folder, name = part.parents[1], f"{part.parent.name}/{part.name}"
    found = ds.dataset(folder / "lineage").to_table(filter=pc.field("file") == name)
    return found.sort_by("file_row").combine_chunks()


def _with_ids(part: Path, table: pa.Table) -> pa.Table:
    """Append the ids under which a part's rows were published, as DIGEST."""
    return table.append_column(DIGEST, packed(lineage.ids_in(_lineage_of(part))))


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def typed(cells: pa.Table, contract: Contract, schema: pa.Schema) -> pa.Table:
    """Cast text columns by the contract; columns that are typed already stay."""
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
