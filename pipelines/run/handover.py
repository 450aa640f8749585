"""The handover: a command gets the very bytes that were checked, whatever happens to the run's own.

A run's clean files are copied into a private folder while they are hashed, and the command is given
the copy: who changes, swaps or has linked the run's files changes nothing of what it reads. With
`in_place` it is given the run's own files, held against their digests before and after.
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
HANDED_ON = (signal.SIGTERM, signal.SIGHUP)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
SIGNALLED = 128


@dataclasses.dataclass(frozen=True, slots=True)
class Handed:
    """What a command is given: the folder of the clean files, the manifest, the run's number."""

    clean: Path
    manifest: Path
    number: int

    def added_to(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the command; the signing key itself is nothing for it."""
        return config.without_key(environment) | {
            "ASSAY_CLEAN": str(self.clean.absolute()),
            "ASSAY_RUN": str(self.number),
            "ASSAY_MANIFEST": str(self.manifest.absolute()),
        }


def faults(store: Store, entry: Entry) -> list[Notice]:
    """Return what is not as recorded in a run's own folder, all of its files read."""
    return run_files.faults(store.run_folder(entry.seq), entry.seq, entry.facts["outputs"])


@contextlib.contextmanager
def handed(store: Store, entry: Entry, *, in_place: bool) -> Iterator[Handed]:
    """Have a run's clean files ready for a command; a private copy is gone on the way out.

    Raises:
        AssayError: ASSAY-L011 if a file of the run is not as recorded, E002 if there is no room for
            the copy, E001 or E003 if it cannot be made.
    """
    folder = store.run_folder(entry.seq)
    if in_place:
        refuse(faults(store, entry))
        yield Handed(folder / CLEAN, folder / manifest.FILE, entry.seq)
        return
    with contextlib.ExitStack() as stack:
        with _with_way_out(store):
            work = stack.enter_context(store.staged())
            work.chmod(0o700)  # also where the store is shared
            _copy(folder, entry, work)
        yield Handed(work / CLEAN, work / manifest.FILE, entry.seq)


def _copy(folder: Path, entry: Entry, work: Path) -> None:
    """Copy what a command is given, and look at the run's other files where they lie."""
    outputs: list[dict[str, Any]] = entry.facts["outputs"]
    refuse(run_files.unrecorded(folder, entry.seq, outputs))
    (work / CLEAN).mkdir(mode=0o700)
    for file in outputs:
        name = str(file["name"])
        if not (name == manifest.FILE or name.startswith(f"{CLEAN}/")):
            run_files.require(folder, entry.seq, file)
        elif not run_files.is_inside(name):
            raise broken("L011", f"run {entry.seq}: {name} is no file of the run", folder)
        else:
            target = work / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            run_files.copy(folder, entry.seq, file, target)
            target.chmod(0o400)


@contextlib.contextmanager
def _with_way_out(store: Store) -> Iterator[None]:
    """Let a disk that has no room for the copy be told with what to do."""
    fix = "free some space, or hand the run's own files over: assay gate --in-place"
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise atomic.refusal(error, store.folder) from error
        what = "the disk has no room for the command's own copy of the clean dataset"
        raise AssayError("E002", what, where=str(store.folder), fix=fix) from error
    except AssayError as error:
        if error.code == "ASSAY-E002":
            error.fix = fix
        raise


class Relay:
    """What becomes of signals while a command is prepared, runs, and is cleaned up after.

    Before it runs they end the gate. While it runs a termination is handed on to it and Ctrl-C
    reaches it anyway; its exit code is what counts, so after it they are held off until its copy
    is gone. A context manager.
    """

    def __init__(self) -> None:
        """Take no signal yet."""
        self._state: Literal["before", "starting", "running", "after"] = "before"
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals, but for those that somebody asked to ignore, as `nohup` does."""
        for number in (*HANDED_ON, signal.SIGINT):
            if signal.getsignal(number) != signal.SIG_IGN:
                self._former[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        """Put the former handlers back."""
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run a command with the user's own umask; returns its exit code, G002 if there is none."""
        sys.stdout.flush()
        self._state = "starting"
        try:
            self._process = subprocess.Popen(
                list(command), env=dict(environment), umask=store_door.own_umask()
            )
        except (OSError, ValueError) as error:
            self._state = "before"
            why = os.strerror(getattr(error, "errno", 0) or errno.EINVAL)
            what, fix = f"the command cannot be started: {why}", "check the words after --"
            raise AssayError("G002", what, where=command[0], fix=fix) from error
        self._state = "running"
        while self._waiting:
            self._hand_on(self._waiting.pop())
        with self._process as process:
            code = process.wait()
        self._state = "after"
        return code if code >= 0 else SIGNALLED - code

    @property
    def has_run(self) -> bool:
        """Return whether a command was started."""
        return self._process is not None

    def heed_again(self) -> None:
        """Let signals end the gate again: what is still to be done decides its exit code."""
        self._state = "before"

    def _take(self, number: int, _: FrameType | None) -> None:
        if self._state == "before":
            raise KeyboardInterrupt
        if self._state == "starting":
            self._waiting.append(number)
        elif self._state == "running":
            self._hand_on(number)

    def _hand_on(self, number: int) -> None:
        if self._process and number in HANDED_ON:
            self._process.send_signal(number)
