"""Reviewers whose shell or server dies in mid-decision, and whose disk is full or read-only.

A decision that was acknowledged is in the ledger, one that was not is there whole or not at all,
and nothing that is left stands in the way of the next one.
"""

import contextlib
import random
import subprocess

import crash_scenes as scenes
import killed_pages
import pytest

LONG = [pytest.mark.long, pytest.mark.timeout(3600)]
MANY = 50  # kills


@pytest.fixture(scope="module")
def home(warm, tmp_path_factory):
    return scenes.Home(warm, tmp_path_factory.mktemp("killed") / "home")


@pytest.mark.parametrize("times", [2, pytest.param(MANY, marks=LONG)])
def test_a_server_that_is_killed_at_a_write_point_loses_no_decision(home, times):
    told = 0
    for point, mode in killed_pages.drawn(home, times):
        acknowledged, problems = killed_pages.attempt(home, (point, mode))
        assert problems == [], (point, mode)
        told += len(acknowledged)
    assert told or times < MANY


@pytest.mark.parametrize("times", [2, pytest.param(MANY, marks=LONG)])
def test_a_server_that_is_killed_at_any_time_loses_no_decision(home, times):
    draw, counts = random.Random(6), set()
    for _ in range(times):
        told, problems = killed_pages.attempt(home, seconds=draw.uniform(0.0, 0.4))
        assert problems == []
        counts.add(len(told))
    assert times < MANY or len(counts) > 2  # they died at different decisions


@pytest.mark.parametrize("times", [2, pytest.param(MANY, marks=LONG)])
def test_a_shell_that_is_killed_at_any_time_loses_no_decision(home, times):
    draw = random.Random(7)
    seen = [scenes.at_random(home, "review", draw, turn=turn) for turn in range(times)]
    assert [item for item in seen if item.problems] == []


@pytest.fixture
def disk(tmp_path):
    """Return a small file system of its own; skipped where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", place]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@contextlib.contextmanager
def full(disk):
    """Leave no room on a disk."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))
    yield
    filler.unlink()


@contextlib.contextmanager
def read_only(disk):
    """Let nobody write to a disk."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


@pytest.mark.parametrize(("broken", "code"), [(full, "ASSAY-E002"), (read_only, "ASSAY-E001")])
def test_a_disk_that_takes_nothing_is_told_and_the_next_decision_works(home, disk, broken, code):
    import shutil

    home.take(killed_pages.NAME)
    there = home.at(disk / "store")
    shutil.copytree(home.store, there.store)
    made, browser = killed_pages.started(there)
    with browser:
        first = killed_pages.told_entries(browser, [30])
        before = scenes.look(there)
        with broken(disk):
            body = {"decision": "reject", "version": 0}
            refused = browser.tell("/api/runs/1/rows/31/decision", body)
            assert refused.status_code == 503
            assert refused.json()["code"] == code
            assert refused.json()["fix"]
            shown = browser.get("/api/runs/1/rows/31").json()
            assert shown["item"]["version"] == 0  # it still answers, and waits
            done = there.assay("review", "1", "--decide", "reject", "--row", "32")
            assert (done.code, done.error) == (3, code)
        assert scenes.look(there).entries == before.entries
        told = killed_pages.told_entries(browser, [31, 33])
        assert list(told) == [31, 33]
    made.kill()
    made.wait()
    end = scenes.look(there)
    assert {entry["seq"] for entry in end.entries} >= {*first.values(), *told.values()}
    assert scenes.faults_of(end) + scenes.leftovers(there, end) == []
