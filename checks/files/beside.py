"""Opens the files that a column names, below one folder: no link is followed, no pipe waited for.

Source: paths are taken apart and opened part by part (`provenance.base.no_follow`).
"""

import contextlib
import dataclasses
import errno
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from checks.files import file_types
from provenance.base import no_follow

_URL = re.compile(r"(?i)^[a-z][a-z0-9+.-]*://|^data:")
_BLOCK = 1 << 20
URL, OUTSIDE, MISSING, IRREGULAR, UNREADABLE, EMPTY, TYPE, CUT = range(1, 9)


@dataclasses.dataclass(frozen=True, slots=True)
class Looked:
    """One file: its fault, 0 for none; size in bytes; SHA-256 of its content, empty if not read."""

    fault: int = 0
    size: int = 0
    sha256: bytes = b""


class Folder:
    """A folder that is held open; `look` opens a file below it."""

    def __init__(self, path: str, *, contents: bool) -> None:
        """Remember the folder.

        Args:
            path: absolute, without symlinks.
            contents: whether to read whole files, for their digests.
        """
        self._path, self._contents = path, contents
        self._at = -1

    @contextlib.contextmanager
    def opened(self) -> Iterator["Folder"]:
        """Hold the folder open; OSError if it cannot be opened."""
        with no_follow.folder(self._path) as self._at:
            yield self

    def look(self, name: str) -> Looked:
        """Return what is found under a name, which a cell holds."""
        if _URL.match(name):
            return Looked(URL)
        inner = self._inner(name)
        if inner is None:
            return Looked(OUTSIDE)
        try:
            descriptor = no_follow.open_file(inner, at=self._at)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                return self._read(file.fileno(), PurePosixPath(inner).suffix[1:].lower())
        except no_follow.IrregularError as error:
            # a part of the path that is a file has no files below it
            return Looked(MISSING if error.kind == no_follow.REGULAR else IRREGULAR)
        except OSError as error:
            is_there = error.errno not in (errno.ENOENT, errno.ENAMETOOLONG)
            return Looked(UNREADABLE if is_there else MISSING)

    def _inner(self, name: str) -> str | None:
        """Return a name relative to the folder; None if it leads elsewhere."""
        path = PurePosixPath(name)
        if path.is_absolute():
            if not path.is_relative_to(self._path):
                return None
            path = path.relative_to(self._path)
        is_inside = ".." not in path.parts and path.parts and "\x00" not in name
        return str(path) if is_inside else None

    def _read(self, descriptor: int, extension: str) -> Looked:
        size = os.fstat(descriptor).st_size
        if not size:
            return Looked(EMPTY)
        head = os.pread(descriptor, file_types.HEAD, 0)
        tail = os.pread(descriptor, file_types.TAIL, max(size - file_types.TAIL, 0))
        fault = 0
        if file_types.is_other(extension, head):
            fault = TYPE
        elif file_types.is_cut(head, tail):
            fault = CUT
        if not self._contents:
            return Looked(fault, size)
        digest, left = hashlib.sha256(), size
        # a file that grows is not followed for ever
        while left > 0 and (block := os.read(descriptor, min(_BLOCK, left))):
            digest.update(block)
            left -= len(block)
        return Looked(fault, size, digest.digest())
