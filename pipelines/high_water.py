"""What this user has last seen of each ledger, so that an older or another one is told.

    STATE/ledgers/LEDGER.json    how many entries the ledger had, and the digest of the last one
    STATE/stores/PLACE.json      which ledger lay in the store of a path, and since which entry
LEDGER is from the digest of the ledger's first entry, PLACE from the store's real path. STATE is in
the user's own state folder and never in a store, so whoever may only write to a store cannot turn
back both. Where it cannot be written Assay says so once and goes on: docs/ledger.md.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipelines import config
from pipelines.store import Store
from provenance import atomic, no_follow, store_door
from provenance.entry import Entry
from provenance.errors import AssayError, printable

SCHEMA = "assay.seen/1"
LOCK_SECONDS = 10.0
UNUSABLE = ("ASSAY-E001", "ASSAY-E002", "ASSAY-E003", "ASSAY-E004")
_warned: set[str] = set()


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """The largest ledger seen of one name: how many entries, and the last one's digest in hex."""

    ledger: str
    size: int
    head: str


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Which ledger lay at a path; what it held before entry `since` came with it from elsewhere."""

    ledger: str
    since: int


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What was remembered at the time of a look: of the ledger that lies there, and of the place.

    It must be taken before the ledger is read, which another process may add to meanwhile.
    """

    mark: Mark | None
    place: Place | None

    @staticmethod
    def before(store: Store) -> "Seen":
        """Read what is remembered of a store; L012 if it cannot be understood."""
        forget_if_gone(store)
        place = _place(store)
        try:
            first = store.ledger.read(0).leaf if store.ledger.is_there(0) else None
        except (AssayError, OSError):
            first = None  # whoever walks the ledger tells of it
        ledger = name_of(first) if first else place.ledger if place else None
        return Seen(_mark(ledger) if ledger else None, place)

    def require_continued(self, leaves: tuple[bytes, ...]) -> None:
        """Refuse a ledger that was turned back: L002 if it is shorter, L008 if it is another."""
        if not leaves and self.mark:
            what = f"the ledger is empty, and {self.mark.size} entries of it were seen here"
            raise _told("L002", what, _of(self.mark.ledger))
        if leaves and self.mark and self.mark.ledger == name_of(leaves[0]):
            _compare(self.mark, len(leaves), lambda number: leaves[number])


def remember(store: Store, leaves: tuple[bytes, ...], *, is_quiet: bool = False) -> None:
    """Remember a ledger that holds.

    Args:
        store: whose ledger it is.
        leaves: the digest of each of its entries, one at least.
        is_quiet: whether to say nothing where it cannot be remembered.
    """
    _remember(store, Mark(name_of(leaves[0]), len(leaves), leaves[-1].hex()), is_quiet=is_quiet)


def require_grown(store: Store) -> None:
    """Refuse to append to a ledger that is not what was seen, by two of its entries alone.

    Raises:
        AssayError: ASSAY-L002 if it is shorter than it was, L008 if it has another history; L001
            or L003 if an entry that is asked for cannot be read.
    """
    read = store.ledger.reader()
    if store.ledger.is_there(0) and (mark := _mark(name_of(read(0).leaf))):
        _compare(mark, len(store.ledger.numbers()), lambda number: read(number).leaf)


def advance(store: Store, entry: Entry) -> None:
    """Remember a ledger that an entry was just appended to; it never fails for want of that."""
    read = store.ledger.reader()
    with contextlib.suppress(AssayError, OSError):
        now = Mark(name_of(read(0).leaf), entry.seq + 1, entry.leaf.hex())
        if (mark := _mark(now.ledger)) and mark.size <= now.size:
            # what does not continue what was seen stays to be told by the next command
            _compare(mark, now.size, lambda number: read(number).leaf)
        _remember(store, now)


def forget_if_gone(store: Store) -> None:
    """Let a store begin anew where the whole of one was removed."""
    if store_door.is_marked(store.folder) or store.ledger.numbers():
        return
    try:
        _file_of(store).unlink(missing_ok=True)
    except OSError as error:
        _warn(os.strerror(error.errno or 0))


def reusable_from(store: Store) -> int:
    """Return the first entry whose pass counts: all do, unless the store took another's place."""
    place = _place(store)
    return place.since if place else 0


def name_of(first_leaf: bytes) -> str:
    """Return the name that a ledger's file has, by the digest of its first entry."""
    return first_leaf.hex()[:32]


