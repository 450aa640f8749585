"""Shards: contiguous parts of a dataset, one Parquet file each, with row numbers and digests.

A shard's file holds the dataset's own columns and two more, `ROW` and `DIGEST`, whose names
no source may use. In memory they stand apart from the table, so a source column named `row`
is an ordinary column.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW = "__assay_row"
DIGEST = "__assay_digest"
DIGEST_BYTES = 32


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """Rows of one shard in memory.

    Attributes:
        number: position of the shard in its dataset, from 0.
        table: the dataset's own columns, shape (n, columns).
        rows: int64, shape (n,), ordinals given at ingest.
        digests: uint8, shape (n, 32), SHA-256 of each row's canonical encoding; in a shard that
            is rebuilt from a run, the ids that the run published, shape (n, 32) or (n, 64).
    """

    number: int
    table: pa.Table
    rows: np.ndarray
    digests: np.ndarray

    def row_array(self) -> pa.Array:
        """Return the row ordinals as an Arrow int64 array."""
        return pa.array(self.rows, pa.int64())


@dataclasses.dataclass(frozen=True, slots=True)
class ShardRef:
    """Where a shard lies on disk; small enough to travel between processes."""

    path: str
    number: int
    rows: int


def write_shard(folder: Path, shard: Shard) -> ShardRef:
    """Write one shard with page checksums and return its reference."""
    path = folder / f"shard-{shard.number:05d}.parquet"
    digests = packed(shard.digests)
    table = shard.table.append_column(ROW, shard.row_array()).append_column(DIGEST, digests)
    # scratch that is read often: speed before size; digests repeat too seldom for a dictionary
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
    """Write a Parquet file the way every file of Assay is written: page checksums on."""
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


def packed(digests: np.ndarray) -> pa.Array:
    """Return digests, uint8 (n, width), as fixed-size binary."""
    count, width = digests.shape
    flat = pa.py_buffer(np.ascontiguousarray(digests).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), count, [None, flat])


def unpacked(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of fixed-size binary without nulls as uint8, shape (n, width)."""
    joined = column.combine_chunks()
    array = joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)
    width = array.type.byte_width
    flat = np.frombuffer(array.buffers()[1], np.uint8)
    start = array.offset * width
    return flat[start : start + len(array) * width].reshape(-1, width)
