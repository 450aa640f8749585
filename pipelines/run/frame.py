"""A data frame, or any Arrow stream, as the source of a run: what a notebook calls.

    from pipelines.run import frame
    outcome = frame.run(loans, "contract.yaml", store="assay-store")
    loans = outcome.clean().to_pandas()

The frame is streamed into a Parquet file in the store's staging folder, and read from there by the
same path as any other source, so nothing of it is trusted for having been in memory.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import config
from pipelines.console import Progress
from pipelines.run.request import Request
from pipelines.store.outcome import Outcome
from pipelines.store.store import Store
from provenance.base.errors import AssayError

if TYPE_CHECKING:
    import pyarrow as pa

GROUP = 1 << 16  # rows of a row group: what is held in memory beside the frame itself
_INDEX = re.compile(r"__index_level_\d+__")  # of pandas, where an index has no name
_MIXED = re.compile(r"Conversion failed for column (.{1,200}?) with type ")


def run(  # noqa: PLR0913  # one argument for each thing that a user may say
    frame: Any,
    contract: str | Path,
    *,
    store: str | Path | None = None,
    reference: str | None = None,
    engine: str = "serial",
    direct: bool = True,
    is_quiet: bool = True,
) -> Outcome:
    """Examine a frame under a contract, as `assay run` does a file; commits a run.

    Args:
        frame: of pandas or polars, or whatever else has `__arrow_c_stream__`; a stream is used up.
            An index of pandas that has no name is left out; NaN of pandas is a missing value.
        contract: path of the contract.
        store: by default $ASSAY_STORE, else ./assay-store.
        reference: path or URL of trusted rows, by default the contract's.
        engine: serial or processes; the latter needs a script with `if __name__ == "__main__"`.
        direct: whether to run without Prefect.
        is_quiet: whether to say nothing on stderr while it runs.

    Returns:
        The outcome: `verdict`, `rows`, `clean_files()`, `clean()`; the recorded source is named
        after the frame's library, e.g. `memory:pandas`.

    Raises:
        AssayError: what `assay run` would refuse with; ASSAY-I004 for what is no frame, I008 for a
            column that holds values of several types.
    """
    config.quiet_libraries()
    from pipelines.run.run import execute

    if not hasattr(frame, "__arrow_c_stream__"):
        what = f"{type(frame).__name__} has no __arrow_c_stream__"
        raise AssayError("I004", what, fix="give a frame of pandas or polars, or an Arrow stream")
    folder = Store(config.store_folder(str(store) if store is not None else None))
    name = f"memory:{type(frame).__module__.partition('.')[0]}"
    with folder.staged() as work:
        path = work / "frame.parquet"
        write(frame, path, name)
        request = Request(
            contract=Path(contract), store=folder.folder, source=str(path), reference=reference,
            engine=engine, direct=direct, source_name=name,
        )  # fmt: skip
        with Progress(is_quiet=is_quiet) as progress:
            return execute(request, progress)


def write(frame: Any, path: Path, name: str) -> None:
    """Write a frame as Parquet: the same bytes for the same columns, whatever library held them.

    Args:
        frame: has `__arrow_c_stream__`.
        path: of the file, which is made.
        name: of the frame, for messages.

    Raises:
        AssayError: ASSAY-I008 if a column has no one type.
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
        # the exception's own text may hold a cell
        found = _MIXED.search(" ".join(map(str, error.args)))
        told = f"column {found[1]!r}" if found else "a column"
        what = f"{told} cannot be one type ({type(error).__name__})"
        fix = "give each column one type, e.g. by astype, and each name once"
        raise AssayError("I008", what, where=name, fix=fix) from None


def _groups(stream: "pa.RecordBatchReader", schema: "pa.Schema") -> Iterator["pa.Table"]:
    """Yield the stream in tables of GROUP rows, the last one's apart, however it was cut."""
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
    """Return the type that stands for all that differ in memory only."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return kind
