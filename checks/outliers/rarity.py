"""One rank of rarity for a row of mixed columns: forest, distance and neighbours together.

The three scores fail on different tables; Fisher's sum joins their tail ranks, and a single
extreme rank is enough to raise it. Against masking, the sample is peeled first: the rows that
forest and distance together rank rarest shape no distance and are nobody's neighbours.
Source: Liu, Ting, Zhou 2008 (isolation forest); Ramaswamy et al. 2000 (neighbours); Fisher 1932.
"""

import dataclasses
from typing import Any

import numpy as np

TREES = 64
CLIP = 8.0
MOST_COLUMNS = 64
TRUSTED = 500  # rows to search for neighbours; few, so that copies seldom find each other
NEIGHBOURS = 5
DECIMALS = 9
RIDGE = 1e-3
LEAF = 64  # rows per leaf of the neighbours' tree: the fastest of the sizes tried
WIDEST = 0.05  # of the sample, left out of the first covariance
PEELED = 0.20  # of the sample, left out of the second one and of the neighbours


@dataclasses.dataclass(frozen=True, slots=True)
class Rarity:
    """The fitted scores.

    Attributes:
        forest: isolation forest on clipped robust numbers.
        center, whiten: of the Mahalanobis distance, shapes (d,) and (d, d).
        tree: rows of the sample, for the nearest neighbours.
        spread: standard deviation of each column, shape (d,).
        ranks: the sample's own scores, sorted, shape (3, n).
    """

    forest: Any
    center: np.ndarray
    whiten: np.ndarray
    tree: Any
    spread: np.ndarray
    ranks: np.ndarray

    def __reduce__(self) -> tuple[object, tuple[Any, ...]]:
        """Save the tree's rows, not its nodes, which hold addresses of this process."""
        tree = np.array(self.tree.data)
        return _loaded, (self.forest, self.center, self.whiten, tree, self.spread, self.ranks)

    def score(self, scaled: np.ndarray) -> np.ndarray:
        """Return Fisher's sum of the three tail ranks, shape (n,); the greater, the rarer."""
        kept = _kept(scaled)
        return _fisher(self.parts(kept, _lonely(self.forest, kept)), self.ranks)

    def parts(self, kept: np.ndarray, lonely: np.ndarray) -> np.ndarray:
        """Return the forest, distance and neighbour scores of clipped rows, shape (3, n)."""
        few = kept[:, :MOST_COLUMNS] - self.center
        ends = self.tree.query(few / self.spread, k=NEIGHBOURS + 1)[0]
        # a row at the place of a neighbour may be that neighbour: skip one distance of 0
        near = np.where(ends[:, 0] == 0, ends[:, -1], ends[:, -2])
        return np.stack([lonely, _far(few, self.whiten), np.round(near, DECIMALS)])


def fit(scaled: np.ndarray, seed: int) -> Rarity:
    """Fit on the sample.

    Args:
        scaled: float64, shape (n, d), robust numbers and rarity of categories, NaN if missing.
        seed: of the forest.
    """
    from scipy.spatial import cKDTree
    from sklearn.ensemble import IsolationForest
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    kept = _kept(scaled)
    few = kept[:, :MOST_COLUMNS]
    forest = IsolationForest(n_estimators=TREES, random_state=seed, n_jobs=1).fit(kept)
    _clear_gaps(forest)
    lonely = _lonely(forest, kept)
    with threadpool_limits(1):
        center, whiten = _whitened(few, WIDEST)
        first = np.stack([lonely, _far(few - center, whiten)])
        rare = _fisher(first, np.sort(first, axis=1))
        inner = few[rare <= np.quantile(rare, 1 - PEELED)]
        center, whiten = inner.mean(0), _whitening(inner)
    spread = few.std(axis=0) + 1e-9
    # neighbours are searched around the center of the distance
    picked = np.random.default_rng(seed).permutation(len(inner))[:TRUSTED]
    tree = cKDTree((inner[np.sort(picked)] - center) / spread, leafsize=LEAF)
    made = Rarity(forest, center, whiten, tree, spread, np.zeros((3, 0)))
    return dataclasses.replace(made, ranks=np.sort(made.parts(kept, lonely), axis=1))


def _loaded(
    forest: Any,
    center: np.ndarray,
    whiten: np.ndarray,
    trusted: np.ndarray,
    spread: np.ndarray,
    ranks: np.ndarray,
) -> Rarity:
    from scipy.spatial import cKDTree

    tree = cKDTree(trusted, leafsize=LEAF)
    return Rarity(forest, center, whiten, tree, spread, ranks)


def _clear_gaps(forest: Any) -> None:
    """Zero the padding bytes between the fields of the trees' nodes.

    The library leaves old memory there, cells perhaps, which would be saved with the model; and
    equal models would have different digests.
    """
    for tree in forest.estimators_:
        nodes = tree.tree_.__getstate__()["nodes"]  # the tree's own memory, no copy
        is_gap = np.ones(nodes.dtype.itemsize, bool)
        for kind, start in (field[:2] for field in nodes.dtype.fields.values()):
            is_gap[start : start + kind.itemsize] = False
        nodes.view(np.uint8).reshape(len(nodes), -1)[:, is_gap] = 0


def _kept(scaled: np.ndarray) -> np.ndarray:
    kept: np.ndarray = np.clip(np.nan_to_num(scaled), -CLIP, CLIP)
    return kept


def _lonely(forest: Any, kept: np.ndarray) -> np.ndarray:
    lonely: np.ndarray = np.round(-forest.score_samples(kept), DECIMALS)
    return lonely


def _far(few: np.ndarray, whiten: np.ndarray) -> np.ndarray:
    # einsum sums each row separately, so a row's score does not depend on the other rows
    far: np.ndarray = (np.einsum("ij,jk->ik", few, whiten) ** 2).sum(1)
    return far.round(DECIMALS)


def _fisher(scores: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    count, total = ranks.shape[1], np.zeros(scores.shape[1])
    for own, ranked in zip(scores, ranks, strict=True):
        above = count - np.searchsorted(ranked, own, side="left")
        # a row beyond the whole sample has rank 0, which the added 1 keeps finite
        total += -np.log((1 + above) / (1 + count))
    return total


def _whitening(inner: np.ndarray) -> np.ndarray:
    spread = np.cov(inner, rowvar=False).reshape(inner.shape[1], -1)
    values, vectors = np.linalg.eigh(spread + RIDGE * np.eye(inner.shape[1]))
    whiten: np.ndarray = vectors / np.sqrt(values)
    return whiten


def _whitened(few: np.ndarray, left_out: float) -> tuple[np.ndarray, np.ndarray]:
    inner, center = few, np.median(few, axis=0)
    for _ in range(3):
        whiten = _whitening(inner)
        far = (((few - center) @ whiten) ** 2).sum(1)
        inner = few[far <= np.quantile(far, 1 - left_out)]
        center = inner.mean(0)
    return center, whiten
