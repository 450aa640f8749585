"""The cheap search: values and pairs that have one label more often than anything explains.

How often a value or pair may have a label is estimated from its neighbours: adjacent values of an
ordered column, sibling values of a category and, for a pair, independence within each label. So
neither a genuine predictor (both labels change, step by step) nor correlated columns stand out.
"""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from checks.poison.encoded_columns import Atom, Field
from checks.poison.evidence_weight import unlike_moved_labels
from checks.poison.frequent_values import Frequent
from checks.poison.likely_pairs import likely_pairs

WINDOW = 4  # adjacent distinct values in each direction
LIMIT_Z = 5.0
PAIR_Z = 4.0  # lenient, since the model decides
TIED_Z = 2.0  # deviations by which rows of other labels coincide by chance
LEAST_EXCESS = 0.08  # of a pair's bound rows
LEAST_RISE = 0.02  # of the label's rate above what both values explain
MAX_SHARE = 0.05  # of the rows, bound
MAX_CARRIERS = 0.2  # of the rows, for pairs
MAX_ATOMS = 400  # per column, for pairs


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A possible trigger.

    Attributes:
        bound: rows that have it and the label; carriers: rows that have it.
        excess: bound rows beyond what its neighbours allow.
        is_sure: False if there is nothing comparable to judge it by, or it shows no spike.
        counts: of a combination of values, see `unlike_moved_labels`.
        shorter: if it grew, a candidate with fewer conditions, whose carriers include all of its.
    """

    atoms: tuple[Atom, ...]
    label: int
    bound: int
    carriers: int
    excess: float
    is_sure: bool = True
    counts: float = 0.0
    shorter: "Candidate | None" = None


def least(rows: int) -> int:
    """Return the smallest number of bound rows that counts."""
    return max(12, int(0.0005 * rows))


def singles(every: list[Field], labels: np.ndarray, classes: int) -> tuple[list[Candidate], int]:
    """Return the values that stand out, of all columns and labels, and the number of tests."""
    found: list[Candidate] = []
    low, tests = least(len(labels)), 0
    for number, field in enumerate(every):
        often = int((field.counts >= low).sum())
        tests += often * classes
        if not often:
            continue
        own = labels if field.places is None else labels[field.places]
        known = field.codes >= 0
        flat = field.codes[known] * classes + own[known]
        counts = np.bincount(flat, minlength=len(field.values) * classes).reshape(-1, classes)
        pick = _spikes if field.kind == "ordered" else _siblings
        found += pick(number, counts.astype(float), low, len(labels))
    return found, tests


def _spikes(number: int, counts: np.ndarray, low: int, rows: int) -> Iterator[Candidate]:
    """Compare each ordered value with its neighbours in both directions."""
    total = counts.sum(1)
    near_total = _neighbours(total[:, None])
    near = _neighbours(counts)
    few = len(total) < 20  # noqa: PLR2004
    for label in range(counts.shape[1]):
        bound = counts[:, label]
        around = near[:, :, label]
        expected = _between(around)
        rate = bound / np.maximum(total, 1)
        nearby = np.fmax(*((around + 0.05) / (near_total[:, :, 0] + 0.5)))
        grid_rate, grid_total = _grid(rate, total)
        nearby = np.fmax(np.nan_to_num(nearby, nan=1.0), grid_rate)
        usual = np.maximum(_between(near_total)[:, 0], grid_total)
        spike = total >= 1.25 * usual + 4 * np.sqrt(usual)
        has_both = ~np.isnan(around).any(0)
        outlying = _outlying(bound, total, np.nansum(around, 0), np.nansum(near_total[:, :, 0], 0))
        chosen = (bound >= low) & (bound >= 2 * expected + LIMIT_Z * np.sqrt(expected))
        chosen &= (rate - nearby >= 0.2) & outlying & (spike | (rate >= 0.95))  # noqa: PLR2004
        chosen &= bound <= 2 * MAX_SHARE * rows
        for code in np.flatnonzero(chosen):
            alone = bool(has_both[code]) or (
                not few and total[code] >= 5 * np.nanmax(near_total[:, code])
            )
            excess = float(bound[code] - expected[code])
            atoms = ((number, int(code)),)
            yield Candidate(atoms, label, int(bound[code]), int(total[code]), excess, alone)


def _grid(rate: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest rate and the mean count of the nearest frequent values, 0 if none."""
    highest, allowed = np.zeros(len(rate)), np.zeros(len(rate))
    for least_rows in (20, 100, 300):
        frequent = np.flatnonzero(total >= least_rows)
        if len(frequent) < 2:  # noqa: PLR2004
            break
        nearby = np.zeros((2, len(frequent)))
        nearby[0, 1:], nearby[1, :-1] = rate[frequent][:-1], rate[frequent][1:]
        highest[frequent] = np.maximum(highest[frequent], nearby.max(0))
        around = np.full((2, len(frequent)), np.nan)
        around[0, 1:], around[1, :-1] = total[frequent][:-1], total[frequent][1:]
        allowed[frequent] = np.maximum(allowed[frequent], _between(around))
    return highest, allowed


