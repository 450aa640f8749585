"""What this user has last seen of each ledger, so that a rolled-back or replaced one is noticed.

    STATE/ledgers/LEDGER.json    how many entries the ledger had, and the digest of the last one
    STATE/stores/PLACE.json      which ledger the store at a path held, and since which entry
LEDGER derives from the digest of the ledger's first entry, PLACE from the store's real path. STATE
is the user's own state folder and never in a store, so whoever may only write to a store cannot
roll back both. If it cannot be written, Assay warns once and goes on: docs/ledger.md.
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
    """The longest known state of a ledger: number of entries, and the last one's digest in hex."""

    ledger: str
    size: int
    head: str


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Which ledger the store at a path held; entries before `since` came with it from elsewhere.

    `is_gone`: whether the whole store was later found removed.
    """

    ledger: str
    since: int
    is_gone: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Remembered:
    """What is remembered of a store's ledger and of its path.

    Read it before the ledger, which another process may append to meanwhile.
    """

    mark: Mark | None
    place: Place | None

    @staticmethod
    def before(store: Store) -> "Remembered":
        """Read what is remembered of a store; L012 if it cannot be parsed."""
        forget_if_gone(store)
        place = _place(store)
        try:
            first = store.ledger.read(0).leaf if store.ledger.is_there(0) else None
        except (AssayError, OSError):
            first = None  # the walk of the ledger reports it
        known = place.ledger if place and not place.is_gone else None
        ledger = name_of(first) if first else known
        return Remembered(_mark(ledger) if ledger else None, place)

    def require_continued(self, leaves: tuple[bytes, ...]) -> None:
        """Refuse a rolled-back ledger: L002 if it is shorter, L008 if its history differs."""
        if not leaves and self.mark:
            what = f"the ledger is empty, but this user has seen {self.mark.size} entries of it"
            raise _rolled_back("L002", what, _mark_file(self.mark.ledger))
        if leaves and self.mark and self.mark.ledger == name_of(leaves[0]):
            _compare(self.mark, len(leaves), lambda number: leaves[number])


def remember(store: Store, leaves: tuple[bytes, ...], *, is_quiet: bool = False) -> None:
    """Remember an intact ledger.

    Args:
        store: holds the ledger.
        leaves: the digest of each entry, at least one.
        is_quiet: whether to skip the warning if it cannot be remembered.
    """
    _remember(store, Mark(name_of(leaves[0]), len(leaves), leaves[-1].hex()), is_quiet=is_quiet)


def require_grown(store: Store) -> None:
    """Refuse to append to a ledger that was rolled back, by reading two of its entries only.

    Raises:
        AssayError: ASSAY-L002 if it is shorter than it was, L008 if its history differs; L001 or
            L003 if one of the two entries cannot be read.
    """
    read = store.ledger.reader()
    if store.ledger.is_there(0) and (mark := _mark(name_of(read(0).leaf))):
        _compare(mark, len(store.ledger.numbers()), lambda number: read(number).leaf)


def advance(store: Store, entry: Entry) -> None:
    """Remember a ledger that `entry` was just appended to; failing to do so is no error."""
    read = store.ledger.reader()
    with contextlib.suppress(AssayError, OSError):
        now = Mark(name_of(read(0).leaf), entry.seq + 1, entry.leaf.hex())
        if (mark := _mark(now.ledger)) and mark.size <= now.size:
            # if it does not continue what was seen, the next command reports that; the entry
            # itself names the one before it
            before = {entry.seq - 1: entry.prev}
            _compare(mark, now.size, lambda number: before.get(number) or read(number).leaf)
        _remember(store, now, is_begun=entry.seq == FIRST)


def forget_if_gone(store: Store) -> None:
    """Let a store begin anew where a whole one was removed.

    Its ledger stays known, so a different one put there later is still noticed.
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
    """Return the first entry whose pass counts: 0, unless this ledger replaced another one."""
    place = _place(store)
    return place.since if place else 0


def name_of(first_leaf: bytes) -> str:
    """Return the name of a ledger's file, by the digest of the ledger's first entry."""
    return first_leaf.hex()[:32]


def _compare(mark: Mark, size: int, leaf_of: Callable[[int], bytes]) -> None:
    if mark.size > size:
        what = (
            f"this user has seen {mark.size} entries of this ledger, but it holds {size}: "
            "its end was cut off, or this is an older copy"
        )
        raise _rolled_back("L002", what, _mark_file(mark.ledger))
    if leaf_of(mark.size - 1).hex() != mark.head:
        what = f"entry {mark.size - 1} is not the one this user has seen: history was rewritten"
        raise _rolled_back("L008", what, _mark_file(mark.ledger))


