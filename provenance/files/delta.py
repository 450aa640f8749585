"""Delta Lake: one version of a table, copied once to a private Parquet file.

    delta+file:///data/loans        the newest version; delta+file:///data/loans@12 for version 12
    delta+s3://bucket/loans         in an object store; credentials come from its environment

The version becomes part of the source's name, so the ledger records it and the same name always
reads the same rows, in the order of the files' paths. A table with files outside its folder, or
with features that the reader lacks (deletion vectors, column mapping), is refused.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.files import table_copy

SCHEMES = {f"delta+{scheme}": scheme for scheme in ("file", "s3", "gs", "az")}  # to deltalake's
EXTRA = "delta"
LOG = "_delta_log"
_BATCH = 64 << 10  # rows
_URL = re.compile(r"([a-z0-9+]+)://([^?#]+?)(?:@([0-9]{1,18}))?/*", re.IGNORECASE)


def is_table(url: str) -> bool:
    """Return whether a URL names a Delta table."""
    return url.partition("://")[0].lower() in SCHEMES


def url_of(folder: str) -> str:
    """Return the URL of a table in a local folder, with special characters escaped."""
    return f"delta+file://{quote(str(Path(folder).absolute()), safe='/')}"


def folder_of(source: str) -> str:
    """Return the local folder that a table's URL names; any other source unchanged."""
    match = _URL.fullmatch(source)
    is_local = match is not None and match[1].lower() == "delta+file"
    return unquote(match[2]) if match and is_local else source


def pinned(url: str, where: str) -> str:
    """Return the URL with a version: its own, or the newest one at this moment.

    Raises:
        AssayError: ASSAY-I014 if the table cannot be reached or read, I015 if the URL is malformed
            or the extra is not installed.
    """
    place, version = _parts(url, where)
    if version is not None:
        return url
    return f"{url.rstrip('/')}@{_opened(place, None, where).version()}"


def fetch(url: str, path: Path, limits: Limits, where: str) -> None:
    """Copy one version of a table to a new private Parquet file.

    Args:
        url: of the table, with or without a version.
        path: of the new file, in an existing folder.
        limits: `max_bytes`, enforced during the copy.
        where: the table, as messages may show it.

    Raises:
        AssayError: ASSAY-I006 if it is too large, I008 if it uses features that the reader lacks,
            I011 if one of its files lies elsewhere, I014 and I015 as of `pinned`.
    """
    place, version = _parts(url, where)
    table = _opened(place, version, where)
    import deltalake.exceptions

    try:
        data = table.to_pyarrow_dataset()
    except deltalake.exceptions.DeltaProtocolError:
        what = "the table uses unsupported features, such as deletion vectors or column mapping"
        fix = "export it to Parquet with its own engine"
        raise AssayError("I008", what, where=where, fix=fix) from None
    if place.startswith("file://"):
        _refuse_outside(data, Path(unquote(place.removeprefix("file://"))), where)
    import pyarrow as pa

    def to_table(batch: pa.RecordBatch) -> pa.Table:
        return pa.Table.from_batches([batch], schema=data.schema)

    table_copy.write(_batches(data, where), to_table, data.schema, path, limits, where)


def _parts(url: str, where: str) -> tuple[str, int | None]:
    """Return a URL as deltalake expects it, and its version."""
    match = _URL.fullmatch(url)
    scheme, rest, version = match.groups() if match else ("", "", None)
    if scheme.lower() not in SCHEMES or (scheme.lower() == "delta+file" and rest[:1] != "/"):
        fix = "write delta+file:///absolute/path or delta+s3://bucket/table, optionally with @12"
        raise AssayError("I015", "the URL does not name a Delta table", where=where, fix=fix)
    return f"{SCHEMES[scheme.lower()]}://{rest}", None if version is None else int(version)


def _opened(place: str, version: int | None, where: str) -> Any:
    try:
        import deltalake
        from deltalake.exceptions import DeltaError, TableNotFoundError
    except ImportError:
        raise table_copy.missing_extra("Delta tables need", EXTRA, where) from None
    try:
        return deltalake.DeltaTable(place, version=version)
    except TableNotFoundError:
        raise AssayError("I014", "no such table", where=where, fix="check the URL") from None
    except (DeltaError, OSError, ValueError) as error:
        cause = "" if version is None else f", or has no version {version}"
        raise _unreadable(error, where, cause) from None


def _unreadable(error: Exception, where: str, cause: str = "") -> AssayError:
    """Return the refusal without the library's own text, which may contain credentials or cells."""
    if isinstance(error, AssayError):
        return error
    what = f"the table cannot be reached or read{cause} ({type(error).__name__})"
    fix = "check the URL, the network and the credentials in this environment"
    if where.startswith("delta+file:"):
        fix = "restore the files that its log names; an older version may still be intact: URL@N"
    return AssayError("I014", what, where=where, fix=fix)


def _refuse_outside(data: Any, root: Path, where: str) -> None:
    """Refuse a table whose log, or a file that the log names, lies outside its own folder."""
    real, named = root.resolve(), [LOG]
    for fragment in data.get_fragments():
        # the library opens some names literally and some decoded: neither may lead outside
        named += [fragment.path, unquote(fragment.path), unquote(unquote(fragment.path))]
    for name in named:
        if not (root / name.replace("\0", "\ufffd")).resolve().is_relative_to(real):
            what = "a file of the table lies outside its folder"
            fix = "copy the table with its symlinks resolved"
            raise AssayError("I011", what, where=where, fix=fix)


def _batches(data: Any, where: str) -> Iterator[Any]:
    """Yield the rows, file by file in the order of their paths: always the same for one version.

    Failures to read are reported here, apart from failures to write the copy.
    """
    try:
        for fragment in sorted(data.get_fragments(), key=lambda item: str(item.path)):
            yield from fragment.to_batches(schema=data.schema, batch_size=_BATCH)
    except (OSError, ValueError) as error:
        raise _unreadable(error, where) from None
