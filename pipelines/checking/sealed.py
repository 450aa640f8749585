"""Pickles on their way within a run, sealed: no byte that somebody else wrote is ever unpickled.

    FOLDER/NAME     a pickle, then its seal: 32 bytes of HMAC-SHA256
The seal covers the folder's purpose and the file's name, so that no sealed file passes for another.
The secret is held in memory alone: workers get it over a pipe or a cluster's connection, never from
a file, a command line or an environment. No other module of Assay unpickles anything.
"""

import contextlib
import copyreg
import dataclasses
import errno
import hmac
import io
import os
import pickle
import secrets
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Never

from provenance.base.errors import AssayError

SEAL = 32
BROKEN = "ASSAY-E110"
PROTOCOL = 5
DOMAIN = b"assay.sealed/1\n"
# a link, a pipe or a device without a reader ends at once, and is found out before a byte is read
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# what opening a file of our own never meets, unless somebody took it away or put another there
_TAKEN = (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.ENOTDIR, errno.EACCES,
          errno.EPERM)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class SealedFolder:
    """An existing folder of sealed pickles; who holds this value can write and read them.

    Attributes:
        path: the folder; not part of the seal, since workers may see it elsewhere.
        purpose: what its files are for, of no other folder with this secret.
        secret: 32 random bytes, or derived from a key for files that outlive the run.
    """

    path: Path
    purpose: str
    secret: bytes = dataclasses.field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def write(self, name: str, value: Any, *, most: int | None = None) -> bool:
        """Write a value to a file, which is there whole or not at all.

        Args:
            name: of the file.
            value: without a `SealedFolder` in it, whose secret would get to disk.
            most: bytes; a larger pickle is not kept.

        Returns:
            Whether it is there.
        """
        with self._draft(name, most) as sealing:
            pickler = pickle.Pickler(sealing, PROTOCOL)
            pickler.dispatch_table = copyreg.dispatch_table | {SealedFolder: _refuse}
            pickler.dump(value)
        return not sealing.is_too_large

    def write_without_secrets(self, name: str, value: Any) -> tuple["SealedFolder", ...]:
        """Write a value, and return the folders in it, which `read` needs to put them back."""
        with self._draft(name) as sealing:
            pickler = _WithoutSecrets(sealing, PROTOCOL)
            pickler.dump(value)
        return tuple(pickler.folders)

    def put(self, name: str, content: bytes) -> None:
        """Write what `content` gave, as a file of this folder."""
        with self._draft(name) as sealing:
            sealing.write(content)

    def read(
        self, name: str, folders: tuple["SealedFolder", ...] = (), *, most: int | None = None
    ) -> Any:
        """Return the value in a file.

        Args:
            name: of the file.
            folders: what was left out when it was written.
            most: bytes; a larger file is refused.

        Raises:
            AssayError: ASSAY-E110 if it is not the very file that was written under this name.
        """
        return _WithSecrets(io.BytesIO(self.content(name, most=most)), folders).load()

    def content(self, name: str, *, most: int | None = None) -> bytes:
        """Return the pickle in a file, without its seal; ASSAY-E110 as for `read`."""
        descriptor = self._opened(name)
        try:
            facts = os.fstat(descriptor)
            size = facts.st_size - SEAL
            if not stat.S_ISREG(facts.st_mode) or size < 0 or (most and size > most):
                raise self._altered(name)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                # all of it first: it may be changed in place while it is looked at
                content, seal = file.read(size), file.read(SEAL + 1)
        finally:
            os.close(descriptor)
        made = self._mac(name)
        made.update(content)
        if not hmac.compare_digest(seal, made.digest()):
            raise self._altered(name)
        return content

    def _opened(self, name: str) -> int:
        try:
            return os.open(self.path / name, _READ)
        except OSError as error:
            if error.errno in _TAKEN:
                raise self._altered(name) from error
            raise

    @contextlib.contextmanager
    def _draft(self, name: str, most: int | None = None) -> Iterator["_Sealing"]:
        """Give what takes a pickle's bytes; at the end the file gets its seal and its name."""
        # a name that nobody can foresee, for a file that must be new: no link of another's is used
        draft = self.path / f"{name}.{uuid.uuid4().hex}"
        descriptor = os.open(draft, _WRITE, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                sealing = _Sealing(file, self._mac(name), most)
                yield sealing
                file.write(sealing.mac.digest())
            if not sealing.is_too_large:
                draft.replace(self.path / name)
        finally:
            draft.unlink(missing_ok=True)

    def _mac(self, name: str) -> hmac.HMAC:
        told = [part.encode(errors="surrogateescape") for part in (self.purpose, name)]
        head = b"".join(len(part).to_bytes(4) + part for part in told)
        return hmac.new(self.secret, DOMAIN + head, "sha256")

    def _altered(self, name: str) -> AssayError:
        what = "a file of the run in progress was altered by someone else; nothing was committed"
        return AssayError("E110", what, where=str(self.path / name))


class _Sealing:
    """A file to a pickler: what is written to it is sealed as it goes, and never held whole."""

    def __init__(self, file: IO[bytes], mac: hmac.HMAC, most: int | None) -> None:
        self.mac = mac
        self._file = file
        self._most = most
        self._size = 0

    @property
    def is_too_large(self) -> bool:
        return self._most is not None and self._size > self._most

    def write(self, content: Any) -> int:
        size = memoryview(content).nbytes
        self._size += size
        if not self.is_too_large:
            self.mac.update(content)
            self._file.write(content)
        return size


class _WithoutSecrets(pickle.Pickler):
    """Leaves the folders out, and keeps them in the order of their numbers in the pickle."""

    def __init__(self, file: _Sealing, protocol: int) -> None:
        super().__init__(file, protocol)
        self.folders: list[SealedFolder] = []

    def persistent_id(self, value: Any) -> int | None:
        if not isinstance(value, SealedFolder):
            return None
        if value not in self.folders:
            self.folders.append(value)
        return self.folders.index(value)


class _WithSecrets(pickle.Unpickler):
    """Puts the folders back that were left out."""

    def __init__(self, file: IO[bytes], folders: tuple[SealedFolder, ...]) -> None:
        super().__init__(file)
        self._folders = folders

    def persistent_load(self, number: int) -> SealedFolder:
        return self._folders[number]


def _refuse(_: SealedFolder) -> Never:
    raise TypeError("a secret is not written to a file")
