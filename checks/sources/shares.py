"""Shares of the sources compared with the reference: abrupt growth, loss, arrival, departure."""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit.wording import percent

NOISE = 5.0  # standard deviations that are put down to chance
GAP = 0.05  # of all rows, beyond chance
TIMES = 2.0  # a share must at least double or halve


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """One source: how far its share moved, as a number and in words."""

    size: float
    evidence: str


def moved(now: pa.ChunkedArray, before: pa.ChunkedArray) -> list[Move]:
    """Return the sources whose share changed abruptly, in order of the source's name.

    Args:
        now: the source of each row, strings, shape (n,), n > 0, none missing.
        before: the same for the reference.
    """
    counts, old = (_counted(column) for column in (now, before))
    found = []
    for source in sorted(counts.keys() | old.keys()):
        share, was = counts.get(source, 0) / len(now), old.get(source, 0) / len(before)
        spread = max(share * (1 - share), was * (1 - was)) * (1 / len(now) + 1 / len(before))
        is_sudden = max(share, was) >= TIMES * min(share, was)
        if is_sudden and abs(share - was) - NOISE * float(np.sqrt(spread)) >= GAP:
            found.append(Move(abs(share - was), _in_words(share, was)))
    return found


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    counted = column.value_counts()
    if isinstance(counted, pa.ChunkedArray):
        counted = counted.combine_chunks()
    return dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))


def _in_words(share: float, was: float) -> str:
    if not was:
        return f"A source that is not in the reference supplies {percent(share)} of the rows."
    if not share:
        return f"A source that supplied {percent(was)} of the reference supplies no rows."
    return (
        f"A source supplies {percent(share)} of the rows; it supplied {percent(was)} of the "
        "reference."
    )
