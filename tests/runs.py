"""Runs for tests and benchmarks: really read, sorted, signed and committed; findings are given.

What is left out is the judgement, which takes most of a run's time: rules and checks do not run,
their findings are arguments.
"""

import dataclasses
import shutil
from pathlib import Path

from checks.contract import loader
from checks.kit import findings
from checks.kit.contract_model import Policy
from pipelines.clock import now
from pipelines.run import clean_scan, decided, fates, reading
from pipelines.run.request import Plan
from pipelines.store.commit import Committer
from pipelines.store.decisions import History
from pipelines.store.store import Store
from provenance.base import own_code
from provenance.ledger import lineage

CHECKS = ("ingest", "contract", "rescan", "outliers", "pii")


def committed(
    store: Store, contract: Path, *sources: Path, found=(), models=None, also=None, **facts
):
    """Commit a run over source files; returns its entry.

    Args:
        store: made if absent.
        contract: a contract's file.
        sources: read in this order.
        found: tables of findings.
        models: content of the model of each check, bytes; by default the same in every run.
        also: what puts more files into the run, given its folder.
        facts: of the entry, in place of the usual ones.
    """
    promised = loader.load(contract)
    with store.staged() as work:
        plan = Plan(work.name, work, tuple(map(str, sources)), (), "serial")
        for folder in (plan.out / "models", plan.scratch):
            folder.mkdir(parents=True)
        reading.read_sources(str(contract), list(plan.sources), [], str(plan.snapshot))
        snapshot = plan.read()
        every = findings.ordered(findings.concat([fates.held_findings(snapshot), *found]))
        name = fates.ids_of(snapshot, promised).of
        history = History.of(store, promised.name)
        settled = decided.on_rows(history, snapshot, promised, every)
        every = findings.ordered(findings.concat([every, settled.asked]))
        sorting = settled.sorting(promised, every, name)
        fated = fates.Emitter(snapshot, sorting, plan.out).write()
        clean_scan.save_findings(every, plan.out)
        shutil.copy(contract, plan.out / "contract.yaml")
        for check, content in ({"outliers": b"0", "pii": b"0"} | (models or {})).items():
            (plan.out / "models" / f"{check}.pkl").write_bytes(content)
        if also:
            also(plan.out)
        whole = _facts(plan, promised, snapshot, fated) | settled.facts() | facts
        committer = Committer.of(store, whole["time"])
        return committer.commit_run(plan.out, whole, lambda _: {"report.html": "<html></html>"})


def _facts(plan, promised, snapshot, fated):
    return {
        "schema": "assay.entry/1", "kind": "run", "run_id": plan.run_id, "started": now(),
        "time": now(), "dataset": promised.name,
        "contract": {"path": promised.path, "sha256": promised.sha256,
                     "version": promised.version},
        "code": own_code.facts(), "engine": plan.engine, "orchestrator": "none",
        "inputs": [dataclasses.asdict(source) for source in snapshot.sources], "reference": [],
        "rows": fated.as_dict(), "verdict": "pass", "checked": True, "reasons": [],
        "lineage": {"algorithm": lineage.ALGORITHM, "keyed": promised.is_personal,
                    "root": fated.root},
        "policy": dataclasses.asdict(Policy()), "checks": dict.fromkeys(CHECKS, "ok"),
        "warnings": [],
    }  # fmt: skip
