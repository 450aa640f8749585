"""Contamination: texts and turns that share long runs of words with the test set.

Threat: data leakage: a model that has learnt the test answers it by heart. The test set is that of
`duplicates: {test: ...}`. State: a count for each run of the test set. Cost: two passes, O(words)
hashes and a binary search in the sorted hashes of the test set, which are made once.
Nulls: a missing text has no words.
Blind to: test texts of fewer than 8 words; paraphrases and translations; runs that many rows or
many test rows share, such as refusals and licences; what the system says; turns that are no plain
texts; answers that are numbers alone.
Source: shares of 8-grams, Chowdhery et al. 2022 (PaLM). A single run of 13 words, as in Brown et
al. 2020 (GPT-3), holds too much: answers of assistants begin alike.
"""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.kit import findings, word_grams
from checks.kit.nested_roles import conversations
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.turns import SYSTEM, turns_of
from checks.kit.wording import count
from provenance.base.errors import AssayError
from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import is_text
from provenance.rows.shards import Shard

GRAM = 8  # words of a run
LONG = 25  # words in a row that are no coincidence, however long the texts are
SHARE = 0.5  # of the runs of the shorter text
COMMON = 0.005  # of the rows, or of the test's: a run that more of them share is a phrase
FEW = 10  # rows that may share a run in a dataset of any size
FEW_TESTED = 2  # and in a test set of any size
RULE = "contamination.shared"
_ADVICE = "reject the row, or draw a new test set"


@dataclasses.dataclass(frozen=True, slots=True)
class Tested:
    """The runs of words of a test set.

    Attributes:
        hashes: uint64, shape (g,), ascending; owners: int64, shape (g,), a text that has the run;
        is_rare: bool, shape (g,), whether few rows of the test set have it.
        sizes: int64, shape (t,), runs of each text.
    """

    hashes: np.ndarray
    owners: np.ndarray
    is_rare: np.ndarray
    sizes: np.ndarray


@dataclasses.dataclass(frozen=True, slots=True)
class Hits:
    """Runs of texts that the test set has too; arrays have shape (h,), in the texts' order.

    Attributes:
        texts: int64, place of the text; runs: int64, place in the test set's runs.
        at: int64, number of the run among those of all texts.
        sizes: int64, shape (t,), runs of each text.
    """

    texts: np.ndarray
    runs: np.ndarray
    at: np.ndarray
    sizes: np.ndarray


@dataclasses.dataclass(frozen=True)
class State:
    """The number of rows that have each run of the test set, and of all rows."""

    counts: np.ndarray
    rows: int


@dataclasses.dataclass(frozen=True)
class Shared(Model):
    """The runs that count, and the texts they are from."""

    tested: Tested | None = None


