"""Robustness certificate, an option: how many poisoned rows a majority vote of models withstands.

Threat: data poisoning by rows of any kind. State: up to 60,000 rows (option `sample`), equally many
for each of 50 partitions (option `partitions`). Cost: one small forest per partition.
Nulls: rows without a label are left out; missing features stay missing. Runs only if `assay.checks`
names it.
Blind to: models other than such a vote, such as the one you train; rows that are already poisoned
(only further ones count, and rows that other checks quarantine are still included); wrong labels of
the held-out rows; all of a text value but its length. The number of rows is never more than a few.
Source: deep partition aggregation (Levine, Feizi 2021).
"""

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import encode, findings, hashing, sample
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.wording import count, percent
from provenance.rows.shards import Shard

LEAST = 20  # rows per partition, on average
MOST_CLASSES = 50
HELD_OUT = 10  # without a reference, one row in 10 is voted on and not learnt from
MOST_ASKED = 2_000  # rows that the models vote on
TREES = 20
LARGEST = 1e38  # a forest computes in 32-bit floats
REPORTED = (0, 1, 2, 5, 10)  # numbers of poisoned rows in the evidence
PART = "__assay_part"  # the partition, or -1 for a held-out row


class Certificate(Check[pa.Table, Model]):
    """Certify a vote of one model per partition against added and removed rows."""

    name: ClassVar[str] = "certificate"
    threats: ClassVar[tuple[str, ...]] = ("data poisoning",)
    needs: ClassVar[frozenset[str]] = frozenset({"label"})
    takes: ClassVar[Takes] = {"partitions": "several", "sample": "whole"}
    is_option: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        "certificate.votes": Explanation(
            ("info",),
            "A majority vote of models gives the same result even if up to the number of rows in "
            "the finding are added or removed, whatever those rows contain. If there is no "
            "certificate, the finding says why.",
            "Always, if the contract turns the check on.",
            "Set the option `partitions`; with more partitions, the vote tolerates more rows but "
            "is correct less often.",
        )
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns and the sizes."""
        super().__init__(context)
        names = set(context.schema.names)
        self.label = str(context.contract.label)
        self.features = [n for n in context.contract.features if n in names]
        self.columns = [n for n in (*self.features, self.label) if n in names]
        self.partitions = int(self.options.get("partitions", 50))
        self.most = -(-int(self.options.get("sample", 60_000)) // self.partitions)

    def fit(self, shard: Shard) -> pa.Table:
        """Return the shard's part of each partition's rows and of the held-out ones."""
        words = np.ascontiguousarray(shard.digests[:, :16]).view(np.uint32).reshape(-1, 4)
        part = (words[:, 3] % self.partitions).astype(np.int32)
        part[words[:, 2] % HELD_OUT == 0] = -1
        # by content alone: with ordinals, one added row would move all rows after it
        rank = (words[:, 0].astype(np.uint64) << np.uint64(32)) | words[:, 1]
        table = shard.table.select(self.columns)
        for name, values in ((sample.ROW, shard.rows), (PART, part), (sample.RANK, rank)):
            table = table.append_column(name, pa.array(values))
        return self._least(table.filter(pc.is_valid(table[self.label])))

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Keep the rows of lowest rank of each partition."""
        return self._least(pa.concat_tables([left, right]))

    def finish(self, state: pa.Table) -> Model:
        """Train a model per partition, let them vote, and report what the vote withstands."""
        learn = state.filter(pc.greater_equal(state[PART], 0))
        asked = self._asked(state)
        names = _names(learn[self.label])
        classes = np.array(sorted(set(names)), object)
        if learn.num_rows < LEAST * self.partitions or not asked.num_rows:
            text = (
                f"No certificate: {count(self.partitions, 'partition')} of {LEAST} rows need "
                f"{LEAST * self.partitions:,} labelled rows and a row to vote on, found "
                f"{learn.num_rows:,} and {asked.num_rows:,} to vote on."
            )
            return self._reported(text, 0.0, "set fewer partitions")
        if not 1 < len(classes) <= MOST_CLASSES:
            text = (
                f"No certificate: the label has {count(len(classes), 'value')}, expected 2 to "
                f"{MOST_CLASSES}."
            )
            return self._reported(text, 0.0, "choose a label with fewer values")
        votes = self._votes(learn, np.searchsorted(classes, names), asked, len(classes))
        best, radius = certified(votes)
        is_right = classes[best] == np.array(_names(asked[self.label]), object)
        return self._report(np.where(is_right, radius, -1))

    def score(self, shard: Shard, model: Model) -> findings.Findings:
        """Report nothing: the certificate concerns the dataset, not a row."""
        del shard, model
        return findings.empty()

    def _least(self, table: pa.Table) -> pa.Table:
        part, rank = table[PART].to_numpy(), table[sample.RANK].to_numpy()
        order = np.lexsort((table[sample.ROW].to_numpy(), rank, part))
        starts = np.searchsorted(part[order], part[order])
        place = np.arange(len(order)) - starts
        most = np.where(part[order] < 0, MOST_ASKED, self.most)
        return table.take(pa.array(order[place < most])).combine_chunks()

    def _asked(self, state: pa.Table) -> pa.Table:
        trusted = self.context.reference
        if trusted is None or self.label not in trusted.column_names:
            return state.filter(pc.less(state[PART], 0))
        trusted = trusted.select(self.columns)
        trusted = trusted.filter(pc.is_valid(trusted[self.label]))
        step = max(1, -(-trusted.num_rows // MOST_ASKED))
        return trusted.take(pa.array(np.arange(0, trusted.num_rows, step)))

    def _votes(
        self, learn: pa.Table, codes: np.ndarray, asked: pa.Table, classes: int
    ) -> np.ndarray:
        """Return how many models vote for each class, int, shape (n, classes)."""
        votes, part = np.zeros((asked.num_rows, classes), int), learn[PART].to_numpy()
        # a column's kind must not depend on the rows, or one row could change all models
        texts = set(self.context.contract.having("text"))
        how = {n: _kind(learn.schema.field(n).type, is_text=n in texts) for n in self.features}
        for number in range(self.partitions):
            mine = np.flatnonzero(part == number)
            chosen = self._chosen(learn.take(pa.array(mine)), codes[mine], asked, how)
            votes[np.arange(len(votes)), chosen] += 1
        return votes

    def _chosen(
        self,
        rows: pa.Table,
        codes: np.ndarray,
        asked: pa.Table,
        how: dict[str, encode.Kind],
    ) -> np.ndarray:
        """Return the class that a model of these rows alone predicts for each row asked."""
        from sklearn.ensemble import RandomForestClassifier

        if len(np.unique(codes)) < 2 or not how:  # noqa: PLR2004
            most = np.bincount(codes).argmax() if len(codes) else 0
            return np.full(asked.num_rows, most)
        encoder = encode.fit(rows, how)
        forest = RandomForestClassifier(
            TREES, min_samples_leaf=2, random_state=self.context.seed, n_jobs=1
        )
        forest.fit(_small(encoder.trees(rows)), codes)
        chosen: np.ndarray = forest.predict(_small(encoder.trees(asked)))
        return chosen

    def _report(self, radius: np.ndarray) -> Model:
        shares = [float((radius >= rows).mean()) for rows in REPORTED]
        kept = [
            f"{percent(share)} for {count(rows, 'row')}"
            for rows, share in zip(REPORTED[1:], shares[1:], strict=True)
        ]
        half = int(np.sort(radius)[::-1][(len(radius) - 1) // 2])
        is_half = f"Half of the rows stay correct up to {half} such rows."
        where = "held-out" if self.context.reference is None else "trusted"
        text = (
            f"A vote of {count(self.partitions, 'model')}, one per partition, is correct on "
            f"{percent(shares[0])} of {len(radius):,} {where} rows. Proportion that stays correct "
            f"whichever rows are added or removed: {', '.join(kept)}. "
            f"{is_half if half >= 0 else 'Fewer than half of the rows are correct.'}"
        )
        advice = (
            "set more partitions to withstand more rows, with a vote that is correct less often; "
            "count a changed row as two"
        )
        return self._reported(text, 1 - shares[0], advice)

    def _reported(self, text: str, score: float, advice: str) -> Model:
        found = findings.make(
            None,
            check=self.name,
            rule="certificate.votes",
            severity="info",
            column=self.label,
            score=score,
            evidence=text,
            suggestion=advice,
        )
        return Model(overall=found)


def certified(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the winner of each vote, and how many added or removed rows cannot change it.

    An added or removed row changes one partition, so one vote: from the winner to another class.
    The class that sorts first wins a tie; a class that is not yet known may sort first. Levine,
    Feizi 2021: half the lead, less one where the other class would win a tie.

    Args:
        votes: int, shape (n, classes).
    """
    rows = np.arange(len(votes))
    best = votes.argmax(1)
    others = votes + (np.arange(votes.shape[1])[None, :] < best[:, None])
    others[rows, best] = 1
    radius: np.ndarray = (votes[rows, best] - others.max(1)) // 2
    return best, np.maximum(radius, 0)


def _names(column: pa.ChunkedArray) -> list[str]:
    made: list[Any] = hashing.whole(column).cast(pa.string()).to_pylist()
    return made


def _kind(kind: pa.DataType, *, is_text: bool) -> encode.Kind:
    if is_text:
        return "text"
    return "category" if pa.types.is_string(kind) else "number"


def _small(shown: np.ndarray) -> np.ndarray:
    made: np.ndarray = np.clip(shown, -LARGEST, LARGEST)
    return made
