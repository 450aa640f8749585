"""Ingest: from the files of a source to a snapshot that later stages can trust.

Files are opened once and safely (guard), unpacked under a count (unpack), read as text by their
own rules (csv_source, jsonl_source) or as Parquet (parquet_source), cast by the contract's types
and written as shards (intake). What cannot be read is refused with a code, a row that cannot be
cast is held, a row that cannot be told apart is rejected; nothing is repaired and nothing lost.
"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

from provenance.base.errors import AssayError, Notice
from provenance.base.limits import Limits
from provenance.files import delta, postgres, remote
from provenance.files.checksum_file import recorded, refuse_other
from provenance.files.formats import Format, format_of, opened_format, refuse_content
from provenance.files.listing import expand
from provenance.files.safe_open import Opened
from provenance.files.unpack import blocks
from provenance.readers.csv_dialect import Dialect, detect
from provenance.readers.csv_reader import CsvSource
from provenance.readers.encoding import as_utf8
from provenance.readers.intake import Intake, Taken
from provenance.readers.jsonl_reader import JsonlSource
from provenance.readers.parquet_reader import ParquetSource
from provenance.rows.column_types import ColumnSpec
from provenance.rows.snapshot import Snapshot, Source

__all__ = ["Limits", "expand", "ingest", "seen_dialect"]

_BROKEN = ("ASSAY-I008", "ASSAY-I018")  # columns or types that are not the contract's


@dataclasses.dataclass(frozen=True, slots=True)
class _Promise:
    """What the files are read by: columns (None without a contract), limits, CSV dialect."""

    specs: tuple[ColumnSpec, ...] | None
    limits: Limits
    dialect: Dialect


def ingest(  # noqa: PLR0913  # one argument for each thing that a contract may say
    paths: list[str],
    specs: tuple[ColumnSpec, ...] | None,
    folder: Path,
    *,
    limits: Limits,
    dialect: Dialect | None = None,
    shard_rows: int = 50_000,
    allow_empty: bool = False,
) -> Snapshot:
    """Read the files of one dataset, in the given order, into a snapshot in `folder`.

    Args:
        paths: one or more files of one format.
        specs: the contract's columns; None for none, then text stays text and nothing is held.
        folder: made if it is absent; holds the snapshot's files afterwards.
        limits: on every size.
        dialect: of CSV files; None for commas (tabs in a .tsv), double quotes and UTF-8.
        shard_rows: rows of a shard, the last one's apart, > 0.
        allow_empty: whether a dataset without rows is no reason to refuse.

    Raises:
        AssayError: a code of the I series if the source cannot be read as it claims to be.
    """
    promise = _Promise(specs, limits, dialect or Dialect())
    formats = _formats(paths, limits)
    folder.mkdir(parents=True, exist_ok=True)
    intake = Intake(folder, specs, shard_rows, is_text=formats[0].is_text)
    sources: list[Source] = []
    notices: list[Notice] = []
    try:
        for path, kind in zip(paths, formats, strict=True):
            notices += _read(path, kind, promise, intake, sources, folder)
        if not allow_empty:
            _refuse_empty(sources)
        taken = intake.close()
    finally:
        intake.abandon()
    snapshot = _snapshot(folder, sources, taken, [*notices, *intake.notices()])
    snapshot.save()
    return snapshot


def seen_dialect(path: str, limits: Limits, scratch: Path, delimiter: str | None = None) -> Dialect:
    """Return the dialect that a CSV file seems to be written in; the default of other formats.

    Args:
        path: of the file, or the URL of an object.
        limits: on its sizes.
        scratch: a folder for the copy of an object, for as long as it is looked at.
        delimiter: if it is known; the others are looked for.

    Raises:
        AssayError: a code of the I series if the file cannot be opened or unpacked.
    """
    kind = _format_of(path, limits)
    if kind.base not in ("csv", "tsv"):
        return Dialect()
    with _opened(path, kind, limits, scratch) as file:
        refuse_content(file, kind)
        return detect(blocks(file, kind.packing, limits), kind.base, delimiter)


def _formats(paths: list[str], limits: Limits) -> list[Format]:
    formats = [_format_of(path, limits) for path in paths]
    for path, kind in zip(paths, formats, strict=True):
        if _family(kind) != _family(formats[0]):
            what = f"this is {kind.name}, and the first file is {formats[0].name}"
            where, fix = remote.shown(path), "give files of one format"
            raise AssayError("I017", what, where=where, fix=fix)
    return formats


def _format_of(path: str, limits: Limits) -> Format:
    if postgres.is_table(path) or delta.is_table(path):
        return Format("parquet")
    return format_of(remote.shown(path)) if remote.is_url(path) else opened_format(path, limits)


def _family(kind: Format) -> str:
    return "csv" if kind.base == "tsv" else kind.base


def _refuse_empty(sources: list[Source]) -> None:
    if not any(source.rows for source in sources):
        where = ", ".join(source.name for source in sources[:3])
        fix = "check the export; set a rowCount rule with a minimum of 0 if no rows are meant"
        raise AssayError("I002", "columns but no rows", where=where, fix=fix)


def _snapshot(folder: Path, sources: list[Source], taken: Taken, notices: list[Notice]) -> Snapshot:
    total = sum(source.rows for source in sources)
    bare = [source.name for source in sources if total and not source.rows]
    return Snapshot(
        folder=str(folder.resolve()),
        rows=total,
        sources=tuple(sources),
        shards=taken.shards,
        raw=taken.raw,
        held=taken.held,
        held_findings=taken.held_findings,
        rejected=taken.rejected,
        warnings=(*notices, *(Notice("ASSAY-I002", "no rows", name) for name in bare)),
    )


def _read(
    path: str,
    kind: Format,
    promise: _Promise,
    intake: Intake,
    sources: list[Source],
    scratch: Path,
) -> list[Notice]:
    """Take one file in, add it to `sources`, and return what a person should know of it."""
    first_row = sum(source.rows for source in sources)
    with _opened(path, kind, promise.limits, scratch) as file:
        if not file.size:
            what, fix = "0 rows, 0 columns: the file is empty", "was the export finished?"
            raise AssayError("I001", what, where=file.name, fix=fix)
        wanted = None if remote.is_url(path) else recorded(path)
        refuse_content(file, kind)
        reader = _reader(file, kind, promise)
        with _agreeing(sources, promise):
            parts = reader.parts(first_row, intake.pool)
            for settled in intake.settled(parts, file.name):
                intake.take(settled)
        digest = file.digest()
    refuse_other(path, digest, wanted)
    sources.append(Source(file.name, kind.name, file.size, digest, first_row, reader.rows))
    is_proven = wanted is not None  # so that page checksums are not missed
    return [n for n in reader.notices() if not (is_proven and n.code == "ASSAY-I005")]


@contextlib.contextmanager
def _opened(path: str, kind: Format, limits: Limits, folder: Path) -> Iterator[Opened]:
    """Open a file, or the private copy of a remote object, which is gone afterwards."""
    if not remote.is_url(path):
        with Opened(path, limits) as file:
            yield file
        return
    with tempfile.TemporaryDirectory(prefix="fetched-", dir=folder) as scratch:
        copy = Path(scratch) / f"object.{kind.name}"
        remote.fetch(path, copy, limits)
        with Opened(str(copy), limits, remote.shown(path)) as file:
            yield file


@contextlib.contextmanager
def _agreeing(sources: list[Source], promise: _Promise) -> Iterator[None]:
    """Tell a file that breaks the promise which the files before it keep: they disagree."""
    try:
        yield
    except AssayError as error:
        if not sources or promise.specs is None or error.code not in _BROKEN:
            raise
        what = f"{error.what}; {sources[0].name} is as the contract says"
        fix = "export the files of one dataset alike"
        raise AssayError("I017", what, where=error.where, fix=fix) from None


def _reader(
    file: Opened, kind: Format, promise: _Promise
) -> CsvSource | JsonlSource | ParquetSource:
    specs, limits = promise.specs, promise.limits
    if kind.base == "parquet":
        return ParquetSource(file, specs, limits)
    text = blocks(file, kind.packing, limits)
    if kind.base == "jsonl":
        return JsonlSource(file.name, text, specs, limits)
    dialect = promise.dialect.named(kind.base)
    if dialect.encoding != "utf-8":
        text = as_utf8(text, dialect.encoding, file.name)
    return CsvSource(file.name, text, specs, limits, dialect)
