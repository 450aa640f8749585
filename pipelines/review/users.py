"""The users file of the review page: names, roles and stored passwords, one user a line.

It decides who may decide, so it is read only if nobody but its owner could have written it, and a
file with anything wrong in it lets nobody in.
"""

import contextlib
import dataclasses
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pipelines.review import passwords
from pipelines.review.roles import ROLES
from provenance.base import atomic, no_follow
from provenance.base.errors import AssayError

MOST_BYTES = 1 << 20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
HEAD = (
    "# Users of the review page: name, role, password as Argon2id. Change them with\n"
    "# `assay review --add-user`, `--change-user` and `--remove-user`.\n"
)
OTHERS = stat.S_IRWXG | stat.S_IRWXO
_FIELDS = 3  # of a line


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """A line of the file; `password` as `passwords` stores it."""

    name: str
    role: str
    password: str


Users = Mapping[str, User]


class UsersFile:
    """The users as the file has them now: it is looked at for each request."""

    def __init__(self, path: Path) -> None:
        """Read the file; errors as of `private`, and C015 if it is malformed or has no users."""
        self.path = path
        self._content = b""
        self._users: Users = {}
        if not self.now():
            fix = "add one with `assay review --add-user NAME --role admin --users FILE`"
            raise AssayError("C015", "the users file has no users", where=str(path), fix=fix)

    def now(self) -> Users:
        """Return all users by name; errors as of `private`, and C015 if the file is malformed."""
        content = private(self.path, "the users file")
        if content != self._content:
            self._users = parsed(content, self.path)
            self._content = content
        return self._users

    def alike(self, name: str) -> User | None:
        """Return the user of a name in upper or lower case, None if there is none."""
        folded = name.casefold()
        return next((user for user in self.now().values() if user.name.casefold() == folded), None)


def private(path: Path, kind: str) -> bytes:
    """Return the content of a file that only this user can read and change.

    Args:
        path: of the file.
        kind: what messages call it.

    Raises:
        AssayError: ASSAY-E112 if it is missing, a symlink, too large or open to others.
    """
    try:
        descriptor = no_follow.open_file(path)
    except no_follow.IrregularError as error:
        raise _unsafe(path, f"{kind} is {error.kind}", "give the path of a regular file") from error
    except OSError as error:
        what = f"{kind} cannot be read: {os.strerror(error.errno or 0)}"
        raise _unsafe(path, what, "check the path and the permissions") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            raise _unsafe(path, f"another user owns {kind}", "run `chown` on it")
        if found.st_mode & OTHERS:
            raise _unsafe(path, f"other users can read or change {kind}", "run `chmod 600` on it")
        content = file.read(MOST_BYTES + 1)
    folder = path.parent.stat().st_mode
    if folder & (stat.S_IWGRP | stat.S_IWOTH) and not folder & stat.S_ISVTX:
        fix = "run `chmod go-w` on the folder, or move the file"
        raise _unsafe(path, f"other users can replace {kind}: they can write to its folder", fix)
    if len(content) > MOST_BYTES:
        raise _unsafe(path, f"{kind} is larger than {MOST_BYTES >> 20} MiB", "shorten it")
    return content


def parsed(content: bytes, path: Path) -> dict[str, User]:
    """Return the users of a file by name; C015 names the first line that is wrong."""
    users: dict[str, User] = {}
    names: set[str] = set()
    for number, line in _lines(content, path):
        user = _user(line, f"{path}, line {number}")
        if user.name.casefold() in names:
            fix = "remove one of the two lines; upper and lower case make no difference"
            what = "a name occurs twice in the users file"
            raise AssayError("C015", what, where=f"{path}, line {number}", fix=fix)
        names.add(user.name.casefold())
        users[user.name] = user
    return users


def change(path: Path, edit: Callable[[dict[str, User]], None]) -> None:
    """Change the users of a file, which is created if it does not exist.

    Args:
        path: of the file; it is replaced as a whole, readable by its owner only.
        edit: changes the users it is given, or raises.

    Raises:
        AssayError: as of `private`; ASSAY-C015 if the file is malformed; E001 to E004 if it
            cannot be written.
    """
    lock = path.with_name(f".{path.name}.lock")
    with atomic.coded(path, "give a different path with --users"), atomic.exclusive(lock):
        try:
            content = private(path, "the users file") if no_follow.is_there(path) else b""
            users = parsed(content, path)
            edit(users)
            notes = [line for line in content.decode().splitlines() if line.startswith("#")]
            head = "".join(f"{line}\n" for line in notes) or HEAD
            lines = "".join(f"{u.name} {u.role} {u.password}\n" for u in users.values())
            atomic.write_over(path, (head + lines).encode(), mode=0o600)
            atomic.sync(path.parent)
        finally:
            with contextlib.suppress(OSError):
                lock.unlink()


def _lines(content: bytes, path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that is neither empty nor a comment."""
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        what = "the users file holds something other than ASCII text"
        fix = "repair the line, or restore the file"
        raise AssayError("C015", what, where=f"{path}, line {number}", fix=fix) from None
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.rstrip("\r")


def _user(line: str, where: str) -> User:
    """Return the user of a line; C015 without a word of the line, which may hold a hash."""
    fields = line.split(" ")
    if len(fields) != _FIELDS:
        what = "a line of the users file is not a name, a role and a password"
        fix = "write the three with one space between them, or use `assay review --add-user`"
        raise AssayError("C015", what, where=where, fix=fix)
    user = User(*fields)
    if not NAME.fullmatch(user.name):
        raise AssayError("C015", "a name in the users file is invalid", where=where, fix=OF_NAMES)
    if user.role not in ROLES:
        fix = f"write {', '.join(ROLES[:-1])} or {ROLES[-1]}"
        raise AssayError("C015", "a role in the users file is unknown", where=where, fix=fix)
    if fault := passwords.fault_of(user.password):
        fix = "set the password again with `assay review --change-user NAME --users FILE`"
        raise AssayError("C015", fault, where=where, fix=fix)
    return user


OF_NAMES = "use letters from A to Z, digits and . _ @ + -, at most 100, the first a letter or digit"


def _unsafe(path: Path, what: str, fix: str) -> AssayError:
    return AssayError("E112", what, where=str(path), fix=fix)
