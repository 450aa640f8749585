"""A data frame, or any Arrow stream, as the source of a run.

It is streamed into a Parquet file in the store's staging folder, and read from there by the same
path as any other source, so nothing of it is trusted for having been in memory.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.store.store import Store
from provenance.base.errors import AssayError

if TYPE_CHECKING:
    import pyarrow as pa

GROUP = 1 << 16  # rows of a row group: what is held in memory in addition to the frame
_INDEX = re.compile(r"__index_level_\d+__")  # of pandas, for an index without a name
_MIXED = re.compile(r"Conversion failed for column (.{1,200}?) with type ")


@contextlib.contextmanager
def staged(frame: Any, store: Store) -> Iterator[tuple[str, str]]:
    """Give the path of a frame's Parquet file, and what messages call it, e.g. `memory:pandas`.

    Raises:
        AssayError: ASSAY-I004 if it is not a frame, I008 if a column holds values of several types.
    """
    if not hasattr(frame, "__arrow_c_stream__"):
        what = f"{type(frame).__name__} has no __arrow_c_stream__"
        raise AssayError("I004", what, fix="give a frame of pandas or polars, or an Arrow stream")
    name = f"memory:{type(frame).__module__.partition('.')[0]}"
    with store.staged() as work:
        path = work / "frame.parquet"
        write(frame, path, name)
        yield str(path), name


def write(frame: Any, path: Path, name: str) -> None:
    """Write a frame as Parquet: the same bytes for the same columns from any library.

    Args:
        frame: has `__arrow_c_stream__`.
        path: of the new file.
        name: of the frame, for messages.

    Raises:
        AssayError: ASSAY-I008 if a column has values of several types.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from provenance.base.atomic import coded

    try:
        stream = pa.RecordBatchReader.from_stream(frame)
        kept = [field for field in stream.schema if not _INDEX.fullmatch(field.name)]
        schema = pa.schema([pa.field(field.name, _plain(field.type)) for field in kept])
        options = {"compression": "zstd", "compression_level": 1, "write_page_checksum": True}
        with coded(path.parent), pq.ParquetWriter(path, schema, **options) as writer:
            for group in _groups(stream, schema):
                writer.write_table(group, row_group_size=GROUP)
    except (pa.ArrowException, TypeError, ValueError) as error:
        # the exception's own text may quote a cell
        found = _MIXED.search(" ".join(map(str, error.args)))
        column = f"column {found[1]!r}" if found else "a column"
        what = f"{column} does not have one type ({type(error).__name__})"
        fix = "give each column one type, e.g. with astype, and a name of its own"
        raise AssayError("I008", what, where=name, fix=fix) from None


def _groups(stream: "pa.RecordBatchReader", schema: "pa.Schema") -> Iterator["pa.Table"]:
    """Yield the stream in tables of GROUP rows, and a last one of fewer, however it was cut."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    count = 0
    for batch in stream:
        for start in range(0, batch.num_rows, GROUP):
            piece = pa.Table.from_batches([batch.slice(start, GROUP)]).select(schema.names)
            waiting.append(piece.cast(schema))
            count += piece.num_rows
            if count >= GROUP:
                whole = pa.concat_tables(waiting)
                yield whole.slice(0, GROUP).combine_chunks()
                waiting, count = [whole.slice(GROUP)], count - GROUP
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def _plain(kind: "pa.DataType") -> "pa.DataType":
    """Return the type in place of those that differ in memory only."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return kind
