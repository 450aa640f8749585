"""Proposed bounds of a contract's columns, with their price in reviewed rows.

Only `minimum` and `maximum` of columns that may be named in a report: a bound between cells says
where they lie. It is rounded outwards to three digits, and its price is counted at the rounded one.
Nothing is learnt here: a contract's rule holds until the contract says otherwise.
"""

import dataclasses
import decimal
import math
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import registry
from checks.kit.contract_model import Contract, Rule
from pipelines.learning import cases, cuts
from pipelines.learning.cases import Case
from pipelines.learning.cuts import Proposal
from pipelines.learning.precision import RIGHT
from pipelines.store.decisions import History
from pipelines.store.opinions import Decision
from pipelines.store.store import Store
from provenance.rows import cast

SIGNS = {"maximum": 1.0, "minimum": -1.0}  # what makes a cell further out larger
DIGITS = 3


def proposed(store: Store, history: History, contract: Contract) -> list[Proposal]:
    """Return the bounds that reviewed rows suggest; L011 if a file is not as recorded."""
    rules = {
        f"{rule.id} {rule.column}": rule for rule in contract.rules if _is_bound(rule, contract)
    }
    found: dict[str, list[Case]] = {name: [] for name in rules}
    made = cases.by_run(history, frozenset(rule.id for rule in rules.values()))
    for base in sorted(made, reverse=True)[: cases.MOST_RUNS]:
        for name, case in _cases(store, base, made[base], rules, contract):
            found[name].append(case)
    pairs = ((rules[name], sorted(found[name])) for name in sorted(found))
    return [each for rule, own in pairs if (each := _proposal(rule, own))]


def _is_bound(rule: Rule, contract: Contract) -> bool:
    if rule.kind not in SIGNS or rule.column is None or rule.severity != "error":
        return False
    value = rule.params.get("value")
    is_hidden = rule.column in contract.protected or registry.is_private(rule.column)
    return isinstance(value, int | float) and not isinstance(value, bool) and not is_hidden


def _cases(
    store: Store, base: int, made: list[Decision], rules: dict[str, Rule], contract: Contract
) -> Iterator[tuple[str, Case]]:
    files = store.reader(store.ledger.read(base))
    if not files.is_there():
        return
    for name, rule in rules.items():
        mine = {each.row: each for each in made if name in each.accused}
        column = rule.column or ""
        for table in files.tables("quarantine", [column, "_row"]) if mine else ():
            held = table.filter(pc.is_in(table["_row"], pa.array([*mine], pa.int64())))
            cells = held[column].combine_chunks().cast(pa.string())
            values = cast.cast(cells, contract.column(column).spec)[0].to_pylist()
            for row, value in zip(held["_row"].to_pylist(), values, strict=True):
                if isinstance(value, int | float | decimal.Decimal):
                    score = SIGNS[rule.kind] * float(value)
                    yield name, Case(score, mine[row].decision != RIGHT)


def _proposal(rule: Rule, own: list[Case]) -> Proposal | None:
    found = cuts.proposed((rule.id, rule.column or ""), own)
    if found is None:
        return None
    sign = SIGNS[rule.kind]
    at = sign * _outwards(found.upto)
    within = [case for case in own if case.score <= sign * at]
    missed = sum(case.is_wrong for case in within)
    return dataclasses.replace(
        found, at=at, now=float(rule.params["value"]), freed=len(within) - missed, missed=missed,
        knob=f"{rule.kind}: {at:g}",
    )  # fmt: skip


def _outwards(value: float) -> float:
    """Return a number of DIGITS digits that is not below a value."""
    if value == 0 or not math.isfinite(value):
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) + 1 - DIGITS)
    return float(f"{math.ceil(round(value / step, 9)) * step:.12g}")
