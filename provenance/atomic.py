"""Crash-safe writes: a file or folder is seen whole or not at all.

staged folder -> fsync of every file and folder -> rename into place; entries by exclusive link.
A staged folder holds a locked file for as long as its maker lives, so that what a dead run left
behind is told apart from the work of a living one.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from provenance.errors import AssayError

LOCK_NAME = ".alive"
GRACE_SECONDS = 60
_CODES = {errno.ENOSPC: "E002", errno.EDQUOT: "E002", errno.EROFS: "E001"}
_WORDS = {
    "E001": "the store is on a read-only file system",
    "E002": "the disk is full",
    "E003": "the store cannot be written",
}


@contextlib.contextmanager
def coded(where: Path) -> Iterator[None]:
    """Turn an OSError of the block into the coded refusal that stands for it."""
    try:
        yield
    except OSError as error:
        raise refusal(error, where) from error


def refusal(error: OSError, where: Path) -> AssayError:
    """Return E001, E002 or E003 for an OSError while writing below `where`."""
    code = _CODES.get(error.errno or 0, "E003")
    fix = {"E002": "free some space"}.get(code, "choose another folder with --store")
    what = f"{_WORDS[code]} ({os.strerror(error.errno or 0)})"
    return AssayError(code, what, where=str(where), fix=fix)


def foreseen(error: BaseException) -> AssayError:
    """Return any exception as one with a code; an unforeseen one tells its kind and place only.

    A full or read-only disk is told apart wherever it strikes.
    """
    if isinstance(error, AssayError):
        return error
    if isinstance(error, OSError) and error.errno in _CODES:
        return refusal(error, Path(error.filename or "."))
    # the exception's own text may quote a cell
    trace, place = error.__traceback__, ""
    while trace:
        name = Path(trace.tb_frame.f_code.co_filename).name
        place, trace = f"{name}:{trace.tb_lineno}", trace.tb_next
    fix = "run again with --debug and report what it shows"
    return AssayError("E104", f"unforeseen {type(error).__name__}", where=place, fix=fix)


def sync_tree(folder: Path) -> None:
    """Fsync every file and folder below and including `folder`, deepest first."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            _sync(Path(root) / name)
        _sync(Path(root))


def publish(staged: Path, final: Path) -> None:
    """Rename a synced folder to its final name, which must not exist; sync the parent."""
    staged.rename(final)
    _sync(final.parent)


def write_exclusive(path: Path, content: bytes, scratch: Path) -> None:
    """Create `path` with all of `content` or not at all; FileExistsError if it exists."""
    scratch.mkdir(parents=True, exist_ok=True)
    temporary = scratch / f"{path.name}.{os.getpid()}"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_over(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; an older one of the name gives way."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone; freed by the kernel when the process dies."""
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def keep_alive(folder: Path) -> int:
    """Mark a staged folder as in use by this process; returns a descriptor to keep open."""
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def left_over(staging: Path) -> list[Path]:
    """Return the staged folders whose maker is dead."""
    if not staging.is_dir():
        return []
    return [item for item in sorted(staging.iterdir()) if item.is_dir() and not _in_use(item)]


def sweep(staging: Path) -> int:
    """Remove what dead runs left behind; returns how many folders that were."""
    dead = left_over(staging)
    for item in dead:
        shutil.rmtree(item, ignore_errors=True)
    return len(dead)


def _in_use(folder: Path) -> bool:
    try:
        with (folder / LOCK_NAME).open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return _is_new(folder)  # its maker is between making the folder and locking it
    return False


def _is_new(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime < GRACE_SECONDS
    except FileNotFoundError:
        return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
