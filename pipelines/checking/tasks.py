"""The verbs as tasks of an engine: what a worker does with a group of shards, a check, a shard.

Each returns by the check's name what its verb made, or a `Fault`, and the seconds it took.
"""

import dataclasses
import functools
import time
import traceback
from collections.abc import Callable
from typing import Any

from checks.kit.protocol import Check, Model
from checks.kit.visible_columns import read_seen
from pipelines.checking import sealed, state_files
from pipelines.checking.panels import masked
from pipelines.checking.sealed import SealedFolder
from pipelines.checking.state_files import Merging
from provenance.base import atomic
from provenance.base.errors import AssayError
from provenance.rows.shards import Shard, ShardRef

Part = tuple[Any, float]  # what a verb made, or its Fault; seconds


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """A verb that raised: which and what, for the finding; frames and lines, for the log.

    `what` and `fix` are of an AssayError, which holds no cell; other exceptions may quote one.
    """

    verb: str
    kind: str
    trace: str
    what: str = ""
    fix: str = ""

    @property
    def why(self) -> str:
        """Return why the check did not run, in one line."""
        told = f"{self.verb} raised {self.kind}"
        return f"{told}: {self.what}" if self.what else told


def is_whole(parts: dict[str, Part]) -> bool:
    """Return whether no check failed."""
    return not any(isinstance(value, Fault) for value, _ in parts.values())


def fit(
    chosen: list[Check[Any, Any]], models: SealedFolder, refs: tuple[ShardRef, ...]
) -> dict[str, Part]:
    """Fit the shards of a group; returns the name of the file of each check's merged state."""
    fits = [_Fit(check) for check in chosen]
    for ref in refs:
        shard = read_seen(ref, chosen[0].context.contract)
        for one in fits:
            one.add(shard)
    return {one.check.name: one.left(models, refs[0].number) for one in fits}


class _Fit:
    """One check on its way over the shards of a group, to its first fault."""

    def __init__(self, check: Check[Any, Any]) -> None:
        self.check = check
        self._merging = Merging(check)
        self._fault: Fault | None = None
        self._seconds = 0.0

    def add(self, shard: Shard) -> None:
        state = self._tried("fit", self.check.fit, shard)
        self._tried("merge", self._merging.add, state)

    def left(self, models: SealedFolder, number: int) -> Part:
        """Leave the merged state in a file of the group's first number."""
        name = state_files.name_of(self.check.name, number)
        self._tried("merge", lambda: models.write(name, self._merging.whole()))
        return self._fault or name, self._seconds

    def _tried(self, verb: str, call: Callable[..., Any], *given: Any) -> Any:
        if self._fault:
            return None
        value, seconds = timed(verb, call, *given)
        self._seconds += seconds
        if isinstance(value, Fault):
            self._fault = value
        return value


def finish(
    of: dict[str, Check[Any, Any]], models: SealedFolder, task: tuple[str, list[str]]
) -> dict[str, Part]:
    """Make a check's model of its states' files; returns of it what is no work of `score`."""
    name, files = task
    check = of[name]
    state, merging = timed("merge", state_files.merged, check, models, files)
    if isinstance(state, Fault):
        return {name: (state, merging)}

    def finished() -> Model:
        model = masked(check.finish(state), check.context.contract)
        models.write(f"{name}.pkl", model)
        # the rest stays in the file
        return Model(model.overall, model.notes, model.panels, memory=model.memory)

    value, seconds = timed("finish", finished)
    return {name: (value, merging + seconds)}


def left_by(task: tuple[str, list[str]]) -> tuple[str, ...]:
    """Return the name of the file that `finish` leaves."""
    return (f"{task[0]}.pkl",)


def score(chosen: list[Check[Any, Any]], models: SealedFolder, ref: ShardRef) -> dict[str, Part]:
    """Score one shard with the models' files."""
    shard = read_seen(ref, chosen[0].context.contract)
    return {
        check.name: timed(
            "score", lambda check=check: check.score(shard, _model(models, f"{check.name}.pkl"))
        )
        for check in chosen
    }


@functools.lru_cache(maxsize=64)
def _model(models: SealedFolder, name: str) -> Any:
    return models.read(name)


def timed(verb: str, call: Callable[..., Any], *arguments: Any) -> Part:
    """Call a verb; what it raises becomes a fault, unless it is nobody's: it ends the run then."""
    start = time.perf_counter()
    try:
        value = call(*arguments)
    except OSError as error:
        if error.errno in atomic.DISK:  # a full disk says nothing of the check: the run is refused
            raise atomic.with_code(error) from error
        value = fault(verb, error)
    except AssayError as error:
        if error.code == sealed.BROKEN:  # a broken seal is somebody's doing, and no check's
            raise
        value = fault(verb, error)
    except Exception as error:  # noqa: BLE001  any failure of a check fails the verdict, closed
        value = fault(verb, error)
    return value, time.perf_counter() - start


def fault(verb: str, error: Exception) -> Fault:
    """Return what is told of an exception."""
    # frames and lines of code only: an exception's own text may quote a cell
    trace = "".join(traceback.format_tb(error.__traceback__))
    if isinstance(error, AssayError):
        return Fault(verb, error.code, trace, error.what, error.fix)
    return Fault(verb, type(error).__name__, trace)
