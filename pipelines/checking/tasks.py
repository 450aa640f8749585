"""The verbs as tasks that an engine maps over groups of shards, over checks, and over shards.

A task returns, by the check's name, what its verb made, or a `Fault`, and the seconds it took.
`key` and `files` let `resume` keep its results.
"""

import dataclasses
import functools
import hashlib
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from checks.kit import registry
from checks.kit.contract_model import Contract
from checks.kit.protocol import Check, Model, Panel
from checks.kit.visible_columns import read_seen
from pipelines.checking import sealed, state_files
from pipelines.checking.sealed import SealedFolder
from pipelines.checking.state_files import Merging
from provenance.base import atomic
from provenance.base.errors import AssayError, frames
from provenance.rows.shards import Shard, ShardRef

Part = tuple[Any, float]  # what a verb made, or its Fault; seconds
Checks = tuple[Check[Any, Any], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """A verb that raised: verb and kind, for the finding; frames and lines, for `--debug`.

    `what` and `fix` come from an AssayError, which holds no cell; other exceptions may quote one.
    """

    verb: str
    kind: str
    trace: str
    what: str = ""
    fix: str = ""

    @property
    def why(self) -> str:
        """Return why the check did not run, in one line."""
        raised = f"{self.verb} raised {self.kind}"
        return f"{raised}: {self.what}" if self.what else raised


def is_whole(parts: dict[str, Part]) -> bool:
    """Return whether no check failed."""
    return not any(isinstance(value, Fault) for value, _ in parts.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Fit:
    """Fits the shards of a group; returns the name of the file of each check's merged state."""

    checks: Checks
    models: SealedFolder

    @property
    def key(self) -> tuple[str, ...]:
        """Return what distinguishes this task from others on the same shards."""
        return "fit", *_names(self.checks)

    def files(self, refs: tuple[ShardRef, ...]) -> tuple[str, ...]:
        """Return the names of the files that a group's states are written to."""
        return tuple(state_files.name_of(name, refs[0].number) for name in _names(self.checks))

    def __call__(self, refs: tuple[ShardRef, ...]) -> dict[str, Part]:
        """Fit each shard with each check, merge, and write the states."""
        fits = [_Fitting(check) for check in self.checks]
        for ref in refs:
            shard = read_seen(ref, self.checks[0].context.contract)
            for one in fits:
                one.add(shard)
        named = zip(fits, self.files(refs), strict=True)
        return {one.check.name: one.written(self.models, name) for one, name in named}


class _Fitting:
    """One check over the shards of a group, up to its first fault."""

    def __init__(self, check: Check[Any, Any]) -> None:
        self.check = check
        self._merging = Merging(check)
        self._fault: Fault | None = None
        self._seconds = 0.0

    def add(self, shard: Shard) -> None:
        state = self._tried("fit", self.check.fit, shard)
        self._tried("merge", self._merging.add, state)

    def written(self, models: SealedFolder, name: str) -> Part:
        """Write the merged state to a file; return the file's name, or the fault."""
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


@dataclasses.dataclass(frozen=True, slots=True)
class Finish:
    """Makes one check's model from its states' files, and writes it to a file.

    An item is a check's name and the names of its files. Of the model, only what is not needed by
    `score` is returned.
    """

    checks: Checks
    models: SealedFolder

    @property
    def key(self) -> tuple[str, ...]:
        """Return the verb; the item names the check."""
        return ("finish",)

    def files(self, item: tuple[str, list[str]]) -> tuple[str, ...]:
        """Return the name of the model's file."""
        return (_model_file(item[0]),)

    def __call__(self, item: tuple[str, list[str]]) -> dict[str, Part]:
        """Merge, finish, and write the model."""
        name, files = item
        [check] = [check for check in self.checks if check.name == name]
        state, merging = timed("merge", state_files.merged, check, self.models, files)
        if isinstance(state, Fault):
            return {name: (state, merging)}

        def finished() -> Model:
            model = _masked(check.finish(state), check.context.contract)
            self.models.write(_model_file(name), model)
            return Model(model.overall, model.notes, model.panels, memory=model.memory)

        value, seconds = timed("finish", finished)
        return {name: (value, merging + seconds)}


@dataclasses.dataclass(frozen=True, slots=True)
class Score:
    """Scores one shard with the models in the files."""

    checks: Checks
    models: SealedFolder

    @property
    def key(self) -> tuple[str, ...]:
        """Return the verb, the checks, and the digests of their models.

        Each run seals its files with a secret of its own, so the digest is that of the content.
        """
        names = _names(self.checks)
        models = (self.models.content(_model_file(name)) for name in names)
        return "score", *names, *(hashlib.sha256(model).hexdigest() for model in models)

    def files(self, _: ShardRef) -> tuple[str, ...]:
        """Return nothing: the findings are returned."""
        return ()

    def __call__(self, ref: ShardRef) -> dict[str, Part]:
        """Return the findings of each check."""
        shard = read_seen(ref, self.checks[0].context.contract)
        return {
            check.name: timed("score", lambda check=check: check.score(shard, self._model(check)))
            for check in self.checks
        }

    def _model(self, check: Check[Any, Any]) -> Any:
        return _loaded(self.models, _model_file(check.name))


@functools.lru_cache(maxsize=64)
def _loaded(models: SealedFolder, name: str) -> Any:
    return models.read(name)


def _names(checks: Checks) -> list[str]:
    return [check.name for check in checks]


def _model_file(check: str) -> str:
    return f"{check}.pkl"


def _masked(model: Model, contract: Contract) -> Model:
    """Return the model with placeholders for categories that are personal data."""
    return dataclasses.replace(model, panels=tuple(_shown(p, contract) for p in model.panels))


def _shown(panel: Panel, contract: Contract) -> Panel:
    names = pa.array(panel.categories, pa.string())
    if not len(names):
        return panel  # of numbers
    shown = registry.redact(names, panel.column, contract).to_pylist()
    return dataclasses.replace(panel, categories=tuple(shown))


def timed(verb: str, call: Callable[..., Any], *arguments: Any) -> Part:
    """Call a verb; an exception becomes a fault of the check, unless it must end the run."""
    start = time.perf_counter()
    try:
        value = call(*arguments)
    except OSError as error:
        if error.errno in atomic.DISK:  # a full disk is not the check's fault: the run is refused
            raise atomic.with_code(error) from error
        value = fault(verb, error)
    except AssayError as error:
        if error.code == sealed.BROKEN:  # somebody altered a file: not the check's fault either
            raise
        value = fault(verb, error)
    except Exception as error:  # noqa: BLE001  any failure of a check fails the verdict, closed
        value = fault(verb, error)
    return value, time.perf_counter() - start


def fault(verb: str, error: Exception) -> Fault:
    """Return what to report of an exception."""
    trace = frames(error)
    if isinstance(error, AssayError):
        return Fault(verb, error.code, trace, error.what, error.fix)
    return Fault(verb, type(error).__name__, trace)
