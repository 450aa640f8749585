"""The bounding box of a group of near copies: what they share in each column, and who else fits.

A number's side is as wide as the group's own jitter, a category's or min-hash's is one value;
columns that the copies do not share have no side. Copies end at the walls: a box of nearly three
times the width, and two more values each way, holds hardly more rows. Natural clusters thin out
gradually.
"""

import dataclasses

import numpy as np

INNER = 0.9  # share of a group that sets the width of its box
SHARED = 0.8  # share of a group that must hold one value for a column to have a side
NARROW = 0.5  # a side that holds more of the other rows is uninformative
WIDER = 8 / 3
STEPS = 2  # values beyond the walls, where values are few and far between
MISSES = 0.2  # share of the numeric and text sides that a row may miss


@dataclasses.dataclass(frozen=True, slots=True)
class Side:
    """One column of a box: `reach` around `centre` in cells, or exactly `value`; `outer`: wider."""

    axis: int
    centre: float = 0.0
    reach: float = 0.0
    outer: float = 0.0
    value: np.uint64 | None = None
    may_miss: bool = True

    def holds(self, column: np.ndarray, *, outer: bool = False) -> np.ndarray:
        """Return which values lie within: bool, shape as `column`."""
        if self.value is not None:
            return np.asarray(column == self.value)
        if np.isinf(self.centre):  # a missing number
            return np.asarray(column == self.centre)
        return np.asarray(np.abs(column - self.centre) <= (self.outer if outer else self.reach))


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    """The informative sides; shares: of the other rows that each holds, same order."""

    sides: tuple[Side, ...]
    shares: tuple[float, ...]

    def holds(self, columns: dict[int, np.ndarray], *, outer: bool = False) -> np.ndarray:
        """Return which rows lie within all sides but a few: bool, shape (n,).

        `columns` maps the number of an axis to its coordinates, shape (n,).
        """
        free = [side for side in self.sides if side.may_miss]
        misses = np.zeros(len(columns[self.sides[0].axis]), np.int16)
        for side in self.sides:
            cost = 1 if side.may_miss else len(self.sides) + 1
            misses += cost * ~side.holds(columns[side.axis], outer=outer)
        return misses <= int(MISSES * len(free))


def fit(columns: list[np.ndarray], is_text: list[bool], group: np.ndarray) -> Box:
    """Return the box around the rows `group`.

    Args:
        columns: coordinates in cells (float64, inf where missing) or hashes (uint64), shape (n,).
        is_text: of each column, whether its hashes are those of a text.
        group: int64, ordinals of the rows, at least one.
    """
    found = [_side(n, column, group, is_text=is_text[n]) for n, column in enumerate(columns)]
    sides = [side for side in found if side is not None]
    if not sides:
        return Box((), ())
    # the group is only a part of the copies: none of them may count among the other rows
    others = ~Box(tuple(sides), ()).holds(dict(enumerate(columns)))
    rows = max(int(others.sum()), 1)
    shares = [max(int(s.holds(columns[s.axis])[others].sum()), 1) / rows for s in sides]
    kept = [(side, share) for side, share in zip(sides, shares, strict=True) if share <= NARROW]
    return Box(tuple(side for side, _ in kept), tuple(share for _, share in kept))


def _side(axis: int, column: np.ndarray, group: np.ndarray, *, is_text: bool) -> Side | None:
    own = column[group]
    if own.dtype == np.uint64:
        values, counts = np.unique(own, return_counts=True)
        most = int(counts.argmax())
        is_shared = counts[most] >= SHARED * len(own)
        return Side(axis, value=values[most], may_miss=is_text) if is_shared else None
    known = own[~np.isinf(own)]
    if len(known) < SHARED * len(own):
        is_shared = len(known) <= (1 - SHARED) * len(own)
        return Side(axis, centre=np.inf) if is_shared else None
    centre = float(np.median(known))
    # at least one cell, since values are rounded; some slack, since the group is only a sample
    reach = max(1.0, 1.25 * float(np.quantile(np.abs(known - centre), INNER)))
    return Side(axis, centre, reach, max(WIDER * reach, _beyond(column, centre, reach)))


def _beyond(column: np.ndarray, centre: float, reach: float) -> float:
    """Return the distance to the second value beyond a wall, the larger of the two walls."""
    farthest = 0.0
    for sign in (1.0, -1.0):
        away = sign * (column[~np.isinf(column)] - centre)
        beyond = away[away > reach]
        for _ in range(STEPS):
            if len(beyond):
                farthest = max(farthest, float(beyond.min()))
                beyond = beyond[beyond > beyond.min()]
    return farthest
