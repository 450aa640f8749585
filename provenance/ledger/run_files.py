"""Compares a run's files with its ledger entry: exactly the recorded regular files, no others.

Whoever reads a run's folder reads everything in it, so everything in it must be recorded. One walk
by descriptor finds every item; a symlink, device, pipe or socket, an unrecorded file or a folder
that leads to no recorded file is a break (ASSAY-L011). Every command opens the files of a run
through this module, which checks their bytes against the recorded digest; `run_reader` turns them
into tables.
"""

import contextlib
import hashlib
import io
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from provenance.base import no_follow
from provenance.base.errors import AssayError, Notice
from provenance.ledger.refusals import broken, notice_of, why

FATES = ("clean", "quarantine", "rejected")  # of a row, and the folders of a run that hold them
# folders that a run may leave empty
MAY_BE_EMPTY = frozenset({*FATES, "findings", "lineage", "models"})
DEEPEST = 32
_BLOCK = 1 << 18  # larger blocks do not fit a core's cache and take more than twice as long
_SMALL = 8 << 20  # bytes: such a file is read once and kept in memory while it is in use
_FICLONE = 0x40049409  # ioctl: share the blocks of another file (btrfs, XFS)

Recorded = Mapping[str, Any]  # name, size, sha256: an item of an entry's `outputs`


def faults(
    folder: Path, seq: int, outputs: Sequence[Recorded], *, what: str = "run"
) -> list[Notice]:
    """Compare a folder with what an entry records, in both directions, including contents.

    Args:
        folder: of the run.
        seq: number of the entry, for messages.
        outputs: what the entry records: name, size and sha256 of each file.
        what: the kind of entry, for messages.
    """
    breaks = unrecorded(folder, seq, outputs, what=what)
    if breaks and breaks[0].where == str(folder):
        return breaks  # a folder that cannot be opened is one break, not one per file
    reported = {notice.where for notice in breaks}
    for file in sorted(outputs, key=lambda file: str(file["name"])):
        if str(folder / str(file["name"])) not in reported:
            breaks += [fault] if (fault := fault_of(folder, seq, file, what=what)) else []
    return breaks


def unrecorded(
    folder: Path, seq: int, outputs: Sequence[Recorded], *, what: str = "run"
) -> list[Notice]:
    """Return everything in a run's folder except its recorded files and the folders they need."""
    recorded = {str(file["name"]) for file in outputs}
    ways = {str(way) for name in recorded for way in PurePosixPath(name).parents}
    try:
        with no_follow.nested(folder) as descriptor:
            items = sorted(_below(descriptor, PurePosixPath(), DEEPEST))
    except FileNotFoundError:
        return []  # then every file is missing, which `fault_of` reports
    except OSError as error:
        return [Notice("ASSAY-L011", f"{what} {seq}: its folder {why(error)}", str(folder))]
    filled = {str(PurePosixPath(name).parent) for name, _ in items}
    breaks = []
    for name, mode in items:
        if stat.S_ISDIR(mode):
            is_known = name in ways or (name in MAY_BE_EMPTY and name not in filled)
            kind = "a folder without a file of the"
        else:
            is_known = name in recorded and stat.S_ISREG(mode)
            kind = f"{no_follow.kind_of(mode)} that is not part of the"
        if not is_known:
            message = f"{what} {seq}: {name} is {kind} {what}"
            breaks.append(Notice("ASSAY-L011", message, str(folder / name)))
    return breaks


def fault_of(folder: Path, seq: int, file: Recorded, *, what: str = "run") -> Notice | None:
    """Return what is wrong with one recorded file, None if nothing is."""
    try:
        require(folder, seq, file, what=what)
    except AssayError as error:
        return notice_of(error)
    return None


def require(folder: Path, seq: int, file: Recorded, *, what: str = "run") -> None:
    """Check one recorded file; errors as of `verified`."""
    with verified(folder, seq, file, what=what, small=0):
        pass


