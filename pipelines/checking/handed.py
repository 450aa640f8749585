"""What the tasks of a map share, handed to workers through a file: pickled once, loaded once each.

A check carries its reference; sent along with each shard it would cost more than small shards do.
What is sent along is where the file is and what opens it: the secrets.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from pipelines.checking.sealed import SealedFolder

NAME = "function.pkl"


@dataclasses.dataclass(frozen=True, slots=True)
class Handed:
    """A function in a sealed file, and the sealed folders that are part of it."""

    folder: SealedFolder
    folders: tuple[SealedFolder, ...]


def keep(folder: SealedFolder, function: Callable[[Any], Any]) -> Handed:
    """Pickle a function into a file of a folder that the workers see."""
    return Handed(folder, folder.write_without_secrets(NAME, function))


def apply(function: Handed, item: Any) -> Any:
    """Call a function that was kept; for a worker, which holds it for the next item."""
    return _loaded(function)(item)


@functools.lru_cache(maxsize=2)
def _loaded(function: Handed) -> Callable[[Any], Any]:
    loaded: Callable[[Any], Any] = function.folder.read(NAME, function.folders)
    return loaded