def _compare(mark: Mark, size: int, leaf_of: Callable[[int], bytes]) -> None:
    if mark.size > size:
        what = (
            f"{mark.size} entries of this ledger were seen, it holds {size}: "
            "its end was cut off, or it is an older copy"
        )
        raise _told("L002", what, _of(mark.ledger))
    if leaf_of(mark.size - 1).hex() != mark.head:
        what = f"entry {mark.size - 1} is not the one that was seen: this is another history"
        raise _told("L008", what, _of(mark.ledger))


def _remember(store: Store, now: Mark, *, is_quiet: bool = False) -> None:
    mark, place = _mark(now.ledger), _place(store)
    if mark and mark.size >= now.size and place and place.ledger == now.ledger:
        return
    try:
        with _locked():
            _write_down(store, now)
    except OSError as error:
        _warn(os.strerror(error.errno or 0), is_quiet=is_quiet)
    except AssayError as error:
        if error.code not in UNUSABLE:
            raise
        _warn(error.what, is_quiet=is_quiet)


def _write_down(store: Store, now: Mark) -> None:
    mark, place = _mark(now.ledger), _place(store)
    if mark is None or mark.size < now.size:  # another process may have seen more
        _write(_of(now.ledger), {"size": now.size, "head": now.head})
    if place is None or place.ledger != now.ledger:
        since = 0 if place is None else now.size
        real = os.fsdecode(store.folder.resolve())
        _write(_file_of(store), {"path": real, "ledger": now.ledger, "since": since})
        if place:
            _tell_of_another(store)


def _tell_of_another(store: Store) -> None:
    what = "another ledger lay in this store before; no pass that came with this one is reused"
    sys.stderr.write(printable(f"warning ASSAY-L008: {what} ({store.folder})") + "\n")


def _mark(ledger: str) -> Mark | None:
    if (told := _read(_of(ledger))) is None:
        return None
    size, head = told.get("size"), told.get("head")
    if not isinstance(size, int) or size < 1 or not isinstance(head, str):
        raise _unreadable(_of(ledger))
    return Mark(ledger, size, head)


def _place(store: Store) -> Place | None:
    if (told := _read(_file_of(store))) is None:
        return None
    ledger, since = told.get("ledger"), told.get("since")
    if not isinstance(ledger, str) or "/" in ledger or not isinstance(since, int):
        raise _unreadable(_file_of(store))
    return Place(ledger, since)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(no_follow.read(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        _warn(os.strerror(error.errno or 0))
        return None
    except ValueError as error:
        raise _unreadable(path) from error
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        raise _unreadable(path)
    return told


def _write(path: Path, told: dict[str, Any]) -> None:
    atomic.write_over(path, json.dumps({"schema": SCHEMA, **told}).encode() + b"\n", mode=0o600)


def _of(ledger: str) -> Path:
    return config.state_folder() / "ledgers" / f"{ledger}.json"


def _file_of(store: Store) -> Path:
    real = os.fsencode(store.folder.resolve())
    return config.state_folder() / "stores" / f"{hashlib.sha256(real).hexdigest()[:32]}.json"


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Hold what is remembered alone, so that of two processes none takes the other's back."""
    state = config.state_folder()
    state.parent.mkdir(parents=True, exist_ok=True)
    for folder in (state, state / "ledgers", state / "stores"):
        folder.mkdir(mode=0o700, exist_ok=True)
    with atomic.exclusive(state / "lock", seconds=LOCK_SECONDS):
        yield


def _warn(why: str, *, is_quiet: bool = False) -> None:
    """Say once that nothing can be remembered."""
    folder = str(config.state_folder())
    if folder not in _warned and not is_quiet:
        what = f"{folder} cannot be used ({why}), so an older copy of the ledger is not told"
        sys.stderr.write(printable(f"warning ASSAY-E003: {what}; use --checkpoint") + "\n")
    _warned.add(folder)


def _told(code: str, what: str, path: Path) -> AssayError:
    fix = (
        "restore the newest copy of the whole store and look into who turned it back; if you went "
        f"back yourself, remove {path}, which remembers the newer one"
    )
    return AssayError(code, what, where=str(path), fix=fix)


def _unreadable(path: Path) -> AssayError:
    what = "what was last seen of the ledger cannot be read"
    fix = "remove the file if you know that the store is the newest one"
    return AssayError("L012", what, where=str(path), fix=fix)
