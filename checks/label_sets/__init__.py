"""Multi-label data: labels missing from a row's list, and labels that the row contradicts.

Threat: poisoning by wrong labels. State: a sample of 10,000 rows. Cost: for each column at most 50
classes, so 250 logistic regressions, 250 times boosted trees and 200 trees on one encoding, and 50
noise channels; two passes.
Nulls: rows without a list are not judged; an empty list says that no label applies. A missing
feature counts as a value.
Blind to: labels of fewer than 20 rows, or that fewer than 20 rows lack; all but the 50 most
frequent labels; errors that follow the columns so closely that the model learns them; errors where
a label is hard to predict, or in rows without a value that most rows have (those are only ranked);
of several wrong labels in a row, all but the worst.
Source: binary relevance (Tsoumakas, Katakis 2007); `checks.kit.noise_channel` for the estimates.
"""

import dataclasses
from typing import ClassVar, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import calibrate, embedded, encode, findings, noise_channel, sample, vectors
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.wording import about, count, percent
from checks.label_sets import one_vs_rest
from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import as_list, owners_of
from provenance.rows.shards import Shard

SIZE = 10_000
LEAST = 20  # rows with a label, and rows without it
MOST_CLASSES = 50
DOUBTED = 0.64  # chance of being correct below which a label is doubted, as in the check `labels`
REVIEW_SHARE = 0.02  # of the rows, the most doubtful ones

Channels: TypeAlias = tuple[noise_channel.Channel | None, ...]

