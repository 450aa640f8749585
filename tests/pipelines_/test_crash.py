"""Kills and full disks at the write points of real commands: the store holds, the next run works.

`make test` takes a sample of points, `make test-long` all of them; `benchmarks/crashes.py` prints
what came of each.
"""

import random

import crash_scenes as scenes
import pytest
from write_points import MODES

SAMPLE = [
    ("review", "before", 3), ("review", "full", 2), ("review", "term", 2),
    ("review after a kill", "after", 2), ("release", "before", 2), ("release", "half", 1),
    ("release", "once", 2), ("run", "before", 1), ("run", "full", 1), ("run", "part", 1),
    ("first run", "full", 1), ("run after a kill", "before", 1),
]  # fmt: skip


@pytest.fixture(scope="module")
def home(warm, tmp_path_factory):
    return scenes.Home(warm, tmp_path_factory.mktemp("crash") / "home")


def chosen(home, name, mode, count=None):
    """Return the points of an operation at which a fault makes sense, or so many of its commit."""
    points = home.own_points(name)
    if mode == "after" or count:  # what is killed after one call is killed before the next
        commit = scenes.commit_of(points)
        points = [point for point in points if point in commit or mode == "part"]
    points = [point for point in points if mode in point.modes()]
    draw = random.Random(f"{name} {mode}")
    return draw.sample(points, count) if count else points


@pytest.mark.parametrize(("name", "mode", "count"), SAMPLE)
def test_a_fault_at_some_points_of_a_commit(home, name, mode, count):
    for turn, point in enumerate(chosen(home, name, mode, count)):
        seen = scenes.attempt(home, name, point, mode, turn=turn)
        assert seen.problems == [], seen
        assert (seen.ended == "committed") <= seen.stands


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", scenes.OPERATIONS)
def test_a_fault_at_every_write_point(home, name, mode):
    points = chosen(home, name, mode)
    seen = [scenes.attempt(home, name, p, mode, turn=turn) for turn, p in enumerate(points)]
    assert [item for item in seen if item.problems] == []
    assert len(seen) > 10 or mode in ("half", "part")


@pytest.mark.parametrize(
    "times", [2, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_a_run_that_is_killed_at_any_time(home, times):
    draw = random.Random(8)
    seen = [scenes.at_random(home, "run", draw, turn=turn) for turn in range(times)]
    assert [item for item in seen if item.problems] == []
    assert times == 2 or {item.ended for item in seen} == {"killed", "committed"}


@pytest.mark.parametrize("name", ["first run", "review", "release"])
def test_everything_is_on_disk_before_the_entry_and_the_entry_before_the_word(home, name):
    """What a power cut takes, a kill does not: so the order of the calls is looked at."""
    points = home.points(name)
    [link] = [n for n, p in enumerate(points) if p.op == "link" and is_last_entry(p, points)]
    assert unsynced(home, points[:link]) == set()
    assert unsynced(home, points) == set()
    assert {f.rpartition("/")[0] for f in unsynced(home, points[: link + 1])} == {
        "store/ledger/entries"
    }


def is_last_entry(point, points):
    entries = [p for p in points if p.op == "link" and p.path.startswith("store/ledger/entries/")]
    return point == entries[-1]


def unsynced(home, points):
    """Return what of the store's final files and folders a power cut could take."""
    dirty = set()  # ("data" or "name", path)
    for point in points:
        folder, _, _ = point.path.rpartition("/")
        if point.op == "fsync":
            dirty = {d for d in dirty if d != ("data", point.path)}
            dirty = {d for d in dirty if d[0] == "data" or d[1].rpartition("/")[0] != point.path}
        elif point.op in ("open", "mkdir", "link"):
            dirty.add(("name", point.path))
        elif point.op == "write":
            dirty.add(("data", point.path))
        elif point.op == "rename":
            if folder == "store/runs":
                old = "store/staging/RUN/out"
                dirty = {(kind, path.replace(old, point.path)) for kind, path in dirty}
            dirty.add(("name", point.path))
        else:
            dirty = {d for d in dirty if d[1] != point.path}
    final = ("store/runs", "store/reviews", "store/ledger/entries")
    made = {
        path
        for _, path in dirty
        if (path.startswith(final) or path == "store/ledger") and (home.folder / path).exists()
    }
    return made | {p for kind, p in dirty if kind == "data" and p.startswith("store/ledger/tmp/")}


@pytest.mark.long
def test_the_points_of_a_run_are_the_same_each_time(home):
    first, second = home.points("run"), home.points("run")
    assert {str(point) for point in first} == {str(point) for point in second}
    assert len(first) > 150
