"""What confirmed triggers do to a model: each is stamped on clean rows and shown to three models.

One is trained on all rows, one without the held rows, and one without any carrier. None learns from
the stamped rows. All see the presence of each trigger as a column, as a model on words or one-hot
values would.
"""

import dataclasses

import numpy as np

from checks.poison.encoded_columns import Field, matching
from checks.poison.encoding import Shown, encode, trained
from checks.poison.significance import Judged
from checks.poison.telling_columns import telling

LEARNT = 20_000  # rows that each model of the replay learns from, at most
STAMPED = 1000  # clean rows that a trigger is stamped on, at most; never more than a third
Marked = list[tuple[Judged, np.ndarray]]  # triggers with the rows that carry them


def replay(every: list[Field], labels: np.ndarray, judged: list[Judged], seed: int) -> list[Judged]:
    """Return the triggers with their effect on a model, in the given order."""
    import sklearn.ensemble  # noqa: F401  a limit holds for what is loaded when it is set
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    masks = [matching(every, item.candidate.atoms, len(labels)) for item in judged]
    carried = np.any(masks, axis=0)
    replayed = list(judged)
    with threadpool_limits(1):
        for label in sorted({item.candidate.label for item in judged}):
            clean = np.flatnonzero(~carried & (labels != label))
            most = min(STAMPED, len(clean) // 3)
            clean = np.random.default_rng(seed).permutation(clean)[:most]
            mine = [n for n, item in enumerate(judged) if item.candidate.label == label]
            scene = Scene.of(every, labels == label, clean, [(judged[n], masks[n]) for n in mine])
            for number, figures in zip(mine, _moved(scene, seed), strict=True):
                before, after, cleaned, never = figures
                replayed[number] = dataclasses.replace(
                    judged[number], before=before, after=after, cleaned=cleaned, never=never
                )
    return replayed


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """The triggers of one label, what models are shown, and the clean rows that are stamped.

    Attributes:
        target: whether each row has the label, bool, shape (n,).
        clean: ordinals of the rows that are stamped, int64; no model learns from them.
        marked: the triggers, each with its carriers, bool, shape (n,).
    """

    shown: Shown
    target: np.ndarray
    clean: np.ndarray
    marked: Marked

    @staticmethod
    def of(every: list[Field], target: np.ndarray, clean: np.ndarray, marked: Marked) -> "Scene":
        """Choose what the models are shown."""
        own = {place for item, _ in marked for place, _ in item.candidate.atoms}
        return Scene(Shown(every, sorted({*telling(every, target), *own})), target, clean, marked)


def _moved(scene: Scene, seed: int) -> list[tuple[float, float, float, float]]:
    """Return, per trigger, the shares of the clean rows that get the label, see `Judged`."""
    learn = np.ones(len(scene.target), bool)
    learn[scene.clean] = False
    without, uncarried = learn.copy(), learn.copy()
    without[np.concatenate([item.held for item, _ in scene.marked])] = False
    uncarried[np.any([mask for _, mask in scene.marked], axis=0)] = False
    raw = _shares(scene, learn, seed)
    cleaned = _shares(scene, without, seed)
    is_same = np.array_equal(without, uncarried)  # if all carriers are held
    never = cleaned if is_same else _shares(scene, uncarried, seed)
    return [(raw[0], *three) for three in zip(raw[1:], cleaned[1:], never[1:], strict=True)]


def _shares(scene: Scene, learn: np.ndarray, seed: int) -> list[float]:
    """Return the share of the clean rows that get the label, unchanged and with each trigger."""
    target, clean = scene.target, scene.clean
    if not len(clean) or not 0 < target[learn].sum() < learn.sum():
        return [float("nan")] * (1 + len(scene.marked))
    plain = encode(scene.shown, target, learn)
    width = plain.shape[1]
    seen = np.column_stack([plain, *(mask for _, mask in scene.marked)]).astype(float)
    model = trained(seen[learn], target[learn], seed, LEARNT)
    rows = [seen[clean]]
    for extra, (item, mask) in enumerate(scene.marked):
        places = [place for place, _ in item.candidate.atoms]
        rows.append(scene.shown.stamped(seen, clean, mask, places))
        rows[-1][:, width + extra] = 1.0
    gets = model.predict(np.concatenate(rows)).reshape(len(rows), len(clean))
    return [float(share) for share in gets.mean(1)]
