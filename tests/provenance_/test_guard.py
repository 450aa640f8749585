"""The door: what is no regular file of this folder is refused before a byte of it is shown."""

import os
import socket
import time
from pathlib import Path

import pytest

from provenance.base.errors import AssayError
from provenance.files.safe_open import Opened
from provenance.readers.ingest import Limits, expand, ingest

LIMITS = Limits()
NOBODY = 65534


def refused(path, code):
    start = time.perf_counter()
    with pytest.raises(AssayError) as caught, Opened(str(path), LIMITS):
        pass
    assert caught.value.code == f"ASSAY-{code}"
    assert time.perf_counter() - start < 1
    return caught.value


def test_a_plain_file_is_read_and_hashed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"abc")
    with Opened(str(path), LIMITS) as file:
        assert file.read(2) == b"ab"
        assert file.at(1, 5) == b"bc"
        assert file.digest() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_pipes_sockets_devices_and_folders(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.csv")
    refused(tmp_path / "pipe.csv", "I010")
    refused(tmp_path, "I010")
    refused("/dev/zero", "I010")
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.csv")
        refused("s.csv", "I010")


@pytest.mark.parametrize(
    "path",
    ["/proc/self/environ", "/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled"],
)
def test_files_that_the_kernel_makes_up(path, tmp_path):
    if not Path(path).exists():
        pytest.skip(f"{path} is not there")
    told = str(refused(path, "I010"))
    assert "PATH=" not in told
    with pytest.raises(AssayError, match="I010"):
        ingest([path], None, tmp_path, limits=LIMITS)


def test_links_within_the_folder_are_followed_and_others_are_not(tmp_path):
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "a.csv").write_bytes(b"inside")
    (tmp_path / "outside.csv").write_bytes(b"outside")
    for name, target in {
        "in.csv": "deep/a.csv",
        "twice.csv": "in.csv",
        "out.csv": "../outside.csv",
        "absolute.csv": str(tmp_path / "outside.csv"),
        "loop.csv": "loop.csv",
        "gone.csv": "nothing.csv",
    }.items():
        (root / name).symlink_to(target)
    for name in ("in.csv", "twice.csv"):
        with Opened(str(root / name), LIMITS) as file:
            assert file.read(99) == b"inside"
    for name in ("out.csv", "absolute.csv", "loop.csv", "gone.csv"):
        refused(root / name, "I011")
    (tmp_path / "linked").symlink_to(root)
    with Opened(str(tmp_path / "linked" / "in.csv"), LIMITS) as file:  # the root may be a link
        assert file.read(99) == b"inside"
    (root / "folder.csv").symlink_to("deep")
    refused(root / "folder.csv", "I010")


def test_missing_and_unreadable(tmp_path):
    assert "no such file" in str(refused(tmp_path / "nope.csv", "I014"))
    refused(tmp_path / "a\0b.csv", "I014")
    refused(tmp_path / ("x" * 5000), "I014")
    (tmp_path / "secret.csv").write_bytes(b"a")
    (tmp_path / "secret.csv").chmod(0)
    user = os.geteuid()
    if not user:
        os.seteuid(NOBODY)  # root may read everything
    try:
        assert "permission denied" in str(refused(tmp_path / "secret.csv", "I014"))
    finally:
        os.seteuid(user)


def test_too_large_a_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"12345")
    with pytest.raises(AssayError, match="I006"), Opened(str(path), Limits(max_bytes=4)):
        pass
    with Opened(str(path), Limits(max_bytes=5)) as file:
        assert file.size == 5


def appended(path):
    with path.open("ab") as file:
        file.write(b"x")


def touched(path):
    os.utime(path, (1, 1))


def replaced(path):
    (path.parent / "other").write_bytes(path.read_bytes())
    (path.parent / "other").replace(path)


def removed(path):
    path.unlink()


@pytest.mark.parametrize("change", [appended, touched, replaced, removed])
def test_a_change_while_it_is_read(tmp_path, change):
    path = tmp_path / "a.csv"
    path.write_bytes(b"abc")
    with pytest.raises(AssayError, match="I013"), Opened(str(path), LIMITS) as file:  # noqa: PT012
        file.read(99)
        change(path)


def test_a_truncation_before_the_last_byte_is_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"abc")
    with pytest.raises(AssayError, match="I013"), Opened(str(path), LIMITS) as file:  # noqa: PT012
        path.write_bytes(b"")
        assert file.read(9) == b""


def test_descriptors_are_closed_whatever_happens(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    (tmp_path / "l.csv").symlink_to("/etc/passwd")
    for _ in range(20):
        refused(tmp_path, "I010")
        refused(tmp_path / "l.csv", "I011")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_expand(tmp_path):
    for name in ("b.csv", "a.csv", "notes.txt", ".hidden.csv", "_SUCCESS", "sub/c.csv.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    names = [os.path.relpath(path, tmp_path) for path in expand(str(tmp_path))]
    assert names == ["a.csv", "b.csv", "sub/c.csv.gz"]
    assert expand(str(tmp_path / "[ab].csv")) == [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    assert expand(str(tmp_path / "nope.csv")) == [str(tmp_path / "nope.csv")]
    (tmp_path / "bare").mkdir()
    for source in (str(tmp_path / "bare"), str(tmp_path / "*.parquet")):
        with pytest.raises(AssayError, match="I014"):
            expand(source)


def test_limits_by_name():
    assert Limits.of({"max_columns": 7}).max_columns == 7
    with pytest.raises(AssayError, match="C004") as caught:
        Limits.of({"max_colums": 7})
    assert "max_columns" in caught.value.fix
    for value in (0, -1, 1.5, "7", True, None):
        with pytest.raises(AssayError, match="C005"):
            Limits.of({"max_columns": value})
