"""The second opinion: does a model that never saw the trigger foresee the label of its carriers?

Gradient boosting learns from rows that carry no candidate and predicts those that do, so what
honest columns explain is taken off. The tail is that of the Poisson-binomial with the model's
chances, by its Chernoff bound; Benjamini-Hochberg goes over all that was looked at.
"""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from checks.poison.atoms import Atom, Field, matching
from checks.poison.mining import Candidate

TRAIN = 20_000
ROUNDS = 40
FOLDS = 5
FITS = 6  # models a label
SMALL = 5000
MOST = 40  # candidates that are judged, strongest first
LEVEL = 1e-3
LEAST_SHARE = 0.2  # of the bound rows must be beyond what the model foresees
STAMPED = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A candidate with the model's opinion.

    Attributes:
        foreseen: share of the carriers that the model gives the label, in [0, 1].
        share: estimated share of the bound rows that are planted, in [0, 1].
        p_value: after Benjamini-Hochberg.
        before, after: share of clean rows of other labels that a model gives the label, as they
            are and with the trigger stamped on; NaN until `replay`.
    """

    candidate: Candidate
    foreseen: float
    share: float
    p_value: float
    before: float = float("nan")
    after: float = float("nan")


def distinct(every: list[Field], labels: np.ndarray, found: list[Candidate]) -> list[Candidate]:
    """Return the strongest candidates, without those whose bound rows a stronger one explains."""
    # excess times purity: a pair goes before the commoner one of its two values
    order = sorted(found, key=lambda c: (-(c.excess**2) / c.bound, len(c.atoms), c.atoms, c.label))
    kept: list[Candidate] = []
    taken: dict[int, np.ndarray] = {}
    for candidate in order[: 10 * MOST]:
        mine = matching(every, candidate.atoms, len(labels)) & (labels == candidate.label)
        before = taken.setdefault(candidate.label, np.zeros(len(labels), bool))
        if (mine & before).sum() < 0.5 * mine.sum() and len(kept) < MOST:
            kept.append(candidate)
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
        mine = [(c, matching(every, c.atoms, len(labels))) for c in found if c.label == label]
        for batch in _batches(mine, target):
            with threadpool_limits(1):  # OpenMP's waiting threads cost seconds on a busy machine
                foresee = _foresight(every, target, batch, seed)
            for (candidate, mask), chances in zip(batch, foresee, strict=True):
                bound, mean = int((mask & target).sum()), float(chances.mean())
                share = (bound - mean * len(chances)) / max(bound, 1)
                judged.append(Judged(candidate, mean, share, _tail(bound, chances)))
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


def _tail(bound: int, chances: np.ndarray) -> float:
    """Bound the chance of `bound` or more hits with these chances (Chernoff, exact exponent)."""
    # room for a model that is not calibrated to the last per cent
    allowed = np.clip(1.02 * chances + 0.002, 0.005, 0.995)
    if bound <= allowed.sum():
        return 1.0
    low, high = 0.0, 40.0
    for _ in range(60):
        theta = (low + high) / 2
        tilted = allowed * np.exp(theta)
        mean = (tilted / (1 - allowed + tilted)).sum()
        low, high = (theta, high) if mean < bound else (low, theta)
    exponent = low * bound - np.log1p(allowed * np.expm1(low)).sum()
    return float(np.exp(-max(exponent, 0.0)))


def _foresight(
    every: list[Field], target: np.ndarray, mine: list[tuple[Candidate, np.ndarray]], seed: int
) -> list[np.ndarray]:
    """Return, per candidate, each carrier's chance of the label by a model without carriers."""
    held = np.any([mask for _, mask in mine], axis=0)
    tokens = [c.atoms[0] for c, _ in mine if every[c.atoms[0][0]].kind == "text"]
    features = encode(every, target, ~held, tokens)
    free = np.flatnonzero(~held)
    if len(free) < 50 or not 0 < target[free].sum() < len(free):  # noqa: PLR2004
        return [np.full(int(mask.sum()), target.mean()) for _, mask in mine]
    model = _trained(features[free], target[free], seed)
    return [model.predict_proba(features[mask])[:, 1] for _, mask in mine]


def _significant(judged: list[Judged], tests: int, rows: int) -> list[Judged]:
    """Keep what passes Benjamini-Hochberg and is large enough to matter."""
    order = sorted(judged, key=lambda j: j.p_value)
    adjusted: list[Judged] = []
    lowest = 1.0
    for rank in range(len(order), 0, -1):
        lowest = min(lowest, order[rank - 1].p_value * tests / rank)
        adjusted.append(dataclasses.replace(order[rank - 1], p_value=lowest))
    # a model that learnt from few rows is no witness for small excesses
    least = LEAST_SHARE if rows >= SMALL else 0.5
    kept = [j for j in adjusted if j.p_value <= LEVEL and j.share >= least]
    return sorted(kept, key=lambda j: (-j.candidate.excess, j.candidate.atoms))


