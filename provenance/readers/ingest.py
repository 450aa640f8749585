"""Ingest: turns the files of a source into a snapshot that later stages can trust.

Files are opened once and safely (safe_open), unpacked under limits (unpack), read as text
(csv_reader, jsonl_reader, json_reader) or as Parquet (parquet_reader), joined with what their
folders' names say (partitions), cast to the contract's types and written as shards (intake). A file
that cannot be read is refused with a code, a row that cannot be cast is held, a row that cannot be
split into cells is rejected; nothing is repaired and nothing is lost.
"""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from provenance.base.errors import AssayError, Notice
from provenance.base.limits import Limits
from provenance.files import delta, postgres, remote
from provenance.files.checksum_file import recorded, refuse_other
from provenance.files.formats import Format, format_of, opened_format, refuse_content
from provenance.files.listing import expand
from provenance.files.safe_open import Opened
from provenance.files.unpack import blocks
from provenance.readers.csv_detection import detect
from provenance.readers.csv_dialect import Dialect
from provenance.readers.csv_reader import CsvSource
from provenance.readers.encoding import as_utf8
from provenance.readers.intake import Intake
from provenance.readers.json_reader import json_source
from provenance.readers.jsonl_reader import JsonlSource
from provenance.readers.nested_json import NestedColumns
from provenance.readers.parquet_reader import ParquetSource
from provenance.readers.partitions import Partition, refuse_uneven
from provenance.rows.column_types import ColumnSpec
from provenance.rows.snapshot import Snapshot, Source

__all__ = ["Limits", "detect_dialect", "expand", "ingest"]

_MANY = 10  # files that have one warning each
_MISMATCH = ("ASSAY-I008", "ASSAY-I018")  # columns or types differ from the contract's


@dataclasses.dataclass(frozen=True, slots=True)
class _Form:
    """How the files are read: columns (None without a contract), limits and CSV dialect.

    `nested` are the types at the paths of nested JSON, the same in all files.
    """

    specs: tuple[ColumnSpec, ...] | None
    limits: Limits
    dialect: Dialect
    nested: NestedColumns


def ingest(  # noqa: PLR0913  # one argument for each setting of a contract
    paths: list[str],
    specs: tuple[ColumnSpec, ...] | None,
    folder: Path,
    *,
    limits: Limits,
    dialect: Dialect | None = None,
    shard_rows: int = 50_000,
    allow_empty: bool = False,
    begun: Callable[[], object] = lambda: None,
) -> Snapshot:
    """Read the files of one dataset, in the given order, into a snapshot in `folder`.

    Args:
        paths: one or more files of one format.
        specs: the contract's columns; None without a contract: text stays text, nothing is held.
        folder: created if missing; contains the snapshot's files afterwards.
        limits: on every size.
        dialect: of CSV files; None for commas (tabs in a .tsv), double quotes and UTF-8.
        shard_rows: rows of each shard but the last, > 0.
        allow_empty: whether to accept a dataset without rows.
        begun: called once the first blocks are read and not refused, if there is more than one.

    Raises:
        AssayError: a code of the I series if the source cannot be read as it claims to be.
    """
    formats = _formats(paths, limits)
    refuse_uneven(paths)
    form = _form(formats[0], specs, limits, dialect or Dialect())
    folder.mkdir(parents=True, exist_ok=True)
    intake = Intake(folder, form.specs, shard_rows, is_text=formats[0].is_text, begun=begun)
    sources: list[Source] = []
    notices: list[Notice] = []
    try:
        for path, kind in zip(paths, formats, strict=True):
            notices += _read(path, kind, form, intake, sources, folder)
        if not allow_empty:
            _refuse_empty(sources)
        written = intake.close()
    finally:
        intake.abandon()
    total = sum(source.rows for source in sources)
    bare = [source.name for source in sources if total and not source.rows]
    notices += [*intake.notices(), *(Notice("ASSAY-I002", "no rows", name) for name in bare)]
    snapshot = Snapshot(
        folder=str(folder.resolve()),
        rows=total,
        sources=tuple(sources),
        warnings=tuple(_grouped(notices)),
        nested=form.nested.specs() if specs is None else (),
        **written,
    )
    snapshot.save()
    return snapshot


