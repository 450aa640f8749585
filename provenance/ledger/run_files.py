"""A run's files against what its ledger entry records: these regular files, and nothing else.

A reader of a run's folder reads whatever lies in it, so whatever lies in it must be recorded: one
walk by descriptor finds every item, and a symlink, device, pipe or socket, a file that no entry
records and a folder on the way to none are breaks (ASSAY-L011). Every command that reads a file of
a run opens it here, where its bytes are held against the recorded digest; `run_reader` makes tables
of them.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from provenance.base import no_follow
from provenance.base.errors import AssayError, Notice

FATES = ("clean", "quarantine", "rejected")  # of a row, and the folders of a run that hold them
# folders that a run may leave empty
MAY_BE_EMPTY = frozenset({*FATES, "findings", "lineage", "models"})
DEEPEST = 32
_BLOCK = 1 << 18  # more does not stay in the cache of a core, and takes more than twice as long
_SMALL = 8 << 20  # bytes: such a file is read once, and kept in memory while it is used
_FICLONE = 0x40049409  # ioctl: share the blocks of another file (btrfs, XFS)

Recorded = Mapping[str, Any]  # name, size, sha256: an item of an entry's `outputs`


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """Something below a run's folder: its path from there with slashes, and its `stat`."""

    name: str
    found: os.stat_result

    @property
    def is_folder(self) -> bool:
        """Return whether it is a real folder."""
        return stat.S_ISDIR(self.found.st_mode)

    @property
    def is_regular(self) -> bool:
        """Return whether it is a regular file."""
        return stat.S_ISREG(self.found.st_mode)


def walk(folder: Path) -> list[Item]:
    """Return all that lies below a folder, by name, without following anything.

    Raises:
        IrregularError: the folder itself, or the one that it lies in, is a symlink or no folder.
        OSError: a folder cannot be read.
    """
    with no_follow.nested(folder) as descriptor:
        found = list(_below(descriptor, PurePosixPath(), DEEPEST))
    return sorted(found, key=lambda item: item.name)


def faults(
    folder: Path, seq: int, outputs: Sequence[Recorded], *, what: str = "run"
) -> list[Notice]:
    """Compare a folder with what an entry records of it, both ways, bytes included.

    Args:
        folder: of the run.
        seq: number of the entry, for messages.
        outputs: what the entry records: name, size and sha256 of each file.
        what: the entry is of, for messages.
    """
    breaks = strangers(folder, seq, outputs, what=what)
    if breaks and breaks[0].where == str(folder):
        return breaks  # what cannot be entered is one break, not one for each file
    told = {notice.where for notice in breaks}
    named = ((str(file["name"]), file) for file in outputs)
    for name, file in sorted(named, key=lambda pair: pair[0]):
        if str(folder / name) in told:
            continue
        breaks += [fault] if (fault := fault_of(folder, seq, file, what=what)) else []
    return breaks


def strangers(
    folder: Path, seq: int, outputs: Sequence[Recorded], *, what: str = "run"
) -> list[Notice]:
    """Return what lies in a run's folder beside its recorded files and the folders on their way."""
    recorded = {str(file["name"]) for file in outputs}
    ways = {str(way) for name in recorded for way in PurePosixPath(name).parents}
    try:
        items = walk(folder)
    except FileNotFoundError:
        return []  # then every file is missing, which `fault_of` says
    except OSError as error:
        why = _why(error)
        return [Notice("ASSAY-L011", f"{what} {seq}: its folder {why}", str(folder))]
    filled = {str(PurePosixPath(item.name).parent) for item in items}
    breaks = []
    for item in items:
        if item.is_folder:
            is_known = item.name in ways or (item.name in MAY_BE_EMPTY and item.name not in filled)
            told = "a folder without a file of the"
        else:
            is_known = item.name in recorded and item.is_regular
            kind = no_follow.kind_of(item.found.st_mode)
            told = "not a file of the" if item.is_regular else f"{kind}, not a file of the"
        if not is_known:
            message = f"{what} {seq}: {item.name} is {told} {what}"
            breaks.append(Notice("ASSAY-L011", message, str(folder / item.name)))
    return breaks


def fault_of(folder: Path, seq: int, file: Recorded, *, what: str = "run") -> Notice | None:
    """Return what is wrong with one recorded file, None if it is there as recorded."""
    name = str(file["name"])
    where = str(folder / name)
    try:
        with opened(folder, name) as descriptor:
            if longer := _longer(descriptor, file):
                return Notice("ASSAY-L011", f"{what} {seq}: {name} {longer}", where)
            actual = _sha256(descriptor)
    except OSError as error:
        return Notice("ASSAY-L011", f"{what} {seq}: {name} {_why(error)}", where)
    other = _other(actual, file)
    return Notice("ASSAY-L011", f"{what} {seq}: {other}", where) if other else None


def require(folder: Path, seq: int, files: Iterable[Recorded]) -> None:
    """Refuse (ASSAY-L011) the first recorded file of a run that is not there as recorded."""
    for file in files:
        if fault := fault_of(folder, seq, file):
            raise broken(fault.message, Path(fault.where))


@contextlib.contextmanager
def opened(folder: Path, name: str) -> Iterator[int]:
    """Open a regular file below a folder, part by part and following nothing, for reading."""
    if not is_inside(name):
        raise FileNotFoundError(name)
    with no_follow.nested(folder) as descriptor:
        file = no_follow.open_file(name, at=descriptor)
    try:
        yield file
    finally:
        os.close(file)