def encode(
    every: list[Field], target: np.ndarray, learn: np.ndarray, without: list[Atom]
) -> np.ndarray:
    """Return the fields as a float matrix, shape (n, fields), NaN where missing.

    A category stands by its label rate and a text by the mean log odds of its tokens, both learnt
    from the rows `learn` (smoothed, from other folds), without the tokens `without`.
    """
    columns = []
    for number, field in enumerate(every):
        if field.kind == "ordered":
            floats = field.values.cast(_number(field.values.type)).to_numpy(zero_copy_only=False)
            # far values would overflow where the model takes the middle of two
            values = np.append(np.clip(floats.astype(float), -1e150, 1e150), np.nan)[field.codes]
        else:
            skip = {code for place, code in without if place == number}
            values = _rates(field, target, learn, skip)
        columns.append(values)
    return np.column_stack(columns) if columns else np.zeros((len(target), 1))


def _number(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_temporal(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()  # noqa: PLR2004
    return kind


def _rates(field: Field, target: np.ndarray, learn: np.ndarray, skip: set[int]) -> np.ndarray:
    places = np.arange(len(target)) if field.places is None else field.places
    use = (field.codes >= 0) & ~np.isin(field.codes, list(skip))
    places, codes = places[use], field.codes[use]
    # by folds: to leave out only the own row would tell its label
    folds, cells = places % FOLDS, FOLDS * len(field.values)
    taught, hits = learn[places].astype(float), (learn & target)[places].astype(float)
    place = codes * FOLDS + folds
    totals = np.bincount(place, taught, cells)
    positives = np.bincount(place, hits, cells)
    own = learn[places]
    total = totals.reshape(-1, FOLDS).sum(1)[codes] - np.where(own, totals[place], 0)
    positive = positives.reshape(-1, FOLDS).sum(1)[codes] - np.where(own, positives[place], 0)
    base = float(target[learn].mean()) if learn.any() else 0.5
    odds = np.log((positive + 10 * base + 1e-3) / (total - positive + 10 * (1 - base) + 1e-3))
    sums = np.bincount(places, odds, len(target))
    count = np.bincount(places, minlength=len(target))
    averaged: np.ndarray = np.where(count > 0, sums / np.maximum(count, 1), np.nan)
    return averaged


def _trained(features: np.ndarray, target: np.ndarray, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    draw = np.random.default_rng(seed)
    chosen = np.arange(len(target))
    if len(chosen) > TRAIN:
        chosen = np.sort(draw.choice(len(chosen), TRAIN, replace=False))
    if not 0 < target[chosen].sum() < len(chosen):
        chosen = np.arange(len(target))
    model = HistGradientBoostingClassifier(
        max_iter=ROUNDS,
        learning_rate=0.15,
        max_leaf_nodes=15,
        early_stopping=False,
        random_state=seed,
    )
    shown = features[chosen]
    shown[:, np.isnan(shown).all(0)] = 0.0  # it cannot bin a column without any value
    return model.fit(shown, target[chosen])


def replay(every: list[Field], labels: np.ndarray, judged: list[Judged], seed: int) -> list[Judged]:
    """Stamp each trigger on clean rows of other labels and see what a model makes of them.

    The model learns from the rows as they came, planted ones and all, and sees each trigger's
    presence as a column, as a model on words or one-hot values would.
    """
    from threadpoolctl import threadpool_limits

    masks = [matching(every, j.candidate.atoms, len(labels)) for j in judged]
    carried = np.any(masks, axis=0)
    replayed = list(judged)
    for label in sorted({j.candidate.label for j in judged}):
        clean = np.flatnonzero(~carried & (labels != label))
        clean = np.random.default_rng(seed).permutation(clean)[:STAMPED]
        mine = [n for n, item in enumerate(judged) if item.candidate.label == label]
        with threadpool_limits(1):
            moved = _moved(
                every, labels == label, clean, [(n, judged[n], masks[n]) for n in mine], seed
            )
        for number, (before, after) in moved.items():
            replayed[number] = dataclasses.replace(judged[number], before=before, after=after)
    return replayed


def _moved(
    every: list[Field],
    target: np.ndarray,
    clean: np.ndarray,
    mine: list[tuple[int, Judged, np.ndarray]],
    seed: int,
) -> dict[int, tuple[float, float]]:
    """Return, per trigger, the share of the clean rows that get the label before and after."""
    shown = encode(every, target, np.ones(len(target), bool), [])
    width = shown.shape[1]
    shown = np.column_stack([shown, *(mask for _, _, mask in mine)]).astype(float)
    if len(clean) == 0:
        return {}
    model = _trained(shown, target, seed)
    before = float(model.predict(shown[clean]).mean())
    moved = {}
    for extra, (number, item, mask) in enumerate(mine):
        stamped = _stamp(every, shown, clean, item.candidate.atoms, mask)
        stamped[:, width + extra] = 1.0
        moved[number] = (before, float(model.predict(stamped).mean()))
    return moved


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
