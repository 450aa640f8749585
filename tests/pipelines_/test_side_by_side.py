"""Many processes at one store: no entry lost or doubled, no reader that sees a break."""

import errno
import fcntl
import os
import random
import threading
import time

import crash_scenes as scenes
import pytest

from pipelines.store.commit import Committer
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger import entry as entry_file
from provenance.ledger import signing


@pytest.fixture
def home(warm, tmp_path):
    return scenes.Home(warm, tmp_path / "home")


def reviews(entries):
    """Return entry number -> number of decisions, as the ledger's log tells."""
    return {e["seq"]: e["decisions"]["reject"] for e in entries if e["kind"] == "review"}


def crowd(home, writers, count, round_=0):
    """Start writers that commit `count` reviews each, each under numbers of its own."""
    return [
        home.start(home.store, 1 + (round_ * writers + n) * count, count,
                   call="crowds:commit_reviews")
        for n in range(writers)
    ]  # fmt: skip


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.long)])
def test_eight_writers_lose_and_double_nothing(home, count):
    dones = [writer.wait(600) for writer in crowd(home, 8, count)]
    assert [(done.code, done.errors) for done in dones] == [(0, "")] * 8
    told = {line["entry"]: line["number"] for done in dones for line in done.lines}
    end = scenes.look(home)
    assert reviews(end.entries) == told
    assert sorted(told.values()) == list(range(1, 8 * count + 1))
    assert sorted(told) == list(range(1, 8 * count + 1))
    assert scenes.faults_of(end) == []
    assert scenes.leftovers(home, end) == []


@pytest.mark.parametrize("rounds", [1, pytest.param(40, marks=pytest.mark.long)])
def test_writers_that_are_killed_lose_nothing_that_they_told(home, rounds):
    draw, told, started = random.Random(3), {}, 0
    for number in range(rounds):
        writers = crowd(home, 4, 100, number)
        started += len(writers)
        time.sleep(draw.uniform(0.1, 0.6))
        for writer in draw.sample(writers, 4):
            time.sleep(draw.uniform(0, 0.05))
            writer.kill()
        for done in [writer.wait() for writer in writers]:
            told.update((line["entry"], line["number"]) for line in done.lines)
    home.start(home.store, 10**6, 1, call="crowds:commit_reviews").wait()
    end = scenes.look(home)
    there = reviews(end.entries)
    assert told
    assert told.items() <= there.items()
    assert len(set(there.values())) == len(there)
    assert len(there) - len(told) <= started + 1  # each may have died between entry and word
    assert scenes.faults_of(end) == []
    assert scenes.leftovers(home, end) == []


def test_first_runs_at_once_all_commit_and_one_that_is_refused_takes_nothing_along(home):
    bad = ("run", "c.yaml", "--source", "none.csv", "--direct")
    (home.folder / "empty.csv").write_text("key,size,kind,note\n")
    vain = ("run", "c.yaml", "--source", "empty.csv", "--direct")
    started = [home.start(*words) for words in (scenes.RUN, vain, scenes.RUN, bad, vain)]
    dones = [command.wait() for command in started]
    assert sorted(done.number for done in dones if done.number) == [1, 2], dones
    assert sorted(done.error for done in dones if done.error) == [
        "ASSAY-I002",
        "ASSAY-I002",
        "ASSAY-I014",
    ]
    end = scenes.look(home)
    assert scenes.faults_of(end) == []
    assert scenes.leftovers(home, end) == []


def write(home, first, rounds, wrong):
    """Commit one thing after the other."""
    orders = [scenes.REVIEW, scenes.RELEASE, scenes.RUN, scenes.RELEASE]
    for number in range(rounds):
        done = home.assay(*orders[(first + number) % len(orders)])
        if done.number is None:
            wrong.append((done.code, done.errors))


def read(home, words, over, wrong):
    """Read until all is over, and once more."""
    is_last = False
    while not is_last:
        is_last = over.is_set()
        done = home.assay(*words)
        warned = {item["code"] for item in done.told.get("warnings", [])}
        if done.code or done.told.get("breaks") or warned - {"ASSAY-L009"}:
            wrong.append((words, done.code, done.told, done.errors))


@pytest.mark.parametrize("rounds", [1, pytest.param(40, marks=pytest.mark.long)])
def test_no_reader_sees_a_break_beside_four_writers(home, rounds):
    home.take("release")
    wrong, over = [], threading.Event()
    reading = [("verify",), ("explain", "latest", "3"), ("review", "latest", "--list")]
    readers = [threading.Thread(target=read, args=(home, w, over, wrong)) for w in reading]
    writers = [threading.Thread(target=write, args=(home, n, rounds, wrong)) for n in range(4)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    for thread in readers:
        thread.join()
    assert wrong == []
    end = scenes.look(home)
    assert end.real == 2 + 4 * rounds
    assert scenes.faults_of(end) == []
    assert scenes.leftovers(home, end) == []


@pytest.mark.parametrize("words", [scenes.REVIEW, scenes.RELEASE])
def test_a_lock_that_is_held_for_ever_is_e004_and_nothing_is_committed(home, words):
    before = home.take("release")
    with (home.store / "ledger" / "lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = home.assay(*words, patch={"provenance.base.atomic:LOCK_SECONDS": 0.3})
    assert (done.code, done.error) == (3, "ASSAY-E004")
    assert f"process {os.getpid()}" in done.told["error"]["message"]
    assert done.told["error"]["where"] == str(home.store / "ledger" / "lock")
    after = scenes.look(home)
    assert scenes.refused(before, after, done, (3, "ASSAY-E004")) == []
    assert scenes.next_works(home, "release", after) == []


def test_what_failed_takes_nothing_back_from_who_has_its_number_now(tmp_path, monkeypatch):
    """A writer fails after its file is in place; the next has the number and no entry yet."""
    store = Store(tmp_path / "store")
    committer = Committer(store, signing.load_or_make(tmp_path / "key.pem"), "2026-01-01T00:00:00Z")
    is_placed, go = threading.Event(), threading.Event()
    make, settle = entry_file.make, Committer._settled

    def making(seq, prev, facts, signer):
        if facts.get("who") == "first":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if facts.get("who") == "second":
            is_placed.set()
            go.wait(30)
        return make(seq, prev, facts, signer)

    def settling(self, number, facts):
        second.start()
        assert is_placed.wait(30)
        threading.Timer(0.2, go.set).start()
        return settle(self, number, facts)

    def review(who):
        return committer.commit_review({"kind": "review", "who": who}, who.encode())

    monkeypatch.setattr(entry_file, "make", making)
    monkeypatch.setattr(Committer, "_settled", settling)
    second = threading.Thread(target=review, args=("second",))
    with pytest.raises(AssayError, match="E002"):
        review("first")
    second.join()
    assert [e.facts.get("who") for e in store.ledger.entries()] == [None, "second"]
    assert store.review_file(1).read_bytes() == b"second"
