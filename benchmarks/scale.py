"""How time and memory grow with rows: `python benchmarks/scale.py [--rows 1000000 20000000]`.

A Parquet file of 20 columns (eleven numbers, five categories, a short text, a date, a key and a
label) is made by pieces, some 150 bytes a row, in a temporary folder. `assay run --direct` holds it
against a contract, a reference of 100,000 rows, and the checks that are named: drift, duplicates
and personal data, or `--checks all`. Prints for each size the seconds and the CPU seconds for a
million rows, imports and writing included, the peak memory of all its processes together, and the
seconds of each stage and check; then the time per row of the largest beside the smallest. CPU time
is what others on the machine distort least. Seconds of a check are summed over its shards.
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import compare  # noqa: E402
import outcome  # noqa: E402

from checks.kit import registry  # noqa: E402

PIECE = 250_000  # rows in memory at once, and of a row group
REFERENCE = 100_000
GATES = ("drift", "duplicates", "pii")
BRANCHES = ("north", "south", "east", "west")
WORDS = pa.array(["roof", "car", "school", "boat", "kitchen", "garden", "dentist", "move"])
ROLES = {"applied": "time", "branch": "source", "note": "text", "label": "label"}
TYPES = {pa.string(): "string", pa.int64(): "integer", pa.float64(): "number", pa.date32(): "date"}
_KNOWN = f"mustBe: 0, arguments: {{validValues: [{', '.join(BRANCHES)}]}}"
RULES = {
    "id": ("primaryKey: true", "required: true", "logicalTypeOptions: {pattern: '^L-[0-9]{8}$'}"),
    "age": ("required: true", "logicalTypeOptions: {minimum: 18, maximum: 79}"),
    "income": ("logicalTypeOptions: {minimum: 0}",),
    "note": ("logicalTypeOptions: {maxLength: 70}",),
    "branch": (
        "required: true",
        f"quality: [{{id: branches, type: library, metric: invalidValues, {_KNOWN}}}]",
    ),
}


def piece(rows: int, first: int, seed: int) -> pa.Table:
    """Return honest rows from ordinal `first`: what depends on what is as in loans, else noise."""
    rng = np.random.default_rng([seed, first])
    income, late = rng.lognormal(10, 0.5, rows).round(2), rng.poisson(0.7, rows)
    age = rng.integers(18, 80, rows)
    worked = np.maximum(0, age - 18) * rng.beta(3, 2, rows)
    odds = 1.2 * late - income / 20_000 + 0.02 * worked + rng.logistic(0, 0.5, rows)
    words = [WORDS.take(pa.array(rng.integers(0, len(WORDS), rows))) for _ in range(8)]
    days = np.datetime64("2026-01-01") + rng.integers(0, 90, rows)
    noise = {f"n{i}": rng.normal(10 * i, 1 + i, rows) for i in range(6)}
    levels = {f"c{i}": _named("v", rng.zipf(2.0, rows).clip(1, 8 * i)) for i in (1, 2, 5)}
    number = pc.utf8_lpad(pa.array(np.arange(first, first + rows)).cast(pa.string()), 8, "0")
    made = {
        "id": pc.binary_join_element_wise("L", number, "-"),  # as wide at any size
        "applied": pa.array(days.astype("datetime64[D]"), pa.date32()),
        "branch": pa.array(BRANCHES).take(pa.array(rng.integers(0, len(BRANCHES), rows))),
        "region": _named("r", rng.integers(0, 12, rows)),
        "income": income,
        "late": late,
        "age": age,
        "worked": worked,
        "amount": income * rng.lognormal(-0.7, 0.6, rows),
        **noise,
        **levels,
        "note": pc.binary_join_element_wise(*words, " "),
        "label": np.where(odds > 0.5, "yes", "no"),
    }
    return pa.table(made)


def _named(letter: str, numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(letter, pa.array(numbers).cast(pa.string()), "")


def write(path: Path, rows: int, seed: int) -> None:
    """Write so many rows, a piece at a time."""
    schema = piece(1, 0, seed).schema
    with pq.ParquetWriter(path, schema, write_page_checksum=True) as writer:
        for first in range(0, rows, PIECE):
            writer.write_table(piece(min(PIECE, rows - first), first, seed))


def contract(folder: Path, checks: list[str]) -> Path:
    """Write the contract, and the reference that it names; return its path."""
    write(folder / "reference.parquet", REFERENCE, 2)
    off = [] if checks == ["all"] else sorted({*registry.load()} - {*checks})
    lines = ["apiVersion: v3.1.0", "kind: DataContract", "id: scale", "name: scale"]
    lines += ["version: 1.0.0", "status: active", "customProperties:"]
    lines += ["  - {property: assay.reference, value: reference.parquet}"]
    lines += [f"  - {{property: assay.checks, value: {{{', '.join(f'{n}: off' for n in off)}}}}}"]
    lines += ["schema:", "  - name: scale", "    properties:"]
    for field in piece(1, 0, 1).schema:
        lines += [f"      - name: {field.name}", f"        logicalType: {TYPES[field.type]}"]
        lines += [f"        {line}" for line in RULES.get(field.name, ())]
        if role := ROLES.get(field.name):
            lines += [f"        customProperties: [{{property: assay.role, value: {role}}}]"]
    path = folder / "contract.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def measure(rows: int, promised: Path) -> dict[str, float]:
    """Run Assay on so many rows and print its figures; what it made is gone afterwards."""
    source, store = promised.parent / f"rows_{rows}.parquet", promised.parent / f"store_{rows}"
    write(source, rows, 1)
    size, load, before = source.stat().st_size, os.getloadavg()[0], _cpu()
    seconds, peak, told = compare.watched(outcome.run_command(promised, source, store))
    cpu, millions, shares = _cpu() - before, rows / 1e6, told["rows"]
    source.unlink()
    shutil.rmtree(store)
    took = {item["check"]: item["seconds"] for item in told["checks"]} | told["timings"]
    print(
        f"{rows:,} rows x {len(piece(1, 0, 1).schema)} columns, {size / 1e9:.2f} GB, load "
        f"{load:.1f} before, {os.cpu_count()} cores: {told['verdict']}, {seconds:.1f} s, a million "
        f"rows in {seconds / millions:.1f} s and {cpu / millions:.1f} s of CPU, peak {peak:,.0f} "
        f"MB, quarantine {shares['quarantine'] / shares['source']:.3%}\n  "
        + ", ".join(f"{name} {value / millions:.2f}" for name, value in sorted(took.items())),
        flush=True,
    )
    return {"rows": rows, "all": seconds, "CPU": cpu} | took


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure each size, then the time per row of the largest against the smallest."""
    parser = argparse.ArgumentParser(description="Time and memory as rows grow.")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 20_000_000])
    parser.add_argument("--checks", nargs="+", default=list(GATES), help="names, or all")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-scale-") as scratch:
        promised = contract(Path(scratch), given.checks)
        seen = [measure(rows, promised) for rows in sorted(given.rows)]
    small, large = seen[0], seen[-1]
    for name in [key for key in large if key != "rows"]:
        if small.get(name) and len(seen) > 1:
            ratio = (large[name] / large["rows"]) / (small[name] / small["rows"])
            print(f"time per row, {large['rows']:,} : {small['rows']:,}, {name}: {ratio:.2f}")


if __name__ == "__main__":
    main()
