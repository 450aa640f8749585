"""Gathers a run's facts and builds its report from them."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from checks.kit.protocol import Panel
from pipelines.checking.examine import Status
from pipelines.report import finding_tables, page, privacy_noise
from pipelines.report.facts import (
    ReportFacts,
    WorthFacts,
    folded,
)
from pipelines.store import commit
from pipelines.store.store import Store
from provenance.base.errors import Notice


@dataclasses.dataclass(frozen=True, slots=True)
class Drawn:
    """What a run's report is built from.

    `shown` names the columns whose categories may be shown, see `nameable`.
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
    """Return the columns whose categories may be shown: labels and those with declared values."""
    return frozenset(c.name for c in contract.columns if c.valid_values or "label" in c.roles)


def drawing(
    drawn: Drawn, contract: Contract, facts: dict[str, Any]
) -> Callable[[int], Mapping[str, str]]:
    """Return a function that builds the report with noise on protected columns.

    It adds the privacy budget spent to `facts`. Call it under the ledger's lock, so that the budget
    is read and spent in one step.
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
    """Return the text of the report by file name."""
    facts = drawn.facts
    report = ReportFacts(
        run=number,
        run_id=facts["run_id"],
        dataset=facts["dataset"],
        verdict=facts["verdict"],
        time=facts["time"],
        rows=facts["rows"],
        contract=facts["contract"],
        ledger_head=commit.head_of(drawn.store),
        reasons=tuple(Notice(**reason) for reason in facts["reasons"]),
        warnings=drawn.warnings,
        checks=drawn.statuses,
        sources=tuple(facts["inputs"]),
        timings=drawn.timings,
        drift=tuple(folded(p) for p in drawn.panels if p.edges or p.column in drawn.shown),
        policy=facts["policy"],
        worth=drawn.worth,
        decided=facts.get("decided", {}),
        lessons=tuple(facts.get("lessons", ())),
        unchecked=tuple(n.message for n in drawn.warnings if n.code == "ASSAY-K020"),
    )
    return {"report.html": page.render(finding_tables.facts_of(report, drawn.found))}
