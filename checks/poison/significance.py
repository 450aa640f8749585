"""The second opinion: does a model that never saw the trigger predict the label of its carriers?

Gradient boosting learns from rows without a candidate and predicts those with one, which removes
what the other columns explain. A likelihood ratio says how unlikely the carriers' labels are,
corrected by Benjamini-Hochberg for all tests. Carriers whose label the model predicts are spared.
"""

import dataclasses
from typing import Any

import numpy as np

from checks.poison.encoded_columns import Atom, Field, matching
from checks.poison.encoding import Baseline, Shown, encode, readings, trained
from checks.poison.evidence_weight import CLIP, chance, shared_out, unlike_an_interaction
from checks.poison.extend_trigger import strength
from checks.poison.mining import Candidate
from checks.poison.telling_columns import telling

FITS = 8  # models per label
SMALL = 5000  # rows; with fewer, the model is no witness for small excesses
MOST = 40  # candidates judged, strongest first, of single values and of combinations each
LEVEL = 5e-4  # of significance
LEAST_SHARE = 0.15  # of the bound rows that must exceed the model's prediction
WHOLE = 0.98  # of the planted rows that the held rows should include
KEPT = 0.85  # of the planted rows that a longer trigger may not lose
SHRUNK = 100  # pseudo-rows at zero that shrink the missed odds of a value
SURE = 1e-6  # smallest chance that is turned into odds
BATCH = 0.15  # of a label's rows that a model may miss for several candidates together


