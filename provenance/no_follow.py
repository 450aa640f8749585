"""Opening and removing files by descriptor, so that no link leads elsewhere and no pipe hangs.

A path is taken apart: each folder is opened from the one above it and may not be a symlink; a file
is opened without waiting and must turn out to be a regular one. What was opened is what is used,
whatever happens to the names meanwhile.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
FOLLOWED = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # of a file that a person names
_KINDS = (
    (stat.S_ISLNK, "a symlink"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


class IrregularError(OSError):
    """Something stands where a regular file or a folder belongs; `kind` says what."""

    def __init__(self, path: str | Path, kind: str) -> None:
        """Name the path and what stands there, such as `a symlink`."""
        super().__init__(errno.EINVAL, f"is {kind}, not what belongs there", str(path))
        self.kind = kind


def kind_of(mode: int) -> str:
    """Return what a mode stands for: `a symlink`, `a folder`, `a regular file`."""
    named = (name for is_kind, name in _KINDS if is_kind(mode))
    return next(named, "a regular file" if stat.S_ISREG(mode) else "something unknown")


@contextlib.contextmanager
def folder(path: str | Path, *, at: int | None = None) -> Iterator[int]:
    """Open a folder that is no symlink itself; with `at`, each part of a relative path is none.

    Raises:
        IrregularError: a part is a symlink or no folder.
        OSError: it is missing or may not be read.
    """
    parts = [str(path)] if at is None else list(Path(path).parts)
    held = _open(parts[0] if parts else ".", FOLDER, at)
    try:
        for part in parts[1:]:
            inner = _open(part, FOLDER, held)
            os.close(held)
            held = inner
        yield held
    finally:
        os.close(held)


def open_file(name: str | Path, *, at: int | None = None, flags: int = FILE) -> int:
    """Open a regular file without following a symlink or waiting; returns the descriptor.

    Args:
        name: with `at`, relative to that folder, and no folder on the way may be a symlink;
            without, its folder is taken as it is.
        at: descriptor of a folder.
        flags: of the opening, `FILE` for reading.

    Raises:
        IrregularError: something else than a regular file stands there.
        OSError: it is missing or may not be opened.
    """
    parent = Path(name).parent
    if at is not None and parent != Path():
        with folder(parent, at=at) as inner:
            return open_file(Path(name).name, at=inner, flags=flags)
    descriptor = _open(str(name), flags, at)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise IrregularError(name, kind_of(mode))
    return descriptor


def read(name: str | Path, *, at: int | None = None) -> bytes:
    """Return the content of a regular file; errors as of `open_file`."""
    with os.fdopen(open_file(name, at=at), "rb") as file:
        return file.read()


def is_there(path: Path) -> bool:
    """Return whether anything has this name, also a symlink that leads nowhere."""
    return os.path.lexists(path)


def remove(name: str, at: int) -> bool:
    """Remove a regular file or a whole folder of this user, by its name in an open folder.

    A symlink is neither followed nor removed, nor is a device or a pipe.

    Returns:
        Whether it was there and is gone.
    """
    try:
        found = os.stat(name, dir_fd=at, follow_symlinks=False)
    except OSError:
        return False
    if found.st_uid != os.geteuid():
        return False
    if stat.S_ISDIR(found.st_mode):
        shutil.rmtree(name, ignore_errors=True, dir_fd=at)
    elif stat.S_ISREG(found.st_mode):
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=at)
    try:
        os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _open(name: str, flags: int, at: int | None) -> int:
    try:
        return os.open(name, flags, dir_fd=at)
    except OSError as error:
        # a symlink (ELOOP), a file for a folder (ENOTDIR), a socket or a pipe nobody reads (ENXIO)
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR):
            raise _told(name, at, error) from error
        raise


def _told(name: str, at: int | None, error: OSError) -> OSError:
    try:
        found = os.stat(name, dir_fd=at, follow_symlinks=False)
    except OSError:
        return error
    return IrregularError(name, kind_of(found.st_mode))
