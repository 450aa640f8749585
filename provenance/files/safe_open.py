"""The door of ingest: open a source once, safely, and know what it is before it is parsed.

One descriptor serves the whole reading: a regular file, not on procfs, not behind a link that
leaves its folder, hashed while it is read and compared with itself when it is closed. Nothing
a file that was refused here holds is ever shown.
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
    """A source file that is open: read it from the start, once, or anywhere through `at`."""

    def __init__(self, path: str, limits: Limits, name: str | None = None) -> None:
        """Open the file; `name` is what it is called in messages, by default its path.

        Raises:
            AssayError: ASSAY-I006, I010, I011, I014.
        """
        self.name = name or path
        self._path = path
        self._fd = _open(path)
        try:
            self._seen = os.fstat(self._fd)
            _refuse_special(self.name, self._seen)
            _refuse_large(self.name, self._seen.st_size, limits)
        except BaseException:
            os.close(self._fd)
            raise
        self.size = self._seen.st_size
        self._sha256 = hashlib.sha256()
        self.taken = 0

    def __enter__(self) -> Self:
        """Return the open file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Close the file; if all went well, compare it with what was opened.

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
        self.taken += len(block)
        return block

    def at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from anywhere, outside of `read` and its digest."""
        return os.pread(self._fd, size, offset)

    def digest(self) -> str:
        """Return the SHA-256 of the whole file in hex, reading what `read` has not."""
        while self.read(_READ):
            pass
        return self._sha256.hexdigest()

    def content(self) -> bytes:
        """Return what `read` has not returned yet, of a file that is small enough for it.

        A file that grows meanwhile is not read for ever: closing it refuses it.
        """
        found = []
        while self.taken <= self.size and (block := self.read(_READ)):
            found.append(block)
        return b"".join(found)

    def _refuse_change(self) -> None:
        now = os.fstat(self._fd)
        # whoever writes into the file can set the time of the change back, but not this one
        same = ("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_dev")
        try:
            named = os.stat(self._path)  # noqa: PTH116  # the name may be bytes-like odd
        except OSError:
            named = None
        here = named is not None and named.st_ino == now.st_ino
        if not here or any(getattr(now, key) != getattr(self._seen, key) for key in same):
            what = "the file changed while it was read"
            fix = "run again when its writer has finished"
            raise AssayError("I013", what, where=self.name, fix=fix)
        if self.taken not in (0, self.size):
            what = f"read {self.taken:,} bytes of {self.size:,}"
            raise AssayError("I013", what, where=self.name, fix="run again")


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
        raise AssayError("I014", "no such file: the name holds a NUL", where=name) from None


def _follow(name: str) -> int:
    """Open a symbolic link's target if it lies in the link's own folder tree."""
    root = Path(name).parent.resolve()
    try:
        target = Path(name).resolve(strict=True)
    except (OSError, RuntimeError):
        raise _link(name, "the symbolic link loops or leads nowhere") from None
    if not target.is_relative_to(root):
        raise _link(name, "the symbolic link leaves the folder of the source")
    # part by part from the root, following no link, so that no later change can lead out
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
            raise _link(name, "the symbolic link changed while it was opened") from None
        raise _unreadable(name, error) from None
    finally:
        os.close(held)


def _link(name: str, what: str) -> AssayError:
    return AssayError("I011", what, where=name, fix="copy the file in, or give its real path")


def _unreadable(name: str, error: OSError) -> AssayError:
    if error.errno in (errno.EACCES, errno.EPERM):
        what, fix = f"permission denied for user {os.geteuid()}", "give that user the right to read"
    elif error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        what, fix = "no such file", "check the path"
    else:
        what, fix = f"cannot be opened: {os.strerror(error.errno or 0)}", "check the path"
    return AssayError("I014", what, where=name, fix=fix)


def _special(name: str, kind: str) -> AssayError:
    fix = "give a regular file; copy the data into one"
    return AssayError("I010", f"not a regular file but {kind}", where=name, fix=fix)


def _refuse_special(name: str, seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode):
        raise _special(name, no_follow.kind_of(seen.st_mode))
    if seen.st_dev in _pseudo_devices():
        raise _special(name, "a file that the kernel makes up (procfs or the like)")


def _refuse_large(name: str, size: int, limits: Limits) -> None:
    if size > limits.max_bytes:
        what = f"{size:,} bytes, and the limit is {limits.max_bytes:,}"
        raise AssayError("I006", what, where=name, fix="raise assay.limits.max_bytes")


def _pseudo_devices() -> set[int]:
    """Return the device numbers of the mounts whose files are made up by the kernel."""
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
