"""The one door to a store: its folder is Assay's, ours alone, and reached without a symlink.

    STORE/store.json      the marker: {"schema": "assay.store/1", "sharing": "private"}
A first run makes the folder and the marker. Whoever writes comes through `opened`: the folder and
those in it that Assay uses must belong to this user, be closed to others and be no symlinks; what
is removed is removed by descriptor from there. Sharing with the folder's group is recorded in the
marker: then members of the group may own what is in it.
"""

import contextlib
import dataclasses
import errno
import functools
import json
import operator
import os
import shlex
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from provenance.base import atomic, no_follow
from provenance.base.errors import AssayError
from provenance.base.no_follow import IrregularError

MARKER = "store.json"
SCHEMA = "assay.store/1"
SHARINGS = ("private", "group")
# folders that Assay makes in a store, parents first
FOLDERS = (
    "ledger", "ledger/entries", "ledger/segments", "ledger/tmp",
    "runs", "reviews", "reference", "staging", "resume",
)  # fmt: skip
_UMASK = {"private": 0o077, "group": 0o007}
_FOLDER_MODE = {"private": 0o700, "group": 0o2770}
_LARGEST_MARKER = 4096
_masks = threading.RLock()
_in_force: list[int] = []  # umasks of the open doors; the strictest holds
_before: list[int] = []  # the user's own umask while a door is open


@dataclasses.dataclass(frozen=True, slots=True)
class Door:
    """A store that was checked and is open.

    Attributes:
        path: its folder.
        descriptor: of the folder, open as long as the door is.
        sharing: `private` or `group`.
    """

    path: Path
    descriptor: int
    sharing: str

    def remove(self, inner: str, name: str) -> bool:
        """Remove a file or folder of this user from a folder of the store; returns if it did."""
        try:
            with no_follow.folder(inner, at=self.descriptor) as folder:
                return no_follow.remove(name, folder)
        except OSError:
            return False

    def is_folder(self, inner: str, name: str) -> bool:
        """Return whether a name in a folder of the store is a folder, and no symlink to one."""
        try:
            with no_follow.folder(Path(inner, name), at=self.descriptor):
                return True
        except OSError:
            return False

    def names(self, inner: str) -> list[str]:
        """Return the names in a folder of the store, in order; none if it is not there."""
        try:
            with no_follow.folder(inner, at=self.descriptor) as folder:
                return sorted(os.listdir(folder))  # noqa: PTH208  by descriptor
        except FileNotFoundError:
            return []

    def require_here(self) -> None:
        """Refuse to go on if the store's name leads to another folder by now: E109."""
        try:
            same = os.path.samestat(os.fstat(self.descriptor), os.lstat(self.path))
        except OSError:
            same = False
        if not same:
            what = "the store's folder was replaced while it was in use"
            raise _unsafe(what, self.path, "find out who did, and run again")


@contextlib.contextmanager
def opened(path: Path, *, make: bool = True, sharing: str | None = None) -> Iterator[Door]:
    """Open a store for writing; what is created meanwhile is closed to others.

    Args:
        path: of the store's folder.
        make: whether to make it, or take an empty folder, where there is no store yet.
        sharing: of a store that is made, `private` if not given; of one that is there it must be
            the recorded one.

    Raises:
        AssayError: ASSAY-E108 if the folder is somebody's that is no store of Assay's, E109 if it
            or a folder in it is a symlink, another user's or open to others, C013 if it is not
            there and not to be made.
        OSError: it cannot be made or opened.
    """
    with contextlib.ExitStack() as stack:
        door = _entered(path, stack, make=make, sharing=sharing)
        stack.enter_context(_masked(_UMASK[door.sharing]))
        yield door


