"""Intake: parts of a source go in, as read; shards, held rows and rejected rows come out.

Shards are cut by the number of castable rows alone, so they do not depend on how the source was
read. A thread writes files while the next part is parsed; at most two writes wait, so memory stays
bounded.
"""

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance import digest
from provenance.cast import cast, describe
from provenance.casting import ColumnSpec
from provenance.errors import AssayError, Notice
from provenance.looks import Looks
from provenance.shards import ROW, Shard, ShardRef, write_shard
from provenance.snapshot import HELD_SCHEMA, REJECTED_SCHEMA

_WAITING = 2  # writes that may wait for the disk before parsing does


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a source, as read.

    Attributes:
        table: rows that could be told apart into cells, shape (n, columns).
        rows: int64, shape (n,), their ordinals.
        faults: HELD_SCHEMA, what is wrong with some of them already.
        rejected: REJECTED_SCHEMA, rows that could not be told apart into cells.
    """

    table: pa.Table
    rows: np.ndarray
    faults: pa.Table
    rejected: pa.Table


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """What an intake has written: paths are absolute, None where there was nothing to write."""

    shards: tuple[ShardRef, ...]
    raw: tuple[str, ...]
    held: str | None
    held_findings: str | None
    rejected: str | None


class Intake:
    """Casts, digests, cuts and writes what the sources yield, in order."""

    def __init__(
        self, folder: Path, specs: tuple[ColumnSpec, ...] | None, shard_rows: int, *, is_text: bool
    ) -> None:
        """Start an intake into an existing folder; `specs` None leaves text as it is."""
        self._folder = folder.resolve()
        self._specs = {spec.name: spec for spec in specs or ()}
        self._shard_rows = shard_rows
        self._is_text = is_text
        self._typed: list[pa.Table] = []
        self._read: list[pa.Table] = []
        self._rows: list[np.ndarray] = []
        self._waiting = 0
        self._shards = 0
        self._written: list[Future[ShardRef]] = []
        self._raw: list[str] = []
        self._files: dict[str, pq.ParquetWriter] = {}
        self._schema: pa.Schema | None = None
        self._looks = Looks()
        self._writer = ThreadPoolExecutor(1)
        if is_text:
            (self._folder / "raw").mkdir(exist_ok=True)

    def take(self, part: Part, where: str) -> None:
        """Take the next part of the file `where`.

        Raises:
            AssayError: ASSAY-I017 if its columns or types are not those of the parts before.
        """
        part = dataclasses.replace(part, table=self._agreed(part.table, where))
        typed, faults = part.table, part.faults
        if self._is_text and self._specs:
            typed, found = cast_table(part.table, part.rows, self._specs)
            faults = pa.concat_tables([faults, found])
        read, rows = part.table, part.rows
        if faults.num_rows:
            is_held = np.isin(rows, faults["row"].to_numpy())
            self._append("held", _with_rows(read.filter(is_held), rows[is_held]))
            self._append("held_findings", faults.sort_by([("row", "ascending")]))
            typed, read, rows = typed.filter(~is_held), read.filter(~is_held), rows[~is_held]
        if part.rejected.num_rows:
            self._append("rejected", part.rejected)
        self._looks.add(typed)
        self._typed.append(typed)
        self._read.append(read)
        self._rows.append(rows)
        self._waiting += len(rows)
        while self._waiting >= self._shard_rows:
            self._cut(self._shard_rows)

    def notices(self) -> list[Notice]:
        """Return what a person should know of the texts that were kept."""
        return self._looks.notices()

    def _agreed(self, table: pa.Table, where: str) -> pa.Table:
        if self._schema is None:
            self._schema = table.schema
        if table.schema.equals(self._schema):
            return table
        told = _difference(self._schema, table.schema)
        if told:
            fix = "export the files of one dataset alike"
            raise AssayError("I017", told, where=where, fix=fix)
        return table.select(self._schema.names)

    def close(self) -> Taken:
        """Write what is left, and at least one shard so that the columns are on record."""
        if self._typed and (self._waiting or not self._shards):
            self._cut(self._waiting)
        shards = tuple(future.result() for future in self._written)
        self.abandon()
        paths = {name: str(self._folder / f"{name}.parquet") for name in self._files}
        return Taken(
            shards,
            tuple(self._raw),
            paths.get("held"),
            paths.get("held_findings"),
            paths.get("rejected"),
        )

    def abandon(self) -> None:
        """Stop the writer and close the files; what was written so far stays."""
        self._writer.shutdown(cancel_futures=True)
        for file in self._files.values():
            file.close()

    def _cut(self, length: int) -> None:
        typed, read = pa.concat_tables(self._typed), pa.concat_tables(self._read)
        rows = np.concatenate(self._rows)
        self._typed, self._read = [typed.slice(length)], [read.slice(length)]
        self._rows = [rows[length:]]
        self._waiting -= length
        table = typed.slice(0, length).combine_chunks()
        job = self._job(table, read.slice(0, length), rows[:length])
        self._written.append(self._writer.submit(job))
        self._shards += 1
        if len(self._written) > _WAITING:
            self._written[-1 - _WAITING].result()

    def _job(self, table: pa.Table, read: pa.Table, rows: np.ndarray) -> Callable[[], ShardRef]:
        shard = Shard(self._shards, table, rows, digest.of_rows(table))
        if not self._is_text:
            return lambda: write_shard(self._folder, shard)
        path = self._folder / "raw" / f"raw-{self._shards:05d}.parquet"
        self._raw.append(str(path))
        as_read = _with_rows(read.combine_chunks(), rows)

        def write() -> ShardRef:
            # scratch: speed before size, but page checksums as everywhere
            pq.write_table(
                as_read, path, compression="lz4", use_dictionary=False, write_page_checksum=True
            )
            return write_shard(self._folder, shard)

        return write

    def _append(self, name: str, table: pa.Table) -> None:
        if name not in self._files:
            path = self._folder / f"{name}.parquet"
            self._files[name] = pq.ParquetWriter(
                path, table.schema, compression="zstd", write_page_checksum=True
            )
        self._files[name].write_table(table)


def _difference(first: pa.Schema, other: pa.Schema) -> str | None:
    """Return how the columns or types of a file differ from the first one's, names in any order."""
    if set(first.names) != set(other.names):
        return f"{len(set(first.names) ^ set(other.names))} columns are not in all of the files"
    for name in first.names:
        mine, theirs = first.field(name).type, other.field(name).type
        if mine != theirs:
            return f"column {name!r} is {theirs} here and {mine} in the first file"
    return None


