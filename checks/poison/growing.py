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
KEPT = 0.85  # of the excess must share the value
COMMON = 0.7  # a value of more of the honest rows tells nothing
GROWN = 100  # candidates, strongest first


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
    """Return the candidate with the one more value that makes it strongest, if any does."""
    carriers = matching(every, candidate.atoms, len(labels))
    target = labels == candidate.label
    bound, alike = carriers & target, ~carriers & target
    honest = candidate.bound - candidate.excess
    best, tests = (strength(candidate), -1, -1, 0.0, 0.0), 0
    if not alike.any():
        return None, 0
    for number, field in enumerate(every):
        if any(number == place for place, _ in candidate.atoms):
            continue
        size = len(field.values)
        own, usual = _counts(field, bound, size), _counts(field, alike, size) / alike.sum()
        excess = own - honest * usual
        chosen = np.flatnonzero(
            (excess >= KEPT * candidate.excess) & (usual <= COMMON) & (own >= low)
            # more than these rows would hold of it anyhow
            & (own - candidate.bound * usual >= 4 * np.sqrt(candidate.bound * usual + 1))
        )  # fmt: skip
        tests += int((own >= low).sum())
        for code in chosen:
            worth = min(float(excess[code]), candidate.excess) ** 2 / own[code]
            best = max(best, (worth, -number, -int(code), float(own[code]), float(excess[code])))
    if best[3] == 0 or best[0] < 1.1 * strength(candidate):
        return None, tests
    atoms = tuple(sorted((*candidate.atoms, (-best[1], -best[2]))))
    held = int(matching(every, atoms, len(labels)).sum())
    excess_of = min(best[4], best[3])
    return (
        dataclasses.replace(
            candidate, atoms=atoms, bound=int(best[3]), carriers=held, excess=excess_of
        ),
        tests,
    )


def _counts(field: Field, rows: np.ndarray, size: int) -> np.ndarray:
    if field.places is None:
        codes = field.codes[rows]
        return np.bincount(codes[codes >= 0], minlength=size).astype(float)
    return np.bincount(field.codes[rows[field.places]], minlength=size).astype(float)
