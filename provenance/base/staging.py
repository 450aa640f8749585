"""Staged folders: work in progress, and how what the dead left is told from it.

    STAGING/RUN_ID          the work
    STAGING/RUN_ID.alive    locked by its maker; made before the folder, removed after it
So a folder without the file beside it, or with one that nobody holds, is a dead run's. Nothing of
any other name, kind or owner is ever removed.
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
    """Make a folder for work in progress; it goes on the way out, or is swept if we die."""
    alive = _beside(folder)
    while True:
        atomic.make_folders(folder.parent)
        with contextlib.suppress(FileNotFoundError):  # it was empty and has gone
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
    """Return the staged folders whose maker is dead, for a reader: nothing is changed."""
    dead = []
    for item in atomic.listed(staging):
        if not _RUN_ID.fullmatch(item.name.removesuffix(ALIVE)):
            continue
        if item.suffix == ALIVE:
            with locks.unlocked(item, fcntl.LOCK_SH) as is_dead:
                dead += [item.with_suffix("")] if is_dead else []
        elif not _beside(item).exists() and item.exists():
            dead.append(item)
    return dead


def sweep(door: Door) -> int:
    """Remove what dead runs left behind; returns how many folders that were."""
    count, staging = 0, door.path / INNER
    for name in door.names(INNER):
        run_id = name.removesuffix(ALIVE)
        if not _RUN_ID.fullmatch(run_id):
            continue
        if name.endswith(ALIVE):
            with locks.unlocked(staging / name) as is_dead:
                if is_dead:
                    if door.is_folder(INNER, run_id):
                        door.remove(INNER, run_id)
                    door.remove(INNER, name)
                    count += 1
        elif not _beside(staging / name).exists() and door.is_folder(INNER, name):
            count += door.remove(INNER, name)
    return count


def _beside(folder: Path) -> Path:
    return folder.with_suffix(ALIVE)
