"""`assay diff` of two runs of a million rows beside a plain DuckDB full join of the same rows.

`python benchmarks/diff.py [--rows N] [--times N] [--no-key]` reads, sorts and commits two nights
(their judgement is left out: there are no findings), with 1,000 rows that went, 1,000 that came
and 500 that changed, and times both in turn in this process: medians, and their ratio. The join
finds key and row id of each run in one file, in row groups of DuckDB's size, and counts only.
Exits 1 if a count is not exact.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import runs

from pipelines.diff import compare
from pipelines.store.store import Store

WENT, CAME, CHANGED = 1_000, 1_000, 500
GROUP = 122_880  # rows that DuckDB gives to one thread
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: nights
schema:
  - name: nights
    properties:
      - {name: id, logicalType: string, KEY}
      - {name: size, logicalType: number}
      - {name: count, logicalType: integer}
      - {name: place, logicalType: string}
"""
JOIN = """
SELECT count(*) FILTER (b.id IS NULL), count(*) FILTER (a.id IS NULL),
    count(*) FILTER (a.row_id <> b.row_id)
FROM read_parquet(?) a FULL JOIN read_parquet(?) b ON a.id = b.id
"""


def nights(rows, seed):
    rng = np.random.default_rng(seed)
    size = rng.normal(10, 3, rows + CAME)
    table = pa.table({
        "id": [f"K-{n:09d}" for n in range(rows + CAME)],
        "size": size,
        "count": rng.integers(0, 1_000, rows + CAME),
        "place": rng.choice(["north", "south", "east", "west"], rows + CAME),
    })  # fmt: skip
    first = table.slice(0, rows)
    order = rng.permutation(np.arange(WENT, rows + CAME))
    later = table.set_column(1, "size", pa.array(np.where(moved(rng, rows), size + 1, size)))
    return first, later.take(pa.array(order))


def moved(rng, rows):
    chosen = np.zeros(rows + CAME, bool)
    chosen[rng.choice(np.arange(WENT, rows), CHANGED, replace=False)] = True
    return chosen


def prepared(folder, name):
    """Write key and digest of a run's rows into one file, as the join wants to have them."""
    made = []
    for part in sorted((folder / "lineage").iterdir()):
        lineage = pq.read_table(part)
        keys = pq.read_table(folder / lineage["file"][0].as_py(), columns=["id"])
        made.append(keys.append_column("row_id", lineage["row_id"]))
    pq.write_table(pa.concat_tables(made), name, compression="zstd", row_group_size=GROUP)


def joined(a, b):
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("SET enable_progress_bar = false")
    found = connection.execute(JOIN, [a, b]).fetchone()
    connection.close()
    return found


def timed(call):
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--no-key", action="store_true", help="pair by content alone")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        os.environ["XDG_CONFIG_HOME"] = work
        folder, store = Path(work), Store(Path(work) / "store")
        contract = folder / "contract.yaml"
        contract.write_text(CONTRACT.replace(", KEY", "" if given.no_key else ", primaryKey: true"))
        plain = []
        for number, table in enumerate(nights(given.rows, 0), 1):
            pq.write_table(table, folder / f"night{number}.parquet")
            entry = runs.committed(store, contract, folder / f"night{number}.parquet")
            plain.append(str(folder / f"plain{number}.parquet"))
            prepared(store.run_folder(entry.seq), plain[-1])
        took = {"diff": [], "join": []}
        for _ in range(given.times):
            seconds, counted = timed(lambda: joined(*plain))
            took["join"].append(seconds)
            seconds, facts = timed(lambda: compare.compare(store, "1", "2", 100))
            took["diff"].append(seconds)
    return told(took, counted, facts["counts"], given)


def told(took, joined_counts, counts, given):
    half = {name: statistics.median(seconds) for name, seconds in took.items()}
    found = tuple(counts[name] for name in ("went", "came", "changed"))
    wanted = (WENT, CAME, CHANGED)
    if given.no_key:
        wanted = (WENT + CHANGED, CAME + CHANGED, 0)
    print(f"{given.rows:,} rows a run, median of {given.times}; went, came, changed: {found}")
    ratio = half["diff"] / half["join"]
    print(f"DuckDB full join on (key, digest)  {half['join']:.2f} s")
    print(f"assay diff                         {half['diff']:.2f} s, {ratio:.2f} times")
    is_exact = found == wanted and joined_counts == (WENT, CAME, CHANGED)
    return 0 if is_exact else 1


if __name__ == "__main__":
    sys.exit(main())
