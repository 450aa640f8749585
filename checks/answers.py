"""Answers that stop in the middle: of a sentence, of a word, or of a block of code.

Threat: degradation by a broken export, or by a model that ran into its limit. State: by column two
MiB of the words that occur, and up to 10,000 last words with counts. Cost: two passes, O(n).
Nulls: a missing text is left to `messages`.
Blind to: answers that were cut at the end of a sentence, in a list, or in their first words; a cut
word that is a word; scripts without blanks between words; turns that are no plain texts; what more
than one row in 20 does, which is reported for the dataset and holds no row.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.kit import conventions, endings, findings
from checks.kit.nested_roles import conversations
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.turns import ASSISTANT, Turns, turns_of
from provenance.rows.nested import is_text
from provenance.rows.shards import Shard

MOST_WORDS = 10_000
REPEATED = 3  # more rows that end with a word show that it is one
LEAST = 100  # rows whose words tell a half word from a rare one
RULE = "answers.truncated"
_SAYS = "the last answer stops in the middle"
_ADVICE = "complete the answer at its source, or reject the row"


@dataclasses.dataclass(frozen=True)
class Seen:
    """Summary of one column.

    Attributes:
        rows: with a list of messages; cut: rows whose last answer is cut for certain.
        known: uint8, bits of the words that occur, see `endings.known_words`.
        last: rows by the place of the last word of an answer that may be cut, None if too many.
    """

    rows: int
    cut: int
    known: np.ndarray
    last: dict[int, int] | None


@dataclasses.dataclass(frozen=True)
class Usual(Model):
    """Severity by column, and the last words that are no words, ascending."""

    severity: dict[str, findings.Severity] = dataclasses.field(default_factory=dict)
    halves: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)


class Answers(Check[dict[str, Seen], Usual]):
    """Find conversations whose last answer was cut."""

    name: ClassVar[str] = "answers"
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation",)
    needs: ClassVar[frozenset[str]] = frozenset({"messages"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        RULE: Explanation(
            ("error", "warning"),
            "The last answer stops in the middle of a sentence, a word or a block of code.",
            "Its last line is prose of at least six words that does not end in a punctuation mark, "
            "although two sentences before it do or its last word occurs nowhere else in the "
            "dataset; or a block of code is not closed. Error if at most one row in 100 is like "
            "that, warning if at most one in 20 is; if there are more, a single warning says so.",
            f"{_ADVICE.capitalize()}.",
        )
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        contract = context.contract
        self.parts = conversations(contract, contract.having("messages"))

    def fit(self, shard: Shard) -> dict[str, Seen]:
        """Gather the words, and count the answers that are or may be cut."""
        seen = {}
        for name, turns in self._turns(shard).items():
            known = endings.known_words(turns.said.cast(pa.large_string()))
            is_cut, words, _ = _last_answers(turns)
            found, counts = np.unique(words[words >= 0], return_counts=True)
            last = dict(zip(found.tolist(), counts.tolist(), strict=True))
            cut = int(is_cut.sum())
            seen[name] = Seen(int(turns.is_there.sum()), cut, known, _bounded(last))
        return seen

    def merge(self, left: dict[str, Seen], right: dict[str, Seen]) -> dict[str, Seen]:
        """Join the words and add the counts."""
        joined = {**left, **right}
        for name in left.keys() & right.keys():
            one, other = left[name], right[name]
            last = None
            if one.last is not None and other.last is not None:
                places = one.last.keys() | other.last.keys()
                last = {at: one.last.get(at, 0) + other.last.get(at, 0) for at in places}
            known = one.known | other.known
            joined[name] = Seen(one.rows + other.rows, one.cut + other.cut, known, _bounded(last))
        return joined

    def finish(self, state: dict[str, Seen]) -> Usual:
        """Tell half words from words, and faults from conventions."""
        overall, halves = [findings.empty()], {}
        severity: dict[str, findings.Severity] = {}
        for name, seen in sorted(state.items()):
            last = seen.last or {}
            words = np.array(sorted(at for at, n in last.items() if n <= REPEATED), np.int64)
            is_half = ~endings.are_known(seen.known, words) & (seen.rows >= LEAST)
            halves[name] = words[is_half]
            rows = seen.cut + sum(last[at] for at in halves[name].tolist())
            if conventions.is_one(rows, seen.rows):
                overall.append(
                    conventions.told(RULE, name, rows, seen.rows, _SAYS, "check that it is meant")
                )
            else:
                severity[name] = conventions.severity(rows, seen.rows)
        return Usual(findings.concat(overall), severity=severity, halves=halves)

    def score(self, shard: Shard, model: Usual) -> findings.Findings:
        """Report the rows whose last answer was cut."""
        found = [findings.empty()]
        for name, turns in self._turns(shard).items():
            if name in model.severity:
                is_cut, words, owners = _last_answers(turns)
                rows = owners[is_cut | np.isin(words, model.halves[name])]
                found.append(
                    findings.make(
                        shard.rows[rows],
                        check=self.name,
                        rule=RULE,
                        column=name,
                        severity=model.severity[name],
                        evidence=_SAYS,
                        suggestion=_ADVICE,
                    )
                )
        return findings.concat(found)

    def _turns(self, shard: Shard) -> dict[str, Turns]:
        """Return the turns of each column whose turns are texts."""
        there = {n: names for n, names in self.parts.items() if n in shard.nested.column_names}
        turns = {name: turns_of(shard.nested[name], *names) for name, names in there.items()}
        return {name: found for name, found in turns.items() if is_text(found.said.type)}


def _last_answers(turns: Turns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of each last turn that is an answer whether it is cut, its last word, and its row."""
    owners = turns.owners
    is_last = np.r_[owners[1:] != owners[:-1], True][: len(owners)]
    answers = is_last & (turns.kinds == ASSISTANT)
    is_cut, words = endings.are_cut(turns.said.filter(pa.array(answers)).cast(pa.large_string()))
    return is_cut, words, owners[answers]


def _bounded(last: dict[int, int] | None) -> dict[int, int] | None:
    return last if last is not None and len(last) <= MOST_WORDS else None
