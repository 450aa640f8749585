"""Intake: turns parts of a source, as read, into shards, held rows and rejected rows.

Shards are cut only by the number of castable rows, so they do not depend on how the source was
read. A few threads parse and cast the parts, and digest and write the shards; the number in
progress is limited, which bounds memory.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from provenance.base.errors import AssayError, Notice
from provenance.readers.parallel import in_order
from provenance.rows import digest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.lookalikes import Lookalikes
from provenance.rows.shard_parts import Part, Settled, settle, with_rows
from provenance.rows.shards import Shard, ShardRef, unprinted, write_shard

WORKERS = 2  # threads that parse, cast, digest and write
_BEGUN = 2  # parts with rows that are read when a source has begun
_WAITING = 2  # shards that may wait to be written before parsing pauses
_LEAST_ROWS, _MOST_BYTES = 2_000, 32 << 20  # of parts that are settled together


class Written(TypedDict):
    """The files of a snapshot: absolute paths, None if there was nothing to write."""

    shards: tuple[ShardRef, ...]
    raw: tuple[str, ...]
    held: str | None
    held_findings: str | None
    rejected: str | None


class Intake:
    """Casts, digests, cuts and writes what the sources yield, in order."""

    def __init__(
        self,
        folder: Path,
        specs: tuple[ColumnSpec, ...] | None,
        shard_rows: int,
        *,
        is_text: bool,
        begun: Callable[[], object] = lambda: None,
    ) -> None:
        """Start an intake into an existing folder; without `specs` text stays text.

        `begun` is called once the first parts are read, if there is more than one.
        """
        self._begun = begun
        self._parts = 0
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
        self._lookalikes = Lookalikes()
        self.pool = ThreadPoolExecutor(WORKERS)
        if is_text:
            (self._folder / "raw").mkdir(exist_ok=True)

    def settled(self, parts: Iterator[Part], where: str) -> Iterator[Settled]:
        """Settle the parts of the file `where`, a few ahead of `take`.

        Raises:
            AssayError: ASSAY-I017 if its columns or types differ from those of earlier parts.
        """
        return in_order((self._job_of(part, where) for part in _gathered(parts)), self.pool)

    def take(self, settled: Settled) -> None:
        """Take the next part."""
        if settled.held.num_rows:
            self._append("held", settled.held)
            self._append("held_findings", settled.faults)
        if settled.rejected.num_rows:
            self._append("rejected", settled.rejected)
        self._lookalikes.add(settled.lookalikes)
        self._typed.append(settled.typed)
        self._read.append(settled.read)
        self._rows.append(settled.rows)
        self._waiting += len(settled.rows)
        while self._waiting >= self._shard_rows:
            self._cut(self._shard_rows)

    def notices(self) -> list[Notice]:
        """Return what a person should know about the texts that were kept."""
        return self._lookalikes.notices()

    def _job_of(self, part: Part, where: str) -> Callable[[], Settled]:
        if len(part.rows):
            self._parts += 1
            if self._parts == _BEGUN:
                self._begun()
        part = dataclasses.replace(part, table=self._agreed(part.table, where))
        return functools.partial(settle, part, self._specs, is_text=self._is_text)

    def _agreed(self, table: pa.Table, where: str) -> pa.Table:
        if self._schema is None:
            self._schema = table.schema
        if table.schema.equals(self._schema):
            return table
        if difference := _difference(self._schema, table.schema):
            raise AssayError("I017", difference, where=where)
        return table.select(self._schema.names)

    def close(self) -> Written:
        """Write the remaining rows, and at least one shard, which records the columns."""
        if self._typed and (self._waiting or not self._shards):
            self._cut(self._waiting)
        shards = tuple(future.result() for future in self._written)
        self.abandon()
        paths = {name: str(self._folder / f"{name}.parquet") for name in self._files}
        return Written(
            shards=shards,
            raw=tuple(self._raw),
            held=paths.get("held"),
            held_findings=paths.get("held_findings"),
            rejected=paths.get("rejected"),
        )

    def abandon(self) -> None:
        """Stop the threads and close the files; everything written so far stays."""
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


def _gathered(parts: Iterator[Part]) -> Iterator[Part]:
    """Join parts of few rows: a cast costs something for each column, and wide tables have many."""
    kept: list[Part] = []
    rows = size = 0
    for part in parts:
        if kept and not part.table.schema.equals(kept[0].table.schema):
            yield _joined(kept)
            kept, rows, size = [], 0, 0
        kept.append(part)
        rows, size = rows + len(part.rows), size + part.table.nbytes
        if rows >= _LEAST_ROWS or size >= _MOST_BYTES:
            yield _joined(kept)
            kept, rows, size = [], 0, 0
    if kept:
        yield _joined(kept)


def _joined(parts: list[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    return Part(
        pa.concat_tables([part.table for part in parts]).combine_chunks(),
        np.concatenate([part.rows for part in parts]),
        pa.concat_tables([part.faults for part in parts]),
        pa.concat_tables([part.rejected for part in parts]),
    )


def _write(
    folder: Path, number: int, typed: pa.Table, read: pa.Table, rows: np.ndarray, raw: Path | None
) -> ShardRef:
    """Digest and write one shard, and with a path `raw` also the texts of its rows."""
    table = typed.combine_chunks()
    if raw is not None:
        # scratch data: speed before size, but with page checksums as everywhere
        texts = with_rows(unprinted(read, typed).combine_chunks(), rows)
        options = {"compression": "lz4", "use_dictionary": False, "write_page_checksum": True}
        pq.write_table(texts, raw, **options)
    return write_shard(folder, Shard(number, table, rows, digest.of_rows(table)))


def _difference(first: pa.Schema, other: pa.Schema) -> str | None:
    """Return how a file's columns or types, in any order, differ from those of the first file."""
    if uncommon := set(first.names) ^ set(other.names):
        return f"{len(uncommon)} columns are not in all of the files"
    for name in first.names:
        expected, actual = first.field(name).type, other.field(name).type
        if expected != actual:
            return f"column {name!r} is {actual} here but {expected} in the first file"
    return None
