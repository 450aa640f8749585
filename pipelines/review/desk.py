"""The store as the review page works on it: open queues, and decisions one after the other.

Every answer first looks whether the ledger has grown, by this process or another one, and follows
what was recorded. Decisions are recorded under one lock, each on the version of the row that the
reviewer saw.
"""

import contextlib
import dataclasses
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from pipelines.review import new_values, recording, roles
from pipelines.review.approval import Who
from pipelines.review.currency import OutdatedError
from pipelines.review.indexed_run import IndexedRun
from pipelines.review.live_queue import LiveQueue, LiveSelector
from pipelines.review.new_values import NewValue
from pipelines.review.recording import Ask, Recorded
from pipelines.review.sessions import visiting
from pipelines.store import decisions, reference_anchor, review_entries, row_history
from pipelines.store.opinions import ONE, Decision, Needed
from pipelines.store.store import RUN_KINDS, Store
from provenance.base.errors import AssayError
from provenance.ledger.entry import GENESIS, Entry
from provenance.ledger.refusals import broken

MOST_QUEUES = 4  # that are open at one time
MOST_DECIDED = 3  # of those, for people who may decide; what is left is for those who only look
MOST_RUNS = 60  # that the dashboard tells about
_WITHDRAWALS = frozenset({"undo", "forget"})


class ConflictError(Exception):
    """What a decision is about was decided meanwhile; `last` is the decision, if there is one."""

    def __init__(self, last: Decision | None, message: str) -> None:
        """Say what happened."""
        super().__init__(message)
        self.last, self.message = last, message


@dataclasses.dataclass(frozen=True, slots=True)
class Own:
    """A review entry that the reviewer may take back: its number, and rows by decision."""

    by: str
    entry: int
    base: int
    dataset: str
    counts: dict[str, int]