def _entered(path: Path, stack: contextlib.ExitStack, *, make: bool, sharing: str | None) -> Door:
    try:
        if make:
            _make(path, sharing or "private")
        descriptor = stack.enter_context(no_follow.folder(path))
        recorded = _recorded(path, descriptor, sharing or "private")
        _check(path, descriptor, recorded)
    except IrregularError as error:
        raise _irregular(error, path) from error
    except FileNotFoundError as error:
        if make:
            raise
        fix = "name it by --store"
        raise AssayError("C013", "there is no store", where=str(path), fix=fix) from error
    if sharing and sharing != recorded:
        what = f"the store is {recorded}, not {sharing}: that is settled when it is made"
        raise AssayError("C012", what, where=str(path), fix="leave --share out")
    return Door(path, descriptor, recorded)


def require_regular(path: Path) -> None:
    """Refuse, for a reader, a store that is no folder, E109, or one in it that is none, L013."""
    try:
        with no_follow.folder(path) as descriptor:
            for _ in _inner(descriptor):
                pass
    except IrregularError as error:
        if Path(error.filename) == path:
            raise _irregular(error, path) from error
        what = f"{_named(error, path)} is {error.kind}"
        raise AssayError("L013", what, where=str(path)) from error


def refuse_foreign(path: Path) -> None:
    """Refuse, before anything is read, a folder that is no store: E108, or E109 for a symlink."""
    try:
        with no_follow.folder(path) as descriptor:
            _recorded(path, descriptor, "private")
    except IrregularError as error:
        raise _irregular(error, path) from error
    except FileNotFoundError:
        return  # it will be made


def is_marked(path: Path) -> bool:
    """Return whether a folder has the marker of a store."""
    try:
        with no_follow.folder(path) as descriptor:
            return _marker(descriptor) is not None
    except OSError:
        return False


def forget_marker(door: Door, *, whole: bool) -> bool:
    """Make a store that holds nothing but its marker an empty folder again.

    Args:
        door: of the store.
        whole: whether the folder is to go, too.

    Returns:
        Whether the folder is gone.
    """
    if door.names(".") != [MARKER]:
        return False
    with contextlib.suppress(OSError):
        os.unlink(MARKER, dir_fd=door.descriptor)
        if whole:
            door.path.absolute().rmdir()
            return True
    if door.names("."):  # another first run has just begun here
        _write_marker(door.descriptor, door.sharing)
    return False


def _make(path: Path, sharing: str) -> None:
    for folder in (*reversed(path.absolute().parents), path.absolute()):
        mode = 0o777 if folder != path.absolute() else 0o700
        with contextlib.suppress(FileExistsError):
            if not no_follow.is_there(folder):
                folder.mkdir(mode=mode)
                atomic.sync(folder.parent)
    with no_follow.folder(path) as descriptor:
        if _marker(descriptor) is not None:
            return
        if not _is_new(descriptor):
            raise _not_ours(path)
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise _unsafe("the folder is another user's", path, "choose one of your own")
        with _masked(_UMASK[sharing]):
            os.fchmod(descriptor, _FOLDER_MODE[sharing])
            _write_marker(descriptor, sharing)


