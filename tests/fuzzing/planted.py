"""Targets that do what no target may, to show that the harness sees it: `python planted.py FOLDER`.

Prints a JSON object: for each of them the cases that were counted, and its failures by what was
seen. Each does its worst on one of its five seeds.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from fuzzing.harness import MIB, Bounds, Fuzzing  # noqa: E402
from fuzzing.target import Target, require  # noqa: E402

from provenance.base.errors import AssayError  # noqa: E402

BOUNDS = Bounds(cpu=1, wall=60.0, resident=64 * MIB, space=512 * MIB)
IMPATIENT = Bounds(cpu=1, wall=1.0)
KEPT: list[object] = []


def _spin() -> None:
    while True:
        pass


def _overrun() -> None:
    bytearray(100 * MIB)[::4096] = bytes(100 * MIB // 4096)


def _unknown() -> None:
    error = AssayError("I001", "planted")
    error.code = "ASSAY-X999"
    raise error


WORST: dict[str, Callable[[], object]] = {
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "abort": os.abort,
    "spin": _spin,
    "sleep": lambda: time.sleep(3600),
    "overrun": _overrun,
    "no memory": lambda: bytearray(2048 * MIB),
    "exception": lambda: {}["planted"],
    "law": lambda: require(holds=False, what="planted"),
    "unknown code": _unknown,
    "open file": lambda: KEPT.append(Path(__file__).open()),  # noqa: SIM115  # that is the fault
    "thread": lambda: threading.Thread(target=time.sleep, args=(9,), daemon=True).start(),
    "contained": os.abort,
}


def target(name: str) -> Target:
    """Return a target that does its worst on one of its five seeds."""

    def run(case: bytes, _: Path) -> str:
        if case == b"bad":
            WORST[name]()
        raise AssayError("I001", "as it should be")

    def contained(_: bytes, __: Path) -> str:
        return "ASSAY-I005"

    cases = [b"a", b"b", b"bad", b"c", b"d"]
    return Target(name, lambda _: cases, run, contained=contained if name == "contained" else None)


def main() -> None:
    """Run each of them over its seeds."""
    folder = Path(sys.argv[1])
    found = {}
    for name in WORST:
        fuzzing = Fuzzing(target(name), folder / name, folder / "failures", 1)
        fuzzing.go(600, IMPATIENT if name == "sleep" else BOUNDS, most=10)
        tally = fuzzing.tally
        found[name] = [tally.cases, tally.refused, tally.contained, dict(tally.failures)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
