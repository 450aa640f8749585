"""What the review page is told of a queue and of its rows, as JSON; cells are masked here.

Nothing that a browser gets holds a cell that may be personal, until the reviewer asks for exactly
that cell and the ledger has recorded it.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.review import advice, approval, live_queue, nearest, shown_cells
from pipelines.review.desk import Desk, Own
from pipelines.review.live_queue import LiveQueue, Part
from pipelines.store import row_history
from pipelines.store.opinions import Decision, Weighed
from provenance.base.errors import AssayError, printable

MOST_GROUPS = 200  # that a list has
MOST_CLASSES = 100
LONGEST = 2000  # characters of a cell
LONGEST_MASKED = 80
LONGEST_SHOWN = 100_000  # of a cell that was asked for
MOST_PAIRS = 3  # of people whose agreement is told
SAMPLES = 5
Meaning = Callable[[str], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Answers:
    """Answers about one queue.

    Attributes:
        desk: follows the ledger.
        queue: of one run.
        words: returns what a rule means, empty for an unknown one.
    """

    desk: Desk
    queue: LiveQueue
    words: Callable[[str], str]

    @property
    def name(self) -> str:
        """Return the name of who asks."""
        return self.desk.reviewer

    def groups(self) -> dict[str, Any]:
        """Return the groups that have rows left, and where the rest is worth little."""
        parts = self.queue.parts(self.name)
        stop = live_queue.little_from(parts)
        return {
            **self.state(),
            "groups": [made for part in parts[:MOST_GROUPS] if (made := self._group(part))],
            "more": max(0, len(parts) - MOST_GROUPS),
            "stop": stop,
            "rest": {"rows": sum(part.waiting for part in parts[stop:]),
                     "share": round(live_queue.share_from(parts, stop), 3)},
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Return what every answer says: what waits, what a release would hold, what `u` undoes."""
        run = self.queue.run
        last = self.desk.last_own(run.entry.facts["dataset"])
        return {
            "run": run.entry.seq, "waiting": self.queue.waiting_for(self.name),
            "rows": self.queue.rows, "decided": len(run.standing), "last": _own(last),
            "people": self._people(),
        }  # fmt: skip

    def _people(self) -> dict[str, Any] | None:
        """Return what waits for another person, and how far two agree; None if one is enough."""
        run, states = self.queue.run, self.queue.states
        if not (run.needed.is_blind or run.needed.second_person or run.pending):
            return None
        return {
            "reviewers": run.needed.reviewers,
            **{state: states[state] for state in approval.STATES},
            "agreement": [each.says() for each in run.history.pairs.agreements()[:MOST_PAIRS]],
        }

    def pending(self, state: str) -> list[int]:
        """Return the rows whose decisions wait for another person, and are in one state."""
        every = list(self.queue.run.pending.items())  # at once: another thread may add to them
        return sorted(row for row, weighed in every if weighed.state == state)

    def around(self, name: str, row: int, most: int, *, back: bool = False) -> dict[str, Any]:
        """Return rows of a group that wait, after or before a row, each in full."""
        queue = self.queue
        find = queue.preceding if back else queue.following
        rows = find(name, row, most, self.name)
        return {**self.state(), "left": queue.count(name, self.name), "items": self.rows(rows)}

    def samples(self, name: str) -> dict[str, Any]:
        """Return a few rows of a group, from its start to its end."""
        rows = self.queue.left(name, self.name)
        places = np.linspace(0, len(rows) - 1, min(SAMPLES, len(rows)))
        return {
            "rows": len(rows),
            "mark": live_queue.mark_of(rows),
            "items": self.rows(rows[places.astype(int)].tolist()),
        }

    def row(self, row: int) -> dict[str, Any]:
        """Return all that a reviewer sees of a row; C013 if the run has no such row."""
        self.require(row)
        return self.rows([row])[0]

    def require(self, row: int) -> None:
        """Refuse (ASSAY-C013) a row that the run does not have."""
        run = self.queue.run
        if not 0 <= row < run.rows:
            what = f"run {run.entry.seq} has no row {row}"
            raise AssayError("C013", what, fix=f"give a row from 0 to {run.rows - 1}")

    def rows(self, rows: list[int]) -> list[dict[str, Any]]:
        """Return all that a reviewer sees of rows."""
        cells = self._cells(rows)
        return [self._row(row, cells.get(row, [])) for row in rows]

    def _row(self, row: int, cells: list[dict[str, Any]]) -> dict[str, Any]:
        run = self.queue.run
        group = self.queue.group_at(row)
        state = self.queue.state(row, self.name)
        now = state.standing
        is_unreadable = row in run.unreadable
        told = run.told(row, self.name)
        waits = run.pending_to(self.name, row)
        reasons = live_queue.reasons_by_row(run, [row])[row]
        return {
            "row": row,
            "group": group.id if group else None,
            "fate": state.fate,
            "waits": state.waits,
            "version": state.version,
            "key": run.keys,
            "cells": cells,
            "readable": not is_unreadable,
            "reasons": [self._reason(item) for item in reasons],
            "decision": self._decision(now.last, now.holders) if now else None,
            "two": run.needed.is_two("release", [item["rule"] for item in reasons]),
            "state": waits.state if waits else "",
            "opinions": [self._decision(each) for each in waits.opinions] if waits else [],
            "told": [self._decision(each) | {"same": same} for each, same in told],
            "can": ["reject"] if is_unreadable else self._possible(waits),
        }  # fmt: skip

    def fates(self, row: int) -> list[dict[str, Any]]:
        """Return the fate of a row in every run that read the same file, in order."""
        run = self.queue.run
        source = row_history.source_of(run.entry, row)
        copy = row_history.copy_of(run.entry, source)
        local = row - int(source["first_row"])
        names = ("run", "kind", "time", "fate")
        every = row_history.fates_of(run.store, source["sha256"], local, copy)
        return [{name: item[name] for name in names} for item in every]

    def near(self, row: int) -> dict[str, Any]:
        """Return what would make a row pass, and the clean rows most like it, masked."""
        self.require(row)
        run = self.queue.run
        like = nearest.nearest(run, row)
        cells = shown_cells.shown(run, [each.row for each in like], run.columns)
        reasons = live_queue.reasons_by_row(run, [row])[row]
        return {
            "passing": [plain(text) for text in advice.passing(run, reasons)],
            "near": [
                {"row": each.row, "distance": each.distance,
                 "cells": [{"column": name, "text": plain(cells[each.row][name])}
                           for name in each.differs]}
                for each in like
            ],
        }  # fmt: skip

    def cell(self, row: int, column: str) -> dict[str, Any]:
        """Return one cell as it is, after the ledger has recorded who sees it."""
        run = self.queue.run
        if column not in run.columns:
            raise AssayError("C013", "the run has no such column", fix="reload the page")
        self.require(row)
        self.desk.record_view(self.queue, column)
        cells = run.cells([row], [column])
        cell = cells[column][0].as_py() if len(cells) else None
        text = "" if cell is None else str(cell)
        return {"text": plain(text[:LONGEST_SHOWN]), "length": len(text)}

    def classes(self) -> list[str]:
        """Return the labels that a row may get, none if there are too many or they are personal."""
        run = self.queue.run
        label = run.contract.label
        if label is None or label in run.private:
            return []
        seen = {str(each) for each in run.contract.column(label).valid_values or ()}
        if not seen:
            for name in run.files.names("clean"):
                cells = run.files.table(name, [label])[label].unique().drop_null()
                seen |= {str(cell) for cell in cells[: MOST_CLASSES + 1].to_pylist()}
        return sorted(seen) if len(seen) <= MOST_CLASSES else []

    def _possible(self, waits: Weighed | None) -> list[str]:
        words = ["release", "reject", "correct", "redact"]
        words += ["relabel"] if self.queue.run.contract.label else []
        return [*words, "approve"] if approval.may_approve(waits, self.desk.who) else words

    def _group(self, part: Part) -> dict[str, Any] | None:
        """Return a group; None if its last row was decided since the groups were counted."""
        group = part.group
        ahead = self.queue.following(group.id, -1, 1, self.name)
        if not ahead:
            return None
        return {
            "group": group.id, "fate": group.fate, "rows": part.waiting,
            "likely": round(group.likely, 2), "worth": round(group.worth, 1),
            "first": ahead[0],
            "reasons": [self._reason(reason) for reason in group.reasons],
        }  # fmt: skip

    def _reason(self, item: Mapping[str, Any]) -> dict[str, Any]:
        names = ("check", "rule", "column", "severity", "score", "p_value")
        texts = {name: printable(item[name] or "")[:LONGEST] for name in ("evidence", "suggestion")}
        return {name: item[name] for name in names} | texts | {"means": self.words(item["rule"])}

    def _cells(self, rows: list[int]) -> dict[int, list[dict[str, Any]]]:
        """Return the cells of each row, in the order of the columns."""
        table = self.queue.run.cells(rows)
        made: dict[int, list[dict[str, Any]]] = {row: [] for row in table["row"].to_pylist()}
        for name in table.column_names[1:]:
            hidden = self._hidden(name, table[name])
            for own, cell, is_hidden in zip(made.values(), table[name].to_pylist(), hidden,
                                            strict=True):  # fmt: skip
                own.append(_cell(name, cell, is_hidden=is_hidden))
        return made

    def _hidden(self, name: str, cells: pa.ChunkedArray) -> list[bool]:
        """Return which cells of a column are masked: all, or those that look personal."""
        if name in self.queue.run.private:
            return [True] * len(cells)
        if not shown_cells.holds_private(name, cells):
            return [False] * len(cells)
        return [shown_cells.holds_private(name, cells[at : at + 1]) for at in range(len(cells))]

    def _decision(self, made: Decision, holders: tuple[str, ...] = ()) -> dict[str, Any]:
        value = shown_cells.shown_value(self.queue.run, made.column, made.value)
        return {
            "decision": made.decision, "column": made.column, "value": value and plain(value),
            "reason": made.reason and printable(made.reason),
            "by": printable(" and ".join(holders) or made.reviewer),
            "entry": made.entry, "base": made.base, "time": made.time,
            "own": all(name == self.name for name in holders or (made.reviewer,)),
            "approves": made.approves,
        }  # fmt: skip

    def conflict(self, last: Decision | None, message: str, row: int | None) -> dict[str, Any]:
        """Return the answer to a decision on something that was decided meanwhile."""
        told = self._decision(last) if last else None
        item = self.row(row) if row is not None else None
        return {**self.state(), "message": message, "last_decision": told, "item": item}


def _cell(name: str, cell: Any, *, is_hidden: bool) -> dict[str, Any]:
    text = "" if cell is None else str(cell)
    most = LONGEST_MASKED if is_hidden else LONGEST
    cut = text[:most]
    told = plain(shown_cells.masked(cut) if is_hidden else cut)
    return {
        "column": name, "text": told, "masked": is_hidden,
        "missing": cell is None, "length": len(text), "cut": len(text) > most,
    }  # fmt: skip


def _own(last: Own | None) -> dict[str, Any] | None:
    return {"entry": last.entry, "counts": last.counts} if last else None


def words_of(means: Meaning) -> Callable[[str], str]:
    """Return what says in words what a rule means; each rule is looked up once."""

    @functools.cache
    def words(rule: str) -> str:
        try:
            return str(means(rule)["means"])
        except AssayError:
            return ""  # a rule that the contract names itself

    return words


def plain(text: str) -> str:
    """Return a text as a page may show it: control and direction characters are written out."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else f"\\u{ord(char):04x}" for char in text
    )
