"""Sources with a far higher rate of findings than the others, now or compared with earlier runs.

A check does not get the findings of other checks, so this counts all of them per source after the
checks, and reports as the check `sources`. It takes one pass over one column.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings
from checks.kit.contract_model import Contract
from checks.sources import nights
from pipelines.checking.examine import Examined, Status
from provenance.rows.shards import ROW, ShardRef, read_table

CHECK = "sources"
LEAST = 50  # rows of a source
LEAST_FOUND = 20  # of these rows with a finding
MOST_SOURCES = 10_000  # with more values the column does not name suppliers
TIMES = 3.0  # the rate of the others
NOISE = 5.0  # standard deviations attributed to chance
GAP = 0.01  # of the source's rows, beyond chance


def with_rates(
    examined: Examined,
    contract: Contract,
    shards: list[ShardRef],
    before: Sequence[nights.Night] = (),
) -> Examined:
    """Return `examined` with a finding for each source that stands out, now or over earlier runs.

    The counts that later runs need are added to the memory of the check.

    Args:
        examined: of all checks.
        contract: names the column of the source; without one, or if the check did not run, nothing
            is done.
        shards: the rows that were examined.
        before: what the check remembered of earlier runs, oldest first.
    """
    is_run = any(item.check == CHECK and item.status == "ok" for item in examined.statuses)
    named = contract.having("source")
    if not is_run or not named:
        return examined
    totals, hits = _counts(named[0], _rows(examined.found), shards)
    is_shown = named[0] not in contract.protected  # else the figures describe persons
    added = [
        _finding(named[0], totals[source], hits[source], rate if is_shown else None)
        for source in sorted(totals)
        if (rate := _others(source, totals, hits)) is not None
    ]
    kept = dict(examined.memory.get(CHECK, {}))
    if is_shown and kept:
        kept["found"] = _remembered(totals, hits)
        added.append(nights.changed({"found": kept["found"]}, before, named[0]))
        examined = dataclasses.replace(examined, memory={**examined.memory, CHECK: kept})
    more = sum(map(len, added))
    if not more:
        return examined
    found = findings.ordered(findings.concat([examined.found, *added]))
    statuses = tuple(_more(status, more) for status in examined.statuses)
    return dataclasses.replace(examined, found=found, statuses=statuses)


def _remembered(totals: Counter[str], hits: Counter[str]) -> dict[str, list[int]]:
    largest = sorted(totals, key=lambda name: (-totals[name], name))[: nights.MOST]
    keys = nights.numbers(pa.array(largest, pa.string()))
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
    text = "one source has a far higher rate of findings than the others; figures not shown"
    if other is not None:
        text = (
            f"{found / rows:.1%} of {rows:,} rows of one source have a finding for quarantine or "
            f"review, against {other:.1%} of the rows of all other sources"
        )
    return findings.make(
        None,
        check=CHECK,
        rule=f"{CHECK}.findings_rate",
        severity="warning",
        column=column,
        score=1.0 if other is None else found / rows,
        evidence=text,
        suggestion="review that source's rows together, and ask the supplier what is different",
    )


def _more(status: Status, count: int) -> Status:
    if status.check != CHECK:
        return status
    return dataclasses.replace(status, findings=status.findings + count)
