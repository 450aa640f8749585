"""Rows far beyond the tails of the data, in one column or in the relation between two.

Threat: poisoning by extreme or impossible rows. State: a sample of 20,000 rows. Cost: curves for up
to 24 columns, one forest, two passes. Nulls: a missing cell is not an outlier; ingest quarantines
NaN and infinities.
Blind to: outliers among the other values; outliers of one kind that make up more than 2% of the
rows, or of all kinds together if pairs of columns reveal them; fewer than ten of a kind unless each
is far out; impossible pairs of categories; rare classes that only many columns together reveal. A
small legitimate group beyond a gap is reported as outliers. Columns that grow are not judged.
Source: Pickands 1975 (tails); Benjamini, Hochberg 1995; Liu, Ting, Zhou 2008 (forest).
"""

import dataclasses
from collections import Counter
from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.kit import calibrate, conditional_curve, encode, findings, growth, sample
from checks.kit.protocol import Check, Context, Explains, Explanation
from checks.kit.wording import count, percent
from checks.outliers import judging, tails
from checks.outliers.judging import OutlierModel
from provenance.rows.shards import Shard

SIZE = 20_000
BLOCK = 8_192  # rows judged at a time: a thousand tests of each are kept in memory
MOST_SECONDS = 4  # columns for which a second opinion is fitted
CONFIRMED = 0.7  # share of a group that the second opinion must confirm for its size to count
REVIEW_SHARE = 0.005  # of the rows, ranked by rarity: warnings


