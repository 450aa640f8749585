"""Which files a source names: one, a folder's, a pattern's, or a store's; nothing left out unsaid.

Python's own listings skip what they may not read in silence; here that is a refusal, since rows
would be missing from the dataset and nobody would know.
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
    """Return the files that a source names: a file, a folder's data files, or a glob's, sorted.

    A URL gives URLs; of another scheme than file:// they are asked of its store. So does the folder
    of a Delta table, which has a version and not only files.

    Raises:
        AssayError: ASSAY-I014 if there is none or a folder may not be read, I015 for a URL of a
            kind that is not read.
    """
    source = remote.local_path(source) or source
    if remote.is_url(source):
        return remote.expand(source, _is_data)
    if os.path.isdir(source):  # noqa: PTH112  # Path.is_dir raises where one may not look
        if os.path.isdir(os.path.join(source, delta.LOG)):  # noqa: PTH112, PTH118
            return [delta.url_of(source)]
        found = sorted(name for name in _below(source) if _is_data(name))
    elif any(mark in source for mark in _MAGIC) and not os.path.lexists(source):
        found = sorted(name for name in _matching(source) if _is_data(name))
    else:
        return [source]
    if not found:
        fix = "data files end in .csv, .tsv, .jsonl or .parquet"
        raise AssayError("I014", "no such file: no data files here", where=source, fix=fix)
    return found


def _below(folder: str) -> Iterator[str]:
    """Yield the files of a folder and of those in it, without what a dot or underscore hides.

    A store of Assay's in it is no data: what a run leaves is not read by the next one.
    """
    for root, inner, names in os.walk(folder, onerror=_refuse):
        inner[:] = [
            name
            for name in inner
            if not _is_hidden(name) and not store_door.is_marked(Path(root, name))
        ]
        yield from (str(Path(root) / name) for name in names if not _is_hidden(name))


def _matching(pattern: str) -> list[str]:
    """Return what a pattern matches, if every folder that it leads through may be read."""
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
    return AssayError("I014", what, where=folder, fix="give that user the right to read it")


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _is_data(name: str) -> bool:
    if os.path.isdir(name):  # noqa: PTH112
        return False
    try:
        format_of(name)
    except AssayError:
        return False
    return True
