"""Results that a killed run had finished: kept by digest, reused by the next run of the same work.

    STORE/resume/WORK/TASK      what a verb made of one item, sealed (`sealed.py`)
WORK is the digest of all that the results depend on: sources, reference, contract, code, versions,
earlier runs. TASK is the digest of the verb, its checks and the shards' bytes. The seal's secret is
derived from the signing key: someone who can merely write there can neither alter a kept result nor
have Assay unpickle one of their own. Anything that does not match to the byte is done again.
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
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.checking.sealed import SealedFolder
from provenance.base import atomic, no_follow, own_code
from provenance.base.errors import AssayError
from provenance.base.file_digest import sha256_of
from provenance.ledger.signing import Signer
from provenance.rows.shards import ShardRef

if TYPE_CHECKING:
    from pipelines.checking.engine import Engine, Item, Result
    from pipelines.checking.tasks import Part

PURPOSE = "resume"
LEAST_SHARDS = 2  # with fewer there is little to lose
MAX_BYTES = 1 << 30  # per result
MAX_AGE = 7 * 86_400.0  # seconds after which kept results are removed
_WORK = re.compile(r"[0-9a-f]{64}")


class Task(Protocol):
    """What is kept by its results: a function of one item that may also write files.

    Attributes:
        key: what distinguishes it from other work on the same item.
        models: the folder of the files that it writes.
    """

    @property
    def key(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def models(self) -> SealedFolder: ...  # noqa: D102

    def files(self, item: Any) -> tuple[str, ...]:
        """Return the names of the files that it writes for an item."""
        ...

    def __call__(self, item: Any) -> "dict[str, Part]":
        """Return the result."""
        ...


@dataclasses.dataclass(slots=True)
class Kept:
    """The finished work of one run below `root`; `folder` is None where nothing is kept.

    `named`: digests of the files that the contract names, on which results depend as well.
    """

    root: Path
    named: Mapping[str, str] = dataclasses.field(default_factory=dict)
    folder: SealedFolder | None = None

    def begin(self, facts: Mapping[str, Any], shards: int, signer: Callable[[], Signer]) -> None:
        """Keep results from now on, under the digest of `facts`; remove old ones.

        Args:
            facts: JSON values, all that the results depend on in addition to the shards.
            shards: how many there are.
            signer: its secret makes the seal.
        """
        _sweep(self.root)
        if shards < LEAST_SHARDS:
            return
        text = json.dumps([facts, dict(self.named), _versions()], sort_keys=True)
        with contextlib.suppress(OSError):  # a run does not fail because nothing can be kept
            folder = self.root / hashlib.sha256(text.encode()).hexdigest()
            atomic.make_folders(folder)
            folder.chmod(0o700)
            self.folder = SealedFolder(folder, PURPOSE, signer().derived(PURPOSE))
            if found := len(atomic.listed(folder)):
                sys.stderr.write(f"resume: {found} parts that an interrupted run has finished\n")

    def over(self, engine: "Engine") -> "Engine":
        """Return an engine that looks for each result before it makes it."""
        return Resuming(engine, self.folder) if self.folder else engine

    def close(self) -> None:
        """Remove what was kept, unless an interrupt ends the run: then the next run may go on."""
        if self.folder and not isinstance(sys.exception(), KeyboardInterrupt):
            shutil.rmtree(self.folder.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.root.rmdir()  # unless another run keeps something


class Resuming:
    """An engine that does no task again whose result is kept."""

    def __init__(self, engine: "Engine", folder: SealedFolder) -> None:
        """Take the engine that does the work, and the folder of results."""
        self._engine, self._folder = engine, folder

    @property
    def width(self) -> int:
        """Return how many items the engine works on at once."""
        return self._engine.width

    def map(self, function: "Callable[[Item], Result]", items: "Iterable[Item]") -> "list[Result]":
        """Return function(item) for each item, in order; the function is a `Task`."""
        task: Any = function
        once: Any = Once(task, self._folder, task.key)
        results: list[Result] = self._engine.map(once, items)
        return results

    def close(self) -> None:
        """Release the engine's workers."""
        self._engine.close()


@dataclasses.dataclass(frozen=True, slots=True)
class Once:
    """A task that is not called for an item whose result is kept; travels to workers."""

    task: Task
    folder: SealedFolder
    key: tuple[str, ...]

    def __call__(self, item: Any) -> "dict[str, Part]":
        """Return the kept result, or make it and keep it."""
        from pipelines.checking.tasks import is_whole  # loads more than opening a run needs

        name = self._name(item)
        if kept := self._read(name):
            made, written = kept
            with contextlib.suppress(OSError):  # a full disk: the task itself will report it
                self._put_back(item, written)
                return made
        made = self.task(item)
        if is_whole(made):
            self._keep(name, item, made)
        return made

    def _name(self, item: Any) -> str:
        parts = [*self.key, self.folder.path.name]
        for part in item if isinstance(item, tuple) else (item,):
            # the rest of an item follows from these and from the work's own facts
            if isinstance(part, ShardRef):
                parts += [str(part.number), sha256_of(part.path)]
            elif isinstance(part, str):
                parts.append(part)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _read(self, name: str) -> "tuple[dict[str, Part], list[bytes]] | None":
        try:
            kept: tuple[dict[str, Part], list[bytes]] = self.folder.read(name, most=MAX_BYTES)
        except (OSError, AssayError):  # absent or altered: nothing of it is used
            return None
        return kept

    def _put_back(self, item: Any, written: list[bytes]) -> None:
        """Seal what an earlier run's task wrote, as if this run's task had written it."""
        for name, content in zip(self.task.files(item), written, strict=True):
            self.task.models.put(name, content)

    def _keep(self, name: str, item: Any, made: "dict[str, Part]") -> None:
        try:
            written = [self.task.models.content(file) for file in self.task.files(item)]
            self.folder.write(name, (made, written), most=MAX_BYTES)
        except OSError as error:  # another run of the same work may have cleaned up
            if error.errno in atomic.DISK:  # the run itself may need the space used here
                shutil.rmtree(self.folder.path, ignore_errors=True)


def _versions() -> list[str]:
    """Return the versions of Python and of the libraries that Assay depends on."""
    from importlib import metadata

    asked = metadata.requires("assay") or []
    names = {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in asked}
    return own_code.versions(sorted(names))


def _sweep(root: Path) -> None:
    """Remove old folders, if they are named as Assay names them."""
    with contextlib.suppress(OSError), no_follow.folder(root) as descriptor:
        for name in os.listdir(descriptor):  # noqa: PTH208  by descriptor
            with contextlib.suppress(OSError):  # its own run may be removing it
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                is_old = time.time() - found.st_mtime > MAX_AGE
                if is_old and _WORK.fullmatch(name) and stat.S_ISDIR(found.st_mode):
                    no_follow.remove(name, descriptor)
