"""Crash-safe writes: whole or not at all, and the living told apart from the dead."""

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading

import pytest

from provenance.base import atomic, locks
from provenance.base.errors import AssayError


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


def test_an_exclusive_write_makes_its_folder_and_sweeps_what_the_dead_left(tmp_path):
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    (scratch / "7.parquet.4711-0").write_bytes(b"half")
    held = atomic.claim(scratch / "8.parquet.4712-0")
    atomic.write_exclusive(tmp_path / "deep" / "er" / "a", b"whole", scratch)
    assert [path.name for path in scratch.iterdir()] == ["8.parquet.4712-0"]
    assert (tmp_path / "deep" / "er" / "a").read_bytes() == b"whole"
    os.close(held)


def test_a_dead_process_of_our_number_is_never_written_over(tmp_path):
    """Its temporary file may be the very file that it linked."""
    scratch, name = tmp_path / "tmp", f"a.{os.getpid()}-0"
    scratch.mkdir()
    (tmp_path / "kept").write_bytes(b"kept")
    os.link(tmp_path / "kept", scratch / name)
    atomic.write_exclusive(tmp_path / "a", b"new", scratch)
    assert (tmp_path / "kept").read_bytes() == b"kept"
    assert list(scratch.iterdir()) == []


def test_what_cannot_be_synced_does_not_stand(tmp_path, monkeypatch):
    def fail(path):
        if path == tmp_path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(atomic, "sync", fail)
    (tmp_path / "tmp").mkdir()
    with pytest.raises(OSError, match="Input/output"):
        atomic.write_exclusive(tmp_path / "a", b"new", tmp_path / "tmp")
    assert not (tmp_path / "a").exists()


def test_a_file_is_readable_as_the_umask_says(tmp_path):
    atomic.write_exclusive(tmp_path / "open", b"", tmp_path / "tmp")
    atomic.write_exclusive(tmp_path / "own", b"", tmp_path / "tmp", mode=0o600)
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o600


def test_a_lock_that_another_process_keeps_is_e004_and_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "LOCK_SECONDS", 0.2)
    code = (
        "import sys, time; from pathlib import Path; from provenance.base import atomic\n"
        "with atomic.exclusive(Path(sys.argv[1])): print('up', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        with pytest.raises(AssayError) as refused, atomic.exclusive(tmp_path / "lock"):
            pass
        child.kill()
    assert (refused.value.code, refused.value.exit_code) == ("ASSAY-E004", 3)
    assert refused.value.where == str(tmp_path / "lock")
    assert f"process {child.pid} " in refused.value.what
    with atomic.exclusive(tmp_path / "lock"):  # it went with its holder
        pass


def test_who_waits_for_a_lock_that_is_removed_takes_the_new_one(tmp_path):
    lock, order = tmp_path / "made" / "lock", []

    def wait():
        with atomic.exclusive(lock):
            order.append("second")
            with lock.open("rb") as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)

    with atomic.exclusive(lock):
        second = threading.Thread(target=wait)
        second.start()
        second.join(5 * locks.POLL)
        lock.unlink()
        lock.parent.rmdir()
        order.append("first")
    second.join()
    assert order == ["first", "second"]


def test_folders_are_made_beside_a_process_that_removes_the_empty_ones(tmp_path):
    deep, over = tmp_path / "a" / "b" / "c", threading.Event()

    def remove():
        while not over.is_set():
            for folder in (deep, deep.parent, deep.parents[1]):
                if folder.is_dir():
                    try:
                        folder.rmdir()
                    except OSError:
                        continue

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        for _ in range(300):
            atomic.make_folders(deep)
    finally:
        over.set()
        remover.join()
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        atomic.make_folders(tmp_path / "file" / "below")


def test_a_file_is_written_over_through_no_link_that_lies_in_wait(tmp_path):
    target, victim = tmp_path / "out.txt", tmp_path / "victim"
    victim.write_bytes(b"theirs")
    (tmp_path / f".out.txt.{os.getpid()}").symlink_to(victim)
    target.symlink_to(victim)
    before = os.umask(0o027)
    try:
        atomic.write_over(target, b"ours")
    finally:
        os.umask(before)
    assert victim.read_bytes() == b"theirs"
    assert not target.is_symlink()
    assert target.read_bytes() == b"ours"
    assert target.stat().st_mode & 0o777 == 0o640
    assert len(list(tmp_path.iterdir())) == 3


