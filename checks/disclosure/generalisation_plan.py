"""The plan: the smallest generalisation of the quasi-identifiers whose classes all reach k.

Each choice of one step per column is a point of a lattice. A coarser point never needs more rows
left out, so points are tried in order of loss, skipping all that are finer than a failed one; the
first that reaches k is the best. If the lattice is too large, the column with the most values is
coarsened until k is reached (Datafly); then each column is refined as far as k still holds.
Loss: 1 - entropy of the coarser column / entropy of the column, summed over the columns.
"""

import dataclasses
import itertools

import numpy as np

from checks.disclosure.equivalence_classes import Classes
from checks.disclosure.generalisation_ladders import Step, ladder
from checks.kit import hashing
from checks.kit.wording import percent

MOST_TRIES = 100
MOST_POINTS = 20_000
MOST_CELLS = 1 << 22
Point = tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """A change that makes every class reach k.

    Attributes:
        steps: in words, one per changed column.
        suppressed: share of the rows that must still be left out, in [0, 1].
        alone: share to leave out if no column is changed.
        k: rows of the smallest class then; is_best: whether no smaller change reaches it.
    """

    steps: tuple[str, ...]
    suppressed: float
    alone: float
    k: int
    is_best: bool

    def sentence(self) -> str:
        """Return the plan in words."""
        alone, suppressed = percent(self.alone, 2), percent(self.suppressed, 2)
        if not self.steps:
            return f"To reach k = {self.k}, leave out {alone} of the rows."
        kind = "The smallest change" if self.is_best else "A change"
        more = f", with {suppressed} of the rows left out" if self.suppressed else ""
        return (
            f"{kind} that reaches k = {self.k}: {'; '.join(self.steps)}{more}. "
            f"Without changing any column, {alone} of the rows must be left out."
        )


def propose(classes: Classes, columns: list[str], k: int, most: float) -> Plan:
    """Return the smallest change that reaches k.

    Args:
        classes: all classes, or a sample of them.
        columns: the quasi-identifiers.
        k: least number of rows in a class.
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
    changes = tuple(steps[at].change for steps, at in zip(ladders, point, strict=True) if at)
    is_best = found is not None and classes.is_whole
    return Plan(changes, tried.suppressed(point), alone, k, is_best=is_best)


class _Tried:
    """The share to leave out at each point that was tried."""

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
        """Return the number of rows in each class at a point; some may be 0."""
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
    """Return the point of least loss that reaches k; None if that takes too many tries."""
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
