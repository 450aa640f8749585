"""Lists the files that a source names: one file, or those of a folder, a pattern or a URL.

Python's own listings silently skip what they may not read. Here that is an error: rows would be
missing from the dataset and nobody would know.
"""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from provenance.base import store_door
from provenance.base.errors import AssayError
from provenance.files import delta, remote
from provenance.files.formats import format_of

_MAGIC = "*?["


def expand(source: str) -> list[str]:
    """Return the sorted data files that a source names: a file, a folder or a glob pattern.

    A URL expands to URLs, and the folder of a Delta table to the URL of that table. Files named
    `.json` often describe the data beside them, so they are data only where nothing else is.

    Raises:
        AssayError: ASSAY-I014 if there is none or a folder may not be read, I015 for an
            unsupported URL.
    """
    source = remote.local_path(source) or source
    if remote.is_url(source):
        return _without_descriptions(remote.expand(source, _is_data))
    if os.path.isdir(source):  # noqa: PTH112  # Path.is_dir raises where permission is denied
        if os.path.isdir(os.path.join(source, delta.LOG)):  # noqa: PTH112, PTH118
            return [delta.url_of(source)]
        found = sorted(name for name in _below(source) if _is_data(name))
    elif any(mark in source for mark in _MAGIC) and not os.path.lexists(source):
        found = sorted(name for name in _matching(source) if _is_data(name))
    else:
        return [source]
    if not found:
        raise remote.no_data_files(source)
    return _without_descriptions(found)


def _without_descriptions(names: list[str]) -> list[str]:
    others = [name for name in names if ".json" not in Path(name).suffixes[-2:]]
    return others or names


def _below(folder: str) -> Iterator[str]:
    """Yield the files below a folder, except names that start with a dot or underscore.

    A folder such as `_day=1` is part of a partitioned source, and not hidden.
    Assay stores are skipped, so that a run never reads the output of an earlier one.
    """
    for root, inner, names in os.walk(folder, onerror=_refuse):
        inner[:] = [
            name
            for name in inner
            if not _is_hidden(name) and not store_door.is_marked(Path(root, name))
        ]
        yield from (str(Path(root) / name) for name in names if not _is_hidden(name))


def _matching(pattern: str) -> list[str]:
    """Return what a pattern matches, provided that every folder on the way may be read."""
    parts = Path(pattern).parts
    for count in range(1, len(parts)):
        for folder in glob.glob(str(Path(*parts[:count])), recursive=True):  # noqa: PTH207
            is_folder = os.path.isdir(folder)  # noqa: PTH112
            if is_folder and not os.access(folder, os.R_OK | os.X_OK):
                raise _unreadable(folder)
    return glob.glob(pattern, recursive=True)  # noqa: PTH207  # takes absolute patterns too


def _refuse(error: OSError) -> None:
    raise _unreadable(str(error.filename))


def _unreadable(folder: str) -> AssayError:
    what = f"permission denied for user {os.geteuid()}: the folder cannot be listed"
    return AssayError("I014", what, where=folder, fix="give that user read permission")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _is_data(name: str) -> bool:
    if os.path.isdir(name):  # noqa: PTH112
        return False
    try:
        format_of(name)
    except AssayError:
        return False
    return True
