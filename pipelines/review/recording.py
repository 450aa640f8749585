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
from pipelines.review import approval, currency, faults_told
from pipelines.review.approval import Who
from pipelines.review.currency import OutdatedError
from pipelines.review.new_values import Judge, NewValue
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import SEPARATOR, Selection, Selector
from pipelines.store import decisions, review_entries
from pipelines.store.commit import Committer
from pipelines.store.opinions import CHANGES, WORDS, Decision
from provenance.base.errors import AssayError
from provenance.ledger.entry import Entry

ALWAYS = ("reject", "undo", "forget")  # possible for rows that cannot be read
WITHDRAW = ("undo", "forget")


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """A decision as a person wrote it.

    Attributes:
        selection: the rows.
        decision: one of `opinions.WORDS`.
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
    """What was recorded: the entry, how many rows got which decision, and how many of them wait.

    `wait` counts those that are not in force before a second person decides the same; where two
    people decide each row it is None, since it would tell of the other one's opinion.
    """

    entry: Entry
    counts: dict[str, int]
    wait: int | None = 0


def record(
    run: ReviewedRun,
    asks: Sequence[Ask],
    reviewer: str,
    *,
    account: str = "",
    overrule: bool = False,
) -> Recorded:
    """Record decisions on the rows of a run, checked against all decisions that are recorded.

    Args:
        run: under review.
        asks: the decisions.
        reviewer: who decides.
        account: that decides in the reviewer's name, if that is not the reviewer's own.
        overrule: whether a decision may contradict that of somebody else, for which it needs a
            reason.

    Raises:
        AssayError: ASSAY-C014 with all that is wrong with them; nothing is recorded then.
    """
    who = Who(reviewer, account)
    return currency.until_recorded(
        run,
        lambda read: attempt(
            read, asks, who, Selector(read, reviewer), end=read.history.end, overrule=overrule
        ),
    )


def attempt(
    run: ReviewedRun,
    asks: Sequence[Ask],
    who: Who,
    selector: Selector,
    *,
    end: int,
    overrule: bool = False,
) -> Recorded:
    """Record decisions as `record` does, unless somebody was quicker.

    Args:
        run: under review.
        asks: the decisions.
        who: decides.
        selector: finds the rows.
        end: number of the last entry whose decisions the run knows.
        overrule: as of `record`.

    Raises:
        AssayError: ASSAY-C014 with all that is wrong with them; nothing is recorded then. An
            approval is for what was shown, so that it is refused if a later entry has decisions on
            one of the rows.
        OutdatedError: if such an entry is there and nothing is approved.
    """
    chosen, faults = _chosen(run, asks, who, selector)
    faults += _repeated(chosen)
    for ask, rows in chosen:
        faults += _contradictions(run, ask, rows, who.reviewer, overrule=overrule)
        faults += approval.overreaching(run, (ask.decision, ask.column, ask.value), rows, who)
    faults_told.refuse(faults)
    if not chosen:
        fix = "add a line for each row below the header"
        raise AssayError("C014", "the file contains no decisions", fix=fix)
    try:
        return _commit(run, chosen, who, end)
    except OutdatedError:
        if not any(ask.decision == "approve" for ask in asks):
            raise
    what = "somebody has decided about these rows meanwhile, so another decision may wait now"
    fix = "nothing was recorded; look at what waits, and approve that"
    raise AssayError("C014", what, fix=fix)


def _chosen(
    run: ReviewedRun, asks: Sequence[Ask], who: Who, selector: Selector
) -> tuple[list[tuple[Ask, np.ndarray]], list[AssayError]]:
    """Return the decisions that are possible, each with its rows, and what is wrong with others."""
    faults: list[AssayError] = []
    chosen: list[tuple[Ask, np.ndarray]] = []
    judge = Judge(run, functools.partial(record_view, run, who.reviewer))
    for ask in (_with_label(run, each) for each in asks):
        try:
            rows = selector.rows(ask.selection)
            rows = approval.among(run, ask.decision, ask.selection, rows, who)
            _require_possible(run, ask, rows, who)
            if ask.decision in CHANGES:
                judge.require(NewValue(ask.decision, ask.column, ask.value), rows)
            chosen.append((ask, rows))
        except AssayError as error:
            faults.append(faults_told.at(error, ask.where))
    return chosen, faults


def withdraw(
    run: ReviewedRun, number: int, reviewer: str, reason: str | None, *, account: str = ""
) -> Recorded:
    """Withdraw all decisions of one entry, on exactly the rows that it named.

    Raises:
        AssayError: ASSAY-C014 if the entry is no review of the dataset, if a row of it was
            decided about again since, or if it is somebody else's where two people decide.
    """
    who = Who(reviewer, account)
    return currency.until_recorded(
        run,
        lambda read: attempt_withdrawal(read, number, who, reason, end=read.history.end),
    )


def attempt_withdrawal(
    run: ReviewedRun, number: int, who: Who, reason: str | None, *, end: int
) -> Recorded:
    """Withdraw the decisions of an entry as `withdraw` does, unless somebody was quicker.

    Raises:
        AssayError: as of `withdraw`.
        OutdatedError: if an entry later than `end` has decisions on one of the rows.
    """
    dataset, reviewer = run.entry.facts["dataset"], who.reviewer
    person = reviewer.casefold()
    history = run.history
    made = [d for stack in history.every.values() for d in stack if d.entry == number]
    if not made:
        what = f"entry {number} records no decisions on the dataset {dataset!r}"
        raise AssayError("C014", what, fix="find the entry with `assay ledger log`")
    needed = run.needed | made[0].needed
    if needed.is_blind and made[0].person != person:
        what = f"entry {number} is by {made[0].reviewer}; where two people decide, each takes back "
        raise AssayError("C014", f"{what}their own decisions only", fix="talk to them")
    latest = [history.stacks.get(d.identity, []) for d in made]
    if needed.is_blind:
        latest = [[each for each in stack if each.person == person] for stack in latest]
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
    facts = {"base": made[0].base, "withdraws": number, **needed.facts()}
    return _append(run, table, facts, who, end)


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


def _require_possible(run: ReviewedRun, ask: Ask, rows: np.ndarray, who: Who) -> None:
    """Refuse a decision that could never be applied to the rows."""
    if ask.decision not in WORDS:
        raise AssayError(
            "C014",
            f"unknown decision {ask.decision[:40]!r}",
            fix=f"write one of {', '.join(WORDS)}",
        )
    if run.contract.policy.require_reason and not ask.reason:
        what = "the contract asks for a reason with each decision"
        raise AssayError("C014", what, fix="give it with --reason, or in the column reason")
    if ask.decision in WITHDRAW:
        _require_decided(run, ask, rows, who)
    if ask.decision not in ALWAYS and (gone := run.refused.intersection(rows.tolist())):
        row = min(gone)
        what = f"row {row} was rejected before run {run.entry.seq}, which holds no cells of it"
        raise AssayError("C014", what, fix="withdraw that decision (undo), and run again")
    if ask.decision not in ALWAYS and (dead := run.unreadable.intersection(rows.tolist())):
        row = min(dead)
        what = f"row {row} cannot be read under the contract, so it can only be rejected"
        raise AssayError("C014", what, fix="reject it, or repair the source and run again")


def _require_decided(run: ReviewedRun, ask: Ask, rows: np.ndarray, who: Who) -> None:
    may = _withdrawable(run, ask.decision, rows.tolist(), who)
    if bare := [row for row in rows.tolist() if row not in may]:
        whose = " of yours" if run.needed.is_blind and ask.decision == "undo" else ""
        what = f"row {bare[0]} has no decision{whose} that could be withdrawn"
        fix = f"leave it out; `assay explain {run.entry.seq} {bare[0]}` shows what was decided"
        raise AssayError("C014", what, where=ask.where, fix=fix)


def _withdrawable(run: ReviewedRun, word: str, rows: list[int], who: Who) -> set[int]:
    """Return the rows on which there is something to withdraw, as far as this person may know."""
    if word == "undo" and run.needed.is_blind:
        stacks = run.history.stacks
        return {
            row for row, at in run.identities(rows).items()
            if any(each.person == who.reviewer.casefold() for each in stacks.get(at, ()))
        }  # fmt: skip
    pending = {row for row in rows if run.pending_to(who.reviewer, row) is not None}
    return pending | {row for row in rows if row in run.standing}


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
    """Yield a fault for rows about which somebody else decided otherwise.

    Where two people decide, each takes back their own opinion without asking.
    """
    if ask.decision == "approve" or (ask.decision == "undo" and run.needed.is_blind):
        return
    own, is_back = (ask.decision, ask.column, ask.value), ask.decision in WITHDRAW
    every = approval.lasts(run, rows)
    other = [
        (row, last) for row, (last, holders) in every.items()
        if last.what != own and any(
            name.casefold() != reviewer.casefold()
            for name in ((last.reviewer,) if is_back else holders)
        )
    ]  # fmt: skip
    if other and not (overrule and ask.reason):
        row, last = other[0]
        what = f"{last.reviewer} decided otherwise about row {row}: {_said(last)}"
        fix = "talk to them, or give --overrule and a reason"
        yield AssayError("C014", what, where=ask.where, fix=fix)


def _said(last: Decision) -> str:
    why = f", {last.reason}" if last.reason else ""
    return f"{last.word} in entry {last.entry}{why}"


def _commit(run: ReviewedRun, chosen: list[tuple[Ask, np.ndarray]], who: Who, end: int) -> Recorded:
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
        "reviewer": [who.reviewer] * len(order),
        "approves": [approval.entry_of(run, ask.decision, row) for row, ask in order],
    }
    for name in ("decision", "column", "value", "reason"):
        columns[name] = [getattr(ask, name) for _, ask in order]
    named = [_named(run, ask.selection) for ask, _ in chosen if not ask.selection.row]
    facts = {"base": run.entry.seq, **({"groups": named} if named else {}), **run.needed.facts()}
    said = [(row, (ask.decision, ask.column, ask.value)) for row, ask in order]
    wait = approval.waiting(run, said, accused, who)
    made = _append(run, _table(columns, len(order)), facts, who, end)
    return dataclasses.replace(made, wait=wait)


def _named(run: ReviewedRun, selection: Selection) -> dict[str, str]:
    """Return what names the rows, for the ledger; a key may be personal, so its value stays out."""
    if selection.key:
        column, has_column, _ = selection.key.partition(SEPARATOR)
        return {"key": column if has_column else run.keys[0]}
    return {"rule": selection.rule} if selection.rule else {"group": selection.group}


def _table(columns: dict[str, list[Any]], length: int) -> pa.Table:
    """Return the table of a review: columns that are not given are null."""
    arrays = [pa.array(columns.get(f.name, [None] * length), f.type) for f in review_entries.SCHEMA]
    return pa.table(arrays, review_entries.SCHEMA)


def _append(
    run: ReviewedRun, table: pa.Table, more: dict[str, Any], who: Who, end: int
) -> Recorded:
    sink, time = io.BytesIO(), now()
    pq.write_table(table, sink, write_page_checksum=True)
    counts = dict(sorted(Counter(table["decision"].to_pylist()).items()))
    facts = {"schema": "assay.entry/1", "kind": "review", "time": time, **who.facts(),
             "dataset": run.entry.facts["dataset"], "decisions": counts, **more}  # fmt: skip
    rows = zip(table["row_id"].to_pylist(), table["copy"].to_pylist(), strict=True)
    check = currency.check(run.store, facts["dataset"], frozenset(rows), end)
    made = Committer.of(run.store, time).commit_review(facts, sink.getvalue(), check)
    return Recorded(made, counts)
