"""Staged folders: the living told apart from the dead, whatever moment they died at."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from provenance import atomic, staging


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_staged_folder_is_there_for_the_block_and_its_empty_parent_stays(tmp_path):
    with staging.staged(tmp_path / "staging" / "one"):
        assert names(tmp_path / "staging") == ["one", "one.alive"]
        assert staging.left_over(tmp_path / "staging") == []
        assert staging.sweep(tmp_path / "staging") == 0
    assert names(tmp_path / "staging") == []


def test_the_dead_are_found_and_swept_at_once(tmp_path):
    (tmp_path / "no_lock").mkdir()  # its maker died while it removed things
    (tmp_path / "unlocked").mkdir()
    (tmp_path / "unlocked" / "part.parquet").write_bytes(b"half")
    (tmp_path / "unlocked.alive").touch()
    (tmp_path / "no_folder.alive").touch()  # its maker died before it made the folder
    with staging.staged(tmp_path / "living"):
        dead = [tmp_path / name for name in ("no_folder", "no_lock", "unlocked")]
        assert staging.left_over(tmp_path) == dead
        assert staging.sweep(tmp_path) == 3
        assert names(tmp_path) == ["living", "living.alive"]


def test_a_killed_maker_is_dead(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from provenance import staging\n"
        "with staging.staged(Path(sys.argv[1])): print('up', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "work")], stdout=subprocess.PIPE
    )
    with child:
        child.stdout.readline()
        assert staging.left_over(tmp_path) == []
        child.send_signal(signal.SIGKILL)
    assert staging.left_over(tmp_path) == [tmp_path / "work"]


def test_a_reader_may_neither_write_nor_own_what_it_looks_at(tmp_path):
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead.alive").touch(0o444)
    tmp_path.chmod(0o555)
    try:
        assert staging.left_over(tmp_path) == [tmp_path / "dead"]
    finally:
        tmp_path.chmod(0o755)
    assert staging.left_over(tmp_path / "nothing") == []


@pytest.mark.parametrize("watch", [staging.sweep, staging.left_over])
def test_no_observer_takes_a_newborn_for_dead(tmp_path, watch):
    """Many folders are made and removed beside a thread that looks at them all the time."""
    over, seen = threading.Event(), []

    def observe():
        while not over.is_set():
            seen.append(len(found) if isinstance(found := watch(tmp_path / "s"), list) else found)

    observer = threading.Thread(target=observe)
    observer.start()
    try:
        for number in range(300):
            with staging.staged(tmp_path / "s" / str(number)):
                assert (tmp_path / "s" / str(number)).is_dir()
            with contextlib.suppress(OSError):
                (tmp_path / "s").rmdir()  # as the end of a run does
    finally:
        over.set()
        observer.join()
    assert len(seen) > 10


def test_a_claim_is_new_and_held(tmp_path):
    held = atomic.claim(tmp_path / "a")
    with atomic.unlocked(tmp_path / "a") as is_dead:
        assert not is_dead
    with pytest.raises(FileExistsError):
        atomic.claim(tmp_path / "a")
    os.close(held)
    with atomic.unlocked(tmp_path / "a") as is_dead:
        assert is_dead
