"""The queue of one run, kept in memory while it is reviewed, and changed by each decision.

Groups keep their place and their id while the page is open: they are made of all rows that are
accused, decided or not, so that a withdrawn decision puts its rows back where they were.
Cost: one decision touches only its own rows; the next row of a group is found in blocks.
"""

import dataclasses
import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from pipelines.review import grouping, lessons
from pipelines.review.grouping import Group
from pipelines.review.indexed_run import IndexedRun
from pipelines.review.selection import Selection, Selector
from pipelines.store import decisions
from pipelines.store.decisions import Decision, Standing
from provenance.base.errors import AssayError
from provenance.ledger.run_files import FATES

LITTLE = 0.05  # share of all worth below which the rest of the queue is worth little
_BLOCK = 4096  # rows that are searched at a time


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A group, and how many of its rows wait."""

    group: Group
    waiting: int


class LiveQueue:
    """What waits in one run; one thread at a time may call `take`."""

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
        self._settle([*run.standing])
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
        """Return how many rows wait."""
        return int(self._counts.sum())

    @property
    def rows(self) -> Mapping[str, int]:
        """Return the rows by the fate that they would have in a release."""
        return dict(zip(FATES, self._rows.tolist(), strict=True))

    def parts(self) -> list[Part]:
        """Return the groups with rows that wait, worst first."""
        pairs = zip(self.groups, self._counts.tolist(), strict=True)
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

    def waits(self, row: int) -> bool:
        """Return whether a row waits for a decision."""
        place = self.run.place(row)
        return place is not None and bool(self._waits[place])

    def left(self, name: str) -> np.ndarray:
        """Return the rows of a group that wait: int64, ascending."""
        members = self._members[self._number[self.group(name).id]]
        rows: np.ndarray = self.run.accused[members[self._waits[members]]]
        return rows

    def count(self, name: str) -> int:
        """Return how many rows of a group wait."""
        return int(self._counts[self._number[self.group(name).id]])

    def mark(self, name: str) -> str:
        """Return what changes when other rows of a group wait: 32 hex digits."""
        return hashlib.sha256(self.left(name).tobytes()).hexdigest()[:32]

    def following(self, name: str, row: int, most: int) -> list[int]:
        """Return the next rows of a group that wait, after a row (-1: from the first)."""
        members = self._members[self._number[self.group(name).id]]
        start = int(np.searchsorted(self.run.accused[members], row, "right"))
        return self._found(members, range(start, len(members), _BLOCK), most)

    def preceding(self, name: str, row: int, most: int) -> list[int]:
        """Return the rows of a group that wait before a row, the nearest first."""
        members = self._members[self._number[self.group(name).id]]
        end = int(np.searchsorted(self.run.accused[members], row, "left"))
        return self._found(members[:end][::-1], range(0, end, _BLOCK), most)

    def _found(self, members: np.ndarray, blocks: Iterable[int], most: int) -> list[int]:
        found: list[int] = []
        for start in blocks:
            block = members[start : start + _BLOCK]
            found += self.run.accused[block[self._waits[block]]][: most - len(found)].tolist()
            if len(found) >= most:
                break
        return found

    def version(self, row: int) -> int:
        """Return the number of the entry that last decided about a row, 0 if none did."""
        every = self.run.history.every
        if not every:
            return 0
        made = every.get(self.run.identities([row])[row])
        return made[-1].entry if made else 0

    def take(self, made: list[Decision]) -> None:
        """Follow later decisions on the dataset."""
        run, base = self.run, self.run.entry.seq
        run.follow(made)
        own = {each.row: each.identity for each in made if each.base == base}
        others = {each.identity for each in made if each.base != base}
        located = own | (run.rows_of(others) if others else {})
        judged = run.history.judge(located, run.contract, run.rowed, base).standing
        kept = decisions.kept({row: run.applied[row] for row in located if row in run.applied})
        for row in located:
            now = judged.get(row) or kept.get(row)
            if now is None:
                run.standing.pop(row, None)
            else:
                run.standing[row] = now
        self._settle(list(located))

    def _settle(self, rows: list[int]) -> None:
        """Bring what waits and the counts in line with the decisions on rows."""
        ordinals = np.array(rows, np.int64)
        places = self.run.places(ordinals)
        self._fate_of_others(ordinals[places < 0].tolist())
        is_accused = places >= 0
        at, standing = places[is_accused], self.run.standing
        lasts = [standing.get(row) for row in ordinals[is_accused].tolist()]
        is_open = np.array([last is None for last in lasts], bool)
        fates = np.array([_code(last) for last in lasts], np.int8)
        fates[is_open] = self.run.fates[at[is_open]]
        waited, before = self._waits[at], self._fates[at]
        self._waits[at], self._fates[at] = is_open, fates
        size = len(self.groups)
        self._counts += np.bincount(self._group_of[at[is_open & ~waited]], minlength=size)
        self._counts -= np.bincount(self._group_of[at[~is_open & waited]], minlength=size)
        change = np.bincount(fates, minlength=3) - np.bincount(before, minlength=3)
        self._rows += change

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


def _code(standing: Standing | None) -> int:
    """Return the fate of a decided row as its place in FATES; of others, clean."""
    is_out = standing is not None and standing.last.decision == "reject"
    return FATES.index("rejected" if is_out else "clean")


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

    def __init__(self, queue: LiveQueue) -> None:
        """Select from a queue."""
        super().__init__(queue.run)
        self._queue = queue

    def rows(self, wanted: Selection) -> np.ndarray:
        """Return the rows of a selection; of a group, those that wait."""
        return self._queue.left(wanted.group) if wanted.group else super().rows(wanted)


def reasons_by_row(run: IndexedRun, rows: Collection[int]) -> Mapping[int, list[dict[str, Any]]]:
    """Return the findings on rows by row, causes first."""
    made: dict[int, list[dict[str, Any]]] = {row: [] for row in rows}
    for item in run.findings_on(rows).to_pylist():
        made[item.pop("row")].append(item)
    return made
