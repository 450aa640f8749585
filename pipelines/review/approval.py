"""Who decides, and which decisions wait for the approval of a second person.

An owner of the store may decide in somebody else's name, so a person is known by their name and by
the account that recorded the decision: what one account recorded is never two people's.
"""

import dataclasses
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pipelines.clock import now
from pipelines.review.reviewed_run import WAITING, ReviewedRun
from pipelines.review.selection import Selection
from pipelines.store import decisions, weighing
from pipelines.store.opinions import Decision, State, Weighed, take
from provenance.base.errors import AssayError

STATES: tuple[State, ...] = (
    "one",
    "disagreement",
    "approval",
)  # of rows whose decisions wait for another person
What = tuple[str, str | None, str | None]  # as `Decision.what`
Accused = Mapping[int, set[str]]  # as of `decisions.accusations`
_NEXT = sys.maxsize  # entry of a decision that is not recorded yet


@dataclasses.dataclass(frozen=True, slots=True)
class Who:
    """A reviewer.

    Attributes:
        reviewer: the name.
        account: that records the decision, if it is another one.
        approves: whether they may be the second person; users below approver may not.
    """

    reviewer: str
    account: str = ""
    approves: bool = True

    def facts(self) -> dict[str, str]:
        """Return what an entry records of them."""
        is_other = self.account not in ("", self.reviewer)
        return {"by": self.reviewer, **({"account": self.account} if is_other else {})}

    def made(self, decision: Decision) -> bool:
        """Return whether they made a decision, or their account did."""
        return decision.is_of(self.reviewer) or decision.is_of(self.account)


def may_approve(weighed: Weighed | None, who: Who) -> bool:
    """Return whether a person may approve what waits on a row: only what others decided."""
    if weighed is None or weighed.state != "approval" or not who.approves:
        return False
    return not any(who.made(each) for each in weighed.opinions)


def among(
    run: ReviewedRun, word: str, selection: Selection, rows: np.ndarray, who: Who
) -> np.ndarray:
    """Return the rows of a selection that a decision is about: of an approval, those that wait.

    Raises:
        AssayError: ASSAY-C014 if nothing waits that this person may approve.
    """
    if word != "approve":
        return rows
    if run.needed.is_blind:
        what = "where two people decide about each row, nobody approves another's decision"
        raise AssayError("C014", what, fix="decide about the row yourself")
    pending = {row: run.pending.get(row) for row in rows.tolist()}
    good = [row for row, weighed in pending.items() if may_approve(weighed, who)]
    is_named = bool(selection.row or selection.key)  # each of them, not what a group has of them
    if good and (len(good) == len(pending) or not is_named):
        return np.array(good, np.int64)
    bad = [row for row in pending if row not in set(good)]
    own = [row for row in bad if (weighed := pending[row]) and weighed.state == "approval"]
    if own:
        what = f"row {own[0]} was decided by you, or from your account: somebody else must approve"
        raise AssayError("C014", what, fix="ask another person, who works from another account")
    what = f"row {bad[0]} has no decision that waits for a second person"
    raise AssayError("C014", what, fix=f"see `assay review {run.entry.seq} --list`")


def overreaching(run: ReviewedRun, what: What, rows: np.ndarray, who: Who) -> Iterator[AssayError]:
    """Yield a fault for rows where the decision would be a second person's, by who may not be it.

    Only time makes decisions lapse here: what lapsed in this run may count in another.
    """
    if who.approves or not run.needed.second_person or run.needed.is_blind:
        return
    accused = decisions.accusations(run.findings_on(rows.tolist()), WAITING)
    made = _made(run, [(row, what) for row in rows.tolist()], accused, who)
    lapse = decisions.expiry(run.contract)
    for row, (decision, stack) in made.items():
        standing = weighing.weigh(stack, run.needed, lapse).standing
        if standing and standing.last.entry == decision.entry:
            told = f"row {row} waits for a second person, which takes the role of an approver"
            yield AssayError("C014", told, fix="leave it to an approver")
            return


