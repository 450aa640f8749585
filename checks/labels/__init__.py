"""Mislabelled rows: confident learning on out-of-fold class probabilities.

Threat: poisoning by wrong labels. State: a sample of 20,000 rows. Cost: up to 20 fits, two passes.
Nulls: rows without a label are not judged; a missing feature counts as a value. With a column of
the role `probabilities`, its chances judge, and rows without them are not judged.
Blind to: errors that follow the columns so closely that the model learns them; classes of fewer
than ten rows, or of copies of each other; errors on rows where the classes overlap (those are only
ranked).
Source: Northcutt, Jiang, Chuang 2021 (confident learning); `checks.kit.noise_channel` and
`checks.labels.error_floor` for the estimates.
"""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import (
    calibrate,
    class_chances,
    cross_fit,
    embedded,
    encode,
    findings,
    noise_channel,
    numeric_label,
    sample,
    vectors,
)
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.wording import count, percent
from checks.labels import corrected, error_floor, given_chances, summary
from provenance.rows.shards import Shard

SIZE = 20_000
LEAST_ROWS = 40
LEAST_OF_CLASS = 10
MOST_CLASSES = 100
COPIED = "most rows of the class are copies of each other"
NO_CHANCES = "their rows have no probabilities of the judged classes"
UNLEARNABLE = "labels not judged: the other columns do not predict the label"
# chance of being correct below which a label is doubted, a warning: about as many as are wrong
DOUBTED = 0.64
REVIEW_SHARE = 0.02  # of the rows: the top-ranked ones that confident learning doubts, warnings


@dataclasses.dataclass(frozen=True)
class State:
    """A sample of the rows, and with given chances the values that the label has in all rows."""

    rows: pa.Table
    values: frozenset[Any] = frozenset()


@dataclasses.dataclass(frozen=True)
class LabelModel(Model):
    """What judges a label.

    Attributes:
        fitted: models of all folds, or what reads the given chances; None if nothing judges.
        classes: names of the judged classes, sorted; code i is classes[i].
        likely: maximum-likelihood channel from true classes to given labels.
        ranking: the channel that ranks.
        least: channel with the fewest plausible errors; it quarantines, None for no row.
        floors: error floors of each pair of classes; they quarantine as well.
        floor: chance of being correct by `floors` below which a row is quarantined, -1 for none.
        confident: threshold of each class in the confident joint, shape (classes,).
        quarantine: the same by `least`, -1 for none.
        review: score from which a row that confident learning doubts is reviewed.
        number: model of a numeric label, None for classes.
        projection: of embeddings to number columns.
        times: factor on the chance that a label is correct, >= 1; see `given_chances.TIMES`.
    """

    fitted: cross_fit.Crossfit | given_chances.Given | None = None
    classes: tuple[str, ...] = ()
    likely: noise_channel.Channel | None = None
    ranking: noise_channel.Channel | None = None
    least: noise_channel.Channel | None = None
    confident: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    floors: error_floor.Floors | None = None
    quarantine: float = -1.0
    floor: float = -1.0
    review: float = 2.0
    number: numeric_label.Quantity | None = None
    projection: embedded.Projection = dataclasses.field(default_factory=embedded.Projection)
    times: float = 1.0


