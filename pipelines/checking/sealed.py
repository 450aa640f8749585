"""Sealed pickles, used within one run: no byte that someone else wrote is ever unpickled.

    FOLDER/NAME     a pickle, then its seal: 32 bytes of HMAC-SHA256
The seal covers the folder's purpose and the file's name, so that no sealed file passes for another.
The secret is in memory only: workers get it over a pipe or a cluster's connection, never from a
file, a command line or an environment. No other module of Assay unpickles anything.
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
# opening a link, a pipe or a device without a writer never blocks; it is refused before a read
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# errors of opening a file that Assay wrote: somebody removed or replaced it
_REPLACED = (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.ENOTDIR, errno.EACCES,
          errno.EPERM)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class SealedFolder:
    """An existing folder of sealed pickles; whoever has this value can write and read them.

    Attributes:
        path: the folder; not part of the seal, since workers may see it under another path.
        purpose: what its files are for; unique among the folders with this secret.
        secret: 32 random bytes, or derived from a key for files that outlive the run.
    """

    path: Path
    purpose: str
    secret: bytes = dataclasses.field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def write(self, name: str, value: Any, *, most: int | None = None) -> bool:
        """Write a value to a file, completely or not at all.

        Args:
            name: of the file.
            value: must not contain a `SealedFolder`, whose secret would reach the disk.
            most: bytes; a larger pickle is not kept.

        Returns:
            Whether the file was written.
        """
        with self._draft(name, most) as sealing:
            pickler = pickle.Pickler(sealing, PROTOCOL)
            pickler.dispatch_table = copyreg.dispatch_table | {SealedFolder: _refuse}
            pickler.dump(value)
        return not sealing.is_too_large

    def write_without_secrets(self, name: str, value: Any) -> tuple["SealedFolder", ...]:
        """Write a value without the folders in it; return them for `read` to put back."""
        with self._draft(name) as sealing:
            pickler = _WithoutSecrets(sealing, PROTOCOL)
            pickler.dump(value)
        return tuple(pickler.folders)

    def put(self, name: str, content: bytes) -> None:
        """Write a pickle that `content` returned, as a file of this folder."""
        with self._draft(name) as sealing:
            sealing.write(content)

    def read(
        self, name: str, folders: tuple["SealedFolder", ...] = (), *, most: int | None = None
    ) -> Any:
        """Return the value in a file.

        Args:
            name: of the file.
            folders: those that `write_without_secrets` returned.
            most: bytes; a larger file is refused.

        Raises:
            AssayError: ASSAY-E110 if it is not the file that was written under this name.
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
                # read it all first: it may be changed in place while it is verified
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
            if error.errno in _REPLACED:
                raise self._altered(name) from error
            raise

    @contextlib.contextmanager
    def _draft(self, name: str, most: int | None = None) -> Iterator["_Sealing"]:
        """Give a file object for a pickle's bytes; at the end the file gets its seal and name."""
        # an unpredictable name for a file that must be new, so that nobody's link is followed
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
        parts = [part.encode(errors="surrogateescape") for part in (self.purpose, name)]
        head = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hmac.new(self.secret, DOMAIN + head, "sha256")

    def _altered(self, name: str) -> AssayError:
        what = "a file of the run in progress was altered by someone else; nothing was committed"
        return AssayError("E110", what, where=str(self.path / name))


class _Sealing:
    """A file for a pickler, which computes the seal as the bytes come and holds none of them."""

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
    """Leaves the folders out, and lists them in the order of their numbers in the pickle."""

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
    """Puts the folders that were left out back in."""

    def __init__(self, file: IO[bytes], folders: tuple[SealedFolder, ...]) -> None:
        super().__init__(file)
        self._folders = folders

    def persistent_load(self, number: int) -> SealedFolder:
        return self._folders[number]


def _refuse(_: SealedFolder) -> Never:
    raise TypeError("a secret must not be written to a file")
