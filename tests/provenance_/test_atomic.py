"""Crash-safe writes: whole or not at all, and the living told apart from the dead."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from provenance import atomic
from provenance.errors import AssayError


def test_exclusive_write_never_replaces(tmp_path):
    atomic.write_exclusive(tmp_path / "a", b"first", tmp_path / "tmp")
    with pytest.raises(FileExistsError):
        atomic.write_exclusive(tmp_path / "a", b"second", tmp_path / "tmp")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "E002"), (errno.EDQUOT, "E002"), (errno.EROFS, "E001"), (errno.EACCES, "E003")],
)
def test_os_errors_get_their_codes(tmp_path, number, code):
    with pytest.raises(AssayError) as refused, atomic.coded(tmp_path):
        raise OSError(number, os.strerror(number))
    assert (refused.value.code, refused.value.exit_code) == (f"ASSAY-{code}", 3)


def test_sweep_spares_the_living_and_the_newborn(tmp_path):
    for name in ("alive", "dead", "newborn", "old"):
        (tmp_path / name).mkdir()
    held = atomic.keep_alive(tmp_path / "alive")
    os.close(atomic.keep_alive(tmp_path / "dead"))
    past = time.time() - atomic.GRACE_SECONDS - 1
    os.utime(tmp_path / "old", (past, past))
    assert atomic.sweep(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alive", "newborn"]
    os.close(held)


def test_a_killed_owner_is_dead(tmp_path):
    (tmp_path / "work").mkdir()
    code = (
        "import sys, time; from pathlib import Path; from provenance import atomic;"
        "atomic.keep_alive(Path(sys.argv[1])); print('up', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "work")], stdout=subprocess.PIPE
    )
    with child:
        child.stdout.readline()
        assert atomic.left_over(tmp_path) == []
        child.send_signal(signal.SIGKILL)
    assert atomic.left_over(tmp_path) == [tmp_path / "work"]
