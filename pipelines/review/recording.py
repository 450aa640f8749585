"""Decisions on rows, checked all together and recorded as one entry of the ledger, or not at all.

The rows that a decision is about are frozen in the entry, so that it can be withdrawn as a whole.
"""

import dataclasses
import functools
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.clock import now
from pipelines.review import currency
from pipelines.review.new_values import Judge, NewValue
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import SEPARATOR, Selection, Selector
from pipelines.store import decisions
from pipelines.store.commit import Committer
from pipelines.store.decisions import CHANGES, WORDS, Decision
from provenance.base.errors import AssayError
from provenance.ledger.entry import Entry

ALWAYS = ("reject", "undo", "forget")  # possible for rows that cannot be read
WITHDRAW = ("undo", "forget")
TOLD = 20  # faults that a message names


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """A decision as a person wrote it.

    Attributes:
        selection: the rows.
        decision: one of `decisions.WORDS`.
        column: of `correct`.
        value: of `relabel` and `correct`.
        reason: why, for those who come later.
        where: file and line, for messages.
    """

    selection: Selection
    decision: str
    column: str | None = None
    value: str | None = None
    reason: str | None = None
    where: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded: the entry, and how many rows got which decision."""

    entry: Entry
    counts: dict[str, int]


def record(
    run: ReviewedRun, asks: Sequence[Ask], reviewer: str, *, overrule: bool = False
) -> Recorded:
    """Record decisions on the rows of a run, checked against all decisions that are recorded.

    Args:
        run: under review.
        asks: the decisions.
        reviewer: who decides.
        overrule: whether a decision may contradict that of somebody else, for which it needs a
            reason.

    Raises:
        AssayError: ASSAY-C014 with all that is wrong with them; nothing is recorded then.
    """
    return currency.until_recorded(
        run,
        lambda read: attempt(
            read, asks, reviewer, Selector(read), end=read.history.end, overrule=overrule
        ),
    )


def attempt(
    run: ReviewedRun,
    asks: Sequence[Ask],
    reviewer: str,
    selector: Selector,
    *,
    end: int,
    overrule: bool = False,
) -> Recorded:
    """Record decisions as `record` does, unless somebody was quicker.

    Args:
        run: under review.
        asks: the decisions.
        reviewer: who decides.
        selector: finds the rows.
        end: number of the last entry whose decisions the run knows.
        overrule: as of `record`.

    Raises:
        AssayError: ASSAY-C014 with all that is wrong with them; nothing is recorded then.
        OutdatedError: if a later entry has decisions on one of the rows.
    """
    faults: list[AssayError] = []
    chosen: list[tuple[Ask, np.ndarray]] = []
    judge = Judge(run, functools.partial(record_view, run, reviewer))
    for ask in (_with_label(run, each) for each in asks):
        try:
            rows = selector.rows(ask.selection)
            _require_possible(run, ask, rows)
            if ask.decision in CHANGES:
                new = NewValue(ask.decision, ask.column, ask.value)
                judge.require(new, rows)
            chosen.append((ask, rows))
        except AssayError as error:
            faults.append(at(error, ask.where))
    faults += _repeated(chosen)
    for ask, rows in chosen:
        faults += _contradictions(run, ask, rows, reviewer, overrule=overrule)
    refuse(faults)
    if not chosen:
        fix = "add a line for each row below the header"
        raise AssayError("C014", "the file contains no decisions", fix=fix)
    return _commit(run, chosen, reviewer, end)


def withdraw(run: ReviewedRun, number: int, reviewer: str, reason: str | None) -> Recorded:
    """Withdraw all decisions of one entry, on exactly the rows that it named.

    Raises:
        AssayError: ASSAY-C014 if the entry is no review of the dataset, or if a row of it was
            decided about again since.
    """
    return currency.until_recorded(
        run,
        lambda read: attempt_withdrawal(read, number, reviewer, reason, end=read.history.end),
    )


def attempt_withdrawal(
    run: ReviewedRun, number: int, reviewer: str, reason: str | None, *, end: int
) -> Recorded:
    """Withdraw the decisions of an entry as `withdraw` does, unless somebody was quicker.

    Raises:
        AssayError: as of `withdraw`.
        OutdatedError: if an entry later than `end` has decisions on one of the rows.
    """
    dataset = run.entry.facts["dataset"]
    history = run.history
    made = [d for stack in history.every.values() for d in stack if d.entry == number]
    if not made:
        what = f"entry {number} records no decisions on the dataset {dataset!r}"
        raise AssayError("C014", what, fix="find the entry with `assay ledger log`")
    latest = [history.stacks.get(d.identity, []) for d in made]
    if gone := [d for d, stack in zip(made, latest, strict=True)
                if not stack or stack[-1].entry != number]:  # fmt: skip
        what = f"{len(gone):,} of the rows of entry {number} were decided about again since"
        fix = f"withdraw the later decisions first; row {gone[0].row} is one of these rows"
        raise AssayError("C014", what, fix=fix)
    columns: dict[str, list[Any]] = {
        "row": [d.row for d in made],
        "decision": ["undo"] * len(made),
        "reason": [reason] * len(made),
        "reviewer": [reviewer] * len(made),
        "row_id": [d.identity[0] for d in made],
        "copy": [d.identity[1] for d in made],
        "key_id": [d.key_id for d in made],
    }
    table = _table(columns, len(made))
    return _append(run, table, {"base": made[0].base, "withdraws": number}, reviewer, end)


def record_view(run: ReviewedRun, reviewer: str, **shown: Any) -> None:
    """Record, before the fact, who is shown cells of a run that are masked otherwise.

    Args:
        run: under review.
        reviewer: who is about to see them.
        shown: number of `rows` and, if not all, their `columns`.
    """
    facts = {"schema": "assay.entry/1", "base": run.entry.seq, "by": reviewer,
             "dataset": run.entry.facts["dataset"], "shown": shown}  # fmt: skip
    Committer.of(run.store, now()).commit_access(facts)


def _with_label(run: ReviewedRun, ask: Ask) -> Ask:
    """Return a decision with the column that it changes: the label may be another one later."""
    if ask.decision != "relabel":
        return ask
    return dataclasses.replace(ask, column=run.contract.label)


def at(error: AssayError, where: str) -> AssayError:
    """Return a fault with the place of the decision, if it has one."""
    code = error.code.removeprefix("ASSAY-")
    return AssayError(code, error.what, where=where or error.where, fix=error.fix)


def _require_possible(run: ReviewedRun, ask: Ask, rows: np.ndarray) -> None:
    """Refuse a decision that could never be applied to the rows."""
    if ask.decision not in WORDS:
        raise AssayError("C014", "unknown decision", fix=f"write one of {', '.join(WORDS)}")
    if run.contract.policy.require_reason and not ask.reason:
        what = "the contract asks for a reason with each decision"
        raise AssayError("C014", what, fix="give it in the column reason")
    if ask.decision in WITHDRAW:
        _require_decided(run, ask, rows)
    if ask.decision not in ALWAYS and (gone := run.refused.intersection(rows.tolist())):
        row = min(gone)
        what = f"row {row} was rejected before run {run.entry.seq}, which holds no cells of it"
        raise AssayError("C014", what, fix="withdraw that decision (undo), and run again")
    if ask.decision not in ALWAYS and (dead := run.unreadable.intersection(rows.tolist())):
        row = min(dead)
        what = f"row {row} cannot be read under the contract, so it can only be rejected"
        raise AssayError("C014", what, fix="reject it, or repair the source and run again")


def _require_decided(run: ReviewedRun, ask: Ask, rows: np.ndarray) -> None:
    bare = [row for row in rows.tolist() if row not in run.standing]
    if bare:
        what = f"row {bare[0]} has no decision that could be withdrawn"
        fix = f"leave it out; `assay explain {run.entry.seq} {bare[0]}` shows what was decided"
        raise AssayError("C014", what, where=ask.where, fix=fix)


def _repeated(chosen: list[tuple[Ask, np.ndarray]]) -> Iterator[AssayError]:
    """Yield a fault for rows with two decisions; it names both lines."""
    seen: dict[int, Ask] = {}
    for ask, rows in chosen:
        twice = [row for row in rows.tolist() if row in seen and seen[row] is not ask]
        for row in twice[:1]:
            where = f"{seen[row].where} and {ask.where}" if ask.where else ""
            yield AssayError("C014", f"two decisions on row {row}", where=where, fix="keep one")
        seen |= dict.fromkeys(rows.tolist(), ask)


def _contradictions(
    run: ReviewedRun, ask: Ask, rows: np.ndarray, reviewer: str, *, overrule: bool
) -> Iterator[AssayError]:
    """Yield a fault for rows about which somebody else decided otherwise."""
    own = ask.decision, ask.column, ask.value
    other = [
        (row, run.standing[row].last) for row in rows.tolist()
        if row in run.standing and run.standing[row].last.reviewer != reviewer
        and run.standing[row].last.what != own
    ]  # fmt: skip
    if other and not (overrule and ask.reason):
        row, last = other[0]
        what = f"{last.reviewer} decided otherwise about row {row}: {_said(last)}"
        fix = "talk to them, or give --overrule and a reason"
        yield AssayError("C014", what, where=ask.where, fix=fix)


def _said(last: Decision) -> str:
    why = f", {last.reason}" if last.reason else ""
    return f"{last.decision} in entry {last.entry}{why}"


def refuse(faults: Sequence[AssayError]) -> None:
    """Raise one error that tells all faults, if there are any."""
    if not faults:
        return
    if len(faults) == 1:
        raise faults[0]
    lines = [f"{fault.where}: {fault.what}" if fault.where else fault.what for fault in faults]
    more = [f"and {len(lines) - TOLD:,} more"] if len(lines) > TOLD else []
    what = f"{len(faults):,} decisions are refused: " + "; ".join([*lines[:TOLD], *more])
    raise AssayError("C014", what, fix=f"correct them all; nothing was recorded. {faults[0].fix}")


def _commit(
    run: ReviewedRun, chosen: list[tuple[Ask, np.ndarray]], reviewer: str, end: int
) -> Recorded:
    order = [(int(row), ask) for ask, rows in chosen for row in rows]
    rows = sorted({row for row, _ in order})
    identities, keyed = run.identities(rows), run.key_ids(rows)
    accused = decisions.accusations(run.findings_on(rows), ["error", "warning"])
    columns: dict[str, list[Any]] = {
        "row": [row for row, _ in order],
        "row_id": [identities[row][0] for row, _ in order],
        "copy": [identities[row][1] for row, _ in order],
        "key_id": [keyed.get(row) for row, _ in order],
        "accused": [sorted(accused.get(row, ())) for row, _ in order],
        "reviewer": [reviewer] * len(order),
    }
    for name in ("decision", "column", "value", "reason"):
        columns[name] = [getattr(ask, name) for _, ask in order]
    named = [_named(run, ask.selection) for ask, _ in chosen if not ask.selection.row]
    facts = {"base": run.entry.seq, **({"groups": named} if named else {})}
    return _append(run, _table(columns, len(order)), facts, reviewer, end)


def _named(run: ReviewedRun, selection: Selection) -> dict[str, str]:
    """Return what names the rows, for the ledger; a key may be personal, so its value stays out."""
    if selection.key:
        column, has_column, _ = selection.key.partition(SEPARATOR)
        return {"key": column if has_column else run.keys[0]}
    return {"rule": selection.rule} if selection.rule else {"group": selection.group}


def _table(columns: dict[str, list[Any]], length: int) -> pa.Table:
    """Return the table of a review: columns that are not given are null."""
    arrays = [pa.array(columns.get(f.name, [None] * length), f.type) for f in decisions.SCHEMA]
    return pa.table(arrays, decisions.SCHEMA)


def _append(
    run: ReviewedRun, table: pa.Table, more: dict[str, Any], reviewer: str, end: int
) -> Recorded:
    sink, time = io.BytesIO(), now()
    pq.write_table(table, sink, write_page_checksum=True)
    counts = dict(sorted(Counter(table["decision"].to_pylist()).items()))
    facts = {"schema": "assay.entry/1", "kind": "review", "time": time, "by": reviewer,
             "dataset": run.entry.facts["dataset"], "decisions": counts, **more}  # fmt: skip
    rows = zip(table["row_id"].to_pylist(), table["copy"].to_pylist(), strict=True)
    check = currency.check(run.store, facts["dataset"], frozenset(rows), end)
    made = Committer.of(run.store, time).commit_review(facts, sink.getvalue(), check)
    return Recorded(made, counts)
