"""Near copies of conversations: the same talk with other names, numbers, or a few other words.

Threat: poisoning by a flood that no exact comparison sees; copies help membership inference and
leak between folds. State: 144 bytes a row up to 1,000,000 rows, and beyond it those of lowest rank.
Cost: two passes, O(words) hashes and 32 sorts of the state. Nulls: a missing text has no words.
Blind to: conversations of fewer than 40 words, which are alike by chance; copies of which half was
rewritten; what the system says; turns that are no plain texts. Exact copies are for `duplicates`.
Source: min-hash, Broder 1997; b-bit min-hash, Li and Koenig 2010.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.kit import conventions, findings, hashing, sample, word_grams
from checks.kit.nested_roles import conversations
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.turns import SYSTEM, USER, turns_of
from checks.kit.wording import count, percent
from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import is_text
from provenance.rows.shards import Shard

CAP = 1_000_000  # rows
HALF = 32  # hashes of what the user says, and as many of what the others say
LEAST_WORDS = 40
ALIKE, EACH = 0.6, 0.5  # least likeness of both halves on average, and of each
RULE = "chat_copies.near"
_ADVICE = "ask the source whether the conversations are independent; if not, reject the copies"
_FACTORS = np.random.default_rng(20_261_130).integers(1, 2**63, (2, HALF), np.uint64)
_SEEDS, _ODD = _FACTORS[0], _FACTORS[1] * np.uint64(2) + np.uint64(1)


@dataclasses.dataclass(frozen=True, slots=True)
class Sketches:
    """Sketches of conversations; every array has shape (n,) or (n, ...).

    Attributes:
        rows: int64 ordinals; ranks: uint64; cells: uint64, hash of the whole conversation.
        marks: uint16, shape (n, 2 * HALF), first of what the user says, then of the rest.
    """

    rows: np.ndarray
    ranks: np.ndarray
    cells: np.ndarray
    marks: np.ndarray

    def take(self, keep: np.ndarray) -> "Sketches":
        """Return the rows that a mask or an index array selects."""
        return Sketches(*(getattr(self, f.name)[keep] for f in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True)
class State:
    """Sketches by column, and the number of rows."""

    sketches: dict[str, Sketches]
    rows: int


@dataclasses.dataclass(frozen=True)
class Copies(Model):
    """The near copies by column: their ordinals, ascending, and the row that each is like."""

    rows: dict[str, tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=dict)


class ChatCopies(Check[State, Copies]):
    """Find conversations that nearly repeat an earlier one."""

    name: ClassVar[str] = "chat_copies"
    threats: ClassVar[tuple[str, ...]] = ("data poisoning", "model inversion", "data leakage")
    needs: ClassVar[frozenset[str]] = frozenset({"messages"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        RULE: Explanation(
            ("error", "warning"),
            "The conversation nearly repeats an earlier one, with other names, numbers or a few "
            "other words.",
            "It has at least 40 words and shares most of its pairs of adjacent words with an "
            "earlier conversation, both in the user's turns and in the others. Error if at most "
            "one row in 20 is such a copy; if there are more, a single warning says so and no row "
            "is quarantined.",
            f"{_ADVICE.capitalize()}.",
        )
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        contract = context.contract
        self.parts = conversations(contract, contract.used("messages"))

    def fit(self, shard: Shard) -> State:
        """Sketch the conversations."""
        made = {}
        for name, names in self.parts.items():
            if name in shard.nested.column_names:
                marks = sketched(shard.nested[name], *names)
                cells = hashing.value_hashes(whole(shard.nested[name]))
                is_long: np.ndarray = np.asarray(marks.any(1))
                every = Sketches(shard.rows, sample.ranks(shard), cells, marks)
                made[name] = _bounded(every.take(is_long))
        return State(made, len(shard.rows))

    def merge(self, left: State, right: State) -> State:
        """Join the sketches."""
        names = left.sketches.keys() | right.sketches.keys()
        pairs = {
            name: [side.sketches[name] for side in (left, right) if name in side.sketches]
            for name in sorted(names)
        }
        return State({n: _joined(parts) for n, parts in pairs.items()}, left.rows + right.rows)

    def finish(self, state: State) -> Copies:
        """Find the pairs that are alike."""
        overall, rows = [findings.empty()], {}
        for name, sketches in state.sketches.items():
            copies, originals = alike(sketches)
            if not conventions.is_one(len(copies), state.rows):
                rows[name] = copies, originals
            else:
                overall.append(self._convention(name, len(copies), state.rows))
        return Copies(findings.concat(overall), rows=rows)

    def score(self, shard: Shard, model: Copies) -> findings.Findings:
        """Report the near copies among the shard's rows."""
        found = [findings.empty()]
        for name, (copies, originals) in model.rows.items():
            mine = np.isin(copies, shard.rows)
            says = [f"the row nearly repeats row {row}" for row in originals[mine].tolist()]
            found.append(
                findings.make(
                    copies[mine],
                    check=self.name,
                    rule=RULE,
                    column=name,
                    evidence=pa.array(says, pa.string()),
                    suggestion=_ADVICE,
                )
            )
        return findings.concat(found)

    def _convention(self, column: str, rows: int, of: int) -> findings.Findings:
        return findings.make(
            None,
            check=self.name,
            rule=RULE,
            column=column,
            severity="warning",
            score=rows / of,
            evidence=f"{count(rows, 'row')} ({percent(rows / of, 1)}) nearly repeat an earlier one",
            suggestion="keep such rows in the same fold when you evaluate a model",
        )