def cast_table(
    text: pa.Table, rows: np.ndarray, specs: dict[str, ColumnSpec]
) -> tuple[pa.Table, pa.Table]:
    """Cast all columns of text.

    Args:
        text: string columns, shape (n, columns).
        rows: int64, shape (n,), ordinals.
        specs: by column name; each column has one.

    Returns:
        The typed columns, null where a cell is bad; and the faults, HELD_SCHEMA, by column.
    """
    columns, faults = [], [HELD_SCHEMA.empty_table()]
    for name in text.column_names:
        column = whole(text[name])
        typed, codes = cast(column, specs[name])
        columns.append(typed)
        if codes.null_count < len(codes):
            bad = pc.is_valid(codes)
            evidence = describe(column.filter(bad), specs[name])
            at = rows[bad.to_numpy(zero_copy_only=False)]
            faults.append(faults_of(at, codes.filter(bad), name, evidence))
    return pa.table(columns, names=text.column_names), pa.concat_tables(faults)


def faults_of(rows: np.ndarray, codes: pa.Array | str, column: str, evidence: object) -> pa.Table:
    """Build faults (HELD_SCHEMA) of one column; code and evidence may be one for all rows."""
    count = len(rows)
    parts = [pa.array(rows, pa.int64())]
    given = (codes, column, evidence)
    parts += [pa.repeat(value, count) if isinstance(value, str) else value for value in given]
    return pa.table(parts, schema=HELD_SCHEMA)


def rejected_of(rows: list[int], raw: list[bytes], reasons: list[str]) -> pa.Table:
    """Build rejected rows (REJECTED_SCHEMA)."""
    return pa.table([rows, raw, reasons], schema=REJECTED_SCHEMA)


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


def _with_rows(table: pa.Table, rows: np.ndarray) -> pa.Table:
    return table.append_column(ROW, pa.array(rows, pa.int64()))
