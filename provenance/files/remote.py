"""Remote sources: lists what an fsspec URL names and copies each object once to a private file.

The copy is read like any other file, so nothing here parses data. Size limits are enforced during
the copy, and an object that changes during it is refused. Credentials come from the provider's own
environment; credentials in a URL are never shown or recorded.
"""

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from provenance.base import no_follow
from provenance.base.errors import AssayError
from provenance.base.limits import MIB, Limits
from provenance.files import delta, postgres, table_copy

# scheme: (fsspec's protocol, Assay's extra that installs its library)
SCHEMES = {
    "memory": ("memory", ""),
    "http": ("http", "http"),
    "https": ("http", "http"),
    "s3": ("s3", "s3"),
    "s3a": ("s3", "s3"),
    "gs": ("gs", "gs"),
    "gcs": ("gs", "gs"),
    "az": ("abfs", "az"),
    "abfs": ("abfs", "az"),
    "abfss": ("abfs", "az"),
}
# the schemes that docs/operations.md names; the others are alternative spellings
DOCUMENTED = ("file", "s3", "gs", "az", "abfs", "https", "postgresql", "delta+file", "delta+s3")
# object stores, which a contract may name; any other URL may appear on the command line only
STORES = frozenset(SCHEMES) - {"memory", "http", "https"}
_AZURE = ("az", "abfs", "abfss")
_AZURE_HOST = ".core.windows.net"
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_MAGIC = re.compile(r"[*?[]")
_BLOCK = 8 * MIB
# metadata of stores that changes whenever an object's bytes do
_MARKS: tuple[str, ...] = (
    *("size", "ETag", "etag", "generation", "md5Hash", "content_md5", "version_id", "VersionId"),
    *("LastModified", "last_modified", "updated", "created", "modified", "mtime"),
)
Result = TypeVar("Result")


def is_url(source: str) -> bool:
    """Return whether a source is a URL of any scheme."""
    return _URL.match(source) is not None


def local_path(source: str) -> str | None:
    """Return the path that a `file://` URL names; None for any other source."""
    if not source.lower().startswith("file://"):
        return None
    path = source[len("file://") :].removeprefix("localhost")
    if not path.startswith("/"):
        what = "a file:// URL must have no host and an absolute path"
        raise AssayError("I015", what, where=shown(source), fix="write file:///absolute/path")
    return path if os.path.lexists(path) else unquote(path)


def shown(url: str) -> str:
    """Return a URL as it may be shown and recorded: without user, password and query."""
    match = _URL.match(url)
    if match is None:
        return url
    scheme, rest = match[1].lower(), url[match.end() :]
    host, slash, path = rest.partition("/")
    is_container = scheme in _AZURE and ":" not in host
    host = host if is_container else host.rpartition("@")[2]
    rest = host + slash + path
    end = r"[?#]" if scheme in ("http", "https") else r"[?#](?=[^/]*=)"  # `?` may be a wildcard
    return f"{scheme}://{re.split(end, rest, maxsplit=1)[0]}"


def is_plain_store(url: str) -> bool:
    """Return whether a URL names an object store and contains no secret: what a contract allows."""
    scheme = url.partition("://")[0].lower()
    return scheme in STORES and "?" not in url and shown(url) == url


def expand(url: str, is_data: Callable[[str], bool]) -> list[str]:
    """Return the sorted URLs of the objects that a URL names: one, a folder's or a pattern's.

    Args:
        url: with one of SCHEMES.
        is_data: returns whether a name is that of a data file.

    Raises:
        AssayError: ASSAY-I014 if there is none or it cannot be reached, I015 for an unsupported
            scheme or a missing extra.
    """
    if postgres.is_table(url) or delta.is_table(url):
        _known(url)
        return [delta.pinned(url, shown(url)) if delta.is_table(url) else url]
    store = _Store.of(url)
    if store.scheme in ("http", "https"):
        return [url]
    if _MAGIC.search(store.path) and not store.ask(store.files.exists, store.path):
        names = store.ask(store.files.glob, store.path)
        root = store.path[: _MAGIC.search(store.path).start()]  # type: ignore[union-attr]
    elif store.ask(store.files.isdir, store.path):
        names, root = store.ask(store.files.find, store.path), store.path
    else:
        return [url]
    found = sorted(name for name in names if _is_shown(name, root) and is_data(name))
    if not found:
        raise no_data_files(shown(url))
    return [store.url_of(name) for name in found]


def no_data_files(where: str) -> AssayError:
    """Return the refusal (ASSAY-I014) of a folder or pattern without a data file."""
    fix = "name data files that end in .csv, .tsv, .jsonl, .json or .parquet"
    return AssayError("I014", "no such file: no data files here", where=where, fix=fix)