def sketched(column: pa.ChunkedArray, speaker: str, text: str) -> np.ndarray:
    """Return the sketch of each conversation: uint16, (n, 2 * HALF); zeros if it is too short."""
    turns = turns_of(column, speaker, text)
    marks = np.zeros((len(turns.sizes), 2 * HALF), np.uint16)
    if not is_text(turns.said.type):
        return marks
    long = np.zeros(len(marks), np.int64)
    for half, is_mine in enumerate((turns.kinds == USER, turns.kinds != USER)):
        chosen = is_mine & (turns.kinds != SYSTEM)
        texts = turns.said.filter(pa.array(chosen)).cast(pa.large_string())
        owners, pairs, words = _pairs(texts, turns.owners[chosen], len(marks))
        long += words
        marks[:, half * HALF : (half + 1) * HALF] = _lowest(owners, pairs, len(marks))
    marks[long < LEAST_WORDS] = 0
    return marks


def _pairs(
    texts: pa.Array, owners: np.ndarray, rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of neighbouring words by row, and the number of words of each row."""
    total = np.zeros(rows, np.int64)
    found = [(np.zeros(0, np.int64), np.zeros(0, np.uint64))]
    for low, high in word_grams.parts(texts):
        places, hashes = word_grams.words(texts.slice(low, high - low), is_number_one=True)
        total += np.bincount(owners[low + places], minlength=rows)
        at, both = word_grams.grams(places, hashes, 2)
        found.append((owners[low + at], both))
    places, pairs = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return places, pairs, total


def _lowest(owners: np.ndarray, hashes: np.ndarray, rows: int) -> np.ndarray:
    """Return the min-hashes of each row's hashes, of which 16 bits: uint16, shape (rows, HALF).

    Args:
        owners: int64, shape (m,), ascending.
        hashes: uint64, shape (m,).
        rows: number of rows; one without hashes gets ones.
    """
    marks = np.ones((rows, HALF), np.uint16)
    if len(owners):
        starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
        for place, (seed, odd) in enumerate(zip(_SEEDS, _ODD, strict=True)):
            lowest = np.minimum.reduceat((hashes ^ seed) * odd, starts)
            marks[owners[starts], place] = hashing.mixed(lowest).astype(np.uint16)
    return marks


def alike(sketches: Sketches) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that nearly repeat an earlier one, ascending, and the earliest of those."""
    kept = sketches.take(np.argsort(sketches.rows, kind="stable"))
    pairs = [np.zeros((0, 2), np.int64)]
    for band in range(HALF):
        keys = _keys(kept.marks, band)
        order = np.argsort(keys, kind="stable")  # so the earlier row comes first
        is_next = keys[order][1:] == keys[order][:-1]
        first = np.maximum.accumulate(np.where(np.r_[False, is_next], 0, np.arange(len(order))))
        at = np.flatnonzero(is_next) + 1
        for other in (at - 1, first[at]):
            met = np.column_stack([order[other], order[at]])
            pairs.append(met[_agree(kept, met)])
    found = np.concatenate(pairs)
    found = found[np.lexsort((found[:, 0], found[:, 1]))]
    copies, at = np.unique(found[:, 1], return_index=True)
    return kept.rows[copies], kept.rows[found[at, 0]]


def _keys(marks: np.ndarray, band: int) -> np.ndarray:
    """Return one key of each row: of one mark of the user's and two of the others'."""
    chosen = (band, HALF + band, HALF + (band * 5 + 1) % HALF)
    key = np.zeros(len(marks), np.uint64)
    for place in chosen:
        key = key << np.uint64(16) | marks[:, place].astype(np.uint64)
    return key


def _agree(kept: Sketches, pairs: np.ndarray) -> np.ndarray:
    """Return which pairs are alike but not equal: bool, shape (k,)."""
    same = kept.marks[pairs[:, 0]] == kept.marks[pairs[:, 1]]
    asked, said = same[:, :HALF].mean(1), same[:, HALF:].mean(1)
    is_alike = (np.minimum(asked, said) >= EACH) & ((asked + said) / 2 >= ALIKE)
    is_exact = kept.cells[pairs[:, 0]] == kept.cells[pairs[:, 1]]
    found: np.ndarray = is_alike & ~is_exact
    return found


def _joined(parts: list[Sketches]) -> Sketches:
    names = [f.name for f in dataclasses.fields(Sketches)]
    return _bounded(Sketches(*(np.concatenate([getattr(p, n) for p in parts]) for n in names)))


def _bounded(sketches: Sketches) -> Sketches:
    if len(sketches.rows) <= CAP:
        return sketches
    order = np.lexsort((sketches.rows, sketches.ranks))
    return sketches.take(order[:CAP])
