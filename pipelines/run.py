"""One run, from a contract and a source to a committed run and its verdict.

Everything slow starts at once: the reading child, the child that imports Great Expectations, the
orchestrator's server; the stages then take them as they become ready.
"""

import contextlib
import dataclasses
import datetime as dt
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from checks.kit import findings, verdict
from checks.kit.contract import Contract
from checks.kit.verdict import Verdict
from pipelines import commit, stages
from pipelines.child import Child
from pipelines.commit import Committer
from pipelines.console import Progress
from pipelines.early import Ahead, warming
from pipelines.examine import Examined, Status
from pipelines.fates import Fated
from pipelines.outcome import Outcome
from pipelines.plan import Plan
from pipelines.stage_order import Stage, run_direct
from pipelines.store import Store
from provenance import digest
from provenance.errors import AssayError
from provenance.snapshot import Snapshot

# what the child that runs the rules imports while the source is being read
RULES = (
    "great_expectations", "duckdb_engine", "pipelines.rules", "checks.kit.conditions",
    "great_expectations.render.renderer.page_renderer",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What a command line asks for."""

    contract: Path
    store: Path
    source: str | None = None
    reference: str | None = None
    engine: str = "auto"
    direct: bool = False
    fail_on: Literal["error", "warning"] | None = None
    debug: bool = False


class _Run:
    """The state that the stages of one run share in this process."""

    def __init__(self, request: Request, contract: Contract, plan: Plan, store: Store) -> None:
        self.request, self.contract, self.plan, self.store = request, contract, plan, store
        self.policy = stages.policy_of(contract, request.fail_on)
        self.started = now()
        self.clock: dict[str, float] = {}
        self.reader = Child(
            "pipelines.stages:read_sources",
            warm=("provenance.ingest",),
            memory=int(contract.limits.get("max_memory_bytes", stages.INGEST_MEMORY)),
        )
        self.expectations = Child("pipelines.stages:run_rules", warm=RULES)
        self.examined: Examined
        self.fated: Fated
        self.found: findings.Findings
        self.outcome: Outcome

    def close(self) -> None:
        self.reader.stop()
        self.expectations.stop()

    def order(self, progress: Progress, *, ahead: bool) -> list[Stage]:
        """Return the stages; rules and checks go side by side.

        With `ahead`, the reading starts at once and its stage only waits for it: so it runs beside
        the start of an orchestrator's server.
        """
        reading = Ahead(self.ingest).join if ahead else self.ingest
        stops = {"ingest": self.reader.stop, "rules": self.expectations.stop}
        calls = {
            "ingest": (reading, ()),
            "rules": (self.rules, ("ingest",)),
            "checks": (self.checks, ("ingest",)),
            "emit": (self.emit, ("rules", "checks")),
            "rescan": (self.rescan, ("emit",)),
            "commit": (self.commit, ("rescan",)),
        }

        def timed(name: str, call: Callable[[], None]) -> Callable[[], None]:
            def stage() -> None:
                with progress.stage(name):
                    start = time.perf_counter()
                    call()
                    self.clock[name] = round(time.perf_counter() - start, 3)

            return stage

        return [
            Stage(name, timed(name, call), after, stop=stops.get(name))
            for name, (call, after) in calls.items()
        ]

    def ingest(self) -> None:
        seconds = float(self.contract.limits.get("ingest_seconds", stages.INGEST_SECONDS))
        reference = self.plan.reference
        self.reader.call(
            timeout=seconds,
            contract=str(self.plan.contract),
            sources=list(self.plan.sources),
            reference=expand(reference) if reference else [],
            folder=str(self.plan.snapshot),
        )

    def rules(self) -> None:
        self.expectations.call(
            timeout=float(self.contract.limits.get("check_seconds", stages.CHECK_SECONDS)),
            contract=str(self.plan.contract),
            snapshot=str(self.plan.snapshot / "source"),
            out=str(self.plan.out),
        )
        table = self.plan.out / "findings-contract.parquet"
        table.rename(self.plan.scratch / table.name)

    def checks(self) -> None:
        self.examined = stages.run_checks(self.plan, self.contract)

    def emit(self) -> None:
        self.fated, self.found = stages.emit(self.plan, self.contract)

    def rescan(self) -> None:
        scanned = stages.rescan(self.plan.out, self.contract)
        self.found = findings.ordered(findings.concat([self.found, scanned]))
        stages.save_findings(self.found, self.plan.out)
        copy = self.plan.out / "contract.yaml"
        copy.write_bytes(self.plan.contract.read_bytes())

    def commit(self) -> None:
        from pipelines import pages

        snapshot = Snapshot.load(self.plan.snapshot / "source" / "snapshot.json")
        rows, examined = self.fated, self.examined.statuses
        decided = verdict.decide(
            self.found,
            self.policy,
            source=rows.source,
            quarantine=rows.quarantine,
            rejected=rows.rejected,
        )
        statuses = stages.all_statuses(self.found, examined, self.clock)
        warnings = tuple(stages.warnings_of(self.contract, snapshot, examined))
        facts = self.facts(snapshot, decided, statuses)
        drawn = pages.Drawn(
            facts,
            self.found,
            statuses,
            warnings,
            self.store,
            self.clock,
            self.examined.panels,
            frozenset(
                c.name for c in self.contract.columns if c.valid_values or "label" in c.roles
            ),
        )
        committer = Committer.of(self.store, facts["time"])
        entry = committer.commit_run(self.plan.out, facts, lambda number: pages.draw(number, drawn))
        folder = self.store.run_folder(entry.seq)
        self.outcome = Outcome(entry, folder, decided, rows, statuses, warnings, self.clock)

    def facts(
        self, snapshot: Snapshot, decided: Verdict, statuses: tuple[Status, ...]
    ) -> dict[str, Any]:
        """Return the body of the entry: who, what, under which contract and code, and why."""
        contract = self.contract
        return {
            "schema": "assay.entry/1",
            "kind": "run",
            "run_id": self.plan.run_id,
            "started": self.started,
            "time": now(),
            "dataset": contract.name,
            "contract": {
                "path": contract.path,
                "sha256": contract.sha256,
                "version": contract.version,
            },
            "code": commit.code_facts(),
            "engine": self.plan.engine,
            "orchestrator": "none" if self.request.direct else "prefect",
            "inputs": [dataclasses.asdict(source) for source in snapshot.sources],
            "reference": _reference_facts(self.plan),
            "rows": self.fated.as_dict(),
            "verdict": decided.word,
            "checked": decided.checked,
            "reasons": [reason.as_dict() for reason in decided.reasons],
            "policy": dataclasses.asdict(self.policy),
            "checks": {s.check: s.status for s in statuses},
        }


def execute(request: Request, progress: Progress) -> Outcome:
    """Run all stages and commit; nothing is left behind when any of them refuses.

    Raises:
        AssayError: whatever code the contract, the source, the store or a stage earns.
    """
    began = time.perf_counter()
    contract, sources, reference = prepare(request)
    store = Store(request.store)
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(store.staged())
        plan = Plan(work.name, work, request.contract, sources, reference, request.engine)
        for folder in (plan.out, plan.scratch):
            folder.mkdir()
        server = None if request.direct else _server(stack, request)
        run = _Run(request, contract, plan, store)
        stack.callback(run.close)
        stack.enter_context(warming())
        if server is None:
            run_direct(run.order(progress, ahead=False))
        else:
            from pipelines.flow import run_flow

            told = {"dataset": contract.name, "contract_sha256": contract.sha256,
                    "run_id": plan.run_id, "engine": plan.engine}  # fmt: skip
            name = f"assay-{contract.name}-{plan.run_id[:8]}"
            run_flow(run.order(progress, ahead=server.own), told, server=server, name=name)
        run.clock["total"] = round(time.perf_counter() - began, 3)
        return run.outcome


def _server(stack: contextlib.ExitStack, request: Request) -> Any:
    from pipelines.server import PrefectServer

    return stack.enter_context(PrefectServer(debug=request.debug))


def prepare(request: Request) -> tuple[Contract, tuple[str, ...], str | None]:
    """Load the contract and find the files, before anything is made."""
    from checks.kit import loader

    contract = loader.load(request.contract)
    source = request.source or contract.source
    if not source:
        what = f"{request.contract} names no source"
        raise AssayError("C012", what, fix="give --source PATH, or a path under `servers`")
    reference = request.reference or contract.reference
    if reference:
        expand(reference)
    return contract, tuple(expand(source)), reference


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def expand(source: str) -> list[str]:
    """Return the files of a source; I014 and its like if there is none."""
    from provenance import ingest

    paths = ingest.expand(source)
    for path in paths:
        if not os.path.lexists(path):
            raise AssayError("I014", "no such file", where=path, fix="check the path")
    return paths


def _reference_facts(plan: Plan) -> list[dict[str, str]]:
    if not plan.reference:
        return []
    return [{"name": name, "sha256": digest.of_file(Path(name))} for name in expand(plan.reference)]
