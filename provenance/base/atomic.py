"""Crash-safe writes: a file or folder appears complete or not at all.

staged folder -> fsync of every file and folder -> rename into place; entries by exclusive link.
Unfinished work is a locked file, or has a locked file next to it that is created first and removed
last. The kernel releases a dead process's locks, so its leftovers can be recognised and removed.
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

# A commit holds the ledger's lock for well under a second, while it draws a page and syncs a few
# small files. A process that holds it a hundred times as long has been stopped or hangs.
LOCK_SECONDS = 60.0
TRIES = 100
DISK = {errno.ENOSPC: "E002", errno.EDQUOT: "E002", errno.EROFS: "E001"}
_TEMPORARY = re.compile(r".+\.[0-9]+-[0-9]+")  # see _temporary
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_REASONS = {
    "E001": "the file system is read-only",
    "E002": "the disk is full",
    "E003": "the folder or file cannot be written",
}


@contextlib.contextmanager
def coded(where: Path, fix: str = "") -> Iterator[None]:
    """Turn an OSError of the block into an AssayError; `where` and `fix` as of `refusal`."""
    try:
        yield
    except OSError as error:
        raise refusal(error, where, fix) from error


def refusal(error: OSError, where: Path, fix: str = "") -> AssayError:
    """Return E001, E002, E003 or L013 for an OSError that a write below `where` raised.

    `fix` replaces the advice to choose another store.
    """
    if isinstance(error, no_follow.IrregularError):
        return AssayError("L013", f"{error.filename} is {error.kind}", where=str(where))
    code = DISK.get(error.errno or 0, "E003")
    fix = "free some space" if code == "E002" else fix or "choose a different folder with --store"
    what = f"{_REASONS[code]} ({os.strerror(error.errno or 0)})"
    return AssayError(code, what, where=str(where), fix=fix)


def with_code(error: BaseException) -> AssayError:
    """Return any exception as an AssayError; E104 names only the type and place of a bug.

    A full or read-only disk gets its own code wherever it is hit.
    """
    if isinstance(error, AssayError):
        return error
    if isinstance(error, no_follow.IrregularError) or (
        isinstance(error, OSError) and error.errno in DISK
    ):
        return refusal(error, Path(error.filename or "."))
    if isinstance(error, PermissionError) and isinstance(error.filename, str):
        what = "this user may not read or write the file or its folder"
        fix = "ask the owner for permission"
        return AssayError("E003", what, where=error.filename, fix=fix)
    # never the exception's own text, which may quote a cell
    trace, place = error.__traceback__, ""
    while trace:
        name = Path(trace.tb_frame.f_code.co_filename).name
        place, trace = f"{name}:{trace.tb_lineno}", trace.tb_next
    return AssayError("E104", f"unexpected {type(error).__name__}", where=place)


def sync(path: Path) -> None:
    """Fsync a file or folder, following a symlink."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Fsync every file and folder below and including `folder`, deepest first."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(root) / name)
        sync(Path(root))


def make_folders(folder: Path) -> None:
    """Create a folder and its missing parents, and sync each into the folder above it."""
    for _ in range(TRIES):
        if folder.is_dir():
            return
        # fails if a run that is ending has just removed an empty folder
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
        path: the new file; missing parent folders are created.
        content: everything that the file will contain.
        scratch: a folder used only for this purpose, on the same file system; files of ours that
            dead processes left in it are removed.
        mode: permissions of the file, less the umask.
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
            path.unlink(missing_ok=True)  # a write that is reported as failed leaves nothing
            raise


def sweep_files(scratch: Path) -> None:
    """Remove our temporary files that dead processes left in a scratch folder."""
    for path in listed(scratch):
        if _TEMPORARY.fullmatch(path.name):
            with locks.unlocked(path) as is_dead, contextlib.suppress(OSError):
                if is_dead and path.lstat().st_uid == os.geteuid():
                    path.unlink()


def refuse_existing(
    path: Path, kind: str, *, force: bool, fix: str = "give a different -o FILE, or add --force"
) -> None:
    """Refuse to replace a file (ASSAY-C012) unless the user asked for it; `fix` says what to do."""
    if path.exists() and not force:
        raise AssayError("C012", f"the {kind} already exists", where=str(path), fix=fix)


def write_output(path: Path, content: bytes, *, mode: int = 0o666, option: str = "-o") -> None:
    """Write a file that the user named, as `write_over` does; AssayError E001 to E003.

    `option` is how the user named it.
    """
    with coded(path, f"give a different path with {option}"):
        write_over(path, content, mode=mode)


def write_over(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file completely or not at all, replacing an older file or symlink of that name.

    The temporary file has an unpredictable name and must not exist yet, so a symlink planted in a
    shared folder is not followed. `mode` gives the permissions, less the umask. If `path` leads to
    something other than a regular file, such as a device, a pipe or this process's own output, the
    content is written into that.
    """
    if (target := _irregular(path)) is not None:
        with os.fdopen(target, "wb") as file:
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
    """Hold the lock file `path` exclusively; the kernel releases it when the process dies.

    Args:
        path: created if missing. Only the holder of the lock may remove it.
        seconds: how long to wait for the lock; `LOCK_SECONDS` by default.

    Raises:
        AssayError: ASSAY-E004 if another process holds it for longer, E003 if the file system does
            not support locks.
    """
    until = time.monotonic() + (LOCK_SECONDS if seconds is None else seconds)
    while True:
        make_folders(path.parent)
        try:
            descriptor = no_follow.open_file(path, flags=_LOCK)
        except FileNotFoundError:
            continue  # its folder was empty and has been removed
        try:
            locks.take(descriptor, path, until)
            if locks.is_at(descriptor, path):  # else its last holder removed it
                yield
                return
        finally:
            os.close(descriptor)


def claim(path: Path, mode: int = 0o666) -> int:
    """Create a file and lock it until this process dies or closes it; returns the descriptor.

    Raises:
        AssayError: ASSAY-E003 if the file system does not support locks.
    """
    while True:
        descriptor = no_follow.create(path, mode)
        try:
            locks.take(descriptor, path)
        except BaseException:
            release(path, descriptor)
            raise
        if locks.is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # another process swept it before it was locked


def release(path: Path, descriptor: int) -> None:
    """Remove a claimed file; if that fails, the next sweep removes it."""
    try:
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        os.close(descriptor)


def listed(folder: Path) -> list[Path]:
    """Return the contents of a folder, sorted by name; an empty list if it does not exist."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def umask() -> int:
    """Return the permissions that this process withholds from new files."""
    with contextlib.suppress(
        OSError, ValueError, IndexError
    ):  # os.umask can only read it by writing
        status = Path("/proc/self/status").read_text()
        return int(status.partition("\nUmask:")[2].split()[0], 8)
    before = os.umask(0o077)
    os.umask(before)
    return before


@contextlib.contextmanager
def _temporary(scratch: Path, name: str, mode: int) -> Iterator[tuple[Path, int]]:
    """Create a file with a name that no other process uses or has left; remove it at the end."""
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
    """Open a target that must be written into; None if a regular file may take its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    # redirected output makes `/dev/stdout` lead to a regular file, which must not be replaced
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
    os.close(descriptor)  # a regular file has just taken its place
    return None
