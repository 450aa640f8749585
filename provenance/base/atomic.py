"""Crash-safe writes: a file or folder is seen whole or not at all.

staged folder -> fsync of every file and folder -> rename into place; entries by exclusive link.
Work in progress is a locked file, or has one beside it that is made before it and goes after it.
The kernel frees the lock of a process that dies: so the dead are told from the living, and swept.
"""

import contextlib
import errno
import itertools
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from provenance.base import locks, no_follow
from provenance.base.errors import AssayError

# A commit holds the ledger's lock while it draws a page and syncs a few small files: well under a
# second. Who holds it a hundred times as long is stopped or hangs.
LOCK_SECONDS = 60.0
TRIES = 100
DISK = {errno.ENOSPC: "E002", errno.EDQUOT: "E002", errno.EROFS: "E001"}
_TEMPORARY = re.compile(r".+\.[0-9]+-[0-9]+")  # see _temporary
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
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
    if isinstance(error, no_follow.IrregularError):
        fix = "remove it after a look; Assay did not put it there"
        return AssayError("L013", f"{error.filename} is {error.kind}", where=str(where), fix=fix)
    code = DISK.get(error.errno or 0, "E003")
    fix = {"E002": "free some space"}.get(code, "choose another folder with --store")
    what = f"{_WORDS[code]} ({os.strerror(error.errno or 0)})"
    return AssayError(code, what, where=str(where), fix=fix)


def foreseen(error: BaseException) -> AssayError:
    """Return any exception as one with a code; an unforeseen one tells its kind and place only.

    A full or read-only disk is told apart wherever it strikes.
    """
    if isinstance(error, AssayError):
        return error
    if isinstance(error, no_follow.IrregularError) or (
        isinstance(error, OSError) and error.errno in DISK
    ):
        return refusal(error, Path(error.filename or "."))
    if isinstance(error, PermissionError) and isinstance(error.filename, str):
        what = "this user may not read or write the file or its folder"
        fix = "let its owner give the permission"
        return AssayError("E003", what, where=error.filename, fix=fix)
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
            sync(Path(root) / name)
        sync(Path(root))


def make_folders(folder: Path) -> None:
    """Make a folder and what is missing above it, each synced into the one above."""
    for _ in range(TRIES):
        if folder.is_dir():
            return
        # else a run that ends has just taken an empty one away
        with contextlib.suppress(FileNotFoundError):
            make_folders(folder.parent)
            folder.mkdir(exist_ok=True)
            sync(folder.parent)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))


def publish(staged: Path, final: Path) -> None:
    """Rename a synced folder to its final name, which must not exist; sync the parent."""
    make_folders(final.parent)
    staged.rename(final)
    sync(final.parent)


def write_exclusive(path: Path, content: bytes, scratch: Path, *, mode: int = 0o666) -> None:
    """Create `path` with all of `content` or not at all; FileExistsError if it exists.

    Args:
        path: its folder is made if need be.
        content: all of it.
        scratch: a folder for nothing but this, on the same file system; what dead processes left
            in it is removed.
        mode: who may read and write it, less the umask.
    """
    for folder in (path.parent, scratch):
        make_folders(folder)
    sweep_files(scratch)
    with _temporary(scratch, path.name, mode) as (temporary, descriptor):
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.fsync(descriptor)
        os.link(temporary, path)
        try:
            sync(path.parent)
        except OSError:
            path.unlink(missing_ok=True)  # what is refused must not stand
            raise


def sweep_files(scratch: Path) -> None:
    """Remove the files of ours that dead processes left in a folder of temporary ones."""
    for path in listed(scratch):
        if _TEMPORARY.fullmatch(path.name):
            with locks.unlocked(path) as is_dead, contextlib.suppress(OSError):
                if is_dead and path.lstat().st_uid == os.geteuid():
                    path.unlink()


def write_over(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file whole or not at all; an older one of the name gives way, also if it is a link.

    The temporary file has a name that nobody can foresee, and is never one that is there already: a
    link that lies in wait in a shared folder is not followed. `mode` is who may read and write it,
    less the umask.

    Into what is no regular file, such as a device, a pipe or this process's output, it is written.
    """
    if (standing := _irregular(path)) is not None:
        with os.fdopen(standing, "wb") as file:
            file.write(content)
        return
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode & ~umask())
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(path: Path, *, seconds: float | None = None) -> Iterator[None]:
    """Hold the lock file `path` alone; freed by the kernel when the process dies.

    Args:
        path: is made if need be. Only its holder may remove it.
        seconds: how long to wait for it, `LOCK_SECONDS` if not given.

    Raises:
        AssayError: ASSAY-E004 if another process holds it for longer, E003 if the file system has
            no locks.
    """
    until = time.monotonic() + (LOCK_SECONDS if seconds is None else seconds)
    while True:
        make_folders(path.parent)
        try:
            descriptor = no_follow.open_file(path, flags=_LOCK)
        except FileNotFoundError:
            continue  # its folder was empty and has gone
        try:
            locks.take(descriptor, path, until)
            if locks.is_at(descriptor, path):  # else its last holder removed it
                yield
                return
        finally:
            os.close(descriptor)


def claim(path: Path, mode: int = 0o666) -> int:
    """Create a file and lock it for as long as this process lives; returns the descriptor.

    Raises:
        AssayError: ASSAY-E003 if the file system has no locks.
    """
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, mode)
        try:
            locks.take(descriptor, path)
        except BaseException:
            release(path, descriptor)
            raise
        if locks.is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # swept before it was locked


def release(path: Path, descriptor: int) -> None:
    """Remove a claimed file; if that cannot be, it is left to the next sweep."""
    try:
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        os.close(descriptor)


def listed(folder: Path) -> list[Path]:
    """Return what is in a folder, in order of names; nothing if it is not there."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _temporary(scratch: Path, name: str, mode: int) -> Iterator[tuple[Path, int]]:
    """Make a file of a name that no living or dead process uses, for the time of the block."""
    for number in itertools.count():
        path = scratch / f"{name}.{os.getpid()}-{number}"
        with contextlib.suppress(FileExistsError):
            descriptor = claim(path, mode)
            break
    try:
        yield path, descriptor
    finally:
        release(path, descriptor)


def _irregular(path: Path) -> int | None:
    """Open what stands at a path to write into it, None if a file is to take its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    # `/dev/stdout` leads to a file when the output is redirected, and is that output all the same
    if path.is_symlink() and path.parent.resolve().parts[1:2] in (("dev",), ("proc",)):
        for number in (1, 2):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(number), found):
                    return os.dup(number)
    if stat.S_ISREG(found.st_mode):
        return None
    if stat.S_ISFIFO(found.st_mode) and found.st_uid not in (os.geteuid(), 0):
        raise PermissionError(errno.EPERM, "another user's named pipe", str(path))
    descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)  # a file has just come in its place
    return None


def umask() -> int:
    """Return what this process takes off the mode of a new file."""
    with contextlib.suppress(OSError, ValueError, IndexError):  # to ask the system is to set it
        status = Path("/proc/self/status").read_text()
        return int(status.partition("\nUmask:")[2].split()[0], 8)
    before = os.umask(0o077)
    os.umask(before)
    return before


def sync(path: Path) -> None:
    """Fsync a file or folder, also one that a symlink leads to."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
