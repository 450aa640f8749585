"""Sources of whose rows the checks find far more than of the others' rows.

A check sees no other check's findings, so this looks at all of them together, after the checks and
in the name of `sources`: one pass over one column. The same of the nights before, by source.
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
LEAST_FOUND = 20  # of them with a finding
MOST_SOURCES = 10_000  # more are no suppliers
TIMES = 3.0  # the others' rate
NOISE = 5.0  # standard deviations that are put down to chance
GAP = 0.01  # of the source's rows, beyond chance


def with_rates(
    examined: Examined,
    contract: Contract,
    shards: list[ShardRef],
    before: Sequence[nights.Night] = (),
) -> Examined:
    """Return the same with a finding for each source that stands out, tonight or among nights.

    What later nights are to know is added to what the check itself remembers.

    Args:
        examined: of all checks.
        contract: names the source; nothing is done where it names none or the check did not run.
        shards: what was examined.
        before: what the check left on earlier nights, oldest first.
    """
    is_run = any(item.check == CHECK and item.status == "ok" for item in examined.statuses)
    named = contract.having("source")
    if not is_run or not named:
        return examined
    totals, hits = _counts(named[0], _rows(examined.found), shards)
    is_shown = named[0] not in contract.protected  # else its figures are of persons
    told = [
        _finding(named[0], totals[source], hits[source], rate if is_shown else None)
        for source in sorted(totals)
        if (rate := _others(source, totals, hits)) is not None
    ]
    kept = dict(examined.memory.get(CHECK, {}))
    if is_shown and kept:
        kept["found"] = _remembered(totals, hits)
        told.append(nights.changed({"found": kept["found"]}, before, named[0]))
        examined = dataclasses.replace(examined, memory={**examined.memory, CHECK: kept})
    more = sum(map(len, told))
    if not more:
        return examined
    found = findings.ordered(findings.concat([examined.found, *told]))
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
    """Return the rate of findings in all other sources if this one's lies far above it."""
    rows, found = totals[source], hits[source]
    rest = totals.total() - rows
    if rows < LEAST or found < LEAST_FOUND or rest < LEAST:
        return None
    rate, other = found / rows, (hits.total() - found) / rest
    whole = hits.total() / totals.total()
    noise = NOISE * float(np.sqrt(whole * (1 - whole) * (1 / rows + 1 / rest)))
    return other if rate >= TIMES * other and rate - other - noise >= GAP else None


def _finding(column: str, rows: int, found: int, other: float | None) -> findings.Findings:
    text = "The checks name far more of one source's rows than of the others'; figures not shown."
    if other is not None:
        text = (
            f"Of {rows:,} rows of one source the checks name {found / rows:.1%} for quarantine or "
            f"review; of all others' rows {other:.1%}."
        )
    return findings.make(
        None,
        check=CHECK,
        rule=f"{CHECK}.findings_rate",
        severity="warning",
        column=column,
        score=1.0 if other is None else found / rows,
        evidence=text,
        suggestion="Review that source's rows together, and ask it what is different.",
    )


def _more(status: Status, count: int) -> Status:
    if status.check != CHECK:
        return status
    return dataclasses.replace(status, findings=status.findings + count)
