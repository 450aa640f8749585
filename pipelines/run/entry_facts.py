"""What the entry of a run records: facts, warnings, and how each stage and check fared."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, verdict
from checks.kit.verdict import Verdict
from pipelines.checking.examine import Status
from pipelines.clock import now
from pipelines.run import decided, losses
from pipelines.run.context import Run
from pipelines.run.examination import Checked
from pipelines.store import commit
from pipelines.store.outcome import Fated
from provenance.base import own_code
from provenance.base.codes import CODES
from provenance.base.errors import Notice
from provenance.ledger import lineage

# stages that report findings of their own: the check they report as, and the stage's name
FINDING_STAGES = (
    ("ingest", "ingest"),
    ("contract", "rules"),
    ("rescan", "rescan"),
    (losses.CHECK, "decide"),
    (decided.CHECK, "decide"),
)


def all_statuses(
    found: findings.Findings, examined: tuple[Status, ...], seconds: Mapping[str, float]
) -> tuple[Status, ...]:
    """Return the statuses of the stages that report findings, then those of the checks.

    Args:
        found: all findings of the run.
        examined: statuses of the checks.
        seconds: how long each stage took.
    """
    made = []
    for check, stage in FINDING_STAGES:
        own = found.filter(pc.equal(found["check"], check))
        if check in (losses.CHECK, decided.CHECK) and not len(own):
            continue  # nothing is lost in nearly every run, and nobody is asked anew
        rows = len(own["row"].drop_null().unique())
        errors = own.filter(pc.equal(own["severity"], "error"))
        is_unrun = pc.any(pc.is_in(errors["rule"], pa.array(verdict.UNRUN))).as_py()
        is_late = pc.any(pc.equal(errors["rule"], verdict.LATE)).as_py()
        status = "timeout" if is_late else "failed" if is_unrun else "ok"
        made.append(Status(check, status, len(own), rows, seconds.get(stage, 0.0)))
    return (*made, *examined)


def warnings_of(run: Run, statuses: tuple[Status, ...]) -> tuple[Notice, ...]:
    """Return the warnings of the contract, the reading, the checks, the anchor and the cluster."""
    from pipelines.checking import dask_engine

    notices = [*run.contract.warnings, *run.plan.read().warnings]
    for status in statuses:
        for note in status.notes:
            code, _, message = note.partition(": ")
            if code.removeprefix("ASSAY-") in CODES:  # the others are for the report alone
                notices.append(Notice(code, message, f"check {status.check}"))
    return (
        *notices,
        *run.prepared.anchor.warnings(is_used=run.prepared.is_anchored),
        *dask_engine.warnings(run.plan.dask_address),
    )


def facts_of(
    run: Run, checked: Checked, rows: Fated, reached: Verdict, statuses: tuple[Status, ...]
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
        "contract": commit.contract_facts(run.contract),
        "code": own_code.facts(),
        "engine": run.plan.engine,
        "orchestrator": "none" if run.request.direct else "prefect",
        "inputs": [dataclasses.asdict(source) for source in run.plan.read().sources],
        "reference": reference,
        "anchor": run.prepared.anchor.facts(),
        **({"memory": memory} if memory else {}),
        "beside": run.named.digests,
        "rows": rows.as_dict(),
        "lineage": {
            "algorithm": lineage.ALGORITHM,
            "keyed": run.contract.is_personal,
            "root": rows.root,
        },
        "verdict": reached.word,
        "checked": reached.checked,
        "reasons": [reason.as_dict() for reason in reached.reasons],
        "policy": dataclasses.asdict(run.request.policy(run.contract)),
        "checks": {status.check: status.status for status in statuses},
    }
