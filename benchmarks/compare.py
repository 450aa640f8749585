"""Assay beside the glue script: `python benchmarks/compare.py [--rows 50000 200000] [--times 3]`.

Each program runs as a whole process, imports included, in turn, on the same files; medians of
`--times` runs. Peak memory is the largest sum of proportional set sizes over the program's
processes, sampled four times a second. Ratio: the glue's figure through the program's; above 1 is
better than the glue.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import generate  # noqa: E402
import outcome  # noqa: E402

EVERY = 0.25  # seconds between two looks at memory


def watched(command: list[str]) -> tuple[float, float, dict[str, Any]]:
    """Run a command; return its seconds, its peak in MB, and the JSON it printed."""
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=printed, stderr=said)
        peak = 0
        while child.poll() is None:
            peak = max(peak, kilobytes(child.pid))
            time.sleep(EVERY)
        seconds = time.perf_counter() - start
        printed.seek(0)
        said.seek(0)
        if child.returncode not in outcome.CHECKED:
            sys.exit(f"{command[0]} left with {child.returncode}\n{said.read().decode()}")
        return seconds, peak / 1024, json.loads(printed.read())


def kilobytes(root: int) -> int:
    """Return the memory of a process and its descendants now: their proportional set sizes."""
    return sum(map(_kilobytes, _family(root)))


def _family(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    family = [root]
    for pid in family:  # grows while we walk it
        family += parents.get(pid, [])
    return family


def _kilobytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0  # it ended while we looked
    return next((int(line.split()[1]) for line in text.splitlines() if line[:4] == "Pss:"), 0)


def programs(folder: Path, scratch: Path, number: int) -> dict[str, list[str]]:
    """Return the command of each program for one dataset; each writes to a fresh place."""
    glue = [sys.executable, str(HERE / "glue.py"), str(folder), "--out"]
    contract, data = folder / "contract.yaml", folder / "data.csv"
    stores = [scratch / f"{name}-{number}" for name in ("direct", "flow")]
    return {
        "glue": [*glue, str(scratch / f"glue-{number}")],
        "assay run --direct": outcome.run_command(contract, data, stores[0]),
        "assay run --flow": outcome.run_command(contract, data, stores[1], flow=True),
    }


def quality(told: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return recall by kind and the false alarm rate, for the glue and for Assay alike."""
    if "recall" in told:
        return {"recall": told["recall"], "false_alarm_rate": told["false_alarm_rate"]["all"]}
    caught = outcome.union(outcome.held(Path(told["path"])).values())
    planted = outcome.kinds(outcome.truth(folder / "truth.parquet"))
    every = outcome.union(planted.values())
    alarms = len(caught - every) / (told["rows"]["source"] - len(every))
    recalls = {kind: round(outcome.recall(caught, rows), 3) for kind, rows in planted.items()}
    return {"recall": recalls, "false_alarm_rate": round(alarms, 5)}


def compare(rows: int, times: int, scratch: Path) -> list[dict[str, Any]]:
    """Measure all programs on one generated dataset; one line a program, the glue first."""
    folder = scratch / f"data-{rows}"
    generate.generate(folder, rows, seed=1)
    seen: dict[str, list[tuple[float, float, dict[str, Any]]]] = {}
    for number in range(times):  # in turn, so that a slow minute hits all of them
        for name, command in programs(folder, scratch / str(rows), number).items():
            seen.setdefault(name, []).append(watched(command))
    lines = []
    for name, runs in seen.items():
        seconds, peak = (statistics.median(run[i] for run in runs) for i in (0, 1))
        line = {"rows": rows, "program": name, "seconds": round(seconds, 2), "peak_mb": round(peak)}
        line["steps"] = runs[-1][2].get("seconds") or runs[-1][2].get("timings")
        lines.append(line | quality(runs[-1][2], folder))
    for line in lines:
        line["times_faster"] = round(lines[0]["seconds"] / line["seconds"], 2)
        line["times_smaller"] = round(lines[0]["peak_mb"] / line["peak_mb"], 2)
    return lines


def table(lines: list[dict[str, Any]]) -> str:
    """Return the lines as a Markdown table."""
    kinds = sorted(lines[0]["recall"])
    head = ["rows", "program", "seconds", "ratio", "peak MB", "ratio", *kinds, "false alarms"]
    text = [head, ["---"] * len(head)]
    for line in lines:
        recalls = [f"{line['recall'][kind]:.2f}" for kind in kinds]
        figures = [line["seconds"], line["times_faster"], line["peak_mb"], line["times_smaller"]]
        alarms = f"{line['false_alarm_rate']:.2%}"
        text.append([f"{line['rows']:,}", line["program"], *map(str, figures), *recalls, alarms])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in text)


def main() -> None:
    """Compare at each size and print a table, or with --json every figure."""
    parser = argparse.ArgumentParser(description="Assay beside the glue script.")
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        lines = [ln for rows in given.rows for ln in compare(rows, given.times, Path(scratch))]
    print(json.dumps(lines) if given.json else table(lines))


if __name__ == "__main__":
    main()
