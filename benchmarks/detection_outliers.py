"""How Assay ranks rare rows beside four detectors of PyOD, in one run; see `detection.py outliers`.

    export ASSAY_BENCH_DATA=FOLDER     # holds outliers/*.npz with X (rows x columns) and y
    .uv/bin/uv run --no-sync --with pyod python benchmarks/detection.py outliers --seeds 5

PyOD is a peer only and no dependency: `--with` installs it beside the environment. Assay's score is
the one by which the check ranks rows for review. Three groups: `labelled` are the tables of the
folder, by which the way of joining scores was chosen; `classes` and `planted` are made of
scikit-learn's tables, a class thinned out or odd rows added. AUROC and average precision are
medians over seeds, `worst` is the least. Seconds are those of one thread.
"""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

Made = Iterator[tuple[str, str, np.ndarray, np.ndarray]]
SIZE = (100_000, 10)
PEERS = ("IForest", "ECOD", "HBOS", "KNN")


def tables(folder: Path) -> Made:
    """Yield (group, name, values, 1 where an outlier)."""
    for path in sorted((folder / "outliers").glob("*.npz")):
        with np.load(path) as file:
            yield "labelled", path.stem, file["X"].astype(float), file["y"].astype(int)
    from sklearn import datasets

    rng = np.random.default_rng(0)
    thinned = {"wine": (range(3), 8), "iris": ((1, 2), 8), "digits": (range(10), 40)}
    for name, (classes, kept) in thinned.items():
        data = getattr(datasets, f"load_{name}")()
        for number in classes:
            few = rng.permutation(np.flatnonzero(data.target == number))[:kept]
            rows = np.sort(np.r_[np.flatnonzero(data.target != number), few])
            yield "classes", f"{name} {number}", data.data[rows], 1 * (data.target[rows] == number)
    for name in ("wine", "diabetes", "breast_cancer"):
        honest = getattr(datasets, f"load_{name}")().data
        for kind, plant in PLANTS.items():
            odd = plant(honest, max(5, len(honest) // 20), rng)
            truth = np.r_[np.zeros(len(honest), int), np.ones(len(odd), int)]
            yield "planted", f"{name} {kind}", np.r_[honest, odd], truth


def _unrelated(honest, count, rng):
    # each value is honest, the row is not
    return np.column_stack([rng.choice(column, count) for column in honest.T])


def _anywhere(honest, count, rng):
    low, high = honest.min(0), honest.max(0)
    return (low + high) / 2 + 0.55 * (high - low) * rng.uniform(-1, 1, (count, len(low)))


def _shaken(honest, count, rng):
    spread = np.cov(honest, rowvar=False)
    some = honest[rng.permutation(len(honest))[:count]]
    return some + 1.5 * rng.multivariate_normal(np.zeros(len(spread)), spread, count)


def _clustered(honest, count, rng):
    deviation = honest.std(0)
    side = rng.choice([-1, 0, 0, 1], honest.shape[1])
    return honest.mean(0) + deviation * (3 * side + 0.3 * rng.normal(size=(count, len(side))))


PLANTS: dict[str, Callable[..., np.ndarray]] = {
    "unrelated": _unrelated,
    "anywhere": _anywhere,
    "shaken": _shaken,
    "clustered": _clustered,
}


def assay(values: np.ndarray, seed: int) -> np.ndarray:
    """Return the rarity that the check itself gives each row."""
    import detection

    from checks.outliers import Outliers

    names = [f"c{number}" for number in range(values.shape[1])]
    table = pa.table(dict(zip(names, values.T, strict=True)))
    check = Outliers(detection.context_of(table, seed=seed))
    return check.finish(check.fit(detection.shard_of(table))).rarity(table)


def peer(name: str, values: np.ndarray, seed: int) -> np.ndarray:
    """Return the score of one of PyOD's detectors with its own defaults."""
    try:
        from pyod.models import ecod, hbos, iforest, knn
    except ImportError:
        sys.exit("PyOD is not here: run this by `uv run --no-sync --with pyod`, see the docstring")
    kinds = {"ECOD": ecod.ECOD, "HBOS": hbos.HBOS, "KNN": knn.KNN}
    model = iforest.IForest(random_state=seed) if name == "IForest" else kinds[name]()
    return model.fit(values).decision_scores_


def measure(folder: Path, seeds: int) -> None:
    """Print the figures of each table, the means of each group, and the time."""
    from sklearn.metrics import average_precision_score, roc_auc_score
    from threadpoolctl import threadpool_limits

    names = ("Assay", *PEERS)
    seen: dict[str, dict[str, list[np.ndarray]]] = {}
    print("AUROC/AP, medians over seeds | " + ", ".join(names), flush=True)
    with threadpool_limits(1):
        for group, table, values, truth in tables(folder):
            shown = []
            for name in names:
                scores = [
                    assay(values, seed) if name == "Assay" else peer(name, values, seed)
                    for seed in range(seeds if name in ("Assay", "IForest") else 1)
                ]
                figures = np.array(
                    [(roc_auc_score(truth, s), average_precision_score(truth, s)) for s in scores]
                )
                seen.setdefault(group, {}).setdefault(name, []).append(figures)
                shown.append("{:.3f}/{:.3f}".format(*np.median(figures, 0)))
            print(f"{group} {table} {values.shape} | {' '.join(shown)}", flush=True)
        for group, methods in seen.items():
            _means(group, methods)
        beyond_forest()


def _means(group: str, methods: dict[str, list[np.ndarray]]) -> None:
    middle = {n: np.array([np.median(f[:, 0]) for f in each]) for n, each in methods.items()}
    least = {n: np.array([f[:, 0].min() for f in each]) for n, each in methods.items()}
    precision = {n: np.mean([np.median(f[:, 1]) for f in each]) for n, each in methods.items()}
    best = max(PEERS, key=lambda n: middle[n].mean())
    for name in methods:
        print(
            f"{group}: {name} mean AUROC {middle[name].mean():.4f} (worst seeds "
            f"{least[name].mean():.4f}), least table {least[name].min():.3f}, "
            f"mean AP {precision[name]:.4f}"
        )
    gap = middle["Assay"].mean() - middle[best].mean()
    below = int((least["Assay"] < 0.5).sum())
    print(f"{group}: Assay {gap:+.4f} against {best}, the best single one; {below} tables below .5")


def beyond_forest() -> float:
    """Print CPU seconds of the rank and its peers; return Assay's beyond its own forest's."""
    from sklearn.ensemble import IsolationForest

    from checks import outliers
    from checks.outliers import judging, rarity, tails

    values = np.random.default_rng(0).standard_t(4, SIZE)
    names = [f"c{number}" for number in range(SIZE[1])]
    table = pa.table(dict(zip(names, values.T, strict=True)))

    def ours():
        few = table.slice(0, outliers.SIZE)
        axes = tuple(tails.fit(n, few[n].to_numpy()) for n in names)
        model = judging.OutlierModel(axes=axes)
        rare = rarity.fit(judging.scaled(few, model), 0)  # what finish does
        rare.score(judging.scaled(table, model))  # and what score does

    def own_forest():
        few = values[: outliers.SIZE]
        forest = IsolationForest(n_estimators=rarity.TREES, random_state=0).fit(few)
        forest.score_samples(few)
        forest.score_samples(values)

    took = {"all": ours, "forest in it": own_forest}
    took |= {name: lambda name=name: peer(name, values, 0) for name in PEERS if name != "KNN"}
    seconds = {}
    for name, call in took.items():
        start = time.process_time()
        call()
        seconds[name] = time.process_time() - start
    beyond = seconds["all"] - seconds["forest in it"]
    told = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
    print(f"one thread, {SIZE[0]:,} x {SIZE[1]}: {told}; Assay beyond its forest {beyond:.2f} s")
    return beyond


def main(folder: Path, seeds: int) -> None:
    """Measure without the warnings of other libraries."""
    warnings.simplefilter("ignore")
    measure(folder, seeds)
