"""What a report says about a run, as plain immutable values; `pipelines.report.page` draws them.

Nothing here may hold a cell of a column that may be personal: findings never do, and categories
are drawn only for columns whose valid values the contract declares.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from checks.kit.model_comparison import Worth
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
class DriftPanel:
    """One column in the reference and in this run, on one axis.

    Attributes:
        edges: of the bins of a number, shape (n + 1,), ascending; empty for categories.
        categories: names, shape (n,); empty for a number.
        reference, current: densities of a number (their area is 1) or shares of categories.
        reference_rows, current_rows: how many values each is made of.
        statistic, value, limit: e.g. ("PSI", 0.31, 0.2); limit None where none is set.
        is_drifted: whether the column is beyond its limit.
        missing: share of missing cells in the reference and in this run, or None.
        note: one more sentence, or "".
    """

    column: str
    reference: tuple[float, ...]
    current: tuple[float, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    reference_rows: int = 0
    current_rows: int = 0
    statistic: str = ""
    value: float | None = None
    limit: float | None = None
    is_drifted: bool = False
    missing: tuple[float, float] | None = None
    note: str = ""

    @property
    def shares(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the share of each bin or category in the reference and in this run."""
        width = np.diff(self.edges) if self.edges else 1.0
        return np.asarray(self.reference) * width, np.asarray(self.current) * width


@dataclasses.dataclass(frozen=True, slots=True)
class ScoreHistogram:
    """A check's scores as n counts over n + 1 edges, and its threshold."""

    check: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    threshold: float | None = None
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
    drift: tuple[DriftPanel, ...] = ()
    scores: tuple[ScoreHistogram, ...] = ()
    policy: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unchecked: tuple[str, ...] = ()
    worth: WorthFacts | None = None


def number_panel(
    column: str, edges: Sequence[float], reference: Sequence[int], current: Sequence[int]
) -> DriftPanel:
    """Build the panel of a number from counts per bin; `dataclasses.replace` adds the statistic.

    Open outer bins (an edge of -inf or inf) are drawn as wide as their neighbour.
    """
    ends, before, now = _closed(edges), np.asarray(reference), np.asarray(current)
    return DriftPanel(
        column,
        _floats(_shares(before) / np.diff(ends)),
        _floats(_shares(now) / np.diff(ends)),
        edges=_floats(ends),
        reference_rows=int(before.sum()),
        current_rows=int(now.sum()),
    )


def category_panel(
    column: str, reference: Mapping[str, int], current: Mapping[str, int]
) -> DriftPanel:
    """Build the panel of a category from counts per name, the largest first, the rest as one."""
    either = {
        name: reference.get(name, 0) + current.get(name, 0) for name in {**reference, **current}
    }
    names = sorted(either, key=lambda name: (-either[name], name))
    kept, rest = names[:MAX_CATEGORIES], names[MAX_CATEGORIES:]
    counts = [
        np.array([side.get(n, 0) for n in kept] + [sum(side.get(n, 0) for n in rest)] * bool(rest))
        for side in (reference, current)
    ]
    return DriftPanel(
        column,
        _floats(_shares(counts[0])),
        _floats(_shares(counts[1])),
        categories=(*kept, *([f"{len(rest)} others"] if rest else [])),
        reference_rows=int(counts[0].sum()),
        current_rows=int(counts[1].sum()),
    )


def _closed(edges: Sequence[float]) -> np.ndarray:
    ends = np.asarray(edges, float).copy()
    finite = ends[np.isfinite(ends)]
    widths = np.diff(finite) if len(finite) > 1 else np.ones(1)
    if np.isneginf(ends[0]):
        ends[0] = finite[0] - widths[0]
    if np.isposinf(ends[-1]):
        ends[-1] = finite[-1] + widths[-1]
    return ends


def _shares(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts / max(counts.sum(), 1))


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.astype(float).tolist())
