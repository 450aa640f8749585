"""Near copies and outliers by embedding: `python benchmarks/neighbours.py [--seeds 3]`.

Into scikit-learn's digits and generated vectors, 20 near copies (noise of 2 % of the spread) and 10
vectors in random directions, 1.6 times as far from the centre as the others, are planted. Prints
what is found of each, and what else is; `clean` is the same data with nothing planted.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]

import labels_given  # noqa: E402
from rows_with_roles import judged, rows_by_rule  # noqa: E402

from checks.neighbours import Neighbours  # noqa: E402

COPIES, OUTLIERS, NOISE, FAR = 20, 10, 0.02, 1.6


def heavy(seed):
    """Return vectors with heavy tails in every direction."""
    return (np.random.default_rng(seed).standard_t(4, size=(2_000, 32)),)


def clusters(seed):
    """Return clusters of mixed density."""
    rng = np.random.default_rng(seed)
    spread = rng.choice([0.2, 1, 2], 2_000)[:, None]
    centers = rng.normal(size=(10, 16)) * 4
    return (rng.normal(size=(2_000, 16)) * spread + centers[rng.integers(0, 10, 2_000)],)


def planted(values, seed):
    """Return the vectors with copies and outliers behind them."""
    rng = np.random.default_rng(seed)
    width, center = values.shape[1], values.mean(0)
    copied = values[rng.choice(len(values), COPIES, replace=False)]
    copies = copied + rng.normal(0, NOISE * values.std(), copied.shape)
    ways = rng.normal(0, 1, (OUTLIERS, width))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    reach = FAR * np.linalg.norm(values - center, axis=1).mean()
    return np.r_[values, copies, center + reach * ways]


def counts(values, rows):
    """Return how many copies, outliers and other rows are told."""
    table = pa.table({"e": pa.array(list(values), pa.list_(pa.float64()))})
    found = rows_by_rule(judged(Neighbours, table, e="embedding")[0])
    copies, far = (np.array(found.get(f"neighbours.{n}", []), int) for n in ("copy", "outlier"))
    hits = (copies >= rows) & (copies < rows + COPIES), far >= rows + COPIES
    others = sum(len(told) - hit.sum() for told, hit in zip((copies, far), hits, strict=True))
    return hits[0].sum(), hits[1].sum(), others


def main():
    """Print the sums over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    print(f"{'data':12} {'copies':>12} {'outliers':>12} {'other rows':>11} {'clean':>6}")
    for data in (labels_given.digits, labels_given.embeddings, heavy, clusters):
        sums = np.zeros(4, int)
        for seed in range(seeds):
            values = data(seed)[0]
            sums[:3] += counts(planted(values, seed), len(values))
            sums[3] += counts(values, len(values))[2]
        copies, far = f"{sums[0]} of {seeds * COPIES}", f"{sums[1]} of {seeds * OUTLIERS}"
        print(f"{data.__name__:12} {copies:>12} {far:>12} {sums[2]:>11} {sums[3]:>6}", flush=True)


if __name__ == "__main__":
    main()