def test_what_cannot_be_written_over_leaves_nothing_and_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "out.txt").write_bytes(b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        atomic.write_over(tmp_path / "out.txt", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    assert (tmp_path / "out.txt").read_bytes() == b"old"


def test_an_output_that_cannot_be_written_gets_a_code_and_no_advice_about_the_store(tmp_path):
    with pytest.raises(AssayError) as refused:
        atomic.write_output(tmp_path / "missing" / "out.txt", b"new")
    assert (refused.value.code, "--store" in refused.value.fix) == ("ASSAY-E003", False)
    (tmp_path / "out.txt").touch()
    with pytest.raises(AssayError) as refused:
        atomic.refuse_existing(tmp_path / "out.txt", "contract", force=False)
    assert refused.value.code == "ASSAY-C012"
    atomic.refuse_existing(tmp_path / "out.txt", "contract", force=True)


def test_what_is_no_regular_file_is_written_into_and_stays(tmp_path):
    pipe, link, got = tmp_path / "pipe", tmp_path / "link", []
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    atomic.write_over(link, b"through")
    reader.join()
    assert got == [b"through"]
    assert (link.is_symlink(), pipe.is_fifo()) == (True, True)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        atomic.write_over(tmp_path / "folder", b"x")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a device or give a pipe away")
def test_a_device_stays_and_the_pipe_of_another_user_gets_nothing(tmp_path):
    device, pipe = tmp_path / "nul", tmp_path / "pipe"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    before = device.stat()
    try:
        atomic.write_over(device, b"x", mode=0o600)
    except PermissionError:  # the file system is mounted without devices
        assert os.statvfs(tmp_path).f_flag & os.ST_NODEV
    assert (device.stat().st_mode, device.stat().st_ino) == (before.st_mode, before.st_ino)
    os.mkfifo(pipe)
    os.chown(pipe, 65534, 65534)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(PermissionError):
        atomic.write_over(pipe, b"secret")
    assert os.read(reading, 9) == b""
    os.close(reading)


@pytest.mark.parametrize("where", ["file", "pipe"])
def test_the_output_of_this_process_is_written_into_wherever_it_leads(tmp_path, where):
    code = (
        "from pathlib import Path; from provenance.base import atomic\n"
        "print('before', flush=True)\n"
        "atomic.write_over(Path('/proc/self/fd/1'), b'content')"
    )
    with (tmp_path / "out").open("wb") as file:
        out = file if where == "file" else subprocess.PIPE
        done = subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (done.stdout or (tmp_path / "out").read_bytes()) == b"before\ncontent"


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_and_nothing_on_it_is_swept(
    tmp_path, monkeypatch, number
):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    left = tmp_path / "tmp" / "7.parquet.4711-0"
    left.parent.mkdir()
    left.touch()
    monkeypatch.setattr(fcntl, "flock", refuse)
    atomic.sweep_files(left.parent)
    assert left.exists()
    with pytest.raises(AssayError, match="does not support locks") as refused:
        atomic.claim(tmp_path / "claim")
    assert (refused.value.code, refused.value.where) == ("ASSAY-E003", str(tmp_path / "claim"))
    with (
        pytest.raises(AssayError, match="ASSAY-E003: the file system does not support locks"),
        atomic.exclusive(tmp_path / "lock"),
    ):
        pass
    assert not (tmp_path / "claim").exists()


def test_an_exclusive_lock_is_asked_of_a_file_that_is_open_for_writing(tmp_path, monkeypatch):
    """As NFS wants it: there the file of a dead process would never be swept."""
    whole = fcntl.flock

    def as_nfs(descriptor, kind):
        if kind & fcntl.LOCK_EX and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        whole(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", as_nfs)
    (tmp_path / "a").touch()
    for kind in (fcntl.LOCK_EX, fcntl.LOCK_SH):
        with locks.unlocked(tmp_path / "a", kind) as is_dead:
            assert is_dead


def test_a_file_that_may_not_be_read_is_not_said_to_be_the_store(tmp_path):
    found = atomic.with_code(PermissionError(errno.EACCES, "denied", str(tmp_path / "python")))
    assert (found.code, found.where) == ("ASSAY-E003", str(tmp_path / "python"))
    assert "--store" not in found.fix
