"""How CPU time grows with columns: `python benchmarks/columns.py [--columns 250 500 1000 2000]`.

A CSV of `--rows` rows (1,000) is made for each width, half of its columns numbers with decimals, a
quarter whole numbers and a quarter categories, and a label that a fiftieth of them tell of. `assay
init` writes the contract and `assay run --direct` examines the same file. Prints the CPU seconds of
both, the seconds of each check, and the ratio to the width before. `--columns 7 --rows 344` is a
table of the size of a tutorial's. CPU time is what others on the machine distort least.
"""

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

COMMAND = [sys.executable, "-P", "-m", "pipelines.cli"]


def table(columns: int, rows: int, seed: int) -> pa.Table:
    """Return so many columns, the last of which is the label."""
    rng = np.random.default_rng([seed, columns])
    label = rng.integers(0, 2, rows)
    made: dict[str, pa.Array] = {}
    for number in range(columns - 1):
        if number % 4 == 3:
            codes = rng.integers(0, 2 + number % 9, rows)
            made[f"c{number}"] = pa.array(np.char.add("v", codes.astype(str)))
        elif number % 4 == 2:
            made[f"i{number}"] = pa.array(rng.integers(0, 100, rows))
        else:
            tells = 0.8 * label if number % 50 == 0 else 0
            drawn = rng.normal(number % 7, 1 + number % 3, rows)
            made[f"n{number}"] = pa.array((drawn + tells).round(4))
    made["label"] = pa.array(np.where(label == 1, "yes", "no"))
    return pa.table(made)


def cpu_of(arguments: list[str]) -> tuple[float, str]:
    """Run a command of Assay; return the CPU seconds of all its processes, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(COMMAND + arguments, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode > 1:
        sys.exit(done.stderr)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, done.stdout


def measure(folder: Path, columns: int, rows: int, how: list[str]) -> dict[str, float]:
    """Return the CPU seconds of `init` and `run` on a table, and print each check's seconds."""
    source, contract = folder / f"{columns}.csv", folder / f"{columns}.yaml"
    pc.write_csv(table(columns, rows, 1), source)
    proposing, _ = cpu_of(["init", str(source), "--label", "label", "-o", str(contract)])
    store = ["--store", str(folder / f"store{columns}"), "--json", *how]
    running, told = cpu_of(["run", str(contract), "--source", str(source), *store])
    answer = json.loads(told)
    took = {one["check"]: one["seconds"] for one in answer["checks"]}
    longest = sorted(took.items(), key=lambda item: -item[1])[:6]
    print(
        f"{columns:,} columns x {rows:,} rows, load {os.getloadavg()[0]:.1f}: {answer['verdict']}, "
        f"init {proposing:.1f} CPU s, run {running:.1f} CPU s; seconds by check: "
        + ", ".join(f"{name} {seconds:.1f}" for name, seconds in longest),
        flush=True,
    )
    return {"init": proposing, "run": running}


def main() -> None:
    """Measure each width, and the growth from each to the next."""
    parser = argparse.ArgumentParser(description="CPU time as columns grow.")
    parser.add_argument("--columns", type=int, nargs="+", default=[250, 500, 1000, 2000])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--flow", action="store_true", help="as a Prefect flow")
    given = parser.parse_args()
    how = ["--flow" if given.flow else "--direct"]
    with tempfile.TemporaryDirectory(prefix="assay-columns-") as scratch:
        seen = [measure(Path(scratch), n, given.rows, how) for n in sorted(given.columns)]
    for narrow, wide in itertools.pairwise(seen):
        ratios = ", ".join(f"{name} {wide[name] / narrow[name]:.2f}" for name in wide)
        print(f"times the CPU seconds of the width before: {ratios}")


if __name__ == "__main__":
    main()
