"""Floods of near copies: groups of rows that fall into one small cell of many columns.

Numbers are cut into cells of 0.1 median absolute deviations (at least one step of a whole number),
texts into two min-hashes. A key (`lsh`) of ten rows or more is a candidate, the least probable
first; a box over all columns is fitted to its rows. The box is a flood only if its sides would hold
far fewer rows by chance, and if a wider box does not hold many more.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import flood_boxes, hashing, lsh
from checks.kit.lsh import CLIP, LEAST_COLUMNS, SUBSETS, TOGETHER, shares

FEW_SUBSETS = 24  # of FEW fine columns each: copies share them even if a third of them is new
FEW = 4
LEAST = 10
ALIKE = 0.5  # of a group; then it belongs to a flood that was found before
RARE = 0.1  # a value is rare if at most this share of the other rows holds it
SPARE_BITS = 6.0  # the cell must be this much rarer than a tenth of its size
LARGE = 0.08  # of the rows; so large a group needs fewer spare bits if its box is tight
LARGE_BITS = 2.0
FEW_ROWS = 5_000  # up to which cells of WIDE units are tried too: copies need not be as close
WIDE = 4.0
WIDE_SHARES = (0.15, 0.4)  # of the rows that a group of wide cells holds; more are the table itself
TIGHT = 3.0  # cells: how far a tight box reaches from its centre in any column
CROWD = 4 / 3  # with more rows than this in the wider box, the group thins out like natural ones
USUAL = 0.05  # of the rows; more exact repeats are a property of the table: a default, a pause
FINE = 12
MOST = 40  # groups to try from large subsets, and from small ones
MIN_HASHES = 2
SPARSE = 2  # bits: of the parts of a hash there are so many times more than rows, as a power of 2
WHOLE = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the grid; `number` selects a text's min-hash, WHOLE the text itself."""

    name: str
    kind: Literal["number", "value", "text"]
    unit: float = 1.0
    number: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Hashes:
    """The hashes of one table's columns, computed once: by name, uint64, shape (hashes, n).

    Of a text its min-hashes and, last, the hash of it as a whole.
    """

    made: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def of(self, array: pa.Array, axis: Axis) -> np.ndarray:
        """Return the hashes of an axis, not of a number, shape (n,); `array` is its column."""
        if axis.name not in self.made:
            whole = hashing.value_hashes(array)[None, :]
            is_text = axis.kind == "text"
            more = [hashing.min_hashes(array, MIN_HASHES)] if is_text else []
            self.made[axis.name] = np.vstack([*more, whole])
        found: np.ndarray = self.made[axis.name][axis.number]
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    """Axes, and subsets of them: bool, shape (subsets, axes); shifts: 0 or 1, same shape.

    The last `small` subsets have few axes.
    """

    axes: tuple[Axis, ...]
    chosen: np.ndarray
    shifts: np.ndarray
    small: int


@dataclasses.dataclass(frozen=True, slots=True)
class Flood:
    """A flood: its box, its first row, its size in the sample, the size expected by chance."""

    box: flood_boxes.Box
    first: int
    size: int
    expected: float
    members: np.ndarray


def grid(
    table: pa.Table, columns: list[str], texts: tuple[str, ...], seed: int, label: str | None = None
) -> Grid | None:
    """Lay a grid over the sample; None if fewer than three columns are fine enough.

    A label that is a class belongs to the boxes only, not to the grid's cells.
    """
    axes: list[Axis] = []
    fine: list[int] = []  # places of axes, one a column
    for name in columns:
        array = hashing.whole(table[name])
        if hashing.is_number(array.type):
            values, usable = hashing.numbers(array)
            unit = _unit(values[usable])
            axes.append(Axis(name, "number", unit))
            fine += [len(axes) - 1] * (len(np.unique(lsh.places(values[usable], unit))) >= FINE)
        elif name in texts:
            axes += [Axis(name, "text", number=n) for n in (*range(MIN_HASHES), WHOLE)]
            fine += [len(axes) - 1] * (pc.count_distinct(array).as_py() >= FINE)
        else:
            axes.append(Axis(name, "value"))
            fine += [len(axes) - 1] * (pc.count_distinct(array).as_py() >= 4 * FINE)
    if len(fine) < LEAST_COLUMNS:
        return None
    draw = np.random.default_rng(seed)
    chosen = _subsets(len(axes), draw)
    if label is not None and not hashing.is_number(table[label].type):
        axes.append(Axis(label, "value"))
        chosen = np.column_stack([chosen, np.zeros(len(chosen), bool)])
    shifts = draw.integers(0, 2, chosen.shape)
    few = lsh.subsets(FEW_SUBSETS * (len(fine) > FEW), len(axes), np.array(fine), FEW, draw)
    shifts = np.concatenate([shifts, draw.integers(0, 2, few.shape)])
    return Grid(tuple(axes), np.concatenate([chosen, few]), shifts, len(few))


def _subsets(axes: int, draw: np.random.Generator) -> np.ndarray:
    """Return random subsets of the axes, or all if they are few: bool, shape (subsets, axes)."""
    size = lsh.size_of(axes)
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


def hashes(table: pa.Table, axes: Grid, known: Hashes | None = None) -> np.ndarray:
    """Return the cell of each row in each subset: uint64, shape (subsets, n).

    `known` are the hashes of the table's own columns, which are computed where it has none.
    """
    known = Hashes() if known is None else known
    return lsh.keys(_columns(table, axes, known), len(axes.chosen), table.num_rows)


