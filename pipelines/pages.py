"""The pages of a run: its facts gathered for the report, and the report drawn."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from checks.kit.findings import Findings
from pipelines import commit, report, report_rules
from pipelines.examine import Status
from pipelines.report_facts import ContractFacts, ReportFacts, SourceFacts
from pipelines.store import Store
from provenance.errors import Notice


@dataclasses.dataclass(frozen=True, slots=True)
class Drawn:
    """What the report of a run is drawn from."""

    facts: Mapping[str, Any]
    found: Findings
    statuses: tuple[Status, ...]
    warnings: tuple[Notice, ...]
    store: Store
    timings: Mapping[str, float] = dataclasses.field(default_factory=dict)


def draw(number: int, drawn: Drawn) -> dict[str, str]:
    """Return the text of each page by its file's name."""
    facts = drawn.facts
    told = ReportFacts(
        run=number,
        run_id=facts["run_id"],
        dataset=facts["dataset"],
        verdict=facts["verdict"],
        time=facts["time"],
        rows=facts["rows"],
        contract=ContractFacts(
            facts["dataset"], facts["contract"]["version"], facts["contract"]["sha256"]
        ),
        ledger_head=commit.head_of(drawn.store),
        reasons=tuple(Notice(**reason) for reason in facts["reasons"]),
        warnings=drawn.warnings,
        checks=tuple(_check(status) for status in drawn.statuses),
        sources=tuple(
            SourceFacts(item["name"], item["sha256"], item["size"], item["rows"])
            for item in facts["inputs"]
        ),
        timings=drawn.timings,
        policy=facts["policy"],
        unchecked=tuple(n.message for n in drawn.warnings if n.code == "ASSAY-K020"),
    )
    return {"report.html": report.render(report_rules.facts_of(told, drawn.found))}


def _check(status: Status) -> dict[str, Any]:
    return {
        "check": status.check,
        "status": status.status,
        "findings": status.findings,
        "rows": status.rows,
        "seconds": status.seconds,
        "threats": status.threats,
        "notes": status.notes,
        "why_skipped": status.why,
    }