def _made(
    run: ReviewedRun, said: Collection[tuple[int, What]], accused: Accused, who: Who
) -> dict[int, tuple[Decision, list[Decision]]]:
    """Return what takes two people of what is said, by row, with all decisions on it after that."""
    said = [
        (row, what) for row, what in said
        if what[0] == "approve" or run.needed.is_two(what[0], accused.get(row, ()))
    ]  # fmt: skip
    if not said:
        return {}
    identities, time, made = run.identities([row for row, _ in said]), now(), {}
    for row, (word, column, value) in said:
        at = identities[row]
        decision = Decision(
            row, word, column, value, None, who.reviewer, at, None,
            frozenset(accused.get(row, ())), run.entry.seq, _NEXT, time,
            approves=entry_of(run, word, row), account=who.facts().get("account", ""),
            needed=run.needed,
        )  # fmt: skip
        stack = [*run.history.stacks.get(at, ())]
        made[row] = take(stack, decision), stack
    return made


def entry_of(run: ReviewedRun, word: str, row: int) -> int | None:
    """Return the entry of the decision that an approval repeats, None for other decisions."""
    return run.pending[row].opinions[-1].entry if word == "approve" else None


def lasts(run: ReviewedRun, rows: np.ndarray) -> dict[int, tuple[Decision, tuple[str, ...]]]:
    """Return by row the decision that another one would contradict, and the people who hold it.

    A decision that waits for approval comes before the one that is in force.
    """
    found = {}
    for row in rows.tolist():
        weighed, standing = run.pending.get(row), run.standing.get(row)
        if weighed is not None and weighed.state == "approval":
            opinions = weighed.opinions
            found[row] = opinions[-1], tuple(each.reviewer for each in opinions)
        elif standing is not None:
            found[row] = standing.last, standing.holders or _saying_so(run, standing.last)
    return found


def _saying_so(run: ReviewedRun, last: Decision) -> tuple[str, ...]:
    """Return who said what is in force: also those with whom the last one only agreed."""
    names = [last.reviewer]
    for each in reversed(run.history.stacks.get(last.identity, ())):
        if each.what != last.what:
            break
        names.append(each.reviewer)
    return tuple(names)


def waiting(
    run: ReviewedRun, said: Collection[tuple[int, What]], accused: Accused, who: Who
) -> int | None:
    """Return how many decisions wait for a second person; None where two people decide blind.

    Args:
        run: under review, as it was before them.
        said: rows and what is decided about them.
        accused: what accuses the rows.
        who: decides.
    """
    if run.needed.is_blind:
        return None
    if not run.needed.second_person:
        return 0
    every = _made(run, said, accused, who)
    stacks = {decision.identity: stack for decision, stack in every.values()}
    located = {row: decision.identity for row, (decision, _) in every.items()}
    history = decisions.History(stacks, {}, 0)
    standing = history.judge(located, run.contract, run.rowed, run.entry.seq).standing
    return sum(row not in standing or standing[row].last.entry != _NEXT for row in every)


def counted(pending: Iterable[Weighed]) -> dict[str, int]:
    """Return how many rows have one of two opinions, a disagreement, or wait for approval."""
    states = Counter(weighed.state for weighed in pending)
    return {state: states[state] for state in STATES}


def told(weighed: Weighed | None) -> str:
    """Return what waits on a row, for a person who may know of it; empty if nothing does."""
    if weighed is None:
        return ""
    heads = {"approval": "waits for a second person", "disagreement": "disagreement",
             "one": "waits for another opinion"}  # fmt: skip
    return f"{heads[weighed.state]}: {'; '.join(_said(each) for each in weighed.opinions)}"


def _said(each: Decision) -> str:
    what = " ".join(part for part in (each.decision, each.column) if part)
    why = f" ({each.reason})" if each.reason else ""
    return f"{what} by {each.reviewer} in entry {each.entry}{why}"


def facts(weighed: Weighed | None) -> dict[str, Any] | None:
    """Return the object of `--json` for what waits on a row."""
    if weighed is None:
        return None
    names = ("decision", "column", "reason", "reviewer", "entry", "time")
    told = [{name: getattr(each, name) for name in names} for each in weighed.opinions]
    return {"state": weighed.state, "opinions": told}
