"""`assay init --from RUN`: a run's contract, revised by decisions and by what was never violated.

A released row was right: the rules that held it are widened to admit it, or become warnings where
nothing can be widened. A rule that only rejected rows violated is confirmed, and one that nothing
violated in several runs is sure. Protected columns are left alone, and comments give counts only.
A widened bound is rounded outwards, to three digits or to the end of a month, so that it reveals no
value; a list grows by the values themselves, unless they may be personal data.
"""

import dataclasses
import datetime as dt
import decimal
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from checks.kit import registry
from checks.kit.contract_model import Contract, Rule
from checks.kit.wording import count
from pipelines.proposal import rules, yaml_edit
from pipelines.proposal.columns import Seen
from pipelines.proposal.contract_yaml import Proposal
from pipelines.proposal.deviants import upper
from pipelines.proposal.history import Reviewed, unbroken
from pipelines.proposal.yaml_edit import Draft
from provenance.base.errors import AssayError

BOM = "\ufeff"
LEAST_RUNS = 3  # that an unsure rule must pass before it becomes an error
BY_HAND = "; decide by hand"
SCALARS = ("required", "unique")  # that are switched off, as they cannot be widened
EFFECTS = {
    "widened": "widened",
    "lowered": "severity lowered to warning",
    "raised": "severity raised to error",
    "dropped": "rule switched off",
}
RANGE, SET = "expect_column_values_to_be_between", "expect_column_values_to_be_in_set"
LISTS = {"validValues": "values", SET: "value_set", "label": "values"}
LENGTHS = {"minLength": min, "maxLength": max}
KINDS = ("minimum", "maximum", *LENGTHS, RANGE, *LISTS)  # of rules that can be widened
# where the parameters of such a rule are below an item of `quality`
PATHS = {
    ("validValues", "values"): (("arguments", "validValues"), ("validValues",)),
    ("label", "values"): (("arguments", "validValues"), ("validValues",)),
    (SET, "value_set"): (("implementation", "kwargs", "value_set"),),
    (RANGE, "min_value"): (("implementation", "kwargs", "min_value"),),
    (RANGE, "max_value"): (("implementation", "kwargs", "max_value"),),
}
_ENDS = {"min_value": True, "max_value": False}


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A change of one rule.

    Attributes:
        rule: as it was; after: as it is to be, None if it is dropped.
        does: a key of EFFECTS; why: counts, for people.
    """

    rule: Rule
    after: Rule | None
    does: str
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Revision:
    """The new text, the changes in it, and what is left to a person."""

    text: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def revise(run: Reviewed, past: Sequence[Reviewed]) -> Revision:
    """Return a run's contract with the changes that its history supports."""
    mark = BOM if run.text.startswith(BOM) else ""
    draft = Draft(run.text.removeprefix(BOM))
    changes: list[Change] = []
    notes: list[str] = []
    for rule in run.contract.rules:
        if rule.column is None or "bound" in rule.params:
            continue
        found = _change(rule, run, past)
        if isinstance(found, Change) and _edit(draft, found):
            changes.append(found)
        elif isinstance(found, Change):
            what = f"cannot be {found.does} in place, so edit it by hand ({found.why})"
            notes.append(f"'{rule.column}', {rule.id}: {what}")
        elif found:
            notes.append(f"'{rule.column}', {rule.id}: {found}")
    return Revision(mark + draft.done(), tuple(changes), tuple(notes))


def require(made: Sequence[Rule], before: Sequence[Rule], changes: Sequence[Change]) -> None:
    """Refuse a new contract whose rules are not the old ones with the changes; ASSAY-E104."""
    afters = {id(change.rule): change.after for change in changes}
    wanted = (afters.get(id(rule), rule) for rule in before)
    if sorted(map(_identity, made)) != sorted(_identity(rule) for rule in wanted if rule):
        what = "the contract's layout defeated the edit, so nothing was written"
        raise AssayError("E104", what, fix="write each rule on its own lines, and run again")


def _identity(rule: Rule) -> str:
    return repr((rule.column, rule.kind, sorted(rule.params.items(), key=str), rule.severity))


def _change(rule: Rule, run: Reviewed, past: Sequence[Reviewed]) -> Change | str | None:
    """Return the change that history supports, why a person must decide, or None for neither."""
    broken = run.broken.get((rule.id, rule.column), set())
    released, rejected = broken & run.released, broken & run.rejected
    if rule.column in run.contract.protected:
        what = f"{count(len(released), 'row')} released, but the column is protected{BY_HAND}"
        return what if released else None
    if released:
        return _released(rule, run, released, rejected)
    if rule.severity != "warning":
        return None
    if broken and broken == rejected:
        rows = count(len(broken), "violating row")
        why = f"run {run.entry.seq}: {rows} rejected, none released"
        return Change(rule, dataclasses.replace(rule, severity="error"), "raised", why)
    return None if broken else _unbroken(rule, run, past)


def _released(
    rule: Rule, run: Reviewed, released: set[int], rejected: set[int]
) -> Change | str | None:
    """Return how a rule is to admit the rows that were released."""
    rows = f"run {run.entry.seq}: {count(len(released), 'violating row')} released"
    why = f"{rows}, {len(rejected) or 'none'} rejected"
    if rule.kind in KINDS:
        after = _wider(rule, run, released, rejected)
        return Change(rule, after, "widened", why) if after else why + BY_HAND
    if rejected:
        return why + BY_HAND
    if rule.kind in SCALARS and rule.id.startswith("ASSAY-"):
        return Change(rule, None, "dropped", why)
    if rule.severity == "error":
        return Change(rule, dataclasses.replace(rule, severity="warning"), "lowered", why)
    return None


