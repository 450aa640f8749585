"""Staged folders: work in progress, and how the leftovers of dead processes are recognised.

    STAGING/RUN_ID          the work
    STAGING/RUN_ID.alive    locked by the run; created before the folder, removed after it
A folder without such a file next to it, or with one that nobody holds, belongs to a dead run.
Nothing with another name, of another type or of another owner is ever removed.
"""

import contextlib
import fcntl
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from provenance.base import atomic, locks
from provenance.base.store_door import Door

ALIVE = ".alive"
INNER = "staging"  # the folder in the store
_RUN_ID = re.compile(r"[0-9a-f]{32}")


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[None]:
    """Create a folder for work in progress; it is removed at the end, or swept if we die."""
    alive = folder.with_suffix(ALIVE)
    while True:
        atomic.make_folders(folder.parent)
        with contextlib.suppress(FileNotFoundError):  # the parent was empty and has been removed
            descriptor = atomic.claim(alive)
            break
    try:
        folder.mkdir()
        yield
    finally:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            atomic.release(alive, descriptor)


def left_over(staging: Path) -> list[Path]:
    """Return the staged folders whose run is dead, changing nothing."""
    names = [item.name for item in atomic.listed(staging)]
    return [staging / run_id for run_id, _ in _dead(staging, names, fcntl.LOCK_SH)]


def sweep(door: Door) -> int:
    """Remove what dead runs left behind; returns the number of folders."""
    count = 0
    for run_id, has_lock in _dead(door.path / INNER, door.names(INNER), fcntl.LOCK_EX):
        is_folder = door.is_folder(INNER, run_id)
        is_gone = is_folder and door.remove(INNER, run_id)
        if has_lock:
            door.remove(INNER, run_id + ALIVE)
        count += has_lock or is_gone
    return count


def _dead(staging: Path, names: list[str], kind: int) -> Iterator[tuple[str, bool]]:
    """Yield the id of each dead run, and whether it left a lock file, which is held meanwhile."""
    for name in names:
        run_id = name.removesuffix(ALIVE)
        if not _RUN_ID.fullmatch(run_id):
            continue
        if name.endswith(ALIVE):
            with locks.unlocked(staging / name, kind) as is_dead:
                if is_dead:
                    yield run_id, True
        elif not (staging / (name + ALIVE)).exists() and (staging / name).exists():
            yield run_id, False