def read(folder: Path, seq: int, file: Recorded, *, what: str = "run") -> bytes:
    """Return the content of a recorded file; errors as of `verified`."""
    with verified(folder, seq, file, what=what, small=sys.maxsize) as held:
        return held.read()


@contextlib.contextmanager
def verified(
    folder: Path, seq: int, file: Recorded, *, what: str = "run", small: int | None = None
) -> Iterator[io.BufferedReader | io.BytesIO]:
    """Open a recorded file at its start, once its bytes have the recorded digest.

    What is read is what was hashed: of a file of up to `small` bytes (8 MiB) a copy in memory; of a
    larger one the same open file, whatever its name leads to meanwhile.

    Raises:
        AssayError: ASSAY-L011 if it is missing, no regular file, or was changed.
    """
    name, most = str(file["name"]), _SMALL if small is None else small
    with contextlib.ExitStack() as stack:
        try:
            descriptor = stack.enter_context(opened(folder, name))
            told = _longer(descriptor, file)
            held: io.BufferedReader | io.BytesIO
            held = stack.enter_context(os.fdopen(descriptor, "rb", closefd=False))
            if not told and os.fstat(descriptor).st_size <= most:
                held = io.BytesIO(held.read())
            actual = "" if told else hashlib.file_digest(held, "sha256").hexdigest()
            held.seek(0)
        except OSError as error:
            raise broken(f"{what} {seq}: {name} {_why(error)}", folder / name) from error
        if told:
            raise broken(f"{what} {seq}: {name} {told}", folder / name)
        if other := _other(actual, file):
            raise broken(f"{what} {seq}: {other}", folder / name)
        yield held


def copy(folder: Path, seq: int, file: Recorded, target: Path) -> None:
    """Copy a recorded file to a path that must not exist: the copy has the recorded digest.

    Where the file system can share blocks the copy takes no room; it is hashed all the same, and
    what is hashed is the copy, which nobody else can have changed.

    Raises:
        AssayError: ASSAY-L011 if it is missing, no regular file, or was changed.
        OSError: the copy cannot be written.
    """
    name = str(file["name"])
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.ExitStack() as stack:
        try:
            source = stack.enter_context(opened(folder, name))
        except OSError as error:
            raise broken(f"run {seq}: {name} {_why(error)}", folder / name) from error
        if longer := _longer(source, file):
            raise broken(f"run {seq}: {name} {longer}", folder / name)
        made = os.open(target, flags, 0o600)
        stack.callback(os.close, made)
        try:
            told = _filled(made, source, file)
        except BaseException:
            target.unlink()
            raise
        if told:
            target.unlink()
            raise broken(f"run {seq}: {told}", folder / name)


def _filled(made: int, source: int, file: Recorded) -> str:
    """Fill a new file from a recorded one; return what is wrong with the content, if anything."""
    name, digest, left = file["name"], hashlib.sha256(), file.get("size", sys.maxsize)
    is_shared = _shares_blocks(source, made)
    # one buffer for all: a new one for each block costs more than the hash
    room = memoryview(bytearray(_BLOCK))
    while size := os.readv(made if is_shared else source, [room]):
        left -= size
        if left < 0:  # it grows while it is read
            return f"{name} is longer than the {file['size']} bytes recorded"
        digest.update(room[:size])
        if not is_shared:
            _write_all(made, room[:size])
    return _other(digest.hexdigest(), file)


def is_inside(name: str) -> bool:
    """Return whether a recorded name stays below its folder."""
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and "\0" not in name


def _below(descriptor: int, path: PurePosixPath, depth: int) -> Iterator[Item]:
    for name in os.listdir(descriptor):
        inner = path / name
        try:
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            continue  # it went meanwhile; a recorded one is missed later
        yield Item(str(inner), found)
        if stat.S_ISDIR(found.st_mode) and depth:
            with no_follow.folder(name, at=descriptor) as folder:
                yield from _below(folder, inner, depth - 1)


def _longer(descriptor: int, file: Recorded) -> str:
    """Return what to say of a file that is longer than recorded, so that nobody hashes it."""
    size, wanted = os.fstat(descriptor).st_size, file.get("size")
    is_longer = isinstance(wanted, int) and size > wanted
    return f"is {size} bytes long, recorded {wanted}" if is_longer else ""


def _sha256(descriptor: int) -> str:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shares_blocks(source: int, made: int) -> bool:
    import fcntl

    try:
        fcntl.ioctl(made, _FICLONE, source)
    except OSError:
        return False
    return True


def _write_all(descriptor: int, block: memoryview) -> None:
    while block:
        block = block[os.write(descriptor, block) :]


def _other(actual: str, file: Recorded) -> str:
    """Return what to say of a file that has another digest than recorded, empty if it has that."""
    if actual == file["sha256"]:
        return ""
    return f"sha256 of {file['name']} is {actual}, recorded {file['sha256']}"


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing"
    if isinstance(error, no_follow.IrregularError):
        return f"is {error.kind}"
    return f"cannot be read ({os.strerror(error.errno or 0)})"


def broken(what: str, path: Path) -> AssayError:
    """Return the error of a run that does not have its recorded files, and nothing else."""
    fix = (
        "restore a recorded file from a copy of the store, remove one that is not recorded after a "
        "look; `assay verify` shows all that is wrong"
    )
    return AssayError("L011", what, where=str(path), fix=fix)
