"""Rows far beyond what the data's own tails explain, in one column or in how columns go together.

Threat: poisoning by extreme or impossible rows. State: a sample of 20,000 rows. Cost: curves
for up to 24 columns, one forest, two passes. Nulls: missing is no outlier. Not finite: ingest
holds such cells. Blind to: outliers in the midst of the data, and more than 2 % of a kind.
Source: Pickands 1975 (tails); Benjamini, Hochberg 1995; Liu, Ting, Zhou 2008 (forest).
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import calibrate, encode, findings, joint, rarity, sample
from checks.kit.protocol import Check, Context, Model
from provenance.shards import Shard

SIZE = 20_000
LEAST_ROWS = 100
LEAST_VALUES = 20  # distinct numbers that a tail needs; fewer are categories
MODE_SHARE = 0.2
MOST_JOINT = 24
NEAREST = 5.0  # spreads that a joint outlier is off by, at least
HEAVY = 0.15  # shape from which a column is judged on a logarithmic scale
REVIEW_SHARE = 0.005


@dataclasses.dataclass(frozen=True, slots=True)
class Axis:
    """A number's robust scale and both of its tails; a tail that says nothing is None."""

    name: str
    center: float
    scale: float
    bent: bool
    tails: tuple[calibrate.Tail | None, calibrate.Tail | None]

    def place(self, values: np.ndarray) -> np.ndarray:
        """Return signed robust distances from the median; a heavy tail is logarithmic."""
        with np.errstate(over="ignore"):
            off = np.clip((values - self.center) / self.scale, -1e12, 1e12)
        return np.sign(off) * np.log1p(np.abs(off)) if self.bent else off


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """One column along another, with the tails of the distance from the curve."""

    column: str
    along: str
    curve: joint.Curve
    tails: tuple[calibrate.Tail, calibrate.Tail]


@dataclasses.dataclass(frozen=True)
class OutlierModel(Model):
    """What judges a row.

    Attributes:
        axes, pairs: tests of single columns and of pairs.
        levels: category column -> (values, their rarity).
        rare: rank of rarity, None where the sample is too small.
        limits: chance below which each rule quarantines, by rule.
        review: rarity from which a row is reviewed.
    """

    axes: tuple[Axis, ...] = ()
    pairs: tuple[Pair, ...] = ()
    levels: dict[str, tuple[pa.Array, np.ndarray]] = dataclasses.field(default_factory=dict)
    rare: rarity.Rarity | None = None
    limits: dict[str, float] = dataclasses.field(default_factory=dict)
    review: float = np.inf


