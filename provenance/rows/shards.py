"""Shards: contiguous parts of a dataset, one Parquet file each, with row numbers and digests.

A shard's file has the dataset's own columns plus `ROW` and `DIGEST`, names that no source may use.
In memory these two are kept apart from the table, so a source column named `row` is an ordinary
column. The text of a row as it was read is stored only where its typed value does not print as that
text, such as `1.50`, `2e1` or a word that stands for a missing value.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from provenance.rows.arrow_bytes import whole

ROW = "__assay_row"
DIGEST = "__assay_digest"
ADDED = frozenset({"_row", "_reasons"})  # columns that the quarantine adds to the source's own
RESERVED = ADDED | {ROW, DIGEST}
DIGEST_BYTES = 32
_PRINTED = (pa.types.is_string, pa.types.is_integer, pa.types.is_date, pa.types.is_boolean)


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """Rows of one shard in memory.

    Attributes:
        number: position of the shard in its dataset, from 0.
        table: the dataset's own columns, shape (n, columns).
        rows: int64, shape (n,), ordinals assigned at ingest.
        digests: uint8, shape (n, 32), SHA-256 of each row's canonical encoding; in a shard rebuilt
            from a run, the ids that the run published, shape (n, 32) or (n, 64).
        nested: where `table` has flat columns only, as checks see it: the other columns, shape
            (n, columns); else without columns.
        groups: of a dataset with a column of the role `group`, as checks see it: one hash for each
            group, uint64, shape (n,), 0 for a row without a group; else None.
    """

    number: int
    table: pa.Table
    rows: np.ndarray
    digests: np.ndarray
    nested: pa.Table = dataclasses.field(default_factory=lambda: pa.table({}))
    groups: np.ndarray | None = None

    def row_array(self) -> pa.Array:
        """Return the row ordinals as an Arrow int64 array."""
        return pa.array(self.rows, pa.int64())


@dataclasses.dataclass(frozen=True, slots=True)
class ShardRef:
    """Where a shard is stored; small enough to pass between processes."""

    path: str
    number: int
    rows: int


def write_shard(folder: Path, shard: Shard) -> ShardRef:
    """Write one shard with page checksums and return its reference."""
    path = folder / f"shard-{shard.number:05d}.parquet"
    digests = packed(shard.digests)
    table = shard.table.append_column(ROW, shard.row_array()).append_column(DIGEST, digests)
    # scratch data that is read often: speed before size; digests rarely repeat, so no dictionary
    pq.write_table(
        table,
        path,
        compression="lz4",
        use_dictionary=shard.table.column_names,
        column_encoding={ROW: "DELTA_BINARY_PACKED"},
        write_page_checksum=True,
    )
    return ShardRef(str(path), shard.number, len(shard.rows))


def write_table(table: pa.Table, path: Path) -> None:
    """Write a Parquet file with the settings of all of Assay's files: page checksums on."""
    pq.write_table(table, path, compression="zstd", compression_level=1, write_page_checksum=True)


def read_table(path: Path | str, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file that Assay wrote; page checksums are verified."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns=columns)


def read_shard(ref: ShardRef, columns: list[str] | None = None) -> Shard:
    """Read one shard, all columns or the named ones."""
    wanted = None if columns is None else [*columns, ROW, DIGEST]
    table = read_table(ref.path, wanted)
    rows = table[ROW].combine_chunks().to_numpy(zero_copy_only=False)
    digests = unpacked(table[DIGEST])
    return Shard(ref.number, table.drop_columns([ROW, DIGEST]), rows, digests)


def unprinted(read: pa.Table, typed: pa.Table) -> pa.Table:
    """Return the columns whose text differs from what the typed values print as.

    Args:
        read: string columns, shape (n, columns).
        typed: the same rows and columns, cast.
    """
    names = [name for name in read.column_names if not _is_printed(read[name], typed[name])]
    return read.select(names)


def as_read(typed: pa.Table, raw: str) -> pa.Table:
    """Return the rows of a shard as they were read: string columns, in the shard's order.

    Args:
        typed: the shard's own columns, shape (n, columns).
        raw: path of the file with the columns from `unprinted`, and ROW.
    """
    kept = read_table(raw).drop_columns([ROW])
    changed = set(kept.column_names)
    columns = [
        whole(kept[name]) if name in changed else whole(typed[name]).cast(pa.string())
        for name in typed.column_names
    ]
    return pa.table(columns, names=typed.column_names)


def _is_printed(read: pa.ChunkedArray, typed: pa.ChunkedArray) -> bool:
    if read.null_count != typed.null_count or not any(test(typed.type) for test in _PRINTED):
        return False
    return bool(typed.cast(pa.string()).equals(read))


def packed(digests: np.ndarray) -> pa.Array:
    """Return digests, uint8 (n, width), as fixed-size binary."""
    count, width = digests.shape
    flat = pa.py_buffer(np.ascontiguousarray(digests).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), count, [None, flat])


def unpacked(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of fixed-size binary without nulls as uint8, shape (n, width)."""
    array = whole(column)
    width = array.type.byte_width
    flat = np.frombuffer(array.buffers()[1], np.uint8)
    start = array.offset * width
    return flat[start : start + len(array) * width].reshape(-1, width)