class Desk:
    """What one server holds of a store."""

    def __init__(self, store: Store, owner: str | None, account: str = "") -> None:
        """Read the ledger once.

        Args:
            store: whose ledger was found to be intact.
            owner: who decides outside a session, None if there is always one.
            account: that decides in the owner's name, if it is another one.
        """
        self.store, self._owner, self.account = store, owner, account
        self.runs: deque[Entry] = deque(maxlen=MOST_RUNS)
        self.decided: dict[int, int] = {}
        self._own: dict[int, Own] = {}
        self._queues: dict[int, LiveQueue] = {}
        self._used: dict[int, int] = {}  # the last use of a queue by somebody who may decide
        self._uses = itertools.count(1)
        self._reviewed: dict[str, int] = {}  # the last review of each dataset
        self._agreed: dict[str, tuple[int, list[str]]] = {}  # after which review, and what was said
        self._writing, self._opening = threading.RLock(), threading.Lock()
        self._counting = threading.Lock()
        self._head, self._next, self._seen = GENESIS, 0, (-1, -1)
        self.follow()

    @property
    def reviewer(self) -> str:
        """Return who decides: whose session's request is being answered, else the owner."""
        return visiting.get().name if self._owner is None else self._owner

    def queue(self, number: int) -> LiveQueue:
        """Return the queue of a run; it is made when it is first asked for. C013 if missing."""
        self.follow()
        if (queue := self._queues.get(number)) is None:
            with self._opening:
                if (queue := self._queues.get(number)) is None:
                    return self._opened(number)
        self._note_use(number)
        return queue

    def _note_use(self, number: int) -> None:
        if self._may("decide"):
            self._used[number] = next(self._uses)

    def _opened(self, number: int) -> LiveQueue:
        """Open a queue; decisions on others are recorded meanwhile."""
        entry = self.store.find(str(number))
        if row_history.base_of(entry) != number:
            what = f"entry {number} is a release, which has no queue of its own"
            fix = f"review run {row_history.base_of(entry)}"
            raise AssayError("C013", what, fix=fix)
        queue = LiveQueue(IndexedRun.of(self.store, entry))
        with self._writing:
            self._follow()
            read = self.store.ledger.reader()
            for later in range(queue.run.history.upto + 1, self._next):
                if review_entries.is_review(each := read(later), entry.facts["dataset"]):
                    queue.take(list(review_entries.recorded_in(self.store, each)))
            self._queues[number] = queue
            self._note_use(number)
            self._close_surplus(number)
        return queue

    def _close_surplus(self, opened: int) -> None:
        """Close the queues that were used least recently, but not the one just opened.

        Whoever only looks closes none that is used by people who may decide: to open it anew takes
        seconds, and a decision that is on its way would be refused.
        """
        used = {number: self._used.get(number, 0) for number in self._queues}
        decided = sorted((n for n in used if used[n] and n != opened), key=lambda n: used[n])
        viewed = [n for n in used if not used[n] and n != opened]  # in the order they were opened
        most = MOST_DECIDED - bool(used[opened])
        surplus = decided[: max(0, len(decided) - most)]
        left = MOST_QUEUES - len(decided) + len(surplus) - 1
        for number in surplus + viewed[: max(0, len(viewed) - left)]:
            del self._queues[number]
            self._used.pop(number, None)

    def waiting(self, number: int) -> int | None:
        """Return how many rows of a run wait; None if its queue is not open."""
        queue = self._queues.get(number)
        return None if queue is None else queue.waiting_for(self.reviewer)

    def people(self, entry: Entry) -> dict[str, Any] | None:
        """Return what waits for another person in a run, and how far each two people agree.

        None if the run's contract leaves decisions to one person; no counts if its queue is closed.
        """
        needed = Needed.of(row_history.contract_of(self.store.reader(entry)).policy)
        if needed is ONE:
            return None
        queue = self._queues.get(row_history.base_of(entry))
        return {
            "reviewers": needed.reviewers, "second_person": sorted(needed.second_person),
            "states": queue and dict(queue.states),
            "agreement": self._agreement(queue, entry.facts["dataset"]),
        }  # fmt: skip

    def _agreement(self, queue: LiveQueue | None, dataset: str) -> list[str]:
        """Return how far each two people agree; the reviews are read once after each new one."""
        if queue:
            return [each.says() for each in queue.run.history.pairs.agreements()]
        with self._counting:
            last = self._reviewed.get(dataset, 0)
            if dataset not in self._agreed or self._agreed[dataset][0] != last:
                pairs = decisions.History.of(self.store, dataset).pairs
                self._agreed[dataset] = last, [each.says() for each in pairs.agreements()]
            return self._agreed[dataset][1]

    def last_own(self, dataset: str) -> Own | None:
        """Return the reviewer's last entry of decisions on a dataset that is not withdrawn."""
        every = list(self._own.values())  # at once: another thread may add to them
        by = self.reviewer
        mine = (own for own in reversed(every) if (own.by, own.dataset) == (by, dataset))
        return next(mine, None)

    def decide(self, queue: LiveQueue, ask: Ask, version: int, *, overrule: bool) -> Recorded:
        """Record a decision on one row, whose last decision has the number `version`.

        Raises:
            ConflictError: if it was decided since.
            AssayError: ASSAY-C014 if it is impossible; E001 to E109 if the store refuses.
        """
        row = int(ask.selection.row)
        new_values.prepare(queue.run, NewValue(ask.decision, ask.column, ask.value))
        queue.run.identities([row])  # which takes long if nothing accuses the row; it is kept

        def act() -> Recorded:
            if queue.version(row, self.reviewer) != version:
                run = queue.run
                at = run.identities([row])[row]
                made = run.history.shown(at, self.reviewer, run.needed)
                raise ConflictError(made[-1] if made else None, "the row was decided meanwhile")
            return self._attempt(queue, ask, overrule=overrule)

        return self._recorded(queue, act)

    def decide_group(self, queue: LiveQueue, ask: Ask, mark: str) -> Recorded:
        """Record one decision on all rows of a group that wait, if they are those of the mark."""

        def act() -> Recorded:
            if queue.mark(ask.selection.group, self.reviewer) != mark:
                left = queue.count(ask.selection.group, self.reviewer)
                message = f"other rows of the group wait now than were shown: {left:,}"
                raise ConflictError(None, message)
            return self._attempt(queue, ask, overrule=False)

        return self._recorded(queue, act)

    def undo(self, queue: LiveQueue, number: int, reason: str | None) -> Recorded:
        """Withdraw the decisions of one of the reviewer's own entries."""

        def act() -> Recorded:
            own = self._own.get(number)
            if own is None or own.by != self.reviewer:
                raise ConflictError(None, f"entry {number} is not yours, or is withdrawn already")
            return recording.attempt_withdrawal(
                queue.run, number, self.who, reason, end=self._next - 1
            )

        return self._recorded(queue, act)

    def record_view(self, queue: LiveQueue, column: str) -> None:
        """Record that the reviewer is about to see a cell that is masked otherwise."""
        with self._writing:
            self._follow()
            recording.record_view(queue.run, self.reviewer, rows=1, columns=[column])

    def anchor(self, run: Entry, reason: str) -> Entry:
        """Make a run's clean dataset the reference for drift; errors as of `reference_anchor`."""
        with self._writing:
            self._follow()
            return reference_anchor.record(self.store, run, self.reviewer, reason)

    def follow(self) -> None:
        """Take over what the ledger has recorded since, unless a decision is just being made."""
        if self._writing.acquire(blocking=False):
            try:
                self._follow()
            finally:
                self._writing.release()

    def _recorded(self, queue: LiveQueue, act: Callable[[], Recorded]) -> Recorded:
        """Return what `act` recorded under the lock; all that the ledger has is followed before.

        If another process was quicker, `act` is called again and sees what that one recorded.
        """
        with self._writing:
            while True:
                self._follow()
                if self._queues.get(queue.run.entry.seq) is not queue:
                    # it was closed for others since it was asked for, and follows no longer
                    raise ConflictError(None, "the queue was opened anew meanwhile; try again")
                with contextlib.suppress(OutdatedError):
                    return self._made(act())

    @property
    def who(self) -> Who:
        """Return who decides, and whether they may be the second person."""
        return Who(self.reviewer, self.account, self._may("approve"))

    def _may(self, power: str) -> bool:
        """Return whether who asks may do something: the owner all, the server itself nothing."""
        if self._owner is not None:
            return True
        session = visiting.get(None)
        return session is not None and roles.may(session, power)

    def _attempt(self, queue: LiveQueue, ask: Ask, *, overrule: bool) -> Recorded:
        return recording.attempt(
            queue.run, [ask], self.who, LiveSelector(queue, self.reviewer), end=self._next - 1,
            overrule=overrule,
        )  # fmt: skip

    def _made(self, made: Recorded) -> Recorded:
        """Follow what was just recorded here, unless somebody else was quicker."""
        if made.entry.seq == self._next and made.entry.prev == self._head:
            self._advance(made.entry)
            self._seen = self._next, self._changes()[1]  # a later entry is seen by its number
        return made

    def _advance(self, entry: Entry) -> None:
        self._head, self._next = entry.leaf, entry.seq + 1
        try:
            self._take(entry)
        except BaseException:
            self._queues.clear()  # some may lack it: each is opened anew when it is asked for
            raise

    def _follow(self) -> None:
        seen = self._changes()
        if seen == self._seen:
            return
        for entry in self._later():
            self._advance(entry)
        self._seen = self._next, seen[1]

    def _changes(self) -> tuple[int, int]:
        """Return what differs when the ledger has grown: the next entry's number, and a time."""
        ledger = self.store.ledger
        try:
            changed = ledger.entries_folder.stat().st_mtime_ns
        except FileNotFoundError:
            changed = 0
        has_next = ledger.path_of(self._next).exists()
        return (-1 if has_next else self._next), changed

    def _later(self) -> Iterator[Entry]:
        """Yield the entries that follow; each must continue the one before."""
        read, ledger = self.store.ledger.reader(), self.store.ledger
        for number in (seq for seq in ledger.numbers() if seq >= self._next):
            entry = ledger.require_unedited(read(number))
            if number != self._next or entry.seq != number or entry.prev != self._head:
                what = f"entry {number} does not follow the one before it"
                raise broken("L005", what, ledger.path_of(number))
            yield entry

    def _take(self, entry: Entry) -> None:
        if entry.kind in RUN_KINDS:
            self.runs.append(entry)
        if entry.kind != "review":
            return
        facts = entry.facts
        self._remember(entry)
        open_ones = [q for q in self._queues.values()
                     if q.run.entry.facts["dataset"] == facts["dataset"]]  # fmt: skip
        if open_ones:
            made = list(review_entries.recorded_in(self.store, entry))
            for queue in open_ones:
                queue.take(made)

    def _remember(self, entry: Entry) -> None:
        facts = entry.facts
        self._reviewed[facts["dataset"]] = entry.seq
        base, counts = int(facts.get("base", -1)), dict(facts["decisions"])
        sign = -1 if _WITHDRAWALS & counts.keys() else 1
        self.decided[base] = self.decided.get(base, 0) + sign * sum(counts.values())
        self._own.pop(int(facts.get("withdraws", -1)), None)
        if not _WITHDRAWALS & counts.keys():
            by = str(facts.get("by"))
            self._own[entry.seq] = Own(by, entry.seq, base, facts["dataset"], counts)
