"""Sources in whose rows the checks find far more than in the rows of all others.

No check sees another's findings, so this examines the findings of all of them at the end, in one
pass over one column. It compares a source with the others in this run, and with earlier runs.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings
from checks.kit.protocol import Context, Model
from checks.kit.wording import count, percent
from checks.sources import past_runs
from provenance.rows.shards import ROW, ShardRef, read_table

CHECK = "sources"
LEAST = 50  # rows of a source
LEAST_FOUND = 20  # of them with a finding
MOST_SOURCES = 10_000  # more distinct values are not suppliers
TIMES = 3.0  # the others' rate
NOISE = 5.0  # standard deviations that are put down to chance
GAP = 0.01  # of the source's rows, beyond chance


def conclude(
    context: Context, found: findings.Findings, shards: list[ShardRef], memory: Mapping[str, Any]
) -> Model:
    """Return a finding for each source that stands out in this run or from earlier ones.

    Args:
        context: its contract names the source.
        found: the findings of all checks.
        shards: what was examined.
        memory: what the check remembers of this run; the counts are added to it.
    """
    [source, *_] = context.contract.having("source")
    totals, hits = _counts(source, _rows(found), shards)
    is_shown = source not in context.contract.protected  # else its figures concern persons
    parts = [
        _finding(source, totals[name], hits[name], rate if is_shown else None)
        for name in sorted(totals)
        if (rate := _others(name, totals, hits)) is not None
    ]
    if is_shown and memory:
        memory = {**memory, "found": _remembered(totals, hits)}
        before = context.history.get(CHECK, ())
        parts.append(past_runs.changed({"found": memory["found"]}, before, source))
    return Model(overall=findings.concat(parts), memory=memory)


def _remembered(totals: Counter[str], hits: Counter[str]) -> dict[str, list[int]]:
    largest = sorted(totals, key=lambda name: (-totals[name], name))[: past_runs.MOST]
    keys = past_runs.numbers(pa.array(largest, pa.string()))
    return {key: [hits[name], totals[name]] for key, name in zip(keys, largest, strict=True)}


def _rows(found: findings.Findings) -> pa.Array:
    severe = pc.is_in(found["severity"], pa.array(["error", "warning"]))
    return found.filter(severe)["row"].drop_null().unique()


def _counts(
    source: str, rows: pa.Array, shards: list[ShardRef]
) -> tuple[Counter[str], Counter[str]]:
    totals: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for ref in shards:
        table = read_table(ref.path, [source, ROW])
        is_hit = pc.is_in(table[ROW], rows)
        for counter, column in ((totals, table[source]), (hits, table[source].filter(is_hit))):
            counted = column.cast(pa.string()).drop_null().combine_chunks().value_counts()
            counter.update(
                dict(zip(*(part.to_pylist() for part in counted.flatten()), strict=True))
            )
        if len(totals) > MOST_SOURCES:
            return Counter(), Counter()
    return totals, hits


def _others(source: str, totals: Counter[str], hits: Counter[str]) -> float | None:
    """Return the rate of findings in all other sources if this one's is far higher."""
    rows, found = totals[source], hits[source]
    rest = totals.total() - rows
    if rows < LEAST or found < LEAST_FOUND or rest < LEAST:
        return None
    rate, other = found / rows, (hits.total() - found) / rest
    whole = hits.total() / totals.total()
    noise = NOISE * float(np.sqrt(whole * (1 - whole) * (1 / rows + 1 / rest)))
    return other if rate >= TIMES * other and rate - other - noise >= GAP else None


def _finding(column: str, rows: int, found: int, other: float | None) -> findings.Findings:
    text = (
        "One source's rows have far more findings than those of all others; its figures are not "
        "shown because the column is protected."
    )
    if other is not None:
        text = (
            f"{percent(found / rows)} of {count(rows, 'row')} from one source have an error or a "
            f"warning, against {percent(other)} of the rows from all other sources."
        )
    return findings.make(
        None,
        check=CHECK,
        rule=f"{CHECK}.findings_rate",
        severity="warning",
        column=column,
        score=1.0 if other is None else found / rows,
        evidence=text,
        suggestion="review that source's rows together, and ask the source what is different",
    )
