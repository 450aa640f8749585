"""What Assay catches of what was planted: `python benchmarks/threats.py [--check]`.

Runs Assay on the sample loans, the clean loans and the drifted night in a temporary store, joins
the fates of rows with the truth, prints the figures and writes docs/threats.md. With --check it
writes nothing, and leaves with 1 if the page is not what a fresh run gives.
"""

import argparse
import difflib
import importlib
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

import outcome  # noqa: E402

from checks.kit import registry  # noqa: E402

SAMPLES = ROOT / "data_samples"
PAGE = ROOT / "docs" / "threats.md"
PROSE = HERE / "threats_prose.md"  # what no run can measure; ends the page
SOURCES = {
    "faulty": "loans.csv",
    "clean": "loans_clean.csv",
    "night": "night_drift.parquet",
}
THREATS = {
    "wrong_label": "data poisoning",
    "backdoor": "data poisoning",
    "flood": "data poisoning",
    "joint_outlier": "data poisoning",
    "broken_value": "data poisoning",
    "pii": "data leakage",
}
# what a whole dataset can be guilty of: (threat, what was planted, source, code of the reason)
WHOLE = [
    ("data leakage", "`queue_code` tells the label", "faulty", "ASSAY-V018"),
    ("drift", "incomes, purposes and defaults changed", "night", "ASSAY-K010"),
]

HELD = (
    "Held: quarantined or rejected. Held or queued: held, or with a finding of severity `error` or "
    "`warning`, so that a reviewer sees the row. Held by: the checks that hold at least a tenth of "
    "the rows of that kind."
)
ALARM = (
    "A false alarm is a held row in which nothing was planted. Some of these are legitimate rows "
    "that look wrong: even the best possible model misclassifies 5 % of the rows."
)


class Seen(NamedTuple):
    """One run: the JSON it printed, rows held by check, rows with any finding."""

    told: dict[str, Any]
    held: dict[str, set[int]]
    found: set[int]

    @property
    def caught(self) -> set[int]:
        """Rows whose fate is not clean."""
        return outcome.union(self.held.values())

    @property
    def rows(self) -> int:
        """Rows of the source."""
        return int(self.told["rows"]["source"])

    @property
    def codes(self) -> set[str]:
        """Codes in the verdict's reasons."""
        return {reason["code"] for reason in self.told["reasons"]}


def examine(store: Path) -> dict[str, Seen]:
    """Run Assay on each sample; in a store of its own each, so that no run knows another."""
    seen = {}
    for name, source in SOURCES.items():
        told = outcome.run(SAMPLES / "contract.yaml", SAMPLES / source, store / name)
        folder = Path(told["path"])
        seen[name] = Seen(told, outcome.held(folder), outcome.found(folder))
    return seen


