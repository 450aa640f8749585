"""What cleaning is worth to a model: one trained on the clean output against one on every row.

Both are the mean of a logistic regression and gradient boosting, as in `checks.kit.cross_fit`. They
train on the same rows except the quarantined ones and are evaluated on the same rows: those of a
named test set or the reference; without either, rows that no check doubts, in two halves, each
predicted by models trained on the other.
"""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import encode, fold_models, numeric_label
from checks.kit.wording import count

ACCURACY = "accuracy"
DISTANCE = "distance from the true number, in robust standard deviations"
LEAST = 100  # rows to train on, and to evaluate on
MOST_CLASSES = 50
MOST_WORK = 4_000_000  # rows x columns x classes: a comparison must cost less than the checks
SIDE = 1.96  # standard errors on each side of a difference: 95 %
SUREST = 1e-3  # smaller probabilities count as this one


@dataclasses.dataclass(frozen=True, slots=True)
class Measure:
    """One figure of both models: means over the evaluated rows, and the interval of the gain.

    `raw` belongs to the model trained on every row; `low` and `high` bound clean - raw at 95 %.
    """

    name: str
    raw: float
    clean: float
    low: float
    high: float
    is_share: bool = False

    @property
    def word(self) -> str:
        """Return whether the clean output is significantly better or worse."""
        if self.low <= 0 <= self.high:
            return "no significant difference"
        return "better" if (self.low > 0) == self.is_share else "worse"


@dataclasses.dataclass(frozen=True, slots=True)
class Worth:
    """The comparison, or `why` there is none.

    Attributes:
        learnt, held: rows to train on, and how many of them are not in the clean output.
        asked: rows that both models were evaluated on.
    """

    why: str = ""
    learnt: int = 0
    held: int = 0
    asked: int = 0
    measures: tuple[Measure, ...] = ()


