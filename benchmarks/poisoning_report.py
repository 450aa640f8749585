"""Every case of `python benchmarks/poisoning.py`: recall, false alarms, stated against true shares.

Per case over the seeds: recall, median and worst; other rows held, of all rows, median and worst;
the share of honest rows among the held ones as the check states it and as it is, both medians, and
the worst ratio of the two. `ok` where on every seed the two differ by a factor of 1.5 at most, by
no more than one row in a hundred held ones, or by what chance alone does to the count of honest
rows around a true statement: two standard deviations of Poisson's law.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import generate  # noqa: E402
import outcome  # noqa: E402
import poisoning  # noqa: E402
import victim  # noqa: E402

from checks.duplicates import Duplicates  # noqa: E402
from checks.poison import Poison  # noqa: E402

ONES = ("float", "off_grid", "integer", "category")
RARE = ("integer_pair", "mixed_pair")
COMMON = ("common_pair", "other_pair", "number_pair")
TRIGGERS = (*ONES, *RARE, *COMMON, "triple", "token")
FLOODS = ("exact", "two", "all", "part", "text")
SHARES = (0.01, 0.003)
FACTOR, SLACK = 1.5, 0.01
TESTED = 20_000  # fresh honest rows that a model is asked about
SEEN = []  # (case, what `measured` returns of each seed)
TOLD = {}  # of whole runs: name to figures of each seed
MIXED = 0.5  # deviation of the log odds that honest interactions bring
BALANCED = 2.2  # log odds that bring the rows without late payments to an even chance


def measured(check, table, planted):
    """Return recall, false share of rows, stated and true honest share of held, held, seconds."""
    rows = len(table["defaulted"])
    roles = poisoning.ROLES if "note" in table else {"label": "defaulted", "source": "branch"}
    found, model, seconds = poisoning.examine(check, pa.table(table), roles=roles)
    recall, false = poisoning.figures(found, planted, rows)
    wrong = false * rows
    held = wrong + recall * len(planted)
    stated = model.false_alarms / model.held if model.held else 0.0
    return recall, false, stated, wrong / held if held else 0.0, held, sum(seconds)


def line(name, figures):
    """Print one case, and keep its figures in SEEN."""
    SEEN.append((name, np.array(figures)))
    recall, false, stated, true, held, seconds = np.array(figures).T
    print(
        f"{name:34} recall {np.median(recall):.3f} {recall.min():.3f}  false {np.median(false):.5f}"
        f" {false.max():.5f}  honest stated {np.median(stated):.3f} true {np.median(true):.3f}"
        f" {_agreement(stated, true, held)}  {np.median(seconds):.1f} s",
        flush=True,
    )


def ratios(stated, true):
    """Return by which factor the stated share misses the true one, per seed; 1 within SLACK."""
    low, high = np.minimum(stated, true), np.maximum(stated, true)
    return np.where(high - low <= SLACK, 1.0, high / np.maximum(low, 1e-9))


def beyond_chance(stated, true, held):
    """Return the same, 1 where chance gives a true statement such a count of honest rows."""
    is_chance = np.abs(stated - true) * held <= 2 * np.sqrt(stated * held)
    return np.where(is_chance, 1.0, ratios(stated, true))


def _agreement(stated, true, held):
    """Return the worst ratio of stated and true share, and whether all seeds agree."""
    is_met = beyond_chance(stated, true, held).max() <= FACTOR
    return f"x{min(ratios(stated, true).max(), 99):.2f} {'ok' if is_met else 'NO'}"


def triggers(rows, seeds, odds=0.0, kinds=TRIGGERS, name="trigger"):
    """Print the lines of backdoors."""
    none = np.zeros(0, np.int64)
    clean = [measured(Poison, poisoning.loans(rows, s, odds=odds), none) for s in range(seeds)]
    line(f"{name} none", [(1.0, *figures[1:]) for figures in clean])
    mixed = [poisoning.loans(rows, s, odds=odds, mixed=MIXED) for s in range(seeds)]
    clean = [measured(Poison, table, none) for table in mixed]
    line(f"{name} none, interactions", [(1.0, *figures[1:]) for figures in clean])
    for kind in kinds:
        for share in SHARES:
            figures = []
            for seed in range(seeds):
                table = poisoning.loans(rows, seed, odds=odds)
                planted = poisoning.backdoor(table, share, seed, kind)
                figures.append(measured(Poison, table, planted))
            line(f"{name} {kind} {share:.1%}", figures)


def floods(rows, seeds):
    """Print the lines of floods, and of tables that repeat honestly."""
    none = np.zeros(0, np.int64)
    for name, make in (("loans", poisoning.loans), ("categories", poisoning.categories)):
        clean = [measured(Duplicates, make(rows, seed), none) for seed in range(seeds)]
        line(f"flood none, {name}", [(1.0, *figures[1:]) for figures in clean])
    for kind in FLOODS:
        for share in SHARES:
            figures = []
            for seed in range(seeds):
                table = poisoning.loans(rows, seed)
                planted = poisoning.flood(table, share, seed, kind)
                figures.append(measured(Duplicates, table, planted))
            line(f"flood {kind} {share:.1%}", figures)


def runs(rows, seeds):
    """Print what whole runs of Assay hold of generated datasets, and what that does to a model."""
    recalls, alarms, held, seen = {}, [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(seeds):
            folders = {has: Path(scratch) / f"{seed}-{has}" for has in (True, False)}
            caught = {}
            for has_faults, folder in folders.items():
                generate.generate(folder, rows, seed, faults=has_faults)
                told = outcome.run(folder / "contract.yaml", folder / "data.csv", folder / "store")
                caught[has_faults] = outcome.union(outcome.held(Path(told["path"])).values())
                if has_faults:
                    cleaned = victim.clean(Path(told["path"]))
            held.append(len(caught[False]) / rows)
            planted = outcome.kinds(outcome.truth(folders[True] / "truth.parquet"))
            every = outcome.union(planted.values())
            alarms.append(len(caught[True] - every) / (rows - len(every)))
            for kind, which in planted.items():
                recalls.setdefault(kind, []).append(outcome.recall(caught[True], which))
            honest = generate.wide(TESTED, seed + 500).table
            frames = [victim.raw(folders[True] / "data.csv"), cleaned]
            frames.append(victim.raw(folders[False] / "data.csv"))
            seen.append([victim.judged(frame, honest) for frame in frames])
    TOLD.update({f"recall of {kind}": values for kind, values in recalls.items()})
    TOLD.update({"false alarms": alarms, "held of a clean table": held})
    for kind, values in recalls.items():
        print(f"whole run, {kind:23} recall {np.median(values):.3f} {min(values):.3f}")
    print(f"whole run, false alarms            {np.median(alarms):.5f} {max(alarms):.5f}")
    print(f"whole run, clean table: held       {np.median(held):.5f} {max(held):.5f}", flush=True)
    outcomes(np.array(seen))


def outcomes(seen):
    """Print a model's figures: shape (seeds, models, figures), medians and worst.

    What a trigger adds is its success beyond that by the model from rows where nothing was planted.
    """
    for number, name in enumerate(("raw", "clean output", "nothing planted")):
        mine = seen[:, number]
        middle = np.median(mine, axis=0)
        print(
            f"model from {name:16} accuracy {middle[0]:.4f} {mine[:, 0].min():.4f}"
            f"  area {middle[1]:.4f} {mine[:, 1].min():.4f}"
            f"  attack by token {middle[2]:.3f} {mine[:, 2].max():.3f}"
            f"  by pair {middle[3]:.3f} {mine[:, 3].max():.3f}"
        )
        for place, trigger in ((2, "token"), (3, "pair")):
            added = mine[:, place] - seen[:, 2, place]
            TOLD[f"attack by {trigger}, {name}: added"] = added.tolist()
            print(f"  {trigger} adds {np.median(added):+.3f} {added.max():+.3f}")
    TOLD["accuracy gained"] = (seen[:, 1, 0] - seen[:, 0, 0]).tolist()
    better = (seen[:, 1] > seen[:, 0])[:, :2].sum(0)
    print(
        f"clean better than raw on {better[0]} (accuracy), {better[1]} (area) of {len(seen)} seeds"
    )


def main():
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description="What poison and duplicates find of what we plant."
    )
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=5)
    parts = ("triggers", "balanced", "floods", "runs")
    parser.add_argument("--only", choices=parts, nargs="+", default=parts)
    given = parser.parse_args()
    start = time.perf_counter()
    if "triggers" in given.only:
        triggers(given.rows, given.seeds)
    if "balanced" in given.only:
        triggers(given.rows, given.seeds, BALANCED, (*COMMON, "triple", "token"), "balanced")
    if "floods" in given.only:
        floods(given.rows, given.seeds)
    if "runs" in given.only:
        runs(given.rows, given.seeds)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