def _write_marker(descriptor: int, sharing: str) -> None:
    """Write the marker; two first runs at once write the same."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    content = _content(sharing)
    made = no_follow.open_file(MARKER, at=descriptor, flags=flags)
    try:
        if os.write(made, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), MARKER)
        os.fsync(made)
    finally:
        os.close(made)
    os.fsync(descriptor)


def _content(sharing: str) -> bytes:
    return json.dumps({"schema": SCHEMA, "sharing": sharing}).encode() + b"\n"


def _is_new(descriptor: int) -> bool:
    """Return whether a folder holds nothing, or a marker that is being or was half written."""
    names = os.listdir(descriptor)
    if names != [MARKER]:
        return not names
    try:
        begun = no_follow.read(MARKER, at=descriptor)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return any(_content(sharing).startswith(begun) for sharing in SHARINGS)


def _marker(descriptor: int) -> str | None:
    """Return the sharing that the marker records, None if there is no marker of ours."""
    try:
        made = no_follow.open_file(MARKER, at=descriptor)
    except OSError:
        return None
    try:
        content = os.read(made, _LARGEST_MARKER)
    finally:
        os.close(made)
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        return None
    sharing = told.get("sharing")
    return sharing if sharing in SHARINGS else None


def _recorded(path: Path, descriptor: int, sharing: str) -> str:
    marker = _marker(descriptor)
    if marker is not None:
        return marker
    if _is_new(descriptor):
        return sharing  # just being made, or a store made in vain that goes just now
    raise _not_ours(path)


def _check(path: Path, descriptor: int, sharing: str) -> None:
    """Refuse a store that others could have prepared, or can write to."""
    parts = [(path, os.fstat(descriptor))]
    with contextlib.suppress(FileNotFoundError):  # a store made in vain goes just now
        marker = os.stat(MARKER, dir_fd=descriptor, follow_symlinks=False)
        parts.append((path / MARKER, marker))
    parts += [(path / name, os.fstat(inner)) for name, inner in _inner(descriptor)]
    for part, found in parts:
        if sharing == "private" and found.st_uid != os.geteuid():
            fix = "run as that user, or choose a folder of your own with --store"
            raise _unsafe(f"it belongs to another user (uid {found.st_uid})", part, fix)
    others = stat.S_IWOTH if sharing == "group" else stat.S_IWOTH | stat.S_IWGRP
    for part, found in parts:
        if found.st_mode & others:
            whose = "o" if sharing == "group" else "go"
            fix = f"look at what is in the store, then: chmod -R {whose}-w {shlex.quote(str(path))}"
            raise _unsafe("other users may write to it", part, fix)


def _inner(descriptor: int) -> Iterator[tuple[str, int]]:
    """Open each folder that Assay uses in a store, if it is there, and yield it."""
    for name in FOLDERS:
        try:
            with no_follow.folder(name, at=descriptor) as inner:
                yield name, inner
        except IrregularError as error:
            raise IrregularError(name, error.kind) from error
        except FileNotFoundError:
            continue


@contextlib.contextmanager
def _masked(mask: int) -> Iterator[None]:
    """Let what is created meanwhile be closed to others; the last to leave restores the umask."""
    with _masks:
        if not _in_force:
            _before.append(os.umask(mask))
        _in_force.append(mask)
        os.umask(_strictest())
    try:
        yield
    finally:
        with _masks:
            _in_force.remove(mask)
            os.umask(_strictest() if _in_force else _before.pop())


def _strictest() -> int:
    return functools.reduce(operator.or_, _in_force)


def own_umask() -> int:
    """Return the user's own umask, which is not in force while a store is open."""
    with _masks:
        if _before:
            return _before[0]
        return atomic.umask()


def _named(error: IrregularError, path: Path) -> str:
    name = Path(error.filename or "")
    return "the store" if name in (path, Path()) else f"{name} in the store"


def _irregular(error: IrregularError, path: Path) -> AssayError:
    what = f"{_named(error, path)} is {error.kind}"
    if Path(error.filename) != path:
        fix = "remove it after a look; Assay did not put it there"
    elif error.kind == "a symlink":
        fix = "give the real path of the store with --store"
    else:
        fix = "give a folder with --store"
    return AssayError("E109", what, where=str(path), fix=fix)


def _not_ours(path: Path) -> AssayError:
    what = "the folder holds files and is no store of Assay's"
    fix = "choose an empty or a new folder with --store"
    if (path / "ledger" / "entries").is_dir():
        what = f"the store's marker {MARKER} is missing or damaged"
        is_shared = (
            path.stat().st_mode & (stat.S_ISGID | stat.S_IWGRP) == stat.S_ISGID | stat.S_IWGRP
        )
        line = _content("group" if is_shared else "private").decode().strip()
        fix = f"if this is your store, perhaps of an earlier version, write {line} into that file"
    return AssayError("E108", what, where=str(path), fix=fix)


def _unsafe(what: str, path: Path, fix: str) -> AssayError:
    return AssayError("E109", what, where=str(path), fix=fix)
