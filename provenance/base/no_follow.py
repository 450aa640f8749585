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
REGULAR = "a regular file"
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
    return next(named, REGULAR if stat.S_ISREG(mode) else "something unknown")


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


@contextlib.contextmanager
def nested(path: Path) -> Iterator[int]:
    """Open a folder inside a folder: neither of the two may be a symlink; errors as of `folder`."""
    with folder(path.parent) as outer, folder(path.name, at=outer) as inner:
        yield inner


def names(path: Path) -> list[str]:
    """Return the names in a folder in order, none if it is not there; errors as of `nested`."""
    try:
        with nested(path) as descriptor:
            return sorted(os.listdir(descriptor))  # noqa: PTH208  by descriptor
    except FileNotFoundError:
        return []


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


def open_given(path: Path) -> int:
    """Open a file that a person names, also by a symlink; returns the descriptor.

    A pipe without a name, such as the shell's `<(command)`, is read like a file. A named pipe is
    refused: its writer may never come.

    Raises:
        IrregularError: something else stands there.
        OSError: it is missing or may not be opened.
    """
    descriptor = os.open(path, FOLLOWED)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) and not is_there(Path(os.path.realpath(path))):
        os.set_blocking(descriptor, True)
    elif not stat.S_ISREG(mode):
        os.close(descriptor)
        raise IrregularError(path, kind_of(mode))
    return descriptor


def read(name: str | Path, *, at: int | None = None, most: int | None = None) -> bytes:
    """Return the content of a regular file.

    Args:
        name: as of `open_file`.
        at: as of `open_file`.
        most: bytes that it may have at most; a larger one is not read.

    Raises:
        IrregularError: it is no regular file, or larger.
        OSError: it is missing or may not be opened.
    """
    with os.fdopen(open_file(name, at=at), "rb") as file:
        if most is None:
            return file.read()
        is_larger = os.fstat(file.fileno()).st_size > most
        content = b"" if is_larger else file.read(most + 1)
        if is_larger or len(content) > most:
            raise IrregularError(name, f"larger than {most >> 20} MiB")
        return content


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
        return os.open(name, flags, 0o666, dir_fd=at)
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
