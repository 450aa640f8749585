"""The store: where runs, the ledger and work in progress lie, and nothing about what they mean.

STORE/ledger/entries/NNNNNNNNNNNN.parquet, and ledger/segments/ once compacted
STORE/runs/NNNNNNNNNNNN/      committed runs; a run's number is its entry's
STORE/reviews/                one Parquet file of decisions per review entry
STORE/staging/RUN_ID/         work in progress, always removed at the end; the run holds a lock on
                              RUN_ID.alive next to it
STORE/resume/                 what an interrupted run had finished: pipelines.checking.resume
All writing goes through `opened` (store_door), which checks who owns the store.
"""

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines import config
from provenance.base import atomic, staging, store_door
from provenance.base.errors import AssayError
from provenance.base.ordinals import ordinal
from provenance.base.store_door import Door
from provenance.ledger.entry import Entry
from provenance.ledger.ledger import Ledger
from provenance.ledger.run_reader import RunReader
from provenance.ledger.segments import DIGITS

RUN_KINDS = ("run", "release")


@dataclasses.dataclass(frozen=True, slots=True)
class Store:
    """A store's folder, created only when something is about to be written.

    `sharing` says who may use a new store: `private` or `group`; None keeps what is recorded.
    """

    folder: Path
    sharing: str | None = None

    @property
    def ledger(self) -> Ledger:
        """Return the store's ledger."""
        return Ledger(self.folder / "ledger")

    @property
    def staging(self) -> Path:
        """Return the folder of work in progress."""
        return self.folder / "staging"

    @property
    def reviews(self) -> Path:
        """Return the folder of decisions."""
        return self.folder / "reviews"

    def require(self) -> None:
        """Refuse a store that does not exist (C013), or one of whose folders is not one (L013)."""
        if not self.folder.is_dir():
            where = str(self.folder)
            fix = "name the store with --store"
            raise AssayError("C013", "the store does not exist", where=where, fix=fix)
        store_door.require_regular(self.folder)

    def refuse_foreign(self) -> None:
        """Refuse a folder that is not a store before reading it: E108, E109, or E003."""
        with atomic.coded(self.folder):
            store_door.refuse_foreign(self.folder)

    @contextlib.contextmanager
    def opened(self, *, make: bool = True) -> Iterator[Door]:
        """Open the store for writing; errors as of `store_door.opened`, and E001 to E003."""
        with contextlib.ExitStack() as stack:
            with atomic.coded(self.folder):
                door = stack.enter_context(
                    store_door.opened(self.folder, make=make, sharing=self.sharing)
                )
            yield door

    def run_folder(self, number: int) -> Path:
        """Return the folder of a committed run."""
        return self.folder / "runs" / f"{number:0{DIGITS}}"

    def reader(self, entry: Entry) -> RunReader:
        """Return a reader of a committed run's files; nothing is read yet."""
        return RunReader(self.run_folder(entry.seq), entry)

    def review_file(self, number: int) -> Path:
        """Return the file of decisions of a committed review."""
        return self.reviews / f"{number:0{DIGITS}}.parquet"

    @contextlib.contextmanager
    def staged(self, check: Callable[[], object] | None = None) -> Iterator[Path]:
        """Make a staging folder; on exit it is removed, and so is a new store that stayed empty.

        Args:
            check: called once the store is open, before anything in it is swept or created.

        Raises:
            AssayError: ASSAY-E001, E002 or E003 if the store cannot be written, E108 or E109 if it
                is not this user's store.
        """
        made = _first_missing(self.folder)
        is_new = not store_door.is_marked(self.folder)
        work = self.staging / uuid.uuid4().hex
        with self.opened() as door:
            try:
                with contextlib.ExitStack() as stack:
                    if check:
                        check()
                    with atomic.coded(self.folder):
                        staging.sweep(door)
                        stack.enter_context(staging.staged(work))
                    yield work
            finally:
                self._remove_if_empty(door, made, is_new=is_new)

    def _remove_if_empty(self, door: Door, made: Path | None, *, is_new: bool) -> None:
        """Remove empty folders, and all that this run created of a store that holds nothing."""
        _remove_empty(self.staging)
        if self.ledger.folder.is_dir():
            # whoever holds the lock is about to put something there, so nothing is removed
            lock = atomic.exclusive(self.ledger.folder / "lock", seconds=0.0)
            with contextlib.suppress(AssayError, OSError), lock:
                for folder in (self.folder / "runs", self.reviews):
                    _remove_empty(folder)
                if is_new:
                    for folder in (self.ledger.entries_folder, self.ledger.folder / "tmp"):
                        _remove_empty(folder)
                    if not self.ledger.entries_folder.exists():
                        (self.ledger.folder / "lock").unlink()
        if is_new:
            # folder by folder: what another first run has just put there is not empty and stays
            _remove_empty(self.ledger.folder)
            folder = self.folder
            is_gone = store_door.forget_marker(door, whole=made is not None)
            while is_gone and made and folder != made:
                folder = folder.parent
                is_gone = _remove_empty(folder)

    def runs(self) -> list[Entry]:
        """Return the entries of all runs and releases, in order."""
        return [entry for entry in self.ledger.entries() if entry.kind in RUN_KINDS]

    def find(self, run: str) -> Entry:
        """Return the entry of a run, by number or `latest`; C013 if missing, L004 if edited."""
        numbers = self.ledger.numbers()
        if run == "latest":
            asked = reversed(numbers)
        else:
            number = ordinal(run)
            asked = iter([number] if number is not None and number in numbers else [])
        for number in asked:
            if (entry := self.ledger.unedited(number)).kind in RUN_KINDS:
                return entry
        words = config.store_words(self.folder)
        fix = f"list the runs with `assay ledger log{words}`, or name a different store (--store)"
        raise AssayError("C013", f"run {run} does not exist", where=str(self.folder), fix=fix)


def _first_missing(folder: Path) -> Path | None:
    """Return the topmost folder that creating `folder` would create."""
    missing = None
    current = folder.absolute()
    while not current.exists():
        missing, current = current, current.parent
    return missing


def _remove_empty(folder: Path) -> bool:
    try:
        folder.absolute().rmdir()
    except OSError:
        return False
    return True
