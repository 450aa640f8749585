"""What is left when Assay dies or its disk fills: `python benchmarks/crashes.py [--times 200]`.

Kills each command that writes at every one of its write points and fills its disk there, then
kills real runs at random times, and looks at the store after each: `assay verify`, the next
command, what was acknowledged, what is left over. Prints a table; leaves with 1 if anything was
wrong. --mode and --only choose a part.
"""

import argparse
import collections
import random
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent)]

import crash  # noqa: E402
import crash_scenes as scenes  # noqa: E402
from write_points import MODES  # noqa: E402

ROW = "{:<20} {:<44} {:>6} {:>7} {:>8} {:>10} {:>6}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--times", type=int, default=200, help="kills at random times")
    parser.add_argument("--mode", action="append", choices=MODES, help="default: all")
    parser.add_argument("--only", action="append", choices=scenes.OPERATIONS, help="default: all")
    given = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory() as folder, crash.Warm(f"{folder}/said") as warm:
        home = scenes.Home(warm, f"{folder}/home")
        print(ROW.format("command", "fault", "times", "killed", "refused", "committed", "wrong"))
        for name in given.only or scenes.OPERATIONS:
            wrong += everywhere(home, name, given.mode or MODES)
        wrong += sometimes(home, given.times)
    return 1 if wrong else 0


def everywhere(home, name, modes):
    points = home.own_points(name)
    commit = scenes.commit_of(points)
    found = []
    for mode in modes:
        # what is killed after one call is killed before the next
        among = commit if mode == "after" else points
        chosen = [point for point in among if mode in point.modes()]
        seen = [
            scenes.attempt(home, name, point, mode, turn=turn) for turn, point in enumerate(chosen)
        ]
        found += tell(name, MODES[mode], seen)
    return found


def sometimes(home, times):
    draw = random.Random(8)  # noqa: S311
    seen = [scenes.at_random(home, "run", draw, turn=turn) for turn in range(times)]
    return tell("run", "killed at a random time", seen)


def tell(name, fault, seen):
    ended = collections.Counter(item.ended for item in seen)
    wrong = [item for item in seen if item.problems]
    if seen:
        counts = [ended[word] for word in ("killed", "refused", "committed")]
        print(ROW.format(name, fault, len(seen), *counts, len(wrong)), flush=True)
    for item in wrong:
        print(f"  {item.mode} {item.point}: {item.ended}, stands: {item.stands}")
        for problem in item.problems:
            print(f"    {problem[:1000]}", flush=True)
    return wrong


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"\n{time.monotonic() - began:.0f} s")
    sys.exit(code)
