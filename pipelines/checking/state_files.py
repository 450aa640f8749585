"""States between the shards and a model: merged where they are made, kept in files.

A worker fits a group of neighbouring shards and merges as it goes, so memory does not grow with the
dataset. It writes one file per check for `finish`, which the parent never reads.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from checks.kit.protocol import Check
from pipelines.checking.sealed import SealedFolder
from provenance.rows.shards import ShardRef

ENDING = ".state"
LARGEST = 10  # shards per group, about: what a killed run may have to repeat
PER_WORKER = 4  # groups: few enough for few states, enough that no worker is idle for long


class Merging:
    """Merges the states of one check in the order in which they come, holding log2(n) of them.

    Neighbours of equal weight are merged as soon as both are there, so that no state is merged more
    than log2(n) times.
    """

    def __init__(self, check: Check[Any, Any]) -> None:
        """Start without a state."""
        self._check = check
        self._held: list[tuple[int, Any]] = []  # how often merged, and the state

    def add(self, state: Any) -> None:
        """Add the next state."""
        times = 0
        while self._held and self._held[-1][0] == times:
            state = self._check.merge(self._held.pop()[1], state)
            times += 1
        self._held.append((times, state))

    def whole(self) -> Any:
        """Return all states merged; there must be at least one."""
        _, state = self._held.pop()
        while self._held:
            state = self._check.merge(self._held.pop()[1], state)
        return state


def name_of(check: str, number: int) -> str:
    """Return the name of the file with a check's state of the group that begins at `number`."""
    return f"{check}.{number}{ENDING}"


def groups(shards: Sequence[ShardRef], width: int) -> list[tuple[ShardRef, ...]]:
    """Cut the shards, in order, into groups of nearly equal size for `width` workers."""
    count = max(1, min(len(shards), max(PER_WORKER * width, len(shards) // LARGEST)))
    ends = [len(shards) * place // count for place in range(count + 1)]
    return [tuple(shards[low:high]) for low, high in itertools.pairwise(ends)]


def merged(check: Check[Any, Any], folder: SealedFolder, names: Iterable[str]) -> Any:
    """Return the one state that the files of a check merge to."""
    merging = Merging(check)
    for name in names:
        merging.add(folder.read(name))
    return merging.whole()
