"""Intake: parts of a source go in, as read; shards, held rows and rejected rows come out.

Shards are cut by the number of castable rows alone, so they do not depend on how the source was
read. Parts are parsed and cast, and shards digested and written, by a few threads; only so many are
under way that memory stays bounded.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from provenance.base.errors import AssayError, Notice
from provenance.readers.parallel import in_order
from provenance.rows import digest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.lookalikes import Looks
from provenance.rows.original_text import unprinted
from provenance.rows.shard_parts import Part, Settled, settle, with_rows
from provenance.rows.shards import Shard, ShardRef, write_shard

WORKERS = 2  # threads that parse, cast, digest and write
_WAITING = 2  # shards that may wait to be written before parsing does


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
        self.pool = ThreadPoolExecutor(WORKERS)
        if is_text:
            (self._folder / "raw").mkdir(exist_ok=True)

    def settled(self, parts: Iterator[Part], where: str) -> Iterator[Settled]:
        """Settle the parts of the file `where`, a few ahead of the one who takes them.

        Raises:
            AssayError: ASSAY-I017 if its columns or types are not those of the parts before.
        """
        return in_order((self._job_of(part, where) for part in parts), self.pool)

    def take(self, settled: Settled) -> None:
        """Take the next part."""
        if settled.held.num_rows:
            self._append("held", settled.held)
            self._append("held_findings", settled.faults)
        if settled.rejected.num_rows:
            self._append("rejected", settled.rejected)
        self._looks.add(settled.looks)
        self._typed.append(settled.typed)
        self._read.append(settled.read)
        self._rows.append(settled.rows)
        self._waiting += len(settled.rows)
        while self._waiting >= self._shard_rows:
            self._cut(self._shard_rows)

    def notices(self) -> list[Notice]:
        """Return what a person should know of the texts that were kept."""
        return self._looks.notices()

    def _job_of(self, part: Part, where: str) -> Callable[[], Settled]:
        part = dataclasses.replace(part, table=self._agreed(part.table, where))
        return functools.partial(settle, part, self._specs, is_text=self._is_text)

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
        self.pool.shutdown(cancel_futures=True)
        for file in self._files.values():
            file.close()

    def _cut(self, length: int) -> None:
        typed, read = pa.concat_tables(self._typed), pa.concat_tables(self._read)
        rows = np.concatenate(self._rows)
        self._typed, self._read = [typed.slice(length)], [read.slice(length)]
        self._rows = [rows[length:]]
        self._waiting -= length
        raw = None
        if self._is_text:
            raw = self._folder / "raw" / f"raw-{self._shards:05d}.parquet"
            self._raw.append(str(raw))
        cut = typed.slice(0, length), read.slice(0, length), rows[:length]
        self._written.append(self.pool.submit(_write, self._folder, self._shards, *cut, raw))
        self._shards += 1
        if len(self._written) > _WAITING:
            self._written[-1 - _WAITING].result()

    def _append(self, name: str, table: pa.Table) -> None:
        if name not in self._files:
            path = self._folder / f"{name}.parquet"
            self._files[name] = pq.ParquetWriter(
                path, table.schema, compression="zstd", write_page_checksum=True
            )
        self._files[name].write_table(table)


def _write(  # what a job of the pool gets
    folder: Path, number: int, typed: pa.Table, read: pa.Table, rows: np.ndarray, raw: Path | None
) -> ShardRef:
    """Digest and write one shard, and beside it the same rows as read, where those are texts."""
    table = typed.combine_chunks()
    if raw is not None:
        # scratch: speed before size, but page checksums as everywhere
        texts = with_rows(unprinted(read, typed).combine_chunks(), rows)
        options = {"compression": "lz4", "use_dictionary": False, "write_page_checksum": True}
        pq.write_table(texts, raw, **options)
    return write_shard(folder, Shard(number, table, rows, digest.of_rows(table)))


def _difference(first: pa.Schema, other: pa.Schema) -> str | None:
    """Return how the columns or types of a file differ from the first one's, names in any order."""
    if set(first.names) != set(other.names):
        return f"{len(set(first.names) ^ set(other.names))} columns are not in all of the files"
    for name in first.names:
        mine, theirs = first.field(name).type, other.field(name).type
        if mine != theirs:
            return f"column {name!r} is {theirs} here and {mine} in the first file"
    return None
