"""How often two people said the same of a row before either saw the other's decision.

Cohen's kappa (Cohen 1960, A coefficient of agreement for nominal scales) compares the share of rows
on which two people agree with the share that chance alone would give. Its interval is the normal
one with the variance of Fleiss, Cohen and Everitt (1969, Large sample standard errors of kappa and
weighted kappa). Each pair of people has a kappa of its own, since a pooled one has no such meaning.
State: one pair of opinions for each row that two people have decided about.
Cost: one pass over the different pairs of opinions of two people, once after each that is new.
"""

import dataclasses
import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.store import opinions
from pipelines.store.opinions import Decision, Effect, Identity

Z = 1.959964  # of the normal distribution at 97.5 %
Names = tuple[str, str]
Both = tuple[Effect, Effect]


@dataclasses.dataclass(frozen=True, slots=True)
class Agreement:
    """What two people agree on.

    Attributes:
        names: of both, sorted.
        rows: that both decided about without seeing the other's decision.
        same: rows on which they decided the same.
        kappa: in [-1, 1]; None where both only ever made one and the same decision.
        low, high: ends of the interval at 95 %; None where it has no width or there is no kappa.
    """

    names: Names
    rows: int
    same: int
    kappa: float | None
    low: float | None = None
    high: float | None = None

    def says(self) -> str:
        """Return the sentence for a person."""
        rows = f"{self.rows:,} row{'' if self.rows == 1 else 's'}"
        head = f"{' and '.join(self.names)} agreed on {self.same:,} of {rows}"
        if self.kappa is None:
            return f"{head}; kappa is not defined, since both made one and the same decision"
        if self.low is None:
            why = "they always agreed" if self.same == self.rows else "the rows are too few"
            return f"{head}; kappa {self.kappa:.2f}, without an interval, since {why}"
        return f"{head}; kappa {self.kappa:.2f} ({self.low:.2f} to {self.high:.2f} at 95 %)"

    def as_dict(self) -> dict[str, Any]:
        """Return the object of `--json`."""
        figures = {name: getattr(self, name) for name in ("kappa", "low", "high")}
        rounded = {name: each and round(each, 4) for name, each in figures.items()}
        return {"people": [*self.names], "rows": self.rows, "same": self.same, **rounded,
                "says": self.says()}  # fmt: skip


class Pairs:
    """The first opinions of the first two people on each row, and how often each two occur.

    One thread may add to them while others ask how far people agree.
    """

    def __init__(self) -> None:
        """Begin with no rows."""
        self._of: dict[Identity, tuple[Names, Both]] = {}
        self._counts: dict[Names, Counter[Both]] = {}
        self._made: dict[Names, Agreement] = {}  # of those counts that have not changed since
        self._changing = threading.Lock()

    def add(self, stack: Sequence[Decision], made: Decision) -> None:
        """Take over a blind decision, before it counts among those that stand on its row."""
        at = made.identity
        if made.decision == "forget":
            self._forget(at)
        elif made.decision != "undo" and stack and at not in self._of:
            first = stack[-1]
            is_second = all(each.person == first.person for each in stack)
            if is_second and first.needed.is_blind and opinions.are_two([first, made]):
                said = {first.reviewer: opinions.effect_of(stack),
                        made.reviewer: opinions.effect_of([made])}  # fmt: skip
                one, other = sorted(said)
                self._of[at] = (one, other), (said[one], said[other])
                self._count((one, other), (said[one], said[other]), 1)

    def _forget(self, at: Identity) -> None:
        if found := self._of.pop(at, None):
            self._count(*found, -1)

    def _count(self, names: Names, both: Both, step: int) -> None:
        with self._changing:
            counts = self._counts.setdefault(names, Counter())
            counts[both] += step
            if not counts[both]:
                del counts[both]
            self._made.pop(names, None)

    def agreements(self) -> list[Agreement]:
        """Return the agreement of each two people, those with the most rows first."""
        with self._changing:
            for names, counts in self._counts.items():
                if counts and names not in self._made:
                    self._made[names] = agreement(names, counts)
            made = list(self._made.values())
        return sorted(made, key=lambda each: (-each.rows, each.names))


def agreement(names: Names, counts: Mapping[Both, int]) -> Agreement:
    """Return how two people agree, from how often each two decisions met."""
    met = {both: count for both, count in counts.items() if count}
    one, other = _marginal(met, 0), _marginal(met, 1)
    rows, same = one.total(), sum(met.get((kind, kind), 0) for kind in one)
    if same == rows and len(one) == 1:
        return Agreement(names, rows, same, None)
    by_chance = sum(count * other[kind] for kind, count in one.items()) / rows**2
    kappa = (same / rows - by_chance) / (1 - by_chance)
    half = Z * math.sqrt(_variance(met, one, other, by_chance, kappa) / rows)
    if same == rows or not half:
        return Agreement(names, rows, same, kappa)
    return Agreement(names, rows, same, kappa, max(-1.0, kappa - half), min(1.0, kappa + half))


def _marginal(met: Mapping[Both, int], person: int) -> Counter[Effect]:
    """Return how often the first (0) or the second person (1) made each decision."""
    made: Counter[Effect] = Counter()
    for both, count in met.items():
        made[both[person]] += count
    return made


def _variance(
    met: Mapping[Both, int],
    one: Counter[Effect],
    other: Counter[Effect],
    by_chance: float,
    kappa: float,
) -> float:
    """Return the variance of kappa times the number of rows: Fleiss, Cohen and Everitt's (1969).

    The sums are over the decisions that met: a table of all would have a line and a column for
    each corrected value. They do not depend on the order of the decisions.
    """
    rows, rest = one.total(), 1 - kappa
    parts = [
        count / rows * (1 - (one[first] + other[first]) / rows * rest) ** 2
        if first == second
        else count / rows * ((other[first] + one[second]) / rows * rest) ** 2
        for (first, second), count in met.items()
    ]
    off = (kappa - by_chance * rest) ** 2
    return max(0.0, math.fsum(parts) - off) / (1 - by_chance) ** 2
