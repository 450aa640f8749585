"""Labels of a source compared with what a model of the other columns predicts for its rows.

Source: direct standardisation (observed against expected), less an allowance for chance.
"""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from checks.kit import hashing

MOST_CLASSES = 10
NOISE = 5.0  # standard deviations that are put down to chance
GAP = 0.05  # of the rows, beyond chance and beyond what sources usually differ
ROUNDS = 40
OWNER = "__assay_owner"  # the source as a string


@dataclasses.dataclass(frozen=True, slots=True)
class Contrast:
    """A source's rows with one label: share observed, share expected, what chance allows."""

    source: str
    label: Any
    rows: int
    observed: float
    expected: float
    noise: float

    @property
    def gap(self) -> float:
        """Return how far the observed share lies from the expected one."""
        return abs(self.observed - self.expected)


def contrasts(
    rows: pa.Table, features: list[str], labels: pa.DictionaryArray, *, least: int, seed: int
) -> list[Contrast]:
    """Return each source of `least` rows compared with what other sources' rows predict.

    Args:
        rows: the sample, with the column OWNER.
        features: columns to learn from.
        labels: of the rows, with at most MOST_CLASSES values; of two, only the first is compared.
        least: rows that a source must have.
        seed: of the model.
    """
    sources = hashing.whole(rows[OWNER]).dictionary_encode()
    codes = labels.indices.to_numpy(zero_copy_only=False)
    owner = sources.indices.to_numpy(zero_copy_only=False)
    matrix = _matrix(rows, features)
    folds = owner % 2  # the model that judges a source has learnt from other sources only
    sizes = np.bincount(owner)
    large = np.flatnonzero(sizes >= least)
    rare = GAP * sizes[large].min(initial=len(owner))
    expected = _all_expected(matrix, codes, folds, rare, seed)
    found = []
    for number in range(1 if len(expected) == 2 else len(expected)):  # noqa: PLR2004
        target, label = codes == number, labels.dictionary[number].as_py()
        for place in large:
            mine, name = owner == place, sources.dictionary[int(place)].as_py()
            found.append(_contrast(name, label, target[mine], expected[number][mine]))
    return sorted(found, key=lambda c: (c.source, str(c.label)))


def apart(found: list[Contrast]) -> list[Contrast]:
    """Return those whose gap exceeds both chance and what is usual among sources."""
    usual = float(np.median([item.gap for item in found])) if found else 0.0
    return [item for item in found if item.gap - item.noise >= GAP + 2 * usual]


def against(now: pa.Table, before: pa.Table, label: str, *, least: int) -> list[Contrast]:
    """Return each source's labels compared with its own in the reference.

    The median change of all sources is expected of each.

    Args:
        now: rows with the columns OWNER and `label`, neither missing anywhere.
        before: the same for the reference.
        label: name of the label column.
        least: rows that a source must have in both.
    """
    counts, old = _counts(now, label), _counts(before, label)
    sizes = {
        source: (sum(counts[source].values()), sum(old[source].values()))
        for source in sorted(counts.keys() & old.keys())
    }
    sizes = {source: pair for source, pair in sizes.items() if min(pair) >= least}
    if not sizes:
        return []
    found = []
    keys = sorted({key for each in counts.values() for key in each}, key=str)
    for key in keys[:1] if len(keys) == 2 else keys:  # noqa: PLR2004  # one determines the other
        shares = {
            source: (counts[source].get(key, 0) / pair[0], old[source].get(key, 0) / pair[1])
            for source, pair in sizes.items()
        }
        common = float(np.median([share - was for share, was in shares.values()]))
        for source, (share, was) in shares.items():
            expected = min(max(was + common, 0.0), 1.0)
            spread = max(share * (1 - share), expected * (1 - expected))
            noise = NOISE * float(np.sqrt(spread * sum(1 / size for size in sizes[source])))
            found.append(Contrast(source, key, sizes[source][0], share, expected, noise))
    return found


def _counts(rows: pa.Table, label: str) -> dict[str, dict[Any, int]]:
    grouped = rows.group_by([OWNER, label]).aggregate([([], "count_all")])
    made: dict[str, dict[Any, int]] = {}
    for item in grouped.to_pylist():
        made.setdefault(item[OWNER], {})[item[label]] = item["count_all"]
    return made


def _matrix(rows: pa.Table, names: list[str]) -> np.ndarray:
    """Return the features as floats: shape (n, columns), categories by rank of frequency."""
    columns = [np.zeros(rows.num_rows)]
    for name in names:
        array = hashing.whole(rows[name])
        if hashing.is_number(array.type):
            values, usable = hashing.numbers(array)
            columns.append(np.where(usable, np.clip(values.astype(float), -1e150, 1e150), 0.0))
            continue
        codes = array.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
        order = np.argsort(-np.bincount(codes + 1), kind="stable").argsort(kind="stable")
        columns.append(np.minimum(order[codes + 1], 200).astype(float))
    return np.column_stack(columns)


def _all_expected(
    matrix: np.ndarray, codes: np.ndarray, folds: np.ndarray, rare: float, seed: int
) -> list[np.ndarray]:
    """Return each row's probability of each label, shape (n,) each, of the frequent by a model.

    A label of fewer rows than `rare` makes no gap in any source, so its overall share is expected
    of every row. Of two other labels, one model tells both.
    """
    counts = np.bincount(codes)
    made = [np.full(len(codes), share) for share in counts / len(codes)]
    frequent = np.flatnonzero(counts >= rare)
    is_pair = len(frequent) == 2  # noqa: PLR2004
    for number in frequent[:1] if is_pair else frequent:
        made[number] = _expected(matrix, codes == number, folds, seed)
    if is_pair:
        both = counts[frequent].sum() / len(codes)
        made[frequent[1]] = np.clip(both - made[frequent[0]], 0.0, 1.0)
    return made


def _expected(matrix: np.ndarray, target: np.ndarray, folds: np.ndarray, seed: int) -> np.ndarray:
    """Return each row's probability of the label by a model of the other fold."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    expected = np.full(len(target), float(target.mean()))
    for fold in range(2):
        learn = folds != fold
        if not learn.any() or not 0 < target[learn].sum() < learn.sum():
            continue
        model = HistGradientBoostingClassifier(
            max_iter=ROUNDS, max_leaf_nodes=15, early_stopping=False, random_state=seed
        )
        with threadpool_limits(1):
            model.fit(matrix[learn], target[learn])
            if (~learn).any():
                expected[~learn] = model.predict_proba(matrix[~learn])[:, 1]
    return expected


def _contrast(source: str, label: Any, target: np.ndarray, expected: np.ndarray) -> Contrast:
    rows, share = len(target), float(expected.mean())
    noise = NOISE * np.sqrt(float((expected * (1 - expected)).mean()) / rows)
    return Contrast(source, label, rows, float(target.mean()), share, float(noise))
