"""The handover: a command gets the very bytes that were checked, even if the run's files change.

A run's clean files are copied into a private folder while they are hashed, and the command gets the
copy: someone who changes, swaps or has linked the run's files cannot affect what it reads. With
`in_place` it gets the run's own files, which are verified before and after.
"""

import contextlib
import dataclasses
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Literal, Self

from pipelines import config
from pipelines.store import manifest
from pipelines.store.store import Store
from provenance.base import atomic, store_door
from provenance.base.errors import AssayError, Notice
from provenance.ledger import run_files
from provenance.ledger.entry import Entry
from provenance.ledger.refusals import broken, refuse

CLEAN = "clean"
FORWARDED = (signal.SIGTERM, signal.SIGHUP)
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
SIGNALLED = 128


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """What a command gets: the folder of the clean files, the manifest, the run's number."""

    clean: Path
    manifest: Path
    number: int

    def added_to(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the command, without the signing key itself."""
        return config.without_key(environment) | {
            "ASSAY_CLEAN": str(self.clean.absolute()),
            "ASSAY_RUN": str(self.number),
            "ASSAY_MANIFEST": str(self.manifest.absolute()),
        }


def faults(store: Store, entry: Entry) -> list[Notice]:
    """Return every file in a run's own folder that is not as recorded; reads all of them."""
    return run_files.faults(store.run_folder(entry.seq), entry.seq, entry.facts["outputs"])


@contextlib.contextmanager
def delivered(store: Store, entry: Entry, *, in_place: bool) -> Iterator[Delivery]:
    """Give a run's clean files to a command; a private copy is removed on the way out.

    Raises:
        AssayError: ASSAY-L011 if a file of the run is not as recorded, E002 if there is no space
            for the copy, E001 or E003 if it cannot be made.
    """
    folder = store.run_folder(entry.seq)
    if in_place:
        refuse(faults(store, entry))
        yield Delivery(folder / CLEAN, folder / manifest.FILE, entry.seq)
        return
    with contextlib.ExitStack() as stack:
        with _advised(store):
            work = stack.enter_context(store.staged())
            work.chmod(0o700)  # even if the store is shared
            _copy(folder, entry, work)
        yield Delivery(work / CLEAN, work / manifest.FILE, entry.seq)


def _copy(folder: Path, entry: Entry, work: Path) -> None:
    """Copy the files that a command gets, and verify the run's other files in place."""
    outputs: list[dict[str, Any]] = entry.facts["outputs"]
    refuse(run_files.unrecorded(folder, entry.seq, outputs))
    (work / CLEAN).mkdir(mode=0o700)
    for file in outputs:
        name = str(file["name"])
        if not (name == manifest.FILE or name.startswith(f"{CLEAN}/")):
            run_files.require(folder, entry.seq, file)
        elif not run_files.is_inside(name):
            raise broken("L011", f"run {entry.seq}: {name} is not a file of the run", folder)
        else:
            target = work / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            run_files.copy(folder, entry.seq, file, target)
            target.chmod(0o400)


@contextlib.contextmanager
def _advised(store: Store) -> Iterator[None]:
    """Add advice to the refusal of a disk that has no space for the copy."""
    fix = "free some space, or use the run's own files: assay gate --in-place"
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise atomic.refusal(error, store.folder) from error
        what = "the disk has no space for the command's own copy of the clean dataset"
        raise AssayError("E002", what, where=str(store.folder), fix=fix) from error
    except AssayError as error:
        if error.code == "ASSAY-E002":
            error.fix = fix
        raise


class Relay:
    """Handles signals before, during and after a command. A context manager.

    Before it runs they end the gate. While it runs, a termination is forwarded to it, and Ctrl-C
    reaches it anyway. After it they are ignored until its copy is removed, since its exit code is
    what counts.
    """

    def __init__(self) -> None:
        """Handle no signal yet."""
        self._state: Literal["before", "starting", "running", "after"] = "before"
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Handle the signals, except those that are ignored already, as under `nohup`."""
        for number in (*FORWARDED, signal.SIGINT):
            if signal.getsignal(number) != signal.SIG_IGN:
                self._former[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        """Put the former handlers back."""
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run a command with the user's umask; return its exit code, G002 if it cannot start."""
        sys.stdout.flush()
        self._state = "starting"
        try:
            self._process = subprocess.Popen(
                list(command), env=dict(environment), umask=store_door.own_umask()
            )
        except (OSError, ValueError) as error:
            self._state = "before"
            why = os.strerror(getattr(error, "errno", 0) or errno.EINVAL)
            what, fix = f"the command cannot be started: {why}", "check the command after `--`"
            raise AssayError("G002", what, where=command[0], fix=fix) from error
        self._state = "running"
        while self._waiting:
            self._forward(self._waiting.pop())
        with self._process as process:
            code = process.wait()
        self._state = "after"
        return code if code >= 0 else SIGNALLED - code

    @property
    def has_run(self) -> bool:
        """Return whether a command was started."""
        return self._process is not None

    def heed_again(self) -> None:
        """Let signals end the gate again: the checks that follow decide its exit code."""
        self._state = "before"

    def _take(self, number: int, _: FrameType | None) -> None:
        if self._state == "before":
            raise KeyboardInterrupt
        if self._state == "starting":
            self._waiting.append(number)
        elif self._state == "running":
            self._forward(number)

    def _forward(self, number: int) -> None:
        if self._process and number in FORWARDED:
            self._process.send_signal(number)
