"""Checks who else can reach a key: it is only as safe as its file, the link to it and its folder.

The owner of a file may be this user or root, who can read and write everything anyway.
"""

import os
import shlex
import stat
from pathlib import Path

from provenance.base import no_follow
from provenance.base.errors import AssayError

SECRET = 0o077  # no other user may read or write it
PUBLIC = 0o022  # no other user may write it
_MEANS = {SECRET: "other users can read or write it", PUBLIC: "other users can write it"}


def read(path: Path, others: int, what: str) -> bytes:
    """Return the content of a key's file, provided that no other user can reach it.

    Other users cannot reach an anonymous pipe, such as the shell's `<(command)`.

    Args:
        path: a file, or a link to one.
        others: `SECRET` or `PUBLIC`, the permissions that no other user may have.
        what: the key's name in messages: "the signing key".

    Raises:
        AssayError: ASSAY-E003 if others can reach it.
        IrregularError: it is a named pipe, a device or another special file.
        OSError: it cannot be read.
    """
    with os.fdopen(no_follow.open_given(path), "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            _refuse_file(path, status, others, what)
            refuse_way(path, others, what)
        return file.read()


def _refuse_file(path: Path, status: os.stat_result, others: int, what: str) -> None:
    if others == SECRET and not _is_ours(status):
        # changing the file's owner would lock the present one out
        fix = f"run as the key's owner (uid {status.st_uid}), or copy the key to your own file"
        raise _open_to(path, what, "it is another user's file", fix)
    if status.st_mode & others:
        fix = f"chmod {'600' if others == SECRET else 'go-w'} {_word(path)}"
        is_fixed = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
        if others == SECRET and (is_fixed or status.st_uid != os.geteuid()):
            # a mounted secret, or a key that root owns: chmod fails, or locks this user out
            uid = os.geteuid()
            fix = f"mount it with `mode: 0400` and uid {uid}, or copy it to a private file"
        raise _open_to(path, what, _MEANS[others], fix)


def refuse_way(path: Path, others: int, what: str) -> None:
    """Refuse another user's link, and a folder in which other users can replace the file.

    A folder that does not exist yet is accepted; errors and arguments as of `read`.
    """
    if path.is_symlink() and not _is_ours(path.lstat()):
        fix = f"give the path of the file itself: {_word(path.resolve())}"
        raise _open_to(path, what, "the link to it is another user's", fix)
    for folder in dict.fromkeys((path.absolute().parent, path.resolve().parent)):
        try:
            status = folder.stat()
        except FileNotFoundError:
            continue
        # a group often shares a project's folder, which is a normal place for a public key
        writers = PUBLIC if others == SECRET else stat.S_IWOTH
        is_shared = status.st_mode & writers and not status.st_mode & stat.S_ISVTX
        if is_shared or (others == SECRET and not _is_ours(status)):
            why = f"other users can put another file in its place, in {folder}"
            fix = "move the key to a folder of your own that others cannot write to"
            if status.st_uid == os.geteuid():
                fix = f"chmod go-w {_word(folder)}, or move the key"
            raise _open_to(path, what, why, fix)


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid in {os.geteuid(), 0}


def _word(path: Path) -> str:
    return shlex.quote(str(path))


def _open_to(path: Path, what: str, why: str, fix: str) -> AssayError:
    return AssayError("E003", f"{what} cannot be trusted: {why}", where=str(path), fix=fix)
