"""Opens a store safely: its folder is Assay's, belongs to this user and is not a symlink.

    STORE/store.json      the marker: {"schema": "assay.store/1", "sharing": "private"}
The first run creates the folder and the marker. Every writer calls `opened`: the store and the
folders in it must belong to this user, be closed to others and not be symlinks; files are removed
by descriptor from there. The marker records whether the store is shared with the folder's group;
if it is, members of the group may own its contents.
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
from provenance.base.codes import CODES
from provenance.base.errors import AssayError
from provenance.base.no_follow import IrregularError

MARKER = "store.json"
SCHEMA = "assay.store/1"
SHARINGS = ("private", "group")
# folders that Assay creates in a store, parents first
FOLDERS = (
    "ledger", "ledger/entries", "ledger/segments", "ledger/tmp",
    "runs", "reviews", "reference", "staging", "resume",
)  # fmt: skip
_UMASK = {"private": 0o077, "group": 0o007}
_FOLDER_MODE = {"private": 0o700, "group": 0o2770}
_LARGEST_MARKER = 4096
_masks = threading.RLock()
_in_force: list[int] = []  # umasks of the open stores, which apply together
_before: list[int] = []  # the user's own umask while a store is open


@dataclasses.dataclass(frozen=True, slots=True)
class Door:
    """A store that has been checked and is open.

    Attributes:
        path: its folder.
        descriptor: of the folder, open as long as the store is.
        sharing: `private` or `group`.
    """

    path: Path
    descriptor: int
    sharing: str

    def remove(self, inner: str, name: str) -> bool:
        """Remove a file or folder of this user from a folder of the store; returns success."""
        try:
            with no_follow.folder(inner, at=self.descriptor) as folder:
                return no_follow.remove(name, folder)
        except OSError:
            return False

    def is_folder(self, inner: str, name: str) -> bool:
        """Return whether a name in a folder of the store is a folder and not a symlink to one."""
        try:
            with no_follow.folder(Path(inner, name), at=self.descriptor):
                return True
        except OSError:
            return False

    def names(self, inner: str) -> list[str]:
        """Return the sorted names in a folder of the store; none if it does not exist."""
        try:
            with no_follow.folder(inner, at=self.descriptor) as folder:
                return sorted(os.listdir(folder))  # noqa: PTH208  by descriptor
        except FileNotFoundError:
            return []

    def require_here(self) -> None:
        """Raise E109 if the store's path now leads to a different folder."""
        try:
            same = os.path.samestat(os.fstat(self.descriptor), os.lstat(self.path))
        except OSError:
            same = False
        if not same:
            what = "the store's folder was replaced while it was in use"
            raise _unsafe(what, self.path, "find out who replaced it, then run again")


@contextlib.contextmanager
def opened(path: Path, *, make: bool = True, sharing: str | None = None) -> Iterator[Door]:
    """Open a store for writing; whatever is created during the block is closed to others.

    Args:
        path: the store's folder.
        make: whether to create the store if there is none, in a new or an empty folder.
        sharing: of a new store, `private` by default; for an existing store it must match the
            recorded value.

    Raises:
        AssayError: ASSAY-E108 if the folder contains files but is not a store, E109 if it or a
            folder in it is a symlink, another user's or open to others, C013 if there is no store
            and `make` is false, C012 if `sharing` differs from the recorded value.
        OSError: it cannot be created or opened.
    """
    with contextlib.ExitStack() as stack:
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
            fix = "give the store's folder with --store"
            raise AssayError("C013", "there is no store here", where=str(path), fix=fix) from error
        if sharing and sharing != recorded:
            what = f"the store is {recorded}, not {sharing}; this cannot change after its creation"
            raise AssayError("C012", what, where=str(path), fix="omit --share")
        stack.enter_context(_masked(_UMASK[recorded]))
        yield Door(path, descriptor, recorded)


def require_regular(path: Path) -> None:
    """Refuse to read a store that is not a folder, E109, or whose own folders are not, L013."""
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
    """Refuse a folder that is not a store before reading from it: E108, or E109 for a symlink."""
    try:
        with no_follow.folder(path) as descriptor:
            _recorded(path, descriptor, "private")
    except IrregularError as error:
        raise _irregular(error, path) from error
    except FileNotFoundError:
        return  # it will be created


def is_marked(path: Path) -> bool:
    """Return whether a folder has the marker of a store."""
    try:
        with no_follow.folder(path) as descriptor:
            return _marker(descriptor) is not None
    except OSError:
        return False


