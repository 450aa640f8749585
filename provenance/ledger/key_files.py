"""Who else can reach a key's file: a key is as safe as its file, the link to it and its folder.

The owner of a file may be this user or root, who can read and write everything anyhow.
"""

import os
import shlex
import stat
from pathlib import Path

from provenance.base import no_follow
from provenance.base.errors import AssayError

SECRET = 0o077  # nobody else may read or write it
PUBLIC = 0o022  # nobody else may write it
_MEANS = {SECRET: "other users can read or write it", PUBLIC: "other users can write it"}


def read(path: Path, others: int, what: str) -> bytes:
    """Return what a key's file holds, if nobody else can reach it.

    A pipe without a name, such as the shell's `<(command)`, is nothing that others could reach.

    Args:
        path: a file, or a link to one.
        others: `SECRET` or `PUBLIC`, the permissions that nobody else may have.
        what: names the key in a message: "the signing key".

    Raises:
        AssayError: ASSAY-E003 if others can.
        IrregularError: it is a named pipe, a device or the like.
        OSError: if it cannot be read.
    """
    with os.fdopen(no_follow.open_given(path), "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            _refuse_file(path, status, others, what)
            refuse_way(path, others, what)
        return file.read()


def _refuse_file(path: Path, status: os.stat_result, others: int, what: str) -> None:
    if others == SECRET and not _is_ours(status):
        # to give the file away would lock its owner out
        fix = (
            f"run as the key's owner (uid {status.st_uid}), or copy the key into a file of your own"
        )
        raise _open_to(path, what, "it is another user's", fix)
    if status.st_mode & others:
        fix = f"chmod {'600' if others == SECRET else 'go-w'} {_word(path)}"
        is_fixed = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
        if others == SECRET and (is_fixed or status.st_uid != os.geteuid()):
            # a mounted secret, or a key of root's: chmod fails, or locks this user out
            uid = os.geteuid()
            fix = f"mount it with `mode: 0400` and uid {uid}, or copy it to a private file"
        raise _open_to(path, what, _MEANS[others], fix)


def refuse_way(path: Path, others: int, what: str) -> None:
    """Refuse a link that is another user's, and a folder in which others can put another file.

    A folder that is not there yet is not refused; errors and arguments as of `read`.
    """
    if path.is_symlink() and not _is_ours(path.lstat()):
        fix = f"name the file itself: {_word(path.resolve())}"
        raise _open_to(path, what, "the link to it is another user's", fix)
    for folder in dict.fromkeys((path.absolute().parent, path.resolve().parent)):
        try:
            status = folder.stat()
        except FileNotFoundError:
            continue
        # a project's folder is often its group's, and a public key lies there for all to see
        writers = PUBLIC if others == SECRET else stat.S_IWOTH
        is_shared = status.st_mode & writers and not status.st_mode & stat.S_ISVTX
        if is_shared or (others == SECRET and not _is_ours(status)):
            why = f"other users can put another file in its place, in {folder}"
            fix = "put the key into a folder of your own that others cannot write to"
            if status.st_uid == os.geteuid():
                fix = f"chmod go-w {_word(folder)}, or move the key"
            raise _open_to(path, what, why, fix)


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid in {os.geteuid(), 0}


def _word(path: Path) -> str:
    return shlex.quote(str(path))


def _open_to(path: Path, what: str, why: str, fix: str) -> AssayError:
    return AssayError("E003", f"{what} cannot be trusted: {why}", where=str(path), fix=fix)
