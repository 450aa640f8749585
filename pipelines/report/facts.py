"""What a report says of a run, as plain immutable values; `pipelines.report.page` only draws them.

Nothing here may hold a cell's value of a column that may be personal: findings hold none by
their convention, and categories are drawn only for columns that the contract gives valid values.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from checks.kit.model_comparison import Worth
from checks.kit.protocol import Panel
from provenance.base.errors import Notice

STAGED = "staged"  # the number of a run that the ledger has not numbered yet
MAX_CATEGORIES = 20


@dataclasses.dataclass(frozen=True, slots=True)
class SourceFacts:
    """One file that rows came from: name, hex digest, bytes, rows."""

    name: str
    sha256: str
    size: int
    rows: int


@dataclasses.dataclass(frozen=True, slots=True)
class ContractFacts:
    """The contract of the run: name, version, hex digest of its canonical text."""

    name: str
    version: str
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class FindingFacts:
    """One finding as the page shows it; `row` is None for one on the whole dataset."""

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
        findings: how many there are in all.
        rows: how many distinct rows they touch; 0 for findings on the whole dataset.
        share: `rows` of the rows of the source, in [0, 1].
        columns: the columns named, most findings first.
        examples: rows with the worst scores, worst first.
        top: the findings that are shown, worst score first.
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
    """Scores that a check gave, shape (n,) counts over (n + 1,) edges, and its threshold."""

    check: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    threshold: float | None = None
    unit: str = "findings"


@dataclasses.dataclass(frozen=True, slots=True)
class StampFacts:
    """A held trigger and what it does: shares of clean rows that a model gives its label.

    As the rows are, with the trigger stamped on, and the same by a model without the held rows.
    """

    columns: tuple[str, ...]
    label: str
    before: float
    after: float
    cleaned: float


@dataclasses.dataclass(frozen=True, slots=True)
class WorthFacts:
    """A model from the clean output beside one from every row, and the rows they were asked about.

    `stamps` are the held triggers, measured in the sample of the check `poison`.
    """

    worth: Worth
    asked: str
    stamps: tuple[StampFacts, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ReportFacts:
    """Everything that the report of one run says.

    Attributes:
        run: the number of the run, or `STAGED` while the ledger has not given it one.
        verdict: "pass" or "fail".
        time: ISO 8601, given by the caller, who alone reads the clock.
        rows: source, clean, quarantine, rejected.
        checks: one mapping per check with `check`, `status` (ok, failed, timeout or skipped) and
            any of `findings`, `rows`, `seconds`, `threats`, `notes`, `why_skipped`.
        ledger_head: digest of the newest ledger entry before this run, "" if there was none.
        timings: seconds per stage in the order of the stages; `total` is the wall clock.
        policy: limits by name, e.g. {"alpha": 0.1, "max_quarantine_share": 0.1}.
        unchecked: sentences on what was not checked, besides the checks that did not run.
        worth: what the clean output is worth to a model, None where nobody asked.
    """

    run: int | str
    run_id: str
    dataset: str
    verdict: str
    time: str
    rows: Mapping[str, int]
    contract: ContractFacts
    ledger_head: str = ""
    reasons: tuple[Notice, ...] = ()
    warnings: tuple[Notice, ...] = ()
    checks: tuple[Mapping[str, Any], ...] = ()
    sources: tuple[SourceFacts, ...] = ()
    rules: tuple[RuleFacts, ...] = ()
    timings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    drift: tuple[Panel, ...] = ()
    scores: tuple[ScoreHistogram, ...] = ()
    policy: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unchecked: tuple[str, ...] = ()
    worth: WorthFacts | None = None


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
