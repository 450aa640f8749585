"""One run, from a contract and a source to a committed run and its verdict.

Everything slow starts at once: the reading child and the child that imports Great Expectations;
the stages then take them as they become ready.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

from checks.kit import findings, verdict
from checks.kit.verdict import Verdict
from pipelines.checking.examine import Examined, Status
from pipelines.checking.resume import Kept
from pipelines.clock import now
from pipelines.config import take_key
from pipelines.console import Progress
from pipelines.events import openlineage, retrain
from pipelines.orchestration.scheduler import Stage, run_direct
from pipelines.report.facts import WorthFacts
from pipelines.run import downstream_model, named_files, reading, stages
from pipelines.run.background import RULES, warming
from pipelines.run.child_process import Child
from pipelines.run.plan import Plan
from pipelines.run.request import Prepared, Request, prepare
from pipelines.store import commit, keys, trust
from pipelines.store.commit import Committer
from pipelines.store.drift_memory import Memory
from pipelines.store.outcome import Fated, Late, Outcome, unless_committed
from pipelines.store.staged_contract import share, stage
from pipelines.store.store import Store
from provenance.base import own_code
from provenance.base.errors import AssayError, Notice
from provenance.ledger import lineage
from provenance.rows.shards import write_table
from provenance.rows.snapshot import Snapshot

NOT_RUN = ("ASSAY-K002", "ASSAY-E005")  # late or dead; what it refuses by itself is a refusal


class _Run:
    """The state that the stages of one run share in this process."""

    def __init__(self, request: Request, prepared: Prepared, plan: Plan, store: Store) -> None:
        # taken before anything is read: a list that changes meanwhile is not the one named here
        self.beside = named_files.taken(prepared.contract, lambda: keys.own(make=True))
        contract = self.beside.contract
        self.request, self.contract, self.plan, self.store = request, contract, plan, store
        self.prepared = prepared
        self.staged = stage(prepared.document, contract, plan.out)
        self.parsed: list[str] = []  # digests of the contracts that the children had
        self.policy = stages.policy_of(contract, request.fail_on)
        self.started = now()
        self.clock: dict[str, float] = {}
        memory = int(contract.limits.get("max_memory_bytes", reading.MEMORY))
        self.reader = reading.started("read_sources", memory)
        self.expectations = Child(
            "pipelines.run.stages:run_rules", warm=RULES, memory=stages.RULES_MEMORY
        )
        self.past = Memory()
        self.kept = Kept(store.folder / "resume", self.beside.digests)
        self.examined: Examined
        self.fated: Fated
        self.found: findings.Findings
        self.worth: WorthFacts | None
        self.outcomes: list[Outcome] = []
        self.warmed: Callable[[], None]

    def close(self) -> None:
        self.reader.stop()
        self.expectations.stop()
        self.kept.close()

    def order(self, progress: Progress) -> list[Stage]:
        """Return the stages; rules and checks run concurrently."""
        stops = {"ingest": self.reader.stop, "rules": self.expectations.stop}
        calls = {
            "ingest": (self.ingest, ()),
            "rules": (self.rules, ("ingest",)),
            "checks": (self.checks, ("ingest",)),
            "emit": (self.emit, ("rules", "checks")),
            "rescan": (self.rescan, ("emit",)),
            "worth": (self.compare, ("emit",)),
            "commit": (self.commit, ("rescan", "worth")),
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
        seconds = float(self.contract.limits.get("ingest_seconds", reading.SECONDS))
        parsed = reading.ask(
            self.reader,
            timeout=seconds,
            contract=self.staged.arguments(),
            sources=list(self.plan.sources),
            reference=list(self.plan.reference),
            folder=str(self.plan.snapshot),
            name=self.request.source_name,
        )
        self.parsed.append(parsed)
        self.reader.stop()  # what it holds is needed by the stages that follow
        self.warmed()  # and they import in threads of their own

    def rules(self) -> None:
        table = self.plan.scratch / "findings-contract.parquet"
        try:
            parsed = self.expectations.call(
                timeout=float(self.contract.limits.get("check_seconds", stages.CHECK_SECONDS)),
                contract=self.staged.arguments(),
                snapshot=str(self.plan.snapshot / "source"),
                out=str(self.plan.out),
            )
        except AssayError as error:
            if error.code not in NOT_RUN:
                raise
            # not checked is a finding like any other, so that the rest is told all the same
            write_table(stages.contract_unrun(error), table)
            return
        finally:
            self.expectations.stop()
        self.parsed.append(parsed)
        (self.plan.out / table.name).rename(table)

    def checks(self) -> None:
        if self.plan.reference:
            self.past = Memory.of(self.store, self.contract.name)
        self.examined = stages.run_checks(self.plan, self.contract, self.past, self.kept)

    def emit(self) -> None:
        self.fated, self.found = stages.emit(self.plan, self.contract)

    def compare(self) -> None:
        self.worth = downstream_model.measured(self.plan, self.contract, self.found, self.examined)

    def rescan(self) -> None:
        scanned = stages.rescan(self.plan.out, self.contract)
        self.found = findings.ordered(findings.concat([self.found, scanned]))
        stages.save_findings(self.found, self.plan.out)

    def commit(self) -> None:
        from pipelines.checking import dask_engine
        from pipelines.report import build

        self.require_used()
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
        warnings = (
            *stages.warnings_of(self.contract, snapshot, examined),
            *self.prepared.anchor.warnings(is_used=self.prepared.is_anchored),
            *dask_engine.warnings(self.plan.dask_address),
        )
        facts = self.facts(snapshot, decided, statuses)
        drawn = build.Drawn(
            facts, self.found, statuses, warnings, self.store, self.clock, self.examined.panels,
            build.nameable(self.contract), self.worth,
        )  # fmt: skip
        drawn_as = build.drawing(drawn, self.contract, facts)
        entry = Committer.of(self.store, facts["time"]).commit_run(self.plan.out, facts, drawn_as)
        warnings = tuple(Notice(**notice) for notice in facts["warnings"])
        folder = self.store.run_folder(entry.seq)
        outcome = Outcome(entry, folder, decided, rows, statuses, warnings, self.clock)
        self.outcomes.append(outcome)  # it stands, whatever comes of telling
        told = retrain.signal(entry, self.found, decided)
        if retrain.tell(told, is_flow=not self.request.direct):
            self.outcomes[:] = [dataclasses.replace(outcome, is_interrupted=True)]

    def require_used(self) -> None:
        """Refuse (ASSAY-I013) if what was used is not what is about to be recorded."""
        self.staged.require_one(self.parsed)
        self.beside.require_same(self.plan.snapshot)
        self.prepared.require_anchored(stages.reference_facts(self.plan))
        share(self.plan.out, like=self.plan.out / "findings" / "part-00000.parquet")

    def facts(
        self, snapshot: Snapshot, decided: Verdict, statuses: tuple[Status, ...]
    ) -> dict[str, Any]:
        """Return the body of the entry: who, what, under which contract and code, and why."""
        contract = self.contract
        reference = stages.reference_facts(self.plan)
        kept = self.past.facts(reference, self.examined.memory) if reference else None
        return {
            "schema": "assay.entry/1",
            "kind": "run",
            "run_id": self.plan.run_id,
            "started": self.started,
            "time": now(),
            "dataset": contract.name,
            "contract": commit.contract_facts(contract),
            "code": own_code.facts(),
            "engine": self.plan.engine,
            "orchestrator": "none" if self.request.direct else "prefect",
            "inputs": [dataclasses.asdict(source) for source in snapshot.sources],
            "reference": reference,
            "anchor": self.prepared.anchor.facts(),
            **({"memory": kept} if kept else {}),
            "beside": self.beside.digests,
            "rows": self.fated.as_dict(),
            "lineage": {
                "algorithm": lineage.ALGORITHM,
                "keyed": contract.is_personal,
                "root": self.fated.root,
            },
            "verdict": decided.word,
            "checked": decided.checked,
            "reasons": [reason.as_dict() for reason in decided.reasons],
            "policy": dataclasses.asdict(self.policy),
            "checks": {s.check: s.status for s in statuses},
        }


def execute(request: Request, progress: Progress, prepared: Prepared | None = None) -> Outcome:
    """Run all stages and commit; nothing is left behind when any of them refuses.

    What was `prepared` of the request already is not read again.

    Raises:
        AssayError: whatever code the contract, the source, the store or a stage earns.
    """
    began = time.perf_counter()
    take_key()  # before the first child
    prepared = prepared or prepare(request)
    contract, sources = prepared.contract, prepared.sources
    if request.dask_address:
        from pipelines.checking import dask_engine

        dask_engine.ensure_answers(request.dask_address)
    store = Store(request.store, request.share)
    outcomes: list[Outcome] = []
    late = Late()
    with unless_committed(outcomes, late), contextlib.ExitStack() as stack:
        check = trust.once_open(store, request.checkpoint)
        work = stack.enter_context(store.staged(check))
        plan = Plan(
            work.name, work, request.contract, sources, prepared.reference,
            request.engine, request.dask_address,
        )  # fmt: skip
        for folder in (plan.out, plan.scratch):
            folder.mkdir()
        run = _Run(request, prepared, plan, store)
        run.outcomes = outcomes
        stack.callback(run.close)
        run.warmed = stack.enter_context(warming())
        call = _call(run, progress)
        with openlineage.telling("run", contract.name, plan.run_id, sources) as told:
            with unless_committed(outcomes, late):
                call()
            run.clock["total"] = round(time.perf_counter() - began, 3)
            if not outcomes:
                raise AssayError("E005", "the run ended before its commit")
            told.outcome = outcomes[0]
    ended: tuple[Outcome | None, ...] = (told.outcome, *outcomes)  # the first if it was told
    return late.marked(next(outcome for outcome in ended if outcome))


def _call(run: _Run, progress: Progress) -> Callable[[], object]:
    """Return what runs all stages: directly, or as a Prefect flow."""
    order = run.order(progress)
    if run.request.direct:
        return functools.partial(run_direct, order)
    from pipelines.orchestration.flow import run_flow

    contract, plan = run.contract, run.plan
    told = {"dataset": contract.name, "contract_sha256": contract.sha256, "run_id": plan.run_id,
            "engine": plan.engine}  # fmt: skip
    name = f"assay-{contract.name}-{plan.run_id[:8]}"

    def flow() -> object:
        run.warmed()  # Prefect is imported next, here and in threads
        return run_flow(order, told, name=name, debug=run.request.debug)

    return flow
