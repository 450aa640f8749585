"""The checks over the shards: fit each shard, merge, finish once, score each shard.

Two maps with a tree-merge between them. A check that raises, at whatever verb, becomes a
finding of its own (ASSAY-K001) and its status `failed`; the others go on.
"""

import dataclasses
import functools
import pickle
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from checks.kit import findings, registry
from checks.kit.protocol import Check, Context, Model, Panel
from pipelines.engine import Engine
from provenance.errors import AssayError
from provenance.shards import ShardRef, read_shard


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """A verb that raised: which, and the exception's own words for the log."""

    verb: str
    kind: str
    trace: str


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """How one check fared; `status` is `ok`, `failed` or `skipped`."""

    check: str
    status: str
    findings: int = 0
    rows: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    threats: tuple[str, ...] = ()
    why: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Examined:
    """All findings in order, one status a check, and what the report draws."""

    found: findings.Findings
    statuses: tuple[Status, ...]
    faults: tuple[Fault, ...]
    panels: tuple[Panel, ...] = ()


@dataclasses.dataclass(slots=True)
class _Work:
    """One check on its way through the verbs."""

    check: Check[Any, Any]
    value: Any = None
    fault: Fault | None = None
    seconds: float = 0.0


def examine(context: Context, shards: list[ShardRef], engine: Engine, models: Path) -> Examined:
    """Run every check of the registry that the contract gives what it needs.

    Checks that find telling columns go first, and no other check learns from those: beside a
    column that gives the label away, a model believes every label.

    Args:
        context: the same for all checks.
        shards: what to examine.
        engine: the map.
        models: existing folder; each fitted model is left there as `check.pkl`.
    """
    chosen, skipped = registry.select(context)
    early = {name: check for name, check in chosen.items() if check.finds_telling_columns}
    first = _examine(early, shards, engine, models)
    told = first.found.filter(
        pc.and_(pc.is_null(first.found["row"]), pc.equal(first.found["severity"], "error"))
    )
    rest, _ = registry.select(context.without(told["column"].drop_null().to_pylist()))
    late = {name: check for name, check in rest.items() if name not in early}
    second = _examine(late, shards, engine, models)
    unrun = [Status(name, "skipped", why=why) for name, why in skipped.items()]
    statuses = sorted([*first.statuses, *second.statuses, *unrun], key=lambda s: s.check)
    found = findings.ordered(findings.concat([first.found, second.found]))
    faults = (*first.faults, *second.faults)
    return Examined(found, tuple(statuses), faults, (*first.panels, *second.panels))


def _examine(
    chosen: dict[str, Check[Any, Any]], shards: list[ShardRef], engine: Engine, models: Path
) -> Examined:
    if not chosen:
        return Examined(findings.empty(), (), ())
    works = {name: _Work(check) for name, check in chosen.items()}
    fits = engine.map(functools.partial(_fit, chosen), shards)
    for name, work in works.items():
        _collect(work, [fit[name] for fit in fits], "merge", functools.partial(_tree, work.check))
    alive = [work for work in works.values() if not work.fault]
    ends = engine.map(_finish, [(work.check, work.value, models) for work in alive])
    for work, end in zip(alive, ends, strict=True):
        _collect(work, [end], "finish", lambda values: values[0])
    alive = [work for work in alive if not work.fault]
    scores = engine.map(functools.partial(_score, [w.check for w in alive], models), shards)
    for work in alive:
        parts = [score[work.check.name] for score in scores]
        _collect(work, parts, "score", functools.partial(_with_overall, work.value))
    return _examined(works)


def _fit(chosen: dict[str, Check[Any, Any]], ref: ShardRef) -> dict[str, tuple[Any, float]]:
    shard = read_shard(ref)
    return {name: _timed("fit", check.fit, shard) for name, check in chosen.items()}


def _finish(task: tuple[Check[Any, Any], Any, Path]) -> tuple[Any, float]:
    check, state, models = task

    def finish() -> Model:
        model: Model = check.finish(state)
        with (models / f"{check.name}.pkl").open("wb") as file:
            pickle.dump(model, file, protocol=5)
        return Model(model.overall, model.notes, model.panels)  # the rest stays in the file

    return _timed("finish", finish)


def _score(chosen: list[Check[Any, Any]], models: Path, ref: ShardRef) -> dict[str, Any]:
    shard = read_shard(ref)
    return {
        check.name: _timed(
            "score", lambda check=check: check.score(shard, _model(models / f"{check.name}.pkl"))
        )
        for check in chosen
    }


@functools.lru_cache(maxsize=64)
def _model(path: Path) -> Any:
    with path.open("rb") as file:
        return pickle.load(file)  # noqa: S301  written by this very run a moment ago


def _timed(verb: str, call: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    try:
        value = call(*arguments)
    except Exception as error:  # noqa: BLE001  any failure of a check fails the verdict, closed
        value = _fault(verb, error)
    return value, time.perf_counter() - start


def _collect(
    work: _Work, parts: list[tuple[Any, float]], verb: str, join: Callable[[list[Any]], Any]
) -> None:
    work.seconds += sum(seconds for _, seconds in parts)
    values = [value for value, _ in parts]
    faults = [value for value in values if isinstance(value, Fault)]
    if faults:
        work.fault = faults[0]
        return
    joined, seconds = _timed(verb, join, values)
    work.seconds += seconds
    work.value, work.fault = (None, joined) if isinstance(joined, Fault) else (joined, None)


def _tree(check: Check[Any, Any], states: list[Any]) -> Any:
    """Merge neighbours until one is left: no state is merged more than log2(n) times."""
    while len(states) > 1:
        pairs = [states[i : i + 2] for i in range(0, len(states), 2)]
        states = [check.merge(*pair) if len(pair) > 1 else pair[0] for pair in pairs]
    return states[0]


def _with_overall(model: Model, parts: list[findings.Findings]) -> Model:
    return dataclasses.replace(model, overall=findings.concat([model.overall, *parts]))


def _examined(works: dict[str, _Work]) -> Examined:
    found, statuses = [], []
    panels: list[Panel] = []
    for name, work in works.items():
        told = Model(_not_run(name, work.fault)) if work.fault else work.value
        table = told.overall
        rows = len(table["row"].drop_null().unique())
        status = "failed" if work.fault else "ok"
        why = f"{work.fault.verb} raised {work.fault.kind}" if work.fault else ""
        seconds = round(work.seconds, 3)
        statuses.append(
            Status(name, status, len(table), rows, seconds, told.notes, work.check.threats, why)
        )
        found.append(table)
        panels += told.panels
    faults = tuple(work.fault for work in works.values() if work.fault)
    return Examined(findings.concat(found), tuple(statuses), faults, tuple(panels))


def _not_run(name: str, fault: Fault) -> findings.Findings:
    evidence = f"the check {name} did not run: {fault.verb} raised {fault.kind}"
    return findings.make(None, check=name, rule="ASSAY-K001", evidence=evidence)


def _fault(verb: str, error: Exception) -> Fault:
    kind = error.code if isinstance(error, AssayError) else type(error).__name__
    # frames and lines of code only: an exception's own text may quote a cell
    trace = "".join(traceback.format_tb(error.__traceback__))
    return Fault(verb, kind, trace)
