"""Remote sources: an fsspec URL is listed, and each object copied once into a private file.

The copy is read like any other file, so nothing here parses data. Sizes are weighed while it is
copied, and an object that changed meanwhile is refused. Credentials are those of the provider's
own environment; what a URL holds of them is never shown or recorded.
"""

import dataclasses
import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from provenance.base.errors import AssayError
from provenance.base.limits import MIB, Limits
from provenance.files import delta, postgres

# scheme: (fsspec's protocol, Assay's extra that brings its library)
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
# object stores, which a contract may name; what else a URL reaches, only a command line may
# as docs/operations.md has them; the others are spellings of these
TOLD = ("file", "s3", "gs", "az", "abfs", "https", "postgresql", "delta+file", "delta+s3")
STORES = frozenset(SCHEMES) - {"memory", "http", "https"}
_AZURE = ("az", "abfs", "abfss")
_AZURE_HOST = ".core.windows.net"
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_MAGIC = re.compile(r"[*?[]")
_BLOCK = 8 * MIB
# what stores say of an object that changes whenever its bytes do
_MARKS: tuple[str, ...] = (
    *("size", "ETag", "etag", "generation", "md5Hash", "content_md5", "version_id", "VersionId"),
    *("LastModified", "last_modified", "updated", "created", "modified", "mtime"),
)
Made = TypeVar("Made")


def is_url(source: str) -> bool:
    """Return whether a source is a URL of any scheme."""
    return _URL.match(source) is not None


def local_path(source: str) -> str | None:
    """Return the path that a `file://` URL names; None for any other source."""
    if not source.lower().startswith("file://"):
        return None
    path = source[len("file://") :].removeprefix("localhost")
    if not path.startswith("/"):
        what = "a file:// URL names a host, or a path that is not whole"
        raise AssayError("I015", what, where=shown(source), fix="write file:///path/from/the/root")
    return path if os.path.lexists(path) else unquote(path)


def shown(url: str) -> str:
    """Return a URL as it may be told and recorded: no user, no password, no query."""
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
    """Return whether a URL names an object store and nothing secret: what a contract may hold."""
    scheme = url.partition("://")[0].lower()
    return scheme in STORES and "?" not in url and shown(url) == url


def expand(url: str, is_data: Callable[[str], bool]) -> list[str]:
    """Return the objects that a URL names: one, a folder's, or a pattern's, sorted.

    Args:
        url: of one of SCHEMES.
        is_data: whether a name is one of a data file.

    Raises:
        AssayError: ASSAY-I014 if there is none or it cannot be reached, I015 for a scheme that is
            not read or whose extra is not installed.
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
        fix = "data files end in .csv, .tsv, .jsonl or .parquet"
        raise AssayError("I014", "no such file: no data files here", where=shown(url), fix=fix)
    return [store.url_of(name) for name in found]


def fetch(url: str, path: Path, limits: Limits) -> None:
    """Copy one object into a new private file.

    Args:
        url: of one of SCHEMES, of an object; or of a table, copied as Parquet.
        path: of the file, which does not exist yet; its folder does.
        limits: `max_bytes`, weighed while it is copied.

    Raises:
        AssayError: ASSAY-I006 if it is too large, I013 if it changed meanwhile, I014 if it cannot
            be read, I015 as `expand` does.
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
        limits.refuse_copy(size, shown(url))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    total = 0
    with os.fdopen(descriptor, "wb") as file:
        for block in store.blocks():
            total += len(block)
            limits.refuse_copy(total, shown(url))
            file.write(block)
    if before != store.marks() or size not in (None, total):
        what = "the object changed while it was copied"
        fix = "run again when its writer has finished"
        raise AssayError("I013", what, where=shown(url), fix=fix)


def _is_shown(name: str, root: str) -> bool:
    parts = name.removeprefix(root).split("/")
    return not any(part.startswith((".", "_")) for part in parts)


