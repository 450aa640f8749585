"""The store as the review page works on it: open queues, and decisions one after the other.

Every answer first looks whether the ledger has grown, by this process or another one, and follows
what was recorded. Decisions are recorded under one lock, each on the version of the row that the
reviewer saw.
"""

import contextlib
import dataclasses
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

from pipelines.review import recording
from pipelines.review.indexed_run import IndexedRun
from pipelines.review.live_queue import LiveQueue, LiveSelector
from pipelines.review.recording import Ask, Recorded
from pipelines.store import decisions, row_history
from pipelines.store.opinions import ONE, Decision, Needed
from pipelines.store.store import RUN_KINDS, Store
from provenance.base.errors import AssayError
from provenance.ledger.entry import GENESIS, Entry
from provenance.ledger.refusals import broken

MOST_QUEUES = 3  # that are open at one time
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
    """A review entry that one reviewer may take back: its number, and rows by decision."""

    entry: int
    base: int
    dataset: str
    counts: dict[str, int]


class Desk:
    """What one server holds of a store."""

    def __init__(self, store: Store, reviewer: str, account: str = "") -> None:
        """Read the ledger once.

        Args:
            store: whose ledger was found to be intact.
            reviewer: who decides.
            account: that decides in the reviewer's name, if it is another one.
        """
        self.store, self.reviewer, self.account = store, reviewer, account
        self.runs: deque[Entry] = deque(maxlen=MOST_RUNS)
        self.decided: dict[int, int] = {}
        self._own: dict[int, Own] = {}
        self._queues: dict[int, LiveQueue] = {}
        self._writing, self._opening = threading.RLock(), threading.Lock()
        self._head, self._next, self._seen = GENESIS, 0, (-1, -1)
        self.follow()

    def queue(self, number: int) -> LiveQueue:
        """Return the queue of a run; it is made when it is first asked for. C013 if missing."""
        self.follow()
        if (queue := self._queues.get(number)) is not None:
            return queue
        with self._opening:
            if (queue := self._queues.get(number)) is None:
                queue = self._opened(number)
            return queue

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
                if decisions.is_review(each := read(later), entry.facts["dataset"]):
                    queue.take(list(decisions.recorded_in(self.store, each)))
            self._queues[number] = queue
            while len(self._queues) > MOST_QUEUES:
                del self._queues[next(iter(self._queues))]
        return queue

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
        dataset = entry.facts["dataset"]
        history = queue.run.history if queue else decisions.History.of(self.store, dataset)
        return {
            "reviewers": needed.reviewers, "second_person": sorted(needed.second_person),
            "states": queue and dict(queue.states),
            "agreement": [each.says() for each in history.pairs.agreements()],
        }  # fmt: skip

    def last_own(self, dataset: str) -> Own | None:
        """Return the reviewer's last entry of decisions on a dataset that is not withdrawn."""
        every = list(self._own.values())  # at once: another thread may add to them
        mine = (own for own in reversed(every) if own.dataset == dataset)
        return next(mine, None)

    def decide(self, queue: LiveQueue, ask: Ask, version: int, *, overrule: bool) -> Recorded:
        """Record a decision on one row, whose last decision has the number `version`.

        Raises:
            ConflictError: if it was decided since.
            AssayError: ASSAY-C014 if it is impossible; E001 to E109 if the store refuses.
        """
        row = int(ask.selection.row)
        with self._recording():
            if queue.version(row, self.reviewer) != version:
                run = queue.run
                at = run.identities([row])[row]
                made = run.history.shown(at, self.reviewer, run.needed)
                raise ConflictError(made[-1] if made else None, "the row was decided meanwhile")
            return self._record(queue, ask, overrule=overrule)

    def decide_group(self, queue: LiveQueue, ask: Ask, mark: str) -> Recorded:
        """Record one decision on all rows of a group that wait, if they are those of the mark."""
        with self._recording():
            if queue.mark(ask.selection.group, self.reviewer) != mark:
                left = queue.count(ask.selection.group, self.reviewer)
                message = f"other rows of the group wait now than were shown: {left:,}"
                raise ConflictError(None, message)
            return self._record(queue, ask, overrule=False)

    def undo(self, queue: LiveQueue, number: int, reason: str | None) -> Recorded:
        """Withdraw the decisions of one of the reviewer's own entries."""
        with self._recording():
            if number not in self._own:
                raise ConflictError(None, f"entry {number} is not yours, or is withdrawn already")
            run, account = queue.run, self.account
            made = recording.withdraw(run, number, self.reviewer, reason, account=account)
            return self._made(made)

    def record_view(self, queue: LiveQueue, column: str) -> None:
        """Record that the reviewer is about to see a cell that is masked otherwise."""
        with self._recording():
            recording.record_view(queue.run, self.reviewer, rows=1, columns=[column])

    def follow(self) -> None:
        """Take over what the ledger has recorded since, unless a decision is just being made."""
        if self._writing.acquire(blocking=False):
            try:
                self._follow()
            finally:
                self._writing.release()

    @contextlib.contextmanager
    def _recording(self) -> Iterator[None]:
        """Hold the lock while something is recorded; the ledger is followed before."""
        with self._writing:
            self._follow()
            yield

    def _record(self, queue: LiveQueue, ask: Ask, *, overrule: bool) -> Recorded:
        selector = LiveSelector(queue, self.reviewer)
        made = recording.record(
            queue.run, [ask], self.reviewer, account=self.account, overrule=overrule,
            selector=selector,
        )  # fmt: skip
        return self._made(made)

    def _made(self, made: Recorded) -> Recorded:
        """Follow what was just recorded here, unless somebody else was quicker."""
        if made.entry.seq == self._next and made.entry.prev == self._head:
            self._advance(made.entry)
            self._seen = self._next, self._changes()[1]  # a later entry is seen by its number
        return made

    def _advance(self, entry: Entry) -> None:
        self._take(entry)
        self._head, self._next = entry.leaf, entry.seq + 1

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
            made = list(decisions.recorded_in(self.store, entry))
            for queue in open_ones:
                queue.take(made)

    def _remember(self, entry: Entry) -> None:
        facts = entry.facts
        base, counts = int(facts.get("base", -1)), dict(facts["decisions"])
        sign = -1 if _WITHDRAWALS & counts.keys() else 1
        self.decided[base] = self.decided.get(base, 0) + sign * sum(counts.values())
        self._own.pop(int(facts.get("withdraws", -1)), None)
        if facts.get("by") == self.reviewer and not _WITHDRAWALS & counts.keys():
            self._own[entry.seq] = Own(entry.seq, base, facts["dataset"], counts)
