"""The plan: the smallest change of the quasi-identifiers under which classes reach k.

Every choice of one step a column is a point of a lattice. A coarser point never needs more rows
left out, so points are tried by rising loss and all below a failed one are skipped; the first that
holds is the best. When the lattice is too large, the column with most values is made coarser until
k is reached (Datafly), and then each column finer as long as k holds.
Loss: 1 - entropy of the coarser column / entropy of the column, added over the columns.
"""

import dataclasses
import itertools

import numpy as np

from checks.disclosure.equivalence_classes import Classes
from checks.disclosure.generalisation_ladders import Step, ladder
from checks.kit import hashing

MOST_TRIES = 100
MOST_POINTS = 20_000
MOST_CELLS = 1 << 22
_LEAST = 0.0001
Point = tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Attributes:
        steps: in words, one a changed column.
        suppressed: share of the rows to leave out besides, in [0, 1].
        alone: share to leave out if no column is changed.
        k: what is reached; is_best: whether no smaller change reaches it.
    """

    steps: tuple[str, ...]
    suppressed: float
    alone: float
    k: int
    is_best: bool

    def told(self) -> str:
        """Return the plan as a sentence."""
        if not self.steps:
            return f"To reach k = {self.k}, leave {percent(self.alone)} of the rows out."
        kind = "The smallest change" if self.is_best else "A change"
        more = f", and {percent(self.suppressed)} of the rows left out" if self.suppressed else ""
        changes = "; ".join(self.steps)
        return (
            f"{kind} that reaches k = {self.k}: {changes}{more}. "
            f"Leaving rows out alone would take {percent(self.alone)} of them."
        )


def percent(share: float) -> str:
    """Return a share as per cent that never rounds something to nothing, or most to all."""
    if 0 < share < _LEAST or 1 - _LEAST < share < 1:
        return f"under {_LEAST:.2%}" if share < _LEAST else f"over {1 - _LEAST:.2%}"
    return f"{share:.2%}"


def propose(classes: Classes, columns: list[str], k: int, most: float) -> Plan:
    """Return the smallest change that reaches k.

    Args:
        classes: all classes, or a sample of them.
        columns: the quasi-identifiers.
        k: rows of the smallest class.
        most: share of the rows that may be left out, in [0, 1].
    """
    counts = classes.counts
    ladders = [ladder(classes.cells[n].combine_chunks(), n, counts) for n in columns]
    tried = _Tried(ladders, counts, k)
    bottom = (0,) * len(ladders)
    alone = tried.suppressed(bottom)
    if alone <= most:
        return Plan((), alone, alone, k, is_best=True)
    size = int(np.prod([len(steps) for steps in ladders], dtype=float))
    found = _best(ladders, tried, most) if size <= MOST_POINTS else None
    point = found or _greedy(ladders, tried, most)
    told = tuple(steps[at].told for steps, at in zip(ladders, point, strict=True) if at)
    is_best = found is not None and classes.is_whole
    return Plan(told, tried.suppressed(point), alone, k, is_best=is_best)


class _Tried:
    """Shares to leave out, by point."""

    def __init__(self, ladders: list[list[Step]], counts: np.ndarray, k: int) -> None:
        self.ladders, self.counts, self.k = ladders, counts, k
        self.known: dict[Point, float] = {}

    def suppressed(self, point: Point) -> float:
        """Return the share of rows in classes under k."""
        if point not in self.known:
            sizes = self._sizes(point)
            self.known[point] = float(sizes[sizes < self.k].sum() / self.counts.sum())
        return self.known[point]

    def _sizes(self, point: Point) -> np.ndarray:
        """Return the rows of each class at a point; some of them may be empty."""
        chosen = [steps[at].codes for steps, at in zip(self.ladders, point, strict=True)]
        widths = [int(codes.max(initial=0)) + 1 for codes in chosen]
        if np.prod(widths, dtype=float) <= MOST_CELLS:
            place = np.zeros(len(self.counts), np.int64)
            for codes, width in zip(chosen, widths, strict=True):
                place = place * width + codes
        else:
            total = np.zeros(len(self.counts), np.uint64)
            for number, codes in enumerate(chosen):
                total += hashing.mixed(codes.astype(np.uint64), number + 1)
            place = np.unique(total, return_inverse=True)[1]
        return np.bincount(place, self.counts)


def _loss(ladders: list[list[Step]], point: Point) -> float:
    return sum(steps[at].loss for steps, at in zip(ladders, point, strict=True))


def _best(ladders: list[list[Step]], tried: _Tried, most: float) -> Point | None:
    """Return the point of least loss that holds; None if that takes too many tries."""
    points = sorted(
        itertools.product(*(range(len(steps)) for steps in ladders)),
        key=lambda point: (_loss(ladders, point), point),
    )
    failed: list[np.ndarray] = []
    for point in points:
        here = np.array(point)
        if failed and (here <= np.array(failed)).all(axis=1).any():
            continue  # finer than one that failed
        if tried.suppressed(point) <= most:
            return point
        failed = [other for other in failed if not (other <= here).all()] + [here]
        if len(tried.known) >= MOST_TRIES:
            return None
    return points[-1]


def _greedy(ladders: list[list[Step]], tried: _Tried, most: float) -> Point:
    point = (0,) * len(ladders)
    while tried.suppressed(point) > most:
        open_ = [n for n, steps in enumerate(ladders) if point[n] < len(steps) - 1]
        if not open_:
            return point
        widest = max(open_, key=lambda n: (int(ladders[n][point[n]].codes.max(initial=0)), -n))
        point = tuple(at + (n == widest) for n, at in enumerate(point))
    order = sorted(range(len(ladders)), key=lambda n: -ladders[n][point[n]].loss)
    for n in order:
        while point[n]:
            finer = tuple(at - (m == n) for m, at in enumerate(point))
            if tried.suppressed(finer) > most:
                break
            point = finer
    return point
