"""Rows far beyond what the data's own tails explain, in one column or in how columns go together.

Threat: poisoning by extreme or impossible rows. State: a sample of 20,000 rows. Cost: curves
for up to 24 columns, one forest, two passes. Nulls: missing is no outlier. Not finite: ingest
holds such cells. Blind to: outliers in the midst of the data, more than 2 % of a kind, and
impossible pairs of categories. A small honest group behind a gap is taken for outliers.
Source: Pickands 1975 (tails); Benjamini, Hochberg 1995; Liu, Ting, Zhou 2008 (forest).
"""

import dataclasses
from collections import Counter
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import calibrate, encode, findings, joint, rarity, sample, scales
from checks.kit.opaque import opaque
from checks.kit.protocol import Check, Context, Model
from provenance.shards import Shard

SIZE = 20_000
MOST_JOINT = 24
MOST_SECONDS = 4
STANDING = 0.7  # of a group must stand after the second opinion, or its number says nothing
NEAREST = 2.5  # spreads below which no distance from a curve counts
REVIEW_SHARE = 0.005


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
        levels: category column -> (values, see `opaque`; their rarity).
        rare: rank of rarity, None where the sample is too small.
        limits: chance below which each test of a rule quarantines, by rule, shape (tests,).
        seconds: second opinion on columns that a pair accuses.
        review: rarity from which a row is reviewed.
    """

    axes: tuple[scales.Axis, ...] = ()
    pairs: tuple[Pair, ...] = ()
    levels: dict[str, tuple[pa.Array, np.ndarray]] = dataclasses.field(default_factory=dict)
    rare: rarity.Rarity | None = None
    limits: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    seconds: dict[str, joint.Second] = dataclasses.field(default_factory=dict)
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
        if reference is not None and reference.num_rows >= scales.LEAST_ROWS:
            trusted = reference.select(self.columns)
        else:
            trusted = table
        if trusted.num_rows < scales.LEAST_ROWS or not table.num_rows:
            return OutlierModel(
                notes=(f"fewer than {scales.LEAST_ROWS} rows: outliers not judged",)
            )
        model = _fitted(trusted, self.context.seed)
        limits = self._limits(table, trusted, model)
        model = dataclasses.replace(model, limits=limits)
        model = self._second(table, model)
        notes = tuple(self._note(table, rule, model) for rule in RULES)
        review = np.inf
        if model.rare is not None:
            ranked = np.sort(model.rare.score(_scaled(table, model)))
            review = float(ranked[-1 - int(REVIEW_SHARE * len(ranked))])
        return dataclasses.replace(model, review=review, notes=notes)

    def score(self, shard: Shard, model: OutlierModel) -> findings.Findings:
        """Report rows that no tail explains, then the rarest of the rest."""
        if not model.limits or not shard.table.num_rows:
            return findings.empty()
        table, free = shard.table, np.ones(shard.table.num_rows, bool)
        parts = []
        for rule in RULES:
            chances, fired = _accused(table, sample.folds(shard), rule, model)
            hit = np.flatnonzero(free & fired.any(1))
            free[hit] = False
            beyond = np.where(fired, chances / np.maximum(model.limits[rule], 1e-300), np.inf)
            worst = beyond[hit].argmin(1) if len(hit) else np.zeros(0, int)
            told = [RULES[rule][1](model, int(number)) for number in worst]
            parts.append(self._found(shard.rows[hit], rule, chances[hit, worst], told))
        if model.rare is not None:
            rare = model.rare.score(_scaled(table, model))
            hit = np.flatnonzero(free & (rare > model.review))
            parts.append(self._rarest(shard.rows[hit], rare[hit], len(model.rare.ranks)))
        return findings.concat(parts)

    def _limits(
        self, table: pa.Table, trusted: pa.Table, model: OutlierModel
    ) -> dict[str, np.ndarray]:
        alpha, rows = self.context.contract.policy.alpha, max(self.context.rows, table.num_rows)
        column, joined = _columns(table, model), _joint(table, model)
        own = trusted is table
        honest, most = (None if own else _joint(trusted, model)), calibrate.MOST_GROUP if own else 1
        return {
            "column": calibrate.alone(column, alpha=alpha, rows=rows, most=most),
            "joint": np.maximum(
                calibrate.alone(joined, alpha=alpha, rows=rows),
                calibrate.grouped(joined, honest, alpha=alpha),
            ),
        }

    def _second(self, table: pa.Table, model: OutlierModel) -> OutlierModel:
        """Ask all other columns about what a pair accuses; drop groups that they explain."""
        limits, chances = model.limits["joint"], _joint(table, model)
        hits = (chances < limits).sum(0)
        counts: Counter[str] = Counter()
        for pair, both in zip(model.pairs, hits.reshape(-1, 2), strict=True):
            counts[pair.column] += int(both.sum())
        most = sorted((n for n in counts if counts[n]), key=lambda n: (-counts[n], n))
        how = encode.kinds(self.context.contract, table.select(self.columns))
        placed = _placed(table, model.axes)
        made = {
            name: joint.second(table, how, name, placed[name], seed=self.context.seed)
            for name in most[:MOST_SECONDS]
        }
        asked = dataclasses.replace(model, seconds=made)
        fired = _accused(table, table[sample.FOLD].to_numpy(), "joint", asked)[1]
        is_asked = np.repeat(np.array([pair.column in made for pair in model.pairs], bool), 2)
        kept = is_asked & (fired.sum(0) >= STANDING * hits)
        # what the other columns explain must not lower the bar for a lone row
        chances[((chances < limits) & ~fired) | ((hits > 0) & ~kept)] = 1.0
        alpha, rows = self.context.contract.policy.alpha, max(self.context.rows, table.num_rows)
        lone = calibrate.alone(chances, alpha=alpha, rows=rows)
        joined = {"joint": np.where(kept, limits, lone)}
        return dataclasses.replace(asked, limits=model.limits | joined)

    def _note(self, table: pa.Table, rule: str, model: OutlierModel) -> str:
        _, fired = _accused(table, table[sample.FOLD].to_numpy(), rule, model)
        share = self.context.contract.policy.alpha
        return (
            f"{rule}: {int(fired.any(1).sum())} of {table.num_rows} sampled rows beyond the tails; "
            f"at most {share:.0%} of those quarantined are expected to be honest"
        )

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
    kinds = {n: table[n].type for n in table.column_names if not n.startswith("__assay")}
    strings = [name for name, kind in kinds.items() if pa.types.is_string(kind)]
    numeric = [n for n, k in kinds.items() if n not in strings and not pa.types.is_boolean(k)]
    values = {name: encode.numbers(table[name]) for name in numeric}
    fitted = tuple(axis for name in numeric if (axis := scales.fit(name, values[name])) is not None)
    levels = {name: scales.levels(table[name]) for name in strings}
    model = OutlierModel(axes=fitted, levels=levels)
    scaled = _scaled(table, model)
    rare = rarity.fit(scaled, seed) if scaled.shape[1] else None
    return dataclasses.replace(model, pairs=_pairs(table, model), rare=rare)


def _scaled(table: pa.Table, model: OutlierModel) -> np.ndarray:
    made = [axis.place(encode.numbers(table[axis.name])) for axis in model.axes]
    for name, (known, rare) in model.levels.items():
        where = pc.index_in(opaque(table[name]), value_set=known)
        codes = pc.fill_null(where, -1).to_numpy(zero_copy_only=False)
        made.append(np.append(rare, rare.max(initial=0.0) + 1)[codes])
    return np.column_stack(made) if made else np.zeros((table.num_rows, 0))


def _pairs(table: pa.Table, model: OutlierModel) -> tuple[Pair, ...]:
    placed = _placed(table, model.axes[:MOST_JOINT])
    made = []
    # a number of few values has steps, not a tail; others may well be judged along it
    judged = [axis.name for axis in model.axes[:MOST_JOINT] if any(axis.tails)]
    for first in judged:
        for second in placed:
            bend = joint.curve(placed[first], placed[second]) if first != second else None
            if bend is not None:
                far = bend.distance(placed[first], placed[second])
                tails = tuple(calibrate.tail(side * far, least_shape=0.05) for side in (1, -1))
                made.append(Pair(first, second, bend, (tails[0], tails[1])))
    return tuple(made)


def _placed(table: pa.Table, along: tuple[scales.Axis, ...]) -> dict[str, np.ndarray]:
    return {axis.name: axis.place(encode.numbers(table[axis.name])) for axis in along}


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


def _accused(
    table: pa.Table, folds: np.ndarray, rule: str, model: OutlierModel
) -> tuple[np.ndarray, np.ndarray]:
    """Return chances and which tests accuse, both (n, tests); a second opinion may acquit."""
    chances = RULES[rule][0](table, model)
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
    return chances, fired


def _tell_column(model: OutlierModel, number: int) -> tuple[str, str]:
    name = model.axes[number // 2].name
    side = ("above", "below")[number % 2]
    return name, f"'{name}' is far {side} what its own tail explains"


def _tell_joint(model: OutlierModel, number: int) -> tuple[str, str]:
    pair = model.pairs[number // 2]
    side = ("high", "low")[number % 2]
    return pair.column, f"'{pair.column}' is far too {side} for its '{pair.along}'"


RULES = {"column": (_columns, _tell_column), "joint": (_joint, _tell_joint)}
