"""How a model's loss on all other sources' rows changes when one source is left out.

An additive model (each column in bins, one ridge regression on the labels) needs only sums over
rows, so a source is subtracted from the sums exactly and nothing is trained again. The change is
compared with that of leaving out as many rows drawn from all sources.
Source: leave-one-out influence (Cook 1977), of groups and on validation loss (Koh, Liang 2017).
"""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import hashing, sample

BINS = 8
LEVELS = 14  # of a category, the most frequent; the rest is one level
MOST_COLUMNS = 32
MOST_SOURCES = 20
DRAWS = 16
RIDGE = 1.0
SAME_SIZE = 1.2  # sources whose sizes differ by at most this factor share their draws
MOST_SHARE = 0.5  # of the rows; without a larger source too few are left to measure on


@dataclasses.dataclass(frozen=True, slots=True)
class Influence:
    """One source and the mean squared error on the rows of all others.

    Attributes:
        source: its index among the sources.
        rows: how many it has in the sample.
        loss: after learning from all rows.
        gain: drop in loss without this source, in excess of that without as many random rows.
        noise: standard deviation of the latter over draws of random rows.
    """

    source: int
    rows: int
    loss: float
    gain: float
    noise: float


@dataclasses.dataclass(frozen=True, slots=True)
class _Half:
    """Rows to learn from and rows to test on: one-hot designs, one-hot labels, owners."""

    learn: "scipy.sparse.csr_matrix"  # type: ignore[name-defined]  # noqa: F821
    targets: np.ndarray
    owner: np.ndarray
    test: "scipy.sparse.csr_matrix"  # type: ignore[name-defined]  # noqa: F821
    truth: np.ndarray
    test_owner: np.ndarray

    def sums(self, rows: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums that a ridge regression needs, shapes (d, d) and (d, classes)."""
        part = self.learn[rows]
        return (part.T @ part).toarray(), part.T @ self.targets[rows]

    def losses(self, square: np.ndarray, product: np.ndarray) -> np.ndarray:
        """Return the squared error of each row to test on, shape (n,)."""
        weights = np.linalg.solve(square + RIDGE * np.eye(len(square)), product)
        lost: np.ndarray = ((self.test @ weights - self.truth) ** 2).sum(1)
        return lost


def influences(
    rows: pa.Table, features: list[str], labels: np.ndarray, *, owner: str, least: int, seed: int
) -> list[Influence]:
    """Return the influence of each source that is neither small nor a majority of the rows.

    Args:
        rows: the sample; copies of a row share a fold, so none is tested against another.
        features: columns to learn from.
        labels: int, shape (n,), code of each row's label.
        owner: name of the column with each row's source, a string, none missing.
        least: rows that a source must have.
        seed: of the random rows.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    codes = hashing.whole(rows[owner]).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    sizes, folds = np.bincount(codes), rows[sample.FOLD].to_numpy() % 2
    chosen = np.flatnonzero((sizes >= least) & (sizes <= MOST_SHARE * len(codes)))
    chosen = chosen[np.argsort(-sizes[chosen], kind="stable")][:MOST_SOURCES]
    design, targets = _design(rows, features), np.eye(labels.max() + 1)[labels]
    made = []
    for learn in (folds == 0, folds == 1):
        parts = [(design[mask], targets[mask], codes[mask]) for mask in (learn, ~learn)]
        made.append(_Half(*parts[0], *parts[1]))
    if not len(chosen) or min(len(half.owner) for half in made) < least:
        return []
    with threadpool_limits(1):
        return _measured(made, chosen, sizes, seed)


def _measured(
    halves: list[_Half], chosen: np.ndarray, sizes: np.ndarray, seed: int
) -> list[Influence]:
    whole = [half.sums(slice(None)) for half in halves]
    before = [half.losses(*sums) for half, sums in zip(halves, whole, strict=True)]
    found, drawn, size = [], [], np.inf
    for source in chosen:  # largest first
        if sizes[source] * SAME_SIZE < size:
            size, draw = sizes[source], np.random.default_rng([seed, int(sizes[source])])
            drawn = [
                _drawn(h, s, size / sizes.sum(), draw) for h, s in zip(halves, whole, strict=True)
            ]
        own, other, base = [], [], []
        for half, sums, old, random in zip(halves, whole, before, drawn, strict=True):
            kept = half.test_owner != source
            new = half.losses(*_without(sums, half.sums(half.owner == source)))
            own.append((new - old)[kept].mean())
            other.append((random[:, kept] - old[kept]).mean(1))
            base.append(old[kept].mean())
        chance = np.mean(other, axis=0)
        gain = float(chance.mean() - np.mean(own))
        found.append(
            Influence(
                int(source), int(sizes[source]), float(np.mean(base)), gain, float(chance.std())
            )
        )
    return found


def _drawn(
    half: _Half, sums: tuple[np.ndarray, np.ndarray], share: float, draw: np.random.Generator
) -> np.ndarray:
    """Return the losses without as many random rows, shape (draws, n)."""
    count = round(share * len(half.owner))
    out = [np.sort(draw.permutation(len(half.owner))[:count]) for _ in range(DRAWS)]
    return np.stack([half.losses(*_without(sums, half.sums(rows))) for rows in out])


def _without(
    sums: tuple[np.ndarray, np.ndarray], part: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    return sums[0] - part[0], sums[1] - part[1]


def _design(rows: pa.Table, features: list[str]) -> "scipy.sparse.csr_matrix":  # type: ignore[name-defined]  # noqa: F821
    """Return one-hot bins and levels: CSR float64, shape (n, d), one entry per column and row."""
    from scipy import sparse

    codes = [_coded(hashing.whole(rows[name])) for name in features[:MOST_COLUMNS]]
    codes = [np.zeros(rows.num_rows, int), *codes]
    width = BINS + LEVELS
    places = np.column_stack([code + width * number for number, code in enumerate(codes)])
    entries = np.ones(places.size)
    starts = np.arange(0, places.size + 1, places.shape[1])
    _, packed = np.unique(places, return_inverse=True)  # no empty columns
    packed = packed.reshape(-1)
    shape = (rows.num_rows, int(packed.max(initial=0)) + 1)
    return sparse.csr_matrix((entries, packed, starts), shape=shape)


def _coded(array: pa.Array) -> np.ndarray:
    """Return the bin of a number or the level of a category, shape (n,); 0 is missing."""
    if hashing.is_number(array.type):
        values, usable = hashing.numbers(array)
        values = values.astype(float)
        if not usable.any():
            return np.zeros(len(array), int)
        edges = np.unique(np.quantile(values[usable], np.linspace(0, 1, BINS + 1)[1:-1]))
        return np.where(usable, 1 + np.searchsorted(edges, values, side="right"), 0)
    coded = array.dictionary_encode()
    at = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(int)
    counts = np.bincount(at + 1, minlength=len(coded.dictionary) + 1)[1:]
    texts = np.array([str(value) for value in coded.dictionary.to_pylist()], object)
    order = np.lexsort((texts, -counts)) if len(texts) else np.zeros(0, int)
    level = np.empty(len(order) + 1, int)
    level[order] = np.minimum(1 + np.arange(len(order)), LEVELS)
    level[-1] = 0
    coded_as: np.ndarray = level[at]
    return coded_as
