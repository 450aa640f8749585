"""One run, from a contract and a source to a committed run and its verdict.

`STAGES`, below its functions, is the run. Each stage gets the context `Run` and the results of the
stages that it needs, returns its own result, and keeps nothing elsewhere. What is slow starts
first: the child that reads, the child that imports Great Expectations, and a thread that imports
what the checks need.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

from checks.kit import findings, verdict
from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from checks.kit.verdict import Verdict
from pipelines.checking import engine
from pipelines.checking.examine import Examined, Status
from pipelines.checking.resume import Kept
from pipelines.clock import now
from pipelines.config import take_key
from pipelines.console import Progress
from pipelines.events import openlineage, retrain
from pipelines.orchestration import scheduler
from pipelines.report import build
from pipelines.report.facts import WorthFacts
from pipelines.run import (
    clean_scan,
    downstream_model,
    entry_facts,
    examination,
    fates,
    named_files,
    reading,
)
from pipelines.run.background import RULES, warming
from pipelines.run.child_process import Child
from pipelines.run.named_files import NamedFiles
from pipelines.run.request import Plan, Prepared, Request, prepare
from pipelines.store import commit as committing
from pipelines.store import keys, trust
from pipelines.store.drift_memory import Memory
from pipelines.store.outcome import Committed, Fated, Outcome
from pipelines.store.staged_contract import StagedContract, share, stage
from pipelines.store.store import Store
from provenance.base import own_code
from provenance.base.errors import AssayError, Notice
from provenance.rows.shards import read_table

NOT_RUN = ("ASSAY-K002", "ASSAY-E005")  # the child was late or died; other codes are refusals
RULES_MEMORY = 16 << 30  # bytes of address space for a contract's SQL and the large libraries


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """What every stage of one run gets.

    Attributes:
        request, prepared: what is asked for, and what was found for it.
        contract: the prepared one, with its deny list bound to the bytes that were digested.
        plan: where to read and write.
        named: digests of the other files that the contract names, from before anything was read.
        staged: the copy of the contract that the children parse.
        reader, evaluator: the children that read the source and evaluate the rules.
        warmed: waits for the imports that began in the background.
        kept: what a killed run of the same work finished.
        timings: seconds of each stage that is done.
        committed: empty until the ledger has the entry.
    """

    request: Request
    prepared: Prepared
    contract: Contract
    plan: Plan
    store: Store
    named: NamedFiles
    staged: StagedContract
    reader: Child
    evaluator: Child
    warmed: Callable[[], None]
    kept: Kept
    committed: Committed
    started: str = dataclasses.field(default_factory=now)
    timings: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Ruled:
    """Findings of the contract's rules; digest of the contract parsed, None if they did not run."""

    found: Findings
    parsed: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """The results of the checks, and the past that they were given."""

    examined: Examined
    past: Memory


def ingest(run: Run) -> str:
    """Wait for the child that reads; return the digest of the contract that it parsed."""
    seconds = float(run.contract.limits.get("ingest_seconds", reading.SECONDS))
    parsed: str = reading.answer(run.reader, seconds)
    run.reader.stop()  # the next stages need its memory
    run.warmed()  # and they import in threads of their own
    return parsed


def rules(run: Run, _: str) -> Ruled:
    """Evaluate the contract's rules in a child; a child that is late or dies is a finding."""
    table = run.plan.scratch / "findings-contract.parquet"
    try:
        parsed = run.evaluator.call(
            timeout=engine.seconds_for(run.contract),
            contract=run.staged.arguments(),
            snapshot=str(run.plan.snapshot / "source"),
            out=str(run.plan.out),
        )
    except AssayError as error:
        if error.code not in NOT_RUN:
            raise
        evidence = f"the rules of the contract did not run: {error.code}: {error.what}"
        return Ruled(
            findings.make(None, check="contract", rule="ASSAY-K001", evidence=evidence), None
        )
    finally:
        run.evaluator.stop()
    (run.plan.out / table.name).rename(table)
    return Ruled(read_table(table), parsed)


def checks(run: Run, _: str) -> Checked:
    """Run every check that the contract gives what it needs."""
    past = Memory.of(run.store, run.contract.name) if run.plan.reference else Memory()
    return Checked(examination.run_checks(run.plan, run.contract, past, run.kept), past)


def decide(run: Run, parsed: str, ruled: Ruled, checked: Checked) -> Findings:
    """Bring all findings together: an error sends its row to quarantine.

    Raises:
        AssayError: ASSAY-I013 if a child parsed another contract.
    """
    run.staged.require_one([parsed, *([ruled.parsed] if ruled.parsed else [])])
    held = fates.held_findings(run.plan.read())
    return findings.ordered(findings.concat([held, checked.examined.found, ruled.found]))