_WHEN = (
    "Error if the estimated probability that the label is correct is so low that false alarms "
    "should make up at most alpha (assay.policy.alpha, default 10%) of the quarantined rows. "
    f"Warning if that probability is below {DOUBTED:.0%}, or if the row is among the "
    f"{REVIEW_SHARE:.0%} most doubtful. A row that lacks a value that most rows have gets warnings "
    "only. Of each row, only the most doubtful label is reported."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Judge:
    """What judges the labels of one column.

    Attributes:
        column: of lists.
        classes: the judged labels, sorted.
        usual: columns of which at most half is missing. A label may follow from what a row lacks,
            so that a row without one of these is never held.
        models: of all classes.
        typical: mean probability of each class in rows that lack it and in rows that have it, shape
            (2, classes).
        likely: maximum-likelihood channel of each class, None where it is not predictable.
        least: channel of each class with the fewest plausible errors, None for no row.
        quarantine: chance of being correct by `least` below which a row is held, -1 for none.
        review: score from which a row is reviewed if the models are confident of the opposite.
    """

    column: str
    classes: tuple[str, ...]
    usual: tuple[str, ...]
    models: one_vs_rest.OneVsRest
    typical: np.ndarray
    likely: Channels
    least: Channels
    quarantine: float = -1.0
    review: float = 2.0


@dataclasses.dataclass(frozen=True)
class LabelSetsModel(Model):
    """A judge of each column that can be judged, and the projection of embeddings."""

    judges: tuple[Judge, ...] = ()
    projection: embedded.Projection = dataclasses.field(default_factory=embedded.Projection)


@dataclasses.dataclass(frozen=True, slots=True)
class Worst:
    """The most doubtful label of each row; shapes (n,).

    Attributes:
        place: of the class.
        has: whether the row has the label.
        chance: the out-of-fold probability that it has.
        beyond: whether that is as in rows of which the opposite is told (the confident joint).
        score: how strongly the row contradicts it, for ranking.
        correct: estimated probability that it is correct.
        least: the same with the fewest plausible errors.
    """

    place: np.ndarray
    has: np.ndarray
    chance: np.ndarray
    beyond: np.ndarray
    score: np.ndarray
    correct: np.ndarray
    least: np.ndarray


class LabelSets(Check[pa.Table, LabelSetsModel]):
    """Judge lists of labels class by class: is each label's presence or absence plausible?"""

    name: ClassVar[str] = "label_sets"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("data poisoning",)
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    is_of_role: ClassVar[bool] = True
    is_graded: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        "label_sets.missing": Explanation(
            ("error", "warning"),
            "A label that the rest of the row supports is not in the list: models that never saw "
            "the row predict it.",
            _WHEN,
            "Compare the list with its source; add the label, release or reject the row "
            "(`assay review`).",
        ),
        "label_sets.contradicted": Explanation(
            ("error", "warning"),
            "A label in the list contradicts the rest of the row: models that never saw the row "
            "do not predict it.",
            _WHEN,
            "Compare the list with its source; remove the label, release or reject the row "
            "(`assay review`).",
        ),
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns to sample."""
        super().__init__(context)
        contract, names = context.contract, set(context.schema.names)
        self.lists = contract.used("labels")
        self.embedded = contract.used("embedding")
        self.features = [name for name in contract.features if name in names]

    def fit(self, shard: Shard) -> pa.Table:
        """Return the shard's part of the sample."""
        columns = [*self.features, *self.embedded, *self.lists]
        return sample.take(dataclasses.replace(shard, table=self._seen(shard)), columns, SIZE)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Join both samples."""
        return sample.merge(left, right, SIZE)

    def finish(self, state: pa.Table) -> LabelSetsModel:
        """Fit the models of each column out of fold; set the thresholds by them."""
        rows = sample.settled(state)
        projection = embedded.fit(rows, self.embedded)
        rows = projection.of(rows)
        how = encode.kinds(self.context.contract, rows)
        how |= dict.fromkeys(projection.names, "number")
        made = [self._judge(rows, how, name) for name in self.lists]
        notes = tuple(note for _, told in made for note in told)
        judges = tuple(judge for judge, _ in made if judge is not None)
        return LabelSetsModel(notes=notes, judges=judges, projection=projection)

    def score(self, shard: Shard, model: LabelSetsModel) -> findings.Findings:
        """Report the rows of which a label's presence or absence is doubtful."""
        if not shard.table.num_rows or not model.judges:
            return findings.empty()
        table, folds = model.projection.of(self._seen(shard)), sample.folds(shard)
        return findings.concat(
            [self._found(table, folds, shard.rows, judge) for judge in model.judges]
        )

    def _seen(self, shard: Shard) -> pa.Table:
        """Return a table with embeddings and lists of labels as text."""
        table = vectors.with_lists(shard, self.embedded, vectors.WIDEST)
        for name in self.lists:
            table = table.append_column(name, _texts(shard, name))
        return table

    def _judge(
        self, rows: pa.Table, how: dict[str, encode.Kind], name: str
    ) -> tuple[Judge | None, tuple[str, ...]]:
        rows = rows.filter(rows[name].is_valid())
        classes, more = _classes(whole(rows[name]))
        if not classes or not how:
            why = f"no label that {LEAST} rows have and {LEAST} lack" if how else "no other column"
            return None, (f"{name}: labels not judged: {why}",)
        has, folds = _membership(whole(rows[name]), classes), rows[sample.FOLD].to_numpy()
        models, chances = one_vs_rest.fit(rows, how, has, folds, self.context.seed)
        usual = tuple(name for name in how if 2 * _missing(rows[name]).sum() <= len(has))
        complete = _complete(rows, usual)
        likely, least = _channels(chances, has, complete)
        if not any(likely):
            return None, (f"{name}: labels not judged: the other columns do not predict them",)
        judge = Judge(name, classes, usual, models, _typical(chances, has), likely, least)
        worst = _worst(judge, chances, has, complete)
        held, _ = calibrate.cut(worst.least, self.context.contract.policy.alpha)
        most = int(REVIEW_SHARE * len(has))
        ranked = np.sort(worst.score)[::-1]
        review = float(ranked[most - 1 : most + 1].mean()) if 0 < most < len(ranked) else 2.0
        judge = dataclasses.replace(judge, quarantine=held, review=review)
        return judge, _notes(judge, worst, more)

    def _found(
        self, table: pa.Table, folds: np.ndarray, rows: np.ndarray, judge: Judge
    ) -> findings.Findings:
        known = np.flatnonzero(table[judge.column].is_valid())
        table = table.take(pa.array(known))
        if not len(known):
            return findings.empty()
        has = _membership(whole(table[judge.column]), judge.classes)
        chances = judge.models.predict(table, folds[known])
        worst = _worst(judge, chances, has, _complete(table, judge.usual))
        held = worst.least < judge.quarantine
        listed = (worst.score > judge.review) & worst.beyond
        hit = np.flatnonzero(held | (worst.correct < DOUBTED) | listed)
        names = np.array(judge.classes, dtype=object)[worst.place[hit]]
        return findings.make(
            rows[known[hit]],
            check=self.name,
            rule=np.where(worst.has[hit], "label_sets.contradicted", "label_sets.missing"),
            column=judge.column,
            severity=pa.array(np.where(held[hit], "error", "warning")),
            score=worst.score[hit],
            p_value=worst.correct[hit],
            evidence=[
                f"'{name}' is {'' if has_it else 'not '}in the list, but the other columns "
                f"{'do not ' if has_it else ''}support it (out-of-fold probability of '{name}': "
                f"{percent(chance)})"
                for name, has_it, chance in zip(
                    names, worst.has[hit], worst.chance[hit], strict=True
                )
            ],
            suggestion=[
                f"{'remove' if has_it else 'add'} '{name}', or release the row"
                for name, has_it in zip(names, worst.has[hit], strict=True)
            ],
        )


def _texts(shard: Shard, name: str) -> pa.Array:
    """Return lists of labels as lists of text; null where the column is absent."""
    kind = pa.list_(pa.string())
    if name not in shard.nested.column_names:
        return pa.nulls(len(shard.rows), kind)
    return as_list(whole(shard.nested[name])).cast(kind)


def _items(cells: pa.Array) -> pa.Table:
    """Return each label of each row once: columns `row` and `label`."""
    pairs = pa.table({"row": pa.array(owners_of(cells)), "label": cells.flatten()})
    return pairs.filter(pairs["label"].is_valid()).group_by(["row", "label"]).aggregate([])


def _classes(cells: pa.Array) -> tuple[tuple[str, ...], int]:
    """Return the labels to judge, sorted, and how many more could have been."""
    counted = _items(cells).group_by("label").aggregate([([], "count_all")])
    rows = counted["count_all"]
    enough = pc.and_(pc.greater_equal(rows, LEAST), pc.less_equal(rows, max(len(cells) - LEAST, 0)))
    order = [("count_all", "descending"), ("label", "ascending")]
    names = counted.filter(enough).sort_by(order)["label"].to_pylist()
    return tuple(sorted(names[:MOST_CLASSES])), max(len(names) - MOST_CLASSES, 0)


def _membership(cells: pa.Array, classes: tuple[str, ...]) -> np.ndarray:
    """Return which row has which label: bool, shape (n, classes)."""
    made = np.zeros((len(cells), len(classes)), bool)
    found = pc.index_in(cells.flatten(), value_set=pa.array(classes, pa.string()))
    place = np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int64)
    known = place >= 0
    made[owners_of(cells)[known], place[known]] = True
    return made


