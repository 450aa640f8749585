"""How a row is judged: tails of columns, curves of pairs, a second opinion, a rank of rarity."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import calibrate, conditional_curve, encode
from checks.kit.hashed_values import opaque
from checks.kit.protocol import Model
from checks.outliers import rarity, tails

MOST_JOINT = 24
NEAREST = 2.5  # spreads; smaller distances from a curve do not count


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """The curve of one column along another, and the tails of the distances from it."""

    column: str
    along: str
    curve: conditional_curve.Curve
    tails: tuple[calibrate.Tail, calibrate.Tail]


@dataclasses.dataclass(frozen=True)
class OutlierModel(Model):
    """Everything that a row is judged by.

    Attributes:
        axes, pairs: tests of single columns and of pairs.
        levels: category column -> (values, see `opaque`; their rarity, see `tails.levels`).
        rare: rank of rarity, None if there is no column.
        limits: chance below which each test of a rule quarantines, by rule, shape (tests,).
        seconds: second opinions, by column that pairs flag.
        review: rarity from which a row is reviewed.
    """

    axes: tuple[tails.Axis, ...] = ()
    pairs: tuple[Pair, ...] = ()
    levels: dict[str, tuple[pa.Array, np.ndarray]] = dataclasses.field(default_factory=dict)
    rare: rarity.Rarity | None = None
    limits: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    seconds: dict[str, conditional_curve.Second] = dataclasses.field(default_factory=dict)
    review: float = np.inf

    def rarity(self, table: pa.Table) -> np.ndarray:
        """Return how rare each row is, for ranking, float64, shape (n,)."""
        return (
            np.zeros(table.num_rows) if self.rare is None else self.rare.score(scaled(table, self))
        )


def fitted(table: pa.Table, seed: int) -> OutlierModel:
    """Fit axes, levels, pairs and the rank of rarity; the limits are set later."""
    kinds = {n: table[n].type for n in table.column_names if not n.startswith("__assay")}
    named = [n for n, k in kinds.items() if pa.types.is_string(k) or pa.types.is_boolean(k)]
    values = {name: encode.numbers(table[name]) for name in kinds if name not in named}
    axes = tuple(axis for n, v in values.items() if (axis := tails.fit(n, v)) is not None)
    model = OutlierModel(axes=axes, levels={n: tails.levels(table[n]) for n in named})
    matrix = scaled(table, model)
    rare = rarity.fit(matrix, seed) if matrix.shape[1] else None
    return dataclasses.replace(model, pairs=_pairs(table, model), rare=rare)


def scaled(table: pa.Table, model: OutlierModel) -> np.ndarray:
    """Return numbers as placed and the rarity of categories, float64, shape (n, columns)."""
    made = [axis.place(encode.numbers(table[axis.name])) for axis in model.axes]
    for name, (known, rare) in model.levels.items():
        where = pc.index_in(opaque(table[name]), value_set=known)
        codes = pc.fill_null(where, -1).to_numpy(zero_copy_only=False)
        made.append(rare[codes])  # -1, a level absent from the sample, is the last
    return np.column_stack(made) if made else np.zeros((table.num_rows, 0))


def _pairs(table: pa.Table, model: OutlierModel) -> tuple[Pair, ...]:
    at = placed(table, model.axes[:MOST_JOINT])
    made = []
    # a number with few values has steps, not a tail; but others may be judged along it
    judged = [axis.name for axis in model.axes[:MOST_JOINT] if any(axis.tails)]
    for first in judged:
        for second in at:
            bend = conditional_curve.curve(at[first], at[second]) if first != second else None
            if bend is not None:
                far = bend.distance(at[first], at[second])
                tails = tuple(calibrate.tail(sign * far, least_shape=0.05) for sign in (1, -1))
                made.append(Pair(first, second, bend, (tails[0], tails[1])))
    return tuple(made)


def placed(table: pa.Table, along: tuple[tails.Axis, ...]) -> dict[str, np.ndarray]:
    """Return each column on its axis, float64, shape (n,); missing is NaN."""
    return {axis.name: axis.place(encode.numbers(table[axis.name])) for axis in along}


def alone(table: pa.Table, model: OutlierModel) -> np.ndarray:
    """Return the chance of such an extreme value, (n, 2 axes): above, below, above, ..."""
    made = np.ones((table.num_rows, 2 * len(model.axes)))
    for number, axis in enumerate(model.axes):
        placed = np.nan_to_num(axis.place(encode.numbers(table[axis.name])))
        for end, tail in enumerate(axis.tails):
            if tail is not None:
                made[:, 2 * number + end] = tail.beyond(placed if end == 0 else -placed)
    return made


def joined(table: pa.Table, model: OutlierModel) -> np.ndarray:
    """Return the chance of such a distance from a curve, (n, 2 pairs): above, below, above, ..."""
    made = np.ones((table.num_rows, 2 * len(model.pairs)))
    at = placed(table, model.axes[:MOST_JOINT])
    for number, pair in enumerate(model.pairs):
        far = pair.curve.distance(at[pair.column], at[pair.along])
        for end, tail in enumerate(pair.tails):
            off = far if end == 0 else -far
            made[:, 2 * number + end] = np.where(off > NEAREST, tail.beyond(off), 1.0)
    return made


def apply(
    table: pa.Table, folds: np.ndarray, rule: str, model: OutlierModel, chances: np.ndarray
) -> np.ndarray:
    """Return which tests fire, bool, shape as `chances`, after the second opinion.

    Args:
        table: rows, shape (n, columns).
        folds: of the rows, see `sample.folds`.
        rule: key of RULES, which gives the chances.
        model: with limits.
        chances: of the rows' tests, shape (n, tests).
    """
    fired = chances < model.limits[rule]
    for name, second in model.seconds.items() if rule == "joint" else ():
        tests = [n for n, pair in enumerate(model.pairs) if pair.column == name]
        own = np.array([[2 * n, 2 * n + 1] for n in tests])
        hit = np.flatnonzero(fired[:, own.ravel()].any(1))
        if len(hit):
            few, axis = table.take(pa.array(hit)), next(a for a in model.axes if a.name == name)
            agrees = second.agrees(few, folds[hit], axis.place(encode.numbers(few[name])))
            for pair in own:
                fired[np.ix_(hit, pair)] &= agrees
    return fired


def _of_column(model: OutlierModel, number: int) -> tuple[str, str]:
    name = model.axes[number // 2].name
    way = ("above", "below")[number % 2]
    return name, f"'{name}' is far {way} the range that the column's own tail explains"


def _of_pair(model: OutlierModel, number: int) -> tuple[str, str]:
    pair = model.pairs[number // 2]
    way = ("high", "low")[number % 2]
    return pair.column, f"'{pair.column}' is far too {way} for the row's '{pair.along}'"


# rule -> (the chances of its tests, the column and the evidence of one test)
RULES = {"column": (alone, _of_column), "joint": (joined, _of_pair)}