def emit(run: Run, found: Findings) -> Fated:
    """Write each row to clean, quarantine or rejected, with its lineage."""
    held = verdict.quarantined_rows(found)
    return fates.emit(run.plan.read(), run.contract, found, held, run.plan.out)


def rescan(run: Run, found: Findings, _: Fated) -> Findings:
    """Search the clean dataset for personal data; write and return all findings."""
    every = findings.concat([found, clean_scan.rescan(run.plan.out, run.contract)])
    found = findings.ordered(every)
    clean_scan.save_findings(found, run.plan.out)
    return found


def compare(run: Run, found: Findings, checked: Checked, _: Fated) -> WorthFacts | None:
    """Compare a model of the clean rows with one of all rows, for the report."""
    return downstream_model.measured(run.plan, run.contract, found, checked.examined)


def commit(
    run: Run, checked: Checked, rows: Fated, found: Findings, worth: WorthFacts | None
) -> Outcome:
    """Reach the verdict, and put the files and their signed entry into the store.

    Raises:
        AssayError: ASSAY-I013 if what was used is not what is about to be recorded.
    """
    _require_used(run)
    decided = verdict.decide(
        found,
        run.request.policy(run.contract),
        source=rows.source,
        quarantine=rows.quarantine,
        rejected=rows.rejected,
    )
    statuses = entry_facts.all_statuses(found, checked.examined.statuses, run.timings)
    facts = _facts(run, checked, rows, decided, statuses)
    drawn = build.Drawn(
        facts, found, statuses, _warnings(run, checked), run.store, run.timings,
        checked.examined.panels, build.nameable(run.contract), worth,
    )  # fmt: skip
    # drawn under the ledger's lock, where the run has its number and the privacy budget is spent
    report = build.drawing(drawn, run.contract, facts)
    committer = committing.Committer.of(run.store, facts["time"])
    entry = committer.commit_run(run.plan.out, facts, report)
    folder = run.store.run_folder(entry.seq)
    warnings = tuple(Notice(**notice) for notice in facts["warnings"])
    outcome = Outcome(entry, folder, decided, rows, statuses, warnings, run.timings)
    run.committed.outcome = outcome  # from here on no failure to report it undoes it
    signal = retrain.signal(entry, found, decided)
    if retrain.tell(signal, is_flow=not run.request.direct):
        run.committed.is_interrupted = True
    return outcome


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """A stage: its name in `timings`, its function, the results that this takes after the context.

    `stop` ends what the function waits for, when the run is given up.
    """

    name: str
    call: Callable[..., object]
    needs: tuple[str, ...] = ()
    stop: Callable[[Run], None] = lambda _: None


# rules and checks run side by side, and so do rescan and worth
STAGES = (
    Stage("ingest", ingest, stop=lambda run: run.reader.stop()),
    Stage("rules", rules, ("ingest",), stop=lambda run: run.evaluator.stop()),
    Stage("checks", checks, ("ingest",)),
    Stage("decide", decide, ("ingest", "rules", "checks")),
    Stage("emit", emit, ("decide",)),
    Stage("rescan", rescan, ("decide", "emit")),
    Stage("worth", compare, ("decide", "checks", "emit")),
    Stage("commit", commit, ("checks", "emit", "rescan", "worth")),
)


def execute(request: Request, progress: Progress, prepared: Prepared | None = None) -> Outcome:
    """Run all stages and commit; nothing is left behind if any of them refuses.

    Args:
        request: what to do.
        progress: shows each stage.
        prepared: of the request, if it was prepared before.

    Raises:
        AssayError: the code of what the contract, the source, the store or a stage refuses with.
    """
    began = time.perf_counter()
    take_key()  # before the first child starts
    prepared = prepared or prepare(request)
    if request.dask_address:
        from pipelines.checking import dask_engine

        dask_engine.ensure_answers(request.dask_address)
    committed = Committed()
    # entered twice: an interrupt after the commit must cut short neither what follows the stages
    # nor, out here, the cleaning up
    with (
        committed,
        _opened(request, prepared, committed) as run,
        openlineage.telling("run", run.contract.name, run.plan.run_id, committed, run.plan.sources),
    ):
        with committed:
            _call(run, progress)
        run.timings["total"] = round(time.perf_counter() - began, 3)
        committed.result()
    return committed.result()