class Outliers(Check[pa.Table, OutlierModel]):
    """Quarantine rows that no tail explains; rank the rarest of the rest for review."""

    name: ClassVar[str] = "outliers"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("data poisoning",)

    def __init__(self, context: Context) -> None:
        """Name the columns that are sampled."""
        super().__init__(context)
        texts = set(context.contract.having("text"))
        names = [n for n in context.contract.features if n in context.schema.names]
        self.columns = [name for name in names if name not in texts]

    def fit(self, shard: Shard) -> pa.Table:
        """Return the shard's part of the sample."""
        return sample.take(shard, self.columns, SIZE)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Return the sample of both."""
        return sample.merge(left, right, SIZE)

    def finish(self, state: pa.Table) -> OutlierModel:
        """Fit tails, curves and the forest; then spend the policy's alpha on each rule."""
        table = sample.settled(state)
        reference = self.context.reference
        if reference is not None and reference.num_rows >= LEAST_ROWS:
            trusted = reference.select(self.columns)
        else:
            trusted = table
        if trusted.num_rows < LEAST_ROWS or not table.num_rows:
            return OutlierModel(notes=(f"fewer than {LEAST_ROWS} rows: outliers not judged",))
        model = _fitted(trusted, self.context.seed)
        limits, notes = {}, []
        for rule, chances in (("column", _columns(table, model)), ("joint", _joint(table, model))):
            limits[rule], note = self._limit(chances.min(1, initial=1.0), chances.shape[1])
            notes.append(f"{rule}: {note}")
        review = np.inf
        if model.rare is not None:
            ranked = np.sort(model.rare.score(_scaled(table, model)))
            review = float(ranked[-1 - int(REVIEW_SHARE * len(ranked))])
        return dataclasses.replace(model, limits=limits, review=review, notes=tuple(notes))

    def score(self, shard: Shard, model: OutlierModel) -> findings.Findings:
        """Report rows that no tail explains, then the rarest of the rest."""
        if not model.limits or not shard.table.num_rows:
            return findings.empty()
        table, free = shard.table, np.ones(shard.table.num_rows, bool)
        parts = []
        for rule, chances, tell in (
            ("column", _columns(table, model), _tell_column),
            ("joint", _joint(table, model), _tell_joint),
        ):
            hit = np.flatnonzero(free & (chances.min(1, initial=1.0) < model.limits[rule]))
            free[hit] = False
            worst = chances[hit].argmin(1) if len(hit) else np.zeros(0, int)
            told = [tell(model, int(number)) for number in worst]
            parts.append(self._found(shard.rows[hit], rule, chances[hit].min(1, initial=1.0), told))
        if model.rare is not None:
            rare = model.rare.score(_scaled(table, model))
            hit = np.flatnonzero(free & (rare > model.review))
            parts.append(self._rarest(shard.rows[hit], rare[hit], len(model.rare.ranks)))
        return findings.concat(parts)

    def _limit(self, chances: np.ndarray, tests: int) -> tuple[float, str]:
        # Benjamini and Hochberg, every test of a row counted; one lone row must beat all rows
        alpha, count = self.context.contract.policy.alpha, len(chances)
        each = np.sort(chances) * max(tests, 1)
        passed = np.flatnonzero(each <= alpha * np.arange(1, count + 1) / count)
        held = int(passed[-1]) + 1 if len(passed) else 0
        least = alpha / max(self.context.rows, count)
        limit = max(held * alpha / count, least) if held else least
        share = f"at most {alpha:.0%} of those quarantined are expected to be honest"
        return limit / max(tests, 1), f"{held} of {count} sampled rows beyond the tails; {share}"

    def _found(
        self, rows: np.ndarray, rule: str, chance: np.ndarray, told: list[tuple[str, str]]
    ) -> findings.Findings:
        return findings.make(
            rows,
            check=self.name,
            rule=f"outliers.{rule}",
            column=[column for column, _ in told],
            score=1 - chance,
            p_value=chance,
            evidence=[evidence for _, evidence in told],
            suggestion="compare with the source; correct, reject or release",
        )

    def _rarest(self, rows: np.ndarray, rare: np.ndarray, parts: int) -> findings.Findings:
        from scipy.stats import chi2

        return findings.make(
            rows,
            check=self.name,
            rule="outliers.rare",
            severity="warning",
            score=1 - chi2.sf(2 * rare, 2 * parts),
            evidence="among the rarest rows by forest, distance and neighbours together",
            suggestion="look at it when time allows",
        )


def _fitted(table: pa.Table, seed: int) -> OutlierModel:
    numeric = [
        n for n in table.column_names if not n.startswith("__assay") and _is_number(table, n)
    ]
    values = {name: encode.numbers(table[name]) for name in numeric}
    axes = tuple(axis for name in numeric if (axis := _axis(name, values[name])) is not None)
    strings = [n for n in table.column_names if pa.types.is_string(table[n].type)]
    levels = {name: _levels(table[name]) for name in strings}
    model = OutlierModel(axes=axes, levels=levels)
    scaled = _scaled(table, model)
    rare = rarity.fit(scaled, seed) if scaled.shape[1] else None
    return dataclasses.replace(model, pairs=_pairs(table, model), rare=rare)


def _is_number(table: pa.Table, name: str) -> bool:
    kind = table[name].type
    return not (pa.types.is_string(kind) or pa.types.is_boolean(kind))