def fetch(url: str, path: Path, limits: Limits) -> None:
    """Copy one object to a new private file.

    Args:
        url: of an object, with one of SCHEMES; or of a table, which is copied as Parquet.
        path: of the new file, in an existing folder.
        limits: `max_bytes`, enforced during the copy.

    Raises:
        AssayError: ASSAY-I006 if it is too large, I013 if it changed during the copy, I014 if it
            cannot be read, I015 as of `expand`.
    """
    if postgres.is_table(url):
        postgres.fetch(url, path, limits, shown(url))
        return
    if delta.is_table(url):
        _known(url)
        delta.fetch(url, path, limits, shown(url))
        return
    store = _Store.of(url)
    before = store.marks()
    size = before.get("size")
    if isinstance(size, int):
        limits.refuse_size(size, shown(url))
    total = 0
    with os.fdopen(no_follow.create(path), "wb") as file:
        for block in store.blocks():
            total += len(block)
            limits.refuse_size(total, shown(url))
            file.write(block)
    if before != store.marks() or size not in (None, total):
        raise store.changed()


def _is_shown(name: str, root: str) -> bool:
    parts = name.removeprefix(root).split("/")
    is_hidden = (p.startswith(".") or (p.startswith("_") and "=" not in p) for p in parts)
    return not any(is_hidden)


@dataclasses.dataclass(frozen=True, slots=True)
class _Store:
    """The file system behind a URL, and the URL's path in it."""

    url: str
    scheme: str
    files: Any
    path: str

    @staticmethod
    def of(url: str) -> "_Store":
        """Open the file system without sending a request."""
        scheme, plain = _known(url)
        protocol, extra = SCHEMES[scheme]
        import fsspec

        try:
            kind = fsspec.get_filesystem_class(protocol)
        except ImportError:
            raise table_copy.missing_extra(f"{scheme}:// needs", extra, shown(url)) from None
        options = kind._get_kwargs_from_urls(plain)  # noqa: SLF001  as fsspec itself calls it
        files = kind(**options, skip_instance_cache=True, use_listings_cache=False)
        return _Store(url, scheme, files, kind._strip_protocol(plain))  # noqa: SLF001  same

    def url_of(self, name: str) -> str:
        """Return the URL of a path that the store listed."""
        host = _URL.sub("", self.url, count=1).partition("/")[0]
        if self.scheme in _AZURE and _AZURE_HOST in host:
            container, _, rest = name.partition("/")
            account = host.rpartition("@")[2]
            return f"{self.scheme}://{container}@{account}/{rest}"
        return f"{self.scheme}://{name.lstrip('/')}"

    def ask(self, question: Callable[..., Result], *words: Any, **more: Any) -> Result:
        """Query the store; its own error text may contain credentials and is never repeated.

        Raises:
            AssayError: ASSAY-I013 or I014.
        """
        try:
            return question(*words, **more)
        except MemoryError:
            raise
        except FileNotFoundError:
            # fsspec raises the same error for a web server that cannot be reached
            what, fix = "no such file", "check the URL"
            if self.scheme not in STORES:
                what, fix = f"{what}, or no such server", f"{fix} and the network"
        except PermissionError:
            what, fix = "permission denied", "check the credentials in this environment"
        except Exception as error:  # noqa: BLE001  # each store has its own exceptions
            name = type(error).__name__
            if name == "FileExpired":
                raise self.changed() from None
            what = f"the object cannot be reached or read ({name})"
            fix = "check the URL, the network and the credentials in this environment"
        raise AssayError("I014", what, where=shown(self.url), fix=fix)

    def changed(self) -> AssayError:
        """Return the refusal of an object that changed (ASSAY-I013)."""
        what = "the object changed while it was being copied"
        return AssayError("I013", what, where=shown(self.url))

    def marks(self) -> Mapping[str, Any]:
        """Return the metadata that identifies the object's content, including its size."""
        found: dict[str, Any] = self.ask(self.files.info, self.path)
        if found.get("type") == "directory":
            fix = "give a file, or a folder that contains data files"
            raise AssayError("I010", "this is a folder, not a file", where=shown(self.url), fix=fix)
        return {mark: found[mark] for mark in _MARKS if mark in found}

    def blocks(self) -> Iterator[bytes]:
        """Yield the object's bytes in blocks, none of them empty."""
        stream = self.ask(self.files.open, self.path, "rb", block_size=_BLOCK)
        try:
            while block := self.ask(stream.read, _BLOCK):
                yield block
        finally:
            stream.close()


def _known(url: str) -> tuple[str, str]:
    """Return a URL's scheme, and the URL as fsspec expects it."""
    match = _URL.match(url)
    scheme = match[1].lower() if match else ""
    if match is None or scheme not in (*SCHEMES, *postgres.SCHEMES, *delta.SCHEMES):
        what = f"unsupported URL scheme '{scheme}'"
        fix = f"copy the files, or use one of {', '.join(f'{name}://' for name in DOCUMENTED)}"
        raise AssayError("I015", what, where=shown(url), fix=fix)
    host, slash, path = url[match.end() :].partition("/")
    user = host.rpartition("@")[0]
    asks = scheme in STORES or scheme in (*postgres.SCHEMES, *delta.SCHEMES)
    if user and not (scheme in _AZURE and ":" not in user) and asks:
        what = "the URL contains credentials, which do not belong there"
        fix = "provide them in the store's own environment variables or files"
        raise AssayError("I015", what, where=shown(url), fix=fix)
    if scheme in _AZURE and not user and host.endswith(_AZURE_HOST):
        container, _, rest = path.partition("/")  # the notation of the contract standard
        return scheme, f"{scheme}://{container}@{host}/{rest}"
    return scheme, f"{scheme}://{host}{slash}{path}"
