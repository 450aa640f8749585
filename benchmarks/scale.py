"""How time and memory grow with rows: `python benchmarks/scale.py [--rows 100000 1000000]`.

A generated CSV of 20 columns (eleven numbers, five categories, a short text, a date, a key and a
label) goes through `assay run --direct`, imports and writing included. Prints the seconds in all
and of each check, the peak memory of the process tree, the time per row of the largest beside the
smallest, and the load of the machine before each run. Seconds of a check are summed over shards.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import compare  # noqa: E402
import outcome  # noqa: E402

DETECTION = ("duplicates", "labels", "leakage", "outliers", "poison", "sources", "values")
WORDS = np.array(["roof", "car", "school", "boat", "kitchen", "garden", "dentist", "move"])
ROLES = {"applied": "time", "branch": "source", "note": "text", "label": "label"}
TYPES = {pa.string(): "string", pa.int64(): "integer", pa.float64(): "number", pa.date32(): "date"}


def table(rows: int, seed: int) -> pa.Table:
    """Return honest rows: what depends on what is as in loans, the rest is noise."""
    rng = np.random.default_rng(seed)
    income, late = rng.lognormal(10, 0.5, rows).round(2), rng.poisson(0.7, rows)
    age = rng.integers(18, 80, rows)
    worked = (np.maximum(0, age - 18) * rng.beta(3, 2, rows)).round(1)
    odds = 1.2 * late - income / 20_000 + 0.02 * worked + rng.logistic(0, 0.5, rows)
    words = WORDS[rng.integers(0, len(WORDS), (5, rows))]
    note = words[0]
    for word in words[1:]:
        note = np.char.add(np.char.add(note, " "), word)
    days = np.datetime64("2026-01-01") + rng.integers(0, 90, rows)
    noise = {f"n{i}": rng.normal(10 * i, 1 + i, rows).round(3) for i in range(6)}
    levels = {
        f"c{i}": np.char.add("v", rng.zipf(2.0, rows).clip(1, 8 * i).astype(str)) for i in (1, 2, 5)
    }
    made = {
        "id": np.char.add(
            "L-", np.char.zfill(np.arange(rows).astype(str), 7)
        ),  # as wide at any size
        "applied": pa.array(days.astype("datetime64[D]"), pa.date32()),
        "branch": rng.choice(["north", "south", "east", "west"], rows),
        "region": rng.choice([f"r{i}" for i in range(12)], rows),
        "income": income,
        "late": late,
        "age": age,
        "worked": worked,
        "amount": (income * rng.lognormal(-0.7, 0.6, rows)).round(2),
        **noise,
        **levels,
        "note": note,
        "label": np.where(odds > 0.5, "yes", "no"),
    }
    return pa.table(made)


def write(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write the contract and the CSV; return their paths."""
    made = table(rows, 1)
    lines = ["apiVersion: v3.1.0", "kind: DataContract", "id: scale", "name: scale"]
    lines += ["version: 1.0.0", "status: active", "schema:", "  - name: scale", "    properties:"]
    for field in made.schema:
        lines += [f"      - name: {field.name}", f"        logicalType: {TYPES[field.type]}"]
        lines += ["        primaryKey: true"] if field.name == "id" else []
        if role := ROLES.get(field.name):
            lines += ["        customProperties:", "          - property: assay.role"]
            lines += [f"            value: {role}"]
    contract, source = folder / "contract.yaml", folder / f"rows_{rows}.csv"
    contract.write_text("\n".join(lines) + "\n", encoding="utf-8")
    pyarrow.csv.write_csv(made, source)
    return contract, source


def measure(rows: int, folder: Path) -> dict[str, float]:
    """Run Assay on so many rows and print its figures."""
    contract, source = write(folder, rows)
    load = os.getloadavg()[0]
    command = outcome.run_command(contract, source, folder / f"store_{rows}")
    seconds, peak, told = compare.watched(command)
    took = {item["check"]: item["seconds"] for item in told["checks"]}
    detection = sum(took.get(name, 0.0) for name in DETECTION)
    each = ", ".join(f"{name} {value:.1f}" for name, value in sorted(took.items()))
    shares = told["rows"]
    print(
        f"{rows:,} rows x {len(table(1, 1).schema)} columns, load {load:.1f} before, "
        f"{os.cpu_count()} cores: {seconds:.1f} s in all, detection checks {detection:.1f} s, "
        f"peak {peak:,.0f} MB, quarantine {shares['quarantine'] / shares['source']:.3%}\n  {each}",
        flush=True,
    )
    return {"rows": rows, "all": seconds, "detection": detection} | took


def main() -> None:
    """Measure each size, then the time per row of the largest against the smallest."""
    parser = argparse.ArgumentParser(description="Time and memory as rows grow.")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        seen = [measure(rows, Path(scratch)) for rows in sorted(given.rows)]
    small, large = seen[0], seen[-1]
    for name in [key for key in large if key != "rows"]:
        if small.get(name) and len(seen) > 1:
            ratio = (large[name] / large["rows"]) / (small[name] / small["rows"])
            print(f"time per row, {large['rows']:,} : {small['rows']:,}, {name}: {ratio:.2f}")


if __name__ == "__main__":
    main()
