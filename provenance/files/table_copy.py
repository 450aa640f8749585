"""Writes the batches of another system to a private Parquet file, under a size limit."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.base import no_follow
from provenance.base.errors import AssayError
from provenance.base.limits import Limits

if TYPE_CHECKING:
    import pyarrow as pa


def write(
    batches: "Iterable[pa.RecordBatch]",
    to_table: "Callable[[pa.RecordBatch], pa.Table]",
    schema: "pa.Schema",
    path: Path,
    limits: Limits,
    where: str,
) -> None:
    """Write batches to a new file that only its owner can read.

    Args:
        batches: the rows.
        to_table: converts a batch to a table with `schema`.
        schema: of the file.
        path: of the new file, in an existing folder.
        limits: `max_bytes`, checked as the batches arrive.
        where: the source, as messages may show it.

    Raises:
        AssayError: ASSAY-I006 if the source is too large; E001 to E003 if it cannot be written.
    """
    import pyarrow.parquet as pq

    from provenance.base.atomic import coded

    options = {"compression": "zstd", "compression_level": 1, "write_page_checksum": True}
    total = 0
    with (
        os.fdopen(no_follow.create(path), "wb") as file,
        coded(path.parent),
        pq.ParquetWriter(file, schema, **options) as writer,
    ):
        for batch in batches:
            total += batch.nbytes
            limits.refuse_size(total, where)
            writer.write_table(to_table(batch))


def missing_extra(who: str, extra: str, where: str) -> AssayError:
    """Return the refusal (ASSAY-I015) of a source whose optional libraries are not installed."""
    fix = f"pip install 'assay[{extra}]'"
    what = f"{who} the extra '{extra}', which is not installed"
    return AssayError("I015", what, where=where, fix=fix)
