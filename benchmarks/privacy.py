"""What privacy costs, beside a peer in the same run: `python benchmarks/privacy.py [--rows N]`.

The deny list beside the scan for patterns over the same texts, and beside one alternation in
Python's own `re`; the classes of quasi-identifiers beside pandas' groupby. Interleaved, medians of
three; only the ratios mean anything on another machine.
"""

import argparse
import random
import re
import statistics
import string
import time

import numpy as np
import pyarrow as pa

from checks.disclosure import equivalence_classes, generalisation_plan
from checks.pii import deny_list as denied
from checks.pii.scan import scan
from checks.pii.settings import Settings

TIMES = 3


def seconds(calls):
    """Return the median seconds of each call by its name, the calls taken in turn."""
    taken = {name: [] for name in calls}
    for _ in range(TIMES):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(some) for name, some in taken.items()}


def deny_list(rows):
    """Search clean notes for names that do not occur in them."""
    draw = random.Random(1)  # noqa: S311 - words, not keys
    letters = string.ascii_lowercase
    words = ["".join(draw.choices(letters, k=draw.randint(3, 9))) for _ in range(5000)]
    notes = [f"{' '.join(draw.choices(words, k=8))} {n}" for n in range(rows)]
    texts = pa.array(notes)
    for size in (1_000, 50_000):
        names = [" ".join("".join(draw.choices(letters, k=8)).title() for _ in "ab")
                 for _ in range(size)]  # fmt: skip
        ready = denied.names_of(names, "")
        calls = {
            "deny list": lambda ready=ready: denied.hits(texts, ready),
            "patterns": lambda: scan(texts, "note", Settings()),
        }
        if size <= 1_000:
            pattern = re.compile(rf"\b(?:{'|'.join(names)})\b", re.IGNORECASE)
            part = notes[: max(rows // 100, 1)]
            calls["re, a hundredth"] = lambda p=pattern, part=part: [p.search(x) for x in part]
        took = seconds(calls)
        said = f"deny list of {size:,} names, {rows:,} notes: {took['deny list']:.2f} s, "
        said += f"{took['deny list'] / took['patterns']:.2f} of the time of the patterns"
        if "re, a hundredth" in took:
            said += (
                f"; re takes {100 * took['re, a hundredth'] / took['deny list']:.0f} times as long"
            )
        print(said)


def quasi_identifiers(rows):
    """Count the classes of three columns, and search for a plan."""
    draw = np.random.default_rng(1)
    table = pa.table(
        {
            "age": pa.array(draw.integers(18, 90, rows)),
            "zip": pa.array([f"{n:05d}" for n in draw.integers(0, 2_000, rows)]),
            "sex": pa.array(draw.choice(["f", "m"], rows)),
            "label": pa.array(draw.choice(["no", "yes"], rows)),
        }
    )
    names, frame = ["age", "zip", "sex"], table.to_pandas()
    made = equivalence_classes.gather(table, names, ["label"])
    if made.is_whole and len(frame.groupby(names).size()) != len(made.counts):
        raise SystemExit("the counts differ")
    took = seconds(
        {
            "classes": lambda: equivalence_classes.gather(table, names, ["label"]),
            "pandas": lambda: frame.groupby(names)["label"].agg(["size", "nunique"]),
            "plan": lambda: generalisation_plan.propose(made, names, 5, 0.05),
        }
    )
    print(f"{len(made.counts):,} classes of {rows:,} rows: {took['classes']:.2f} s, pandas takes "
          f"{took['pandas'] / took['classes']:.1f} times as long; the plan "
          f"{took['plan'] / took['classes']:.1f} times the classes")  # fmt: skip


def main():
    """Print one line for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    rows = parser.parse_args().rows
    deny_list(rows)
    quasi_identifiers(5 * rows)


if __name__ == "__main__":
    main()
