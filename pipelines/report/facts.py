"""What a report says about a run, as plain immutable values; `pipelines.report.page` draws them.

Nothing here may hold a cell of a column that may be personal: findings never do, and categories
are drawn only for columns whose valid values the contract declares.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from checks.kit.model_comparison import Worth
from checks.kit.protocol import Panel
from pipelines.checking.examine import Status
from provenance.base.errors import Notice

MAX_CATEGORIES = 20


@dataclasses.dataclass(frozen=True, slots=True)
class FindingFacts:
    """One finding as the page shows it; `row` is None if it concerns the whole dataset."""

    row: int | None
    column: str
    score: float | None
    p_value: float | None
    evidence: str
    suggestion: str


@dataclasses.dataclass(frozen=True, slots=True)
class RuleFacts:
    """All findings of one (check, rule, severity).

    Attributes:
        findings: total number.
        rows: number of distinct rows; 0 for findings on the whole dataset.
        share: `rows` as a share of the source's rows, in [0, 1].
        columns: the columns named, most findings first.
        examples: rows with the worst scores, worst first.
        top: the findings shown, worst score first.
    """

    check: str
    rule: str
    severity: str
    findings: int
    rows: int
    share: float
    columns: tuple[str, ...] = ()
    examples: tuple[int, ...] = ()
    top: tuple[FindingFacts, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ScoreHistogram:
    """A check's scores as n counts over n + 1 edges."""

    check: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    unit: str = "findings"


@dataclasses.dataclass(frozen=True, slots=True)
class StampFacts:
    """A held trigger and its effect: shares of clean rows that a model gives its label.

    `before`: the rows unchanged; `after`: with the trigger; `cleaned`: with the trigger, by a model
    trained without the held rows.
    """

    columns: tuple[str, ...]
    label: str
    before: float
    after: float
    cleaned: float


@dataclasses.dataclass(frozen=True, slots=True)
class WorthFacts:
    """A model trained on clean rows compared with one trained on all rows.

    `asked` describes the test rows; `stamps` are the held triggers, measured on the sample of the
    check `poison`.
    """

    worth: Worth
    asked: str
    stamps: tuple[StampFacts, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ReportFacts:
    """Everything that the report of one run says.

    Attributes:
        verdict: "pass" or "fail".
        time: ISO 8601; only the caller reads the clock.
        rows: source, clean, quarantine, rejected.
        contract: `version` and `sha256`.
        ledger_head: digest of the newest ledger entry before this run, "" if there was none.
        checks: the status of each check (ok, failed, timeout or skipped).
        sources: `name`, `sha256`, `size` and `rows` of each source file.
        timings: seconds per stage in the order of the stages; `total` is the wall clock.
        policy: limits by name, e.g. {"alpha": 0.1, "max_quarantine_share": 0.1}.
        unchecked: sentences on what was not checked, besides the checks that did not run.
        worth: what cleaning changes for a model, None if it was not measured.
        lessons: of each rule that reviewed rows were accused by, `rule`, `wrong`, `reviewed`, the
            interval from `low` to `high`, and `proposals` of thresholds.
        decided: `rows` that a person decided about, and rows `asked` anew; empty for none.
    """

    run: int
    run_id: str
    dataset: str
    verdict: str
    time: str
    rows: Mapping[str, int]
    contract: Mapping[str, str]
    ledger_head: str = ""
    reasons: tuple[Notice, ...] = ()
    warnings: tuple[Notice, ...] = ()
    checks: tuple[Status, ...] = ()
    sources: tuple[Mapping[str, Any], ...] = ()
    rules: tuple[RuleFacts, ...] = ()
    timings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    drift: tuple[Panel, ...] = ()
    scores: tuple[ScoreHistogram, ...] = ()
    policy: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unchecked: tuple[str, ...] = ()
    worth: WorthFacts | None = None
    decided: Mapping[str, int] = dataclasses.field(default_factory=dict)
    lessons: tuple[Mapping[str, Any], ...] = ()


def folded(panel: Panel) -> Panel:
    """Return a panel with its largest categories first and the smallest ones as one.

    Categories that share a name, as placeholders may, become one too.
    """
    if panel.edges:
        return panel
    before, now = Counter[str](), Counter[str]()
    names = [*panel.categories, "new"][: len(panel.reference)]
    for name, old, new in zip(names, panel.reference, panel.current, strict=True):
        before[name] += old
        now[name] += new
    order = sorted(before, key=lambda name: (-before[name] - now[name], name))
    kept, rest = order[:MAX_CATEGORIES], order[MAX_CATEGORIES:]
    groups = {name: [name] for name in kept} | ({f"{len(rest)} others": rest} if rest else {})
    return dataclasses.replace(
        panel,
        categories=tuple(groups),
        reference=tuple(sum(before[name] for name in group) for group in groups.values()),
        current=tuple(sum(now[name] for name in group) for group in groups.values()),
    )
