"""Threads of one server on one queue: what an answer says was true at one moment, and never fails.

The interpreter changes threads more often than usual, so that gaps between two looks are found.
"""

import contextlib
import contextvars
import dataclasses
import random
import sys
import threading
import tracemalloc

import pytest
import review_page
from review_page import accused, commit, lines

from pipelines.review import recording
from pipelines.review.answers import Answers
from pipelines.review.desk import MOST_QUEUES, ConflictError, Desk
from pipelines.review.live_queue import LiveQueue
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.review.sessions import Session, visiting
from pipelines.store import decisions
from pipelines.store.agreement import Pairs, agreement
from pipelines.store.opinions import Decision, Needed
from pipelines.store.store import Store
from provenance.base.errors import AssayError

GROUPS = 6
CLEAN = 2 * GROUPS  # a row that nothing accuses
TURNS = [6, pytest.param(400, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]


@pytest.fixture
def desk(tmp_path):
    """Return a desk at a store with a run of small groups, so that each soon has no row left."""
    store = Store(tmp_path / "store")
    found = [accused([2 * n, 2 * n + 1], f"poison.r{n}", column="note") for n in range(GROUPS)]
    commit(store, review_page.contract_in(tmp_path), tmp_path, lines(2 * GROUPS + 1), found)
    return Desk(store, "anna")


@pytest.fixture
def restless():
    """Change threads fifty times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


class Crowd:
    """Threads that decide and read; what nobody may see is kept in `faults`."""

    def __init__(self, desk):
        self.desk, self.queue = desk, desk.queue(1)
        self.answers = Answers(desk, self.queue, str)
        self.faults, self._is_over = [], threading.Event()

    def work(self, turns):
        """Let two threads decide so many times each, while three read."""
        deciders = [threading.Thread(target=self._decide, args=(n, turns)) for n in (1, 2)]
        readers = [threading.Thread(target=self._read, args=(n,)) for n in (3, 4, 5)]
        for thread in deciders + readers:
            thread.start()
        for thread in deciders:
            thread.join()
        self._is_over.set()
        for thread in readers:
            thread.join()

    def _decide(self, seed, turns):
        draw = random.Random(seed)
        for _ in range(turns):
            self._try(self.decide, draw)

    def _read(self, seed):
        draw = random.Random(seed)
        while not self._is_over.is_set():
            self._try(self.read, draw)

    def _try(self, act, draw):
        try:
            act(draw)
        except (ConflictError, AssayError):
            pass  # somebody else was quicker: that is told
        except Exception as error:  # noqa: BLE001  of any kind
            self.faults.append(error)

    def decide(self, draw):
        item = self.answers.row(draw.randrange(2 * GROUPS))
        own = self.desk.last_own("people")
        if own and draw.random() < 0.5:
            self.desk.undo(self.queue, own.entry, None)
        elif item["waits"]:
            ask = Ask(Selection(row=str(item["row"])), draw.choice(["release", "reject"]))
            self.desk.decide(self.queue, ask, item["version"], overrule=False)

    def read(self, draw):
        self.answers.groups()
        name = draw.choice(self.queue.groups).id
        for item in self.answers.around(name, -1, 2)["items"] + self.answers.samples(name)["items"]:
            self.holds(item)

    def holds(self, item):
        """Look whether the version that is shown is that of the decision that is shown."""
        shown = item["decision"]["entry"] if item["decision"] else 0
        is_open = shown == 0 and item["version"] > 0
        if is_open:  # then the version is that of a withdrawal
            facts = self.desk.store.ledger.read(item["version"]).facts
            is_open = "undo" not in facts["decisions"]
        if is_open or shown > item["version"]:
            self.faults.append(f"version {item['version']} is shown with decision {shown}")


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("turns", TURNS)
def test_readers_and_deciders_side_by_side(desk, turns):
    crowd = Crowd(desk)
    crowd.work(turns)
    assert crowd.faults == []
    assert len(desk.store.ledger.numbers()) > turns


def test_a_group_whose_last_row_was_decided_between_two_looks_is_left_out(desk, monkeypatch):
    queue = desk.queue(1)
    answers, whole = Answers(desk, queue, str), LiveQueue.parts

    def decided_meanwhile(self, name):
        parts = whole(self, name)
        if len(parts) == GROUPS:
            ask = Ask(Selection(group=parts[0].group.id), "reject")
            desk.decide_group(self, ask, self.mark(parts[0].group.id))
        return parts

    monkeypatch.setattr(LiveQueue, "parts", decided_meanwhile)
    told = answers.groups()["groups"]
    assert len(told) == GROUPS - 1
    assert queue.groups[0].id not in {group["group"] for group in told}


def test_the_mark_of_a_preview_is_that_of_the_rows_in_it(desk, monkeypatch):
    """Else a person would decide about rows that the preview did not have, or not show."""
    queue = desk.queue(1)
    answers, whole = Answers(desk, queue, str), LiveQueue.left
    name = queue.groups[0].id

    def decided_meanwhile(self, *of):
        rows = whole(self, *of)
        monkeypatch.setattr(LiveQueue, "left", whole)
        desk.decide(self, Ask(Selection(row=str(rows[0])), "release"), 0, overrule=False)
        return rows

    monkeypatch.setattr(LiveQueue, "left", decided_meanwhile)
    shown = answers.samples(name)
    assert shown["rows"] == 2
    with pytest.raises(ConflictError, match="other rows of the group"):
        desk.decide_group(queue, Ask(Selection(group=name), "reject"), shown["mark"])


def test_a_queue_that_was_closed_for_others_takes_no_decision(desk, tmp_path):
    """It no longer follows what is recorded, so its versions mean nothing."""
    queue = desk.queue(1)
    for _ in range(3):
        entry = commit(desk.store, tmp_path / "c.yaml", tmp_path, lines(4), [accused([1])])
        desk.queue(entry.seq)
    again = desk.queue(1)
    assert again is not queue
    desk.decide(again, Ask(Selection(row="0"), "reject"), 0, overrule=False)
    with pytest.raises(ConflictError, match="opened anew"):
        desk.decide(queue, Ask(Selection(row="0"), "release"), 0, overrule=False)


def as_role(role):
    """Let this thread ask as somebody with a role."""
    visiting.set(Session("cookie", "csrf", role, role, "password"))


@pytest.fixture
def shared(desk, tmp_path):
    """Return a desk that is asked in sessions, at a store with six runs, and their numbers."""
    numbers = [1]
    for _ in range(5):
        found = [accused([1])]
        numbers.append(commit(desk.store, tmp_path / "c.yaml", tmp_path, lines(4), found).seq)
    return Desk(desk.store, None), numbers


def open_in_session(shared, opened):
    """Open queues as roles, one after the other; returns the numbers of those that stay open."""
    desk, numbers = shared

    def work():
        for role, place in opened:
            as_role(role)
            desk.queue(numbers[place])

    contextvars.copy_context().run(work)
    return {place for place, number in enumerate(numbers) if number in desk._queues}


def test_who_only_looks_closes_no_queue_in_which_others_may_decide(shared):
    looked = [("viewer", place) for place in (3, 4, 5, 3, 4, 5)]
    reviewed = [("reviewer", place) for place in (0, 1, 2)]
    assert open_in_session(shared, reviewed + looked) == {0, 1, 2, 5}


def test_the_queue_that_was_used_least_recently_is_closed(shared):
    opened = [("reviewer", place) for place in (0, 1, 2, 0, 3)]
    assert open_in_session(shared, opened) == {0, 2, 3}


@pytest.mark.parametrize("opened", [
    [("viewer", 0), ("viewer", 1), ("viewer", 2), ("viewer", 3), ("viewer", 4), ("viewer", 5)],
    [("viewer", 0), ("reviewer", 0), ("viewer", 1), ("reviewer", 1), ("viewer", 2),
     ("reviewer", 2), ("viewer", 3), ("reviewer", 3), ("viewer", 4), ("viewer", 5)],
    [("reviewer", place) for place in (0, 1, 2, 3, 4, 5, 0, 1)],
], ids=["viewers", "both", "reviewers"])  # fmt: skip
def test_few_queues_are_open_whoever_asks_for_them(shared, opened):
    left = open_in_session(shared, opened)
    assert len(left) <= MOST_QUEUES
    assert opened[-1][1] in left  # or each request of theirs would open it anew


def test_the_reviews_are_read_once_for_the_page_of_a_run(tmp_path, monkeypatch):
    store, whole, read = Store(tmp_path / "store"), decisions.History.of, []
    contract = review_page.contract_in(tmp_path, reviewers=2)
    entry = commit(store, contract, tmp_path, lines(6), [accused([1, 2])])
    desk = Desk(store, "anna")
    for name in ("anna", "ben"):
        asks = [Ask(Selection(row="1"), "reject")]
        recording.record(ReviewedRun.of(store, entry), asks, name)
    desk.follow()

    def counted(*of):
        read.append(of)
        return whole(*of)

    monkeypatch.setattr(decisions.History, "of", counted)
    [told] = desk.people(entry)["agreement"]
    assert "1 of 1 row" in told
    assert desk.people(entry)["agreement"] == [told]
    assert len(read) == 1
    for name in ("anna", "ben"):
        asks = [Ask(Selection(row="2"), "release")]
        recording.record(ReviewedRun.of(store, entry), asks, name)
    desk.follow()
    [told] = desk.people(entry)["agreement"]
    assert "2 of 2 rows" in told


def test_a_queue_that_could_not_follow_is_opened_anew(desk, monkeypatch):
    """A decision that it took by half would count twice when it is followed again."""
    queue, whole = desk.queue(1), LiveQueue.take

    def fails(self, made):
        whole(self, made)
        raise AssayError("L011", "a file of the run was altered")

    monkeypatch.setattr(LiveQueue, "take", fails)
    with contextlib.suppress(AssayError):
        desk.decide(queue, Ask(Selection(row="0"), "reject"), 0, overrule=False)
    monkeypatch.setattr(LiveQueue, "take", whole)
    desk.follow()
    again = desk.queue(1)
    assert again is not queue
    [made] = again.run.history.every.values()
    assert [each.decision for each in made] == ["reject"]
    assert desk.undo(again, desk.store.ledger.head().seq, None).counts == {"undo": 1}
    assert again.waits(0)


def test_a_decision_waits_for_nobody_who_looks_at_a_row_that_nothing_accuses(desk, monkeypatch):
    """Its identity is looked up in the whole lineage, of which a run may have much."""
    queue, whole = desk.queue(1), ReviewedRun.identities
    desk.decide(queue, Ask(Selection(row="0"), "reject"), 0, overrule=False)
    is_read, may_go_on = threading.Event(), threading.Event()

    def slow(self, rows):
        is_read.set()
        assert may_go_on.wait(60)
        return whole(self, rows)

    monkeypatch.setattr(ReviewedRun, "identities", slow)
    reader = threading.Thread(target=queue.state, args=(CLEAN,))
    reader.start()
    assert is_read.wait(60)
    ask = Ask(Selection(row="1"), "reject")
    decider = threading.Thread(target=desk.decide, args=(queue, ask, 0), kwargs={"overrule": False})
    decider.start()
    decider.join(30)
    is_waiting = decider.is_alive()
    may_go_on.set()
    decider.join()
    reader.join()
    assert not is_waiting
    assert not queue.waits(1)


def test_the_lineage_is_read_once_for_a_row_that_nothing_accuses(desk, monkeypatch):
    queue, whole, read = desk.queue(1), ReviewedRun.identities, []
    desk.decide(queue, Ask(Selection(row="0"), "reject"), 0, overrule=False)

    def counted(self, rows):
        read.append(desk._writing._is_owned())
        return whole(self, rows)

    monkeypatch.setattr(ReviewedRun, "identities", counted)
    assert queue.run.identities([CLEAN, 1]) == ReviewedRun.of(
        desk.store, queue.run.entry
    ).identities([CLEAN, 1])
    read.clear()
    queue.run._known.clear()
    desk.decide(queue, Ask(Selection(row=str(CLEAN)), "reject"), 0, overrule=False)
    assert queue.state(CLEAN, "anna").version == desk.store.ledger.head().seq
    assert read == [False]  # and not while all other decisions wait


BLIND = Needed(2)


def correction(row, by, value):
    """Return a blind correction of one row."""
    identity = row.to_bytes(32, "big"), 0
    return Decision(row, "correct", "size", value, None, by, identity, None, frozenset(), 1, 2,
                    "2026-01-01", needed=BLIND)  # fmt: skip


@pytest.mark.usefixtures("restless")
def test_how_far_people_agree_is_told_while_they_go_on():
    pairs, faults, is_over = Pairs(), [], threading.Event()
    people = [f"p{n}" for n in range(30)]

    def read():
        while not is_over.is_set():
            try:
                pairs.agreements()
            except Exception as error:  # noqa: BLE001  of any kind
                faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    draw = random.Random(1)
    for row in range(3000):
        one, other = draw.sample(people, 2)
        first = correction(row, one, str(row % 200))
        pairs.add([first], correction(row, other, str(draw.randrange(200))))
    is_over.set()
    for thread in readers:
        thread.join()
    assert faults == []
    assert sum(each.rows for each in pairs.agreements()) == 3000


def test_what_is_told_of_two_people_follows_each_new_row_and_each_that_is_forgotten():
    pairs = Pairs()
    for row, said in enumerate("ab"):
        pairs.add([correction(row, "anna", "a")], correction(row, "ben", said))
    [told] = pairs.agreements()
    assert (told.rows, told.same) == (2, 1)
    pairs.add([correction(2, "anna", "b")], correction(2, "ben", "b"))
    [told] = pairs.agreements()
    assert (told.rows, told.same) == (3, 2)
    for row in range(3):
        forgotten = correction(row, "carla", "")
        pairs.add([forgotten], dataclasses.replace(forgotten, decision="forget"))
    assert pairs.agreements() == []


def test_many_different_corrections_take_no_table_of_each_with_each():
    def peak(kinds):
        counts = {((str(n),), (str(n + n % 2),)): 1 for n in range(kinds)}
        tracemalloc.start()
        made = agreement(("anna", "ben"), counts)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert made.rows == kinds
        return used

    assert peak(2000) < 8 * peak(500)  # a table would take 16 times as much
