"""Figures of the label and outlier checks: `detection.py labels SEEDS` or `detection.py outliers`.

Tables with and without planted faults; real ones are read from the folder named by
ASSAY_BENCH_DATA. Prints one line a case.
"""

import hashlib
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from checks.kit.contract import Column, Contract
from checks.kit.protocol import Context
from provenance.casting import ColumnSpec
from provenance.shards import Shard

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


def outliers():
    """Print the AUROC of the rarity rank beside a plain isolation forest, then the means."""
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score

    from checks import outliers as check
    from checks.kit import rarity, scales

    means = []
    for path in sorted((DATA / "outliers").glob("*.npz")):
        with np.load(path) as file:
            values, truth = file["X"].astype(float), file["y"]
        names = [f"c{number}" for number in range(values.shape[1])]
        table = pa.table(dict(zip(names, values.T, strict=True)))
        axes = [scales.fit(n, column) for n, column in zip(names, values.T, strict=True)]
        model = check.OutlierModel(axes=tuple(a for a in axes if a is not None))
        placed = check._scaled(table, model)  # noqa: SLF001  # the very matrix that is ranked
        start = time.perf_counter()
        ours = rarity.fit(placed, 0).score(placed)
        took = time.perf_counter() - start
        plain = -IsolationForest(random_state=0).fit(values).score_samples(values)
        means.append([roc_auc_score(truth, ours), roc_auc_score(truth, plain)])
        print(
            f"{path.stem} {values.shape} {means[-1][0]:.3f} forest {means[-1][1]:.3f} {took:.2f} s"
        )
    print("mean", np.mean(means, axis=0).round(4))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    globals()[sys.argv[1]](*map(int, sys.argv[2:]))
