"""Make the sample loans: `python data_samples/make.py [FOLDER]`.

Seeded and whole: it writes the two CSV files, the reference, the drifted night and the truth,
byte for byte the same each time (same numpy and pyarrow). The faults come from the planters
that the tests use, `tests/faults.py` and `tests/faulty_cells.py`.
"""

import csv
import io
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import faults  # noqa: E402
import faulty_cells  # noqa: E402
import honest  # noqa: E402

ROWS = {"loans": 20_000, "clean": 12_000, "reference": 8_000, "night": 5_000}
RAGGED, NOT_UTF8 = 8, 5


def main(folder: Path) -> None:
    """Write all files into a folder."""
    reference = honest.draw(ROWS["reference"], 11, first_key=100_000, first_day="2025-09-01").table
    clean = honest.draw(ROWS["clean"], 12, first_key=200_000, first_day="2025-11-03").table
    night = honest.draw(
        ROWS["night"], 14, first_key=400_000, first_day="2026-06-01", drifts=True
    ).table
    _parquet(reference, folder / "reference.parquet")
    _parquet(night, folder / "night_drift.parquet")
    (folder / "loans_clean.csv").write_bytes(
        b"\n".join(lines_of(faulty_cells.as_text(clean))) + b"\n"
    )
    table, truth = spoil(honest.draw(ROWS["loans"], 13), seed=5)
    lines, broken = _tear(lines_of(table), truth, seed=6)
    (folder / "loans.csv").write_bytes(b"\n".join(lines))
    _parquet(_truth_table(truth | broken), folder / "truth.parquet")


def spoil(drawn: honest.Draw, seed: int) -> tuple[pa.Table, dict[int, tuple[str, str]]]:
    """Plant every kind of fault; returns the table as text and row -> (kind, detail)."""
    table, risk = drawn
    plot = faults.Plot.of(table)
    plot.free = plot.free[:-1]  # the last row is kept for the torn end of the file
    table, truth = faulty_cells.plant_all(table, risk, seed, plot=plot)
    return leak(table, seed), truth


def leak(table: pa.Table, seed: int) -> pa.Table:
    """Let `queue_code` tell the label, as the code of a queue that collects debts would."""
    is_yes = np.asarray(table["defaulted"].to_pylist()) == "yes"
    other = np.random.default_rng(seed).choice(["C2", "C3"], table.num_rows, p=[0.53, 0.47])
    codes = np.where(is_yes, "C1", other)
    return faults.overwrite(table, "queue_code", np.arange(table.num_rows), codes)


def lines_of(table: pa.Table) -> list[bytes]:
    """Return the CSV lines of a table of text, header first, without line ends."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return buffer.getvalue().encode().splitlines()


def _tear(
    lines: list[bytes], truth: dict[int, tuple[str, str]], seed: int
) -> tuple[list[bytes], dict[int, tuple[str, str]]]:
    # what goes wrong in files, not in cells: line i + 1 is row i, after the header
    rng = np.random.default_rng(seed)
    last = len(lines) - 2
    # no quoted line: cut inside its quotes it would swallow those after it
    free = np.array([r for r in range(last) if r not in truth and b'"' not in lines[r + 1]])
    rows = rng.choice(free, RAGGED + NOT_UTF8, replace=False).tolist()
    torn = {}
    for i, row in enumerate(rows[:RAGGED]):
        is_long = i % 2 == 0
        lines[row + 1] = (
            lines[row + 1] + b",extra" if is_long else lines[row + 1].rsplit(b",", 3)[0]
        )
        torn[row] = ("broken_value", "too many fields" if is_long else "too few fields")
    for row in rows[RAGGED:]:
        lines[row + 1] = lines[row + 1].replace(b" ", b" \xe9\xff ", 1)
        torn[row] = ("broken_value", "not UTF-8")
    lines[-1] = lines[-1][:31]
    torn[last] = ("broken_value", "last line cut")
    return lines, torn


def _truth_table(truth: dict[int, tuple[str, str]]) -> pa.Table:
    rows = sorted(truth)
    return pa.table(
        {
            "row": pa.array(rows, pa.int64()),
            "kind": pa.array([truth[row][0] for row in rows]),
            "detail": pa.array([truth[row][1] for row in rows]),
        }
    )


def _parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", compression_level=12, write_page_checksum=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
