"""A private Parquet file of what another system hands over in batches, weighed while it grows."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.base.errors import AssayError
from provenance.base.limits import Limits

if TYPE_CHECKING:
    import pyarrow as pa


def write(
    batches: "Iterable[pa.RecordBatch]",
    made: "Callable[[pa.RecordBatch], pa.Table]",
    schema: "pa.Schema",
    path: Path,
    limits: Limits,
    where: str,
) -> None:
    """Write batches into a new file for its owner only.

    Args:
        batches: as they are handed over.
        made: what is written of one, with `schema`.
        schema: of the file.
        path: of the file, which does not exist yet; its folder does.
        limits: `max_bytes`, held against the batches as they come.
        where: the source, as it may be told.

    Raises:
        AssayError: ASSAY-I006 if it is too large; E001 and its like if the disk takes no more.
    """
    import pyarrow.parquet as pq

    from provenance.base.atomic import coded

    options = {"compression": "zstd", "compression_level": 1, "write_page_checksum": True}
    total = 0
    with path.open("xb") as file:
        path.chmod(0o600)
        with coded(path.parent), pq.ParquetWriter(file, schema, **options) as writer:
            for batch in batches:
                total += batch.nbytes
                limits.refuse_copy(total, where)
                writer.write_table(made(batch))


def missing_extra(who: str, extra: str, where: str) -> AssayError:
    """Return the refusal (ASSAY-I015) of a source whose optional libraries are not installed."""
    fix = f"pip install 'assay[{extra}]'"
    what = f"{who} the extra '{extra}', which is not installed"
    return AssayError("I015", what, where=where, fix=fix)