def _columns(table: pa.Table, axes: Grid, known: Hashes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the hashes of each axis and shift, and the subsets that use them."""
    for place, axis in enumerate(axes.axes):
        array = hashing.whole(table[axis.name])
        for shift in (0, 1):
            using = axes.chosen[:, place] & (axes.shifts[:, place] == shift)
            if not using.any():
                continue
            if axis.kind == "number":
                values = lsh.cells(*hashing.numbers(array), axis.unit, 0.5 * shift)
            else:
                values = known.of(array, axis)
            yield hashing.mixed(values, 2 * place + shift + 1), using


def find(table: pa.Table, axes: Grid, rows: np.ndarray) -> list[Flood]:
    """Return the floods of a sample with these row ordinals, the least probable first."""
    known = Hashes()
    groups = [_large(cells) for cells in hashes(table, axes, known)]
    if table.num_rows <= FEW_ROWS:
        wide = dataclasses.replace(axes, axes=tuple(_widened(axis) for axis in axes.axes))
        for found, cells in zip(groups, hashes(table, wide, known), strict=True):
            low, high = (share * len(cells) for share in WIDE_SHARES)
            found += [group for group in _large(cells) if low <= len(group) <= high]
    if not any(groups):
        return []
    columns = list(coordinates(table, axes, range(len(axes.axes)), known).values())
    is_text = [axis.kind == "text" for axis in axes.axes]
    is_flooded = np.zeros(len(rows), bool)
    floods: list[Flood] = []
    tried = {True: 0, False: 0}
    for is_small, group in _least_probable(columns, axes, groups):
        if is_flooded[group].mean() > ALIKE or tried[is_small] >= MOST:
            continue
        tried[is_small] += 1
        box = flood_boxes.fit(columns, is_text, group)
        core, expected = _core(columns, box, len(group))
        if core is not None:  # the cell may have cut off a part: fit once more to the whole
            wider = flood_boxes.fit(columns, is_text, core)
            again, chance = _core(columns, wider, len(core))
            if again is not None:
                box, core, expected = wider, again, chance
            is_flooded[core] = True
            floods.append(Flood(box, int(rows[core].min()), len(core), expected, core))
    return floods


def _widened(axis: Axis) -> Axis:
    return dataclasses.replace(axis, unit=WIDE * axis.unit)


def _least_probable(
    columns: list[np.ndarray], axes: Grid, groups: list[list[np.ndarray]]
) -> list[tuple[bool, np.ndarray]]:
    """Return the groups, those first that most outnumber what their columns' shares allow.

    Groups of small subsets come last; each group says whether its subset is small.
    """
    logs = np.log(np.stack([shares(column) for column in columns]))
    order = []
    for subset, found in enumerate(groups):
        is_small = subset >= len(groups) - axes.small
        for place, group in enumerate(found):
            allowed = TOGETHER * logs[axes.chosen[subset], group[0]].sum()
            order.append((is_small, float(allowed - np.log(len(group))), subset, place))
    return [(is_small, groups[subset][place]) for is_small, _, subset, place in sorted(order)]


def _large(cells: np.ndarray) -> list[np.ndarray]:
    """Return the members of each cell with ten rows or more, ascending."""
    # most cells hold few rows: parts of the hash show which cannot hold ten, without a sort
    bits = np.uint64(max(8, len(cells).bit_length() + SPARSE))
    part = (cells >> (np.uint64(64) - bits)).astype(np.int64)
    rows = np.flatnonzero(np.bincount(part)[part] >= LEAST)
    order = rows[np.argsort(cells[rows], kind="stable")]
    ranked = cells[order]
    edges = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1], True])
    full = np.flatnonzero(np.diff(edges) >= LEAST)
    return [order[edges[k] : edges[k + 1]] for k in full]


def coordinates(
    table: pa.Table, axes: Grid, using: Iterable[int], known: Hashes | None = None
) -> dict[int, np.ndarray]:
    """Return columns in units of their cells (float) or as hashes (uint64), by axis number."""
    known = Hashes() if known is None else known
    found: dict[int, np.ndarray] = {}
    for place in using:
        axis = axes.axes[place]
        array = hashing.whole(table[axis.name])
        if axis.kind == "number":
            values, usable = hashing.numbers(array)
            with np.errstate(over="ignore"):
                found[place] = np.where(usable, np.clip(values / axis.unit, -CLIP, CLIP), np.inf)
        else:
            found[place] = known.of(array, axis)
    return found


def _core(
    columns: list[np.ndarray], box: flood_boxes.Box, size: int
) -> tuple[np.ndarray | None, float]:
    """Return the rows of a box if it is a flood, and the number that chance allows there."""
    rows = len(columns[0])
    rare = sum(share <= RARE for share in box.shares)
    expected = rows * float(np.prod(box.shares)) ** TOGETHER
    if rare < LEAST_COLUMNS or expected > 2.0 ** -_bits(box, size, rows) * size / LEAST:
        return None, expected
    place = dict(enumerate(columns))
    inner = np.flatnonzero(box.holds(place))
    if len(inner) > USUAL * rows and _are_repeats(columns, inner):
        return None, expected
    if len(inner) < LEAST or box.holds(place, outer=True).sum() > CROWD * len(inner):
        return None, expected
    return inner, expected


def _bits(box: flood_boxes.Box, size: int, rows: int) -> float:
    """Return how many bits rarer than a tenth of its size a box must be.

    In a table of a few hundred rows no cell can be rare enough: the shares of the other rows cannot
    be smaller than one in a hundred or so. A tight box with a good part of all rows needs less.
    """
    is_tight = all(side.value is not None or side.reach <= TIGHT for side in box.sides)
    return LARGE_BITS if is_tight and size >= LARGE * rows else SPARE_BITS


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
