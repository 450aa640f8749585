"""What a killed run had finished: kept by digest, taken up by the next run of the same work.

    STORE/resume/WORK/TASK      what a verb made of one shard, sealed (`sealed.py`)
WORK is the digest of all that the results depend on: sources, reference, contract, code, versions,
what was remembered. TASK is that of the verb, its checks and the shard's bytes. The seal's
secret is derived from the signing key: who may only write there can neither alter a kept result nor
have us unpickle one of his own. What does not fit to the byte is done anew.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pipelines.checking.sealed import SealedFolder
from provenance.base import atomic, no_follow
from provenance.base.errors import AssayError
from provenance.ledger.signing import Signer
from provenance.rows import digest
from provenance.rows.shards import ShardRef

PURPOSE = "resume"
LEAST_SHARDS = 2  # of less there is little to lose
MAX_BYTES = 1 << 30  # of one result
MAX_AGE = 7 * 86_400.0  # seconds after which nobody will come for it
_WORK = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, slots=True)
class Left:
    """The names of the files that a function writes for an item, and where it writes them."""

    names: Callable[[Any], tuple[str, ...]]
    folder: SealedFolder


@dataclasses.dataclass(slots=True)
class Kept:
    """The finished work of one run below `root`; `folder` is None where none is kept.

    `beside`: digests of what the contract names beside itself, on which results depend as well.
    """

    root: Path
    beside: Mapping[str, str] = dataclasses.field(default_factory=dict)
    folder: SealedFolder | None = None

    def begin(self, facts: Mapping[str, Any], shards: int, signer: Callable[[], Signer]) -> None:
        """Keep from now on, under the digest of `facts`; old leftovers go.

        Args:
            facts: JSON values, all that the results depend on beside the shards.
            shards: how many there are.
            signer: whose secret seals.
        """
        _sweep(self.root)
        if shards < LEAST_SHARDS:
            return
        text = json.dumps([facts, dict(self.beside), _versions()], sort_keys=True)
        with contextlib.suppress(OSError):  # not to keep anything is no reason to fail
            folder = self.root / hashlib.sha256(text.encode()).hexdigest()
            atomic.make_folders(folder)
            folder.chmod(0o700)
            self.folder = SealedFolder(folder, PURPOSE, signer().derived(PURPOSE))
            if found := len(atomic.listed(folder)):
                sys.stderr.write(f"resume: {found} parts that an interrupted run has finished\n")

    def once(
        self, function: Callable[[Any], Any], *task: str, whole: Callable[[Any], bool],
        left: Left | None = None,
    ) -> Callable[[Any], Any]:  # fmt: skip
        """Return a function that looks for its result before it makes it.

        Args:
            function: of one item: a shard, some of them, or a check's name and what it needs.
            task: what tells this work from other work on the same item.
            whole: whether a result may be kept.
            left: what the function writes for an item, kept with its result.
        """
        if self.folder is None:
            return function
        return Once(function, self.folder, task, whole, left)

    def close(self) -> None:
        """Remove what was kept, unless an interrupt ends the run: then someone may go on."""
        if self.folder and not isinstance(sys.exception(), KeyboardInterrupt):
            shutil.rmtree(self.folder.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.root.rmdir()  # unless others keep something


@dataclasses.dataclass(frozen=True, slots=True)
class Once:
    """A function that is not called again for an item whose result is kept; travels to workers."""

    function: Callable[[Any], Any]
    folder: SealedFolder
    task: tuple[str, ...]
    whole: Callable[[Any], bool]
    left: Left | None

    def __call__(self, item: Any) -> Any:
        """Return the kept result, or make it and keep it."""
        name = self._name(item)
        if kept := self._read(name):
            made, written = kept
            with contextlib.suppress(OSError):  # a full disk: the function itself will tell
                self._put_back(item, written)
                return made
        made = self.function(item)
        if self.whole(made):
            self._keep(name, item, made)
        return made

    def _name(self, item: Any) -> str:
        told = [*self.task, self.folder.path.name]
        for part in item if isinstance(item, tuple) else (item,):
            # what else an item holds follows from these and from the work's own facts
            if isinstance(part, ShardRef):
                told += [str(part.number), digest.of_file(Path(part.path))]
            elif isinstance(part, str):
                told.append(part)
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def _read(self, name: str) -> tuple[Any, list[bytes]] | None:
        try:
            kept: tuple[Any, list[bytes]] = self.folder.read(name, most=MAX_BYTES)
        except (OSError, AssayError):  # not there, or not what was kept: nothing of it is used
            return None
        return kept

    def _put_back(self, item: Any, written: list[bytes]) -> None:
        """Seal what an earlier run's function wrote, as if this run's had written it."""
        if self.left:
            for name, content in zip(self.left.names(item), written, strict=True):
                self.left.folder.put(name, content)

    def _keep(self, name: str, item: Any, made: Any) -> None:
        left = self.left
        try:
            written = [left.folder.content(file) for file in left.names(item)] if left else []
            self.folder.write(name, (made, written), most=MAX_BYTES)
        except OSError as error:  # or a twin has finished and cleaned up
            if error.errno in atomic.DISK:  # the run itself may need the room that is taken here
                shutil.rmtree(self.folder.path, ignore_errors=True)


def _versions() -> list[str]:
    """Return the versions of Python and of all that Assay asks for."""
    asked = metadata.requires("assay") or []
    names = sorted({re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in asked})
    found = [sys.version]
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):  # an extra that is not installed
            found.append(f"{name} {metadata.version(name)}")
    return found


def _sweep(root: Path) -> None:
    """Remove what nobody came for: folders of ours, named as Assay names them."""
    with contextlib.suppress(OSError), no_follow.folder(root) as descriptor:
        for name in os.listdir(descriptor):  # noqa: PTH208  by descriptor
            with contextlib.suppress(OSError):  # its own run takes it away just now
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                is_old = time.time() - found.st_mtime > MAX_AGE
                if is_old and _WORK.fullmatch(name) and stat.S_ISDIR(found.st_mode):
                    no_follow.remove(name, descriptor)