def _wider(rule: Rule, run: Reviewed, released: set[int], rejected: set[int]) -> Rule | None:
    """Return the rule with room for what was released and for nothing that was rejected."""
    cells = run.values(rule.column or "", released | rejected)
    right = [cells[row] for row in released if cells.get(row) is not None]
    wrong = [cells[row] for row in rejected if cells.get(row) is not None]
    params = widened(rule, right, run.contract) if len(right) == len(released) else None
    after = dataclasses.replace(rule, params=params) if params is not None else None
    if after is None or any(admits(after, value) for value in wrong):
        return None
    return after


def _unbroken(rule: Rule, run: Reviewed, past: Sequence[Reviewed]) -> Change | None:
    """Return the raise of an unsure rule that enough rows of enough runs have kept."""
    had = unbroken(rule, past)
    rows = sum(item.kept(rule) for item in had) if len(had) >= LEAST_RUNS else 0
    if upper(0, rows) > rules.SHARE:
        return None
    why = f"{len(had)} runs up to {run.entry.seq}: no violation in {rows:,} rows"
    params = tightened(rule, run, had) if rule.kind == RANGE else rule.params
    if params != rule.params:
        why = f"{why}, which also set the range"
    return Change(rule, dataclasses.replace(rule, params=params, severity="error"), "raised", why)


def _edit(draft: Draft, change: Change) -> bool:
    """Write a change into the draft; False if the rule is written where it cannot be edited."""
    place = yaml_edit.place_of(draft.text, change.rule)
    if place is None:
        return False
    above, node = place
    before, rule, after = len(draft.edits), change.rule, change.after
    if after is None:
        is_done = draft.put(node, value=False)
    else:
        is_done = _edit_values(draft, node, rule, after) and (
            after.severity == rule.severity or draft.severity(node, after.severity)
        )
    if is_done:
        draft.say(above, f"{change.why}; {EFFECTS[change.does]}")
    else:
        del draft.edits[before:]
    return is_done


def _edit_values(draft: Draft, node: Any, rule: Rule, after: Rule) -> bool:
    """Write the parameters that differ: a bound, the ends of a range, or what a list lacks."""
    for key, value in after.params.items():
        before = rule.params.get(key)
        if value == before:
            continue
        paths = PATHS.get((rule.kind, key), ())
        place = next(filter(None, (yaml_edit.within(node, *path) for path in paths)), node)
        if isinstance(value, list):
            is_done = draft.add(place, [item for item in value if item not in rule.params[key]])
        else:
            is_done = draft.put(place, value)
        if not is_done:
            return False
    return True


def widened(rule: Rule, right: Sequence[Any], contract: Contract) -> dict[str, Any] | None:
    """Return parameters that admit some values; None if there are none that may be written.

    Args:
        rule: of one of KINDS.
        right: values of its column that a person released, none missing.
        contract: that the rule belongs to.
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
        made = {**rule.params, "value": _outer(right, is_low=rule.kind == "minimum")}
    if made is None or any(value is None for value in made.values()):
        return None
    logical = contract.column(rule.column or "").spec.logical
    made = {key: _typed(value, logical) for key, value in made.items()}
    after = Rule(rule.id, rule.kind, rule.column, made)
    return made if all(admits(after, value) for value in right) else None


def admits(rule: Rule, value: Any) -> bool:
    """Return whether a value satisfies a rule of one of KINDS."""
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
    """Return a range as `init` would propose it from the clean rows of several runs.

    The range is unchanged if the column is not a number, or if an end would be dropped.
    """
    column = rule.column or ""
    spec = run.contract.column(column).spec
    if spec.logical not in ("integer", "number"):
        return rule.params
    seen = Seen(column, spec.logical, is_fixed=True, counts=None)  # None: many rows, many values
    for item in had:
        for table in item.files.tables("clean", [column]):
            seen.extend_range(table[column].drop_null())
    seen.rows = seen.filled = seen.tails.rows
    if not seen.filled:
        return rule.params
    proposal = Proposal(seen)
    numbers = sum(c.spec.logical in ("integer", "number") for c in run.contract.columns)
    rules.propose_ends(proposal, numbers)
    ends = dict(zip(_ENDS, proposal.ends, strict=True))
    made = {key: ends.get(key, value) for key, value in rule.params.items()}
    return rule.params if None in made.values() else made


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
    """Return a round value that none of these exceeds; None if there is none."""
    end = (min if is_low else max)(_plain(value) for value in values)
    if isinstance(end, str):
        return _outer_day(end, is_low=is_low)
    return rules.rounded(end, down=is_low)


def _outer_day(text: str, *, is_low: bool) -> str | None:
    """Return the first or last day of a date's month; None for a time or timestamp."""
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
    """Return a value as a contract's rule holds it: dates and times as ISO text, no decimals."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _typed(value: Any, logical: str) -> Any:
    is_whole = isinstance(value, float) and logical == "integer"
    return int(value) if is_whole else value
