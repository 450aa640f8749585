"""Realistic facts of two runs over 20,000 loans: one that fails and one that passes."""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import findings
from checks.kit.model_comparison import Measure, Worth
from checks.kit.protocol import Panel
from pipelines.checking.examine import Status
from pipelines.report.facts import (
    ReportFacts,
    StampFacts,
    WorthFacts,
)
from pipelines.report.finding_tables import facts_of
from provenance.base.errors import Notice

ROWS = 20_000
CONTRACT = {"version": "2.3.0", "sha256": "77ab" * 16}
SOURCES = tuple(
    {"name": f"loans-2026-02-{name}.parquet", "sha256": digest * 16, "size": size, "rows": rows}
    for name, digest, size, rows in (
        ("a", "9f2c", 1_843_201, 12_000), ("b", "41d7", 1_229_114, 8_000),
    )
)  # fmt: skip
PURPOSES = ("car", "debt consolidation", "education", "home improvement", "medical", "wedding")

WORTH = WorthFacts(
    Worth(
        learnt=10_000,
        held=1_209,
        asked=8_000,
        measures=(
            Measure("accuracy", 0.9381, 0.9424, 0.0012, 0.0074, is_share=True),
            Measure("log loss", 0.1612, 0.1633, -0.0008, 0.005),
        ),
    ),
    "the rows of the reference",
    (StampFacts(("note",), "repaid", 0.312, 0.987, 0.304),),
)


def number_panel(column, edges, reference, current):
    """Return the panel of a number from counts between edges, the outer ones of which are open."""
    return Panel(column, tuple(edges[1:-1]), (), tuple(reference), tuple(current))


def category_panel(column, reference, current):
    """Return the panel of a category from counts by name."""
    names = tuple({**reference, **current})
    counts = (tuple(by_name.get(name, 0) for name in names) for by_name in (reference, current))
    return Panel(column, (), names, *counts)


def failing() -> ReportFacts:
    """A run with drift, a planted trigger, a check that crashed, and too many quarantined rows."""
    return facts_of(
        ReportFacts(
            run=7,
            run_id="01JNB7Q4Z9M3",
            dataset="loans",
            verdict="fail",
            time="2026-03-01T02:04:11Z",
            rows={"source": ROWS, "clean": 17_571, "quarantine": 2_417, "rejected": 12},
            contract=CONTRACT,
            ledger_head="sha256:" + "c0de" * 16,
            reasons=(
                Notice("ASSAY-K010", "2 columns drifted beyond their limit: income, purpose"),
                Notice("ASSAY-K011", "12.1 % of the rows are quarantined, the policy allows 10 %"),
                Notice("ASSAY-K001", "The check leakage crashed: MemoryError", "checks.leakage"),
                Notice(
                    "ASSAY-K014", "Rule mean_term: the mean of term is 51.2, at most 48 is allowed"
                ),
            ),
            warnings=(
                Notice("ASSAY-K020", "Personal names and places were not searched for"),
                Notice("ASSAY-I037", "31 cells of column note begin like formulas"),
            ),
            checks=_checks(),
            sources=SOURCES,
            timings={
                "ingest": 0.6,
                "contract": 8.2,
                "fit": 11.9,
                "score": 6.4,
                "emit": 1.3,
                "total": 31.4,
            },
            drift=_drift(),
            policy={"alpha": 0.1, "max_quarantine_share": 0.1, "max_rejected_share": 0.01},
            unchecked=(
                "Names and places in free text: no language model is installed.",
                "Overlap with the test set: the contract names none.",
            ),
            worth=WORTH,
        ),
        _found(np.random.default_rng(7)),
    )


def passing() -> ReportFacts:
    """A run in which little was found and everything ran."""
    keep = ("labels", "outliers", "duplicates", "poison", "pii", "drift")
    rng = np.random.default_rng(8)
    rows = np.sort(rng.choice(ROWS, 61, replace=False))
    found = findings.make(
        rows,
        check="labels",
        rule="labels.suspect",
        column="status",
        score=rng.beta(9, 1, 61),
        evidence="9 of the 10 nearest rows are labelled repaid",
        suggestion="Compare the row with its file, then relabel or release it.",
    )
    steady = [dataclasses.replace(p, is_drifted=False, value=0.03) for p in _drift()]
    return facts_of(
        dataclasses.replace(
            failing(),
            verdict="pass",
            rows={"source": ROWS, "clean": ROWS - 61, "quarantine": 61, "rejected": 0},
            reasons=(),
            warnings=(Notice("ASSAY-K020", "Personal names and places were not searched for"),),
            checks=tuple(
                dataclasses.replace(status, findings=count, rows=count)
                for status in _checks()
                for count in [61 if status.check == "labels" else 0]
                if status.check in keep
            ),
            drift=tuple(steady),
            scores=(),
            unchecked=("Names and places in free text: no language model is installed.",),
        ),
        found,
    )