@contextlib.contextmanager
def _opened(request: Request, prepared: Prepared, committed: Committed) -> Iterator[Run]:
    """Give the context of a run: its staging folder and children, which are gone on the way out."""
    store = Store(request.store, request.share)
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(store.staged(trust.once_open(store, request.checkpoint)))
        plan = Plan(
            work.name, work, prepared.sources, prepared.reference, request.engine,
            request.dask_address,
        )  # fmt: skip
        for folder in (plan.out, plan.scratch):
            folder.mkdir()
        named = named_files.taken(prepared.contract, lambda: keys.own(make=True))
        staged = stage(prepared.document, named.contract, plan.out)
        kept = Kept(store.folder / "resume", named.digests)
        stack.callback(kept.close)
        reader = _reader(request, named.contract, plan, staged)
        stack.callback(reader.stop)
        evaluator = Child("pipelines.run.contract_rules:run_rules", warm=RULES, memory=RULES_MEMORY)
        stack.callback(evaluator.stop)
        warmed = stack.enter_context(warming())
        yield Run(
            request, prepared, named.contract, plan, store, named, staged, reader, evaluator,
            warmed, kept, committed,
        )  # fmt: skip


def _reader(request: Request, contract: Contract, plan: Plan, staged: StagedContract) -> Child:
    """Return the child that reads, which starts at once."""
    memory = int(contract.limits.get("max_memory_bytes", reading.MEMORY))
    reader = reading.started("read_sources", memory)
    reader.ask(
        contract=staged.arguments(),
        sources=list(plan.sources),
        reference=list(plan.reference),
        folder=str(plan.snapshot),
        name=request.source_name,
    )
    return reader


def _call(run: Run, progress: Progress) -> None:
    """Call the stages, each as soon as its needs are there: directly, or as a Prefect flow."""
    results: dict[str, object] = {}

    def bound(stage: Stage) -> scheduler.Stage:
        def call() -> None:
            with progress.stage(stage.name):
                start = time.perf_counter()
                given = [results[name] for name in stage.needs]
                results[stage.name] = stage.call(run, *given)
                run.timings[stage.name] = round(time.perf_counter() - start, 3)

        return scheduler.Stage(stage.name, call, stage.needs, stop=lambda: stage.stop(run))

    order = [bound(stage) for stage in STAGES]
    if run.request.direct:
        scheduler.run_direct(order)
        return
    from pipelines.orchestration.flow import run_flow

    run.warmed()  # Prefect is imported next, here and in threads
    contract, plan = run.contract, run.plan
    parameters = {
        "dataset": contract.name,
        "contract_sha256": contract.sha256,
        "run_id": plan.run_id,
        "engine": plan.engine,
    }
    name = f"assay-{contract.name}-{plan.run_id[:8]}"
    run_flow(order, parameters, name=name, debug=run.request.debug)


def _require_used(run: Run) -> None:
    """Refuse (ASSAY-I013) if what was used is not what is about to be recorded."""
    run.named.require_same(run.plan)
    run.prepared.require_anchored(run.plan.reference_facts())
    share(run.plan.out, like=run.plan.out / "findings" / "part-00000.parquet")


def _warnings(run: Run, checked: Checked) -> tuple[Notice, ...]:
    from pipelines.checking import dask_engine

    statuses = checked.examined.statuses
    return (
        *entry_facts.warnings_of(run.contract, run.plan.read(), statuses),
        *run.prepared.anchor.warnings(is_used=run.prepared.is_anchored),
        *dask_engine.warnings(run.plan.dask_address),
    )


def _facts(
    run: Run, checked: Checked, rows: Fated, decided: Verdict, statuses: tuple[Status, ...]
) -> dict[str, Any]:
    """Return the body of the entry: who, what, under which contract and code, and why."""
    reference = run.plan.reference_facts()
    memory = checked.past.facts(reference, checked.examined.memory) if reference else None
    return {
        "schema": "assay.entry/1",
        "kind": "run",
        "run_id": run.plan.run_id,
        "started": run.started,
        "time": now(),
        "dataset": run.contract.name,
        "contract": committing.contract_facts(run.contract),
        "code": own_code.facts(),
        "engine": run.plan.engine,
        "orchestrator": "none" if run.request.direct else "prefect",
        "inputs": [dataclasses.asdict(source) for source in run.plan.read().sources],
        "reference": reference,
        "anchor": run.prepared.anchor.facts(),
        **({"memory": memory} if memory else {}),
        "beside": run.named.digests,
        "rows": rows.as_dict(),
        "lineage": entry_facts.lineage_facts(run.contract, rows.root),
        "policy": dataclasses.asdict(run.request.policy(run.contract)),
        **entry_facts.decided_facts(decided, statuses),
    }