@contextlib.contextmanager
def opened(folder: Path, name: str) -> Iterator[int]:
    """Open a regular file below a folder for reading, part by part, without following symlinks."""
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
    folder: Path, seq: int, file: Recorded, *, what: str = "run", small: int = _SMALL
) -> Iterator[io.BufferedReader | io.BytesIO]:
    """Open a recorded file at its start after checking its bytes against the recorded digest.

    The caller reads exactly what was hashed: a copy in memory of a file of up to `small` bytes, or
    the same open descriptor of a larger file, wherever its name leads by then.

    Raises:
        AssayError: ASSAY-L011 if it is missing, not a regular file, or changed.
    """
    with contextlib.ExitStack() as stack:
        with _as_recorded(f"{what} {seq}", folder, file):
            descriptor = stack.enter_context(opened(folder, str(file["name"])))
            held: io.BufferedReader | io.BytesIO
            held = stack.enter_context(os.fdopen(descriptor, "rb", closefd=False))
            if _size_within(descriptor, file) <= small:
                held = io.BytesIO(held.read())
            _require_digest(hashlib.file_digest(held, "sha256").hexdigest(), file)
            held.seek(0)
        yield held


def copy(folder: Path, seq: int, file: Recorded, target: Path) -> None:
    """Copy a recorded file to a new path; the copy is checked against the recorded digest.

    On a file system that can share blocks the copy takes no space. The digest is computed from the
    copy, which nobody else can have changed.

    Raises:
        AssayError: ASSAY-L011 if it is missing, not a regular file, or changed.
        OSError: the copy cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with _as_recorded(f"run {seq}", folder, file):
            source = stack.enter_context(opened(folder, str(file["name"])))
            _size_within(source, file)
        made = no_follow.create(target)
        stack.callback(os.close, made)
        try:
            digest = _filled(made, source, file)
            with _as_recorded(f"run {seq}", folder, file):
                _require_digest(digest, file)
        except BaseException:
            target.unlink()
            raise


def _filled(made: int, source: int, file: Recorded) -> str:
    """Copy a file, but no block beyond the recorded size; return the SHA-256 read, in hex."""
    digest, left = hashlib.sha256(), file.get("size", sys.maxsize)
    is_shared = _shares_blocks(source, made)
    # a single buffer: allocating one for each block costs more than hashing it
    room = memoryview(bytearray(_BLOCK))
    while left >= 0 and (size := os.readv(made if is_shared else source, [room])):
        left -= size
        digest.update(room[:size])
        if left >= 0 and not is_shared:
            _write_all(made, room[:size])
    return digest.hexdigest()


def is_inside(name: str) -> bool:
    """Return whether a recorded name stays below its folder."""
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and "\0" not in name


@contextlib.contextmanager
def _as_recorded(entry: str, folder: Path, file: Recorded) -> Iterator[None]:
    """Raise L011 if the block cannot read a recorded file or finds it changed."""
    name = str(file["name"])
    try:
        yield
    except (OSError, ValueError) as error:
        raise broken("L011", f"{entry}: {name} {why(error)}", folder / name) from error


def _below(descriptor: int, path: PurePosixPath, depth: int) -> Iterator[tuple[str, int]]:
    """Yield path, relative to the run, and mode of each item, following no symlink."""
    for name in os.listdir(descriptor):
        inner = path / name
        try:
            mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
        except FileNotFoundError:
            continue  # it has just been removed; a recorded file is reported as missing later
        yield str(inner), mode
        if stat.S_ISDIR(mode) and depth:
            with no_follow.folder(name, at=descriptor) as folder:
                yield from _below(folder, inner, depth - 1)


def _size_within(descriptor: int, file: Recorded) -> int:
    """Return a file's size; ValueError if it is longer than recorded, so that nobody hashes it."""
    size, wanted = os.fstat(descriptor).st_size, file.get("size")
    if isinstance(wanted, int) and size > wanted:
        message = f"has {size} bytes, but {wanted} are recorded"
        raise ValueError(message)
    return size


def _require_digest(actual: str, file: Recorded) -> None:
    if actual != file["sha256"]:
        message = f"has the sha256 {actual}, but {file['sha256']} is recorded"
        raise ValueError(message)


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
