"""What became of each row in a run of Assay, and how that compares with what was planted."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

ASSAY = Path(sys.executable).parent / "assay"
CHECKED = (0, 1)  # pass, or the data failed: either way everything was looked at


def run_command(contract: Path, source: Path, store: Path, *, flow: bool = False) -> list[str]:
    """Return the command that examines a source."""
    words = [str(ASSAY), "run", str(contract), "--source", str(source), "--store", str(store)]
    return [*words, "--json", "--flow" if flow else "--direct"]


def run(contract: Path, source: Path, store: Path) -> dict[str, Any]:
    """Examine a source in a child process and return the JSON that Assay prints."""
    command = run_command(contract, source, store)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in CHECKED:
        sys.exit(f"assay run left with {done.returncode}\n{done.stderr}\n{done.stdout}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def held(run_folder: Path) -> dict[str, set[int]]:
    """Return the rows not in the clean dataset, by the check that holds them.

    A row that several checks hold is in each one's set; a rejected row is in `ingest`'s.
    """
    by_check: dict[str, set[int]] = {}
    quarantine = _read(run_folder / "quarantine", ["_row", "_reasons"])
    for row, reasons in zip(
        *(quarantine[n].to_pylist() for n in ("_row", "_reasons")), strict=True
    ):
        for reason in reasons:
            if reason["severity"] == "error":
                by_check.setdefault(reason["check"], set()).add(row)
    rejected = set(_read(run_folder / "rejected", ["_row"])["_row"].to_pylist())
    if rejected:
        by_check["ingest"] = by_check.get("ingest", set()) | rejected
    return by_check


def found(run_folder: Path) -> set[int]:
    """Return the rows that any finding of severity error or warning speaks of."""
    table = _read(run_folder / "findings", ["row", "severity"]).drop_null()
    mask = np.isin(table["severity"].to_pylist(), ["error", "warning"])
    return set(table["row"].to_numpy()[mask].tolist()) if table.num_rows else set()


def truth(path: Path) -> dict[tuple[str, str], set[int]]:
    """Return the planted rows by (kind, detail)."""
    planted: dict[tuple[str, str], set[int]] = {}
    for line in pq.read_table(path).to_pylist():
        planted.setdefault((line["kind"], line["detail"]), set()).add(line["row"])
    return planted


def kinds(planted: dict[tuple[str, str], set[int]]) -> dict[str, set[int]]:
    """Return the planted rows by kind."""
    merged: dict[str, set[int]] = {}
    for (kind, _), rows in planted.items():
        merged.setdefault(kind, set()).update(rows)
    return dict(sorted(merged.items()))


def recall(caught: set[int], planted: set[int]) -> float:
    """Return the share of planted rows that are caught."""
    return len(caught & planted) / len(planted)


def union(sets: Sequence[set[int]] | Any) -> set[int]:
    """Return all members of all sets."""
    return set().union(*sets)


def _read(folder: Path, columns: list[str]) -> pa.Table:
    if not any(folder.glob("*.parquet")):
        return pa.table({name: pa.nulls(0) for name in columns})
    return ds.dataset(folder, format="parquet").to_table(columns=columns)
