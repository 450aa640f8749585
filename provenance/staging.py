"""Staged folders: work in progress, and how what the dead left is told from it.

    STAGING/RUN_ID          the work
    STAGING/RUN_ID.alive    locked by its maker; made before the folder, removed after it
So a folder without the file beside it, or with one that nobody holds, is a dead run's.
"""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from provenance import atomic

ALIVE = ".alive"


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
        if item.suffix == ALIVE:
            with atomic.unlocked(item, fcntl.LOCK_SH) as is_dead:
                dead += [item.with_suffix("")] if is_dead else []
        elif not _beside(item).exists() and item.exists():
            dead.append(item)
    return dead


def sweep(staging: Path) -> int:
    """Remove what dead runs left behind; returns how many folders that were."""
    count = 0
    for item in atomic.listed(staging):
        if item.suffix == ALIVE:
            with atomic.unlocked(item) as is_dead:
                if is_dead:
                    shutil.rmtree(item.with_suffix(""), ignore_errors=True)
                    item.unlink(missing_ok=True)
                    count += 1
        elif not _beside(item).exists():
            shutil.rmtree(item, ignore_errors=True)
            count += 1
    return count


def _beside(folder: Path) -> Path:
    return folder.with_suffix(ALIVE)
