"""Shares of the sources now against the reference: who grew, shrank, came or went at once."""

import dataclasses

import numpy as np
import pyarrow as pa

NOISE = 5.0  # standard deviations that are put down to chance
GAP = 0.05  # of all rows, beyond chance
TIMES = 2.0  # a share must at least double or halve


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """One source: how far its share moved, and that in words."""

    size: float
    told: str


def moved(now: pa.ChunkedArray, before: pa.ChunkedArray) -> list[Move]:
    """Return the sources whose share changed suddenly, by name of the source.

    Args:
        now: the source of each row, strings, shape (n,), n > 0, none missing.
        before: the same of the reference.
    """
    counts, old = (_counted(column) for column in (now, before))
    found = []
    for source in sorted(counts.keys() | old.keys()):
        share, was = counts.get(source, 0) / len(now), old.get(source, 0) / len(before)
        spread = max(share * (1 - share), was * (1 - was)) * (1 / len(now) + 1 / len(before))
        is_sudden = max(share, was) >= TIMES * min(share, was)
        if is_sudden and abs(share - was) - NOISE * float(np.sqrt(spread)) >= GAP:
            found.append(Move(abs(share - was), _told(share, was)))
    return found


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    counted = column.value_counts()
    if isinstance(counted, pa.ChunkedArray):
        counted = counted.combine_chunks()
    return dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))


def _told(share: float, was: float) -> str:
    if not was:
        return f"A source that the reference lacks supplies {share:.1%} of the rows."
    if not share:
        return f"A source that supplied {was:.1%} of the reference supplies no row."
    return f"A source supplies {share:.1%} of the rows; it supplied {was:.1%} of the reference."
