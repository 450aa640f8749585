"""The queue of one run, kept in memory while it is reviewed, and changed by each decision.

Groups keep their place and their id while the page is open: they are made of all rows that are
accused, decided or not, so that a withdrawn decision puts its rows back where they were.
Where a decision needs two people, a row waits for everybody except who has decided about it.
Cost: one decision touches only its own rows; the next row of a group is found in blocks.
"""

import dataclasses
import hashlib
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from pipelines.review import grouping, lessons
from pipelines.review.grouping import Group
from pipelines.review.indexed_run import IndexedRun
from pipelines.review.selection import Selection, Selector
from pipelines.store import decisions
from pipelines.store.opinions import Decision, Identity, Standing, Weighed
from provenance.base.errors import AssayError
from provenance.ledger.run_files import FATES

LITTLE = 0.05  # share of all worth below which the rest of the queue is worth little
_BLOCK = 4096  # rows that are searched at a time


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A group, and how many of its rows wait."""

    group: Group
    waiting: int


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """What is decided about a row at one moment; `version` is the last entry about it, or 0."""

    version: int
    standing: Standing | None
    waits: bool
    fate: str


@dataclasses.dataclass(frozen=True, slots=True)
class Own:
    """The rows that wait for others than one person, who has decided about them.

    Attributes:
        mask: bool, of each accused row.
        counts: int64, of the rows in each group.
    """

    mask: np.ndarray
    counts: np.ndarray

    def put(self, at: np.ndarray, held: np.ndarray, group_of: np.ndarray) -> None:
        """Note which of some rows are such, by their places."""
        before = at[self.mask[at]]
        self.mask[before] = False
        self.mask[held] = True
        size = len(self.counts)
        np.add(self.counts, np.bincount(group_of[held], minlength=size), out=self.counts)
        np.subtract(self.counts, np.bincount(group_of[before], minlength=size), out=self.counts)


class LiveQueue:
    """What waits in one run; one thread at a time may call `take`, others may ask meanwhile."""

    def __init__(self, run: IndexedRun) -> None:
        """Index a run: seconds for a million rows."""
        self.run = run
        self.groups = grouping.of_findings(run.accusing, lessons.of(run))
        self._number = {group.id: place for place, group in enumerate(self.groups)}
        self._group_of = np.zeros(len(run.accused), np.int32)
        self._members = [np.searchsorted(run.accused, group.rows) for group in self.groups]
        for number, members in enumerate(self._members):
            self._group_of[members] = number
        self._waits = np.ones(len(run.accused), bool)
        self._counts = np.bincount(self._group_of, minlength=len(self.groups))
        self._rows = np.array([int(run.entry.facts["rows"][fate]) for fate in FATES])
        self._fates = run.fates.copy()
        self._refused: set[int] = set()  # by a person, of the rows that nothing accuses
        self._own: dict[str, Own] = {}
        self.states = Counter(weighed.state for weighed in run.pending.values())
        self._taking = threading.Lock()
        self._settle([*run.standing, *(run.pending.keys() - run.standing.keys())])
        run.follow([])  # what it keeps of decisions is made here, and not by two threads at once
        self._warm()

    def _warm(self) -> None:
        """Read what the first answer would wait for."""
        if len(self.run.accused):
            row = int(self.run.accused[0])
            self.run.told(row)
            self.run.cells([row])
        _ = self.run.unreadable, self.run.private

    @property
    def waiting(self) -> int:
        """Return how many rows wait for somebody."""
        return int(self._counts.sum())

    def waiting_for(self, name: str) -> int:
        """Return how many rows wait for a person."""
        return int(self._counts_of(name).sum())

    def _counts_of(self, name: str) -> np.ndarray:
        """Return how many rows of each group wait for a person."""
        own = self._own.get(name)
        return self._counts if own is None else self._counts - own.counts

    @property
    def rows(self) -> Mapping[str, int]:
        """Return the rows by the fate that they would have in a release."""
        return dict(zip(FATES, self._rows.tolist(), strict=True))

    def parts(self, name: str = "") -> list[Part]:
        """Return the groups with rows that wait for a person, worst first."""
        pairs = zip(self.groups, self._counts_of(name).tolist(), strict=True)
        return [Part(group, count) for group, count in pairs if count]

    def group(self, name: str) -> Group:
        """Return a group; C013 if there is none of that id."""
        if name not in self._number:
            what = f"run {self.run.entry.seq} has no group {name!r}"
            raise AssayError("C013", what, fix="go back to the list of groups")
        return self.groups[self._number[name]]

    def group_at(self, row: int) -> Group | None:
        """Return the group of a row, None if nothing accuses it."""
        place = self.run.place(row)
        return None if place is None else self.groups[self._group_of[place]]

    def waits(self, row: int, person: str = "") -> bool:
        """Return whether a row waits for a person's decision."""
        place = self.run.place(row)
        return place is not None and bool(self._open(np.array([place]), person)[0])

    def _open(self, places: np.ndarray, person: str) -> np.ndarray:
        """Return which rows, by their places, wait for a person."""
        own, waits = self._own.get(person), self._waits[places]
        found: np.ndarray = waits if own is None else waits & ~own.mask[places]
        return found

    def left(self, name: str, person: str = "") -> np.ndarray:
        """Return the rows of a group that wait for a person: int64, ascending."""
        members = self._members[self._number[self.group(name).id]]
        rows: np.ndarray = self.run.accused[members[self._open(members, person)]]
        return rows

    def count(self, name: str, person: str = "") -> int:
        """Return how many rows of a group wait for a person."""
        return int(self._counts_of(person)[self._number[self.group(name).id]])

    def mark(self, name: str, person: str = "") -> str:
        """Return what changes when other rows of a group wait for a person: 32 hex digits."""
        return mark_of(self.left(name, person))

    def following(self, name: str, row: int, most: int, person: str = "") -> list[int]:
        """Return the next rows of a group that wait, after a row (-1: from the first)."""
        members = self._members[self._number[self.group(name).id]]
        start = int(np.searchsorted(self.run.accused[members], row, "right"))
        return self._found(members, range(start, len(members), _BLOCK), most, person)

    def preceding(self, name: str, row: int, most: int, person: str = "") -> list[int]:
        """Return the rows of a group that wait before a row, the nearest first."""
        members = self._members[self._number[self.group(name).id]]
        end = int(np.searchsorted(self.run.accused[members], row, "left"))
        return self._found(members[:end][::-1], range(0, end, _BLOCK), most, person)

    def _found(
        self, members: np.ndarray, blocks: Iterable[int], most: int, person: str
    ) -> list[int]:
        found: list[int] = []
        for start in blocks:
            block = members[start : start + _BLOCK]
            waits = block[self._open(block, person)]
            found += self.run.accused[waits[: most - len(found)]].tolist()
            if len(found) >= most:
                break
        return found

    def version(self, row: int, person: str = "") -> int:
        """Return the entry that last decided about a row, as far as a person may know; else 0."""
        run = self.run
        return self._version(run.identities([row])[row], person) if run.history.every else 0

    def _version(self, at: Identity, person: str) -> int:
        made = self.run.history.shown(at, person, self.run.needed)
        return made[-1].entry if made else 0

    def state(self, row: int, person: str = "") -> State:
        """Return what a person may know of a row's decisions, all of it as of the same moment."""
        run = self.run
        # beforehand: it may take a look at the whole lineage, and decisions must not wait for that
        at = run.identities([row])[row] if run.history.every else None
        with self._taking:
            if at is not None or not run.history.every:
                version = 0 if at is None else self._version(at, person)
                return State(
                    version, run.standing.get(row), self.waits(row, person), self.fate(row)
                )
        return self.state(row, person)  # the first decision of all was made meanwhile

    def take(self, made: list[Decision]) -> None:
        """Follow later decisions on the dataset."""
        with self._taking:
            self._take(made)

    def _take(self, made: list[Decision]) -> None:
        run, base = self.run, self.run.entry.seq
        run.follow(made)
        own = {each.row: each.identity for each in made if each.base == base}
        others = {each.identity for each in made if each.base != base}
        located = own | (run.rows_of(others) if others else {})
        judged = run.history.judge(located, run.contract, run.rowed, base)
        kept = decisions.kept({row: run.applied[row] for row in located if row in run.applied})
        for row in located:
            now = judged.standing.get(row) or kept.get(row)
            if now is None:
                run.standing.pop(row, None)
            else:
                run.standing[row] = now
        if run.pending or judged.pending:
            self._wait(located, judged.pending)
        self._settle(list(located))

    def _wait(self, rows: Iterable[int], pending: Mapping[int, Weighed]) -> None:
        """Note which of some rows wait for another person."""
        known = self.run.pending
        for row in rows:
            before, after = known.pop(row, None), pending.get(row)
            if after is not None:
                known[row] = after
            self.states[before.state if before else ""] -= 1
            self.states[after.state if after else ""] += 1

    def _settle(self, rows: list[int]) -> None:
        """Bring what waits and the counts in line with the decisions on rows."""
        ordinals = np.array(rows, np.int64)
        places = self.run.places(ordinals)
        self._fate_of_others(ordinals[places < 0].tolist())
        is_accused = places >= 0
        at, standing = places[is_accused], self.run.standing
        mine = ordinals[is_accused].tolist()
        lasts = [standing.get(row) for row in mine]
        is_bare = np.array([last is None for last in lasts], bool)
        is_open = is_bare | np.array([row in self.run.pending for row in mine], bool)
        fates = np.array([_code(last) for last in lasts], np.int8)
        fates[is_bare] = self.run.fates[at[is_bare]]
        waited, before = self._waits[at], self._fates[at]
        self._waits[at], self._fates[at] = is_open, fates
        size = len(self.groups)
        self._counts += np.bincount(self._group_of[at[is_open & ~waited]], minlength=size)
        self._counts -= np.bincount(self._group_of[at[~is_open & waited]], minlength=size)
        change = np.bincount(fates, minlength=3) - np.bincount(before, minlength=3)
        self._rows += change
        self._hold(at, mine)

    def _hold(self, at: np.ndarray, rows: list[int]) -> None:
        """Note for whom rows, which are at these places, do not wait: who has decided already."""
        if not self.run.pending and not self._own:
            return
        held: dict[str, list[int]] = {}
        for place, weighed in zip(at.tolist(), map(self.run.pending.get, rows), strict=True):
            for name in _holders(weighed):
                held.setdefault(name, []).append(place)
        for name in held.keys() - self._own.keys():
            size = len(self.run.accused), len(self.groups)
            self._own[name] = Own(np.zeros(size[0], bool), np.zeros(size[1], np.int64))
        for name, own in self._own.items():
            own.put(at, np.array(held.get(name, ()), np.int64), self._group_of)

    def _fate_of_others(self, rows: list[int]) -> None:
        """Count the fates of rows that nothing accuses: clean, unless a person rejected them."""
        for row in rows:
            is_out = _code(self.run.standing.get(row)) == FATES.index("rejected")
            if is_out != (row in self._refused):
                step = 1 if is_out else -1
                self._rows[FATES.index("rejected")] += step
                self._rows[FATES.index("clean")] -= step
                self._refused ^= {row}

    def fate(self, row: int) -> str:
        """Return the fate that a row would have in a release."""
        place = self.run.place(row)
        if place is None:
            return "rejected" if row in self._refused else "clean"
        return FATES[self._fates[place]]


