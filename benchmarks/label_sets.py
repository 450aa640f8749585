"""Lists of labels with planted errors, beside cleanlab: `python benchmarks/labels.py sets`.

Generated rows of eight labels (scikit-learn's make_multilabel_classification), the same with labels
that the columns tell nearly for certain, and digits with five labels that follow from the digit.
In 3 % of the rows a label is removed, in 3 % of the others one is added. `AP` is the average
precision of the check's rank of rows, `peer` that of cleanlab's get_label_quality_scores for
multi-label data on the same out-of-fold probabilities. `held` are quarantined rows, `true` the
share of them without an error, `stated` what the check expects; `clean` is the share of rows held
where nothing is planted.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from rows_with_roles import contract_of, judged, shards_of  # noqa: E402

from checks.kit import sample  # noqa: E402
from checks.label_sets import LabelSets, _complete, _worst  # noqa: E402

RATE = 0.03
COLUMNS = ("AP", "peer", "held", "held R", "true", "stated", "clean")


def generated(seed):
    """Return columns and labels that overlap."""
    from sklearn.datasets import make_multilabel_classification

    return make_multilabel_classification(4_000, n_classes=8, n_labels=3, random_state=seed)


def linear(seed, rows=4_000, columns=12, classes=8):
    """Return columns and labels that lie beyond a border, each with more overlap than the last."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns))
    turn = rng.normal(size=(columns, classes)) / np.sqrt(columns)
    noise = rng.normal(size=(rows, classes)) * np.geomspace(0.02, 0.5, classes)
    return values, (values @ turn + noise > rng.uniform(-0.3, 1.2, classes)).astype(int)


def digits(_):
    """Return pixels, and labels that follow from the digit."""
    from sklearn.datasets import load_digits

    pixels, digit = load_digits(return_X_y=True)
    sets = [(0, 2, 4, 6, 8), (2, 3, 5, 7), (6, 7, 8, 9), (0, 6, 8, 9), (0, 3, 6, 9)]
    return pixels, np.column_stack([np.isin(digit, one) for one in sets]).astype(int)


def planted(has, seed, rate=RATE):
    """Return labels with errors, and the rows that have one."""
    rng = np.random.default_rng(seed)
    made, count = has.copy(), int(rate * len(has))
    lose = rng.choice(np.flatnonzero(has.any(1)), count, replace=False)
    others = np.setdiff1d(np.flatnonzero(~has.all(1)), lose)
    gain = rng.choice(others, count, replace=False)
    for rows, value in ((lose, 0), (gain, 1)):
        for row in rows:
            made[row, rng.choice(np.flatnonzero(has[row] != value))] = value
    return made, (made != has).any(1)


def table_of(values, has):
    """Return a table of number columns and a column of lists."""
    columns = {f"f{place}": column for place, column in enumerate(values.T.astype(float))}
    lists = [[f"l{place}" for place in np.flatnonzero(row)] for row in has]
    return pa.table(columns | {"labels": pa.array(lists, pa.list_(pa.string()))})


def one(values, has, seed):
    """Return the figures of COLUMNS."""
    from cleanlab.multilabel_classification import get_label_quality_scores
    from sklearn.metrics import average_precision_score

    given, wrong = planted(has, seed)
    table, roles = table_of(values, given), {"labels": "labels"}
    found, model = judged(LabelSets, table, **roles)
    [shard] = shards_of(table, contract_of(table, **roles))
    judge = model.judges[0]
    chances = judge.models.predict(shard.table, sample.folds(shard))
    worst = _worst(judge, chances, given.astype(bool), _complete(shard.table, judge.usual))
    lists = [list(np.flatnonzero(row)) for row in given]
    quality = get_label_quality_scores(lists, chances)
    severe = np.array(found["severity"].to_pylist()) == "error"
    rows = found["row"].to_numpy()[severe]
    clean, _ = judged(LabelSets, table_of(values, has), **roles)
    return [
        average_precision_score(wrong, worst.score),
        average_precision_score(wrong, -quality),
        len(rows),
        wrong[rows].sum() / wrong.sum(),
        1 - wrong[rows].mean() if len(rows) else np.nan,
        found["p_value"].to_numpy()[severe].mean() if len(rows) else np.nan,
        clean["severity"].to_pylist().count("error") / len(has),
    ]


def main(seeds):
    """Print the figures of each seed, and their mean."""
    print(" ".join([f"{'case':16}", *(f"{c:>8}" for c in COLUMNS)]))
    for data in (generated, linear, digits):
        lines = []
        for seed in range(seeds):
            lines.append(one(*data(seed), seed))
            _show(f"{data.__name__} {seed}", lines[-1])
        _show(f"{data.__name__} mean", np.nanmean(lines, axis=0))


def _show(title, numbers):
    print(f"{title:16} " + " ".join(f"{number:8.3f}" for number in numbers), flush=True)
