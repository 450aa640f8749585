"""`assay release`: the clean dataset with the decisions applied, as a new run.

It works from the base run's own files, whose digests are checked first, so the source need not
exist any longer. Rows without a decision keep their fate.
"""

import argparse
import time
import uuid
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from checks.kit import findings, registry, verdict
from checks.kit.contract_model import Contract, Policy
from checks.kit.verdict import Verdict
from pipelines import config
from pipelines.checking.examine import Status
from pipelines.clock import now
from pipelines.events import openlineage
from pipelines.learning import cases, in_force, summary
from pipelines.report import build
from pipelines.run import clean_scan, fates, losses
from pipelines.run.decided import Decided
from pipelines.run.entry_facts import FINDING_STAGES, all_statuses
from pipelines.run.named_files import bound
from pipelines.store import decisions, outcome, row_history, trust
from pipelines.store.commit import Committer
from pipelines.store.decisions import History
from pipelines.store.outcome import Committed, Fated, Outcome
from pipelines.store.rebuild import rebuild
from pipelines.store.store import Store
from provenance.base import own_code
from provenance.base.errors import Notice
from provenance.ledger.entry import Entry
from provenance.ledger.run_reader import RunReader

INHERITED = (
    "schema", "dataset", "contract", "inputs", "reference", "policy", "checks", "engine",
    "orchestrator", "beside", "learnt",
)  # fmt: skip


def main(arguments: argparse.Namespace) -> int:
    """Write the new clean dataset and print the outcome as `assay run` does."""
    store = Store(config.store_folder(arguments.store))
    made = release(store, store.find(arguments.run))
    outcome.show(made, as_json=arguments.json)
    return made.verdict.exit_code


def release(store: Store, entry: Entry) -> Outcome:
    """Apply the standing decisions to the base run of `entry` and commit the result.

    Raises:
        AssayError: ASSAY-L001 to L007 if the ledger does not verify, L011 if a file of the base
            run does not have its recorded digest, C014 if two of its sources are the same, K003
            if the model or the deny list that the contract names cannot be used.
    """
    trust.require_whole(store)
    base, files = _base(store, entry)
    run_id = uuid.uuid4().hex
    committed = Committed()
    with openlineage.telling("release", base.facts["dataset"], run_id, committed):
        _emit(store, base, files, run_id, committed)
    return committed.result()


def _emit(store: Store, base: Entry, files: RunReader, run_id: str, committed: Committed) -> None:
    began = time.perf_counter()
    contract, started, found = _contract(base, files), now(), _findings(files)
    # read once: what is applied is what is told
    history = History.of(store, base.facts["dataset"])
    settled = _settled(store, history, base, files, contract, found)
    with committed, store.staged() as work:
        out, scratch = work / "out", work / "scratch"
        out.mkdir()
        scratch.mkdir()
        snapshot = rebuild(files, base, contract, found, scratch)
        sorting = settled.sorting(contract, found, lambda ids, _: ids)
        fated = fates.Emitter(snapshot, sorting, out).write()
        (out / row_history.CONTRACT).write_bytes(files.read(row_history.CONTRACT))
        clock = {"emit": round(time.perf_counter() - began, 3)}
        scanned = clean_scan.rescan(out, contract, found, snapshot.sources, settled.rows("release"))
        clock["rescan"] = round(time.perf_counter() - began - clock["emit"], 3)
        # the base run's rescan covered another clean dataset, and it knew of no decision
        found = losses.without(_without_rescan(found))
        lost = losses.find(snapshot, contract, found, sorting.quarantined)
        found = findings.ordered(findings.concat([found, scanned, lost]))
        clean_scan.save_findings(found, out)
        decided = _decided(base, settled, found, fated)
        facts = {**_facts(base, settled, fated, decided, started), "run_id": run_id}
        facts |= _lessons(store, history, contract)
        statuses = all_statuses(found, _inherited(base, found), clock)
        warnings = tuple(Notice(**told) for told in base.facts.get("warnings", ()))
        drawn = build.Drawn(facts, found, statuses, warnings, store, clock)
        committer = Committer.of(store, facts["time"])
        made = committer.commit_run(out, facts, lambda number: build.draw(number, drawn))
        folder = store.run_folder(made.seq)
        committed.outcome = Outcome(made, folder, decided, fated, statuses, warnings, clock)
    clock["total"] = round(time.perf_counter() - began, 3)


def _contract(base: Entry, files: RunReader) -> Contract:
    """Return the contract that the base run recorded, with the current state of its lists."""
    home = Path(base.facts["contract"]["path"]).parent  # the lists lie next to the original
    contract = bound(row_history.contract_of(files, home))
    registry.prepare(contract)
    return contract


def _base(store: Store, entry: Entry) -> tuple[Entry, RunReader]:
    """Return the run that read the source, and its files, verified against the ledger."""
    base = store.ledger.read(row_history.base_of(entry))
    files = store.reader(base)
    files.require()
    return base, files


def _settled(
    store: Store, history: History, base: Entry, files: RunReader, contract: Contract,
    found: findings.Findings,
) -> Decided:  # fmt: skip
    """Return the decisions in force for the rows of the base run."""
    applied = decisions.applied(store, base)
    judged = decisions.judged(history, applied, base, files, contract, found)
    return Decided(judged.standing, upto=history.upto, until=judged.until(contract))


def _decided(base: Entry, settled: Decided, found: findings.Findings, fated: Fated) -> Verdict:
    return verdict.decide(
        settled.open_findings(found),
        Policy(**base.facts["policy"]),
        source=fated.source,
        quarantine=fated.quarantine,
        rejected=fated.rejected - len(settled.rows("reject")),
    )


def _inherited(base: Entry, found: findings.Findings) -> tuple[Status, ...]:
    """Return the statuses of the base run's checks, without those of its stages."""
    return tuple(
        Status(name, status, *findings.count(found, name))
        for name, status in base.facts["checks"].items()
        if name not in dict(FINDING_STAGES)
    )


def _without_rescan(found: findings.Findings) -> findings.Findings:
    return found.filter(pc.not_equal(found["check"], "rescan"))


def _facts(
    base: Entry, settled: Decided, fated: Fated, decided: Verdict, started: str
) -> dict[str, Any]:
    """Return the body of a release's entry: the base run's facts and what the decisions changed."""
    return {
        **{name: base.facts[name] for name in INHERITED if name in base.facts},
        "kind": "release",
        "base": base.seq,
        "started": started,
        "time": now(),
        # no check ran again, so the verdict has the age and the code of the base run
        "checked_at": base.facts["time"],
        "code": base.facts["code"],
        "released_by": own_code.facts(),
        "rows": fated.as_dict(),
        "lineage": {**base.facts["lineage"], "root": fated.root},
        "verdict": decided.word,
        "checked": decided.checked,
        "reasons": [reason.as_dict() for reason in decided.reasons],
        "warnings": base.facts.get("warnings", []),
        "reviews": [],
        **settled.facts(),
    }


def _lessons(store: Store, history: History, contract: Contract) -> dict[str, Any]:
    """Return what decisions in force show of each rule by now; of an unreviewed dataset nothing."""
    valid = in_force.of(history, contract)
    found = summary.facts(cases.of(store, valid), store, valid, contract)
    return {"lessons": found} if found else {}


def _findings(files: RunReader) -> findings.Findings:
    return findings.ordered(findings.concat(list(files.tables("findings"))))
