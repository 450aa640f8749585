"""Columns as features of a small model: of the sample by code, of any shard by value.

A number is a feature as is, a category by the label's log odds, text by the mean log odds of its
tokens. Values that are kept for scoring shards are hashed, see `checks.kit.hashed_values`.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import hashing
from checks.kit.hashed_values import opaque
from checks.poison.encoded_columns import Atom, Field, Kind, is_opaque, without_repeats

TRAIN = 60_000
ROUNDS = 30
SMALL, SMALL_ROUNDS = 5_000, 40  # with fewer rows, more rounds, which are cheap there
FOLDS = 5
PRIOR = 10.0  # pseudo-rows at the label's overall rate, for each value
FEW = 3  # a word in fewer rows gets the label's overall rate
FAR = 1e150  # larger values would overflow when the model averages two


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """How a model reads one field.

    Attributes:
        known: values of a category or words of text, hashed if they are strings.
        odds: float64, shape (len(known) + 1,), log odds of each, and last of any other; NaN for a
            word that the model must not see. Both None for an ordered field.
    """

    name: str
    kind: Kind
    known: pa.Array | None = None
    odds: np.ndarray | None = None

    def column(self, table: pa.Table) -> np.ndarray:
        """Return the field of a shard's rows: float64, shape (n,), NaN where missing."""
        array = hashing.whole(table[self.name])
        if self.known is None or self.odds is None:
            values, usable = hashing.numbers(array)
            return np.where(usable, np.clip(values.astype(float), -FAR, FAR), np.nan)
        if self.kind == "category":
            values = np.array(self.odds[_places(array, self.known)])
            values[np.asarray(array.is_null())] = np.nan
            return values
        rows, codes, words = hashing.tokens(array)
        width = max(len(words), 1)
        once = without_repeats(rows * width + codes)
        if not len(once):
            return np.full(len(array), np.nan)
        return _averaged(once // width, self.odds[_places(words, self.known)][once % width], array)


def _places(values: pa.Array, known: pa.Array) -> np.ndarray:
    kept = opaque(values) if is_opaque(values.type) else values
    found = pc.fill_null(pc.index_in(kept, value_set=known), len(known))
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def _averaged(rows: np.ndarray, odds: np.ndarray, array: pa.Array) -> np.ndarray:
    used = ~np.isnan(odds)
    count = np.bincount(rows[used], minlength=len(array))
    sums = np.bincount(rows[used], odds[used], len(array))
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


@dataclasses.dataclass(frozen=True, slots=True)
class Baseline:
    """A model of one label trained without a trigger's carriers, for the rows of any shard."""

    readings: tuple[Reading, ...]
    model: Any
    is_other: bool = False  # the model was taught the other one of two labels

    def chances(self, table: pa.Table) -> np.ndarray:
        """Return each row's chance of the label: float64, shape (n,)."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        if not table.num_rows:
            return np.zeros(0)
        shown = np.column_stack([reading.column(table) for reading in self.readings])
        with threadpool_limits(1):  # OpenMP's idle threads cost more than a few rows do
            return np.asarray(self.model.predict_proba(shown)[:, 0 if self.is_other else 1])


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """What a model is shown: some fields of the sample, and tokens that it must not see.

    Attributes:
        every: all fields; using: places of those that are shown, ascending.
    """

    every: list[Field]
    using: list[int]
    without: tuple[Atom, ...] = ()

    def fields(self) -> Iterator[tuple[Field, set[int]]]:
        """Yield the fields that are shown, each with the codes to leave out."""
        for number in self.using:
            yield self.every[number], {code for place, code in self.without if place == number}

    def stamped(
        self, features: np.ndarray, rows: np.ndarray, like: np.ndarray, places: list[int]
    ) -> np.ndarray:
        """Return the features of rows with the values of some fields that other rows have.

        Words are not stamped: a model is not shown them one by one.

        Args:
            features: of all rows, the fields that are shown first, shape (n, m).
            rows: ordinals, int64.
            like: rows that have the values, bool, shape (n,).
            places: the fields of the values.
        """
        changed: np.ndarray = features[rows]
        for place in places:
            if self.every[place].kind != "text":
                column = self.using.index(place)
                changed[:, column] = np.median(features[like, column])
        return changed


def encode(shown: Shown, target: np.ndarray, learn: np.ndarray) -> np.ndarray:
    """Return the fields of the sample as a float matrix, shape (n, fields), NaN where missing.

    Odds are smoothed and learnt from the rows `learn`, for those rows themselves from other folds.
    """
    columns = []
    for field, skip in shown.fields():
        if field.kind == "ordered":
            columns.append(np.append(np.clip(_floats(field), -FAR, FAR), np.nan)[field.codes])
        else:
            columns.append(_rates(field, target, learn, skip))
    return np.column_stack(columns) if columns else np.zeros((len(target), 1))


def readings(shown: Shown, target: np.ndarray, learn: np.ndarray) -> tuple[Reading, ...]:
    """Return how `encode` reads rows outside `learn`, for the rows of any shard."""
    base = _base(target, learn)
    made = []
    for field, skip in shown.fields():
        if field.kind == "ordered":
            made.append(Reading(field.name, field.kind))
            continue
        places, codes = _used(field, len(target), set())
        size = len(field.values)
        total = np.bincount(codes, learn[places], size)
        positive = np.bincount(codes, (learn & target)[places], size)
        odds = np.append(_odds(positive, total, base), _odds(0.0, 0.0, base))
        odds[list(skip)] = np.nan
        kept = np.arange(size)
        if field.kind == "text":
            kept = np.flatnonzero((total >= FEW) | np.isnan(odds[:-1]))
        known = field.values.take(pa.array(kept))
        known = opaque(known) if is_opaque(known.type) else known
        made.append(Reading(field.name, field.kind, known, odds[np.append(kept, size)]))
    return tuple(made)


def trained(features: np.ndarray, target: np.ndarray, seed: int, most: int = TRAIN) -> Any:
    """Return gradient boosting fitted on at most `most` rows; both labels must occur."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    draw = np.random.default_rng(seed)
    chosen = np.arange(len(target))
    if len(chosen) > most:
        chosen = np.sort(draw.choice(len(chosen), most, replace=False))
    if not 0 < target[chosen].sum() < len(chosen):
        chosen = np.arange(len(target))
    model = HistGradientBoostingClassifier(
        max_iter=SMALL_ROUNDS if len(target) < SMALL else ROUNDS,
        learning_rate=0.15,
        max_leaf_nodes=15,
        early_stopping=False,
        random_state=seed,
    )
    shown = features[chosen]
    shown[:, np.isnan(shown).all(0)] = 0.0  # a column without any value cannot be binned
    return model.fit(shown, target[chosen])


def _rates(field: Field, target: np.ndarray, learn: np.ndarray, skip: set[int]) -> np.ndarray:
    places, codes = _used(field, len(target), skip)
    size, own = len(field.values), learn[places]
    # by folds: leaving out only the row itself would reveal its label
    place = codes * FOLDS + places % FOLDS
    totals = np.bincount(place[own], minlength=FOLDS * size).reshape(size, FOLDS)
    hits = np.bincount(place[own & target[places]], minlength=FOLDS * size).reshape(size, FOLDS)
    total, positive = totals.sum(1)[:, None], hits.sum(1)[:, None]
    is_few = (total < FEW) & (field.kind == "text")
    base = _base(target, learn)
    taught = np.where(is_few, _odds(0, 0, base), _odds(positive - hits, total - totals, base))
    others = np.where(is_few, _odds(0, 0, base), _odds(positive, total, base))[:, 0]
    odds = np.where(own, taught.ravel()[place], others[codes])
    sums = np.bincount(places, odds, len(target))
    count = np.bincount(places, minlength=len(target))
    averaged: np.ndarray = np.where(count > 0, sums / np.maximum(count, 1), np.nan)
    return averaged


def _used(field: Field, rows: int, skip: set[int]) -> tuple[np.ndarray, np.ndarray]:
    places = np.arange(rows) if field.places is None else field.places
    use = field.codes >= 0
    if skip:
        use &= ~np.isin(field.codes, list(skip))
    if use.all():
        return places, field.codes
    return places[use], field.codes[use]


def _base(target: np.ndarray, learn: np.ndarray) -> float:
    return float(target[learn].mean()) if learn.any() else 0.5


def _odds(positive: Any, total: Any, base: float) -> Any:
    least = 1e-3
    return np.log(
        (positive + PRIOR * base + least) / (total - positive + PRIOR * (1 - base) + least)
    )


def _floats(field: Field) -> np.ndarray:
    values = field.values.cast(_number(field.values.type))
    return np.asarray(values.to_numpy(zero_copy_only=False), float)


def _number(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_temporal(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()  # noqa: PLR2004
    return kind