def _both(chances: np.ndarray) -> np.ndarray:
    kept = np.clip(chances, 1e-6, 1 - 1e-6)
    return np.column_stack([1 - kept, kept])


def _missing(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.is_null(nan_is_null=True))


def _complete(table: pa.Table, usual: tuple[str, ...]) -> np.ndarray:
    """Return which rows have a value in all usual columns: bool, shape (n,)."""
    made = np.ones(table.num_rows, bool)
    for name in usual:
        made &= ~_missing(table[name])
    return made


def _channels(
    chances: np.ndarray, has: np.ndarray, complete: np.ndarray
) -> tuple[Channels, Channels]:
    """Return the channels of each class; the lower bounds hold in all classes at once.

    They are of the complete rows; where these are too few, of all rows, and none is held.
    """
    likely, least = [], []
    for chance, mine in zip(chances.T, has.T, strict=True):
        known = np.isfinite(chance)
        both, given = _both(chance), mine.astype(np.int64)
        found: tuple[noise_channel.Channel | None, noise_channel.Channel | None] = None, None
        if _are_enough(given[known & complete]):
            chosen = known & complete
            found = noise_channel.fit(both[chosen], given[chosen], fits=has.shape[1])
        elif _are_enough(given[known]):
            found = noise_channel.fit(both[known], given[known])[0], None
        likely.append(found[0])
        least.append(found[1])
    return tuple(likely), tuple(least)


def _typical(chances: np.ndarray, has: np.ndarray) -> np.ndarray:
    known, filled = np.isfinite(chances), np.nan_to_num(chances)
    parts = [known & ~has, known & has]
    return np.array([(filled * mine).sum(0) / np.maximum(mine.sum(0), 1) for mine in parts])


def _are_enough(given: np.ndarray) -> bool:
    return min(int(given.sum()), int((1 - given).sum())) >= LEAST // 2


def _worst(judge: Judge, chances: np.ndarray, has: np.ndarray, complete: np.ndarray) -> Worst:
    """Return the most doubtful label of each row; a class without a channel is never doubted."""
    score, correct, least = np.zeros(has.shape), np.ones(has.shape), np.ones(has.shape)
    for place, (likely, fewest) in enumerate(zip(judge.likely, judge.least, strict=True)):
        known = np.flatnonzero(np.isfinite(chances[:, place]))
        if likely is None or not len(known):
            continue
        both, given = _both(chances[known, place]), has[known, place].astype(np.int64)
        score[known, place] = likely.score(both, given)
        correct[known, place] = likely.correct(both, given)
        if fewest is not None:
            least[known, place] = np.where(complete[known], fewest.correct(both, given), 1.0)
    # evidence of errors in a class counts before its rank
    rows, place = np.arange(len(has)), (score - least).argmax(1)
    with np.errstate(invalid="ignore"):
        beyond = np.where(has, chances <= judge.typical[0], chances >= judge.typical[1])
    picked = [part[rows, place] for part in (has, chances, beyond, score, correct, least)]
    return Worst(place, *picked)


def _notes(judge: Judge, worst: Worst, more: int) -> tuple[str, ...]:
    held = worst.least < judge.quarantine
    said = "quarantined: no evidence of errors beyond class overlap"
    if held.any():
        false = about(float(worst.correct[held].mean()))
        said = f"quarantined, {false} of them false alarms"
    doubted = int((worst.correct < DOUBTED).sum())
    judged = f"{judge.column}: {count(len(judge.classes), 'label')} judged"
    sampled = f"{int(held.sum()):,} of {count(len(held), 'sampled row')}"
    notes = [f"{judged}, {sampled} {said}; {count(doubted, 'row')} doubted"]
    if unlearnt := sum(channel is None for channel in judge.likely):
        of_them = count(unlearnt, "label")
        notes.append(f"{judge.column}: {of_them} that the other columns do not predict not judged")
    if more:
        notes.append(
            f"{judge.column}: only the {MOST_CLASSES} most frequent labels are judged; "
            f"{count(more, 'label')} not judged"
        )
    return tuple(notes)
