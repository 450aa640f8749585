"""The second opinion: does a model that never saw the trigger predict the label of its carriers?

Gradient boosting learns from rows without a candidate and predicts those with one, which removes
what the other columns explain. A likelihood ratio says how unlikely the carriers' labels are,
corrected by Benjamini-Hochberg for all tests. Carriers whose label the model predicts are spared.

Then the confirmed triggers are replayed: stamped on clean rows and shown to three models, trained
on all rows, without the held rows, and without any carrier. None learns from the stamped rows. All
see the presence of each trigger as a column, as a model on words or one-hot values would.
"""

import dataclasses

import numpy as np

from checks.poison.encoded_columns import Atom, Field, matching
from checks.poison.encoding import Baseline, encode, readings, trained
from checks.poison.evidence_weight import CLIP, chance, shared_out, unlike_an_interaction
from checks.poison.extend_trigger import strength
from checks.poison.mining import Candidate

FITS = 8  # models per label
SMALL = 5000  # rows; with fewer, the model is no witness for small excesses
MOST = 40  # candidates judged, strongest first, of single values and of combinations each
LEVEL = 5e-4  # of significance
LEAST_SHARE = 0.15  # of the bound rows that must exceed the model's prediction
WHOLE = 0.98  # of the planted rows that the held rows should include
KEPT = 0.85  # of the planted rows that a longer trigger may not lose
SHRUNK = 100  # pseudo-rows at zero that shrink the missed odds of a value
SURE = 1e-6  # smallest chance that is turned into odds
LEARNT = 20_000  # rows that each model of the replay learns from, at most
STAMPED = 1000  # clean rows that a trigger is stamped on, at most; never more than a third
Marked = list[tuple["Judged", np.ndarray]]  # triggers with the rows that carry them


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A candidate with the model's opinion.

    Attributes:
        predicted: mean chance of the label that the model gives the carriers, in [0, 1].
        share: estimated share of the bound rows that are planted, in [0, 1].
        p_value: after Benjamini-Hochberg.
        limit: bound rows to which the model gives a higher chance of the label are clean.
        held: places in the sample of the bound rows within the limit, int64, ascending.
        planted: how many of these are planted, by estimate.
        added: log likelihood that rows were planted, less that of a genuine interaction.
        baseline: the model, if the limit leaves any row out.
        before, after, cleaned: share of clean rows of other labels that a model gives the label:
            unchanged, with the trigger stamped on, and stamped for a model trained without the
            held rows; NaN until `replay`.
        never: stamped, for a model that never saw a carrier.
    """

    candidate: Candidate
    predicted: float
    share: float
    p_value: float
    limit: float
    held: np.ndarray
    planted: float
    added: float = 0.0
    baseline: Baseline | None = None
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
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    judged: list[Judged] = []
    for label in sorted({c.label for c in found}):
        target = labels == label
        explained = np.zeros(len(labels), bool)  # by stronger triggers
        roots = [(c, (c.shorter or c).atoms) for c in found if c.label == label]
        mine = [(c, matching(every, atoms, len(labels))) for c, atoms in roots]
        for batch in _batches(mine, target):
            import sklearn.ensemble  # noqa: F401  a limit holds for what is loaded when it is set

            with threadpool_limits(1):  # OpenMP's idle threads cost seconds on a busy machine
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
) -> tuple[Baseline | None, np.ndarray]:
    """Return a model trained without carriers, and its chances for all rows, float64, (n,)."""
    held = np.any([mask for _, mask in mine], axis=0)
    tokens = [atom for c, _ in mine for atom in c.atoms if every[atom[0]].kind == "text"]
    features = encode(every, target, ~held, tokens)
    free = np.flatnonzero(~held)
    if len(free) < 50 or not 0 < target[free].sum() < len(free):  # noqa: PLR2004
        return None, np.full(len(target), target.mean())
    model = trained(features[free], target[free], seed)
    made = Baseline(readings(every, target, ~held, tokens), model)
    return made, model.predict_proba(features)[:, 1]


def _best(
    every: list[Field],
    candidate: Candidate,
    chances: np.ndarray,
    target: np.ndarray,
    explained: np.ndarray,
    model: Baseline | None,
) -> Judged:
    """Return the opinion on a candidate, or on its shorter form if that has more planted rows."""
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
    """Return the log odds that single values of a combination add and the model has not learnt.

    The other rows of each value show them: the label may be more common there than predicted.
    """
    masks = [every[place].mask(code, len(target)) for place, code in atoms]
    outside = ~np.all(masks, axis=0) & ~explained
    missed = 0.0
    for mask in masks:
        rows = mask & outside
        if rows.any():
            known = np.clip(chances[rows], CLIP, 1 - CLIP)
            more = float((target[rows] - known).sum()) / (rows.sum() + SHRUNK)
            # one Newton step: rows of which the model is certain hardly count
            missed += max(more / float((known * (1 - known)).mean()), 0.0)
    return missed


def _opinion(
    candidate: Candidate,
    both: tuple[np.ndarray, np.ndarray],
    target: np.ndarray,
    mask: np.ndarray,
    model: Baseline | None,
) -> Judged:
    """Weigh a candidate's carriers; `both` are the model's chances, as is and with missed odds."""
    plain, chances = both
    bound = target[mask]
    hits = int(bound.sum())
    planted, own = shared_out(chances, bound), plain[bound]
    order = np.argsort(own, kind="stable")  # the most likely planted first
    mass = np.cumsum(planted[order])
    # rows that are more likely planted than not, and enough others to include the planted ones
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
        baseline=None if within.all() else model,
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


def replay(every: list[Field], labels: np.ndarray, judged: list[Judged], seed: int) -> list[Judged]:
    """Return the triggers with their effect on a model, in the given order."""
    from threadpoolctl import threadpool_limits

    masks = [matching(every, item.candidate.atoms, len(labels)) for item in judged]
    carried = np.any(masks, axis=0)
    replayed = list(judged)
    for label in sorted({item.candidate.label for item in judged}):
        clean = np.flatnonzero(~carried & (labels != label))
        most = min(STAMPED, len(clean) // 3)
        clean = np.random.default_rng(seed).permutation(clean)[:most]
        mine = [n for n, item in enumerate(judged) if item.candidate.label == label]
        marked = [(judged[n], masks[n]) for n in mine]
        with threadpool_limits(1):
            moved = _moved(every, labels == label, clean, marked, seed)
        for number, (before, after, cleaned, never) in zip(mine, moved, strict=True):
            replayed[number] = dataclasses.replace(
                judged[number], before=before, after=after, cleaned=cleaned, never=never
            )
    return replayed


def _moved(
    every: list[Field], target: np.ndarray, clean: np.ndarray, marked: Marked, seed: int
) -> list[tuple[float, float, float, float]]:
    """Return, per trigger, the shares of the clean rows that get the label, see `Judged`."""
    learn = np.ones(len(target), bool)
    learn[clean] = False
    without = learn.copy()
    without[np.concatenate([item.held for item, _ in marked])] = False
    raw = _shares(every, target, learn, clean, marked, seed)
    cleaned = _shares(every, target, without, clean, marked, seed)
    carried = np.any([mask for _, mask in marked], axis=0)
    never = _shares(every, target, learn & ~carried, clean, marked, seed)
    figures = zip(raw[1:], cleaned[1:], never[1:], strict=True)
    return [(raw[0], *three) for three in figures]


def _shares(
    every: list[Field],
    target: np.ndarray,
    learn: np.ndarray,
    clean: np.ndarray,
    marked: Marked,
    seed: int,
) -> list[float]:
    """Return the share of the clean rows that get the label, unchanged and with each trigger."""
    if not len(clean) or not 0 < target[learn].sum() < learn.sum():
        return [float("nan")] * (1 + len(marked))
    plain = encode(every, target, learn, [])
    width = plain.shape[1]
    shown = np.column_stack([plain, *(mask for _, mask in marked)]).astype(float)
    model = trained(shown[learn], target[learn], seed, LEARNT)
    found = [float(model.predict(shown[clean]).mean())]
    for extra, (item, mask) in enumerate(marked):
        stamped = _stamp(every, shown, clean, item.candidate.atoms, mask)
        stamped[:, width + extra] = 1.0
        found.append(float(model.predict(stamped).mean()))
    return found


def _stamp(
    every: list[Field],
    shown: np.ndarray,
    clean: np.ndarray,
    atoms: tuple[Atom, ...],
    mask: np.ndarray,
) -> np.ndarray:
    stamped: np.ndarray = shown[clean].copy()
    for place, _ in atoms:
        if every[place].kind != "text":
            stamped[:, place] = np.median(shown[mask, place])
    return stamped