def _siblings(number: int, counts: np.ndarray, low: int, rows: int) -> Iterator[Candidate]:
    """Compare each value of a category, or token, with all others: it must be nearly pure."""
    total = counts.sum(1)
    for label in range(counts.shape[1]):
        bound = counts[:, label]
        rate = bound / np.maximum(total, 1)
        rest, rest_total = bound.sum() - bound, total.sum() - total
        outlying = _outlying(bound, total, rest, rest_total)
        chosen = (bound >= low) & (rate >= 0.9) & (bound <= 2 * MAX_SHARE * rows) & outlying  # noqa: PLR2004
        comparable = int((total >= 20).sum()) >= 4  # noqa: PLR2004
        for code in np.flatnonzero(chosen):
            excess = float(bound[code] - total[code] * rest[code] / max(rest_total[code], 1))
            atoms = ((number, int(code)),)
            yield Candidate(atoms, label, int(bound[code]), int(total[code]), excess, comparable)


def _neighbours(counts: np.ndarray) -> np.ndarray:
    """Return mean counts of the values before and after: shape (2, values, labels)."""
    sums = np.vstack([np.zeros((1, counts.shape[1])), np.cumsum(counts, axis=0)])
    place = np.arange(len(counts))
    means = []
    for start, stop in ((place - WINDOW, place), (place + 1, place + 1 + WINDOW)):
        left, right = np.clip(start, 0, len(counts)), np.clip(stop, 0, len(counts))
        width = (right - left)[:, None].astype(float)
        means.append((sums[right] - sums[left]) / np.where(width == 0, np.nan, width))
    return np.stack(means)


def _between(around: np.ndarray) -> np.ndarray:
    # counts decrease geometrically more often than linearly; a missing neighbour leaves the other
    logs = np.log(around + 0.5)
    known = (~np.isnan(logs)).sum(0)
    mean: np.ndarray = np.exp(np.nansum(logs, axis=0) / np.maximum(known, 1))
    return mean


def _outlying(
    bound: np.ndarray, total: np.ndarray, near: np.ndarray, near_total: np.ndarray
) -> np.ndarray:
    """Return which values' log odds lie outside the spread of the column's own values."""
    own = np.log((bound + 0.5) / (total - bound + 0.5))
    gap = own - np.log((near + 0.5) / (near_total - near + 0.5))
    usual = np.abs(gap[total >= 20])  # noqa: PLR2004
    spread = 1.4826 * float(np.median(usual)) if len(usual) >= 8 else 0.0  # noqa: PLR2004
    limit: np.ndarray = gap >= max(1.5, 4 * spread)
    return limit


def pairs(
    every: list[Field], labels: np.ndarray, classes: int, values: Frequent
) -> tuple[list[Candidate], int]:
    """Return the pairs of values of two columns that stand out, and the number of tests."""
    low = least(len(labels))
    found: list[Candidate] = []
    tests = 0

    @functools.lru_cache(maxsize=128)
    def places(number: int) -> tuple[np.ndarray, np.ndarray]:
        return _frequent(every[number], low)

    for left, right in likely_pairs(values, labels, classes, low):
        (codes, row), (others, column) = places(left), places(right)
        width = len(others) + 1
        size = (len(codes) + 1) * width * classes
        flat = (row * width + column) * classes + labels
        grid = np.bincount(flat, minlength=size).reshape(-1, width, classes).astype(float)
        tests += int((grid.sum(2) >= low).sum()) * classes
        for cell_left, cell_right, label, figures in _cells(grid, low):
            bound, total, excess, counts = figures
            atoms = ((left, int(codes[cell_left])), (right, int(others[cell_right])))
            found.append(Candidate(atoms, label, int(bound), int(total), excess, counts=counts))
    return found, tests


