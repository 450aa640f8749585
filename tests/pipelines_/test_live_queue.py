"""A queue that followed decisions one by one equals one that is read anew."""

import contextlib
import random

import pytest
import review_page
from review_page import accused, commit, lines

from pipelines.review import recording
from pipelines.review.desk import ConflictError, Desk
from pipelines.review.indexed_run import IndexedRun
from pipelines.review.live_queue import LiveQueue
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.store.store import Store
from provenance.base.errors import AssayError

ROWS = 24


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def policy():
    """Return the policy of the contract; a test may set another one."""
    return {}


@pytest.fixture
def nights(store, tmp_path, policy):
    """Two runs of one dataset, that share rows, and have rows twice and one that is no row."""
    contract = review_page.contract_in(tmp_path, **policy)
    contract.write_text(contract.read_text().replace(", primaryKey: true", ""))
    rows = lines(ROWS)
    rows[9] = rows[3]
    rows[15] = rows[3]
    rows[20] = "broken,row"
    found = [accused([1, 3, 5, 9]), accused([7, 15, 8], "poison.trigger", column="note"),
             accused([11, 3], "sources.rare", severity="warning")]  # fmt: skip
    first = commit(store, contract, tmp_path, rows, found)
    second = commit(store, contract, tmp_path, rows[::-1], [accused([ROWS - 1 - n for n in
                                                                     (1, 3, 8, 12)])])  # fmt: skip
    return first, second


def seen(queue):
    """Return all that a queue says, to everybody and to each person."""
    run = queue.run
    pending = {row: (each.state, [d.entry for d in each.opinions])
               for row, each in sorted(run.pending.items())}  # fmt: skip
    of_each = {
        name: {
            "waiting": queue.waiting_for(name),
            "left": {part.group.id: queue.left(part.group.id, name).tolist()
                     for part in queue.parts(name)},
            "versions": [queue.version(row, name) for row in range(ROWS)],
            "told": [[(each.entry, same) for each, same in run.told(row, name)]
                     for row in range(ROWS)],
        }
        for name in ("anna", "bob", "carla")
    }  # fmt: skip
    return {
        "pending": pending, "of_each": of_each, "agreed": run.history.pairs.agreements(),
        "states": {name: count for name, count in queue.states.items() if name and count},
        "waiting": queue.waiting, "rows": queue.rows, "decided": sorted(run.standing),
        "left": {part.group.id: queue.left(part.group.id).tolist() for part in queue.parts()},
        "fates": [queue.fate(row) for row in range(ROWS)],
        "versions": [queue.version(row) for row in range(ROWS)],
        "told": [[(each.entry, same) for each, same in run.told(row)] for row in range(ROWS)],
    }  # fmt: skip


def anew(store, entry):
    return seen(LiveQueue(IndexedRun.of(store, entry)))


@pytest.mark.parametrize("policy", [{}, {"reviewers": 2}, {"second_person": "[poison]"}], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_a_queue_that_followed_decisions_equals_one_read_anew(store, nights, policy, seed):
    chance = random.Random(seed)
    desk = Desk(store, "anna")
    queues = [desk.queue(entry.seq) for entry in nights]
    for _ in range(14):
        queue = chance.choice(queues)
        # under a policy, what is in force for one is not for the other, so some steps are refused
        with contextlib.suppress(AssayError) if policy else contextlib.nullcontext():
            step(desk, store, queue, chance)
        desk.follow()
    assert [seen(q) for q in queues] == [anew(store, entry) for entry in nights]
    assert desk.queue(nights[0].seq) is queues[0]


def step(desk, store, queue, chance):
    """Decide about a row or a group, take back, or let somebody else decide."""
    kind = chance.choice(["row", "row", "group", "undo", "other", "forget"])
    row = chance.choice([*queue.run.accused.tolist(), 0, 12])
    is_unreadable = row in queue.run.unreadable
    word = "reject" if is_unreadable else chance.choice(["release", "reject", "redact"])
    ask = Ask(Selection(row=str(row)), word, reason="because")
    parts = queue.parts("anna")
    own = desk.last_own(queue.run.entry.facts["dataset"])
    if kind == "group" and parts:
        part = chance.choice(parts)
        ask = Ask(Selection(group=part.group.id), "reject")
        desk.decide_group(queue, ask, queue.mark(part.group.id, "anna"))
    elif kind == "undo" and own:
        with contextlib.suppress(AssayError):  # one of its rows was decided about again
            desk.undo(queue, own.entry, None)
    elif kind == "forget" and row in queue.run.standing:
        run = ReviewedRun.of(store, queue.run.entry)
        recording.record(run, [Ask(Selection(row=str(row)), "forget", reason="again")], "bob",
                         overrule=True)  # fmt: skip
    elif kind == "other":
        run = ReviewedRun.of(store, queue.run.entry)
        recording.record(run, [ask], "bob", overrule=True)
    else:
        desk.decide(queue, ask, queue.version(row, "anna"), overrule=True)


def test_the_index_knows_the_rows_as_the_run_does(store, nights):
    for entry in nights:
        run, plain = IndexedRun.of(store, entry), ReviewedRun.of(store, entry)
        rows = run.accused.tolist()
        assert run.identities(rows) == plain.identities(rows)
        assert run.cells(rows).to_pylist() == plain.cells(rows).to_pylist()
        assert run.rows_of(plain.identities(rows).values()) == plain.identities(rows)
        found = plain.findings_on(rows).sort_by(
            [(n, "ascending") for n in ("row", "check", "rule")]
        )
        mine = run.findings_on(rows).sort_by([(n, "ascending") for n in ("row", "check", "rule")])
        assert mine.to_pylist() == found.to_pylist()


def test_next_and_previous_rows_are_those_that_wait(store, nights):
    desk = Desk(store, "anna")
    queue = desk.queue(nights[0].seq)
    [name] = [part.group.id for part in queue.parts() if 1 in queue.left(part.group.id)]
    rows = queue.left(name).tolist()
    assert queue.following(name, -1, 10) == rows
    assert queue.preceding(name, ROWS, 10) == rows[::-1]
    desk.decide(queue, Ask(Selection(row=str(rows[1])), "reject"), 0, overrule=False)
    assert queue.following(name, rows[0], 1) == rows[2:3]
    with pytest.raises(ConflictError, match="decided meanwhile"):
        desk.decide(queue, Ask(Selection(row=str(rows[1])), "release"), 0, overrule=False)


def test_a_queue_opened_later_has_what_was_decided_while_it_was_read(store, nights, monkeypatch):
    desk = Desk(store, "anna")
    plain = LiveQueue._warm

    def decided_meanwhile(queue):
        plain(queue)
        run = ReviewedRun.of(store, queue.run.entry)
        recording.record(run, [Ask(Selection(row="1"), "reject")], "bob")

    monkeypatch.setattr(LiveQueue, "_warm", decided_meanwhile)
    queue = desk.queue(nights[0].seq)
    assert queue.run.standing[1].last.reviewer == "bob"
    assert not queue.waits(1)
