"""A source among the nights before it: share, labels and findings that change at once.

A night stands out if no earlier one came near it, so weekends that were seen once are no change.
What all sources do together is no change of one (see drift): labels and findings are measured
against those of the other sources. Remembered are counts by a number of the source that cannot be
read; of columns with a role of persons nothing.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings
from checks.kit.hashed_values import opaque

RULE = "ASSAY-K022"
LEAST_NIGHTS = 5
NIGHTS = 28  # that are looked back on
MOST = 50  # sources that are remembered, the largest
LEAST = 50  # rows of a source, for its labels and findings
NOISE = 5.0  # standard deviations that are put down to chance
TIMES = 2.0  # a share must at least double or halve
SEEN = {
    "share": "share of the rows",
    "label": "share of one label, against the other sources,",
    "found": "share of rows that the checks name, against the other sources,",
}
LIMITS = {"share": (0.05, 0.25), "label": (0.05, 0.2), "found": (0.03, 0.2)}  # warning, error
Counts = Mapping[str, Sequence[int]]  # by source: how many, of how many rows
Night = Mapping[str, Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """A share or a difference of two, and its variance by chance."""

    size: float
    variance: float


def numbers(names: pa.ChunkedArray | pa.Array) -> list[str]:
    """Return the unreadable number of each source, as text, in order."""
    return [str(number) for number in opaque(names).to_pylist()]


def remembered(owner: pa.ChunkedArray, label: pa.ChunkedArray | None) -> dict[str, Any]:
    """Return what later nights are to know of the sources and, by label, of what they say.

    Args:
        owner: the source of each row, strings, shape (n,), none missing.
        label: of the same rows; None, or of many values, is not remembered.
    """
    counted = {item["values"]: item["counts"] for item in owner.value_counts().to_pylist()}
    largest = sorted(counted, key=lambda name: (-counted[name], name))[:MOST]
    keys = dict(zip(largest, numbers(pa.array(largest, pa.string())), strict=True))
    kept: dict[str, Any] = {
        "share": {keys[name]: [counted[name], len(owner)] for name in largest},
        "whole": len(counted) <= MOST,
    }
    if label is not None:
        kept["label"] = _by_label(owner, label, keys)
    return kept


def _by_label(
    owner: pa.ChunkedArray, label: pa.ChunkedArray, keys: Mapping[str, str]
) -> dict[str, dict[str, list[int]]]:
    names = sorted(label.cast(pa.string()).unique().drop_null().to_pylist())
    rows = {item["values"]: item["counts"] for item in owner.value_counts().to_pylist()}
    made = {}
    # of two labels one says it all
    for name in names[:1] if len(names) == 2 else names:  # noqa: PLR2004
        mine = owner.filter(pc.equal(label.cast(pa.string()), name)).value_counts().to_pylist()
        hits = {item["values"]: item["counts"] for item in mine}
        made[numbers(pa.array([name]))[0]] = {
            key: [hits.get(source, 0), rows[source]] for source, key in keys.items()
        }
    return made


def changed(now: Night, before: Sequence[Night], column: str) -> findings.Findings:
    """Return a finding for each source and measure that stands out from all nights before.

    Args:
        now: `remembered`, with or without `found`: counts of rows with findings.
        before: the same of earlier nights, oldest first.
        column: that names the source.
    """
    before = before[-NIGHTS:]
    worst: dict[tuple[str, str], tuple[float, Value, list[Value]]] = {}
    for measure in SEEN:
        nights = [_values(night, measure) for night in (*before, now)]
        if measure == "share":
            _fill(nights, (*before, now))
        for key, value in sorted(nights[-1].items()):
            past = [night[key] for night in nights[:-1] if key in night]
            gap = _gap(value, past, measure) if len(past) >= LEAST_NIGHTS else 0.0
            place = (measure, key.rpartition("/")[2])  # of several labels of a source one is told
            if abs(gap) >= max(LIMITS[measure][0], abs(worst[place][0]) if place in worst else 0):
                worst[place] = gap, value, past
    return findings.concat(
        [_finding(measure, *found, column) for (measure, _), found in worst.items()]
    )


def _fill(nights: list[dict[str, Value]], kept: Sequence[Night]) -> None:
    """Give each source that a night lacks, and would have if it were there, a share of none."""
    every = {key for night in nights for key in night}
    for values, night in zip(nights, kept, strict=True):
        counts = list(night.get("share", {}).values())
        if counts and night.get("whole"):
            values |= {key: _share(0, counts[0][1]) for key in every - values.keys()}


def _gap(value: Value, past: Sequence[Value], measure: str) -> float:
    """Return how far a value is from the nearest of earlier nights, beyond chance; else 0."""
    sizes = [other.size for other in past]
    nearest = min(sizes, key=lambda size: abs(value.size - size))
    beyond = min(
        abs(value.size - other.size) - NOISE * math.sqrt(value.variance + other.variance)
        for other in past
    )
    is_apart = beyond > 0 and not min(sizes) <= value.size <= max(sizes)
    if measure == "share":
        is_apart &= max(value.size, nearest) >= TIMES * min(value.size, nearest)
    return math.copysign(beyond, value.size - nearest) if is_apart else 0.0


def _values(night: Night, measure: str) -> dict[str, Value]:
    """Return the values of one night by source, or by label and source."""
    kept = night.get(measure, {})
    if measure == "share":
        return {key: _share(*counts) for key, counts in kept.items()}
    if measure == "found":
        return dict(_apart("", kept))
    return {key: value for label in kept for key, value in _apart(label, kept[label])}


def _apart(label: str, counts: Counts) -> Iterable[tuple[str, Value]]:
    """Yield each source's share less that of all others."""
    hits, rows = (sum(pair[n] for pair in counts.values()) for n in (0, 1))
    for key, (own, size) in counts.items():
        if size >= LEAST and rows - size >= LEAST:
            mine, others = _share(own, size), _share(hits - own, rows - size)
            variance = mine.variance + others.variance
            yield f"{label}/{key}", Value(mine.size - others.size, variance)


def _share(hits: int, rows: int) -> Value:
    # one more of each, so that none at all is not certainty
    soft = (hits + 1) / (rows + 2)
    return Value(hits / max(rows, 1), soft * (1 - soft) / max(rows, 1))


def _finding(
    measure: str, gap: float, value: Value, past: Sequence[Value], column: str
) -> findings.Findings:
    sizes = [other.size for other in past]
    sign = "" if measure == "share" else "+"
    text = (
        f"A source's {SEEN[measure]} is {value.size:{sign}.1%}; on the {len(past)} nights before "
        f"it was {min(sizes):{sign}.1%} to {max(sizes):{sign}.1%}."
    )
    return findings.make(
        None,
        check="sources",
        rule=RULE,
        severity="error" if abs(gap) >= LIMITS[measure][1] else "warning",
        column=column,
        score=min(1.0, abs(gap)),
        evidence=text,
        suggestion="Group the rows by source, tonight and before; ask that source what changed.",
    )
