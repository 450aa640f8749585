"""Ladders: ever coarser generalisations of one column, each a union of the groups before it.

Numbers go to steps of 1, 5, 10, 50, ... units; dates to month, year and decade; codes lose
characters from the end; among other categories the rare ones become `other`. The last step drops
the column. A step describes itself in words and never quotes a value.
"""

import dataclasses
import math
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import hashing
from checks.kit.wording import count

_STEPS = 6  # of a ladder, in addition to the unchanged and the dropped column
_FEW_BINS = 2
_MIDDLE = (0.005, 0.995)
_CODE = r"^[0-9A-Za-z][0-9A-Za-z -]{1,11}$"
_CODED = 0.9  # share of values that must look like a code
_RARE = (0.0005, 0.002, 0.01, 0.05)  # shares of the rows


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step: `change` in words, "" for none; codes: int64 of each class, shape (n,)."""

    change: str
    codes: np.ndarray
    loss: float


def ladder(column: pa.Array, name: str, counts: np.ndarray) -> list[Step]:
    """Return the steps of a column, finest first.

    Args:
        column: one value for each class, shape (n,).
        name: the column's name, to describe the steps.
        counts: int64 rows of each class.
    """
    kind = column.type
    raw = _coded(column)
    if pa.types.is_temporal(kind):
        made = _moments(column)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        made = _numbers(column)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        made = _codes(column) if _is_code(column) else _categories(raw, counts)
    else:
        made = []
    most = _entropy(raw, counts)
    steps = [Step("", raw, 0.0)]
    for change, codes in made:
        small = np.unique(codes, return_inverse=True)[1].astype(np.int64)
        loss = 1 - _entropy(small, counts) / most if most else 0.0
        if steps[-1].codes.max(initial=0) > small.max(initial=0) > 0:
            steps.append(Step(f"{name} {change}", small, max(loss, steps[-1].loss)))
    return [*steps, Step(f"without {name}", np.zeros(len(raw), np.int64), 1.0)]


def _coded(column: pa.Array) -> np.ndarray:
    places = column.dictionary_encode().indices
    codes: np.ndarray = places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _entropy(codes: np.ndarray, counts: np.ndarray) -> float:
    sizes = np.bincount(codes, counts)
    shares = sizes[sizes > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) if len(shares) > 1 else 0.0


def _numbers(column: pa.Array) -> list[tuple[str, np.ndarray]]:
    values, usable = hashing.numbers(column)
    floats = values.astype(float)
    if not usable.any():
        return []
    # a few extreme values must not set the width of the steps
    low, high = np.quantile(floats[usable], _MIDDLE)
    with np.errstate(over="ignore"):
        span = high - low
        if not 0 < span < math.inf:
            return []
        floats = np.clip(floats, low - span, high + span)
    least = span / 200
    power = math.floor(math.log10(least))
    made = []
    for exponent in range(power, min(power + _STEPS, sys.float_info.max_10_exp)):
        for factor in (1, 5):
            width = factor * 10.0**exponent
            if least <= width and width / _FEW_BINS <= span:
                bins = np.floor(floats / width)
                # a missing number stays a value of its own
                codes = np.where(usable, bins, bins[usable].min() - 1)
                made.append((f"in steps of {width:g}", codes))
    return made


def _moments(column: pa.Array) -> list[tuple[str, np.ndarray]]:
    if not (pa.types.is_date(column.type) or pa.types.is_timestamp(column.type)):
        return []
    years = pc.year(column).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    months = pc.month(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    days = pc.day(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return [
        ("to the day", (years * 12 + months) * 32 + days),
        ("to the month", years * 12 + months),
        ("to the year", years),
        ("to the decade", years // 10),
    ]


def _is_code(column: pa.Array) -> bool:
    known = column.drop_null()
    if not len(known):
        return False
    fits = pc.and_(pc.match_substring_regex(known, _CODE), pc.match_substring_regex(known, "[0-9]"))
    return bool(pc.mean(fits.cast(pa.float64())).as_py() >= _CODED)


def _codes(column: pa.Array) -> list[tuple[str, np.ndarray]]:
    longest = pc.max(pc.utf8_length(column)).as_py()
    return [
        (
            f"to its first {count(kept, 'character')}",
            _coded(pc.utf8_slice_codeunits(column, 0, kept)),
        )
        for kept in range(longest - 1, 0, -1)
    ]


def _categories(raw: np.ndarray, counts: np.ndarray) -> list[tuple[str, np.ndarray]]:
    sizes = np.bincount(raw, counts)
    made = []
    for share in _RARE:
        rare = sizes < share * counts.sum()
        if rare.any():
            codes = np.where(rare[raw], len(sizes), raw)
            made.append((f"with categories under {share:.2%} of the rows as 'other'", codes))
    return made
