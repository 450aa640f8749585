"""What is no regular file of the source's folder, and files that do not go together."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from bad_files.kind import ROWS, Bad, as_csv, as_lines, cells
from bad_files.parquets import saved, table, with_column

CSV = as_csv(cells())


def _pipe(folder: Path) -> str:
    os.mkfifo(folder / "in.csv")
    return str(folder / "in.csv")


def _socket(folder: Path) -> str:
    here = os.open(".", os.O_RDONLY)
    os.chdir(folder)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("in.csv")
    finally:
        os.fchdir(here)
        os.close(here)
    return str(folder / "in.csv")


def _folder(folder: Path) -> str:
    (folder / "in.csv").mkdir()
    (folder / "outer").mkdir()
    (folder / "outer" / "in.csv").symlink_to(folder / "in.csv", target_is_directory=True)
    return str(folder / "outer" / "in.csv")


def _link(target: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        (folder / "data").mkdir()
        (folder / "outside.csv").write_bytes(CSV)
        (folder / "data" / "in.csv").symlink_to(target)
        return str(folder / "data" / "in.csv")

    return make


def _inner_link(folder: Path) -> str:
    (folder / "deep").mkdir()
    (folder / "deep" / "real.csv").write_bytes(CSV)
    (folder / "in.csv").symlink_to("deep/real.csv")
    return str(folder / "in.csv")


def _unreadable(folder: Path) -> str:
    (folder / "in.csv").write_bytes(CSV)
    (folder / "in.csv").chmod(0)
    return str(folder / "in.csv")


def _locked_folder(folder: Path) -> str:
    (folder / "locked").mkdir()
    (folder / "locked" / "in.csv").write_bytes(CSV)
    (folder / "locked").chmod(0o600)
    return str(folder / "locked" / "in.csv")


def several(*files: tuple[str, bytes]) -> Callable[[Path], str]:
    """Return a maker of a folder of files."""

    def make(folder: Path) -> str:
        (folder / "data").mkdir()
        for name, data in files:
            (folder / "data" / name).write_bytes(data)
        return str(folder / "data")

    return make


def cases() -> Iterator[Bad]:
    """Yield all of them."""
    for what, make in (("pipe", _pipe), ("socket", _socket)):
        yield Bad(what, "I010", "refused", make)
    for path in ("/dev/zero", "/dev/null", "/dev/full", "/proc/self/status", "/proc/version"):
        yield Bad(path, "I010", "refused", lambda _, path=path: path)
    yield Bad("link to a folder elsewhere", "I014", "refused", _folder)
    for what, target in {
        "link out": "../outside.csv",
        "link to the root": "/etc/passwd",
        "link to itself": "in.csv",
        "link to nothing": "nothing.csv",
    }.items():
        yield Bad(what, "I011", "refused", _link(target))
    yield Bad("link within", "", "accepted", _inner_link)
    yield Bad("nothing there", "I014", "refused", lambda folder: str(folder / "in.csv"))
    yield Bad("unreadable", "I014", "refused", _unreadable, user="nobody")
    yield Bad("folder that is locked", "I014", "refused", _locked_folder, user="nobody")
    half = as_csv(cells()[:30]), as_csv(cells()[30:])
    yield Bad("two halves", "", "accepted", several(("a.csv", half[0]), ("b.csv", half[1])))
    bare = half[1].splitlines(keepends=True)[0]
    yield Bad("one of two without rows", "I002", "warned", several(("a.csv", CSV), ("b.csv", bare)))
    yield Bad("second half without a column", "I017", "refused", several(
        ("a.csv", half[0]), ("b.csv", b"id,code\n1,C1\n")))  # fmt: skip
    yield Bad("second half of another format", "I017", "refused", several(
        ("a.csv", half[0]), ("b.jsonl", as_lines(cells()[30:]))))  # fmt: skip
    texts = with_column("age", table()["age"].cast("string"))
    yield Bad("parts that disagree in types", "I017", "refused", several(
        ("a.parquet", saved(table())), ("b.parquet", saved(texts))), is_typed=True)  # fmt: skip
    yield Bad("one of two halves cut", "I003", "refused", several(
        ("a.parquet", saved(table())), ("b.parquet", saved(table())[:-9])))  # fmt: skip
    assert len(cells()) == ROWS
