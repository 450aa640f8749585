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
from pipelines.store.store import Store
from provenance.base import atomic, no_follow
from provenance.base.errors import AssayError, printable
from provenance.ledger.entry import Entry

SCHEMA = "assay.seen/1"
LOCK_SECONDS = 10.0
FIRST = 1  # the number of the first entry after the key's
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
    """Which ledger lay at a path; what it held before entry `since` came with it from elsewhere.

    `is_gone`: whether the whole store was found to be removed since.
    """

    ledger: str
    since: int
    is_gone: bool = False


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
        known = place.ledger if place and not place.is_gone else None
        ledger = name_of(first) if first else known
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
        _remember(store, now, is_begun=entry.seq == FIRST)


def forget_if_gone(store: Store) -> None:
    """Let a store begin anew where the whole of one was removed.

    Which ledger lay there stays known: one that is put there from elsewhere is still another one.
    """
    try:
        if any(store.folder.iterdir()):
            return
    except FileNotFoundError:
        pass
    except OSError:
        return
    with _usable():
        if (place := _place(store)) and not place.is_gone:
            with _locked():
                _write_place(store, dataclasses.replace(place, is_gone=True))


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


def _remember(store: Store, now: Mark, *, is_quiet: bool = False, is_begun: bool = False) -> None:
    mark, place = _mark(now.ledger), _place(store)
    if mark and mark.size >= now.size and place and place.ledger == now.ledger:
        return
    with _usable(is_quiet=is_quiet), _locked():
        _write_down(store, now, is_begun=is_begun)


def _write_down(store: Store, now: Mark, *, is_begun: bool) -> None:
    """Write what was seen; `is_begun`: the ledger was begun here a moment ago."""
    mark, place = _mark(now.ledger), _place(store)
    if mark is None or mark.size < now.size:  # another process may have seen more
        _write(_of(now.ledger), {"size": now.size, "head": now.head})
    if place is None or place.ledger != now.ledger:
        is_own = place is None or (place.is_gone and is_begun)
        _write_place(store, Place(now.ledger, 0 if is_own else now.size))
        if not is_own:
            _tell_of_another(store)


def _write_place(store: Store, place: Place) -> None:
    told = {"path": os.fsdecode(store.folder.resolve()), **dataclasses.asdict(place)}
    _write(_file_of(store), told)


@contextlib.contextmanager
def _usable(*, is_quiet: bool = False) -> Iterator[None]:
    """Say once, and go on, where nothing can be remembered."""
    try:
        yield
    except OSError as error:
        _warn(error.strerror or "it cannot be written", is_quiet=is_quiet)
    except AssayError as error:
        if error.code not in UNUSABLE:
            raise
        _warn(error.what, is_quiet=is_quiet)


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
    return Place(ledger, since, told.get("is_gone") is True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(no_follow.read(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        _warn(error.strerror or "it cannot be read")
        return None
    except (ValueError, RecursionError) as error:
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
        what = f"{folder} cannot be used ({why}), so an older copy of the ledger would go unnoticed"
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