def compare(  # noqa: PLR0913  # one argument for each fact
    table: pa.Table,
    how: dict[str, encode.Kind],
    label: str,
    held: np.ndarray,
    asked: pa.Table | np.ndarray,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> Worth:
    """Train and compare both models.

    Args:
        table: a sample of the dataset, shape (n, columns).
        how: columns to learn from, see `encode.kinds`.
        label: the label's column, a class or a number.
        held: rows that are not in the clean output, bool, shape (n,).
        asked: a table of rows to evaluate on, or which rows of `table`, bool, shape (n,).
        groups: of rows that must not be on both sides, uint64, shape (n,), 0 for none; or None.
        seed: for everything random.
    """
    usable = np.asarray(pc.is_valid(table[label]).to_numpy(zero_copy_only=False))
    is_number = numeric_label.is_quantity(table[label])
    apart = asked if isinstance(asked, pa.Table) else None
    given, other, classes = _targets(
        table[label], apart[label] if apart else None, is_number=is_number
    )
    usable &= np.isfinite(given)
    if not is_number and not 1 < classes <= MOST_CLASSES:
        return Worth(f"the label has {count(classes, 'class')}")
    usable = _few(usable, MOST_WORK // max(len(how) * max(classes, 1), 1), seed)
    parts = _parts(usable, asked, other, groups)
    if not how or usable.sum() < LEAST or sum(len(rows) for _, rows in parts) < LEAST:
        return Worth("there are too few rows or columns to train or evaluate a model")
    if why := _alike(given, usable, held, parts):
        return Worth(why)
    losses: list[list[np.ndarray]] = [[], []]
    encoder = encode.fit(table, how)
    of_table = encoder.linear(table), encoder.trees(table)
    of_asked = (encoder.linear(apart), encoder.trees(apart)) if apart else of_table
    truth = given if other is None else other
    for learn, rows in parts:
        for which, kept in enumerate((learn, learn[~held[learn]])):
            model = _fitted(encoder, of_table, given, kept, classes, seed)
            losses[which].append(_losses(model([view[rows] for view in of_asked]), truth[rows]))
    raw, clean = (np.concatenate(one, axis=1) for one in losses)
    names = (DISTANCE,) if is_number else (ACCURACY, "log loss")
    made = [_measure(*each) for each in zip(names, raw, clean, strict=True)]
    held_of = int((held & usable).sum())
    return Worth("", int(usable.sum()), held_of, raw.shape[1], tuple(made))


def _targets(
    own: pa.ChunkedArray, other: pa.ChunkedArray | None, *, is_number: bool
) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Return the label of both tables as codes or in robust deviations, NaN where missing."""
    if is_number:
        values = encode.numbers(own)
        center, scale = encode.spread(values)
        placed = [
            np.clip((v - center) / scale, -numeric_label.LEARNT, numeric_label.LEARNT)
            for v in (values, *([encode.numbers(other)] if other is not None else []))
        ]
        return placed[0], placed[1] if len(placed) > 1 else None, 0
    names = own.cast(pa.string())
    known = pc.unique(names).drop_null().sort()
    codes = [
        pc.index_in(side.cast(pa.string()), value_set=known).to_numpy().astype(float)
        for side in (own, *([other] if other is not None else []))
    ]
    return codes[0], codes[1] if len(codes) > 1 else None, len(known)


def _alike(
    given: np.ndarray,
    usable: np.ndarray,
    held: np.ndarray,
    parts: list[tuple[np.ndarray, np.ndarray]],
) -> str:
    """Return why both models would be equal, or one could not be trained; else ""."""
    if not (held & usable).any():
        return "none of the sampled rows is quarantined, so both models would be the same"
    sides = [rows[~out[rows]] for rows, _ in parts for out in (held & False, held)]
    if any(len(np.unique(given[rows])) < 2 for rows in sides):  # noqa: PLR2004
        return "only one class would be left to train on"
    return ""


def _few(usable: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return at most so many of the usable rows, drawn at random."""
    if usable.sum() <= most:
        return usable
    order = np.random.default_rng(seed).permutation(np.flatnonzero(usable))
    drawn = np.zeros_like(usable)
    drawn[order[:most]] = True
    return drawn


def _parts(
    usable: np.ndarray,
    asked: pa.Table | np.ndarray,
    other: np.ndarray | None,
    groups: np.ndarray | None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of rows to train on and rows to evaluate on."""
    if other is not None:
        return [(np.flatnonzero(usable), np.flatnonzero(np.isfinite(other)))]
    half = np.random.default_rng(len(usable)).random(len(usable)) < 0.5  # noqa: PLR2004
    if groups is not None:
        firsts, place = np.unique(groups, return_index=True, return_inverse=True)[1:]
        half = np.where(groups == 0, half, half[firsts][place])
    return [
        (np.flatnonzero(usable & ~side), np.flatnonzero(usable & asked & side))
        for side in (half, ~half)
    ]


def _fitted(
    encoder: encode.Encoder,
    views: Sequence[Any],
    given: np.ndarray,
    rows: np.ndarray,
    classes: int,
    seed: int,
) -> Callable[[Sequence[Any]], np.ndarray]:
    target = given[rows].astype(np.int64) if classes else given[rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a library may warn of an odd column; a rough fit suffices
        members = fold_models.pair(encoder, [view[rows] for view in views], target, classes, seed)

    def predict(matrices: Sequence[Any]) -> np.ndarray:
        pairs = zip(members, matrices, strict=True)
        made = [fold_models.chances(member, matrix, classes) for member, matrix in pairs]
        return np.asarray(np.mean(made, axis=0))

    return predict


def _losses(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return each measure of each row: float64, shape (measures, n)."""
    if predicted.ndim == 1:
        return np.asarray(np.abs(predicted - truth)[None, :])
    code = truth.astype(np.int64)
    chance = np.clip(predicted[np.arange(len(code)), code], SUREST, 1.0)
    return np.stack([(predicted.argmax(1) == code).astype(float), -np.log(chance)])


def _measure(name: str, raw: np.ndarray, clean: np.ndarray) -> Measure:
    gain = clean - raw
    side = SIDE * float(gain.std()) / np.sqrt(len(gain))
    mean = float(gain.mean())
    return Measure(
        name, float(raw.mean()), float(clean.mean()), mean - side, mean + side, name == ACCURACY
    )
