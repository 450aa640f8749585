"""Every goal of detection in one table: `python benchmarks/detection.py all --seeds 5`.

Runs labels, outliers, triggers, floods, whole runs and how time grows with rows, as their own
benchmarks do, and prints for each goal the median, the worst seed and whether it is met. What could
not be measured (no folder ASSAY_BENCH_DATA, no PyOD) is not met. Exit 1 where a goal is missed.
"""

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import detection  # noqa: E402

ROWS = 50_000
FACTOR = 1.5
SMALL, LARGE = 100_000, 1_000_000  # rows, of the question how time grows


class Goal(NamedTuple):
    """One goal: `values` of each seed or case; `limit` is the least of them, or the most.

    With `by_median` the median must meet it, else the worst must.
    """

    name: str
    values: list[float]
    limit: float
    is_least: bool = True
    by_median: bool = False

    @property
    def worst(self) -> float:
        """Return the value that is farthest on the wrong side; NaN if any is missing."""
        return float(np.min(self.values) if self.is_least else np.max(self.values))

    @property
    def is_met(self) -> bool:
        """Return whether it is met; what was not measured is not."""
        if not self.values:
            return False
        value = float(np.median(self.values)) if self.by_median else self.worst
        return value >= self.limit if self.is_least else value <= self.limit


def labels(seeds: int) -> Iterable[Goal]:
    """Yield goals of wrong labels, over four real tables."""
    import labels as bench

    ahead, sums = [], 0
    for _, table, label in bench.tables():
        done = [bench.one(table, label, *case, s) for case in bench.CASES for s in range(seeds)]
        ranks = np.array([ranks for ranks, _, _ in done])
        ahead.append(float((ranks[:, 0] - ranks[:, 1]).mean()))
        sums = sums + sum(counts for _, counts, _ in done)
    named, hit, wrong = sums[0]
    yield Goal("labels: average precision ahead of cleanlab", [float(np.mean(ahead))], 0.1)
    yield Goal("labels: the same on each table", ahead, -0.01)
    yield Goal("labels: precision of the doubted, pooled", [float(hit / named)], 0.70)
    yield Goal("labels: recall of the doubted, pooled", [float(hit / wrong)], 0.70)


def outliers(seeds: int) -> Iterable[Goal]:
    """Yield goals of outliers: ranks beside PyOD, and what is held of generated rows."""
    import detection_held
    import detection_outliers as bench
    from sklearn.metrics import roc_auc_score

    ours: list[float] = []
    theirs: dict[str, list[float]] = {}
    for _, _, values, truth in bench.tables(detection.DATA):
        ours.append(
            float(np.median([roc_auc_score(truth, bench.assay(values, s)) for s in range(seeds)]))
        )
        for name in bench.PEERS:
            score = roc_auc_score(truth, bench.peer(name, values, 0))
            theirs.setdefault(name, []).append(float(score))
    best = max(float(np.mean(scores)) for scores in theirs.values())
    yield Goal(
        "outliers: mean AUROC ahead of the best of PyOD", [float(np.mean(ours)) - best], 0.02
    )
    yield Goal("outliers: AUROC of each table", ours, 0.5)
    yield Goal("outliers: s for 100,000 x 10", [bench.beyond_forest()], 1.0, is_least=False)
    held = [detection_held.judged(ROWS, 0.003, seed) for seed in range(seeds)]
    yield Goal("outliers: honest share of the held", [h.honest for h in held], 0.1, is_least=False)


def poison(seeds: int) -> Iterable[Goal]:
    """Yield goals of triggers and floods."""
    import poisoning_report as bench

    bench.triggers(ROWS, seeds)
    bench.floods(ROWS, seeds)
    for name, figures in bench.SEEN:
        recall, false, stated, true, held, _ = figures.T
        if " none" in name:
            yield Goal(f"{name}: rows held", list(false), 0.001, is_least=False)
            continue
        # sets of three values are told as well as they can be: no goal
        if "triple" not in name:
            least = 0.95 if name.endswith("1.0%") else 0.9
            yield Goal(f"{name}: recall", list(recall), least)
        ratio = bench.beyond_chance(stated, true, held)
        yield Goal(f"{name}: stated : true share", list(ratio), FACTOR, is_least=False)


def whole(seeds: int) -> Iterable[Goal]:
    """Yield goals of whole runs of Assay."""
    import poisoning_report as bench

    bench.runs(ROWS, seeds)
    told = bench.TOLD
    yield Goal(
        "runs: rows held of a clean table", told["held of a clean table"], 0.01, is_least=False
    )
    for kind in ("backdoor", "flood"):
        yield Goal(f"runs: recall of {kind}", told[f"recall of {kind}"], 0.95)
    for trigger in ("token", "pair"):
        added = told[f"attack by {trigger}, clean output: added"]
        yield Goal(f"runs: attack success that a {trigger} adds", added, 0.05, is_least=False)


def growth(_seeds: int) -> Iterable[Goal]:
    """Yield the goal that detection costs no more per row as rows grow."""
    import scale

    with tempfile.TemporaryDirectory() as scratch:
        promised = scale.contract(Path(scratch), ["all"])
        small, large = (scale.measure(rows, promised) for rows in (SMALL, LARGE))
    yield Goal(f"minutes of a run of {LARGE:,} rows", [large["all"] / 60], 10, is_least=False)
    for told in ("all", "checks"):
        ratio = (large[told] / LARGE) / (small[told] / SMALL)
        name = f"time per row, {LARGE:,} : {SMALL:,} rows, {told}"
        yield Goal(name, [ratio], 1.3, is_least=False)


PARTS: dict[str, Callable[[int], Iterable[Goal]]] = {
    "labels": labels,
    "outliers": outliers,
    "poison": poison,
    "runs": whole,
    "growth": growth,
}


def measured(part: str, seeds: int) -> list[Goal]:
    """Return a part's goals; one that is not met where it cannot be measured."""
    try:
        return list(PARTS[part](seeds))
    except (OSError, SystemExit) as error:
        print(f"{part} was not measured: {error}", file=sys.stderr, flush=True)
        return [Goal(f"{part}: not measured", [], 0.0)]


def table(goals: list[Goal]) -> str:
    """Return the goals as a Markdown table."""
    head = ["goal", "median", "worst", "wanted", "met"]
    lines = [head, ["---"] * len(head)]
    for goal in goals:
        figures = ["-", "-"]
        if goal.values:
            figures = [f"{np.median(goal.values):.3f}", f"{goal.worst:.3f}"]
        wanted = f"{'>=' if goal.is_least else '<='} {goal.limit:g}"
        lines.append([goal.name, *figures, wanted, "yes" if goal.is_met else "NO"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(seeds: int, parts: list[str]) -> int:
    """Measure the parts, print one table, and return 1 if any goal is missed."""
    goals = [goal for part in parts or PARTS for goal in measured(part, seeds)]
    print(table(goals))
    missed = sum(not goal.is_met for goal in goals)
    print(f"{len(goals) - missed} of {len(goals)} goals are met", flush=True)
    return int(missed > 0)
