"""What Prefect costs a run: CPU and wall seconds of `assay run` on 344 rows, one way after another.

`python benchmarks/prefect_overhead.py [--rounds N]` prints medians for docs/adr/0009. The ways take
turns, so that a busy machine affects them alike. Processor time includes all children.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = 344  # as many as the table of penguins that many examples use
SPECIES = {"Adelie": (38.8, 190, 3700), "Gentoo": (47.5, 217, 5080), "Chinstrap": (48.8, 196, 3730)}
ISLANDS = ("Biscoe", "Dream", "Torgersen")
# way: (its options, whether Prefect's database is made anew)
WAYS = {
    "direct": (["--direct"], False),
    "no option": ([], False),
    "flow, first ever": (["--flow"], True),
    "flow": (["--flow"], False),
}


def table(path):
    chance = random.Random(7)  # noqa: S311  not for secrets
    lines = ["species,island,bill_length_mm,flipper_length_mm,body_mass_g,sex"]
    for _ in range(ROWS):
        name = chance.choice(list(SPECIES))
        bill, flipper, mass = SPECIES[name]
        lines.append(
            f"{name},{chance.choice(ISLANDS)},{chance.gauss(bill, 2.5):.1f},"
            f"{chance.gauss(flipper, 6):.0f},{chance.gauss(mass, 350):.0f},"
            f"{chance.choice(['female', 'male'])}"
        )
    path.write_text("\n".join(lines) + "\n")


def took(command, folder, environment):
    """Return CPU seconds (user, system) of a command with its children, and its wall seconds."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command} ended with {process.returncode}")
    return used.ru_utime, used.ru_stime, time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--assay", default=str(Path(sys.executable).parent / "assay"))
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=["direct", "flow, first ever", "flow"]
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        kept = {name: v for name, v in os.environ.items() if not name.startswith("PREFECT_")}
        for name in ("CONFIG", "STATE", "CACHE"):
            kept[f"XDG_{name}_HOME"] = str(Path(work) / name.lower())
        table(Path(work) / "penguins.csv")
        words = [given.assay, "init", "penguins.csv", "--label", "species", "-o", "c.yaml"]
        took(words, work, kept)
        run = [given.assay, "run", "c.yaml", "--source", "penguins.csv", "--store", "store"]
        ways = {name: WAYS[name] for name in given.ways}
        rounds = {name: [] for name in ways}
        for number in range(-1, given.rounds):  # the first round makes byte code and the database
            for name, (options, is_new) in ways.items():
                cache = {"XDG_CACHE_HOME": f"{work}/new{number}"} if is_new else {}
                used = took([*run, *options], work, kept | cache)
                rounds[name] += [used] if number >= 0 else []
    print("| way | user s | system s | wall s |")
    print("|---|---|---|---|")
    for name, each in rounds.items():
        middle = [f"{statistics.median(column):.1f}" for column in zip(*each, strict=True)]
        print(f"| {name} | {' | '.join(middle)} |")


if __name__ == "__main__":
    main()
