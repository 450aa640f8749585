"""Opens a source safely, once, and checks what it is before it is parsed.

A single descriptor is used for the whole read: a regular file, not on procfs, not behind a symlink
that leaves its folder. The file is hashed as it is read and checked for changes when it is closed.
Messages never show the contents of a file that was refused here.
"""

import errno
import hashlib
import os
import re
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from provenance.base import no_follow
from provenance.base.errors import AssayError
from provenance.base.limits import Limits

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_PSEUDO = {"proc", "sysfs", "debugfs", "tracefs", "securityfs", "cgroup", "cgroup2", "configfs"}
_PSEUDO |= {"bpf", "pstore", "efivarfs", "binfmt_misc", "mqueue", "selinuxfs", "fusectl"}
_READ = 1 << 20


class Opened:
    """An open source file: `read` goes through it once from the start, `at` reads anywhere."""

    def __init__(self, path: str, limits: Limits, name: str | None = None) -> None:
        """Open the file; `name` is its name in messages, by default the path.

        Raises:
            AssayError: ASSAY-I006, I010, I011, I014.
        """
        self.name = name or path
        self._path = path
        self._fd = _open(path)
        try:
            self._status = os.fstat(self._fd)
            _refuse_special(self.name, self._status)
            limits.refuse_size(self._status.st_size, self.name)
        except BaseException:
            os.close(self._fd)
            raise
        self.size = self._status.st_size
        self._sha256 = hashlib.sha256()
        self.bytes_read = 0

    def __enter__(self) -> Self:
        """Return the open file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Close the file; unless an exception is pending, check that it has not changed.

        Raises:
            AssayError: ASSAY-I013 if it changed.
        """
        try:
            if kind is None:
                self._refuse_change()
        finally:
            os.close(self._fd)

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; empty at the end."""
        block = os.read(self._fd, size)
        self._sha256.update(block)
        self.bytes_read += len(block)
        return block

    def at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes at an offset; `read` and the digest are not affected."""
        return os.pread(self._fd, size, offset)

    def digest(self) -> str:
        """Return the SHA-256 of the whole file in hex, reading whatever remains."""
        while self.read(_READ):
            pass
        return self._sha256.hexdigest()

    def content(self) -> bytes:
        """Return all that `read` has not returned yet; for small files.

        A file that grows during the read is not followed forever; closing it raises I013.
        """
        found = []
        while self.bytes_read <= self.size and (block := self.read(_READ)):
            found.append(block)
        return b"".join(found)

    def _refuse_change(self) -> None:
        now = os.fstat(self._fd)
        # a writer can reset the modification time, but not st_ctime
        same = ("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_dev")
        try:
            named = os.stat(self._path)  # noqa: PTH116  # the name may be bytes-like odd
        except OSError:
            named = None
        here = named is not None and named.st_ino == now.st_ino
        if not here or any(getattr(now, key) != getattr(self._status, key) for key in same):
            what = "the file changed while it was being read"
            raise AssayError("I013", what, where=self.name)
        if self.bytes_read not in (0, self.size):
            what = f"only {self.bytes_read:,} of {self.size:,} bytes were read"
            raise AssayError("I013", what, where=self.name)


def _open(name: str) -> int:
    try:
        return os.open(name, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return _follow(name)
        if error.errno == errno.ENXIO:
            raise _special(name, "a socket or a device without a driver") from None
        raise _unreadable(name, error) from None
    except ValueError:
        what = "no such file: the name contains a NUL character"
        raise AssayError("I014", what, where=name) from None


def _follow(name: str) -> int:
    """Open the target of a symbolic link if it lies below the link's own folder."""
    root = Path(name).parent.resolve()
    try:
        target = Path(name).resolve(strict=True)
    except (OSError, RuntimeError):
        raise _link(name, "the symbolic link is broken or forms a loop") from None
    if not target.is_relative_to(root):
        raise _link(name, "the symbolic link leaves the source's folder")
    # part by part from the root without following links, so that a later change cannot lead out
    held = os.open(root, _FLAGS | os.O_DIRECTORY)
    try:
        *folders, last = target.relative_to(root).parts or (".",)
        for folder in folders:
            inner = os.open(folder, _FLAGS | os.O_DIRECTORY, dir_fd=held)
            os.close(held)
            held = inner
        return os.open(last, _FLAGS, dir_fd=held)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise _link(name, "the symbolic link changed while it was being opened") from None
        raise _unreadable(name, error) from None
    finally:
        os.close(held)


def _link(name: str, what: str) -> AssayError:
    return AssayError(
        "I011", what, where=name, fix="copy the file into the folder, or give its real path"
    )


def _unreadable(name: str, error: OSError) -> AssayError:
    if error.errno in (errno.EACCES, errno.EPERM):
        what, fix = f"permission denied for user {os.geteuid()}", "give that user read permission"
    elif error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        what, fix = "no such file", "check the path"
    else:
        what = f"the file cannot be opened: {os.strerror(error.errno or 0)}"
        fix = "check the path"
    return AssayError("I014", what, where=name, fix=fix)


def _special(name: str, kind: str) -> AssayError:
    fix = "copy the data into a regular file"
    return AssayError("I010", f"the source is not a regular file but {kind}", where=name, fix=fix)


def _refuse_special(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _special(name, no_follow.kind_of(status.st_mode))
    if status.st_dev in _pseudo_devices():
        raise _special(name, "a file on a kernel file system such as procfs")


def _pseudo_devices() -> set[int]:
    """Return the device numbers of mounted kernel file systems."""
    found: set[int] = set()
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        lines = []
    for line in lines:
        fields = re.fullmatch(r"\S+ \S+ (\d+):(\d+) .* - (\S+) .*", line)
        if fields and fields[3] in _PSEUDO:
            found.add(os.makedev(int(fields[1]), int(fields[2])))
    return found