def _form(
    kind: Format, specs: tuple[ColumnSpec, ...] | None, limits: Limits, dialect: Dialect
) -> "_Form":
    if _family(kind) == "csv":
        specs = dialect.of_columns(specs)
    return _Form(specs, limits, dialect, NestedColumns(specs or (), limits, is_free=specs is None))


def detect_dialect(
    path: str, limits: Limits, scratch: Path, delimiter: str | None = None
) -> Dialect:
    """Return the dialect in which a CSV file seems to be written; the default for other formats.

    Args:
        path: of the file, or the URL of an object.
        limits: on its sizes.
        scratch: a folder for a temporary copy of a remote object.
        delimiter: if it is known; everything else is detected.

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
            what = f"this file is {kind.name}, but the first file is {formats[0].name}"
            where, fix = remote.shown(path), "give files of a single format"
            raise AssayError("I017", what, where=where, fix=fix)
    return formats


def _format_of(path: str, limits: Limits) -> Format:
    if postgres.is_table(path) or delta.is_table(path):
        return Format("parquet")
    return format_of(remote.shown(path)) if remote.is_url(path) else opened_format(path, limits)


def _family(kind: Format) -> str:
    return "csv" if kind.base == "tsv" else kind.base


def _grouped(notices: list[Notice]) -> Iterator[Notice]:
    """Yield the notices; those that very many files share as one, with the first of the files."""
    places: dict[tuple[str, str], list[str]] = {}
    for notice in notices:
        places.setdefault((notice.code, notice.message), []).append(notice.where)
    for (code, message), where in places.items():
        if len(where) > _MANY:
            yield Notice(code, message, f"{len(where):,} files, such as {where[0]}")
        else:
            yield from (Notice(code, message, one) for one in where)


def _refuse_empty(sources: list[Source]) -> None:
    if not any(source.rows for source in sources):
        where = ", ".join(source.name for source in sources[:3])
        raise AssayError("I002", "the source has columns but no rows", where=where)


def _read(
    path: str,
    kind: Format,
    form: _Form,
    intake: Intake,
    sources: list[Source],
    scratch: Path,
) -> list[Notice]:
    """Read one file, add it to `sources`, and return what a person should know about it."""
    first_row = sum(source.rows for source in sources)
    with _opened(path, kind, form.limits, scratch) as file:
        if not file.size:
            raise AssayError("I001", "the file is empty", where=file.name)
        wanted = None if remote.is_url(path) else recorded(path)
        refuse_content(file, kind)
        partition = Partition.of(path, form.specs)
        reader = _reader(file, kind, dataclasses.replace(form, specs=partition.of_file()))
        with _agreeing(sources, form):
            parts = reader.parts(first_row, intake.pool)
            parts = partition.joined(parts, is_text=kind.is_text)
            for settled in intake.settled(parts, file.name):
                intake.take(settled)
        digest = file.digest()
    refuse_other(path, digest, wanted)
    sources.append(Source(file.name, kind.name, file.size, digest, first_row, reader.rows))
    is_proven = wanted is not None  # so that missing page checksums do not matter
    return [n for n in reader.notices() if not (is_proven and n.code == "ASSAY-I005")]


@contextlib.contextmanager
def _opened(path: str, kind: Format, limits: Limits, folder: Path) -> Iterator[Opened]:
    """Open a file, or a private copy of a remote object, which is removed afterwards."""
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
def _agreeing(sources: list[Source], form: _Form) -> Iterator[None]:
    """Report a file that violates the contract as I017 if the files before it comply."""
    try:
        yield
    except AssayError as error:
        if not sources or form.specs is None or error.code not in _MISMATCH:
            raise
        what = f"{error.what}; {sources[0].name} matches the contract"
        raise AssayError("I017", what, where=error.where) from None


def _reader(file: Opened, kind: Format, form: _Form) -> CsvSource | JsonlSource | ParquetSource:
    specs, limits = form.specs, form.limits
    if kind.base == "parquet":
        return ParquetSource(file, specs, limits)
    text = blocks(file, kind.packing, limits)
    if kind.base == "json":
        return json_source(file.name, text, specs, limits, form.nested)
    if kind.base == "jsonl":
        return JsonlSource(file.name, text, specs, limits, form.nested)
    dialect = form.dialect.named(kind.base)
    if dialect.encoding != "utf-8":
        text = as_utf8(text, dialect.encoding, file.name)
    return CsvSource(file.name, text, specs, limits, dialect)
