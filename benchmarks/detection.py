"""Figures of the label and outlier checks: `detection.py labels|outliers --seeds N`.

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


def labelled():
    """Yield (name, table, label column) of the four tables."""
    from sklearn.datasets import load_breast_cancer, load_digits

    yield "diamonds", pyarrow.csv.read_csv(DATA / "tables/diamonds.csv"), "cut"
    titanic = pyarrow.csv.read_csv(DATA / "tables/titanic.csv").drop(["alive"])
    yield "titanic", titanic, "survived"
    for name, load in (("digits", load_digits), ("bcancer", load_breast_cancer)):
        data = load()
        columns = {f"f{i}": data.data[:, i] for i in range(data.data.shape[1])}
        yield name, pa.table(columns | {"y": data.target.astype(str)}), "y"


def flipped(codes, rate, kind, rng):
    """Return codes with planted errors: symmetric, or to the next class."""
    classes, made = codes.max() + 1, codes.copy()
    if kind == "sym":
        hit = rng.choice(len(codes), int(rate * len(codes)), replace=False)
        made[hit] = (codes[hit] + rng.integers(1, classes, len(hit))) % classes
    elif kind == "class":
        weight = np.where(codes < classes / 2, 3.0, 1.0)
        hit = rng.choice(len(codes), int(rate * len(codes)), replace=False, p=weight / weight.sum())
        made[hit] = (codes[hit] + 1) % classes
    return made


def naive(table, label, codes):
    """Return self-confidence of cleanlab's usual recipe: logistic regression, five folds."""
    import pandas as pd
    from cleanlab.rank import get_label_quality_scores
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    wide = pd.get_dummies(table.drop([label]).to_pandas(), dummy_na=True).fillna(0).astype(float)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    chances = cross_val_predict(model, wide, codes, cv=5, method="predict_proba")
    return get_label_quality_scores(codes, chances)


def labels(seeds):
    """Print AP beside the naive recipe, and what quarantine states and truly holds."""
    from sklearn.metrics import average_precision_score

    from checks.kit import sample
    from checks.labels import Labels, _codes, _judge, _normal, names

    cases = [(0.0, "none"), (0.03, "sym"), (0.1, "sym"), (0.03, "class"), (0.1, "class")]
    for name, table, label in labelled():
        given, clean = np.unique(table[label].to_numpy(), return_inverse=True)
        for rate, kind in cases:
            for seed in range(seeds if rate else 1):
                codes = flipped(clean, rate, kind, np.random.default_rng(seed))
                column = table.column_names.index(label)
                dirty = table.set_column(column, label, pa.array(given[codes]))
                found, model, took = judge(Labels, dirty, label=label)
                wrong = codes != clean
                severe = found.filter(pa.compute.equal(found["severity"], "error"))
                rows = severe["row"].to_numpy()
                stated = np.mean(severe["p_value"].to_numpy()) if len(rows) else 0.0
                true = 1 - wrong[rows].mean() if len(rows) else 0.0
                line = f"{name} {rate} {kind} {seed}: quarantine {len(rows) / len(codes):.2%}"
                line += f" stated {stated:.3f} true {true:.3f} warn {found.num_rows - len(rows)}"
                line += f" mix {model.fitted.mix} finish {took[0]:.1f} s score {took[1]:.1f} s"
                if rate:
                    shard = shard_of(dirty)
                    own = _codes(names(dirty[label]), model.classes)
                    chances = _normal(model.fitted.predict(dirty, sample.folds(shard)))
                    score = _judge(chances, own, model)[1]
                    plain = -naive(dirty, label, codes)
                    ours = average_precision_score(wrong, score)
                    line += f" recall {wrong[rows].sum() / wrong.sum():.2f} AP {ours:.3f}"
                    line += f" naive {average_precision_score(wrong, plain):.3f}"
                print(line, flush=True)


def outliers(seeds):
    """Print AUROC and AP of the rarity rank beside PyOD's detectors."""
    import detection_held
    import detection_outliers

    detection_outliers.main(DATA, seeds)
    for line in detection_held.measure(seeds):
        print(line, flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    globals()[sys.argv[1]](*(int(word) for word in sys.argv[2:] if word != "--seeds"))
