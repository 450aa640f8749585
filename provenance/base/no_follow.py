"""Opens and removes files by descriptor, so that no symlink leads elsewhere and no pipe blocks.

A path is taken apart: each folder is opened from the one above it and may not be a symlink; a file
is opened without blocking and must turn out to be regular. What was opened is what is used, even if
the names change in the meantime.
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
FOLLOWED = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # for a file that the user names
_KINDS = (
    (stat.S_ISLNK, "a symlink"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISREG, REGULAR),
)


class IrregularError(OSError):
    """A path is not the regular file or folder that it should be; `kind` says what it is."""

    def __init__(self, path: str | Path, kind: str) -> None:
        """Name the path and what was found there, such as `a symlink`."""
        super().__init__(errno.EINVAL, f"is {kind}, not what belongs there", str(path))
        self.kind = kind


def kind_of(mode: int) -> str:
    """Return what a mode stands for: `a symlink`, `a folder`, `a regular file`."""
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "of an unknown type")


@contextlib.contextmanager
def folder(path: str | Path, *, at: int | None = None) -> Iterator[int]:
    """Open a folder that is not itself a symlink; with `at`, no part of a relative path may be one.

    Raises:
        IrregularError: a part is a symlink or not a folder.
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
    """Open a folder inside a folder, neither of which may be a symlink; errors as of `folder`."""
    with folder(path.parent) as outer, folder(path.name, at=outer) as inner:
        yield inner


def names(path: Path) -> list[str]:
    """Return the sorted names in a folder, none if it does not exist; errors as of `nested`."""
    try:
        with nested(path) as descriptor:
            return sorted(os.listdir(descriptor))  # noqa: PTH208  by descriptor
    except FileNotFoundError:
        return []


def open_file(name: str | Path, *, at: int | None = None, flags: int = FILE) -> int:
    """Open a regular file without following a symlink or blocking; returns the descriptor.

    Args:
        name: with `at`, relative to that folder, and no folder on the way may be a symlink;
            without, its folder may be reached through symlinks.
        at: descriptor of a folder.
        flags: as of `os.open`; `FILE` for reading.

    Raises:
        IrregularError: it is not a regular file.
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
    """Open a file that the user names, following symlinks; returns the descriptor.

    An anonymous pipe, such as the shell's `<(command)`, is read like a file. A named pipe is
    refused: a writer may never open it.

    Raises:
        IrregularError: it is neither a regular file nor an anonymous pipe.
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


def create(path: Path, mode: int = 0o600) -> int:
    """Create a file, by default a private one, for reading and writing; returns the descriptor.

    Raises:
        FileExistsError: the name is in use, if only by a symlink.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, mode)


def read(name: str | Path, *, at: int | None = None, most: int | None = None) -> bytes:
    """Return the content of a regular file.

    Args:
        name: as of `open_file`.
        at: as of `open_file`.
        most: limit in bytes; a larger file is not read.

    Raises:
        IrregularError: it is not a regular file, or is larger than `most`.
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
    """Return whether anything has this name, even a dangling symlink."""
    return os.path.lexists(path)


def remove(name: str, at: int) -> bool:
    """Remove a regular file or a whole folder that this user owns, by its name in an open folder.

    A symlink is neither followed nor removed; a device or a pipe is not removed.

    Returns:
        Whether it existed and is gone.
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
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def _open(name: str, flags: int, at: int | None) -> int:
    try:
        return os.open(name, flags, 0o666, dir_fd=at)
    except OSError as error:
        # a symlink (ELOOP), a file for a folder (ENOTDIR), a socket or a pipe nobody reads (ENXIO)
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR):
            raise
        try:
            found = os.stat(name, dir_fd=at, follow_symlinks=False)
        except OSError:
            raise error from None
        raise IrregularError(name, kind_of(found.st_mode)) from error
