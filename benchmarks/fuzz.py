"""Fuzz what reads untrusted bytes: `make fuzz SECONDS=60 TARGET=csv SEED=1`.

Each target of `tests/fuzzing` gets a share of the seconds, in turn, in child processes that may
die. A case that fails is kept in `fuzz-failures/` with what came of it; `--replay FILE` runs it
again. Exits with 1 if one did. The same seed gives the same cases on the same machine, as long as
time does not cut them.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzzing import contracts, ledgers, proofs, readers  # noqa: E402
from fuzzing.harness import MIB, Bounds, Fuzzing  # noqa: E402
from fuzzing.target import Target  # noqa: E402

TURN = 60.0  # seconds that a target of share 1 gets at most before the next one's turn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--target", help="one of the targets instead of all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, help="of each target at most")
    parser.add_argument("--failures", type=Path, default=ROOT / "fuzz-failures")
    parser.add_argument("--replay", type=Path, help="run one case that failed; needs --target")
    given = parser.parse_args()
    known = {target.name: target for target in all_targets()}
    if given.target and given.target not in known:
        parser.error(f"the targets are {', '.join(known)}")
    chosen = [known[given.target]] if given.target else list(known.values())
    with tempfile.TemporaryDirectory(prefix="assay-fuzz-") as scratch:
        made = [
            Fuzzing(target, Path(scratch) / target.name, given.failures, given.seed)
            for target in chosen
        ]
        if given.replay:
            what = made[0].replay(given.replay.read_bytes(), Bounds())
            print(what or "nothing is wrong with it")
            return 1 if what else 0
        in_turns(made, given.seconds, given.cases)
    table(made)
    return 1 if any(fuzzing.tally.failures for fuzzing in made) else 0


def all_targets() -> list[Target]:
    every = (readers, contracts, ledgers, proofs)
    return [target for module in every for target in module.targets()]


def in_turns(made: list[Fuzzing], seconds: float, most: int | None) -> None:
    whole = sum(fuzzing.target.share for fuzzing in made)
    turns = 1 if most else max(1, round(seconds / (TURN * whole)))
    for turn in range(turns):
        for fuzzing in made:
            fuzzing.go(seconds * fuzzing.target.share / whole / turns, Bounds(), most)
        total = sum(fuzzing.tally.cases for fuzzing in made)
        failed = sum(sum(fuzzing.tally.failures.values()) for fuzzing in made)
        print(f"turn {turn + 1} of {turns}: {total:,} cases, {failed} failed", flush=True)


def table(made: list[Fuzzing]) -> None:
    print(f"\n{'target':12}{'cases':>10}{'refused':>10}{'outcomes':>10}{'slowest s':>11}{'MB':>6}"
          f"{'failed':>8}{'seconds':>9}")  # fmt: skip
    for fuzzing in made:
        tally = fuzzing.tally
        print(f"{fuzzing.target.name:12}{tally.cases:>10,}{tally.refused:>10,}"
              f"{len(tally.outcomes):>10,}{tally.slowest:>11.2f}{tally.largest // MIB:>6}"
              f"{sum(tally.failures.values()):>8}{tally.seconds:>9.0f}")  # fmt: skip
        if tally.contained:
            told = "of them ended the library that decodes; the child of a run refused each: I005"
            print(f"{'':12}{tally.contained:,} {told}")
    print(f"{'all':12}{sum(fuzzing.tally.cases for fuzzing in made):>10,}")
    for fuzzing in made:
        for what, count in fuzzing.tally.failures.most_common():
            print(f"failed {count} times: {fuzzing.target.name}: {what}")


if __name__ == "__main__":
    sys.exit(main())
