"""A table of Delta Lake: one version of it, copied once into a private Parquet file.

    delta+file:///data/loans        the newest version, or delta+file:///data/loans@12 for one
    delta+s3://bucket/loans         in a store; credentials are those of its environment

The version that is read becomes part of the source's name, so the ledger tells it and the same name
reads the same rows again, in the order of the files' paths. Files that lie outside the table's
folder are refused; what the reader does not know (deletion vectors, column mapping) is too.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.files import table_copy

# scheme: what the library calls it
SCHEMES = {
    "delta+file": "file",
    "delta+s3": "s3",
    "delta+gs": "gs",
    "delta+az": "az",
}
EXTRA = "delta"
LOG = "_delta_log"
_BATCH = 64 << 10  # rows
_URL = re.compile(r"([a-z0-9+]+)://([^?#]+?)(?:@([0-9]{1,18}))?/*", re.IGNORECASE)


def is_table(url: str) -> bool:
    """Return whether a URL is one of a table."""
    return url.partition("://")[0].lower() in SCHEMES


def url_of(folder: str) -> str:
    """Return the URL of a table in a local folder, whatever its path looks like."""
    return f"delta+file://{quote(str(Path(folder).absolute()), safe='/')}"


def folder_of(source: str) -> str:
    """Return the local folder that a table's URL names; any other source as it is."""
    match = _URL.fullmatch(source)
    is_local = match is not None and match[1].lower() == "delta+file"
    return unquote(match[2]) if match and is_local else source


def pinned(url: str, where: str) -> str:
    """Return the URL with the version that is the newest now, if it names none.

    Raises:
        AssayError: ASSAY-I014 if the table cannot be reached or read, I015 if the URL is misspelt
            or the extra is not installed.
    """
    place, version = _parts(url, where)
    if version is not None:
        return url
    return f"{url.rstrip('/')}@{_opened(place, None, where).version()}"


def fetch(url: str, path: Path, limits: Limits, where: str) -> None:
    """Copy a version of a table into a new private Parquet file.

    Args:
        url: of the table, pinned or not.
        path: of the file, which does not exist yet; its folder does.
        limits: `max_bytes`, weighed while it is copied.
        where: the table, as it may be told.

    Raises:
        AssayError: ASSAY-I006 if it is too large, I008 if it needs a reader that knows more, I011
            if a file of it lies elsewhere, I014 and I015 as `pinned` does.
    """
    place, version = _parts(url, where)
    table = _opened(place, version, where)
    import deltalake.exceptions

    try:
        data = table.to_pyarrow_dataset()
    except deltalake.exceptions.DeltaProtocolError:
        what = "the table has deletion vectors, mapped columns or the like, which are not read"
        fix = "export it as Parquet with its own engine"
        raise AssayError("I008", what, where=where, fix=fix) from None
    if place.startswith("file://"):
        _refuse_outside(data, Path(unquote(place.removeprefix("file://"))), where)
    import pyarrow as pa

    def made(batch: pa.RecordBatch) -> pa.Table:
        return pa.Table.from_batches([batch], schema=data.schema)

    table_copy.write(_batches(data, where), made, data.schema, path, limits, where)


def _parts(url: str, where: str) -> tuple[str, int | None]:
    """Return a URL as the library takes it, and its version."""
    match = _URL.fullmatch(url)
    scheme, rest, version = match.groups() if match else ("", "", None)
    if scheme.lower() not in SCHEMES or (scheme.lower() == "delta+file" and rest[:1] != "/"):
        fix = (
            "write delta+file:///path/from/the/root or delta+s3://bucket/table, and @12 if need be"
        )
        raise AssayError("I015", "this names no table", where=where, fix=fix)
    return f"{SCHEMES[scheme.lower()]}://{rest}", None if version is None else int(version)


def _opened(place: str, version: int | None, where: str) -> Any:
    try:
        import deltalake
        from deltalake.exceptions import DeltaError, TableNotFoundError
    except ImportError:
        what = f"delta tables need the extra '{EXTRA}', which is not installed"
        fix = f"pip install 'assay[{EXTRA}]'"
        raise AssayError("I015", what, where=where, fix=fix) from None
    try:
        return deltalake.DeltaTable(place, version=version)
    except TableNotFoundError:
        what, fix = "there is no such table", "check the URL"
        raise AssayError("I014", what, where=where, fix=fix) from None
    except (DeltaError, OSError, ValueError) as error:
        told = "" if version is None else f", or has no version {version}"
        raise _unreadable(error, where, told) from None


def _unreadable(error: Exception, where: str, told: str = "") -> AssayError:
    """Return the refusal; the library's own words may hold credentials or a cell."""
    if isinstance(error, AssayError):
        return error
    what = f"the table cannot be reached or read{told} ({type(error).__name__})"
    if where.startswith("delta+file:"):
        fix = "restore the files that its log names; an older version may still be whole: URL@N"
        return AssayError("I014", what, where=where, fix=fix)
    fix = "check the URL, the network and the credentials in this environment"
    return AssayError("I014", what, where=where, fix=fix)


def _refuse_outside(data: Any, root: Path, where: str) -> None:
    """Refuse a table of which the log, or a file that it names, leads out of its own folder."""
    real, named = root.resolve(), [LOG]
    for fragment in data.get_fragments():
        # the library opens some names as they are and some decoded: neither may lead out
        named += [fragment.path, unquote(fragment.path), unquote(unquote(fragment.path))]
    for name in named:
        if not (root / name.replace("\0", "\ufffd")).resolve().is_relative_to(real):
            what = "a file of the table lies outside its folder"
            raise AssayError("I011", what, where=where, fix="copy the table, links and all")


def _batches(data: Any, where: str) -> Iterator[Any]:
    """Yield the rows, file by file in the order of their paths: the same for one version.

    What the files cannot give is told here, since writing has failures of its own.
    """
    try:
        for fragment in sorted(data.get_fragments(), key=lambda item: str(item.path)):
            yield from fragment.to_batches(schema=data.schema, batch_size=_BATCH)
    except (OSError, ValueError) as error:
        raise _unreadable(error, where) from None
