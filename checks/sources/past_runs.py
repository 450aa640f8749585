"""A source compared with earlier runs: share, labels and findings that change abruptly.

A run stands out if no earlier one came near it, so a weekend that was seen once is not a change.
What all sources do together is not a change of one (see drift): labels and findings are measured
relative to those of the other sources. The memory holds counts by an opaque number for the source,
and nothing about protected columns.
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
LEAST_RUNS = 5
RUNS = 28  # earlier runs to compare with
MOST = 50  # sources to remember, the largest
LEAST = 50  # rows of a source, for its labels and findings
NOISE = 5.0  # standard deviations that are put down to chance
TIMES = 2.0  # a share must at least double or halve
MEASURES = {
    "share": "share of all rows",
    "label": "share of one label, relative to the other sources,",
    "found": "share of rows with findings, relative to the other sources,",
}
LIMITS = {"share": (0.05, 0.25), "label": (0.05, 0.2), "found": (0.03, 0.2)}  # warning, error
Counts = Mapping[str, Sequence[int]]  # by source: how many, of how many rows
Run = Mapping[str, Mapping[str, Any]]  # what the check remembers of one run


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """A share or a difference between two, and its sampling variance."""

    size: float
    variance: float


def numbers(names: pa.ChunkedArray | pa.Array) -> list[str]:
    """Return the opaque number of each source, as text, in order."""
    return [str(number) for number in opaque(names).to_pylist()]


def remembered(owner: pa.ChunkedArray, label: pa.ChunkedArray | None) -> dict[str, Any]:
    """Return what later runs need to know: counts by source and, by label, by source.

    Args:
        owner: the source of each row, strings, shape (n,), none missing.
        label: the labels of the same rows; None where they are not to be remembered.
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
    # of two labels, one determines the other
    for name in names[:1] if len(names) == 2 else names:  # noqa: PLR2004
        mine = owner.filter(pc.equal(label.cast(pa.string()), name)).value_counts().to_pylist()
        hits = {item["values"]: item["counts"] for item in mine}
        made[numbers(pa.array([name]))[0]] = {
            key: [hits.get(source, 0), rows[source]] for source, key in keys.items()
        }
    return made


def changed(now: Run, before: Sequence[Run], column: str) -> findings.Findings:
    """Return a finding for each source and measure that stands out from all earlier runs.

    Args:
        now: as `remembered` gives it, with or without `found`: counts of rows with findings.
        before: the same for earlier runs, oldest first.
        column: the column that names the source.
    """
    before = before[-RUNS:]
    worst: dict[tuple[str, str], tuple[float, Value, list[Value]]] = {}
    for measure in MEASURES:
        runs = [_values(run, measure) for run in (*before, now)]
        if measure == "share":
            _fill(runs, (*before, now))
        for key, value in sorted(runs[-1].items()):
            past = [run[key] for run in runs[:-1] if key in run]
            gap = _gap(value, past, measure) if len(past) >= LEAST_RUNS else 0.0
            place = (measure, key.rpartition("/")[2])  # only the worst label of a source
            if abs(gap) >= max(LIMITS[measure][0], abs(worst[place][0]) if place in worst else 0):
                worst[place] = gap, value, past
    return findings.concat(
        [_finding(measure, *found, column) for (measure, _), found in worst.items()]
    )


def _fill(runs: list[dict[str, Value]], kept: Sequence[Run]) -> None:
    """Give a share of 0 to each source that a run lacks although it remembers all its sources."""
    every = {key for run in runs for key in run}
    for values, run in zip(runs, kept, strict=True):
        counts = list(run.get("share", {}).values())
        if counts and run.get("whole"):
            values |= {key: _share(0, counts[0][1]) for key in every - values.keys()}


def _gap(value: Value, past: Sequence[Value], measure: str) -> float:
    """Return how far a value lies from the nearest earlier one, beyond chance; else 0."""
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


def _values(run: Run, measure: str) -> dict[str, Value]:
    """Return the values of one run by source, or by label and source."""
    kept = run.get(measure, {})
    if measure == "share":
        return {key: _share(*counts) for key, counts in kept.items()}
    if measure == "found":
        return dict(_relative("", kept))
    return {key: value for label in kept for key, value in _relative(label, kept[label])}


def _relative(label: str, counts: Counts) -> Iterable[tuple[str, Value]]:
    """Yield each source's share minus that of all others."""
    hits, rows = (sum(pair[n] for pair in counts.values()) for n in (0, 1))
    for key, (own, size) in counts.items():
        if size >= LEAST and rows - size >= LEAST:
            mine, others = _share(own, size), _share(hits - own, rows - size)
            variance = mine.variance + others.variance
            yield f"{label}/{key}", Value(mine.size - others.size, variance)


def _share(hits: int, rows: int) -> Value:
    # one more hit and miss, so that no hit at all does not count as certainty
    soft = (hits + 1) / (rows + 2)
    return Value(hits / max(rows, 1), soft * (1 - soft) / max(rows, 1))


def _finding(
    measure: str, gap: float, value: Value, past: Sequence[Value], column: str
) -> findings.Findings:
    sizes = [other.size for other in past]
    sign = "" if measure == "share" else "+"
    text = (
        f"A source's {MEASURES[measure]} is {value.size:{sign}.1%}; in the previous {len(past)} "
        f"runs it was between {min(sizes):{sign}.1%} and {max(sizes):{sign}.1%}."
    )
    return findings.make(
        None,
        check="sources",
        rule=RULE,
        severity="error" if abs(gap) >= LIMITS[measure][1] else "warning",
        column=column,
        score=min(1.0, abs(gap)),
        evidence=text,
        suggestion="compare each source's rows in this run with its rows in earlier runs, and ask "
        "the source that differs what changed",
    )
