"""`assay init --from RUN`: a run's contract, revised by decisions and by what never broke.

A released row was right: the rules that held it are widened to admit it, or become warnings where
nothing can be widened. A rule that only rejected rows broke is confirmed, and one that nothing
broke in several runs is sure. Protected columns are left alone, and comments give counts only.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from checks.kit.contract_model import Rule
from pipelines.proposal import confidence, widen, yaml_edit
from pipelines.proposal.history import Past, Reviewed
from pipelines.proposal.yaml_edit import Draft
from provenance.base.errors import AssayError

LEAST_RUNS = 3  # in which an unsure rule must not break
YOURS = ": left to you"
SCALARS = ("required", "unique")  # that are switched off where no wider value is


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a rule.

    Attributes:
        rule: as it was; after: as it is to be, None if it is dropped.
        does: `widened`, `lowered`, `raised` or `dropped`; why: counts, for people.
    """

    rule: Rule
    after: Rule | None
    does: str
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Revision:
    """The new text, what changed in it, and what is left to a person."""

    text: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def revise(run: Reviewed, past: Past) -> Revision:
    """Return a run's contract with the rules changed that its history speaks of."""
    changes: list[Change] = []
    notes: list[str] = []
    for rule in run.contract.rules:
        if rule.column is None or "bound" in rule.params:
            continue
        found = _change(rule, run, past)
        if isinstance(found, Change):
            changes.append(found)
        elif found:
            notes.append(f"'{rule.column}', {rule.id}: {found}")
    draft = Draft(run.text)
    made = [change for change in changes if _edit(draft, change)]
    notes += [
        f"'{change.rule.column}', {change.rule.id}: to be {change.does} by hand ({change.why})"
        for change in changes
        if change not in made
    ]
    return Revision(draft.done(), tuple(made), tuple(notes))


def expected(rules: tuple[Rule, ...], changes: tuple[Change, ...]) -> list[str]:
    """Return what the rules of the new contract must be, in an order of its own."""
    afters = {id(change.rule): change.after for change in changes}
    made = [afters.get(id(rule), rule) for rule in rules]
    return sorted(_told(rule) for rule in made if rule is not None)


def require(rules: tuple[Rule, ...], wanted: list[str]) -> None:
    """Refuse a new contract that does not say exactly what was meant; ASSAY-E104."""
    if sorted(_told(rule) for rule in rules) != wanted:
        what = "the contract's layout defeated the edit, so nothing was written"
        raise AssayError("E104", what, fix="write each rule on lines of its own, and run again")


def _told(rule: Rule) -> str:
    return repr((rule.column, rule.kind, sorted(rule.params.items(), key=str), rule.severity))


def _change(rule: Rule, run: Reviewed, past: Past) -> Change | str | None:
    """Return the change that history asks for, why there is none, or None if it is silent."""
    broken = run.broken.get((rule.id, rule.column), set())
    released, rejected = broken & run.released, broken & run.rejected
    if rule.column in run.contract.protected:
        told = f"{len(released)} rows were released, but the column is protected: left to you"
        return told if released else None
    if released:
        return _released(rule, run, released, rejected)
    if rule.severity != "warning":
        return None
    if broken and broken == rejected:
        why = f"run {run.entry.seq}: all {len(broken)} that broke it rejected: an error now"
        return Change(rule, dataclasses.replace(rule, severity="error"), "raised", why)
    return None if broken else _unbroken(rule, run, past)


def _released(
    rule: Rule, run: Reviewed, released: set[int], rejected: set[int]
) -> Change | str | None:
    """Return how a rule is to admit the rows that were released."""
    told = f"run {run.entry.seq}: {len(released)} rows that broke it released"
    if rule.kind in widen.KINDS:
        return _wider(rule, run, released, rejected) or f"{told}, {len(rejected)} rejected{YOURS}"
    if rejected:
        return f"{told}, {len(rejected)} rejected{YOURS}"
    if rule.kind in SCALARS and rule.id.startswith("ASSAY-"):
        return Change(rule, None, "dropped", f"{told}, none rejected: dropped")
    if rule.severity == "error":
        after = dataclasses.replace(rule, severity="warning")
        return Change(rule, after, "lowered", f"{told}, none rejected: a warning now")
    return None


def _wider(rule: Rule, run: Reviewed, released: set[int], rejected: set[int]) -> Change | None:
    """Return the rule with room for what was released and for nothing that was rejected."""
    cells = run.values(rule.column or "", released | rejected)
    right = [cells[row] for row in released if cells.get(row) is not None]
    wrong = [cells[row] for row in rejected if cells.get(row) is not None]
    params = widen.widened(rule, right, run.contract) if len(right) == len(released) else None
    if params is None:
        return None
    after = dataclasses.replace(rule, params=params)
    if any(widen.admits(after, value) for value in wrong):
        return None
    why = f"run {run.entry.seq}: {len(released)} rows that broke it released"
    return Change(rule, after, "widened", f"{why}, {len(rejected)} rejected: widened")


def _unbroken(rule: Rule, run: Reviewed, past: Past) -> Change | None:
    """Return the raise of an unsure rule that enough rows of enough runs have kept."""
    had = past.unbroken(rule)
    rows = sum(item.kept(rule) for item in had) if len(had) >= LEAST_RUNS else 0
    if confidence.upper(0, rows) > confidence.SHARE:
        return None
    why = f"{len(had)} runs up to {run.entry.seq}: unbroken by {rows:,} rows: an error now"
    is_range = rule.kind == widen.RANGE
    params = widen.tightened(rule, run, had) if is_range else rule.params
    if params != rule.params:
        why = f"{why}, with ends from all of them"
    return Change(rule, dataclasses.replace(rule, params=params, severity="error"), "raised", why)


def _edit(draft: Draft, change: Change) -> bool:
    """Write a change into the draft; False where it stands in no place that can be edited."""
    place = yaml_edit.place_of(draft.text, change.rule)
    if place is None:
        return False
    above, node = place
    does: dict[str, Callable[[], bool]] = {
        "dropped": lambda: _put(draft, node, value=False),
        "lowered": lambda: _weigh(draft, node, change),
        "raised": lambda: _weigh(draft, node, change),
        "widened": lambda: _values(draft, node, change),
    }
    if not does[change.does]():
        return False
    draft.say(above, change.why)
    return True


def _put(draft: Draft, node: Any, *, value: Any) -> bool:
    if yaml_edit.pairs(node):
        return False
    draft.put(node, value)
    return True


def _weigh(draft: Draft, node: Any, change: Change) -> bool:
    after = change.after
    if after is None or not yaml_edit.pairs(node) or not _values(draft, node, change):
        return False
    draft.severity(node, after.severity)
    return True


def _values(draft: Draft, node: Any, change: Change) -> bool:
    """Write the parameters that differ: a bound, the ends of a range, or what a list lacks."""
    before, after = change.rule.params, change.after.params if change.after else {}
    for key in after:
        if before.get(key) == after[key]:
            continue
        place = node
        for path in widen.PATHS.get((change.rule.kind, key), ()):
            place = yaml_edit.within(place, *path) or place
        if isinstance(after[key], list):
            if not hasattr(place, "flow_style") or yaml_edit.pairs(place):
                return False
            draft.add(place, [value for value in after[key] if value not in before[key]])
        elif not _put(draft, place, value=after[key]):
            return False
    return True
