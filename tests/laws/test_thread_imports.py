"""Threads that work side by side import nothing: two that do may see half-initialised modules."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WATCHED = """
import importlib.abc, json, pathlib, sys, threading

imported = []

class Recorder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread().name.startswith("ThreadPoolExecutor"):
            imported.append(name)

sys.meta_path.insert(0, Recorder())

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from checks.kit import cross_fit
from provenance.readers import ingest

draw, rows = np.random.default_rng(0), 200
words = [" ".join(draw.choice(["red", "blue", "hat", "cat"], 6)) for _ in range(rows)]
columns = {"x": draw.normal(size=rows), "s": draw.choice(["a", "b", "c"], rows), "w": words}
table, how = pa.table(columns), {"x": "number", "s": "category", "w": "text"}
folds = draw.integers(0, 1000, rows).astype(np.uint32)
for classes, given in ((2, draw.integers(0, 2, rows)), (0, draw.normal(size=rows)),
                       (2, np.r_[np.zeros(rows - 1, int), 1])):
    cross_fit.fit(table, how, given, folds, classes=classes)

folder = pathlib.Path(sys.argv[1])
pq.write_table(table, folder / "a.parquet")
pyarrow.csv.write_csv(table, folder / "a.csv")
lines = [json.dumps(row) for row in table.to_pylist()]
(folder / "a.jsonl").write_text("\\n".join(lines))
for form in ("parquet", "csv", "jsonl"):
    out = folder / form
    ingest.ingest([str(folder / f"a.{form}")], None, out, limits=ingest.Limits())
print(json.dumps(imported))
"""


def test_nothing_is_imported_in_a_pool_of_threads(tmp_path):
    words = [
        sys.executable,
        "-P",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{WATCHED}",
    ]
    done = subprocess.run([*words, str(tmp_path)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