class Outliers(Check[pa.Table, OutlierModel]):
    """Quarantine rows that no tail explains; rank the rarest of the others for review."""

    name: ClassVar[str] = "outliers"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("data poisoning",)
    libraries: ClassVar[tuple[str, ...]] = ("scipy.spatial", "sklearn.ensemble")
    is_graded: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        "outliers.column": Explanation(
            ("error",),
            "The value lies far beyond the other values of its column.",
            "According to the tail distribution fitted to the column, a value this extreme is so "
            "unlikely that false alarms should make up at most alpha (assay.policy.alpha, default "
            "10%) of the quarantined rows.",
            "Compare the value with its source; correct, reject or release the row.",
        ),
        "outliers.joint": Explanation(
            ("error",),
            "Two values of the row do not fit together, although each may be ordinary on its own.",
            "Given the value in one column, the value in the other is so far from the curve fitted "
            "to both that false alarms should make up at most alpha (assay.policy.alpha, default "
            "10%) of the quarantined rows, and the row's other columns do not explain why.",
            "Compare both values with their source; correct, reject or release the row.",
        ),
        "outliers.rare": Explanation(
            ("warning",),
            "The row is among the rarest in the dataset.",
            f"The row ranks in the top {REVIEW_SHARE:.1%} on a combined score: isolation forest, "
            "distance from the centre and distance from its neighbours.",
            "Review the row when time allows; a rare row is not necessarily wrong.",
        ),
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns to sample."""
        super().__init__(context)
        texts, present = set(context.contract.having("text")), set(context.schema.names)
        names = [n for n in context.contract.features if n in present]
        self.columns = [name for name in names if name not in texts]

    def fit(self, shard: Shard) -> pa.Table:
        """Return the shard's part of the sample."""
        return sample.take(shard, self.columns, SIZE)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Join both samples."""
        return sample.merge(left, right, SIZE)

    def finish(self, state: pa.Table) -> OutlierModel:
        """Fit tails, curves and the forest, then spend the policy's alpha on each rule."""
        if not self.columns:
            return OutlierModel(notes=("outliers not judged: no column but texts",))
        table = sample.settled(state)
        reference = self.context.reference
        if reference is not None and reference.num_rows >= tails.LEAST_ROWS:
            trusted = reference.select(self.columns)
        else:
            trusted = table
        if trusted.num_rows < tails.LEAST_ROWS or not table.num_rows:
            note = f"outliers not judged: fewer than {tails.LEAST_ROWS} rows"
            return OutlierModel(notes=(note,))
        rising = growth.growing(table, self.columns) | growth.moved_on(table, trusted, self.columns)
        if rising == frozenset(self.columns):
            return OutlierModel(notes=("outliers not judged: no column, or all of them grow",))
        table, trusted = (rows.drop_columns(sorted(rising)) for rows in (table, trusted))
        return self._judged(table, trusted, rising)

    def _judged(self, table: pa.Table, trusted: pa.Table, rising: frozenset[str]) -> OutlierModel:
        model = judging.fitted(trusted, self.context.seed)
        chances = {rule: how(table, model) for rule, (how, _) in judging.RULES.items()}
        limits = self._limits(table, trusted, model, chances)
        model = dataclasses.replace(model, limits=limits)
        in_all = _in_all(table, trusted)
        model = self._second(table, model, chances["joint"], in_all=in_all)
        notes = tuple(self._note(table, rule, model, chances[rule]) for rule in judging.RULES)
        if rising:
            notes += (f"not judged, since they grow from row to row: {', '.join(sorted(rising))}",)
        review = np.inf
        if model.rare is not None:
            ranked = np.sort(model.rarity(table))
            review = float(ranked[-1 - int(REVIEW_SHARE * len(ranked))])
        return dataclasses.replace(model, review=review, notes=notes)

    def score(self, shard: Shard, model: OutlierModel) -> findings.Findings:
        """Report rows that no tail explains, then the rarest of the others."""
        if not model.limits or not shard.table.num_rows:
            return findings.empty()
        folds = sample.folds(shard)
        starts = range(0, shard.table.num_rows, BLOCK)
        blocks = [(shard.table.slice(at, BLOCK), slice(at, at + BLOCK)) for at in starts]
        return findings.concat(
            [self._scored(table, shard.rows[at], folds[at], model) for table, at in blocks]
        )

    def _scored(
        self, table: pa.Table, rows: np.ndarray, folds: np.ndarray, model: OutlierModel
    ) -> findings.Findings:
        free, parts = np.ones(len(rows), bool), []
        for rule in judging.RULES:
            chances = judging.RULES[rule][0](table, model)
            fired = judging.apply(table, folds, rule, model, chances)
            hit = np.flatnonzero(free & fired.any(1))
            free[hit] = False
            few = np.where(
                fired[hit], chances[hit] / np.maximum(model.limits[rule], 1e-300), np.inf
            )
            worst = few.argmin(1) if len(hit) else np.zeros(0, int)
            texts = [judging.RULES[rule][1](model, int(number)) for number in worst]
            parts.append(self._found(rows[hit], rule, chances[hit, worst], texts))
        if model.rare is not None:
            rare = model.rarity(table)
            hit = np.flatnonzero(free & (rare > model.review))
            parts.append(self._rarest(rows[hit], rare[hit], len(model.rare.ranks)))
        return findings.concat(parts)

    def _limits(
        self,
        table: pa.Table,
        trusted: pa.Table,
        model: OutlierModel,
        chances: dict[str, np.ndarray],
    ) -> dict[str, np.ndarray]:
        alpha, rows = self.context.contract.policy.alpha, max(self.context.rows, table.num_rows)
        column, joined = chances["column"], chances["joint"]
        own = trusted is table
        expected = None if own else judging.joined(trusted, model)
        most = calibrate.MOST_GROUP if own else 1
        return {
            "column": calibrate.alone(column, alpha=alpha, rows=rows, most=most),
            "joint": np.maximum(
                calibrate.alone(joined, alpha=alpha, rows=rows, in_all=_in_all(table, trusted)),
                calibrate.grouped(joined, expected, alpha=alpha),
            ),
        }

    def _second(
        self, table: pa.Table, model: OutlierModel, joined: np.ndarray, *, in_all: float
    ) -> OutlierModel:
        """Ask all other columns about the rows of each pair; drop groups that they explain."""
        limits, chances = model.limits["joint"], joined.copy()
        hits = (chances < limits).sum(0)
        counts: Counter[str] = Counter()
        for pair, both in zip(model.pairs, hits.reshape(-1, 2), strict=True):
            counts[pair.column] += int(both.sum())
        most = sorted((n for n in counts if counts[n]), key=lambda n: (-counts[n], n))
        present = set(table.column_names)
        judged = [name for name in self.columns if name in present]
        how = encode.kinds(self.context.contract, table.select(judged))
        placed = judging.placed(table, model.axes)
        made = {
            name: conditional_curve.second(table, how, name, placed[name], seed=self.context.seed)
            for name in most[:MOST_SECONDS]
        }
        asked = dataclasses.replace(model, seconds=made)
        fired = judging.apply(table, table[sample.FOLD].to_numpy(), "joint", asked, joined)
        is_asked = np.repeat(np.array([pair.column in made for pair in model.pairs], bool), 2)
        kept = is_asked & (fired.sum(0) >= CONFIRMED * hits)
        # rows that the other columns explain must not lower the bar for a lone row
        chances[(chances < limits) & ~fired] = 1.0
        left = np.where((hits > 0) & ~kept, 1.0, chances)
        alpha, rows = self.context.contract.policy.alpha, max(self.context.rows, table.num_rows)
        lone = calibrate.alone(left, alpha=alpha, rows=rows, in_all=in_all)
        limits = calibrate.within(chances, np.where(kept, limits, lone), lone, in_all)
        return dataclasses.replace(asked, limits=model.limits | {"joint": limits})

    def _note(self, table: pa.Table, rule: str, model: OutlierModel, chances: np.ndarray) -> str:
        fired = judging.apply(table, table[sample.FOLD].to_numpy(), rule, model, chances)
        alpha = self.context.contract.policy.alpha
        return (
            f"outliers.{rule}: {int(fired.any(1).sum()):,} of "
            f"{count(table.num_rows, 'sampled row')} beyond the tails; at most {percent(alpha, 0)} "
            "of the quarantined rows are expected to be false alarms"
        )

    def _found(
        self, rows: np.ndarray, rule: str, chance: np.ndarray, texts: list[tuple[str, str]]
    ) -> findings.Findings:
        return findings.make(
            rows,
            check=self.name,
            rule=f"outliers.{rule}",
            column=[column for column, _ in texts],
            score=1 - chance,
            p_value=chance,
            evidence=[evidence for _, evidence in texts],
            suggestion="compare the row with its source; correct, reject or release the row",
        )

    def _rarest(self, rows: np.ndarray, rare: np.ndarray, parts: int) -> findings.Findings:
        from scipy.special import chdtrc

        return findings.make(
            rows,
            check=self.name,
            rule="outliers.rare",
            severity="warning",
            score=1 - chdtrc(2 * parts, 2 * rare),
            evidence=f"the row is among the rarest {percent(REVIEW_SHARE)} on a combined score: "
            "isolation forest, distance from the centre and distance from its neighbours",
            suggestion="review the row when time allows",
        )


def _in_all(table: pa.Table, trusted: pa.Table) -> float:
    # pairs whose tails do not follow the fitted law add up; trusted rows would have shown that
    return calibrate.MOST_GROUP if trusted is table else 1.0