def _frequent(field: Field, low: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of frequent values, and each row's place among them (last: any other)."""
    codes = np.flatnonzero(field.counts >= low)
    if len(codes) > MAX_ATOMS:
        codes = np.sort(codes[np.argsort(-field.counts[codes], kind="stable")[:MAX_ATOMS]])
    place = np.full(len(field.counts) + 1, len(codes))
    place[codes] = np.arange(len(codes))
    return codes, place[field.codes]


@dataclasses.dataclass(frozen=True, slots=True)
class _Table:
    """Counts of two columns' values, with their sums: rows, columns, and all."""

    counts: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    whole: float

    @staticmethod
    def of(counts: np.ndarray) -> "_Table":
        return _Table(counts, counts.sum(1), counts.sum(0), float(counts.sum()))

    def margins(
        self, left: np.ndarray, right: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows that share one value of each cell, only the other, and neither."""
        own = self.counts[left, right]
        rows, columns = self.rows[left] - own, self.columns[right] - own
        return rows, columns, self.whole - rows - columns - own

    def independent(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return a cell's expectation under independence, from all but the cell itself."""
        rows, columns, others = self.margins(left, right)
        return np.asarray(rows * columns / np.maximum(others, 1))


def _cells(
    grid: np.ndarray, low: int
) -> Iterator[tuple[int, int, int, tuple[float, float, float, float]]]:
    """Test the cells of two columns' values, one label against all others."""
    total = _Table.of(grid.sum(2))
    for label in range(grid.shape[2]):
        left, right = np.nonzero(grid[:-1, :-1, label] >= low)
        if len(left) == 0:
            continue
        bound = _Table.of(grid[:, :, label])
        other = _Table.of(total.counts - bound.counts)
        mine, rest = bound.counts[left, right], other.counts[left, right]
        allowed, noise, expected_rest = _allowed(bound, other, left, right)
        z, excess = (mine - allowed) / noise, mine - allowed
        rate = mine / (mine + rest)
        chosen = (z >= PAIR_Z) & (excess >= LEAST_EXCESS * mine)
        chosen &= mine + rest <= MAX_CARRIERS * total.whole
        if not chosen.any():  # as in most tables: what follows is dear
            continue
        chosen &= z >= PAIR_Z * max(1.0, 1.14 * _usual(bound, other, left, right, z))
        chosen &= rate - _additive(bound, total, left, right) >= LEAST_RISE
        # if the columns depend on each other anyway, only a nearly pure cell is evidence
        if chosen.any() and _are_dependent(other.counts):
            chosen &= (rate >= 0.9) & (excess >= 0.5 * mine)  # noqa: PLR2004
        # a genuine interaction takes from the other labels what it gives to this one
        moved = expected_rest - rest > 0.5 * excess + 3 * np.sqrt(expected_rest)
        chosen &= ~moved | (rate >= 0.97)  # noqa: PLR2004
        variance = np.sum([1 / (part + 1) for part in other.margins(left, right)], axis=0)
        for k in np.flatnonzero(chosen):
            counts = unlike_moved_labels(
                rest[k], expected_rest[k], float(excess[k]), float(variance[k])
            )
            figures = (mine[k], mine[k] + rest[k], float(excess[k]), counts)
            yield int(left[k]), int(right[k]), label, figures


def _allowed(
    bound: _Table, other: _Table, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how many rows of a label cells may have, its noise, and the others' expectation."""
    rest = other.counts[left, right]
    expected_rest = other.independent(left, right)
    # columns that depend on each other in the other rows may do so here too, beyond chance
    together = np.maximum(rest - TIED_Z * np.sqrt(expected_rest + 1), 1) / (expected_rest + 1)
    allowed = bound.independent(left, right) * np.maximum(together, 1.0)
    # the cell's own noise, and that of what it is compared with, which is few in a small grid
    variance = sum(1 / (part + 1) for part in bound.margins(left, right))
    variance = variance + np.where(together > 1, 1 / (rest + 1), 0)
    noise = np.sqrt(allowed + allowed**2 * variance + 1)
    return allowed, noise, expected_rest


def _usual(
    bound: _Table, other: _Table, left: np.ndarray, right: np.ndarray, z: np.ndarray
) -> float:
    """Return how far cells usually are from what is allowed, without the most extreme one.

    In a small grid, one planted cell shifts the expectation of all others.
    """
    place = left[z.argmax()], right[z.argmax()]
    counts = bound.counts.copy()
    counts[place] = _allowed(bound, other, *(np.array([n]) for n in place))[0][0]
    without = _Table.of(counts)
    allowed, noise, _ = _allowed(without, other, left, right)
    apart = np.abs(counts[left, right] - allowed) / noise
    large = allowed >= 5  # noqa: PLR2004
    return float(np.median(apart[large])) if large.any() else 0.0


def _are_dependent(counts: np.ndarray) -> bool:
    """Return whether two columns depend on each other, or have too few rows to tell."""
    expected = np.outer(counts.sum(1), counts.sum(0)) / max(counts.sum(), 1)
    large = expected >= 5  # noqa: PLR2004
    if large.sum() < 8 or (counts >= 5 * expected + 10).sum() >= 3:  # noqa: PLR2004
        return True
    distance = np.abs(counts[large] - expected[large]) / np.sqrt(expected[large])
    return bool(np.median(distance) > 1.5)  # noqa: PLR2004


def _additive(bound: _Table, total: _Table, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the label's rate in cells if the odds of both values multiply."""
    odds = [
        np.log((part + 0.5) / (whole - part + 0.5))
        for part, whole in zip(bound.margins(left, right), total.margins(left, right), strict=True)
    ]
    rate: np.ndarray = 1 / (1 + np.exp(odds[2] - odds[0] - odds[1]))
    return rate