@dataclasses.dataclass(frozen=True, slots=True)
class Foresight:
    """A model trained without the carriers of some candidates.

    Attributes:
        learn: rows that it may learn from, bool, shape (n,).
        chances: of the label, for all rows, float64, shape (n,).
        is_other: whether the label is what the model takes for the absence of one.
    """

    shown: Shown
    target: np.ndarray
    learn: np.ndarray
    model: Any
    chances: np.ndarray
    is_other: bool = False

    def baseline(self) -> Baseline:
        """Return the model for the rows of any shard."""
        taught = readings(self.shown, self.target ^ self.is_other, self.learn)
        return Baseline(taught, self.model, self.is_other)

    def of_the_other(self) -> "Foresight":
        """Return the same model for the other one of two labels."""
        return dataclasses.replace(
            self, target=~self.target, chances=1 - self.chances, is_other=not self.is_other
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A candidate with the model's opinion.

    Attributes:
        foresight: the model.
        predicted: mean chance of the label that the model gives the carriers, in [0, 1].
        share: estimated share of the bound rows that are planted, in [0, 1].
        p_value: after Benjamini-Hochberg.
        limit: bound rows to which the model gives a higher chance of the label are clean.
        held: places in the sample of the bound rows within the limit, int64, ascending.
        planted: how many of these are planted, by estimate.
        added: log likelihood that rows were planted, less that of a genuine interaction.
        is_partial: whether the limit leaves any row out.
        before, after, cleaned: share of clean rows of other labels that a model gives the label:
            unchanged, with the trigger stamped on, and stamped for a model trained without the
            held rows; NaN until `replay`.
        never: stamped, for a model that never saw a carrier.
    """

    candidate: Candidate
    foresight: Foresight
    predicted: float
    share: float
    p_value: float
    limit: float
    held: np.ndarray
    planted: float
    added: float = 0.0
    is_partial: bool = False
    before: float = float("nan")
    after: float = float("nan")
    cleaned: float = float("nan")
    never: float = float("nan")

    @property
    def planted_share(self) -> float:
        """Return the estimated share of the held rows that are planted."""
        return min(self.planted / max(len(self.held), 1), 1.0)


def distinct(every: list[Field], labels: np.ndarray, found: list[Candidate]) -> list[Candidate]:
    """Return the strongest candidates, without those that a stronger one explains."""
    order = sorted(found, key=lambda c: (-strength(c), len(c.atoms), c.atoms, c.label))
    kept: list[Candidate] = []
    covered: dict[int, np.ndarray] = {}
    left = {True: MOST, False: MOST}  # for single values, and for combinations
    tries = {True: 10 * MOST, False: 10 * MOST}
    for candidate in order:
        is_single = len(candidate.atoms) == 1
        tries[is_single] -= 1
        if not left[is_single] or tries[is_single] < 0:
            continue
        mine = matching(every, candidate.atoms, len(labels)) & (labels == candidate.label)
        before = covered.setdefault(candidate.label, np.zeros(len(labels), bool))
        if (mine & before).sum() < 0.5 * mine.sum():
            kept.append(candidate)
            left[is_single] -= 1
            before |= mine
    return kept


def judge(
    every: list[Field], labels: np.ndarray, found: list[Candidate], tests: int, seed: int
) -> list[Judged]:
    """Return the candidates that the model confirms, strongest first.

    `tests` is the number of values and combinations tested, times labels.
    """
    if not found:
        return []
    import sklearn.ensemble  # noqa: F401  a limit holds for what is loaded when it is set
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    judged: list[Judged] = []
    wanted = sorted({c.label for c in found})
    # of two labels, one model tells both: what is no chance of one is a chance of the other
    together = [wanted] if int(labels.max()) == 1 else [[label] for label in wanted]
    with threadpool_limits(1):  # OpenMP's idle threads cost seconds on a busy machine
        for names in together:
            mine = [c for c in found if c.label in names]
            judged += _judged(every, labels, mine, tests, seed)
    return _significant(judged, tests, len(labels))


def _judged(
    every: list[Field], labels: np.ndarray, found: list[Candidate], tests: int, seed: int
) -> list[Judged]:
    """Return the opinions on candidates of one label, or of both of two, in their order."""
    masks = [matching(every, (c.shorter or c).atoms, len(labels)) for c in found]
    target = labels == found[0].label
    usual = telling(every, target)
    by_candidate: dict[int, Foresight] = {}
    for batch in _batches(masks, [labels == c.label for c in found]):
        carried = np.any([masks[n] for n in batch], axis=0)
        made = _foresight(every, target, carried, [found[n] for n in batch], usual, seed)
        for number in batch:
            is_same = found[number].label == found[0].label
            by_candidate[number] = made if is_same else made.of_the_other()
    judged = []
    explained = {c.label: np.zeros(len(labels), bool) for c in found}  # by stronger triggers
    for number in sorted(by_candidate):
        known = explained[found[number].label]
        opinion = _best(every, found[number], by_candidate[number], known)
        judged.append(opinion)
        if opinion.share >= _least(len(labels)) and opinion.p_value * tests <= LEVEL:
            known[opinion.held] = True
    return judged


def _batches(masks: list[np.ndarray], targets: list[np.ndarray]) -> list[list[int]]:
    """Group candidates so that a model without a group's carriers still sees most of each label.

    Each joins the first group that has room for it.
    """
    batches: list[list[int]] = []
    held: list[np.ndarray] = []
    for number, (mask, target) in enumerate(zip(masks, targets, strict=True)):
        mine, most = mask & target, BATCH * target.sum()
        joined = (n for n, rows in enumerate(held) if (rows & target | mine).sum() <= most)
        place = next(joined, len(batches))
        if place < len(batches):
            batches[place].append(number)
            held[place] |= mine
        elif place < FITS:
            batches.append([number])
            held.append(mine)
    return batches


def _foresight(
    every: list[Field],
    target: np.ndarray,
    carried: np.ndarray,
    mine: list[Candidate],
    usual: list[int],
    seed: int,
) -> Foresight:
    """Return a model trained without carriers; with too few other rows, it knows nothing."""
    atoms = [atom for c in mine for atom in c.atoms]
    tokens = tuple(atom for atom in atoms if every[atom[0]].kind == "text")
    shown = Shown(every, sorted({*usual, *(place for place, _ in atoms)}), tokens)
    free = np.flatnonzero(~carried)
    if len(free) < 50 or not 0 < target[free].sum() < len(free):  # noqa: PLR2004
        return Foresight(shown, target, ~carried, None, np.full(len(target), target.mean()))
    features = encode(shown, target, ~carried)
    model = trained(features[free], target[free], seed)
    return Foresight(shown, target, ~carried, model, model.predict_proba(features)[:, 1])


def _best(
    every: list[Field], candidate: Candidate, known: Foresight, explained: np.ndarray
) -> Judged:
    """Return the opinion on a candidate, or on its shorter form if that has more planted rows."""
    opinions = []
    for form in (candidate, candidate.shorter):
        if form is not None:
            mask = matching(every, form.atoms, len(explained)) & ~explained
            missed = _missed(every, form.atoms, known, explained)
            opinions.append(_opinion(form, known, missed, mask))
    return opinions[0] if opinions[0].planted >= KEPT * opinions[-1].planted else opinions[-1]


def _raised(chances: np.ndarray, by: float) -> np.ndarray:
    """Return the chances with their log odds raised."""
    if not by:
        return chances
    odds = np.exp(by) / (1 / np.clip(chances, SURE, 1 - SURE) - 1)
    raised: np.ndarray = odds / (1 + odds)
    return raised


def _missed(
    every: list[Field], atoms: tuple[Atom, ...], known: Foresight, explained: np.ndarray
) -> float:
    """Return the log odds that single values of a combination add and the model has not learnt.

    The other rows of each value show them: the label may be more common there than predicted.
    """
    target = known.target
    if len(atoms) == 1:
        return 0.0
    masks = [every[place].mask(code, len(target)) for place, code in atoms]
    outside = ~np.all(masks, axis=0) & ~explained
    missed = 0.0
    for mask in masks:
        rows = mask & outside
        if rows.any():
            chances = np.clip(known.chances[rows], CLIP, 1 - CLIP)
            more = float((target[rows] - chances).sum()) / (rows.sum() + SHRUNK)
            # one Newton step: rows of which the model is certain hardly count
            missed += max(more / float((chances * (1 - chances)).mean()), 0.0)
    return missed


def _opinion(candidate: Candidate, known: Foresight, missed: float, mask: np.ndarray) -> Judged:
    """Weigh a candidate's carriers by the model's chances with the `missed` log odds added."""
    plain, bound = known.chances[mask], known.target[mask]
    chances = _raised(plain, missed)
    hits = int(bound.sum())
    planted, own = shared_out(chances, bound), plain[bound]
    order = np.argsort(own, kind="stable")  # the most likely planted first
    mass = np.cumsum(planted[order])
    # rows that are more likely planted than not, and enough others to include the planted ones
    last = int(np.searchsorted(mass, WHOLE * mass[-1])) if hits else 0
    last = max(last, int((planted >= 0.5).sum()) - 1)  # noqa: PLR2004
    limit = 1.0
    if known.model is not None and last + 1 < hits:
        limit = float(own[order][last : last + 2].mean())
    within = own <= limit
    return Judged(
        candidate,
        known,
        float(chances.mean()) if len(chances) else 0.0,
        float(planted.sum()) / max(hits, 1),
        chance(chances, bound),
        limit,
        np.flatnonzero(mask & known.target)[within],
        float(planted[within].sum()),
        unlike_an_interaction(chances, bound),
        is_partial=not within.all(),
    )


def _significant(judged: list[Judged], tests: int, rows: int) -> list[Judged]:
    """Keep candidates that pass Benjamini-Hochberg and are large enough to matter."""
    order = sorted(judged, key=lambda j: j.p_value)
    adjusted: list[Judged] = []
    lowest = 1.0
    for rank in range(len(order), 0, -1):
        lowest = min(lowest, order[rank - 1].p_value * tests / rank)
        adjusted.append(dataclasses.replace(order[rank - 1], p_value=lowest))
    kept = [j for j in adjusted if j.p_value <= LEVEL and j.share >= _least(rows)]
    return sorted(kept, key=lambda j: (-j.candidate.excess, j.candidate.atoms))


def _least(rows: int) -> float:
    return LEAST_SHARE if rows >= SMALL else 0.5
