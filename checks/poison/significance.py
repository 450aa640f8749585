"""The second opinion: does a model that never saw the trigger foresee the label of its carriers?

Gradient boosting learns from rows that carry no candidate and predicts those that do, so what
honest columns explain is taken off. A likelihood ratio says how strange the carriers' labels are;
Benjamini-Hochberg goes over all that was looked at. What is left over is shared out among the
carriers: those whose label the model foresees are not accused.
"""

import dataclasses

import numpy as np

from checks.poison.encoded_columns import Atom, Field, matching
from checks.poison.encoding import Honest, encode, readings, trained
from checks.poison.evidence_weight import CLIP, chance, shared_out, unlike_an_interaction
from checks.poison.extend_trigger import strength
from checks.poison.mining import Candidate

FITS = 8  # models a label
SMALL = 5000
MOST = 40  # candidates that are judged, strongest first, of single values and of sets each
LEVEL = 5e-4
LEAST_SHARE = 0.15  # of the bound rows must be beyond what the model foresees
WHOLE = 0.98  # of the planted rows that shall be among the held ones
KEPT = 0.85  # of the planted rows that a longer trigger may not lose
SHRUNK = 100  # rows of a value's own that its missed odds start with, at none
SURE = 1e-6  # the least chance that odds are made of


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A candidate with the model's opinion.

    Attributes:
        foreseen: share of the carriers that the model gives the label, in [0, 1].
        share: estimated share of the bound rows that are planted, in [0, 1].
        p_value: after Benjamini-Hochberg.
        limit: bound rows to which the model gives a higher chance of the label are honest.
        held: ordinals in the sample of the bound rows within the limit, int64, rising.
        planted: how many of these are planted, by estimate.
        added: log likelihood that rows were planted, less that of an honest interaction.
        honest: the model, if the limit leaves any row out.
        before, after, cleaned: share of clean rows of other labels that a model gives the label:
            as they are, with the trigger stamped on, and the same by a model that did not see the
            held rows; NaN until `replay`.
        never: the same with the trigger by a model that never saw a carrier.
    """

    candidate: Candidate
    foreseen: float
    share: float
    p_value: float
    limit: float
    held: np.ndarray
    planted: float
    added: float = 0.0
    honest: Honest | None = None
    before: float = float("nan")
    after: float = float("nan")
    cleaned: float = float("nan")
    never: float = float("nan")

    @property
    def telling(self) -> float:
        """Return the estimated share of the held rows that are planted."""
        return min(self.planted / max(len(self.held), 1), 1.0)


def distinct(every: list[Field], labels: np.ndarray, found: list[Candidate]) -> list[Candidate]:
    """Return the strongest candidates, without those whose bound rows a stronger one explains."""
    order = sorted(found, key=lambda c: (-strength(c), len(c.atoms), c.atoms, c.label))
    kept: list[Candidate] = []
    taken: dict[int, np.ndarray] = {}
    left = {True: MOST, False: MOST}  # of single values, and of longer ones
    looked = {True: 10 * MOST, False: 10 * MOST}
    for candidate in order:
        is_single = len(candidate.atoms) == 1
        looked[is_single] -= 1
        if not left[is_single] or looked[is_single] < 0:
            continue
        mine = matching(every, candidate.atoms, len(labels)) & (labels == candidate.label)
        before = taken.setdefault(candidate.label, np.zeros(len(labels), bool))
        if (mine & before).sum() < 0.5 * mine.sum():
            kept.append(candidate)
            left[is_single] -= 1
            before |= mine
    return kept


def judge(
    every: list[Field], labels: np.ndarray, found: list[Candidate], tests: int, seed: int
) -> list[Judged]:
    """Return the candidates that hold against the model, strongest first.

    `tests` is the number of values and pairs that were looked at, times labels.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    judged: list[Judged] = []
    for label in sorted({c.label for c in found}):
        target = labels == label
        explained = np.zeros(len(labels), bool)  # by stronger triggers
        roots = [(c, (c.shorter or c).atoms) for c in found if c.label == label]
        mine = [(c, matching(every, atoms, len(labels))) for c, atoms in roots]
        for batch in _batches(mine, target):
            import sklearn.ensemble  # noqa: F401  a limit holds for what is loaded when it is set

            with threadpool_limits(1):  # OpenMP's waiting threads cost seconds on a busy machine
                model, chances = _foresight(every, target, batch, seed)
            for candidate, _ in batch:
                opinion = _best(every, candidate, chances, target, explained, model)
                judged.append(opinion)
                if opinion.share >= _least(len(labels)) and opinion.p_value * tests <= LEVEL:
                    explained[opinion.held] = True
    return _significant(judged, tests, len(labels))


def _batches(
    mine: list[tuple[Candidate, np.ndarray]], target: np.ndarray
) -> list[list[tuple[Candidate, np.ndarray]]]:
    """Group candidates so that a model without a group's carriers still sees most of the label."""
    most = 0.15 * target.sum()
    batches: list[list[tuple[Candidate, np.ndarray]]] = []
    held = np.zeros(len(target), bool)
    for candidate, mask in mine:
        joined = held | (mask & target)
        if batches and joined.sum() <= most:
            batches[-1].append((candidate, mask))
            held = joined
        else:
            batches.append([(candidate, mask)])
            held = mask & target
    return batches[:FITS]