def page(seen: dict[str, Seen]) -> str:
    """Return docs/threats.md."""
    planted = outcome.truth(SAMPLES / "truth.parquet")
    parts = [
        _opening(seen["faulty"], seen["clean"], outcome.kinds(planted)),
        "## Rows\n\n" + _by_kind(seen["faulty"], outcome.kinds(planted)),
        HELD,
        "### By detail\n\n" + _by_detail(seen["faulty"], planted),
        "## Whole datasets\n\n" + _whole(seen),
        "## False alarms\n\n" + _alarms(seen, outcome.kinds(planted)),
        ALARM,
        "## What each check is blind to\n\n" + _blind(),
        PROSE.read_text(encoding="utf-8").strip(),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(faulty: Seen, clean: Seen, planted: dict[str, set[int]]) -> str:
    every = outcome.union(planted.values())
    others = faulty.rows - len(every)
    alarms = len(faulty.caught - every) / others
    return (
        "# Threats: what is caught and what is not\n\n"
        "Every figure here is measured: `python benchmarks/threats.py` runs Assay on "
        "`data_samples/`, compares the fates of the rows with what was planted, and writes this "
        "page. The samples are synthetic and the faults are our own; an attacker who knows the "
        "checks does better.\n\n"
        f"{outcome.recall(faulty.caught, every):.1%} of the {len(every):,} planted rows are held, "
        f"and {alarms:.2%} of the {others:,} other rows are held by mistake. The clean dataset "
        f"`loans_clean.csv` gets the verdict `{clean.told['verdict']}`, with "
        f"{len(clean.caught):,} of "
        f"{clean.rows:,} rows held ({len(clean.caught) / clean.rows:.2%})."
    )


def _by_kind(faulty: Seen, planted: dict[str, set[int]]) -> str:
    lines = []
    for kind, rows in planted.items():
        by = {check: outcome.recall(held, rows) for check, held in faulty.held.items()}
        main = [name for name in sorted(by, key=lambda n: (-by[n], n)) if by[name] >= 0.1]
        shares = [outcome.recall(which, rows) for which in (faulty.caught, faulty.found)]
        # a rejected row has no finding, yet nobody trains on it
        queued = outcome.recall(faulty.caught | faulty.found, rows)
        names = ", ".join(f"`{name}`" for name in main) or "none"
        told = [THREATS[kind], f"`{kind}`", str(len(rows)), names]
        lines.append([*told, _percent(shares[0]), _percent(queued)])
    head = ["threat", "planted", "rows", "held by", "held", "held or queued"]
    return _table(head, lines)


def _by_detail(faulty: Seen, planted: dict[tuple[str, str], set[int]]) -> str:
    lines = [
        [f"`{kind}`", detail, str(len(rows)), _percent(outcome.recall(faulty.caught, rows))]
        for (kind, detail), rows in sorted(planted.items())
    ]
    return _table(["planted", "detail", "rows", "held"], lines)


def _whole(seen: dict[str, Seen]) -> str:
    lines = []
    for threat, what, source, code in WHOLE:
        codes, verdict = seen[source].codes, seen[source].told["verdict"]
        answer = f"`{verdict}`, with {code}" if code in codes else f"`{verdict}`, without {code}"
        lines.append([threat, f"`{SOURCES[source]}`: {what}", answer])
    return _table(["threat", "planted", "verdict"], lines)


def _alarms(seen: dict[str, Seen], planted: dict[str, set[int]]) -> str:
    faulty, clean = seen["faulty"], seen["clean"]
    every = outcome.union(planted.values())
    lines = []
    names = {status["check"] for status in faulty.told["checks"]} | set(faulty.held)
    for name in [*sorted(names), "all"]:
        held, fresh = (
            run.caught if name == "all" else run.held.get(name, set()) for run in (faulty, clean)
        )
        wrong = len(held - every)
        share = f"{wrong / (faulty.rows - len(every)):.2%}"
        clean_share = f"{len(fresh) / clean.rows:.2%}"
        lines.append([f"`{name}`", str(len(held)), str(wrong), share, str(len(fresh)), clean_share])
    head = ["check", "held", "by mistake", "false alarm rate"]
    return _table([*head, "held in `loans_clean.csv`", "rate there"], lines)


def _blind() -> str:
    lines = []
    for name, kind in registry.load().items():
        module = importlib.import_module(".".join(kind.__module__.split(".")[:2]))
        text = " ".join((module.__doc__ or "").split())
        told = re.search(r"Blind to: (.*?)(?= [A-Z][a-z]+: |$)", text)
        if told is None:
            sys.exit(f"the docstring of {module.__name__} does not say what it is blind to")
        lines.append(f"- `{name}`: {told[1].rstrip('.')}.")
    return "\n".join(lines)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _table(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def main() -> int:
    """Measure, then write the page or compare it; returns the exit code."""
    parser = argparse.ArgumentParser(description="What Assay catches of what was planted.")
    parser.add_argument("--check", action="store_true", help="compare the page, write nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        text = page(examine(Path(scratch)))
    if not given.check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")
        print(text.partition("## What each check")[0].strip())
        return 0
    kept = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    lines = [part.splitlines() for part in (kept, text)]
    print("\n".join(difflib.unified_diff(*lines, "docs/threats.md", "a fresh run", lineterm="")))
    return 0 if kept == text else 1


if __name__ == "__main__":
    sys.exit(main())
