"""States on their way from the shards to one model: merged where they are made, kept in files.

A worker fits a group of neighbouring shards and merges as it goes, so what is held at once does
not grow with the dataset; what it leaves for `finish` is a file a check, which the parent never
reads.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from checks.kit.protocol import Check
from pipelines.checking.sealed import SealedFolder
from provenance.rows.shards import ShardRef

ENDING = ".state"
LARGEST = 10  # shards of a group, about: what a run that is killed may have to do again
PER_WORKER = 4  # groups: so few that states are few, so many that no worker is idle for long


class Merging:
    """The states of one check, of which as many are held as a number of them has binary digits.

    Neighbours of equal weight are merged as soon as both are there, so no state is merged more
    than log2(n) times, in the order in which they came.
    """

    def __init__(self, check: Check[Any, Any]) -> None:
        """Hold nothing yet."""
        self._check = check
        self._held: list[tuple[int, Any]] = []  # how often merged, and the state

    def add(self, state: Any) -> None:
        """Take the next state."""
        times = 0
        while self._held and self._held[-1][0] == times:
            state = self._check.merge(self._held.pop()[1], state)
            times += 1
        self._held.append((times, state))

    def whole(self) -> Any:
        """Merge and return what is held: at least one state must have come."""
        _, state = self._held.pop()
        while self._held:
            state = self._check.merge(self._held.pop()[1], state)
        return state


def name_of(check: str, number: int) -> str:
    """Return the name of the file of a check's state of the group that begins with a number."""
    return f"{check}.{number}{ENDING}"


def left_by(checks: list[str], group: tuple[ShardRef, ...]) -> tuple[str, ...]:
    """Return the names of the files that the checks leave of a group."""
    return tuple(name_of(check, group[0].number) for check in checks)


def groups(shards: Sequence[ShardRef], width: int) -> list[tuple[ShardRef, ...]]:
    """Cut the shards, in their order, into groups of nearly equal numbers for so many workers."""
    count = max(1, min(len(shards), max(PER_WORKER * width, len(shards) // LARGEST)))
    ends = [len(shards) * place // count for place in range(count + 1)]
    return [tuple(shards[low:high]) for low, high in itertools.pairwise(ends)]


def merged(check: Check[Any, Any], folder: SealedFolder, names: Iterable[str]) -> Any:
    """Return the one state that the files of a check merge to."""
    merging = Merging(check)
    for name in names:
        merging.add(folder.read(name))
    return merging.whole()
