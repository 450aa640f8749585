"""Threads of one server on one queue: what an answer says was true at one moment, and never fails.

The interpreter changes threads more often than usual, so that gaps between two looks are found.
"""

import contextlib
import random
import sys
import threading

import pytest
import review_page
from review_page import accused, commit, lines

from pipelines.review.answers import Answers
from pipelines.review.desk import ConflictError, Desk
from pipelines.review.live_queue import LiveQueue
from pipelines.review.recording import Ask
from pipelines.review.selection import Selection
from pipelines.store.store import Store
from provenance.base.errors import AssayError

GROUPS = 6
TURNS = [6, pytest.param(400, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]


@pytest.fixture
def desk(tmp_path):
    """Return a desk at a store with a run of small groups, so that each soon has no row left."""
    store = Store(tmp_path / "store")
    found = [accused([2 * n, 2 * n + 1], f"poison.r{n}", column="note") for n in range(GROUPS)]
    commit(store, review_page.contract_in(tmp_path), tmp_path, lines(2 * GROUPS), found)
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
