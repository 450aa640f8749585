"""The pages of a run: its facts gathered for the report, and the report drawn."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from checks.kit.protocol import Panel
from pipelines.checking.examine import Status
from pipelines.report import finding_tables, page, privacy_noise
from pipelines.report.facts import (
    ContractFacts,
    ReportFacts,
    SourceFacts,
    WorthFacts,
    folded,
)
from pipelines.store import commit
from pipelines.store.store import Store
from provenance.base.errors import Notice


@dataclasses.dataclass(frozen=True, slots=True)
class Drawn:
    """What the report of a run is drawn from.

    `shown` names the columns whose categories may be shown: those with declared values.
    """

    facts: Mapping[str, Any]
    found: Findings
    statuses: tuple[Status, ...]
    warnings: tuple[Notice, ...]
    store: Store
    timings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    panels: tuple[Panel, ...] = ()
    shown: frozenset[str] = frozenset()
    worth: WorthFacts | None = None


def nameable(contract: Contract) -> frozenset[str]:
    """Return the columns whose categories may be shown."""
    return frozenset(c.name for c in contract.columns if c.valid_values or "label" in c.roles)


def drawing(
    drawn: Drawn, contract: Contract, facts: dict[str, Any]
) -> Callable[[int], Mapping[str, str]]:
    """Return what draws the pages with noise on protected columns, and tells `facts` its price.

    To be called under the ledger's lock, where the budget is read and spent in one.
    """

    def as_numbered(number: int) -> Mapping[str, str]:
        shown = privacy_noise.published(drawn.panels, contract, drawn.store)
        warnings = (*drawn.warnings, *shown.warnings)
        facts["warnings"] = [notice.as_dict() for notice in warnings]
        if shown.facts is not None:
            facts["privacy"] = shown.facts
        made = dataclasses.replace(drawn, facts=facts, panels=shown.panels, warnings=warnings)
        return draw(number, made)

    return as_numbered


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
        drift=tuple(folded(p) for p in drawn.panels if p.edges or p.column in drawn.shown),
        policy=facts["policy"],
        worth=drawn.worth,
        unchecked=tuple(n.message for n in drawn.warnings if n.code == "ASSAY-K020"),
    )
    return {"report.html": page.render(finding_tables.facts_of(told, drawn.found))}


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
