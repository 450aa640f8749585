"""Scores below which a rule held the wrong rows, by what reviewers found.

`learnt` decides alone, so it is cautious: ten reviewed rows at least, and at most a third of such
rows wrong even at the upper end of Wilson's interval. It never reaches beyond the highest score
that somebody released, so no rule is ever switched off. `proposed` is for a person to decide, who
sees the price. Both weigh a wrong row that would be missed as much as three false alarms.
Rows were chosen for review because a rule held them: nothing is said of any other row.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from pipelines.learning.cases import UNKNOWN, Case, Key
from pipelines.learning.precision import Precision

LEAST = 10  # reviewed rows below a cut that is learnt
MOST_WRONG = 1 / 3  # of the rows below it, at the upper end of the interval
WORTH = 3  # false alarms that a wrong row counts as
LEAST_TO_PROPOSE = 20  # reviewed rows of a rule and column
LEAST_RELEASED = 5  # of them


@dataclasses.dataclass(frozen=True, slots=True)
class Cut:
    """What reviewers found at or below a score of one rule and column.

    Attributes:
        column: nothing for any column.
        upto: the highest score to which this applies.
        released, wrong: reviewed rows up to there.
    """

    rule: str
    column: str
    upto: float
    released: int
    wrong: int

    @property
    def name(self) -> str:
        """Return rule and column as `assay.policy.hold_from` names them."""
        return f"{self.rule} {self.column}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """Return what an entry records of it."""
        return dataclasses.asdict(self)


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


def learnt(key: Key, cases: Sequence[Case]) -> Cut | None:
    """Return the cut that the cases of a rule and column, by ascending score, bear out."""
    best, most = None, 0
    for upto, released, wrong in _steps(cases):
        high = Precision(wrong, released + wrong).interval()[1]
        gain = released - WORTH * wrong
        if released + wrong >= LEAST and high <= MOST_WRONG and gain > most:
            best, most = Cut(*key, upto, released, wrong), gain
    return best


def proposed(key: Key, cases: Sequence[Case]) -> Proposal | None:
    """Return the threshold of the best price, None where too few rows were reviewed to say."""
    known = [case for case in cases if case.score > UNKNOWN]
    released = sum(not case.is_wrong for case in known)
    if len(known) < LEAST_TO_PROPOSE or released < LEAST_RELEASED:
        return None
    best, most = None, 0
    for upto, freed, missed in _steps(cases):
        above = [case.score for case in known if case.score > upto]
        gain = freed - WORTH * missed
        # without a row above it, this would be no threshold but the end of the rule
        if above and gain > most:
            at = round((upto + min(above)) / 2, 6)
            at = at if at > upto else min(above)
            name = " ".join(key).rstrip()
            wrong = len(cases) - released
            knob = f"assay.policy: {{hold_from: {{{name}: {at:g}}}}}"
            now = known[0].score
            best = Proposal(name, at, now, freed, released, missed, wrong, upto, knob)
            most = gain
    return best


def _steps(cases: Sequence[Case]) -> list[tuple[float, int, int]]:
    """Return each score that a released row has, with the released and wrong rows up to there."""
    made, released, wrong = [], 0, 0
    for number, case in enumerate(cases):
        released, wrong = released + (not case.is_wrong), wrong + case.is_wrong
        is_last = number + 1 == len(cases) or cases[number + 1].score > case.score
        if is_last and case.score > UNKNOWN:
            made.append((case.score, released, wrong))
    return made
