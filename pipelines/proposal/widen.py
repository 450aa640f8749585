"""Wider parameters of a rule, which admit values that were right; rounded, so as to tell none.

A bound is rounded outwards to three digits, or to the ends of a month; a list of values grows by
the values themselves, unless they may be personal.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import registry
from checks.kit.contract_model import Contract, Rule
from pipelines.proposal import rules
from pipelines.proposal.columns import Seen
from pipelines.proposal.contract_yaml import Proposal
from pipelines.proposal.history import Reviewed

RANGE, SET = "expect_column_values_to_be_between", "expect_column_values_to_be_in_set"
LISTS = {"validValues": "values", SET: "value_set", "label": "values"}
LENGTHS = {"minLength": min, "maxLength": max}
KINDS = ("minimum", "maximum", *LENGTHS, RANGE, *LISTS)
# below an item of `quality`: where a parameter of a kind stands
PATHS = {
    ("validValues", "values"): (("arguments", "validValues"), ("validValues",)),
    ("label", "values"): (("arguments", "validValues"), ("validValues",)),
    (SET, "value_set"): (("implementation", "kwargs", "value_set"),),
    (RANGE, "min_value"): (("implementation", "kwargs", "min_value"),),
    (RANGE, "max_value"): (("implementation", "kwargs", "max_value"),),
}
_ENDS = {"min_value": True, "max_value": False}


def widened(rule: Rule, right: Sequence[Any], contract: Contract) -> dict[str, Any] | None:
    """Return parameters that admit all of these values; None if none can be told.

    Args:
        rule: of one of KINDS.
        right: values of its column that a person found right, none missing.
        contract: that the rule is of.
    """
    made: dict[str, Any] | None
    if rule.kind in LISTS:
        made = _longer(rule, right)
    elif rule.kind in LENGTHS:
        made = {**rule.params, "value": LENGTHS[rule.kind](map(len, right))}
    elif rule.kind == RANGE:
        made = dict(rule.params)
        for key, is_low in _ENDS.items():
            end = Rule(rule.id, rule.kind, rule.column, {key: made.get(key)})
            if not all(admits(end, value) for value in right):
                made[key] = _outer(right, is_low=is_low)
    else:
        is_low = rule.kind == "minimum"
        made = {**rule.params, "value": _outer(right, is_low=is_low)}
    if made is None or any(value is None for value in made.values()):
        return None
    logical = contract.column(rule.column or "").spec.logical
    made = {key: _typed(value, logical) for key, value in made.items()}
    after = Rule(rule.id, rule.kind, rule.column, made)
    return made if all(admits(after, value) for value in right) else None


def admits(rule: Rule, value: Any) -> bool:
    """Return whether a value keeps a rule of one of KINDS."""
    params, value = rule.params, _plain(value)
    if rule.kind in LISTS:
        return bool(value in params[LISTS[rule.kind]])
    if rule.kind in LENGTHS:
        is_low = rule.kind == "minLength"
        return bool(len(value) >= params["value"] if is_low else len(value) <= params["value"])
    if rule.kind == RANGE:
        low, high = params.get("min_value"), params.get("max_value")
        is_above = low is None or value > low or (value == low and not params.get("strict_min"))
        is_below = high is None or value < high or (value == high and not params.get("strict_max"))
        return bool(is_above and is_below)
    if value == params["value"]:
        return not params.get("exclusive")
    return bool((value > params["value"]) == (rule.kind == "minimum"))


def tightened(rule: Rule, run: Reviewed, had: Sequence[Reviewed]) -> Mapping[str, Any]:
    """Return a range's ends as `init` would propose them from the clean rows of several runs.

    The same ends where the column is no number, or an end would be left out.
    """
    column = rule.column or ""
    spec = run.contract.column(column).spec
    if spec.logical not in ("integer", "number"):
        return rule.params
    seen = Seen(column, spec.logical, is_fixed=True)
    for item in had:
        for table in item.files.tables("clean", [column]):
            _take(seen, table[column].drop_null())
    if not seen.filled:
        return rule.params
    proposal = Proposal(seen)
    numbers = sum(c.spec.logical in ("integer", "number") for c in run.contract.columns)
    rules.propose_ends(proposal, numbers)
    ends = dict(zip(_ENDS, proposal.ends, strict=True))
    made = {key: ends.get(key, value) for key, value in rule.params.items()}
    return rule.params if None in made.values() else made


def _take(seen: Seen, values: pa.ChunkedArray) -> None:
    numbers = pc.cast(values, pa.float64(), safe=False)
    finite = values.filter(pc.is_finite(numbers))
    if not len(finite):
        return
    ends = pc.min_max(finite).as_py()
    seen.low = ends["min"] if seen.low is None else min(seen.low, ends["min"])
    seen.high = ends["max"] if seen.high is None else max(seen.high, ends["max"])
    seen.rows += len(finite)
    seen.filled += len(finite)
    seen.counts = None  # the rows are many, and so what they hold tells enough
    seen.tails.add(pc.cast(finite, pa.float64(), safe=False).to_numpy())


def _longer(rule: Rule, right: Sequence[Any]) -> dict[str, Any] | None:
    key = LISTS[rule.kind]
    before = rule.params[key]
    if not before:
        return None
    new = sorted({_plain(value) for value in right} - set(before))
    texts = pa.array([str(value) for value in new], pa.string())
    column = rule.column or ""
    if registry.is_private(column) or registry.is_private(column, texts):
        return None
    return {**rule.params, key: [*before, *new]}


def _outer(values: Sequence[Any], *, is_low: bool) -> Any:
    """Return a round value that none of these lies beyond; None if there is none."""
    end = (min if is_low else max)(_plain(value) for value in values)
    if isinstance(end, str):
        return _outer_day(end, is_low=is_low)
    return rules.rounded(end, down=is_low)


def _outer_day(text: str, *, is_low: bool) -> str | None:
    """Return the first or last day of a date's month; None for other moments."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    first = day.replace(day=1)
    if is_low:
        return first.isoformat()
    after = (first + dt.timedelta(days=32)).replace(day=1)
    return (after - dt.timedelta(days=1)).isoformat()


def _plain(value: Any) -> Any:
    """Return a value as a contract's rule holds it: moments as ISO text."""
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _typed(value: Any, logical: str) -> Any:
    is_whole = isinstance(value, float) and logical == "integer"
    return int(value) if is_whole else value
