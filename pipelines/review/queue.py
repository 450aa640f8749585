"""The queue of a run, as `assay review --list` tells it: groups, worst first, with examples."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import verdict
from pipelines.review import approval, grouping, live_queue, shown_cells
from pipelines.review.grouping import Group
from pipelines.review.live_queue import Part
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection, Selector

EXAMPLES = 3  # rows of a group in the list of groups


@dataclasses.dataclass(frozen=True, slots=True)
class Queue:
    """What waits.

    Attributes:
        run: under review.
        groups: of the rows that wait, worst first.
        chosen: those that are listed.
        name: of the person for whom they wait.
    """

    run: ReviewedRun
    groups: list[Group]
    chosen: list[Group]
    name: str = ""

    def summary(self, number: int) -> dict[str, Any]:
        """Return the object of `--json` without its rows: counts and groups.

        `number` is that of the run or release that was asked about.
        """
        waiting = sum(len(group.rows) for group in self.groups)
        held = sum(len(group.rows) for group in self.groups if group.fate == "quarantine")
        parts = [Part(group, len(group.rows)) for group in self.groups]
        stop = live_queue.little_from(parts)
        return {
            "schema": "assay.review/1", "run": number, "base": self.run.entry.seq,
            "waiting": waiting, "quarantined": held, "decided": len(self.run.standing),
            "people": people(self.run),
            "groups": [_group(group) for group in self.groups],
            # from this group on, all of them together are worth little
            "stop": stop,
            "rest": {"rows": sum(part.waiting for part in parts[stop:]),
                     "share": round(live_queue.share_from(parts, stop), 3)},
        }  # fmt: skip

    def rows(self, limit: int, *, unmasked: bool = False) -> list[dict[str, Any]]:
        """Return the first rows of the chosen groups, in their order.

        Args:
            limit: how many, 0 for all.
            unmasked: whether cells that may be personal are shown.
        """
        rows = np.concatenate([np.empty(0, np.int64), *(group.rows for group in self.chosen)])
        return self._rows(rows[: limit or len(rows)].tolist(), unmasked=unmasked)

    def examples(self, *, unmasked: bool = False) -> dict[str, list[dict[str, Any]]]:
        """Return the first rows of each group by its id."""
        rows = [row for group in self.groups for row in group.rows[:EXAMPLES].tolist()]
        told = {item["row"]: item for item in self._rows(rows, unmasked=unmasked)}
        return {
            group.id: [told[row] for row in group.rows[:EXAMPLES].tolist()] for group in self.groups
        }

    def _rows(self, rows: list[int], *, unmasked: bool) -> list[dict[str, Any]]:
        run, of = self.run, {row: group for group in self.groups for row in group.rows.tolist()}
        reasons: dict[int, list[dict[str, Any]]] = {row: [] for row in rows}
        found = grouping.waiting_findings(run, self.name)
        chosen = found.filter(pc.is_in(found["row"], pa.array(rows, pa.int64())))
        for item in verdict.causes_first(chosen).to_pylist():
            reasons[item.pop("row")].append(item)
        columns = {item["column"] for each in reasons.values() for item in each} | set(run.keys)
        names = [name for name in run.columns if name in _parts(columns)]
        cells = shown_cells.shown(run, rows, names, unmasked=unmasked)
        return [
            {"row": row, "group": of[row].id, "fate": of[row].fate,
             "score": max(item["score"] for item in reasons[row]),
             "key": {name: cells[row][name] for name in run.keys if row in cells},
             "cells": _accused_cells(reasons[row], cells.get(row, {})),
             "reasons": reasons[row], "review": approval.facts(run.pending_to(self.name, row)),
             "says": approval.told(run.pending_to(self.name, row))}
            for row in rows
        ]  # fmt: skip


def of(run: ReviewedRun, group: str = "", name: str = "") -> Queue:
    """Return what waits for a person in a run.

    Args:
        run: under review.
        group: the only one that is listed, if it is named (ASSAY-C014 if it does not exist).
        name: of the person; without one, nobody's lone opinion is told.
    """
    groups = grouping.groups(run, name)
    if group:
        Selector(run, name).rows(Selection(group=group))
    return Queue(run, groups, [each for each in groups if group in ("", each.id)], name)


def people(run: ReviewedRun) -> dict[str, Any]:
    """Return how many people the contract asks for, what waits for another one, and kappa."""
    return {
        "reviewers": run.needed.reviewers,
        "second_person": sorted(run.needed.second_person),
        **approval.counted(run.pending.values()),
        "agreement": [each.as_dict() for each in run.history.pairs.agreements()],
    }


def _group(group: Group) -> dict[str, Any]:
    reasons = [{name: item[name] for name in item if name not in ("row", "score", "p_value")}
               for item in group.reasons]  # fmt: skip
    return {"group": group.id, "fate": group.fate, "rows": len(group.rows),
            "first": int(group.rows[0]), "likely": round(group.likely, 3),
            "worth": round(group.worth, 1), "reasons": reasons, "review": group.lesson.as_dict(),
            "lesson": group.lesson.says()}  # fmt: skip


def _parts(columns: set[str | None]) -> set[str]:
    """Return the names in the columns of findings, some of which name two."""
    return {part.strip() for column in columns if column for part in (column, *column.split(","))}


def _accused_cells(reasons: list[dict[str, Any]], cells: dict[str, str]) -> dict[str, str]:
    """Return the cells that the reasons are about."""
    wanted = _parts({item["column"] for item in reasons})
    return {name: cell for name, cell in cells.items() if name in wanted}


def lines_of(item: dict[str, Any]) -> Iterator[str]:
    """Yield the words that tell a row apart: its number, its key, the cells that are accused."""
    yield f"row {item['row']}"
    for name, cell in {**item["key"], **item["cells"]}.items():
        yield f"{name}={cell!r}"
    if item["says"]:
        yield item["says"]