def _remember(store: Store, now: Mark, *, is_quiet: bool = False, is_begun: bool = False) -> None:
    mark, place = _mark(now.ledger), _place(store)
    if mark and mark.size >= now.size and place and place.ledger == now.ledger:
        return
    with _usable(is_quiet=is_quiet), _locked():
        _update(store, now, is_begun=is_begun)


def _update(store: Store, now: Mark, *, is_begun: bool) -> None:
    """Write what was seen; `is_begun`: the ledger was started here a moment ago."""
    mark, place = _mark(now.ledger), _place(store)
    if mark is None or mark.size < now.size:  # another process may have seen more
        _write(_mark_file(now.ledger), {"size": now.size, "head": now.head})
    if place is None or place.ledger != now.ledger:
        is_own = place is None or (place.is_gone and is_begun)
        _write_place(store, Place(now.ledger, 0 if is_own else now.size))
        if not is_own:
            what = (
                "this store held a different ledger before; passes that came with the current one "
                f"are not reused ({store.folder})"
            )
            sys.stderr.write(printable(f"warning ASSAY-L008: {what}") + "\n")


def _write_place(store: Store, place: Place) -> None:
    path = {"path": os.fsdecode(store.folder.resolve())}
    _write(_place_file(store), {**path, **dataclasses.asdict(place)})


@contextlib.contextmanager
def _usable(*, is_quiet: bool = False) -> Iterator[None]:
    """Warn once, and go on, where nothing can be remembered."""
    try:
        yield
    except OSError as error:
        _warn(error.strerror or "it cannot be written", is_quiet=is_quiet)
    except AssayError as error:
        if error.code not in UNUSABLE:
            raise
        _warn(error.what, is_quiet=is_quiet)


def _mark(ledger: str) -> Mark | None:
    if (facts := _read(_mark_file(ledger))) is None:
        return None
    size, head = facts.get("size"), facts.get("head")
    if not isinstance(size, int) or size < 1 or not isinstance(head, str):
        raise _unreadable(_mark_file(ledger))
    return Mark(ledger, size, head)


def _place(store: Store) -> Place | None:
    if (facts := _read(_place_file(store))) is None:
        return None
    ledger, since = facts.get("ledger"), facts.get("since")
    if not isinstance(ledger, str) or "/" in ledger or not isinstance(since, int):
        raise _unreadable(_place_file(store))
    return Place(ledger, since, facts.get("is_gone") is True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(no_follow.read(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        _warn(error.strerror or "it cannot be read")
        return None
    except (ValueError, RecursionError) as error:
        raise _unreadable(path) from error
    if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
        raise _unreadable(path)
    return facts


def _write(path: Path, facts: dict[str, Any]) -> None:
    atomic.write_over(path, json.dumps({"schema": SCHEMA, **facts}).encode() + b"\n", mode=0o600)


def _mark_file(ledger: str) -> Path:
    return config.state_folder() / "ledgers" / f"{ledger}.json"


def _place_file(store: Store) -> Path:
    real = os.fsencode(store.folder.resolve())
    return config.state_folder() / "stores" / f"{hashlib.sha256(real).hexdigest()[:32]}.json"


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Lock the state folder, so that no process overwrites what another has just seen."""
    state = config.state_folder()
    state.parent.mkdir(parents=True, exist_ok=True)
    for folder in (state, state / "ledgers", state / "stores"):
        folder.mkdir(mode=0o700, exist_ok=True)
    with atomic.exclusive(state / "lock", seconds=LOCK_SECONDS):
        yield


def _warn(why: str, *, is_quiet: bool = False) -> None:
    folder = str(config.state_folder())
    if folder not in _warned and not is_quiet:
        what = f"{folder} cannot be used ({why}), so an older copy of the ledger would go unnoticed"
        sys.stderr.write(printable(f"warning ASSAY-E003: {what}; use --checkpoint") + "\n")
    _warned.add(folder)


def _rolled_back(code: str, what: str, path: Path) -> AssayError:
    fix = (
        "restore the newest copy of the whole store and find out who rolled it back; if you did so "
        f"on purpose, delete {path}, which remembers the newer state"
    )
    return AssayError(code, what, where=str(path), fix=fix)


def _unreadable(path: Path) -> AssayError:
    what = "the record of the last known state of the ledger cannot be read"
    fix = "delete the file if you are sure that the store is the newest one"
    return AssayError("L012", what, where=str(path), fix=fix)
