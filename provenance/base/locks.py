"""File locks: the kernel releases the locks of a process that dies, so leftovers can be recognised.

Some file systems do not support locks, and NFS grants an exclusive lock only to a process that may
write. A file counts as held, and is not swept, unless it is certain that nobody holds it.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from provenance.base import no_follow
from provenance.base.errors import AssayError

POLL = 0.01  # seconds
_NO_LOCKS = {errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
_WRITE = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def unlocked(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[bool]:
    """Yield whether nobody holds a file, and hold it during the block.

    A file that we may not read, or on a file system without locks, counts as held.
    """
    try:
        descriptor = _open(path, kind)
    except (FileNotFoundError, PermissionError, no_follow.IrregularError):
        yield False
        return
    try:
        try:
            is_free = _is_free(descriptor, kind)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            is_free = False
        yield is_free and is_at(descriptor, path)
    finally:
        os.close(descriptor)


def take(descriptor: int, path: Path, until: float | None = None) -> None:
    """Lock an open file for as long as it is open.

    Args:
        descriptor: the file, open for writing.
        path: the file's name, for messages.
        until: time on the monotonic clock at which to give up; None waits forever.

    Raises:
        AssayError: ASSAY-E004 if another process holds it for longer, E003 if its file system does
            not support locks.
    """
    try:
        while not _is_free(descriptor, fcntl.LOCK_EX):
            if until is not None and time.monotonic() > until:
                holder = _holder(descriptor)
                what = f"{holder} has held the lock for too long; nothing was committed"
                fix = "wait for that process to finish, or find out why it does not"
                raise AssayError("E004", what, where=str(path), fix=fix)
            time.sleep(POLL)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        what = f"the file system does not support locks ({os.strerror(error.errno or 0)})"
        fix = "use a folder on a file system with locks, such as a local disk"
        raise AssayError("E003", what, where=str(path), fix=fix) from error


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _open(path: Path, kind: int) -> int:
    if kind == fcntl.LOCK_EX:
        try:
            return no_follow.open_file(path, flags=_WRITE)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
    return no_follow.open_file(path)


def _is_free(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    """Return who holds a file's lock, if the kernel says so."""
    stat = os.fstat(descriptor)
    place = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()  # 7: FLOCK ADVISORY WRITE 4711 fd:01:262146 0 EOF
            if words[1] == "FLOCK" and words[5] == place and int(words[4]) > 0:
                return f"process {words[4]}"
    return "another process"
