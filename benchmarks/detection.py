"""Figures of the checks that detect: `detection.py labels|outliers|all --seeds N`.

Tables with and without planted faults; real ones are read from the folder named by
ASSAY_BENCH_DATA. Prints one line a case; `all` every goal in one table, see detection_goals.py, and
`all poison runs` some parts of it.
"""

import argparse
import hashlib
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from checks.kit.contract_model import Column, Contract  # noqa: E402
from checks.kit.protocol import Context  # noqa: E402
from provenance.rows.column_types import ColumnSpec  # noqa: E402
from provenance.rows.shards import Shard  # noqa: E402

DATA = Path(os.environ.get("ASSAY_BENCH_DATA", "."))


def shard_of(table, first=0):
    """Number and digest the rows of a table."""
    flat = ["\x1f".join(map(repr, row)) for row in zip(*table.to_pydict().values(), strict=True)]
    digests = [hashlib.sha256(text.encode()).digest() for text in flat]
    packed = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
    return Shard(0, table, np.arange(first, first + table.num_rows), packed)


def context_of(table, label=None, texts=(), **policy):
    """Return a context whose contract has a label and texts, and no more."""
    logical = {pa.int64(): "integer", pa.float64(): "number", pa.bool_(): "boolean"}

    def column(field):
        roles = {"label"} if field.name == label else {"text"} if field.name in texts else set()
        spec = ColumnSpec(field.name, logical.get(field.type, "string"))
        return Column(spec, frozenset(roles))

    contract = Contract("t", "1", "contract.yaml", "0", tuple(column(f) for f in table.schema))
    return Context(contract, table.schema, table.num_rows, **policy)


def judge(kind, table, **how):
    """Run one check on one table; return findings, model and seconds of both halves."""
    check, shard = kind(context_of(table, **how)), shard_of(table)
    start = time.perf_counter()
    model = check.finish(check.fit(shard))
    middle = time.perf_counter()
    found = check.score(shard, model)
    return found, model, (middle - start, time.perf_counter() - middle)


def labels(seeds):
    """Print what benchmarks/labels.py finds where labels are planted."""
    import labels as figures

    figures.planted(seeds)


def outliers(seeds):
    """Print AUROC and AP of the rarity rank beside PyOD's detectors."""
    import detection_held
    import detection_outliers

    detection_outliers.main(DATA, seeds)
    for line in detection_held.measure(seeds):
        print(line, flush=True)


def main():
    """Measure what the command line asks for; exit 1 where a goal is missed."""
    import detection_goals

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["labels", "outliers", "all"])
    parser.add_argument("parts", nargs="*", help="of all: " + ", ".join(detection_goals.PARTS))
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    if (given.what != "all" and given.parts) or set(given.parts) - set(detection_goals.PARTS):
        parser.error(f"parts of `all` are {', '.join(detection_goals.PARTS)}")
    warnings.simplefilter("ignore")
    if given.what == "all":
        sys.exit(detection_goals.main(given.seeds, given.parts))
    {"labels": labels, "outliers": outliers}[given.what](given.seeds)


if __name__ == "__main__":
    main()
