"""What the entry of a run records: how each stage and check fared, warnings, and the facts."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, verdict
from checks.kit.contract_model import Contract
from pipelines.checking.examine import Status
from provenance.base.codes import CODES
from provenance.base.errors import Notice
from provenance.ledger import lineage
from provenance.rows.snapshot import Snapshot

# stages that report findings of their own: the check they report as, and the stage's name
FINDING_STAGES = (("ingest", "ingest"), ("contract", "rules"), ("rescan", "rescan"))


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
        rows = len(own["row"].drop_null().unique())
        errors = own.filter(pc.equal(own["severity"], "error"))
        is_unrun = pc.any(pc.is_in(errors["rule"], pa.array(verdict.UNRUN))).as_py()
        is_late = pc.any(pc.equal(errors["rule"], verdict.LATE)).as_py()
        status = "timeout" if is_late else "failed" if is_unrun else "ok"
        made.append(Status(check, status, len(own), rows, seconds.get(stage, 0.0)))
    return (*made, *examined)


def warnings_of(
    contract: Contract, snapshot: Snapshot, statuses: tuple[Status, ...]
) -> list[Notice]:
    """Return the warnings of the contract, of the reading, and of what was not checked."""
    notices = [*contract.warnings, *snapshot.warnings]
    for status in statuses:
        for note in status.notes:
            code, _, message = note.partition(": ")
            if code.removeprefix("ASSAY-") in CODES:  # the others are for the report alone
                notices.append(Notice(code, message, f"check {status.check}"))
    return notices


def decided_facts(decided: verdict.Verdict, statuses: tuple[Status, ...]) -> dict[str, Any]:
    """Return the part of the facts that says what the verdict is, and why."""
    return {
        "verdict": decided.word,
        "checked": decided.checked,
        "reasons": [reason.as_dict() for reason in decided.reasons],
        "checks": {status.check: status.status for status in statuses},
    }


def lineage_facts(contract: Contract, root: str) -> dict[str, Any]:
    """Return the part of the facts that names the root of the lineage."""
    return {"algorithm": lineage.ALGORITHM, "keyed": contract.is_personal, "root": root}