def _checks():
    def check(name, rows, seconds, *threats, status="ok", **more):
        return Status(name, status, rows, rows, seconds, threats=threats, **more)

    return (
        check("schema", 1_644, 8.2, "data poisoning", "drift and degradation"),
        check("labels", 412, 2.1, "data poisoning", notes=("About 1 in 10 of these is honest.",)),
        check("outliers", 130, 1.4, "data poisoning", "adversarial attacks"),
        check("poison", 38, 3.3, "data poisoning"),
        check("duplicates", 211, 0.9, "data poisoning", "model inversion"),
        check("pii", 57, 4.0, "data leakage", notes=("Names and places were not searched for.",)),
        check("drift", 2, 0.7, "drift and degradation"),
        check("leakage", 0, 1.1, "data leakage", status="failed", why="MemoryError at 2 GiB"),
        check("membership", 0, 60.0, "model inversion", status="timeout", why="limit 60 s"),
        check(
            "sources",
            0,
            0.0,
            "data poisoning",
            status="skipped",
            why="the contract names no source",
        ),
    )


def _drift():
    rng = np.random.default_rng(1)
    edges = np.linspace(0, 160_000, 41)
    before = np.histogram(rng.lognormal(10.9, 0.42, 18_000), edges)[0]
    now = np.histogram(rng.lognormal(11.12, 0.46, ROWS), edges)[0]
    income = number_panel("income", edges, before, now)
    age_edges = np.linspace(18, 88, 36)
    ages = [np.histogram(rng.gamma(9, 4.5, n) + 14, age_edges)[0] for n in (18_000, ROWS)]
    rates = [
        np.histogram(rng.normal(0.11, 0.03, n), np.linspace(0, 0.25, 31))[0] for n in (18_000, ROWS)
    ]
    shares = [(0.2, 0.38, 0.1, 0.18, 0.09, 0.05), (0.2, 0.21, 0.1, 0.18, 0.26, 0.05)]
    purpose = category_panel(
        "purpose",
        {name: int(18_000 * share) for name, share in zip(PURPOSES, shares[0], strict=True)},
        {name: int(ROWS * share) for name, share in zip(PURPOSES, shares[1], strict=True)},
    )
    graded = {"statistic": "PSI", "limit": 0.2}
    return (
        dataclasses.replace(income, value=0.31, is_drifted=True, missing=(0.002, 0.041), **graded),
        dataclasses.replace(purpose, value=0.27, is_drifted=True, **graded),
        dataclasses.replace(number_panel("age", age_edges, *ages), value=0.004, **graded),
        dataclasses.replace(
            number_panel("rate", np.linspace(0, 0.25, 31), *rates), value=0.002, **graded
        ),
        dataclasses.replace(
            category_panel(
                "status", {"repaid": 16_200, "default": 1_800}, {"repaid": 17_900, "default": 2_100}
            ),
            value=0.001,
            **graded,
        ),
    )


def _found(rng):
    def some(count, **given):
        rows = np.sort(rng.choice(ROWS, count, replace=False))
        return findings.make(rows, **given)

    nearest = [
        f"{n} of the 10 nearest rows are labelled repaid, this one default"
        for n in rng.integers(7, 11, 412)
    ]
    return pa.concat_tables(
        [
            some(
                1_420,
                check="schema",
                rule="income_range",
                column="income",
                evidence="above the maximum of the rule",
                suggestion="Repair the unit at the source, or raise the maximum.",
            ),
            some(
                190,
                check="schema",
                rule="ASSAY-V010",
                column="employer_years",
                evidence="a required cell is missing",
                suggestion="Fill it, or drop required in the contract.",
            ),
            some(
                34,
                check="schema",
                rule="ASSAY-I035",
                column="term",
                evidence="text where the contract says integer",
                suggestion="Repair the source.",
            ),
            some(
                412,
                check="labels",
                rule="labels.suspect",
                column="status",
                score=rng.beta(8, 1.4, 412),
                p_value=rng.uniform(0, 0.01, 412),
                evidence=nearest,
                suggestion="Compare the row with its file, then relabel or release it.",
            ),
            some(
                38,
                check="poison",
                rule="poison.trigger",
                column="note",
                score=rng.beta(30, 2, 38),
                p_value=0.0002,
                evidence="holds one token seen in 38 rows, all labelled repaid",
                suggestion="Look at who supplied these rows; reject them together.",
            ),
            some(
                211,
                check="duplicates",
                rule="duplicates.near",
                severity="warning",
                score=rng.uniform(0.8, 1, 211),
                evidence="one of a family of 12 near copies",
                suggestion="Keep one row of each family.",
            ),
            some(
                130,
                check="outliers",
                rule="outliers.far",
                severity="warning",
                column="amount",
                score=rng.beta(2, 5, 130),
                evidence="far from every other row in amount and term together",
                suggestion="Check the decimal point.",
            ),
            some(
                57,
                check="pii",
                rule="pii.email",
                column="note",
                evidence="one e-mail address, checked by form",
                suggestion="Redact the cell or reject the row.",
            ),
            findings.make(
                None,
                check="drift",
                rule="drift.shift",
                column="income",
                score=0.31,
                evidence="PSI 0.31 against the reference, limit 0.2",
                suggestion="Find out what changed upstream; re-anchor if it is meant.",
            ),
            findings.make(
                None,
                check="drift",
                rule="drift.shift",
                column="purpose",
                score=0.27,
                evidence="PSI 0.27 against the reference, limit 0.2",
                suggestion="Find out what changed upstream; re-anchor if it is meant.",
            ),
        ]
    )
