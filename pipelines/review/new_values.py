"""New values of cells: what the contract says of each, before a decision with one is recorded.

The next run takes a new value as it was decided, so it must keep here what a cell must keep there:
its type, its rules, its expectations of Great Expectations, and that a key occurs once.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from checks.kit.contract_model import Rule
from pipelines.review import judged_cells, shown_cells
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.store import corrections
from pipelines.store.opinions import CHANGES
from provenance.base.errors import AssayError
from provenance.rows import cast

UNIQUE = ("unique", "expect_column_values_to_be_unique")


@dataclasses.dataclass(frozen=True, slots=True)
class NewValue:
    """What a decision to relabel or to correct puts into a column."""

    decision: str
    column: str | None
    value: str | None


class Judge:
    """Judges the new values of one batch of decisions; each value of a column is judged once."""

    def __init__(self, run: ReviewedRun, record_view: Callable[..., None]) -> None:
        """Judge by the contract of a run.

        Args:
            run: under review.
            record_view: records who is about to be told that a masked cell has a value already.
        """
        self._run, self._record_view = run, record_view
        self._kept: set[tuple[str, str]] = set()

    def require(self, new: NewValue, rows: np.ndarray) -> None:
        """Refuse (ASSAY-C014) a new value that the contract does not allow in rows.

        Args:
            new: the value.
            rows: int64, ascending.
        """
        is_label = new.decision == "relabel"
        what = "the new label" if is_label else "the new value"
        if not new.value:
            of = "" if is_label else " of the cell"
            fix = "give it with --value, or in the column value"
            raise AssayError("C014", f"{new.decision} needs a value: {what}{of}", fix=fix)
        if is_label and self._run.contract.label is None:
            raise AssayError("C014", "the contract has no label column to change")
        if not new.column:
            fix = "give it with --column, or in the column named column"
            raise AssayError("C014", "correct needs the column of the cell", fix=fix)
        if (new.column, new.value) not in self._kept:
            self._require_allowed(new.column, new.value, what)
            self._kept.add((new.column, new.value))
        self._require_once(new.column, new.value, rows, what)

    def _require_allowed(self, column: str, value: str, what: str) -> None:
        contract = self._run.contract
        corrections.require_valid(contract, column, value, what)
        if broken := judged_cells.broken(self._run, column, value):
            raise _refusal(what, broken["id"], broken["where"])

    def _require_once(self, column: str, value: str, rows: np.ndarray, what: str) -> None:
        for rule in _unique(self._run, column):
            if not _is_once(self._run, column, value, rows, rule):
                if shown_cells.is_hidden(self._run, column, value):
                    self._record_view(rows=1, columns=[column])
                raise _refusal(what, rule.id, rule.where)


def prepare(run: ReviewedRun, new: NewValue) -> None:
    """Judge what takes long of a new value beforehand, outside of locks; nothing is refused.

    A decision to relabel needs no column here: it changes the contract's label.
    """
    column = run.contract.label if new.decision == "relabel" else new.column
    if new.decision in CHANGES and column and new.value:
        with contextlib.suppress(AssayError):
            corrections.require_valid(run.contract, column, new.value, "the new value")
            judged_cells.broken(run, column, new.value)


def _refusal(what: str, rule: str, where: str) -> AssayError:
    fix = f"give a value that keeps it, or change the contract ({where})"
    return AssayError("C014", f"{what} breaks the rule {rule}", fix=fix)


def _unique(run: ReviewedRun, column: str) -> Iterator[Rule]:
    """Yield the rules of severity error by which a column, or it with others, occurs once."""
    for rule in run.contract.rules:
        is_strict = rule.severity == "error" and "bound" not in rule.params
        if rule.kind in UNIQUE and is_strict and column in _columns(rule):
            yield rule


def _columns(rule: Rule) -> list[str]:
    return list(rule.params.get("columns") or [rule.column])


def _is_once(run: ReviewedRun, column: str, value: str, rows: np.ndarray, rule: Rule) -> bool:
    """Return whether no other row has what rows have in a rule's columns with the new value."""
    others = [name for name in _columns(rule) if name != column]
    taken = _rows_with(run, column, value)
    if not others:
        return len(rows) == 1 and not taken.difference(rows.tolist())
    own = run.cells(rows.tolist(), others)
    keys: set[tuple[str, ...]] = set()
    for row, *cells in zip(*(own[name].to_pylist() for name in ("row", *others)), strict=True):
        key = tuple(str(cell) for cell in cells)
        same = [_rows_with(run, name, cell) for name, cell in zip(others, key, strict=True)]
        if key in keys or frozenset.intersection(taken, *same) - {row}:
            return False
        keys.add(key)
    return True


def _rows_with(run: ReviewedRun, column: str, value: str) -> frozenset[int]:
    """Return the rows that keep, or are to get, a value of a column, unless they are rejected."""
    cells, codes = cast.cast(pa.array([value], pa.string()), run.contract.column(column).spec)
    texts = {value} | ({str(cells[0].as_py())} if codes[0].as_py() is None else set())
    found = {int(row) for text in texts for row in run.rows_with(column, text)} - run.refused
    for row, now in run.standing.items():
        new = now.changes.get(column)
        if now.last.decision == "reject" or (new is not None and new not in texts):
            found.discard(row)
        elif new is not None:
            found.add(row)
    return frozenset(found)