class Labels(Check[State, LabelModel]):
    """Quarantine labels that the rest of the row contradicts; rank the doubtful ones."""

    name: ClassVar[str] = "labels"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("data poisoning",)
    needs: ClassVar[frozenset[str]] = frozenset({"label"})
    libraries: ClassVar[tuple[str, ...]] = (
        "sklearn.linear_model", "sklearn.ensemble", "scipy.optimize", "cleanlab.count",
    )  # fmt: skip
    takes: ClassVar[Takes] = {"worth": "flag"}  # false: no comparison of models in the report
    is_graded: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        "labels.contradicted": Explanation(
            ("error", "warning"),
            "The label contradicts the rest of the row: models that never saw the row predict a "
            "different class or, for a numeric label, a value far from it.",
            "Error if the estimated probability that the label is correct is so low that false "
            "alarms should make up at most alpha (assay.policy.alpha, default 10%) of the "
            f"quarantined rows. Warning if that probability is below {DOUBTED:.0%}, or if the row "
            f"is among the {REVIEW_SHARE:.0%} most doubtful. For a numeric label, what counts is "
            "the probability of a value this far from the predicted one: error as above, warning "
            f"if that probability is below {numeric_label.RARE:.1%} and among the lowest "
            f"{numeric_label.REVIEW_SHARE:.0%}.",
            "Compare the label with its source; relabel, release or reject the row "
            "(`assay review`).",
        )
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns to sample."""
        super().__init__(context)
        self.label = context.contract.label or ""
        contract, names = context.contract, set(context.schema.names)
        self.given = contract.used("probabilities")
        self.embedded = () if self.given else contract.used("embedding")
        features = [] if self.given else [n for n in contract.features if n in names]
        self.columns = [*features, *self.given, *self.embedded, self.label]

    def fit(self, shard: Shard) -> State:
        """Return the shard's part of the sample."""
        rows = sample.take(self._seen(shard), self.columns, SIZE)
        if not self.given:
            return State(rows)
        values = pc.unique(shard.table[self.label]).drop_null().to_pylist()
        return State(rows, frozenset(sorted(values)[: class_chances.MOST_CLASSES + 1]))

    def merge(self, left: State, right: State) -> State:
        """Join both samples."""
        values = sorted(left.values | right.values)[: class_chances.MOST_CLASSES + 1]
        return State(sample.merge(left.rows, right.rows, SIZE), frozenset(values))

    def finish(self, state: State) -> LabelModel:
        """Fit the models out of fold, or read the given chances; set the thresholds by them."""
        rows = sample.settled(state.rows)
        projection = embedded.fit(rows, self.embedded)
        state = State(projection.of(rows), state.values)
        model = self._finished(state, projection.names)
        return dataclasses.replace(model, projection=projection)

    def _finished(self, state: State, embedded_names: list[str]) -> LabelModel:
        table = state.rows
        how = encode.kinds(self.context.contract, table)
        how |= dict.fromkeys(embedded_names, "number")
        if numeric_label.is_quantity(table[self.label]) and not self.given:
            return self._quantity(table, how)
        labels = names(table[self.label])
        classes, note = _judged(labels)
        if note or not (how or self.given):
            return LabelModel(
                notes=(note or "labels not judged: there is no column to learn the label from",)
            )
        given = _codes(labels, classes)
        folds = table[sample.FOLD].to_numpy()
        learnt = corrected.codes(given, table[sample.ROW], self.context.corrected, classes)
        fitted, chances = self._chances(state, table, how, learnt, classes)
        if isinstance(fitted, str):
            return LabelModel(notes=(f"labels not judged: {fitted}",))
        known = np.flatnonzero(given >= 0)
        judged = known[fitted.judges(table.take(pa.array(known)), folds[known], given[known])]
        unjudged = NO_CHANCES if self.given else COPIED
        if not len(judged):
            return LabelModel(notes=(f"labels not judged: {unjudged}",))
        model = self._thresholds(fitted, classes, chances[judged], given[judged])
        rare = len(labels) - labels.null_count - len(known)
        notes = list(model.notes)
        if rare:
            rare_ = count(rare, "label")
            notes.append(f"{rare_} in classes of fewer than {LEAST_OF_CLASS} rows not judged")
        if len(judged) < len(known):
            notes.append(f"{count(len(known) - len(judged), 'label')} not judged: {unjudged}")
        return dataclasses.replace(model, notes=tuple(notes))

    def _chances(
        self,
        state: State,
        table: pa.Table,
        how: dict[str, encode.Kind],
        given: np.ndarray,
        classes: tuple[str, ...],
    ) -> tuple[cross_fit.Crossfit | given_chances.Given | str, np.ndarray]:
        """Return what predicts classes, or why nothing does, and the chances of the sample."""
        folds = table[sample.FOLD].to_numpy()
        if not self.given:
            return cross_fit.fit(
                table, how, given, folds, classes=len(classes), seed=self.context.seed
            )
        found = given_chances.of(self.context.contract, table, state.values, classes)
        if isinstance(found, str):
            return found, np.zeros(0)
        return found, found.predict(table, folds)

    def _seen(self, shard: Shard) -> Shard:
        """Return a shard whose table has the nested columns that judge."""
        if not (self.given or self.embedded):
            return shard
        lists = (*self.given, *self.embedded)
        widest = vectors.WIDEST if self.embedded else None
        return dataclasses.replace(shard, table=vectors.with_lists(shard, lists, widest))

    def score(self, shard: Shard, model: LabelModel) -> findings.Findings:
        """Report the rows whose label the models contradict."""
        if not shard.table.num_rows or (model.number is None and model.fitted is None):
            return findings.empty()
        whole = model.projection.of(self._seen(shard).table)
        if model.number is not None:
            return self._numbers(dataclasses.replace(shard, table=whole), model.number)
        if model.fitted is None:
            return findings.empty()
        given = _codes(names(whole[self.label]), model.classes)
        known, folds = np.flatnonzero(given >= 0), sample.folds(shard)
        table = whole.take(pa.array(known))
        judged, chances = model.fitted.judged(table, folds[known], given[known])
        known = known[judged]
        return self._report(shard.rows[known], given[known], chances, model)

    def _thresholds(
        self,
        fitted: cross_fit.Crossfit | given_chances.Given,
        classes: tuple[str, ...],
        chances: np.ndarray,
        given: np.ndarray,
    ) -> LabelModel:
        from cleanlab.count import get_confident_thresholds

        chances = _normal(chances)
        likely, least = noise_channel.fit(chances, given)
        if likely is None:
            return LabelModel(notes=(UNLEARNABLE,))
        model = LabelModel(
            fitted=fitted,
            classes=classes,
            likely=likely,
            ranking=(ranking := given_chances.ranking(likely) if self.given else likely),
            least=least,
            confident=get_confident_thresholds(given, chances),
            times=given_chances.TIMES if self.given else 1.0,
        )
        ranked = np.sort(ranking.score(chances, given)[_off_diagonal(chances, given, model)])[::-1]
        most = int(REVIEW_SHARE * len(given))
        review = float(ranked[most - 1 : most + 1].mean()) if 0 < most < len(ranked) else -1.0
        found, alpha = error_floor.floors(chances, given), self.context.contract.policy.alpha
        floor = calibrate.cut(_less_sure(found.correct(chances, given), model), alpha)[0]
        model = dataclasses.replace(model, review=review, floors=found, floor=floor)
        threshold, _ = calibrate.cut(_correct(least, chances, given, model), alpha)
        model = dataclasses.replace(model, quarantine=threshold)
        if self.given and (why := given_chances.overconfidence(chances, given)):
            note = f"labels are ranked and none is quarantined: {why}"
            return dataclasses.replace(model, quarantine=-1.0, floor=-1.0, notes=(note,))
        correct, held = _judge(chances, given, model)
        return dataclasses.replace(
            model, notes=(summary.of(correct < DOUBTED, correct, held, (likely, least)),)
        )

    def _quantity(self, table: pa.Table, how: dict[str, encode.Kind]) -> LabelModel:
        values = encode.numbers(table[self.label])
        if np.isfinite(values).sum() < LEAST_ROWS or not how:
            return LabelModel(
                notes=(f"labels not judged: they need {LEAST_ROWS} values and a column",)
            )
        number = numeric_label.fit(table, how, values, self.context)
        if number is None:
            return LabelModel(notes=(UNLEARNABLE,))
        note = (
            "numeric label: each value is compared with what the other columns predict; a row is "
            "contradicted if the tails of the differences do not explain its own"
        )
        return LabelModel(number=number, notes=(note,))

    def _numbers(self, shard: Shard, number: numeric_label.Quantity) -> findings.Findings:
        values = encode.numbers(shard.table[self.label])
        far = number.distance(shard.table, values, sample.folds(shard))
        chances = number.chances(far)
        hit = np.flatnonzero((chances < number.limit) | (chances < number.review))
        way = np.where(far[hit] > 0, "above", "below")
        return findings.make(
            shard.rows[hit],
            check=self.name,
            rule="labels.contradicted",
            column=self.label,
            severity=pa.array(np.where(chances[hit] < number.limit, "error", "warning")),
            score=1 - chances[hit],
            p_value=chances[hit],
            evidence=[f"the label is far {w} what the other columns predict" for w in way],
            suggestion="compare the label with its source",
        )

    def _report(
        self, rows: np.ndarray, given: np.ndarray, chances: np.ndarray, model: LabelModel
    ) -> findings.Findings:
        if model.likely is None or model.ranking is None:
            return findings.empty()
        chances = _normal(chances)
        correct, held = _judge(chances, given, model)
        score = model.ranking.score(chances, given)
        listed = (score > model.review) & _off_diagonal(chances, given, model)
        hit = np.flatnonzero(held | (correct < DOUBTED) | listed)
        best = model.likely.supported(chances[hit], given[hit])
        best = np.array(model.classes, dtype=object)[best]
        own = np.array(model.classes, dtype=object)[given[hit]]
        by = "the given probabilities" if self.given else "the other columns"
        triples = zip(own, best, chances[hit, given[hit]], strict=True)
        return findings.make(
            rows[hit],
            check=self.name,
            rule="labels.contradicted",
            column=self.label,
            severity=pa.array(np.where(held[hit], "error", "warning")),
            score=score[hit],
            p_value=correct[hit],
            evidence=[
                f"labelled '{o}', but {by} support '{b}' (out-of-fold probability of "
                f"'{o}': {percent(p)})"
                for o, b, p in triples
            ],
            suggestion=[f"relabel to '{b}', or release the row" for b in best],
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
        return (), f"labels not judged: fewer than 2 classes have {LEAST_OF_CLASS} rows"
    if len(kept) > MOST_CLASSES:
        return (), f"labels not judged: {len(kept)} classes, the limit is {MOST_CLASSES}"
    return kept, ""


def _codes(labels: pa.Array, classes: tuple[str, ...]) -> np.ndarray:
    found = pc.index_in(labels, value_set=pa.array(classes, pa.string()))
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _normal(chances: np.ndarray) -> np.ndarray:
    kept = np.clip(chances, 1e-6, 1.0)
    normal: np.ndarray = kept / kept.sum(1, keepdims=True)
    return normal


def _correct(
    channel: noise_channel.Channel | None,
    chances: np.ndarray,
    given: np.ndarray,
    model: LabelModel,
) -> np.ndarray:
    """Return the chance that each label is correct; 1 without a channel."""
    if channel is None:
        return np.ones(len(given))
    return _less_sure(channel.correct(chances, given), model)


def _less_sure(correct: np.ndarray, model: LabelModel) -> np.ndarray:
    made: np.ndarray = np.minimum(correct * model.times, 1.0)
    return made


def _judge(
    chances: np.ndarray, given: np.ndarray, model: LabelModel
) -> tuple[np.ndarray, np.ndarray]:
    """Return the chance that each label is correct, and which rows either estimate quarantines."""
    correct = _correct(model.likely, chances, given, model)
    held = _correct(model.least, chances, given, model) < model.quarantine
    if model.floors is not None:
        by_floor = _less_sure(model.floors.correct(chances, given), model)
        low = by_floor < model.floor
        correct, held = np.where(low, np.minimum(correct, by_floor), correct), held | low
    return correct, held


def _off_diagonal(chances: np.ndarray, given: np.ndarray, model: LabelModel) -> np.ndarray:
    """Return which rows the confident joint counts under a class other than their own."""
    confident = np.where(chances >= model.confident, chances, 0.0)
    return np.asarray((confident.max(1) > 0) & (confident.argmax(1) != given))
