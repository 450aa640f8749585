"""Mislabelled rows: confident learning on chances that models give to rows they have not seen.

Threat: poisoning by wrong labels. State: a sample of 20,000 rows. Cost: up to 20 fits, two passes.
Nulls: rows without a label are not judged; missing features are a value of their own.
Blind to: errors that follow the columns so closely that the model learns them; classes of
fewer than ten rows; errors on rows where classes honestly overlap (those are only ranked).
Source: Northcutt, Jiang, Chuang 2021 (confident learning); `checks.labels.noise_channel` and
`checks.labels.error_floor` for the estimates.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import calibrate, cross_fit, encode, findings, numeric_label, sample
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Model
from checks.labels import error_floor, noise_channel
from provenance.rows.shards import Shard

SIZE = 20_000
LEAST_ROWS = 40
LEAST_OF_CLASS = 10
MOST_CLASSES = 100
UNTOLD = "labels not judged: the columns foretell nothing of them"
# chance of being honest below which a label is doubted, and so a warning: as many are as are wrong
DOUBTED = 0.64
REVIEW_SHARE = 0.02  # of the rows, those that confident learning doubts, ranked: warnings too


@dataclasses.dataclass(frozen=True)
class LabelModel(Model):
    """What judges a label.

    Attributes:
        fitted: models of all folds, None where nothing could be learnt.
        classes: names of the judged classes, sorted; code i is classes[i].
        likely: how true classes become given labels, at the greatest likelihood; it ranks.
        least: the same with the fewest errors that the labels allow; it accuses, None for nobody.
        floors: errors of each pair of classes, told from overlap; they accuse as well.
        floor: honest chance by `floors` below which a row is quarantined, -1 for none.
        confident: threshold of each class in the confident joint, shape (classes,).
        quarantine: honest chance by `least` below which a row is quarantined, -1 for none.
        review: score from which a row that confident learning doubts is reviewed.
        number: what judges a numeric label, None for classes.
    """

    fitted: cross_fit.Crossfit | None = None
    classes: tuple[str, ...] = ()
    likely: noise_channel.Channel | None = None
    least: noise_channel.Channel | None = None
    confident: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    floors: error_floor.Floors | None = None
    quarantine: float = -1.0
    floor: float = -1.0
    review: float = 2.0
    number: numeric_label.Quantity | None = None


class Labels(Check[pa.Table, LabelModel]):
    """Quarantine labels that the rest of the data contradict; rank the doubtful ones."""

    name: ClassVar[str] = "labels"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("data poisoning",)
    needs: ClassVar[frozenset[str]] = frozenset({"label"})
    takes: ClassVar[Takes] = {"worth": "flag"}  # false: no models beside each other in the report

    def __init__(self, context: Context) -> None:
        """Name the columns that are sampled."""
        super().__init__(context)
        self.label = context.contract.label or ""
        features = [n for n in context.contract.features if n in context.schema.names]
        self.columns = [*features, self.label]

    def fit(self, shard: Shard) -> pa.Table:
        """Return the shard's part of the sample."""
        return sample.take(shard, self.columns, SIZE)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Return the sample of both."""
        return sample.merge(left, right, SIZE)

    def finish(self, state: pa.Table) -> LabelModel:
        """Fit the models out of fold, then set both thresholds on the sample."""
        table = sample.settled(state)
        how = encode.kinds(self.context.contract, table)
        if numeric_label.is_quantity(table[self.label]):
            return self._quantity(table, how)
        labels = names(table[self.label])
        classes, note = _judged(labels)
        if note or not how:
            return LabelModel(notes=(note or "no column to learn the label from",))
        given = _codes(labels, classes)
        fitted, chances = cross_fit.fit(
            table,
            how,
            given,
            table[sample.FOLD].to_numpy(),
            classes=len(classes),
            seed=self.context.seed,
        )
        known = given >= 0
        model = self._thresholds(fitted, classes, chances[known], given[known])
        rare = len(labels) - labels.null_count - int(known.sum())
        note = f"{rare} sampled labels of classes under {LEAST_OF_CLASS} rows are not judged"
        return dataclasses.replace(model, notes=(*model.notes, note)) if rare else model

    def score(self, shard: Shard, model: LabelModel) -> findings.Findings:
        """Report rows whose label the models contradict."""
        if model.number is not None and shard.table.num_rows:
            return self._numbers(shard, model.number)
        if model.fitted is None or not shard.table.num_rows:
            return findings.empty()
        given = _codes(names(shard.table[self.label]), model.classes)
        known = np.flatnonzero(given >= 0)
        table = shard.table.take(pa.array(known))
        chances = model.fitted.predict(table, sample.folds(shard)[known])
        return self._report(shard.rows[known], given[known], chances, model)

    def _thresholds(
        self,
        fitted: cross_fit.Crossfit,
        classes: tuple[str, ...],
        chances: np.ndarray,
        given: np.ndarray,
    ) -> LabelModel:
        from cleanlab.count import get_confident_thresholds

        chances = _normal(chances)
        likely, least = noise_channel.fit(chances, given)
        if likely is None:
            return LabelModel(notes=(UNTOLD,))
        model = LabelModel(
            fitted=fitted,
            classes=classes,
            likely=likely,
            least=least,
            confident=get_confident_thresholds(given, chances),
        )
        ranked = np.sort(likely.score(chances, given)[_off_diagonal(chances, given, model)])[::-1]
        most = int(REVIEW_SHARE * len(given))
        review = float(ranked[most - 1 : most + 1].mean()) if 0 < most < len(ranked) else -1.0
        found, alpha = error_floor.floors(chances, given), self.context.contract.policy.alpha
        floor = calibrate.cut(found.honest(chances, given), alpha)[0]
        model = dataclasses.replace(model, review=review, floors=found, floor=floor)
        honest, careful = _honest(chances, given, model)
        threshold, _ = calibrate.cut(careful, alpha)
        model = dataclasses.replace(model, quarantine=threshold)
        honest, severe = _accused(chances, given, model)
        note = _told(honest, severe, likely, least)
        return dataclasses.replace(model, notes=(note,))

    def _quantity(self, table: pa.Table, how: dict[str, encode.Kind]) -> LabelModel:
        values = encode.numbers(table[self.label])
        if np.isfinite(values).sum() < LEAST_ROWS or not how:
            return LabelModel(notes=("labels not judged: too few rows or columns",))
        number = numeric_label.fit(table, how, values, self.context)
        if number is None:
            return LabelModel(notes=(UNTOLD,))
        note = "numeric label: distance from what the other columns foretell, by its own tails"
        return LabelModel(number=number, notes=(note,))

    def _numbers(self, shard: Shard, number: numeric_label.Quantity) -> findings.Findings:
        values = encode.numbers(shard.table[self.label])
        far = number.distance(shard.table, values, sample.folds(shard))
        chances = number.chances(far)
        hit = np.flatnonzero((chances < number.limit) | (chances < number.review))
        side = np.where(far[hit] > 0, "above", "below")
        return findings.make(
            shard.rows[hit],
            check=self.name,
            rule="labels.contradicted",
            column=self.label,
            severity=pa.array(np.where(chances[hit] < number.limit, "error", "warning")),
            score=1 - chances[hit],
            p_value=chances[hit],
            evidence=[f"the label is far {s} what the other columns foretell" for s in side],
            suggestion="compare the label with its source",
        )

    def _report(
        self, rows: np.ndarray, given: np.ndarray, chances: np.ndarray, model: LabelModel
    ) -> findings.Findings:
        if model.likely is None:
            return findings.empty()
        chances = _normal(chances)
        honest, severe = _accused(chances, given, model)
        score = model.likely.score(chances, given)
        listed = (score > model.review) & _off_diagonal(chances, given, model)
        hit = np.flatnonzero(severe | (honest < DOUBTED) | listed)
        best = model.likely.supported(chances[hit], given[hit])
        best = np.array(model.classes, dtype=object)[best]
        own = np.array(model.classes, dtype=object)[given[hit]]
        sure = chances[hit, given[hit]]
        told = zip(own, best, sure, strict=True)
        return findings.make(
            rows[hit],
            check=self.name,
            rule="labels.contradicted",
            column=self.label,
            severity=pa.array(np.where(severe[hit], "error", "warning")),
            score=score[hit],
            p_value=honest[hit],
            evidence=[
                f"given class '{o}', the evidence supports '{b}' (self-confidence {s:.2f})"
                for o, b, s in told
            ],
            suggestion=[f"relabel to '{b}' or release" for b in best],
        )


def names(column: pa.ChunkedArray) -> pa.Array:
    """Return labels as strings, null where missing."""
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return flat.cast(pa.string())


def _judged(labels: pa.Array) -> tuple[tuple[str, ...], str]:
    counted = labels.drop_null().value_counts()
    counts = dict(
        zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    )
    kept = tuple(sorted(name for name, count in counts.items() if count >= LEAST_OF_CLASS))
    if len(kept) < 2:  # noqa: PLR2004
        return (), f"labels not judged: fewer than two classes have {LEAST_OF_CLASS} rows"
    if len(kept) > MOST_CLASSES:
        return (), f"labels not judged: {len(kept)} classes, at most {MOST_CLASSES} are"
    return kept, ""


def _codes(labels: pa.Array, classes: tuple[str, ...]) -> np.ndarray:
    found = pc.index_in(labels, value_set=pa.array(classes, pa.string()))
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _normal(chances: np.ndarray) -> np.ndarray:
    kept = np.clip(chances, 1e-6, 1.0)
    normal: np.ndarray = kept / kept.sum(1, keepdims=True)
    return normal


def _honest(
    chances: np.ndarray, given: np.ndarray, model: LabelModel
) -> tuple[np.ndarray, np.ndarray]:
    """Return the chance that each label is right: as estimated, and at the fewest errors."""
    nobody = np.ones(len(given))
    return (
        nobody if model.likely is None else model.likely.honest(chances, given),
        nobody if model.least is None else model.least.honest(chances, given),
    )


def _accused(
    chances: np.ndarray, given: np.ndarray, model: LabelModel
) -> tuple[np.ndarray, np.ndarray]:
    """Return the chance that each label is right, and which ones are held by either estimate."""
    honest, careful = _honest(chances, given, model)
    severe = careful < model.quarantine
    if model.floors is not None:
        by_floor = model.floors.honest(chances, given)
        held = by_floor < model.floor
        honest, severe = np.where(held, np.minimum(honest, by_floor), honest), severe | held
    return honest, severe


def _told(
    honest: np.ndarray,
    accused: np.ndarray,
    likely: noise_channel.Channel,
    least: noise_channel.Channel | None,
) -> str:
    doubted = f"{int((honest < DOUBTED).sum())} are doubted"
    if not accused.any():
        return (
            f"no label of {len(honest)} sampled is held: nothing shows errors beyond class "
            f"overlap; {doubted}"
        )
    surely = f", {least.rate:.1%} at least" if least else ""
    return (
        f"{int(accused.sum())} of {len(honest)} sampled labels are contradicted beyond class "
        f"overlap; {honest[accused].mean():.1%} of them are expected to be honest (overlap and "
        f"errors told apart by likelihood: {likely.rate:.1%} of all labels are wrong{surely}); "
        f"{doubted}"
    )


def _off_diagonal(chances: np.ndarray, given: np.ndarray, model: LabelModel) -> np.ndarray:
    """Return where the confident joint counts a row outside its own class."""
    confident = np.where(chances >= model.confident, chances, 0.0)
    return np.asarray((confident.max(1) > 0) & (confident.argmax(1) != given))
