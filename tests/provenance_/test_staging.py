"""Staged folders: the living told apart from the dead, whatever moment they died at."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from provenance.base import atomic, locks, staging, store_door

ONE, TWO, THREE, FOUR = ("0" * 31 + digit for digit in "1234")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def swept(store):
    with store_door.opened(store) as door:
        return staging.sweep(door)


@pytest.fixture
def store(tmp_path):
    with store_door.opened(tmp_path / "store") as door:
        (door.path / "staging").mkdir()
        return door.path


def test_a_staged_folder_is_there_for_the_block_and_its_empty_parent_stays(store):
    with staging.staged(store / "staging" / ONE):
        assert names(store / "staging") == [ONE, f"{ONE}.alive"]
        assert staging.left_over(store / "staging") == []
        assert swept(store) == 0
    assert names(store / "staging") == []


def test_the_dead_are_found_and_swept_at_once(store):
    place = store / "staging"
    (place / ONE).mkdir()  # its maker died while it removed things
    (place / TWO).mkdir()
    (place / TWO / "part.parquet").write_bytes(b"half")
    (place / f"{TWO}.alive").touch()
    (place / f"{THREE}.alive").touch()  # its maker died before it made the folder
    with staging.staged(place / FOUR):
        assert staging.left_over(place) == [place / name for name in (ONE, TWO, THREE)]
        assert swept(store) == 3
        assert names(place) == [FOUR, f"{FOUR}.alive"]


def test_nothing_of_another_name_kind_or_owner_is_swept(store, tmp_path):
    place = store / "staging"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("mine")
    (place / "notes").mkdir()
    (place / "notes" / "a.txt").write_text("mine")
    (place / f"{ONE[:-1]}").mkdir()  # one digit short
    (place / TWO).symlink_to(elsewhere)
    (place / THREE).write_text("a file where a folder would be")
    os.mkfifo(place / f"{FOUR}.alive")
    inner = place / "5".zfill(32)
    inner.mkdir()
    (inner / "out").symlink_to(elsewhere)
    before = sorted({*names(place)} - {inner.name})
    assert swept(store) == 1
    assert names(place) == before
    assert names(elsewhere) == ["precious"]


def test_what_another_user_owns_is_not_swept(store):
    if os.geteuid():
        pytest.skip("needs root, to give a folder to another user")
    (store / "staging" / ONE).mkdir()
    os.chown(store / "staging" / ONE, 65534, 65534)
    assert swept(store) == 0
    assert names(store / "staging") == [ONE]


def test_a_killed_maker_is_dead(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from provenance.base import staging\n"
        "with staging.staged(Path(sys.argv[1])): print('up', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / ONE)], stdout=subprocess.PIPE
    )
    with child:
        child.stdout.readline()
        assert staging.left_over(tmp_path) == []
        child.send_signal(signal.SIGKILL)
    assert staging.left_over(tmp_path) == [tmp_path / ONE]


def test_a_reader_may_neither_write_nor_own_what_it_looks_at(tmp_path):
    (tmp_path / ONE).mkdir()
    (tmp_path / f"{ONE}.alive").touch(0o444)
    tmp_path.chmod(0o555)
    try:
        assert staging.left_over(tmp_path) == [tmp_path / ONE]
    finally:
        tmp_path.chmod(0o755)
    assert staging.left_over(tmp_path / "nothing") == []


@pytest.mark.parametrize("watch", [swept, lambda store: staging.left_over(store / "staging")])
def test_no_observer_takes_a_newborn_for_dead(store, watch):
    """Many folders are made and removed beside a thread that looks at them all the time."""
    over, seen, place = threading.Event(), [], store / "staging"

    def observe():
        while not over.is_set():
            seen.append(len(found) if isinstance(found := watch(store), list) else found)

    observer = threading.Thread(target=observe)
    observer.start()
    try:
        for number in range(300):
            with staging.staged(place / f"{number:032}"):
                assert (place / f"{number:032}").is_dir()
            with contextlib.suppress(OSError):
                place.rmdir()  # as the end of a run does
    finally:
        over.set()
        observer.join()
    assert len(seen) > 10


def test_a_claim_is_new_and_held(tmp_path):
    held = atomic.claim(tmp_path / "a")
    with locks.unlocked(tmp_path / "a") as is_dead:
        assert not is_dead
    with pytest.raises(FileExistsError):
        atomic.claim(tmp_path / "a")
    os.close(held)
    with locks.unlocked(tmp_path / "a") as is_dead:
        assert is_dead