class Contamination(Check[State, Shared]):
    """Find rows that repeat a text of the test set."""

    name: ClassVar[str] = "contamination"
    threats: ClassVar[tuple[str, ...]] = ("data leakage",)
    needs: ClassVar[frozenset[str]] = frozenset({"test"})
    needs_one: ClassVar[frozenset[str]] = frozenset({"text", "messages"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        RULE: Explanation(
            ("error",),
            "A text or turn of the row repeats one of the test set, in whole or in part.",
            "Both share half of the runs of eight words of the shorter one, or 25 words in a row. "
            "Runs that more than one row in 200 has (at least ten), or that many rows of the test "
            "set have, do not count.",
            f"{_ADVICE.capitalize()}.",
        )
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns, and hash the test set."""
        super().__init__(context)
        contract = context.contract
        self.texts = contract.used("text")
        self.parts = conversations(contract, contract.used("messages"))
        test = context.test if context.test is not None else context.schema.empty_table()
        self.tested = self._tested(test)
        self.is_unreadable = contract.test_set is not None and not test.num_rows

    def fit(self, shard: Shard) -> State:
        """Count the rows that have each run of the test set.

        Raises:
            AssayError: ASSAY-K003 if the test set has no readable row.
        """
        if self.is_unreadable:
            what = "no row of the test set can be read"
            fix = "give a test set that follows this contract"
            raise AssayError("K003", what, fix=fix)
        tested = self.tested
        pairs = [np.zeros((0, 2), np.int64)]
        for _, owners, hits in self._hits(shard, tested):
            pairs.append(np.column_stack([owners[hits.texts], hits.runs]))
        rows_and_runs = np.unique(np.concatenate(pairs), axis=0)
        counts = np.bincount(rows_and_runs[:, 1], minlength=len(tested.hashes))
        return State(counts.astype(np.int64), len(shard.rows))

    def merge(self, left: State, right: State) -> State:
        """Add the counts."""
        return State(left.counts + right.counts, left.rows + right.rows)

    def finish(self, state: State) -> Shared:
        """Leave out the runs that many rows have."""
        tested = self.tested
        is_phrase = state.counts > max(COMMON * state.rows, FEW)
        kept = tested.is_rare & ~is_phrase
        used = Tested(tested.hashes[kept], tested.owners[kept], tested.is_rare[kept], tested.sizes)
        texts = count(len(tested.sizes), "text")
        note = f"Compared with {texts} of the test set, of at least {GRAM} words each."
        return Shared(notes=(note,), tested=used)

    def score(self, shard: Shard, model: Shared) -> findings.Findings:
        """Report the rows with a text that shares too much with one of the test set."""
        if model.tested is None:
            return findings.empty()
        bad: dict[str, np.ndarray] = {}
        for path, owners, hits in self._hits(shard, model.tested):
            rows = bad.setdefault(path, np.zeros(len(shard.rows), bool))
            rows[owners[_shared(hits, model.tested)]] = True
        found = [findings.empty()]
        for path, rows in bad.items():
            found.append(
                findings.make(
                    shard.rows[rows],
                    check=self.name,
                    rule=RULE,
                    column=path,
                    evidence="the text shares long runs of words with a text of the test set",
                    suggestion=_ADVICE,
                )
            )
        return findings.concat(found)

    def _tested(self, test: pa.Table) -> Tested:
        """Return the runs of the test set's texts."""
        hashes, texts, rows = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], [np.zeros(0, int)]
        total = 0
        for _, said, owners in self._said(test):
            for low, high in word_grams.parts(said):
                places, found = _runs(said.slice(low, high - low))
                hashes.append(found)
                texts.append(total + low + places)
                rows.append(owners[low + places])
            total += len(said)
        runs = np.concatenate(hashes)
        text, row = np.concatenate(texts), np.concatenate(rows)
        unique, first, place = np.unique(runs, return_index=True, return_inverse=True)
        pairs = np.unique(np.column_stack([place, row]), axis=0)
        having = np.bincount(pairs[:, 0], minlength=len(unique))
        is_rare = having <= max(COMMON * test.num_rows, FEW_TESTED)
        return Tested(unique, text[first], is_rare, np.bincount(text, minlength=total))

    def _said(self, table: pa.Table) -> Iterator[tuple[str, pa.Array, np.ndarray]]:
        """Yield path, texts (large_string) and the row of each, of the columns to compare."""
        for name in self.texts:
            if name in table.column_names and is_text(table.schema.field(name).type):
                texts = whole(table[name]).cast(pa.large_string())
                yield name, texts, np.arange(len(texts))
        for name, (speaker, text) in self.parts.items():
            if name in table.column_names:
                turns = turns_of(table[name], speaker, text)
                if is_text(turns.said.type):
                    chosen = turns.kinds != SYSTEM
                    texts = turns.said.filter(pa.array(chosen)).cast(pa.large_string())
                    yield f"{name}[].{text}", texts, turns.owners[chosen]

    def _hits(self, shard: Shard, tested: Tested) -> Iterator[tuple[str, np.ndarray, Hits]]:
        """Yield path, the row of each text, and where its runs are those of the test set."""
        for table in (shard.table, shard.nested):
            for path, texts, owners in self._said(table):
                for low, high in word_grams.parts(texts):
                    yield path, owners[low:high], _found(texts.slice(low, high - low), tested)


def _runs(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the runs of words of some texts, as (place of the text, hash)."""
    return word_grams.grams(*word_grams.words(texts), GRAM)


def _found(texts: pa.Array, tested: Tested) -> Hits:
    """Return where the runs of some texts are those of the test set."""
    places, runs = _runs(texts)
    at = np.searchsorted(tested.hashes, runs)
    at[at == len(tested.hashes)] = 0
    is_hit = tested.hashes[at] == runs if len(tested.hashes) else np.zeros(len(runs), bool)
    sizes = np.bincount(places, minlength=len(texts))
    return Hits(places[is_hit], at[is_hit], np.flatnonzero(is_hit), sizes)


def _shared(hits: Hits, tested: Tested) -> np.ndarray:
    """Return the places of the texts that share too much with a text of the test set."""
    # a long run of words is so many runs of GRAM words, one behind the other
    wanted = LONG - GRAM + 1
    ends = hits.at[wanted - 1 :] - hits.at[: max(len(hits.at) - wanted + 1, 0)] == wanted - 1
    is_one = hits.texts[wanted - 1 :] == hits.texts[: len(ends)]
    long = hits.texts[: len(ends)][ends & is_one]
    met = np.unique(np.column_stack([hits.texts, tested.owners[hits.runs], hits.runs]), axis=0)
    pairs, shared = np.unique(met[:, :2], axis=0, return_counts=True)
    shorter = np.minimum(hits.sizes[pairs[:, 0]], tested.sizes[pairs[:, 1]])
    return np.union1d(long, pairs[shared >= SHARE * shorter, 0])