def forget_marker(door: Door, *, whole: bool) -> bool:
    """Turn a store that contains only its marker back into an empty folder.

    Args:
        door: the store.
        whole: whether to remove the folder as well.

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
    if door.names("."):  # another first run has just started here
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
        if _settled(path, descriptor) is not None:
            return
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise _unsafe("the folder belongs to another user", path, "choose one of your own")
        with _masked(_UMASK[sharing]):
            os.fchmod(descriptor, _FOLDER_MODE[sharing])
            _write_marker(descriptor, sharing)


def _write_marker(descriptor: int, sharing: str) -> None:
    """Write the marker; two concurrent first runs write the same bytes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    marker = no_follow.open_file(MARKER, at=descriptor, flags=flags)
    with os.fdopen(marker, "wb", buffering=0) as file:
        content = _content(sharing)
        if file.write(content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), MARKER)
        os.fsync(marker)
    os.fsync(descriptor)


def _content(sharing: str) -> bytes:
    return json.dumps({"schema": SCHEMA, "sharing": sharing}).encode() + b"\n"


def _is_new(descriptor: int) -> bool:
    """Return whether a folder is empty but for a marker that is incomplete or being written."""
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
    """Return the sharing that the marker records, None if there is no valid marker."""
    try:
        marker = json.loads(no_follow.read(MARKER, at=descriptor, most=_LARGEST_MARKER))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(marker, dict) or marker.get("schema") != SCHEMA:
        return None
    sharing = marker.get("sharing")
    return sharing if sharing in SHARINGS else None


def _recorded(path: Path, descriptor: int, sharing: str) -> str:
    # without a marker, another run is creating the store, or removing it because it stayed empty
    return _settled(path, descriptor) or sharing


def _settled(path: Path, descriptor: int) -> str | None:
    """Return the sharing that the marker records, None of a new folder; E108 of any other."""
    marker = _marker(descriptor)
    if marker is not None or _is_new(descriptor):
        return marker
    # another first run may have finished the marker and made folders between the two looks
    marker = _marker(descriptor)
    if marker is None:
        raise _not_ours(path)
    return marker


def _check(path: Path, descriptor: int, sharing: str) -> None:
    """Refuse a store that others could have planted, or can write to."""
    parts = [(path, os.fstat(descriptor))]
    with contextlib.suppress(FileNotFoundError):  # another run is removing an empty store
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
            fix = f"inspect the store, then run: chmod -R {whose}-w {shlex.quote(str(path))}"
            raise _unsafe("other users may write to it", part, fix)


def _inner(descriptor: int) -> Iterator[tuple[str, int]]:
    """Open each folder that Assay uses in a store, if it exists, and yield it."""
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
    """Close new files to others during the block; the last block to end restores the umask."""
    with _masks:
        if not _in_force:
            _before.append(os.umask(mask))
        _in_force.append(mask)
        os.umask(functools.reduce(operator.or_, _in_force))
    try:
        yield
    finally:
        with _masks:
            _in_force.remove(mask)
            os.umask(functools.reduce(operator.or_, _in_force) if _in_force else _before.pop())


def own_umask() -> int:
    """Return the user's own umask, which does not apply while a store is open."""
    with _masks:
        return _before[0] if _before else atomic.umask()


def _named(error: IrregularError, path: Path) -> str:
    name = Path(error.filename or "")
    return "the store" if name in (path, Path()) else f"{name} in the store"


def _irregular(error: IrregularError, path: Path) -> AssayError:
    what = f"{_named(error, path)} is {error.kind}"
    if Path(error.filename) != path:
        fix = CODES["L013"][1]
    elif error.kind == "a symlink":
        fix = "give the store's real path with --store"
    else:
        fix = "give a folder with --store"
    return _unsafe(what, path, fix)


def _not_ours(path: Path) -> AssayError:
    what, fix = "the folder contains files but is not an Assay store", ""
    if (path / "ledger" / "entries").is_dir():
        what = f"the store's marker {MARKER} is missing or damaged"
        shared = stat.S_ISGID | stat.S_IWGRP
        is_shared = path.stat().st_mode & shared == shared
        line = _content("group" if is_shared else "private").decode().strip()
        fix = f"if this is your store, perhaps from an earlier version, write {line} into that file"
    return AssayError("E108", what, where=str(path), fix=fix)


def _unsafe(what: str, path: Path, fix: str) -> AssayError:
    return AssayError("E109", what, where=str(path), fix=fix)
