"""Make a benchmark dataset: `python benchmarks/generate.py FOLDER --rows 50000 [--clean]`.

Twenty mixed columns: the sample loans and five more, two of them text. Written to FOLDER:
`data.csv`, `reference.parquet` (trusted rows), `truth.parquet` (what was planted where) and a
`contract.yaml`. Seeded; the planters are those of the tests.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "data_samples"), str(ROOT / "tests")]

import honest  # noqa: E402
import make  # noqa: E402
import notes  # noqa: E402
from faults import Plot  # noqa: E402
from faulty_cells import as_text, plant_all  # noqa: E402

REFERENCE_ROWS = 10_000
CHANNELS = ["web", "branch", "phone", "partner"]
MORE_COLUMNS = """\
      - name: channel
        logicalType: string
        required: true
        quality:
          - id: known_channels
            type: library
            metric: invalidValues
            arguments:
              validValues: [web, branch, phone, partner]
            mustBe: 0
            severity: error
      - name: visits
        logicalType: integer
        required: true
        logicalTypeOptions:
          minimum: 0
          maximum: 1000
      - name: savings
        logicalType: number
        required: true
        logicalTypeOptions:
          minimum: 0
          maximum: 100000000
      - name: bureau_score
        logicalType: number
        required: true
        logicalTypeOptions:
          minimum: 0
          maximum: 1000
      - name: remark
        logicalType: string
        logicalTypeOptions:
          minLength: 3
          maxLength: 400
        customProperties:
          - property: assay.role
            value: text
"""


def generate(folder: Path, rows: int, seed: int, *, faults: bool = True) -> None:
    """Write the four files of a dataset into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    table, risk = wide(rows, seed)
    truth: dict[int, tuple[str, str]] = {}
    if faults:
        plot = Plot.of(table)
        table, truth = plant_all(table, risk, seed + 1, plot=plot, texts=("note", "remark"))
    lines = make.lines_of(as_text(table))
    (folder / "data.csv").write_bytes(b"\n".join(lines) + b"\n")
    pq.write_table(wide(REFERENCE_ROWS, seed + 2)[0], folder / "reference.parquet")
    where = sorted(truth)
    kinds = {"kind": [truth[r][0] for r in where], "detail": [truth[r][1] for r in where]}
    told = {"row": pa.array(where, pa.int64())}
    told |= {name: pa.array(values, pa.string()) for name, values in kinds.items()}
    pq.write_table(pa.table(told), folder / "truth.parquet")
    contract = (ROOT / "data_samples" / "contract.yaml").read_text(encoding="utf-8")
    contract = contract.replace("path: loans.csv", "path: data.csv")
    (folder / "contract.yaml").write_text(contract + MORE_COLUMNS, encoding="utf-8")


def wide(rows: int, seed: int) -> honest.Draw:
    """Draw honest loans with five more columns, and each row's chance of default."""
    table, risk = honest.draw(rows, seed)
    rng = np.random.default_rng([seed, 99])
    income = table["income"].fill_null(38_000).to_numpy()
    score = 640 - 120 * risk + rng.normal(0, 60, rows)
    purposes = np.array(table["purpose"].to_pylist())
    more = {
        "channel": rng.choice(CHANNELS, rows, p=[0.5, 0.2, 0.2, 0.1]),
        "visits": rng.poisson(3, rows),
        "savings": np.round(income * rng.gamma(0.9, 0.4, rows), 2),
        "bureau_score": np.round(np.clip(score, 250, 900), 1),
        "remark": notes.write(rng, purposes, np.full(rows, 0.2)),
    }
    for name, values in more.items():
        table = table.append_column(name, pa.array(values))
    return honest.Draw(table, risk)


def main() -> None:
    """Read the arguments and generate."""
    parser = argparse.ArgumentParser(description="Make a benchmark dataset.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clean", action="store_true", help="plant nothing")
    given = parser.parse_args()
    generate(given.folder, given.rows, given.seed, faults=not given.clean)


if __name__ == "__main__":
    main()
