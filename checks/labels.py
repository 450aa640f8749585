"""Mislabelled rows: cleanlab on chances that models give to rows they have not seen.

Threat: poisoning by wrong labels. State: a sample of 20,000 rows. Cost: ten fits, two passes.
Nulls: rows without a label are not judged; missing features are a value of their own.
Blind to: errors that follow the columns so closely that the model learns them; classes of
fewer than ten rows; errors on rows where classes honestly overlap (those are only ranked).
Source: Northcutt, Jiang, Chuang 2021 (confident learning); `checks.kit.calibrate` for the cut.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import calibrate, crossfit, encode, findings, quantity, sample
from checks.kit.protocol import Check, Context, Model
from provenance.shards import Shard

SIZE = 20_000
LEAST_ROWS = 40
LEAST_OF_CLASS = 2 * crossfit.FOLDS
MOST_CLASSES = 100
REVIEW_SHARE = 0.02
LEAST_OF_PAIR = 20  # contrary labels that a curve of its own needs


@dataclasses.dataclass(frozen=True)
class LabelModel(Model):
    """What judges a label.

    Attributes:
        fitted: models of all folds, None where nothing could be learnt.
        classes: names of the judged classes, sorted; code i is classes[i].
        curves: (best class, given class) -> how overlap and errors share the contrary labels.
        confident: cleanlab's threshold of each class, shape (classes,).
        quarantine: honest chance below which a row is quarantined, -1 for none.
        review: score from which a row is reviewed, above 1 for none.
        number: what judges a numeric label, None for classes.
    """

    fitted: crossfit.Crossfit | None = None
    classes: tuple[str, ...] = ()
    curves: dict[tuple[int, int], calibrate.Lapse] = dataclasses.field(default_factory=dict)
    confident: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    quarantine: float = -1.0
    review: float = 2.0
    number: quantity.Quantity | None = None


class Labels(Check[pa.Table, LabelModel]):
    """Quarantine labels that the rest of the data contradict; rank the doubtful ones."""

    name: ClassVar[str] = "labels"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("data poisoning",)
    needs: ClassVar[frozenset[str]] = frozenset({"label"})

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
        if quantity.is_quantity(table[self.label]):
            return self._quantity(table, how)
        labels = names(table[self.label])
        classes, note = _judged(labels)
        if note or not how:
            return LabelModel(notes=(note or "no column to learn the label from",))
        given = _codes(labels, classes)
        fitted, chances = crossfit.fit(
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
        fitted: crossfit.Crossfit,
        classes: tuple[str, ...],
        chances: np.ndarray,
        given: np.ndarray,
    ) -> LabelModel:
        from cleanlab.count import get_confident_thresholds
        from cleanlab.filter import find_label_issues

        chances = _normal(chances)
        curves = _curves(chances, given)
        model = LabelModel(
            fitted=fitted,
            classes=classes,
            curves=curves,
            confident=get_confident_thresholds(given, chances),
        )
        honest, score = _judge(chances, given, model)
        threshold, share = calibrate.cut(honest, self.context.contract.policy.alpha)
        doubtful = find_label_issues(given, chances, n_jobs=1)
        most = int(min(doubtful.sum(), REVIEW_SHARE * len(given)))
        accused = int((honest < threshold).sum())
        ranked = np.sort(score[honest >= threshold])[::-1]
        review = float(ranked[: most + 1][-2:].mean()) if most and len(ranked) > most else 2.0
        note = (
            f"{accused} of {len(given)} sampled labels are contradicted beyond class overlap; "
            f"{share:.1%} of them are expected to be honest (error floor per pair of classes, "
            f"lower 95 % bound); cleanlab doubts {int(doubtful.sum())}"
        )
        return dataclasses.replace(model, quarantine=threshold, review=review, notes=(note,))

    def _quantity(self, table: pa.Table, how: dict[str, encode.Kind]) -> LabelModel:
        values = encode.numbers(table[self.label])
        if np.isfinite(values).sum() < LEAST_ROWS or not how:
            return LabelModel(notes=("labels not judged: too few rows or columns",))
        number = quantity.fit(table, how, values, self.context)
        if number is None:
            return LabelModel(notes=("labels not judged: the columns foretell nothing of them",))
        note = "numeric label: distance from what the other columns foretell, by its own tails"
        return LabelModel(number=number, notes=(note,))

    def _numbers(self, shard: Shard, number: quantity.Quantity) -> findings.Findings:
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
        chances = _normal(chances)
        honest, score = _judge(chances, given, model)
        severe = honest < model.quarantine
        hit = np.flatnonzero(
            severe | ((score > model.review) & _off_diagonal(chances, given, model))
        )
        best = np.array(model.classes, dtype=object)[chances[hit].argmax(1)]
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


def _curves(chances: np.ndarray, given: np.ndarray) -> dict[tuple[int, int], calibrate.Lapse]:
    best, where = chances.argmax(1), calibrate.logits(chances)
    count = chances.shape[1]
    rest = [(where[best != c, c], given[best != c] == c) for c in range(count)]
    pooled = calibrate.lapse(
        np.concatenate([at for at, _ in rest]), np.concatenate([hit for _, hit in rest])
    )
    curves = {}
    for likely in range(count):
        mine = best == likely
        for contrary in range(count):
            hit = given[mine] == contrary
            if contrary != likely and hit.any():
                own = hit.sum() >= LEAST_OF_PAIR
                at = where[mine, contrary]
                curves[likely, contrary] = calibrate.lapse(at, hit) if own else pooled
    return curves


def _judge(
    chances: np.ndarray, given: np.ndarray, model: LabelModel
) -> tuple[np.ndarray, np.ndarray]:
    best, own = chances.argmax(1), chances[np.arange(len(given)), given]
    where = calibrate.logits(own)
    careful, likely = np.ones(len(given)), np.ones(len(given))
    for (first, second), curve in model.curves.items():
        mine = (best == first) & (given == second)
        careful[mine] = curve.honest(where[mine])
        likely[mine] = curve.honest(where[mine], best=True)
    # self-confidence ranks within a pair's plateau, and alone where no error floor is seen
    return careful, 1 - (0.999 * likely + 0.001) * own**0.25


def _off_diagonal(chances: np.ndarray, given: np.ndarray, model: LabelModel) -> np.ndarray:
    """Return where confident learning counts a row outside its own class."""
    confident = np.where(chances >= model.confident, chances, 0.0)
    return np.asarray((confident.max(1) > 0) & (confident.argmax(1) != given))
