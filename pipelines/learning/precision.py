"""How often a rule was right about a row that somebody reviewed.

A rule is right about a row that was rejected, relabelled, corrected or redacted, and wrong about
one that was released. Only decisions in force count, on all runs of the dataset, each row once. The
interval is Wilson's at 95 %. Rows are not reviewed at random: this is the share among reviewed
rows, no other.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from pipelines.store.decisions import History

Z = 1.959964  # of the normal distribution at 97.5 %
PRIOR = 4.0  # reviewed rows that the guess before any review weighs as much as
RIGHT = "release"  # the decision that says that nothing is wrong with a row


@dataclasses.dataclass(frozen=True, slots=True)
class Precision:
    """Of the reviewed rows that a rule accused, how many were wrong.

    `advice`: a column of the rule, and a sentence on what may follow for it; any number of pairs.
    """

    wrong: int = 0
    reviewed: int = 0
    advice: tuple[tuple[str, str], ...] = ()

    def about(self, column: str | None) -> "Precision":
        """Return the same with the advice on one column only."""
        advice = tuple(pair for pair in self.advice if pair[0] in ("", column))
        return dataclasses.replace(self, advice=advice)

    def likely(self, guess: float) -> float:
        """Return the chance that a row is wrong, given the guess before any review."""
        return (self.wrong + PRIOR * guess) / (self.reviewed + PRIOR)

    def interval(self) -> tuple[float, float]:
        """Return the ends of the interval of the share that was wrong, in [0, 1]."""
        n = self.reviewed
        if not n:
            return 0.0, 1.0
        share, wide = self.wrong / n, Z * Z / n
        middle = (share + wide / 2) / (1 + wide)
        half = Z * math.sqrt(share * (1 - share) / n + wide / (4 * n)) / (1 + wide)
        return max(0.0, middle - half), min(1.0, middle + half)

    def says(self) -> str:
        """Return what is known for a person, empty if nothing was reviewed."""
        if not self.reviewed:
            return ""
        low, high = self.interval()
        said = (
            f"{self.wrong:,} of {self.reviewed:,} reviewed rows were wrong "
            f"({low:.0%} to {high:.0%} of all, at 95 %)"
        )
        return "; ".join([said, *(text for _, text in self.advice)])

    def as_dict(self) -> dict[str, Any]:
        """Return the object of `--json`."""
        low, high = self.interval()
        return {"wrong": self.wrong, "reviewed": self.reviewed,
                "low": round(low, 3), "high": round(high, 3)}  # fmt: skip


def precisions(history: History) -> Mapping[str, Precision]:
    """Return the precision of each rule that reviewed rows were accused by, by what is in force."""
    found: dict[str, Precision] = {}
    for stack in history.stacks.values():
        last = stack[-1]
        is_wrong = last.decision != RIGHT
        # a rule may accuse a row in several columns
        for rule in {text.partition(" ")[0] for text in last.accused}:
            before = found.get(rule, Precision())
            found[rule] = Precision(before.wrong + is_wrong, before.reviewed + 1)
    return found
