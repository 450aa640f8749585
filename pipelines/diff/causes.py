"""Why a row's fate is another in the second run: named when nothing else can be, else `unknown`.

A fate follows from grounds: findings of severity `error`, or the code of a rejected row. The
grounds that one run has and the other has not are weighed one by one. Of what a ground depends on,
everything that differs between the runs may be its cause; if that is one thing, it is the cause.
docs/diff.md says it at length.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from checks.kit.contract_model import Contract, Rule
from pipelines.diff.pairing import OTHER, PARTLY, How
from pipelines.diff.side import Side

Cause = Literal["decision", "contract", "code", "data", "model", "unknown"]
ORDER: tuple[Cause, ...] = ("contract", "code", "data", "model")  # of a row with several
# rules on rows that look at other rows as well
_WIDER = frozenset(
    {
        "unique",
        "expect_column_values_to_be_unique",
        "expect_compound_columns_to_be_unique",
        "expect_column_value_z_scores_to_be_less_than",
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Ground:
    """What one of two runs (`a` or `b`) has against a row, and the other has not."""

    check: str
    rule: str
    column: str
    run: str


@dataclasses.dataclass(frozen=True, slots=True)
class Weighed:
    """The cause of a changed fate; `may_be` names what else could be it where it is unknown."""

    cause: Cause
    may_be: tuple[Cause, ...] = ()


class Judge:
    """Weighs grounds by what differs between two runs."""

    def __init__(self, a: Side, b: Side, how: How) -> None:
        """Note once what differs between the runs as a whole."""
        self._a, self._b, self._how = a, b, how
        self._is_code_other = code_of(a.facts) != code_of(b.facts)
        self._is_reference_other = _hashes(a, "reference") != _hashes(b, "reference")
        self._are_sources_other = _hashes(a, "inputs") != _hashes(b, "inputs")

    def weigh(self, grounds: Iterable[Ground], content: int, *, leaves: bool) -> Weighed:
        """Return the cause of a change of fate.

        Args:
            grounds: what one run has against the row and the other has not.
            content: what is known of the row's content.
            leaves: whether the row is clean in the second run: then every ground had to go, while
                one that appears is enough.
        """
        candidates = [self.candidates(ground, content) for ground in grounds]
        certain = {cause for found in candidates if len(found) == 1 for cause in found}
        is_open = any(len(found) != 1 for found in candidates)
        if not certain or (leaves and is_open):
            every = frozenset[Cause]().union(*candidates)
            return Weighed("unknown", tuple(cause for cause in ORDER if cause in every))
        return Weighed(next(cause for cause in ORDER if cause in certain))

    def candidates(self, ground: Ground, content: int) -> frozenset[Cause]:
        """Return what may be the cause that a ground appeared or went; none if that is not told."""
        mine, theirs = (terms(side.contract, ground) for side in (self._a, self._b))
        statuses = {side.facts["checks"].get(ground.check) for side in (self._a, self._b)}
        is_own = content == OTHER or (content == PARTLY and not self._is_compared(ground))
        found: set[Cause] = set()
        if mine != theirs:
            if (mine is None or theirs is None or "skipped" in statuses) and not is_own:
                return frozenset(("contract",))  # without the rule there can be no such ground
            found.add("contract")
        if statuses != {"ok"}:
            return frozenset()  # it did not run, and why is not told by a digest
        if self._is_code_other:
            found.add("code")
        if is_own:
            found.add("data")
        if self._is_wider(ground):
            found |= self._of_others(ground, found)
        return frozenset(found)

    def _of_others(self, ground: Ground, found: set[Cause]) -> set[Cause]:
        """Return the causes that lie in other rows, which a model stands for where there is one."""
        models = [side.models.get(ground.check) for side in (self._a, self._b)]
        by_rows = self._are_sources_other and "data" not in found
        if models == [None, None]:
            return {"data"} if by_rows else set()
        # a model also follows from the contract, the code and the row itself
        is_apart = by_rows or self._is_reference_other or not found
        return {"model"} if models[0] != models[1] and is_apart else set()

    def _is_wider(self, ground: Ground) -> bool:
        """Return whether a ground depends on other rows too."""
        if ground.check == "contract":
            contracts = (self._a.contract, self._b.contract)
            return any(rule.kind in _WIDER for c in contracts for rule in rules_of(c, ground))
        return ground.check != "ingest"

    def _is_compared(self, ground: Ground) -> bool:
        """Return whether all that a ground says of a row itself is among the compared columns."""
        names = set(ground.column.split(", ")) if ground.check in ("ingest", "contract") else {""}
        return names <= set(self._how.compared or ())


def rules_of(contract: Contract, ground: Ground) -> list[Rule]:
    """Return the rules of a contract that give such a ground."""
    return [
        rule
        for rule in contract.rules
        if rule.id == ground.rule and _column_of(rule) == ground.column
    ]


def terms(contract: Contract, ground: Ground) -> Any:
    """Return all of a contract that a ground depends on, to be compared; None if it has no such."""
    columns = [column for column in contract.columns if ground.column in ("", column.name)]
    if ground.check == "ingest":
        return [column.spec for column in columns], contract.csv, dict(contract.limits)
    if ground.check == "contract":
        rules = rules_of(contract, ground)
        named = {name for rule in rules for name in rule.params.get("columns", ())}
        wide = [c.spec for c in contract.columns if c.name in named] or [c.spec for c in columns]
        stated = [(rule.kind, dict(rule.params), rule.severity) for rule in rules]
        return (stated, wide) if rules else None
    if contract.is_off(ground.check):
        return None
    return contract.columns, contract.policy.alpha, contract.options(ground.check)


def _column_of(rule: Rule) -> str:
    if "columns" in rule.params:
        return ", ".join(rule.params["columns"])
    return rule.column or ""


def _hashes(side: Side, name: str) -> list[str]:
    return [item["sha256"] for item in side.facts[name]]


def code_of(facts: Mapping[str, Any]) -> Any:
    """Return the code that wrote a run's files: of a release, not that of its base's checks."""
    return facts.get("released_by", facts["code"])
