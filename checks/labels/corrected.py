"""Classes that persons corrected: what the models learn from, in place of the rows' own.

Only the models learn from them. The estimate of how many labels are wrong sees the labels as they
came, since those to come are as often wrong; and a row is still judged by its own label, by models
that did not see it.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

Corrected = Mapping[int, str]  # by row


def codes(
    given: np.ndarray, rows: pa.ChunkedArray, corrected: Corrected, classes: tuple[str, ...]
) -> np.ndarray:
    """Return the classes to learn: int64, shape (n,), -1 for rows that are not learnt from.

    Args:
        given: codes of the rows' own labels, int64, shape (n,).
        rows: their ordinals, int64, length n.
        corrected: labels by row.
        classes: names of the classes.
    """
    if not corrected:
        return given
    ordinals = rows.to_numpy()
    code = {name: number for number, name in enumerate(classes)}
    made = given.copy()
    for place in np.flatnonzero(np.isin(ordinals, np.fromiter(corrected, np.int64))):
        made[place] = code.get(corrected[int(ordinals[place])], -1)
    # a class must not vanish from what is learnt because its rows were corrected
    is_whole = set(made[made >= 0].tolist()) == set(given[given >= 0].tolist())
    return made if is_whole else given
