"""Floods of near copies: groups of rows that fall into one small cell of many columns.

Numbers are cut into cells of 0.1 median absolute deviations (at least one step of a whole number),
texts into two min-hashes. A cell that holds ten rows or more is a flood only if its columns' own
distributions allow far fewer, and if the cells around it do not hold many more: honest crowds thin
out gradually, copies stop at once.
"""

import dataclasses
import itertools
import math
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import sketches

SUBSETS = 16
SHARE = 0.6
LEAST = 10
VOTES = 2
RARE = 0.1  # a value held by at most this share of the other rows tells something
SPARE_BITS = 6.0  # the cell must be this much rarer than a tenth of its size
FINE = 12
MOST = 40
CLIP = 2.0**40
EMPTY = np.zeros(0, np.uint64)


@dataclasses.dataclass(frozen=True, slots=True)
class Axis:
    """One column as the grid sees it; `number` counts the min-hashes of a text."""

    name: str
    kind: Literal["number", "value", "text"]
    unit: float = 1.0
    number: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    """Axes and the subsets of them: bool, shape (subsets, axes); shifts: 0 or 1, same shape."""

    axes: tuple[Axis, ...]
    chosen: np.ndarray
    shifts: np.ndarray


@dataclasses.dataclass(frozen=True, slots=True)
class Flood:
    """A flood: its cells per subset, its first row, its size in the sample, what was expected."""

    cells: tuple[np.ndarray, ...]
    first: int
    size: int
    expected: float
    members: np.ndarray


def grid(table: pa.Table, columns: list[str], texts: tuple[str, ...], seed: int) -> Grid | None:
    """Lay a grid over the sample, or None if fewer than three columns are fine enough."""
    axes: list[Axis] = []
    fine = 0
    for name in columns:
        array = sketches.whole(table[name])
        if sketches.is_number(array.type):
            values, usable = sketches.numbers(array)
            unit = _unit(values[usable])
            axes.append(Axis(name, "number", unit))
            fine += len(np.unique(_places(values[usable], unit))) >= FINE
        elif name in texts:
            axes += [Axis(name, "text", number=n) for n in range(2)]
            fine += pc.count_distinct(array).as_py() >= FINE
        else:
            axes.append(Axis(name, "value"))
            fine += pc.count_distinct(array).as_py() >= 4 * FINE
    if fine < 3:  # noqa: PLR2004
        return None
    draw = np.random.default_rng(seed)
    chosen = _subsets(len(axes), draw)
    return Grid(tuple(axes), chosen, draw.integers(0, 2, chosen.shape))


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
        array = sketches.whole(table[axis.name])
        if axis.kind == "text" and axis.name not in texts:
            texts[axis.name] = sketches.min_hashes(array, 2)
        for shift in (0, 1):
            using = axes.chosen[:, place] & (axes.shifts[:, place] == shift)
            if not using.any():
                continue
            if axis.kind == "number":
                values = _cut(array, axis.unit, 0.5 * shift)
            elif axis.kind == "text":
                values = texts[axis.name][axis.number]
            else:
                values = sketches.value_hashes(array)
            cells[using] += sketches.mixed(values, 2 * place + shift + 1)
    return cells


def _cut(array: pa.Array, unit: float, offset: float) -> np.ndarray:
    values, usable = sketches.numbers(array)
    places = _places(values, unit, offset).astype(np.int64)
    return np.where(usable, places.view(np.uint64), sketches.MISSING)


def find(table: pa.Table, axes: Grid, rows: np.ndarray) -> list[Flood]:
    """Return the floods of a sample with these row ordinals, largest first."""
    cells = hashes(table, axes)
    groups = [_large(cells[subset]) for subset in range(len(cells))]
    order = sorted(
        (
            (-len(group), subset, int(group[0]))
            for subset, found in enumerate(groups)
            for group in found
        )
    )
    columns = [_coordinates(table, axis) for axis in axes.axes] if order else []
    taken = np.zeros(len(rows), bool)
    tried = 0
    floods: list[Flood] = []
    for size, subset, member in order:
        if taken[member] or tried >= MOST:
            continue
        tried += 1
        core, expected = _core(columns, axes, subset, member, -size)
        if core is None:
            continue
        inside = np.zeros(len(rows), bool)
        inside[core] = True
        found = tuple(_cells(cells[s], groups[s], inside) for s in range(len(cells)))
        taken |= inside
        floods.append(Flood(found, int(rows[core].min()), len(core), expected, core))
    return floods


def _large(cells: np.ndarray) -> list[np.ndarray]:
    """Return the members of each cell with ten rows or more."""
    order = np.argsort(cells, kind="stable")
    edges = np.flatnonzero(np.r_[True, cells[order][1:] != cells[order][:-1], True])
    full = np.flatnonzero(np.diff(edges) >= LEAST)
    return [order[edges[k] : edges[k + 1]] for k in full]


def _cells(cells: np.ndarray, groups: list[np.ndarray], inside: np.ndarray) -> np.ndarray:
    """Return the cells that belong to a flood: four fifths of their rows do."""
    kept = [cells[g[0]] for g in groups if inside[g].mean() >= 0.8]  # noqa: PLR2004
    return np.sort(np.array(kept, np.uint64)) if kept else EMPTY


def _coordinates(table: pa.Table, axis: Axis) -> np.ndarray:
    """Return a column in units of its cells (float), or its hashes (uint64)."""
    array = sketches.whole(table[axis.name])
    if axis.kind == "number":
        values, usable = sketches.numbers(array)
        with np.errstate(over="ignore"):
            return np.where(usable, np.clip(values / axis.unit, -CLIP, CLIP), np.inf)
    if axis.kind == "text":
        return np.asarray(sketches.min_hashes(array, 2)[axis.number])
    return sketches.value_hashes(array)


def _core(
    columns: list[np.ndarray], axes: Grid, subset: int, member: int, size: int
) -> tuple[np.ndarray | None, float]:
    """Return the flood around a row, if it is one, and the rows that chance allows there."""
    using = np.flatnonzero(axes.chosen[subset])
    rows = len(columns[0])
    bits, rare = 0.0, 0
    for place in using:
        near = _near(columns[place], member, 1.5)
        share = max(int(near.sum()) - size, 1) / max(rows - size, 1)
        if share <= RARE:
            bits, rare = bits - np.log2(share), rare + 1
    expected = rows * 2.0**-bits
    if rare < 3 or expected > 2.0**-SPARE_BITS * size / LEAST:  # noqa: PLR2004
        return None, expected
    inner = np.arange(rows)
    for place in using:
        inner = inner[_near(columns[place], member, 4.0, inner)]
    outer = len(inner)
    for place in using:
        inner = inner[_near(columns[place], member, 1.5, inner)]
    if len(inner) < LEAST or outer > 2 * len(inner):
        return None, expected
    return inner, expected


def _near(
    column: np.ndarray, member: int, reach: float, among: np.ndarray | None = None
) -> np.ndarray:
    values = column if among is None else column[among]
    if column.dtype == np.uint64 or np.isinf(column[member]):
        return np.asarray(values == column[member])
    return np.asarray(np.abs(values - column[member]) <= reach)


def votes(cells: np.ndarray, flood: Flood) -> np.ndarray:
    """Return how many subsets place each row in the flood: shape (n,)."""
    total = np.zeros(cells.shape[1], np.int64)
    for subset, known in enumerate(flood.cells):
        if len(known):
            place = np.minimum(np.searchsorted(known, cells[subset]), len(known) - 1)
            total += known[place] == cells[subset]
    return total
