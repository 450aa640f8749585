"""Scores below which a rule held the wrong rows, by what reviewers found.

`learnt` decides alone, so it is cautious: ten reviewed rows at least, and at most a third of such
rows wrong even at the upper end of Wilson's interval. It never reaches beyond the highest score
that somebody released, so no rule is ever switched off. `proposed` is for a person to decide, who
sees the price. Both weigh a wrong row that would be missed as much as three false alarms.
A rule that held rows for several columns is weighed over all of them too: its scores mean the same
in each, unless the reviewed rows of a column say otherwise.
Rows were chosen for review because a rule held them: nothing is said of any other row.
"""

import bisect
import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.learning.cases import UNKNOWN, Case, Cases, Key
from pipelines.learning.precision import Precision

LEAST = 10  # reviewed rows below a cut that is learnt
MOST_WRONG = 1 / 3  # of the rows below it, at the upper end of the interval
LEAST_WRONG = 2  # of fewer rows of a column than LEAST: one may be the reviewer's slip
LEAST_COLUMNS = 2  # that bear out a cut of all columns: one says nothing of others
WORTH = 3  # false alarms that a wrong row counts as
LEAST_TO_PROPOSE = 20  # reviewed rows of a rule and column
LEAST_RELEASED = 5  # of them


@dataclasses.dataclass(frozen=True, slots=True)
class Cut:
    """What reviewers found at or below a score of one rule and column.

    Attributes:
        column: nothing for any column but those excluded.
        upto: the highest score to which this applies.
        released, wrong: reviewed rows up to there, without those of excluded columns.
        excluded: columns whose own reviewed rows up to there speak against it, sorted.
    """

    rule: str
    column: str
    upto: float
    released: int
    wrong: int
    excluded: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return rule and column as `assay.policy.hold_from` names them."""
        return f"{self.rule} {self.column}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """Return what an entry records of it."""
        return {**dataclasses.asdict(self), "excluded": [*self.excluded]}


@dataclasses.dataclass(frozen=True, slots=True)
class Proposal:
    """A threshold with its price.

    Attributes:
        name: rule and column.
        at: the proposed score from which an error holds; now: the lowest score that was held.
        upto: the highest score that would be free; knob: what to write into the contract.
        freed: of `released`, the rows that would not have been held.
        missed: of `wrong`, the rows that would not have been held either.
    """

    name: str
    at: float
    now: float
    freed: int
    released: int
    missed: int
    wrong: int
    upto: float
    knob: str

    def as_dict(self) -> dict[str, Any]:
        """Return the object of `--json`, with the interval of the share that would be missed."""
        low, high = Precision(self.missed, self.wrong).interval()
        ends = {"low": round(low, 3), "high": round(high, 3)}
        return {**dataclasses.asdict(self), **ends, "says": self.says()}

    def says(self) -> str:
        """Return the price for a person."""
        low, high = Precision(self.missed, self.wrong).interval()
        return (
            f"at {self.at:g} instead of {self.now:g}, {self.freed:,} of {self.released:,} released "
            f"rows would not have been held, and {self.missed:,} of {self.wrong:,} wrong ones "
            f"would be missed ({low:.0%} to {high:.0%}): {self.knob}"
        )


def learnt(known: Cases) -> tuple[Cut, ...]:
    """Return the cuts that reviewed rows bear out: of each rule as a whole, and of its columns."""
    made = (_learnt(key, columns) for key, columns in _groups(known))
    return tuple(cut for cut in made if cut)


def proposals(known: Cases) -> list[Proposal]:
    """Return the thresholds of the best price, of each rule as a whole, and of its columns."""
    made = (_proposed(key, columns) for key, columns in _groups(known))
    return [each for each in made if each]


def proposed(key: Key, cases: Sequence[Case]) -> Proposal | None:
    """Return the threshold of the best price, None where too few rows were reviewed to say.

    Args:
        key: rule and column.
        cases: of them, by ascending score.
    """
    return _proposed(key, {key[1]: cases})


_Columns = Mapping[str, Sequence[Case]]


def _groups(known: Cases) -> Iterator[tuple[Key, _Columns]]:
    """Yield what is weighed together: of several columns of a rule all, then each."""
    rules = defaultdict[str, dict[str, Sequence[Case]]](dict)
    for (rule, column), each in known.items():
        rules[rule][column] = each
    for rule in sorted(rules):
        columns = rules[rule]
        if len(columns) > 1:
            yield (rule, ""), columns
        for column in sorted(columns):
            # "" beside names is a row as a whole, where a cut or threshold would mean any column
            if column or len(columns) == 1:
                yield (rule, column), {column: columns[column]}


@dataclasses.dataclass(slots=True)
class _Counted:
    """Reviewed rows of one column up to a score; `top` is the highest that was released."""

    released: int = 0
    wrong: int = 0
    top: float = UNKNOWN

    def is_against(self) -> bool:
        """Return whether they speak against making the column milder with others.

        From ten rows on a column could have a cut of its own, so it must bear this one out alone.
        """
        every = self.released + self.wrong
        if every >= LEAST:
            return _is_too_wrong(self.released, self.wrong)
        return self.wrong >= LEAST_WRONG and self.wrong > MOST_WRONG * every


@dataclasses.dataclass(frozen=True, slots=True)
class _Step:
    """Reviewed rows up to a score, of all columns and of those that are not excluded."""

    upto: float
    columns: Mapping[str, _Counted]

    @property
    def excluded(self) -> tuple[str, ...]:
        """Return the columns that speak against it; one alone is judged as a whole."""
        if len(self.columns) == 1:
            return ()
        return tuple(sorted(name for name, each in self.columns.items() if each.is_against()))

    def is_borne_out(self, others: Sequence[_Counted]) -> bool:
        """Return whether the columns that are not excluded bear out a cut, and all together too."""
        released, wrong = _sums(others)
        seen = sum(each.released + each.wrong > 0 for each in others)
        return (
            seen >= min(LEAST_COLUMNS, len(self.columns))
            and released + wrong >= LEAST
            and max(each.top for each in others) == self.upto
            and not _is_too_wrong(released, wrong)
            and not _is_too_wrong(*_sums([*self.columns.values()]))
        )


def _learnt(key: Key, columns: _Columns) -> Cut | None:
    best, most = None, 0
    for step in _steps(columns):
        excluded = step.excluded
        others = [each for name, each in step.columns.items() if name not in excluded]
        released, wrong = _sums(others)
        gain = released - WORTH * wrong
        if gain > most and step.is_borne_out(others):
            best, most = Cut(*key, step.upto, released, wrong, excluded), gain
    return best


def _proposed(key: Key, columns: _Columns) -> Proposal | None:
    cases = sorted(case for each in columns.values() for case in each)
    scores = [case.score for case in cases if case.score > UNKNOWN]
    released = sum(not case.is_wrong for case in cases if case.score > UNKNOWN)
    if len(scores) < LEAST_TO_PROPOSE or released < LEAST_RELEASED:
        return None
    best, most = None, 0
    for step in _steps(columns):
        place = bisect.bisect_right(scores, step.upto)
        freed, missed = _sums([*step.columns.values()])
        gain = freed - WORTH * missed
        # without a row above it, this would be no threshold but the end of the rule; and a
        # threshold of a rule as a whole can leave no column out
        if place < len(scores) and gain > most and not step.excluded:
            above = scores[place]
            at = round((step.upto + above) / 2, 6)
            at = at if at > step.upto else above
            name = " ".join(key).rstrip()
            wrong = len(cases) - released
            knob = f"assay.policy: {{hold_from: {{{name}: {at:g}}}}}"
            best = Proposal(
                name, at, scores[0], freed, released, missed, wrong, step.upto, knob
            )  # fmt: skip
            most = gain
    return best


def _steps(columns: _Columns) -> Iterator[_Step]:
    """Yield the counts at each score that a released row has, which the next step changes."""
    pairs = sorted((case, name) for name, each in columns.items() for case in each)
    counted = {name: _Counted() for name in columns}
    has_released = False
    for number, (case, name) in enumerate(pairs):
        own = counted[name]
        own.released, own.wrong = own.released + (not case.is_wrong), own.wrong + case.is_wrong
        if not case.is_wrong:
            own.top, has_released = case.score, True
        if number + 1 == len(pairs) or pairs[number + 1][0].score > case.score:
            if has_released and case.score > UNKNOWN:
                yield _Step(case.score, counted)
            has_released = False


def _sums(counted: Sequence[_Counted]) -> tuple[int, int]:
    return sum(each.released for each in counted), sum(each.wrong for each in counted)


def _is_too_wrong(released: int, wrong: int) -> bool:
    return Precision(wrong, released + wrong).interval()[1] > MOST_WRONG
