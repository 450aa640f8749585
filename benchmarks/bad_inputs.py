"""Read every bad file and tell what came of it: `benchmarks/bad_inputs.py [--all] [--whole]`.

The files are those of `tests/bad_files`. Each is read by the function that a run's reading child
calls, in a process of its own, forked when everything is imported, with the child's limit on
memory; as `nobody` where root asks. Seconds and megabytes are beyond the imports. Exits with 1 if a
file earns another code than it should.

With `--whole`, a file of each code is also given to whole commands, `assay run --direct` and
`--flow`. Their processor time, children included, is told beside that of starting Python with
pyarrow.parquet and cryptography, which no command that reads a source can do without.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bad_files import reader  # noqa: E402

NOBODY = 65534
ASSAY = str(Path(sys.executable).parent / "assay")
PEER = [sys.executable, "-c", "import pyarrow.parquet, cryptography"]
REFUSED = 3  # the exit code of a command that could not read its source
AT_ONCE = ("pipe", "socket")  # kinds that must be refused before anything is read


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="a line for each file, not each code")
    parser.add_argument("--whole", action="store_true", help="whole commands too, one per code")
    arguments = parser.parse_args()
    cases = reader.all_cases()
    found = read_all()
    wrong = [case for case in cases if not is_right(case, found[case.name])]
    print(f"{'kind':44} {'fate':9} {'wanted':7} {'got':7} {'seconds':>8} {'MB':>6}")
    shown = cases if arguments.all else slowest_of_each(cases, found)
    for case in shown:
        item = found[case.name]
        got = item.error["code"].removeprefix("ASSAY-") if item.error else "read"
        wanted = case.code or "-"
        print(
            f"{case.name[:44]:44} {case.fate:9} {wanted:7} {got:7} "
            f"{item.seconds:8.3f} {item.megabytes:6.0f}"
        )
    refused = [found[case.name] for case in cases if case.fate == "refused"]
    at_once = [
        found[case.name]
        for case in cases
        if case.name in AT_ONCE or case.name.startswith(("/dev", "/proc"))
    ]
    print(f"\n{len(cases)} files, {len(refused)} of them refused; {len(wrong)} with another code")
    print(
        f"slowest refusal {max(i.seconds for i in refused):.2f} s, "
        f"largest {max(i.megabytes for i in refused):.0f} MB; "
        f"slowest of pipes, sockets, devices and procfs {max(i.seconds for i in at_once):.4f} s"
    )
    if arguments.whole:
        tell_whole(cases)
    for case in wrong:
        print(f"wrong: {case.name}: {found[case.name].error} {found[case.name].trace}")
    return 1 if wrong else 0


def tell_whole(cases: list[reader.Bad]) -> None:
    """Print what whole commands cost that refuse the first file of each code."""
    firsts = {case.code: case for case in reversed(cases) if case.fate == "refused"}
    peer = statistics.median(used(PEER, ".")[1] for _ in range(5))
    print(f"\nwhole commands, CPU s; {' '.join(PEER[1:])}: {peer:.2f}")
    with tempfile.TemporaryDirectory(prefix="assay-whole-") as folder:
        for name in ("CONFIG", "STATE", "CACHE"):
            os.environ[f"XDG_{name}_HOME"] = f"{folder}/{name.lower()}"
        os.environ.pop("PREFECT_API_URL", None)
        took: dict[str, list[float]] = {"--direct": [], "--flow": []}
        for number, (code, case) in enumerate(sorted(firsts.items())):
            source, contract, out = reader.prepared(Path(folder), number, case)
            words = [ASSAY, "run", str(contract), "--source", source, "--store", f"{folder}/store"]
            ends = {way: used([*words, way], str(out)) for way in took}
            if any(end == REFUSED for end, _ in ends.values()):
                for way, (_, seconds) in ends.items():
                    took[way].append(seconds)
                shown = "  ".join(f"{way} {seconds:.2f}" for way, (_, seconds) in ends.items())
                print(f"{code}  {shown}  {case.name[:60]}")
    for way, each in took.items():
        middle, most = statistics.median(each), max(each)
        print(f"{way}: median {middle:.2f} ({middle / peer:.1f} x), most {most:.2f}")


def used(words: list[str], folder: str) -> tuple[int, float]:
    """Run a command; return its exit code and its seconds of processor time, children included."""
    with subprocess.Popen(
        words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, spent = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, spent.ru_utime + spent.ru_stime


def read_all() -> dict[str, reader.Found]:
    user = [] if os.geteuid() else [str(NOBODY)]
    with tempfile.TemporaryDirectory(prefix="assay-bad-") as folder:
        Path(folder).chmod(0o755)
        words = [sys.executable, str(Path(reader.__file__)), folder, *user]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    items = [reader.Found(**json.loads(line)) for line in done.stdout.splitlines()]
    return {item.name: item for item in items}


def is_right(case: reader.Bad, item: reader.Found) -> bool:
    """Compare codes of files alone; the tests compare rows and values too."""
    if case.fate == "refused":
        return item.error is not None and item.error["code"] == f"ASSAY-{case.code}"
    return item.error is None


def slowest_of_each(cases: list[reader.Bad], found: dict[str, reader.Found]) -> list[reader.Bad]:
    """Return the slowest case of each code and fate."""
    kept: dict[tuple[str, str], reader.Bad] = {}
    for case in cases:
        key = (case.code, case.fate)
        if key not in kept or found[case.name].seconds > found[kept[key].name].seconds:
            kept[key] = case
    return sorted(kept.values(), key=lambda case: (case.code, case.fate))


if __name__ == "__main__":
    sys.exit(main())
