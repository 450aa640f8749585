"""Floods of near copies: groups of rows that fall into one small cell of many columns.

Numbers are cut into cells of 0.1 median absolute deviations (at least one step of a whole number),
texts into two min-hashes. A cell of ten rows or more is a candidate, the strangest first; round its
rows a box is drawn over all columns. The box is a flood only if its sides would hold far fewer rows
by chance, and if a wider box does not hold many more.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import flood_boxes, hashing

SUBSETS = 16
SHARE = 0.6
FEW_SUBSETS = 24  # of FEW fine columns each: what copies share, though a third of them is fresh
FEW = 4
LEAST = 10
ALIKE = 0.5  # of a group; then it belongs to a flood that was found before
RARE = 0.1  # a value held by at most this share of the other rows tells something
TOGETHER = 0.6  # power of the product of shares: columns that go together tell less than they seem
SPARE_BITS = 6.0  # the cell must be this much rarer than a tenth of its size
CROWD = 4 / 3  # more rows than this in the wider box, and the group thins out as honest ones do
USUAL = 0.05  # of the rows; so many exact repeats are how the table is: a default, a pause
FINE = 12
MOST = 40  # groups that are tried of large subsets, and of small ones
CLIP = 2.0**40
MIN_HASHES = 2
WHOLE = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Axis:
    """One column as the grid sees it; `number` counts a text's min-hashes, WHOLE is all of it."""

    name: str
    kind: Literal["number", "value", "text"]
    unit: float = 1.0
    number: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    """Axes and the subsets of them: bool, shape (subsets, axes); shifts: 0 or 1, same shape.

    The last `small` subsets are those of few axes.
    """

    axes: tuple[Axis, ...]
    chosen: np.ndarray
    shifts: np.ndarray
    small: int


@dataclasses.dataclass(frozen=True, slots=True)
class Flood:
    """A flood: its box, its first row, its size in the sample, what was expected."""

    box: flood_boxes.Box
    first: int
    size: int
    expected: float
    members: np.ndarray


def grid(
    table: pa.Table, columns: list[str], texts: tuple[str, ...], seed: int, label: str | None = None
) -> Grid | None:
    """Lay a grid over the sample, or None if fewer than three columns are fine enough.

    The label, if it is a class, is no part of the grid's cells, only of the boxes.
    """
    axes: list[Axis] = []
    fine: list[int] = []  # places of axes, one a column
    for name in columns:
        array = hashing.whole(table[name])
        if hashing.is_number(array.type):
            values, usable = hashing.numbers(array)
            unit = _unit(values[usable])
            axes.append(Axis(name, "number", unit))
            fine += [len(axes) - 1] * (len(np.unique(_places(values[usable], unit))) >= FINE)
        elif name in texts:
            axes += [Axis(name, "text", number=n) for n in (*range(MIN_HASHES), WHOLE)]
            fine += [len(axes) - 1] * (pc.count_distinct(array).as_py() >= FINE)
        else:
            axes.append(Axis(name, "value"))
            fine += [len(axes) - 1] * (pc.count_distinct(array).as_py() >= 4 * FINE)
    if len(fine) < 3:  # noqa: PLR2004
        return None
    draw = np.random.default_rng(seed)
    chosen = _subsets(len(axes), draw)
    if label is not None and not hashing.is_number(table[label].type):
        axes.append(Axis(label, "value"))
        chosen = np.column_stack([chosen, np.zeros(len(chosen), bool)])
    shifts = draw.integers(0, 2, chosen.shape)
    few = _few(len(axes), fine, draw)
    shifts = np.concatenate([shifts, draw.integers(0, 2, few.shape)])
    return Grid(tuple(axes), np.concatenate([chosen, few]), shifts, len(few))


def _subsets(axes: int, draw: np.random.Generator) -> np.ndarray:
    """Return subsets of the axes, all of them if there are few: bool, shape (subsets, axes)."""
    size = max(3, round(SHARE * axes))
    if math.comb(axes, size) > SUBSETS:
        order: np.ndarray = draw.random((SUBSETS, axes)).argsort(1).argsort(1)
        return np.asarray(order < size)
    picks = list(itertools.combinations(range(axes), size))
    chosen = np.zeros((len(picks), axes), bool)
    for row, pick in enumerate(picks):
        chosen[row, list(pick)] = True
    return chosen