@dataclasses.dataclass(frozen=True, slots=True)
class _Store:
    """The file system behind a URL, and the URL's path in it."""

    url: str
    scheme: str
    files: Any
    path: str

    @staticmethod
    def of(url: str) -> "_Store":
        """Open the file system; nothing is asked of it yet."""
        scheme, told = _known(url)
        protocol, extra = SCHEMES[scheme]
        import fsspec

        try:
            kind = fsspec.get_filesystem_class(protocol)
        except ImportError:
            what = f"{scheme}:// needs the extra '{extra}', which is not installed"
            fix = f"pip install 'assay[{extra}]'"
            raise AssayError("I015", what, where=shown(url), fix=fix) from None
        options = kind._get_kwargs_from_urls(told)  # noqa: SLF001  fsspec's way for its own kinds
        files = kind(**options, skip_instance_cache=True, use_listings_cache=False)
        return _Store(url, scheme, files, kind._strip_protocol(told))  # noqa: SLF001  same

    def url_of(self, name: str) -> str:
        """Return the URL of a path that the store listed."""
        host = _URL.sub("", self.url, count=1).partition("/")[0]
        if self.scheme in _AZURE and _AZURE_HOST in host:
            container, _, rest = name.partition("/")
            account = host.rpartition("@")[2]
            return f"{self.scheme}://{container}@{account}/{rest}"
        return f"{self.scheme}://{name.lstrip('/')}"

    def ask(self, question: Callable[..., Made], *words: Any, **more: Any) -> Made:
        """Ask the store; what it answers in its own words may hold credentials, and stays unsaid.

        Raises:
            AssayError: ASSAY-I013 or I014.
        """
        where = shown(self.url)
        try:
            return question(*words, **more)
        except FileNotFoundError:
            # a web server that cannot be reached is told in the same way
            is_store = self.scheme in STORES
            what = "no such file" if is_store else "no such file, or no such server"
            fix = "check the URL" if is_store else "check the URL and the network"
            raise AssayError("I014", what, where=where, fix=fix) from None
        except PermissionError:
            fix = "check the credentials in this environment"
            raise AssayError("I014", "permission denied", where=where, fix=fix) from None
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # each store has exceptions of its own
            name = type(error).__name__
            if name == "FileExpired":
                what, fix = "the object changed while it was copied", "run again"
                raise AssayError("I013", what, where=where, fix=fix) from None
            what = f"cannot be reached or read ({name})"
            fix = "check the URL, the network and the credentials in this environment"
            raise AssayError("I014", what, where=where, fix=fix) from None

    def marks(self) -> Mapping[str, Any]:
        """Return what tells one content of the object from another; its size among them."""
        found: dict[str, Any] = self.ask(self.files.info, self.path)
        if found.get("type") == "directory":
            fix = "give a file, or a folder that holds data files"
            raise AssayError("I010", "not a file but a folder", where=shown(self.url), fix=fix)
        return {mark: found[mark] for mark in _MARKS if mark in found}

    def blocks(self) -> Iterator[bytes]:
        """Yield the object's bytes, none of the blocks empty."""
        stream = self.ask(self.files.open, self.path, "rb", block_size=_BLOCK)
        try:
            for _ in itertools.count():
                block = self.ask(stream.read, _BLOCK)
                if not block:
                    return
                yield block
        finally:
            stream.close()


def _known(url: str) -> tuple[str, str]:
    """Return a URL's scheme, and the URL as fsspec takes it."""
    match = _URL.match(url)
    scheme = match[1].lower() if match else ""
    if match is None or scheme not in (*SCHEMES, *postgres.SCHEMES, *delta.SCHEMES):
        what = f"{scheme}:// is no kind of URL that is read"
        fix = f"copy the files, or use one of {', '.join(f'{told}://' for told in TOLD)}"
        raise AssayError("I015", what, where=shown(url), fix=fix)
    host, slash, path = url[match.end() :].partition("/")
    user = host.rpartition("@")[0]
    asks = scheme in STORES or scheme in (*postgres.SCHEMES, *delta.SCHEMES)
    if user and not (scheme in _AZURE and ":" not in user) and asks:
        what = "the URL holds credentials, which do not belong there"
        fix = "give them as the store's own environment variables or files do"
        raise AssayError("I015", what, where=shown(url), fix=fix)
    if scheme in _AZURE and not user and host.endswith(_AZURE_HOST):
        container, _, rest = path.partition("/")  # as the contract standard writes it
        return scheme, f"{scheme}://{container}@{host}/{rest}"
    return scheme, f"{scheme}://{host}{slash}{path}"