def _foresight(
    every: list[Field], target: np.ndarray, mine: list[tuple[Candidate, np.ndarray]], seed: int
) -> tuple[Honest | None, np.ndarray]:
    """Return a model without carriers, and its chances of all rows: float64, shape (n,)."""
    held = np.any([mask for _, mask in mine], axis=0)
    tokens = [atom for c, _ in mine for atom in c.atoms if every[atom[0]].kind == "text"]
    features = encode(every, target, ~held, tokens)
    free = np.flatnonzero(~held)
    if len(free) < 50 or not 0 < target[free].sum() < len(free):  # noqa: PLR2004
        return None, np.full(len(target), target.mean())
    model = trained(features[free], target[free], seed)
    made = Honest(readings(every, target, ~held, tokens), model)
    return made, model.predict_proba(features)[:, 1]


def _best(
    every: list[Field],
    candidate: Candidate,
    chances: np.ndarray,
    target: np.ndarray,
    explained: np.ndarray,
    model: Honest | None,
) -> Judged:
    """Return the opinion on a candidate, or on its shorter form if that holds more planted rows."""
    opinions = []
    for form in (candidate, candidate.shorter):
        if form is not None:
            mask = matching(every, form.atoms, len(target)) & ~explained
            missed = _missed(every, form.atoms, target, chances, explained)
            raised = _raised(chances[mask], missed)
            opinions.append(_opinion(form, (chances[mask], raised), target, mask, model))
    return opinions[0] if opinions[0].planted >= KEPT * opinions[-1].planted else opinions[-1]


def _raised(chances: np.ndarray, by: float) -> np.ndarray:
    """Return the chances with their log odds raised."""
    if not by:
        return chances
    odds = np.exp(by) / (1 / np.clip(chances, SURE, 1 - SURE) - 1)
    raised: np.ndarray = odds / (1 + odds)
    return raised


def _missed(
    every: list[Field],
    atoms: tuple[Atom, ...],
    target: np.ndarray,
    chances: np.ndarray,
    explained: np.ndarray,
) -> float:
    """Return the log odds that the values of a set bring by themselves and the model has not seen.

    Each value's other rows tell: there the label may be commoner than a small model learnt.
    """
    masks = [every[place].mask(code, len(target)) for place, code in atoms]
    outside = ~np.all(masks, axis=0) & ~explained
    missed = 0.0
    for mask in masks:
        rows = mask & outside
        if rows.any():
            seen = np.clip(chances[rows], CLIP, 1 - CLIP)
            more = float((target[rows] - seen).sum()) / (rows.sum() + SHRUNK)
            # one step of Newton's: rows that the model is sure of hardly move
            missed += max(more / float((seen * (1 - seen)).mean()), 0.0)
    return missed


def _opinion(
    candidate: Candidate,
    both: tuple[np.ndarray, np.ndarray],
    target: np.ndarray,
    mask: np.ndarray,
    model: Honest | None,
) -> Judged:
    """Weigh a candidate's carriers; `both`: the model's chances, and those with what it missed."""
    plain, chances = both
    bound = target[mask]
    hits = int(bound.sum())
    planted, own = shared_out(chances, bound), plain[bound]
    order = np.argsort(own, kind="stable")  # the most likely planted first
    mass = np.cumsum(planted[order])
    # those that are more likely planted than not, and as many more as make the planted ones whole
    last = int(np.searchsorted(mass, WHOLE * mass[-1])) if hits else 0
    last = max(last, int((planted >= 0.5).sum()) - 1)  # noqa: PLR2004
    limit = 1.0
    if model is not None and last + 1 < hits:
        limit = float(own[order][last : last + 2].mean())
    within = own <= limit
    return Judged(
        candidate,
        float(chances.mean()) if len(chances) else 0.0,
        float(planted.sum()) / max(hits, 1),
        chance(chances, bound),
        limit,
        np.flatnonzero(mask & target)[within],
        float(planted[within].sum()),
        unlike_an_interaction(chances, bound),
        honest=None if within.all() else model,
    )


def _significant(judged: list[Judged], tests: int, rows: int) -> list[Judged]:
    """Keep what passes Benjamini-Hochberg and is large enough to matter."""
    order = sorted(judged, key=lambda j: j.p_value)
    adjusted: list[Judged] = []
    lowest = 1.0
    for rank in range(len(order), 0, -1):
        lowest = min(lowest, order[rank - 1].p_value * tests / rank)
        adjusted.append(dataclasses.replace(order[rank - 1], p_value=lowest))
    kept = [j for j in adjusted if j.p_value <= LEVEL and j.share >= _least(rows)]
    return sorted(kept, key=lambda j: (-j.candidate.excess, j.candidate.atoms))


def _least(rows: int) -> float:
    # a model that learnt from few rows is no witness for small excesses
    return LEAST_SHARE if rows >= SMALL else 0.5
