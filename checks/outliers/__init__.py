"""Rows far beyond what the data's own tails explain, in one column or in how columns go together.

Threat: poisoning by extreme or impossible rows. State: a sample of 20,000 rows. Cost: curves
for up to 24 columns, one forest, two passes. Nulls: missing is no outlier. Not finite: ingest
holds such cells. Blind to: outliers in the midst of the data, more than 2 % of a kind (of all kinds
that pairs of columns show), under ten of a kind that are not far out each, and impossible pairs of
categories. A small honest group behind a gap is taken for outliers. A rare class that many columns
tell only together ranks no higher.
Source: Pickands 1975 (tails); Benjamini, Hochberg 1995; Liu, Ting, Zhou 2008 (forest).
"""

import dataclasses
from collections import Counter
from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.kit import calibrate, conditional_curve, encode, findings, sample
from checks.kit.protocol import Check, Context
from checks.outliers import judging, tails
from checks.outliers.judging import OutlierModel
from provenance.rows.shards import Shard

SIZE = 20_000
BLOCK = 8_192  # rows judged at a time: a thousand tests of each are held in memory
MOST_SECONDS = 4
STANDING = 0.7  # of a group must stand after the second opinion, or its number says nothing
REVIEW_SHARE = 0.005


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
        if reference is not None and reference.num_rows >= tails.LEAST_ROWS:
            trusted = reference.select(self.columns)
        else:
            trusted = table
        if trusted.num_rows < tails.LEAST_ROWS or not table.num_rows:
            return OutlierModel(notes=(f"fewer than {tails.LEAST_ROWS} rows: outliers not judged",))
        model = judging.fitted(trusted, self.context.seed)
        limits = self._limits(table, trusted, model)
        model = dataclasses.replace(model, limits=limits)
        model = self._second(table, model, in_all=_in_all(table, trusted))
        notes = tuple(self._note(table, rule, model) for rule in judging.RULES)
        review = np.inf
        if model.rare is not None:
            ranked = np.sort(model.rarity(table))
            review = float(ranked[-1 - int(REVIEW_SHARE * len(ranked))])
        return dataclasses.replace(model, review=review, notes=notes)

    def score(self, shard: Shard, model: OutlierModel) -> findings.Findings:
        """Report rows that no tail explains, then the rarest of the rest."""
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
            chances, fired = judging.accused(table, folds, rule, model)
            hit = np.flatnonzero(free & fired.any(1))
            free[hit] = False
            few = np.where(
                fired[hit], chances[hit] / np.maximum(model.limits[rule], 1e-300), np.inf
            )
            worst = few.argmin(1) if len(hit) else np.zeros(0, int)
            told = [judging.RULES[rule][1](model, int(number)) for number in worst]
            parts.append(self._found(rows[hit], rule, chances[hit, worst], told))
        if model.rare is not None:
            rare = model.rarity(table)
            hit = np.flatnonzero(free & (rare > model.review))
            parts.append(self._rarest(rows[hit], rare[hit], len(model.rare.ranks)))
        return findings.concat(parts)

    def _limits(
        self, table: pa.Table, trusted: pa.Table, model: OutlierModel
    ) -> dict[str, np.ndarray]:
        alpha, rows = self.context.contract.policy.alpha, max(self.context.rows, table.num_rows)
        column, joined = judging.alone(table, model), judging.joined(table, model)
        own = trusted is table
        honest, most = (
            (None if own else judging.joined(trusted, model)),
            calibrate.MOST_GROUP if own else 1,
        )
        return {
            "column": calibrate.alone(column, alpha=alpha, rows=rows, most=most),
            "joint": np.maximum(
                calibrate.alone(joined, alpha=alpha, rows=rows, in_all=_in_all(table, trusted)),
                calibrate.grouped(joined, honest, alpha=alpha),
            ),
        }

    def _second(self, table: pa.Table, model: OutlierModel, *, in_all: float) -> OutlierModel:
        """Ask all other columns about what a pair accuses; drop groups that they explain."""
        limits, chances = model.limits["joint"], judging.joined(table, model)
        hits = (chances < limits).sum(0)
        counts: Counter[str] = Counter()
        for pair, both in zip(model.pairs, hits.reshape(-1, 2), strict=True):
            counts[pair.column] += int(both.sum())
        most = sorted((n for n in counts if counts[n]), key=lambda n: (-counts[n], n))
        how = encode.kinds(self.context.contract, table.select(self.columns))
        placed = judging.placed(table, model.axes)
        made = {
            name: conditional_curve.second(table, how, name, placed[name], seed=self.context.seed)
            for name in most[:MOST_SECONDS]
        }
        asked = dataclasses.replace(model, seconds=made)
        fired = judging.accused(table, table[sample.FOLD].to_numpy(), "joint", asked)[1]
        is_asked = np.repeat(np.array([pair.column in made for pair in model.pairs], bool), 2)
        kept = is_asked & (fired.sum(0) >= STANDING * hits)
        # what the other columns explain must not lower the bar for a lone row
        chances[(chances < limits) & ~fired] = 1.0
        left = np.where((hits > 0) & ~kept, 1.0, chances)
        alpha, rows = self.context.contract.policy.alpha, max(self.context.rows, table.num_rows)
        lone = calibrate.alone(left, alpha=alpha, rows=rows, in_all=in_all)
        limits = calibrate.within(chances, np.where(kept, limits, lone), lone, in_all)
        return dataclasses.replace(asked, limits=model.limits | {"joint": limits})

    def _note(self, table: pa.Table, rule: str, model: OutlierModel) -> str:
        _, fired = judging.accused(table, table[sample.FOLD].to_numpy(), rule, model)
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


def _in_all(table: pa.Table, trusted: pa.Table) -> float:
    # many pairs whose tails are not of the fitted kind add up; trusted rows would have shown that
    return calibrate.MOST_GROUP if trusted is table else 1.0
