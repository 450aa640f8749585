"""Which rows a decision is about: named one by one, by key, by rule, or by group."""

import dataclasses

import numpy as np
import pyarrow.compute as pc

from pipelines.review import grouping, shown_cells
from pipelines.review.reviewed_run import ReviewedRun
from provenance.base.errors import AssayError
from provenance.base.ordinals import ordinal

SEPARATOR = "="  # between the column and the value of a key


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Rows by one of four names; the others are empty. All of them empty: every decided row.

    Attributes:
        row: an ordinal, as text.
        group: the id of a group of the queue.
        rule: as `assay review --list` shows it; with `column` after a space, only in that column.
        key: `COLUMN=VALUE`, or the value alone if the key is one column.
    """

    row: str = ""
    group: str = ""
    rule: str = ""
    key: str = ""


class Selector:
    """Finds the rows of selections in one run; what every selection needs is read once."""

    def __init__(self, run: ReviewedRun, name: str = "") -> None:
        """Keep the run, and for whom its rows wait; nothing is read yet."""
        self._run, self._name = run, name
        self._groups: dict[str, np.ndarray] | None = None

    def rows(self, wanted: Selection) -> np.ndarray:
        """Return the rows: int64, ascending.

        Raises:
            AssayError: ASSAY-C014 if there are none, or if a name has not the form that it needs.
        """
        if wanted.row:
            return self._row(wanted.row)
        if wanted.group:
            return self._group(wanted.group)
        if wanted.rule:
            return self._rule(wanted.rule)
        return self._key(wanted.key)

    def _row(self, text: str) -> np.ndarray:
        row = ordinal(text)
        if row is None:
            fix = "give a row's number as `assay review --list` shows it"
            raise AssayError("C014", "the row must be a whole number from 0", fix=fix)
        if row >= self._run.rows:
            what = f"run {self._run.entry.seq} has no row {row}"
            raise AssayError("C014", what, fix=f"give a row from 0 to {self._run.rows - 1}")
        return np.array([row], np.int64)

    def _group(self, name: str) -> np.ndarray:
        if self._groups is None:
            self._groups = {
                group.id: group.rows for group in grouping.groups(self._run, self._name)
            }
        if name not in self._groups:
            what = f"no group {name!r} waits in run {self._run.entry.seq}"
            fix = "list the groups with `assay review RUN --list`; decided rows leave their group"
            raise AssayError("C014", what, fix=fix)
        return self._groups[name]

    def _rule(self, text: str) -> np.ndarray:
        rule, _, column = text.partition(" ")
        found = grouping.waiting_findings(self._run, self._name)
        mine = found.filter(pc.equal(found["rule"], rule))
        if column:
            mine = mine.filter(pc.equal(mine["column"], column))
        if not len(mine):
            what = f"no row that waits in run {self._run.entry.seq} is accused by {text!r}"
            fix = "give a rule as `assay review --list` shows it, in full"
            raise AssayError("C014", what, fix=fix)
        return np.unique(mine["row"].to_numpy())

    def _key(self, text: str) -> np.ndarray:
        run = self._run
        column, has_column, value = text.partition(SEPARATOR)
        if not has_column and len(run.keys) == 1:
            column, value = run.keys[0], text
        if column not in run.columns:
            keys = " or ".join(repr(name) for name in run.keys)
            fix = f"the primary key is {keys}" if keys else "name the row by its number"
            if has_column:
                what = f"run {run.entry.seq} has no column {column!r}"
                raise AssayError("C014", what, fix=f"{fix}; any column of the source may be named")
            what = "a key is written as COLUMN=VALUE, with a column of the source"
            raise AssayError("C014", what, fix=fix)
        if shown_cells.is_hidden(run, column, value):
            # whoever sees the cells masked could confirm a guess by whether a row is found
            what = f"cells of {column!r} like this one are masked, so no row can be found by them"
            raise AssayError("C014", what, fix="name the row by its number, or show its cell")
        rows = run.rows_with(column, value)
        if not len(rows):
            # the value may be personal, so it is not repeated
            what = f"run {run.entry.seq} has no row with this value of {column!r}"
            raise AssayError("C014", what, fix="write the value as the source has it")
        return rows
