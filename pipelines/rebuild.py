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
from provenance import cast, digest
from provenance.entry import Entry
from provenance.errors import AssayError
from provenance.shards import ROW, Shard, ShardRef, read_table, write_shard, write_table
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
    for path in sorted((folder / "clean").iterdir()):
        table = read_table(path)
        schema = table.schema
        rows, digests = clean_rows(folder, path.name, sources)
        shards.append(write_shard(scratch, Shard(len(shards), table, rows, digests)))
    raw: list[str | None] = [None] * len(shards)
    held: list[pa.Table] = []
    for path in sorted((folder / "quarantine").iterdir()):
        table = _as_read(path)
        is_held = np.isin(table[ROW].to_numpy(), uncast)
        held.append(table.filter(pa.array(is_held)))
        table = table.filter(pa.array(~is_held))
        typed = _typed(table.drop_columns([ROW]), contract, schema)
        rows, digests = table[ROW].to_numpy(), digest.of_rows(typed)
        shards.append(write_shard(scratch, Shard(len(shards), typed, rows, digests)))
        raw.append(_joined([table], scratch / f"raw-{len(raw):05d}.parquet"))
    refused = [read_table(path) for path in sorted((folder / "rejected").iterdir())]
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


def _as_read(path: Path) -> pa.Table:
    """Return a part of the quarantine: the source's columns as read, and ROW."""
    table = read_table(path)
    *own, _, _ = table.column_names
    return table.rename_columns([*own, ROW, "_reasons"]).drop_columns(["_reasons"])


def clean_rows(
    folder: Path, part: str, sources: tuple[Source, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return ordinals (int64) and digests (uint8, (n, 32)) of the rows of a clean part."""
    lineage = ds.dataset(folder / "lineage").to_table(filter=pc.field("file") == f"clean/{part}")
    lineage = lineage.sort_by("file_row").combine_chunks()
    firsts = {bytes.fromhex(source.sha256): source.first_row for source in sources}
    keys = lineage["source_sha256"].unique()
    offsets = pa.array([firsts[key.as_py()] for key in keys], pa.int64())
    start = offsets.take(pc.index_in(lineage["source_sha256"].combine_chunks(), keys))
    rows = pc.add(lineage["source_row"].combine_chunks(), start).to_numpy(zero_copy_only=False)
    packed = b"".join(lineage["row_id"].to_pylist())
    return rows, np.frombuffer(packed, np.uint8).reshape(-1, 32)


def _typed(as_read: pa.Table, contract: Contract, schema: pa.Schema) -> pa.Table:
    """Cast text columns by the contract; columns that are typed already stay."""
    columns = []
    for field in schema:
        column = as_read[field.name].combine_chunks()
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