def _holders(weighed: Weighed | None) -> set[str]:
    """Return for whom a row does not wait: the people, and accounts, who have decided about it."""
    if weighed is None or weighed.state == "disagreement":
        return set()
    return {name for each in weighed.opinions for name in (each.reviewer, each.account) if name}


def _code(standing: Standing | None) -> int:
    """Return the fate of a decided row as its place in FATES; of others, clean."""
    is_out = standing is not None and standing.last.decision == "reject"
    return FATES.index("rejected" if is_out else "clean")


def mark_of(rows: np.ndarray) -> str:
    """Return the mark of rows of a group, int64, ascending: 32 hex digits."""
    return hashlib.sha256(rows.tobytes()).hexdigest()[:32]


def little_from(parts: Collection[Part]) -> int:
    """Return from which group on all groups together are worth little; their number if none."""
    worth = [_worth(part) for part in parts]
    rest, limit = sum(worth), LITTLE * sum(worth)
    for place, each in enumerate(worth):
        if rest <= limit:
            return place
        rest -= each
    return len(worth)


def share_from(parts: Collection[Part], place: int) -> float:
    """Return the share of all worth from a group on, in [0, 1]."""
    worth = [_worth(part) for part in parts]
    return sum(worth[place:]) / (sum(worth) or 1.0)


def _worth(part: Part) -> float:
    return part.group.worth * part.waiting / max(len(part.group.rows), 1)


class LiveSelector(Selector):
    """Finds rows in the queue that is in memory."""

    def __init__(self, queue: LiveQueue, name: str = "") -> None:
        """Select from what waits for a person in a queue."""
        super().__init__(queue.run, name)
        self._queue, self._person = queue, name

    def rows(self, wanted: Selection) -> np.ndarray:
        """Return the rows of a selection; of a group, those that wait."""
        if wanted.group:
            return self._queue.left(wanted.group, self._person)
        return super().rows(wanted)


def reasons_by_row(run: IndexedRun, rows: Collection[int]) -> Mapping[int, list[dict[str, Any]]]:
    """Return the findings on rows by row, causes first."""
    made: dict[int, list[dict[str, Any]]] = {row: [] for row in rows}
    for item in run.findings_on(rows).to_pylist():
        made[item.pop("row")].append(item)
    return made