def _few(axes: int, fine: list[int], draw: np.random.Generator) -> np.ndarray:
    """Return small subsets of the fine axes, none if there are few: bool, (subsets, axes)."""
    chosen = np.zeros((FEW_SUBSETS if len(fine) > FEW else 0, axes), bool)
    for row in chosen:
        row[draw.choice(fine, FEW, replace=False)] = True
    return chosen


def _unit(values: np.ndarray) -> float:
    if len(values) == 0:
        return 1.0
    floats = np.clip(values.astype(float), -1e300, 1e300)
    spread = float(np.median(np.abs(floats - np.median(floats))))
    if spread == 0:
        spread = float(np.subtract(*np.percentile(floats, [95, 5]))) / 3
    step = 1.0 if values.dtype == np.int64 else 0.0
    return max(0.1 * spread, step, 1e-300 * float(spread > 0)) or 1.0


def _places(values: np.ndarray, unit: float, offset: float = 0.0) -> np.ndarray:
    """Return the cells' places along an axis: whole float64, far ones pulled in."""
    with np.errstate(over="ignore"):
        return np.clip(np.floor(values / unit + offset), -CLIP, CLIP)


def hashes(table: pa.Table, axes: Grid) -> np.ndarray:
    """Return the cell of each row in each subset: uint64, shape (subsets, n)."""
    cells = np.zeros((len(axes.chosen), table.num_rows), np.uint64)
    texts: dict[str, np.ndarray] = {}
    for place, axis in enumerate(axes.axes):
        array = hashing.whole(table[axis.name])
        if axis.kind == "text" and axis.name not in texts:
            texts[axis.name] = _hashed(array)
        for shift in (0, 1):
            using = axes.chosen[:, place] & (axes.shifts[:, place] == shift)
            if not using.any():
                continue
            if axis.kind == "number":
                values = _cut(array, axis.unit, 0.5 * shift)
            elif axis.kind == "text":
                values = texts[axis.name][axis.number]
            else:
                values = hashing.value_hashes(array)
            cells[using] += hashing.mixed(values, 2 * place + shift + 1)
    return cells


def _cut(array: pa.Array, unit: float, offset: float) -> np.ndarray:
    values, usable = hashing.numbers(array)
    places = _places(values, unit, offset).astype(np.int64)
    return np.where(usable, places.view(np.uint64), hashing.MISSING)


def find(table: pa.Table, axes: Grid, rows: np.ndarray) -> list[Flood]:
    """Return the floods of a sample with these row ordinals, the strangest first."""
    cells = hashes(table, axes)
    groups = [_large(cells[subset]) for subset in range(len(cells))]
    if not any(groups):
        return []
    columns = list(coordinates(table, axes, range(len(axes.axes))).values())
    is_text = [axis.kind == "text" for axis in axes.axes]
    taken = np.zeros(len(rows), bool)
    floods: list[Flood] = []
    tried = {True: 0, False: 0}
    for is_small, group in _strangest(columns, axes, groups):
        if taken[group].mean() > ALIKE or tried[is_small] >= MOST:
            continue
        tried[is_small] += 1
        box = flood_boxes.fit(columns, is_text, group)
        core, expected = _core(columns, box, len(group))
        if core is not None:  # the cell may have cut off a part: once more round all of it
            wider = flood_boxes.fit(columns, is_text, core)
            again, chance = _core(columns, wider, len(core))
            if again is not None:
                box, core, expected = wider, again, chance
            taken[core] = True
            floods.append(Flood(box, int(rows[core].min()), len(core), expected, core))
    return floods


