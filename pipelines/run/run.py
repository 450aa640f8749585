"""One run, from a source that has been looked at to a committed run and its verdict.

`STAGES`, below its functions, is the run. Each stage gets the context `Run` and the results of the
stages that it needs, returns its own result, and keeps nothing elsewhere.
"""

import dataclasses
import sys
from collections.abc import Callable

import numpy as np

from checks.kit import findings, verdict
from checks.kit.findings import Findings
from pipelines.checking import engine
from pipelines.events import retrain
from pipelines.report import build
from pipelines.report.facts import WorthFacts
from pipelines.run import (
    clean_scan,
    decided,
    downstream_model,
    entry_facts,
    examination,
    fates,
    learnt,
    losses,
    reading,
)
from pipelines.run.context import Run
from pipelines.run.decided import Decided
from pipelines.run.examination import Checked
from pipelines.run.learnt import Learnt, Reviews
from pipelines.store.commit import Committer
from pipelines.store.drift_memory import Memory
from pipelines.store.outcome import Fated, Outcome
from pipelines.store.staged_contract import share
from provenance.base.errors import AssayError, Notice
from provenance.rows.shards import read_table

NOT_RUN = ("ASSAY-K002", "ASSAY-E005")  # the child was late or died; other codes are refusals


@dataclasses.dataclass(frozen=True, slots=True)
class Ruled:
    """Findings of the contract's rules; digest of the contract parsed, None if they did not run."""

    found: Findings
    parsed: str | None


def ingest(run: Run) -> str:
    """Wait for the child that reads; return the digest of the contract that it parsed."""
    parsed: str = reading.answer(run.reader, reading.seconds_for(run.contract))
    run.reader.stop()  # the next stages need its memory
    run.imports.wait()  # and they import in threads of their own
    return parsed


def rules(run: Run, _: str) -> Ruled:
    """Evaluate the contract's rules in a child; a child that is late or dies is a finding."""
    table = run.plan.scratch / "findings-contract.parquet"
    try:
        answer = run.evaluator.call(
            timeout=engine.seconds_for(run.contract),
            contract=run.staged.arguments(),
            snapshot=str(run.plan.snapshot / "source"),
            out=str(run.plan.out),
            known=run.rules.known,
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
    run.rules.keep(answer["made"])
    return Ruled(read_table(table), answer["parsed"])


def checks(run: Run, _: str) -> Checked:
    """Run every check that the contract gives what it needs."""
    past = Memory.of(run.store, run.contract.name) if run.plan.reference else Memory()
    # read once: what is learnt, applied and recorded goes by the same decisions
    reviews = Reviews.of(run.store, run.contract)
    corrected = reviews.corrections(run.plan.read(), run.contract)
    examined = examination.run_checks(run.plan, run.contract, past, run.kept, corrected.labels)
    if run.request.debug:
        for name, fault in examined.faults.items():
            sys.stderr.write(f"the check {name} did not run: {fault.why}\n{fault.trace}")
    return Checked(examined, past, reviews, corrected)


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """All findings, the decisions of persons on their rows, and what they teach about others."""

    found: Findings
    decided: Decided
    learnt: Learnt


def decide(run: Run, parsed: str, ruled: Ruled, checked: Checked) -> Judged:
    """Bring all findings together: an error sends its row to quarantine, unless a person decided.

    What loses most of its rows to the quarantine is one finding more.

    Raises:
        AssayError: ASSAY-I013 if a child parsed another contract.
    """
    run.staged.require_one([parsed, *([ruled.parsed] if ruled.parsed else [])])
    snapshot = run.plan.read()
    held = fates.held_findings(snapshot)
    found = findings.concat([held, checked.examined.found, ruled.found])
    reviews = checked.reviews
    taught = learnt.from_reviews(
        run.store, reviews.valid, run.contract, found, checked.corrected
    )  # fmt: skip
    found = taught.found
    settled = decided.on_rows(reviews.every, snapshot, run.contract, found)
    lost = losses.find(snapshot, run.contract, found, settled.quarantined(found))
    found = findings.ordered(findings.concat([found, settled.asked, lost]))
    return Judged(found, settled, taught)


def emit(run: Run, judged: Judged) -> Fated:
    """Write each row to clean, quarantine or rejected, with its lineage."""
    snapshot = run.plan.read()
    name = fates.ids_of(snapshot, run.contract).of
    sorting = judged.decided.sorting(run.contract, judged.found, name)
    return fates.Emitter(snapshot, sorting, run.plan.out).write()


def rescan(run: Run, judged: Judged, _: Fated) -> Findings:
    """Search the clean dataset for personal data; write and return all findings."""
    found, released = judged.found, judged.decided.rows("release")
    sources = run.plan.read().sources
    scanned = clean_scan.rescan(run.plan.out, run.contract, found, sources, released)
    found = findings.ordered(findings.concat([found, scanned]))
    clean_scan.save_findings(found, run.plan.out)
    return found


def compare(run: Run, judged: Judged, checked: Checked, _: Fated) -> WorthFacts | None:
    """Compare a model of the clean rows with one of all rows, for the report."""
    settled = judged.decided
    held = np.union1d(settled.quarantined(judged.found), settled.rows("reject"))
    return downstream_model.measured(run.plan, run.contract, judged.found, held, checked.examined)


def commit(
    run: Run, judged: Judged, checked: Checked, rows: Fated, found: Findings,
    worth: WorthFacts | None,
) -> Outcome:  # fmt: skip
    """Reach the verdict, and put the files and their signed entry into the store.

    Raises:
        AssayError: ASSAY-I013 if what was used is not what is about to be recorded.
    """
    _require_used(run)
    settled = judged.decided
    reached = verdict.decide(
        settled.open_findings(found),
        run.request.policy(run.contract),
        source=rows.source,
        quarantine=rows.quarantine,
        rejected=rows.rejected - len(settled.rows("reject")),
    )
    examined = checked.examined
    statuses = entry_facts.all_statuses(found, examined.statuses, run.timings)
    facts = entry_facts.facts_of(run, checked, rows, reached, statuses)
    facts |= settled.facts() | judged.learnt.facts()
    notices = *entry_facts.warnings_of(run, examined.statuses), *judged.learnt.applied.notices
    drawn = build.Drawn(
        facts, found, statuses, notices, run.store,
        run.timings, examined.panels, build.nameable(run.contract), worth,
    )  # fmt: skip
    # drawn under the ledger's lock, where the run has its number and the privacy budget is spent
    report = build.drawing(drawn, run.contract, facts)
    committer = Committer.of(run.store, facts["time"])
    entry = committer.commit_run(run.plan.out, facts, report)
    folder = run.store.run_folder(entry.seq)
    warnings = tuple(Notice(**notice) for notice in facts["warnings"])
    outcome = Outcome(entry, folder, reached, rows, statuses, warnings, run.timings)
    run.committed.outcome = outcome  # from here on no failure to report it undoes it
    signal = retrain.signal(entry, found, reached)
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
    Stage("commit", commit, ("decide", "checks", "emit", "rescan", "worth")),
)


def _require_used(run: Run) -> None:
    """Refuse (ASSAY-I013) if what was used is not what is about to be recorded."""
    run.named.require_same(run.plan)
    run.prepared.require_anchored(run.plan.reference_facts())
    share(run.plan.out, like=run.plan.out / "findings" / "part-00000.parquet")
