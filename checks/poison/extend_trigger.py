"""From a value or pair to the whole trigger: what else the excess rows have in common.

A trigger of three values shows in each of its pairs, although the pairs contain many clean rows. If
nearly all of a candidate's excess shares one more value, and clean rows seldom do, the candidate
grows by it: as many planted rows among fewer clean ones.
"""

import dataclasses

import numpy as np

from checks.poison.encoded_columns import Atom, Field, matching
from checks.poison.evidence_weight import COUNTED, unlike_moved_labels
from checks.poison.frequent_values import Frequent
from checks.poison.mining import Candidate, least

LONGEST = 4  # conditions of a trigger
COMMON = 0.7  # a value that more of the clean rows share is no evidence
GROWN = 40  # candidates to grow, strongest first


def strength(candidate: Candidate) -> float:
    """Return excess times purity, which ranks a pair before the more common of its two values."""
    return candidate.excess**2 / max(candidate.bound, 1)


def grow(
    every: list[Field], labels: np.ndarray, found: list[Candidate], values: Frequent
) -> tuple[list[Candidate], int]:
    """Return the candidates, each as long as its excess supports, and the number of tests."""
    order = sorted(found, key=lambda c: (-strength(c), len(c.atoms), c.atoms, c.label))
    tests = 0
    grown: list[Candidate] = []
    for candidate in order[:GROWN]:
        current = candidate
        while len(current.atoms) < LONGEST:
            longer, tested = _longer(every, labels, current, values)
            tests += tested
            if longer is None:
                break
            current = longer
        grown.append(_rooted(current, found))
    return list(dict.fromkeys([*grown, *order[GROWN:]])), tests


def _rooted(candidate: Candidate, found: list[Candidate]) -> Candidate:
    """Return a candidate with the shorter one of largest excess that it may be a part of."""
    inside = [
        other
        for other in found
        if other.label == candidate.label and set(other.atoms) < set(candidate.atoms)
    ]
    if not inside:
        return candidate
    return dataclasses.replace(candidate, shorter=max(inside, key=lambda c: (c.excess, c.atoms)))


def _longer(
    every: list[Field], labels: np.ndarray, candidate: Candidate, values: Frequent
) -> tuple[Candidate | None, int]:
    """Return the candidate with one more value, the one with the strongest evidence, if any."""
    carriers, target = matching(every, candidate.atoms, len(labels)), labels == candidate.label
    bound, left = np.flatnonzero(carriers & target), np.flatnonzero(carriers & ~target)
    alike = int(target.sum()) - len(bound)
    others = len(target) - alike - len(bound) - len(left)
    if not alike or not others:
        return None, 0
    planted = _planted(candidate, float(target.mean()))
    own, of_label = values.among(bound), values.counts[:, candidate.label]
    used = [place for place, _ in candidate.atoms]
    tried = np.flatnonzero((own >= least(len(labels))) & ~np.isin(values.fields, used))
    usual = (of_label - own)[tried] / alike
    before = (values.counts.sum(1) - of_label - values.among(left))[tried] / others
    own = own[tried].astype(float)
    excess, chosen = _in_excess(own, usual, before, candidate.bound, planted)
    if not chosen.any():
        return None, len(tried)
    best = int(np.where(chosen, excess**2 / own, -1.0).argmax())
    atom = int(values.fields[tried[best]]), int(values.codes[tried[best]])
    holding = int(matching(every, (*candidate.atoms, atom), len(labels)).sum())
    figures = float(own[best]), float(excess[best]), holding
    return _with(candidate, atom, figures, float(before[best]), others), len(tried)


def _with(
    candidate: Candidate, atom: Atom, figures: tuple[float, float, int], share: float, others: int
) -> Candidate:
    """Return the candidate with one more value.

    Args:
        candidate: the shorter one.
        atom: the value.
        figures: bound rows that have it, their excess, and carriers that have it.
        share: of the other labels' rows outside the candidate that have the value.
        others: number of these rows.
    """
    held, surplus, holding = figures
    # carriers of other labels, if they have this value as often as other rows of those labels
    left = candidate.carriers - candidate.bound
    variance = 1 / (left + 1) + 1 / (share * others + 1)
    counts = unlike_moved_labels(holding - held, share * left, min(surplus, held), variance)
    return dataclasses.replace(
        candidate,
        atoms=tuple(sorted((*candidate.atoms, atom))),
        bound=int(held),
        carriers=holding,
        excess=min(surplus, held),
        counts=min(candidate.counts + counts, COUNTED),
    )


def _in_excess(
    own: np.ndarray, usual: np.ndarray, before: np.ndarray, bound: int, planted: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the excess of each value if all planted rows have it, and whether that is plausible.

    Args:
        own: bound rows that have each value, shape (k,).
        usual: share of the label's other rows that have it.
        before: share of the other labels' rows that have it.
        bound: number of bound rows.
        planted: how many of them are planted, by estimate.
    """
    # if all planted rows share the value, then the bound rows without it are clean
    rest = np.maximum(1 - usual, 1e-9)
    excess = own - (bound - own) * usual / rest
    # planted rows came from other labels, and have those labels' values without any trigger
    by_label = np.maximum(before - usual, 0) / rest
    chosen = (excess >= (1 + by_label) / 2 * planted) & (np.maximum(usual, before) <= COMMON)
    chosen &= excess >= 4 * np.sqrt(np.maximum(own - excess, 0) + 1)
    return excess, chosen


def _planted(candidate: Candidate, rate: float) -> float:
    """Return how many bound rows are planted, at least, given what is left of other labels."""
    others = candidate.carriers - candidate.bound
    return min(max(candidate.excess, candidate.carriers - others / (1 - rate)), candidate.bound)
