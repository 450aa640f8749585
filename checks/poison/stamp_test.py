"""Replay: a mined trigger is stamped on clean rows, and three models say what they make of it.

One learns from the rows as they came, one without those that the triggers accuse, and one never saw
a carrier: what the values themselves are worth honestly. None learns from the rows that are
stamped. All see each trigger's presence as a column, as a model on words or one-hot values would.
"""

import dataclasses

import numpy as np

from checks.poison.encoded_columns import Atom, Field, matching
from checks.poison.encoding import encode, trained
from checks.poison.significance import Judged

LEARNT = 20_000  # rows that each model learns from at most
STAMPED = 1000  # clean rows, of which at most a third of all
Marked = list[tuple[Judged, np.ndarray]]  # triggers with the rows that carry them


def replay(every: list[Field], labels: np.ndarray, judged: list[Judged], seed: int) -> list[Judged]:
    """Return the triggers with what they do to a model, in the order given."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

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
    """Return, per trigger, the share of the clean rows that get the label, see `Judged`."""
    learn = np.ones(len(target), bool)
    learn[clean] = False
    without = learn.copy()
    without[np.concatenate([item.held for item, _ in marked])] = False
    raw = _shares(every, target, learn, clean, marked, seed)
    cleaned = _shares(every, target, without, clean, marked, seed)
    carried = np.any([mask for _, mask in marked], axis=0)
    never = _shares(every, target, learn & ~carried, clean, marked, seed)
    told = zip(raw[1:], cleaned[1:], never[1:], strict=True)
    return [(raw[0], *figures) for figures in told]


def _shares(
    every: list[Field],
    target: np.ndarray,
    learn: np.ndarray,
    clean: np.ndarray,
    marked: Marked,
    seed: int,
) -> list[float]:
    """Return the share of the clean rows with the label as they are, then with each trigger."""
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
