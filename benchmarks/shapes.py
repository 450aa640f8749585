"""Tables of every shape through `assay init` and `assay run`: `python benchmarks/shapes.py`.

Each shape (types, roles, sizes, missing values, names; see tests/shaped_tables.py) runs in a forked
child of one warm process. No check may crash, no row may get lost, no clean value may change, and
what is refused must have a code that fits the shape. Prints counts and, for each failure, the seed
that repeats it (`--seed 17 --count 1`); leaves with 1 if there was any.
"""

import argparse
import collections
import concurrent.futures
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent)]

import crash  # noqa: E402

SECONDS = 600.0  # after which a shape hangs


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000, help="shapes")
    parser.add_argument("--seed", type=int, default=0, help="of the first shape")
    parser.add_argument("--jobs", type=int, default=2, help="shapes at a time")
    given = parser.parse_args()
    began = time.monotonic()
    seeds = range(given.seed, given.seed + given.count)
    failed, ends = [], collections.Counter()
    with tempfile.TemporaryDirectory() as folder, crash.Warm(f"{folder}/said") as warm:
        examined = lambda seed: examine(warm, seed, Path(folder))  # noqa: E731
        with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
            for result in pool.map(examined, seeds):
                ends[
                    result["refusal"] or {0: "pass", 1: "fail"}.get(result["exit"], "unchecked")
                ] += 1
                if not sum(ends.values()) % 100:
                    print(f"{sum(ends.values())} shapes, {len(failed)} broke the law",
                          file=sys.stderr, flush=True)  # fmt: skip
                if result["problems"]:
                    failed.append(result)
                    tell(result)
    counts = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    print(f"{given.count} shapes: {counts}; {len(failed)} broke the law; "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return 1 if failed else 0


def examine(warm, seed, folder, patch=None):
    """Return the result of one shape, as `shape_runs.Result` is printed; see `Warm.start`."""
    place = folder / f"shape-{seed}"
    env = {
        "ASSAY_STORE": str(place / "store"),
        **{f"XDG_{name}_HOME": str(folder / "home" / name.lower())
           for name in ("CONFIG", "STATE", "CACHE")},
        "PREFECT_API_URL": None,
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    (folder / "home").mkdir(exist_ok=True)
    call = "shape_runs:command"
    started = warm.start(str(seed), str(place), env=env, cwd=folder, call=call, patch=patch)
    try:
        done = started.wait(SECONDS)
    except TimeoutError as error:
        return {"seed": seed, "about": "", "exit": 3, "refusal": "", "problems": [str(error)]}
    if done.code or not done.lines:
        problems = [f"the command ended with {done.code}: {done.errors[-1500:]}"]
        return {"seed": seed, "about": "", "exit": 3, "refusal": "", "problems": problems}
    result = done.told
    if result["problems"] and done.errors:
        result["problems"].append(done.errors[-3000:])
    return result


def tell(result):
    print(f"seed {result['seed']}: {result['about']}")
    for problem in result["problems"]:
        print("  " + problem.replace("\n", "\n    "), flush=True)


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores", file=sys.stderr)
    sys.exit(main())
