"""Write points: every call of this process that changes files below some folders, and faults there.

`watch` wraps the calls of Python through which all of Assay's writing goes: open for writing and
each write(2) of such a file, fsync, mkdir, link, rename, unlink, rmdir; pyarrow's Parquet writer is
given such a file, so that its writes are points too. A point is named by what it does, where, and
for how many times, e.g. `main link store/ledger/entries/000000000002.parquet #1`, so it is the same
one in the next run, whatever threads do. Meant for a forked child: nothing is ever unwrapped.
"""

import builtins
import collections
import contextlib
import dataclasses
import errno
import io
import mmap
import os
import re
import signal
import threading
from pathlib import Path

SPACE = {"open", "write", "fsync", "mkdir", "link", "rename"}  # calls that a full disk refuses
RANDOM = [
    (re.compile(r"[0-9a-f]{32}"), "RUN"),
    (re.compile(r"(?<=\.)\d+(-\d+)?$"), "PID"),
    (re.compile(r"(?<=spill-)\w+"), "RANDOM"),
]
MODES = {
    "before": "killed before the call",
    "after": "killed after the call",
    "half": "killed in the middle of a write",
    "term": "told to end by SIGTERM at the call",
    "part": "the child process that calls is killed before the call",
    "once": "this one call finds the disk full",
    "full": "the disk is full from this call on",
}


@dataclasses.dataclass(frozen=True)
class Point:
    """One call: `role` is the process, `number` counts the same call on the same path from 1."""

    role: str
    op: str
    path: str
    number: int

    def __str__(self):
        return f"{self.role} {self.op} {self.path} #{self.number}"

    @staticmethod
    def parse(line):
        role, op, rest = line.split(" ", 2)
        path, _, number = rest.rpartition(" #")
        return Point(role, op, path, int(number))

    def modes(self):
        """Return the faults that make sense here."""
        found = ["before", "after"]
        found += ["half"] if self.op == "write" else []
        found += ["part"] if self.role != "main" else ["term"]
        return found + (["once", "full"] if self.op in SPACE else [])


class Watch:
    """The points of this process: each is written to `log`, and one of them fails."""

    def __init__(self, folders, log, fault=None):
        """Watch `folders` (name -> path); `fault` is (point as text, mode)."""
        self.role = "main"
        self._folders = {name: os.path.realpath(path) for name, path in folders.items()}
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
        self._point, self.mode = fault or ("", "")
        self._seen = collections.Counter()
        self._lock = threading.Lock()
        self._full = mmap.mmap(-1, 1)  # shared with child processes

    def forked(self, role):
        """Be the watch of a child process."""
        self.role = role
        self._seen.clear()
        self._lock = threading.Lock()

    def keep(self):
        """Return the descriptor that a child process must not close."""
        return self._log

    def name_of(self, path):
        """Return the path as points show it, None if it is not watched."""
        if isinstance(path, int):
            path = str(Path(f"/proc/self/fd/{path}").readlink())
        path = os.path.abspath(path)  # noqa: PTH100  a link itself is renamed, not what it names
        for name, folder in self._folders.items():
            if path == folder or path.startswith(f"{folder}/"):
                for pattern, word in RANDOM:
                    path = pattern.sub(word, path)
                return name + path[len(folder) :]
        return None

    def call(self, op, path, act, half=None):
        """Make one call `act`, unless it is the one that fails; `half` does half of a write."""
        if (name := self.name_of(path)) is None:
            return act()
        with self._lock:
            self._seen[op, name] += 1
            point = str(Point(self.role, op, name, self._seen[op, name]))
        is_it = point == self._point
        self._tell(point, is_it=is_it)
        if self._full[0] and op in SPACE and not (op == "open" and os.path.exists(path)):  # noqa: PTH110
            raise _no_space(path)
        if not is_it:
            return act()
        return self._fail(path, act, half)

    def _fail(self, path, act, half):
        if self.mode in ("once", "full"):
            self._full[0] = self.mode == "full"
            if half and self._full[0]:
                return half()  # as a kernel does: some bytes still go, the next call fails
            raise _no_space(path)
        if self.mode == "term":
            os.kill(os.getpid(), signal.SIGTERM)
            return act()
        if self.mode == "half":
            half()
        if self.mode == "after":
            with contextlib.suppress(OSError):  # such as of a folder that is there already
                act()
        if self.mode == "part" or self.role == "main":
            os.kill(os.getpid(), signal.SIGKILL)
        os.killpg(0, signal.SIGKILL)  # a point of a child: the whole run ends at once
        return None

    def _tell(self, point, *, is_it):
        _os_write(self._log, f"{'HIT ' if is_it else ''}{point}\n".encode())


def read_log(path):
    """Return the points of a log in order, and whether the fault was reached."""
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return [Point.parse(line.removeprefix("HIT ")) for line in lines], any(
        line.startswith("HIT ") for line in lines
    )


def _no_space(path):
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


_os_write, _open, _os_open = os.write, io.open, os.open


def watch(watching):
    """Wrap the calls of this process for as long as it lives."""
    _wrap_os(watching)

    class Raw(io.FileIO):
        def write(self, content):
            view = memoryview(content).cast("B")
            return watching.call(
                "write",
                self.fileno(),
                lambda: super(Raw, self).write(view),
                lambda: super(Raw, self).write(view[: max(1, len(view) // 2)]),
            )

    def opened(  # noqa: PLR0917  the signature of `open`
        file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True,  # noqa: FBT002
        opener=None,
    ):  # fmt: skip
        if not set(mode) & set("wax+") or watching.name_of(file) is None:
            return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        plain = "".join(letter for letter in mode if letter not in "bt")
        if isinstance(file, int):
            raw = Raw(file, plain, closefd)
        else:
            raw = watching.call("open", file, lambda: Raw(file, plain, closefd, opener))
        if buffering == 0:
            return raw
        buffered = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

    builtins.open = io.open = opened
    _wrap_parquet(watching)


def _wrap_os(watching):
    for name, op, place in (
        ("mkdir", "mkdir", _first), ("unlink", "unlink", _first), ("remove", "unlink", _first),
        ("rmdir", "rmdir", _first), ("fsync", "fsync", _first), ("truncate", "write", _first),
        ("link", "link", _second), ("rename", "rename", _second), ("replace", "rename", _second),
    ):  # fmt: skip
        setattr(os, name, _wrapped(watching, getattr(os, name), op, place))

    def opened(path, flags, *given, **named):
        def act():
            return _os_open(path, flags, *given, **named)

        if not flags & (os.O_CREAT | os.O_TRUNC):
            return act()
        return watching.call("open", _first((path,), named), act)

    os.open = opened


def _wrapped(watching, act, op, place):
    def wrapped(*given, **named):
        return watching.call(op, place(given, named), lambda: act(*given, **named))

    return wrapped


def _first(given, named):
    if isinstance(given[0], int):
        return given[0]
    folder = named.get("dir_fd")
    return given[0] if folder is None else Path(f"/proc/self/fd/{folder}").readlink() / given[0]


def _second(given, _):
    return given[1]


def _wrap_parquet(watching):
    import pyarrow.parquet as pq

    begin = pq.ParquetWriter.__init__

    def init(self, where, *given, **named):
        is_path = isinstance(where, str | os.PathLike) and watching.name_of(where) is not None
        file = open(where, "wb") if is_path else None  # noqa: PTH123, SIM115  closed by `close`
        begin(self, file or where, *given, **named)
        self.file_handle = file or self.file_handle

    pq.ParquetWriter.__init__ = init
