"""Near copies among a trigger's rows: copies of one row share all its values, which is no trigger.

Copies are costly to find in a whole sample. So some rows of each group are searched together with
other rows, and only the boxes of the floods found there are laid over the whole sample.
"""

import numpy as np
import pyarrow as pa

from checks.kit import copy_floods, flood_boxes

TRIED = 60  # rows of a group, at most
BESIDE, MORE = 4_000, 12  # other rows searched beside them, at least: in all, and for each
COPIED = 0.2  # share of these that are copies, from which a group may be made of them


def copies(
    rows: pa.Table, columns: list[str], texts: tuple[str, ...], groups: list[np.ndarray], seed: int
) -> np.ndarray:
    """Return which rows are near copies of an earlier one, bool, shape (n,): none if no group is.

    Args:
        rows: the sample.
        columns: to compare.
        texts: those of them that are texts.
        groups: ordinals of rows, int64, one array each.
        seed: for everything random.
    """
    again = np.zeros(rows.num_rows, bool)
    draw = np.random.default_rng(seed)
    tried = [draw.permutation(group)[:TRIED] for group in groups if len(group)]
    if not tried:
        return again
    own = np.unique(np.concatenate(tried))
    others = draw.permutation(rows.num_rows)[: max(BESIDE, MORE * len(own))]
    some = np.unique(np.concatenate([own, others]))
    part = rows.take(pa.array(some))
    laid = copy_floods.grid(part, columns, texts, seed)
    if laid is None:
        return again
    floods = copy_floods.find(part, laid, some)
    for flood in floods:
        again[some[flood.members]] = True
        again[flood.first] = False
    if not any(again[group].mean() >= COPIED for group in tried):
        return np.zeros(rows.num_rows, bool)
    for flood in floods if len(some) < rows.num_rows else ():
        again[_within(rows, laid, flood.box)] = True
        again[flood.first] = False
    return again


def _within(rows: pa.Table, laid: copy_floods.Grid, box: flood_boxes.Box) -> np.ndarray:
    """Return the ordinals of the rows within a box; only rows that its numbers fit are hashed."""
    numbers = [side for side in box.sides if laid.axes[side.axis].kind == "number"]
    placed = copy_floods.coordinates(rows, laid, [side.axis for side in numbers])
    missed = np.zeros(rows.num_rows, np.int64)
    for side in numbers:
        missed += ~side.holds(placed[side.axis])
    left = np.flatnonzero(missed <= flood_boxes.MISSES * len(box.sides))
    axes = [side.axis for side in box.sides]
    within: np.ndarray = left[
        box.holds(copy_floods.coordinates(rows.take(pa.array(left)), laid, axes))
    ]
    return within
