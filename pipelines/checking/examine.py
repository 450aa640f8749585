"""The checks over the shards: fit each shard, merge, finish once, score each shard.

Two maps with a merge between them. A check that raises in any verb, takes too long, kills its
worker twice or lacks its reference becomes a finding of its own (ASSAY-K001, K002, K003) with the
status `failed` or `timeout`; the others go on.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from checks.kit import findings, registry
from checks.kit.protocol import Check, Context, Model, Panel
from checks.kit.verdict import LATE, UNRUN
from pipelines.checking import state_files, tasks
from pipelines.checking.engine import Engine
from pipelines.checking.sealed import SealedFolder
from pipelines.checking.tasks import Checks, Fault, Part
from provenance.base.errors import AssayError
from provenance.rows.shards import ShardRef

BROKEN = ("ASSAY-K002", "ASSAY-E005")  # a map ran out of time, or of workers


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """How one check fared; `status` is `ok`, `failed`, `timeout` or `skipped`."""

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
    """All findings in order, one status per check, what the report draws and the ledger keeps.

    `faults` says by check why it did not run.
    `models` holds the fitted model of each check that did not fail, as `check.pkl`.
    """

    found: findings.Findings
    statuses: tuple[Status, ...]
    faults: Mapping[str, Fault]
    panels: tuple[Panel, ...] = ()
    memory: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    models: SealedFolder | None = None


@dataclasses.dataclass(slots=True)
class _Work:
    """One check and what its last verb made."""

    check: Check[Any, Any]
    value: Any = None
    fault: Fault | None = None
    seconds: float = 0.0


def examine(context: Context, shards: list[ShardRef], engine: Engine, models: Path) -> Examined:
    """Run every check of the registry that the contract gives what it needs.

    Checks that find telling columns run first, and no other check learns from those columns: next
    to one that gives the label away, a model believes every label.

    Args:
        context: the same for all checks.
        shards: the rows to examine.
        engine: maps the verbs; see `resume` for one that goes on where a killed run stopped.
        models: existing folder for states and models, used by this call alone.
    """
    folder = SealedFolder(models, "models")
    context, unready = _without_empty_reference(context)
    chosen, skipped = registry.select(context)
    finding = {name: check for name, check in chosen.items() if check.finds_telling_columns}
    first = _examine(finding, shards, engine, folder)
    errors = first.found.filter(
        pc.and_(pc.is_null(first.found["row"]), pc.equal(first.found["severity"], "error"))
    )
    telling = errors["column"].drop_null().to_pylist()
    # a check prepares its reference when it is made, so none is made twice without need
    rest = registry.select(context.without(telling))[0] if telling else chosen
    others = {name: check for name, check in rest.items() if name not in finding}
    parts = (unready, first, _examine(others, shards, engine, folder))
    statuses = {status.check: status for part in parts for status in part.statuses}
    unrun = {name: Status(name, "skipped", why=why) for name, why in skipped.items()}
    found = findings.ordered(findings.concat([part.found for part in parts]))
    return Examined(
        found,
        tuple(status for _, status in sorted((unrun | statuses).items())),
        {name: fault for part in parts for name, fault in part.faults.items()},
        tuple(panel for part in parts for panel in part.panels),
        {name: memory for part in parts for name, memory in part.memory.items()},
        folder,
    )


def _without_empty_reference(context: Context) -> tuple[Context, Examined]:
    """Drop a reference without rows: the checks that need it fail, the others go on."""
    if context.reference is None or len(context.reference):
        return context, Examined(findings.empty(), (), {})
    what, fix = "no row of it can be read", "give a reference that satisfies this contract"
    fault = tasks.fault("reading the reference", AssayError("K003", what, fix=fix))
    needing = {
        name: kind
        for name, kind in registry.load().items()
        if "reference" in kind.needs and not context.contract.is_off(name)
    }
    tables = {name: _not_run(name, fault) for name in needing}
    statuses = tuple(
        _status(name, kind.threats, Model(tables[name]), 0.0, fault)
        for name, kind in needing.items()
    )
    faults = dict.fromkeys(needing, fault)
    found = findings.concat([*tables.values()])
    return dataclasses.replace(context, reference=None), Examined(found, statuses, faults)


def _examine(
    chosen: dict[str, Check[Any, Any]],
    shards: list[ShardRef],
    engine: Engine,
    models: SealedFolder,
) -> Examined:
    def fit(checks: Checks) -> list[dict[str, Part]]:
        return engine.map(tasks.Fit(checks, models), state_files.groups(shards, engine.width))

    def finish(checks: Checks) -> list[dict[str, Part]]:
        items = [(check.name, works[check.name].value) for check in checks]
        return engine.map(tasks.Finish(checks, models), items)

    def score(checks: Checks) -> list[dict[str, Part]]:
        return engine.map(tasks.Score(checks, models), shards)

    works = {name: _Work(check) for name, check in chosen.items()}
    for name, parts in _mapped("fit", works, fit):
        _collect(works[name], parts, "fit", list)
    for name, parts in _mapped("finish", works, finish):
        _collect(works[name], parts, "finish", lambda values: values[0])
    for path in models.path.glob(f"*{state_files.ENDING}"):
        path.unlink()  # the models have replaced them
    for name, parts in _mapped("score", works, score):
        _collect(works[name], parts, "score", functools.partial(_with_overall, works[name].value))
    return _examined(works)


def _mapped(
    verb: str, works: dict[str, _Work], run: Callable[[Checks], list[dict[str, Part]]]
) -> list[tuple[str, list[Part]]]:
    """Return the parts of each check that has not failed yet.

    A map that breaks is run again for one check at a time, each with the engine's whole timeout, so
    that only the checks that break it fail.
    """
    alive = {name: work for name, work in works.items() if not work.fault}
    if not alive:
        return []
    start = time.perf_counter()
    try:
        done = run(tuple(work.check for work in alive.values()))
    except AssayError as error:
        if error.code not in BROKEN:
            raise
        if len(alive) > 1:
            return [pair for one in alive.items() for pair in _mapped(verb, dict([one]), run)]
        done = [dict.fromkeys(alive, (tasks.fault(verb, error), time.perf_counter() - start))]
    return [(name, [parts[name] for parts in done if name in parts]) for name in alive]


def _collect(work: _Work, parts: list[Part], verb: str, join: Callable[[list[Any]], Any]) -> None:
    work.seconds += sum(seconds for _, seconds in parts)
    values = [value for value, _ in parts]
    faults = [value for value in values if isinstance(value, Fault)]
    if faults:
        work.fault = faults[0]
        return
    joined, seconds = tasks.timed(verb, join, values)
    work.seconds += seconds
    work.value, work.fault = (None, joined) if isinstance(joined, Fault) else (joined, None)


def _with_overall(model: Model, parts: list[findings.Findings]) -> Model:
    return dataclasses.replace(model, overall=findings.concat([model.overall, *parts]))


def _examined(works: dict[str, _Work]) -> Examined:
    found, statuses = [], []
    panels: list[Panel] = []
    memory = {}
    for name, work in works.items():
        model = Model(_not_run(name, work.fault)) if work.fault else work.value
        if model.memory:
            memory[name] = model.memory
        statuses.append(_status(name, work.check.threats, model, work.seconds, work.fault))
        found.append(model.overall)
        panels += model.panels
    faults = {name: work.fault for name, work in works.items() if work.fault}
    return Examined(findings.concat(found), tuple(statuses), faults, tuple(panels), memory)


def _status(
    name: str, threats: tuple[str, ...], model: Model, seconds: float, fault: Fault | None
) -> Status:
    rows = len(model.overall["row"].drop_null().unique())
    word = "timeout" if fault and fault.kind == LATE else "failed"
    status, why = (word, fault.why) if fault else ("ok", "")
    size = len(model.overall)
    return Status(name, status, size, rows, round(seconds, 3), model.notes, threats, why)


def _not_run(name: str, fault: Fault) -> findings.Findings:
    rule = fault.kind if fault.kind in UNRUN else "ASSAY-K001"
    evidence = f"the check {name} did not run: {fault.why}"
    return findings.make(None, check=name, rule=rule, evidence=evidence, suggestion=fault.fix)