def _axis(name: str, values: np.ndarray) -> Axis | None:
    values = values[np.isfinite(values)]
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= 1:
        return None
    if len(values) < LEAST_ROWS or len(distinct) < LEAST_VALUES:
        return Axis(name, *encode.spread(values), bent=False, tails=(None, None))
    if counts.max() > MODE_SHARE * len(values):
        values = values[values != distinct[counts.argmax()]]
    center, scale = encode.spread(values)
    plain = Axis(name, center, scale, bent=False, tails=(None, None))
    shapes = [_raw_shape(side * plain.place(values)) for side in (1, -1)]
    axis = dataclasses.replace(plain, bent=max(shapes) > HEAVY)
    placed = axis.place(values)
    return dataclasses.replace(axis, tails=(_tail(placed), _tail(-placed)))


def _raw_shape(placed: np.ndarray) -> float:
    low, mid, high = np.quantile(placed, [0.80, 0.90, 0.95])
    return float(np.log2(max(high - mid, 1e-12) / max(mid - low, 1e-12)))


def _tail(placed: np.ndarray) -> calibrate.Tail | None:
    low, high = np.quantile(placed, [0.80, 0.95])
    if len(placed) < LEAST_ROWS or high - low <= 0:
        return None
    return calibrate.tail(placed)


def _levels(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    counted = column.combine_chunks().value_counts()
    count = counted.field("counts").to_numpy().astype(float)
    # as a robust distance: a level of one in a thousand lies about three deviations out
    return counted.field("values"), np.sqrt(2 * np.log(count.sum() / count)) - 1


def _scaled(table: pa.Table, model: OutlierModel) -> np.ndarray:
    made = [axis.place(encode.numbers(table[axis.name])) for axis in model.axes]
    for name, (known, rare) in model.levels.items():
        where = pc.index_in(table[name].combine_chunks(), value_set=known)
        codes = pc.fill_null(where, -1).to_numpy(zero_copy_only=False)
        made.append(np.append(rare, rare.max(initial=0.0) + 1)[codes])
    return np.column_stack(made) if made else np.zeros((table.num_rows, 0))


def _pairs(table: pa.Table, model: OutlierModel) -> tuple[Pair, ...]:
    placed = _placed(table, model.axes[:MOST_JOINT])
    made = []
    for first in placed:
        for second in placed:
            bend = joint.curve(placed[first], placed[second]) if first != second else None
            if bend is not None:
                far = bend.distance(placed[first], placed[second])
                tails = tuple(calibrate.tail(side * far, least_shape=0.15) for side in (1, -1))
                made.append(Pair(first, second, bend, (tails[0], tails[1])))
    return tuple(made)


def _placed(table: pa.Table, axes: tuple[Axis, ...]) -> dict[str, np.ndarray]:
    return {axis.name: axis.place(encode.numbers(table[axis.name])) for axis in axes}


def _columns(table: pa.Table, model: OutlierModel) -> np.ndarray:
    """Return the chance of so extreme a value, shape (n, 2 axes): above, below, above, ..."""
    made = np.ones((table.num_rows, 2 * len(model.axes)))
    for number, axis in enumerate(model.axes):
        placed = np.nan_to_num(axis.place(encode.numbers(table[axis.name])))
        for side, tail in enumerate(axis.tails):
            if tail is not None:
                made[:, 2 * number + side] = tail.beyond(placed if side == 0 else -placed)
    return made


def _joint(table: pa.Table, model: OutlierModel) -> np.ndarray:
    """Return the chance of so far from a curve, shape (n, 2 pairs): above, below, above, ..."""
    made = np.ones((table.num_rows, 2 * len(model.pairs)))
    placed = _placed(table, model.axes[:MOST_JOINT])
    for number, pair in enumerate(model.pairs):
        far = pair.curve.distance(placed[pair.column], placed[pair.along])
        for side, tail in enumerate(pair.tails):
            off = far if side == 0 else -far
            made[:, 2 * number + side] = np.where(off > NEAREST, tail.beyond(off), 1.0)
    return made


def _tell_column(model: OutlierModel, number: int) -> tuple[str, str]:
    name = model.axes[number // 2].name
    side = ("above", "below")[number % 2]
    return name, f"'{name}' is far {side} what its own tail explains"


def _tell_joint(model: OutlierModel, number: int) -> tuple[str, str]:
    pair = model.pairs[number // 2]
    side = ("high", "low")[number % 2]
    return pair.column, f"'{pair.column}' is far too {side} for its '{pair.along}'"