def _strangest(
    columns: list[np.ndarray], axes: Grid, groups: list[list[np.ndarray]]
) -> list[tuple[bool, np.ndarray]]:
    """Return the groups, those first that outnumber most what their columns' shares allow.

    Those of small subsets come last, each with a word that it is of one.
    """
    logs = np.log(np.stack([shares(column) for column in columns]))
    order = []
    for subset, found in enumerate(groups):
        is_small = subset >= len(groups) - axes.small
        for place, group in enumerate(found):
            allowed = TOGETHER * logs[axes.chosen[subset], group[0]].sum()
            order.append((is_small, float(allowed - np.log(len(group))), subset, place))
    return [(is_small, groups[subset][place]) for is_small, _, subset, place in sorted(order)]


def shares(column: np.ndarray) -> np.ndarray:
    """Return the share of the rows that each row's own cell of this column holds, shape (n,)."""
    whole = column if column.dtype == np.uint64 else np.floor(column)
    _, place, counts = np.unique(whole, return_inverse=True, return_counts=True)
    held: np.ndarray = counts[place] / len(column)
    return held


def _large(cells: np.ndarray) -> list[np.ndarray]:
    """Return the members of each cell with ten rows or more."""
    order = np.argsort(cells, kind="stable")
    edges = np.flatnonzero(np.r_[True, cells[order][1:] != cells[order][:-1], True])
    full = np.flatnonzero(np.diff(edges) >= LEAST)
    return [order[edges[k] : edges[k + 1]] for k in full]


def coordinates(table: pa.Table, axes: Grid, using: Iterable[int]) -> dict[int, np.ndarray]:
    """Return columns in units of their cells (float) or as hashes (uint64), by axis number."""
    texts: dict[str, np.ndarray] = {}
    found: dict[int, np.ndarray] = {}
    for place in using:
        axis = axes.axes[place]
        array = hashing.whole(table[axis.name])
        if axis.kind == "text":
            if axis.name not in texts:
                texts[axis.name] = _hashed(array)
            found[place] = texts[axis.name][axis.number]
        elif axis.kind == "number":
            values, usable = hashing.numbers(array)
            with np.errstate(over="ignore"):
                found[place] = np.where(usable, np.clip(values / axis.unit, -CLIP, CLIP), np.inf)
        else:
            found[place] = hashing.value_hashes(array)
    return found


def _hashed(texts: pa.Array) -> np.ndarray:
    """Return the min-hashes of texts and, last, the hash of each as a whole: (hashes, n)."""
    whole = hashing.value_hashes(texts)
    return np.vstack([hashing.min_hashes(texts, MIN_HASHES), whole])


def _core(
    columns: list[np.ndarray], box: flood_boxes.Box, size: int
) -> tuple[np.ndarray | None, float]:
    """Return the rows of a flood's box, if it is one, and the rows that chance allows there."""
    rows = len(columns[0])
    rare = sum(share <= RARE for share in box.shares)
    expected = rows * float(np.prod(box.shares)) ** TOGETHER
    if rare < 3 or expected > 2.0**-SPARE_BITS * size / LEAST:  # noqa: PLR2004
        return None, expected
    place = dict(enumerate(columns))
    inner = np.flatnonzero(box.holds(place))
    if len(inner) > USUAL * rows and _are_repeats(columns, inner):
        return None, expected
    if len(inner) < LEAST or box.holds(place, outer=True).sum() > CROWD * len(inner):
        return None, expected
    return inner, expected


def _are_repeats(columns: list[np.ndarray], rows: np.ndarray) -> bool:
    """Return whether half of the rows or more repeat another cell for cell."""
    mixed = np.zeros(len(rows), np.uint64)
    for place, column in enumerate(columns):
        mixed += hashing.mixed(np.ascontiguousarray(column[rows]).view(np.uint64), place)
    return 2 * len(np.unique(mixed)) <= len(rows)


def copies(table: pa.Table, columns: list[str], texts: tuple[str, ...], seed: int) -> np.ndarray:
    """Return which rows are near copies of an earlier one, bool, shape (n,)."""
    laid = grid(table, columns, texts, seed)
    again = np.zeros(table.num_rows, bool)
    for flood in find(table, laid, np.arange(table.num_rows)) if laid else []:
        again[flood.members[flood.members > flood.first]] = True
    return again
