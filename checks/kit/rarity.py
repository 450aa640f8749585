"""One rank of rarity for a row of mixed columns: forest, distance and neighbours together.

The three scores fail on different tables; their tail ranks are joined by Fisher's sum, which a
single extreme rank can lift. Fitted on the sample with the widest rows left out of the center.
Source: Liu, Ting, Zhou 2008 (isolation forest); Ramaswamy et al. 2000 (neighbours); Fisher 1932.
"""

import dataclasses
from typing import Any

import numpy as np

TREES = 64
CLIP = 8.0
MOST_COLUMNS = 64
TRUSTED = 500  # rows that neighbours are sought among; few, so that copies seldom meet
NEIGHBOURS = 5
PEELED = 0.05  # of the sample, left out of the covariance


@dataclasses.dataclass(frozen=True, slots=True)
class Rarity:
    """Fitted scores; `ranks` are the sample's own, sorted, shape (3, n).

    Attributes:
        forest: isolation forest on clipped robust numbers.
        center, whiten: of the Mahalanobis distance, shapes (d,) and (d, d).
        tree: rows of the sample by place, for the nearest neighbours.
        spread: standard deviation of each column, shape (d,).
        ranks: sorted scores of the sample.
    """

    forest: Any
    center: np.ndarray
    whiten: np.ndarray
    tree: Any
    spread: np.ndarray
    ranks: np.ndarray

    def __reduce__(self) -> tuple[object, tuple[Any, ...]]:
        """Save the tree's rows and not its nodes, which hold addresses of this process."""
        tree = np.array(self.tree.data)
        return _loaded, (self.forest, self.center, self.whiten, tree, self.spread, self.ranks)

    def score(self, scaled: np.ndarray) -> np.ndarray:
        """Return Fisher's sum of the three tail ranks, shape (n,); greater is rarer."""
        made = self.parts(scaled)
        count = self.ranks.shape[1]
        total = np.zeros(len(scaled))
        for own, ranked in zip(made, self.ranks, strict=True):
            above = count - np.searchsorted(ranked, own, side="left")
            # beyond the sample's last row the rank alone cannot grow: keep the order
            total += -np.log((1 + above) / (1 + count))
        return total

    def parts(self, scaled: np.ndarray) -> np.ndarray:
        """Return forest, distance and neighbour scores, shape (3, n)."""
        kept = np.clip(np.nan_to_num(scaled), -CLIP, CLIP)
        few = kept[:, :MOST_COLUMNS] - self.center
        # einsum adds up each row by itself, so that a row's score has no neighbours
        far = (np.einsum("ij,jk->ik", few, self.whiten) ** 2).sum(1)
        near = self.tree.query(few / self.spread, k=NEIGHBOURS)[0][:, -1]
        return np.round(np.stack([-self.forest.score_samples(kept), far, near]), 9)


def fit(scaled: np.ndarray, seed: int) -> Rarity:
    """Fit on the sample.

    Args:
        scaled: float64, shape (n, d), robust numbers and rarity of categories, NaN if missing.
        seed: of the forest.
    """
    from scipy.spatial import cKDTree
    from sklearn.ensemble import IsolationForest
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    kept = np.clip(np.nan_to_num(scaled), -CLIP, CLIP)
    few = kept[:, :MOST_COLUMNS]
    forest = IsolationForest(n_estimators=TREES, random_state=seed, n_jobs=1).fit(kept)
    _clear_gaps(forest)
    with threadpool_limits(1):
        center, whiten = _whitened(few)
    spread = few.std(axis=0) + 1e-9
    # neighbours are sought around the same center as the distance is taken from
    picked = np.random.default_rng(seed).permutation(len(few))[:TRUSTED]
    tree = cKDTree((few[np.sort(picked)] - center) / spread)
    made = Rarity(forest, center, whiten, tree, spread, np.zeros((3, 0)))
    return dataclasses.replace(made, ranks=np.sort(made.parts(scaled), axis=1))


def _loaded(
    forest: Any,
    center: np.ndarray,
    whiten: np.ndarray,
    trusted: np.ndarray,
    spread: np.ndarray,
    ranks: np.ndarray,
) -> Rarity:
    from scipy.spatial import cKDTree

    return Rarity(forest, center, whiten, cKDTree(trusted), spread, ranks)


def _clear_gaps(forest: Any) -> None:
    """Zero the bytes between the fields of the trees' nodes.

    The library leaves there what the memory held before, cells perhaps, and would save it with
    the model; and equal models would be files with other digests.
    """
    for tree in forest.estimators_:
        nodes = tree.tree_.__getstate__()["nodes"]  # the tree's own memory, no copy
        is_gap = np.ones(nodes.dtype.itemsize, bool)
        for kind, start in (field[:2] for field in nodes.dtype.fields.values()):
            is_gap[start : start + kind.itemsize] = False
        nodes.view(np.uint8).reshape(len(nodes), -1)[:, is_gap] = 0


def _whitened(few: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inner, center = few, np.median(few, axis=0)
    for _ in range(3):
        spread = np.cov(inner, rowvar=False).reshape(few.shape[1], -1)
        values, vectors = np.linalg.eigh(spread + 1e-3 * np.eye(few.shape[1]))
        whiten = vectors / np.sqrt(values)
        far = (((few - center) @ whiten) ** 2).sum(1)
        inner = few[far <= np.quantile(far, 1 - PEELED)]
        center = inner.mean(0)
    return center, whiten
