"""Near copies among a trigger's rows: copies of one row share all its values, which is no trigger.

Copies are costly to find in a whole sample. So some rows of each group are searched together with
other rows first, and all rows only if many of a group are copies.
"""

import numpy as np
import pyarrow as pa

from checks.kit import copy_floods

TRIED = 100  # rows of a group, at most
BESIDE, MORE = 4_000, 24  # other rows searched beside them, at least: in all, and for each
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
    none = np.zeros(rows.num_rows, bool)
    draw = np.random.default_rng(seed)
    tried = [draw.permutation(group)[:TRIED] for group in groups if len(group)]
    if not tried:
        return none
    own = np.unique(np.concatenate(tried))
    others = draw.permutation(rows.num_rows)[: max(BESIDE, MORE * len(own))]
    some = np.unique(np.concatenate([own, others]))
    again = none.copy()
    again[some] = copy_floods.copies(rows.take(pa.array(some)), columns, texts, seed)
    if not any(again[group].mean() >= COPIED for group in tried):
        return none
    if len(some) == rows.num_rows:
        return again
    return copy_floods.copies(rows, columns, texts, seed)
