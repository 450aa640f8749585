"""From a value or pair to the whole trigger: what the excess rows have in common besides.

A trigger of three values shows in each of its pairs, though the pairs hold many honest rows. If
nearly all of a candidate's excess shares one more value, and honest rows seldom do, the candidate
grows by it: as many planted rows among fewer honest ones.
"""

import dataclasses

import numpy as np

from checks.poison.atoms import Field, matching
from checks.poison.mining import Candidate

LONGEST = 4  # conditions of one trigger
COMMON = 0.7  # a value of more of the honest rows tells nothing
GROWN = 40  # candidates, strongest first


def strength(candidate: Candidate) -> float:
    """Return excess times purity: by it a pair goes before the commoner one of its two values."""
    return candidate.excess**2 / max(candidate.bound, 1)


def grow(
    every: list[Field], labels: np.ndarray, found: list[Candidate], low: int
) -> tuple[list[Candidate], int]:
    """Return the candidates, each as long as its excess asks for, and how many were looked at.

    `low` is the smallest number of bound rows of a trigger.
    """
    order = sorted(found, key=lambda c: (-strength(c), len(c.atoms), c.atoms, c.label))
    tests = 0
    grown: list[Candidate] = []
    for candidate in order[:GROWN]:
        current = candidate
        while len(current.atoms) < LONGEST:
            longer, looked = _longer(every, labels, current, low)
            tests += looked
            if longer is None:
                break
            current = longer
        grown.append(current)
    return list(dict.fromkeys([*grown, *order[GROWN:]])), tests


def _longer(
    every: list[Field], labels: np.ndarray, candidate: Candidate, low: int
) -> tuple[Candidate | None, int]:
    """Return the candidate with the one more value that tells most, if any does."""
    carriers = matching(every, candidate.atoms, len(labels))
    target = labels == candidate.label
    bound, alike, others = carriers & target, ~carriers & target, ~carriers & ~target
    if not alike.any() or not others.any():
        return None, 0
    planted = _planted(candidate, float(target.mean()))
    best: tuple[float, int, int, float, float] | None = None
    tests = 0
    for number, field in enumerate(every):
        if any(number == place for place, _ in candidate.atoms):
            continue
        size = len(field.values)
        own, usual = _counts(field, bound, size), _counts(field, alike, size) / alike.sum()
        tests += int((own >= low).sum())
        codes = np.flatnonzero((own >= low) & (usual <= COMMON))
        own, usual = own[codes], usual[codes]
        # if all planted rows share the value, then the bound rows without it are honest
        excess = own - (candidate.bound - own) * usual / (1 - usual)
        # planted rows were of other labels, and have their values without any trigger
        before = (_counts(field, others, size) / others.sum())[codes]
        by_label = np.maximum(before - usual, 0) / (1 - usual)
        chosen = (excess >= (1 + by_label) / 2 * planted) & (before <= COMMON)
        chosen &= excess >= 4 * np.sqrt(own - excess + 1)
        for k in np.flatnonzero(chosen):
            told = (excess[k] ** 2 / own[k], -number, -int(codes[k]), own[k], excess[k])
            best = told if best is None else max(best, told)
    if best is None:
        return None, tests
    atoms = tuple(sorted((*candidate.atoms, (-best[1], -best[2]))))
    held = int(matching(every, atoms, len(labels)).sum())
    few = min(float(best[4]), float(best[3]))
    longer = dataclasses.replace(
        candidate, atoms=atoms, bound=int(best[3]), carriers=held, excess=few
    )
    return longer, tests


def _planted(candidate: Candidate, rate: float) -> float:
    """Return how many bound rows are planted, by what is left of the other labels at least."""
    others = candidate.carriers - candidate.bound
    return min(max(candidate.excess, candidate.carriers - others / (1 - rate)), candidate.bound)


def _counts(field: Field, rows: np.ndarray, size: int) -> np.ndarray:
    if field.places is None:
        codes = field.codes[rows]
        return np.bincount(codes[codes >= 0], minlength=size).astype(float)
    return np.bincount(field.codes[rows[field.places]], minlength=size).astype(float)
