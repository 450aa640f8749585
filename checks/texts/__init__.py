"""Faults in prose: broken Unicode, mojibake, mixed alphabets, instructions to a model, languages.

Threat: degradation by a broken export; poisoning by planted instructions. Searched are columns of
the role `text` and every text of nested columns. State: counts of rows by fault and by language.
Cost: two passes, O(n): RE2 over the different texts, a count of function words; Python sees
candidates only.
Nulls: ignored.
Blind to: instructions in other words than ours, in images or in code; languages that are not in
our list; texts in another language of the same family, or of fewer than three function words;
conventions: what more than one row in 20 does is told once and holds no row, but for broken text.
Instructions and languages are only warned of, since an honest row may quote the one and use the
other.
Source: Unicode Technical Standard 39 (mixed scripts).
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from checks.kit import conventions, findings, text_leaves
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.texts import characters, instructions, languages
from provenance.rows.shards import Shard

_REPAIR = "repair the text at its source, or reject the row"
_READ = "read the text: if it was planted, reject the row; else release it"
_CONVENTION = (
    "If more than one row in 20 is like that, it is taken for a convention of the dataset, and a "
    "single warning says so."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """What is said of one kind of fault, and how severe it is.

    Attributes:
        always: whether it is an error however many rows have it.
        is_doubt: whether it is a warning however few rows have it.
    """

    says: str
    advice: str
    always: bool = False
    is_doubt: bool = False

    @property
    def severities(self) -> tuple[findings.Severity, ...]:
        """Return those that its findings may have."""
        if self.always:
            return ("error",)
        return ("warning",) if self.is_doubt else ("error", "warning")


FAULTS = {
    "texts.broken": Fault(
        "the text has a replacement character, or half of a surrogate pair", _REPAIR, always=True
    ),
    "texts.mojibake": Fault(
        "the text was decoded with the wrong encoding, such as Ã© for é", _REPAIR, always=True
    ),
    "texts.mixed": Fault("a word mixes letters of two alphabets that look alike", _READ),
    "texts.instruction": Fault("the text gives orders to a language model", _READ, is_doubt=True),
    "texts.language": Fault(
        "the text is not in the language of nearly all others", _READ, is_doubt=True
    ),
}
_FIRES = {
    "texts.broken": "It contains U+FFFD, or an escape such as \\ud83d without its other half.",
    "texts.mojibake": "A part of it, encoded as Windows-1252 or Latin-1, is UTF-8 of one letter or "
    "sign.",
    "texts.mixed": "A Cyrillic or Greek letter that looks Latin stands between Latin letters. "
    f"Error if at most one row in 100 is like that, otherwise warning. {_CONVENTION}",
    "texts.instruction": "It tells the reader to ignore earlier instructions, to reveal a prompt "
    f"or to drop all limits, or it contains control tokens of a chat format. {_CONVENTION}",
    "texts.language": "Its function words or its script belong to a different language family than "
    "those of at least 95% of the rows, and no earlier text of the row mentions a language or "
    f"translation. {_CONVENTION}",
}


@dataclasses.dataclass(frozen=True)
class State:
    """Rows by fault, and by language, of each path; rows of all."""

    rows: int = 0
    faults: dict[str, Counter[str]] = dataclasses.field(default_factory=dict)
    languages: dict[str, Counter[int]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Usual(Model):
    """By path: severity by fault, of those whose rows are findings; the languages that are rare."""

    severity: dict[str, dict[str, findings.Severity]] = dataclasses.field(default_factory=dict)
    foreign: dict[str, frozenset[int]] = dataclasses.field(default_factory=dict)


class TextFaults(Check[State, Usual]):
    """Find texts that a language model should not learn from."""

    name: ClassVar[str] = "texts"
    threats: ClassVar[tuple[str, ...]] = ("data poisoning", "drift and degradation")
    needs_one: ClassVar[frozenset[str]] = frozenset({"text", "nested"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        rule: Explanation(
            fault.severities,
            f"In this row, {fault.says}.",
            _FIRES[rule],
            f"{fault.advice.capitalize()}.",
        )
        for rule, fault in FAULTS.items()
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        self.texts = context.contract.having("text")

    def fit(self, shard: Shard) -> State:
        """Count the rows with each fault and in each language."""
        state = State(len(shard.rows))
        for path, masks, spoken in self._judged(shard):
            rows = {rule: int(mask.sum()) for rule, mask in masks.items()}
            state.faults[path] = Counter({rule: n for rule, n in rows.items() if n})
            state.languages[path] = Counter(
                {code: int(mask.sum()) for code, mask in spoken.items() if mask.any()}
            )
        return state

    def merge(self, left: State, right: State) -> State:
        """Add the counts."""
        merged = State(left.rows + right.rows)
        for path in left.faults.keys() | right.faults.keys():
            merged.faults[path] = left.faults.get(path, Counter()) + right.faults.get(
                path, Counter()
            )
            merged.languages[path] = left.languages.get(path, Counter()) + right.languages.get(
                path, Counter()
            )
        return merged

    def finish(self, state: State) -> Usual:
        """Tell faults from conventions."""
        overall, severity, foreign = [findings.empty()], {}, {}
        for path, rows in sorted(state.faults.items()):
            foreign[path], strangers = languages.foreign(state.languages[path])
            counts = rows + Counter({"texts.language": strangers})
            severity[path] = {
                rule: level
                for rule, n in counts.items()
                if (level := _severity(FAULTS[rule], n, state.rows)) is not None
            }
            overall += [
                conventions.told(
                    rule,
                    path,
                    n,
                    state.rows,
                    FAULTS[rule].says,
                    "check that it is meant",
                )
                for rule, n in sorted(counts.items())
                if rule not in severity[path]
            ]
        return Usual(findings.concat(overall), severity=severity, foreign=foreign)

    def score(self, shard: Shard, model: Usual) -> findings.Findings:
        """Report the rows with a fault that is no convention."""
        found = [findings.empty()]
        for path, masks, spoken in self._judged(shard):
            strange = [mask for code, mask in spoken.items() if code in model.foreign.get(path, ())]
            if strange:
                masks["texts.language"] = np.logical_or.reduce(strange)
            levels = model.severity.get(path, {})
            found += [
                self._rows(shard.rows[mask], path, rule, levels[rule])
                for rule, mask in masks.items()
                if rule in levels
            ]
        return findings.concat(found)

    def _judged(
        self, shard: Shard
    ) -> Iterator[tuple[str, dict[str, np.ndarray], dict[int, np.ndarray]]]:
        """Yield of each path the rows by fault, and by language, as masks of shape (n,)."""
        size = len(shard.rows)
        for texts in text_leaves.texts_of(shard, self.texts):
            marked = {
                "texts.broken": characters.are_broken(texts.unique),
                "texts.mojibake": characters.are_mojibake(texts.unique),
                "texts.mixed": characters.are_mixed(texts.unique),
                "texts.instruction": instructions.are_orders(texts.unique),
            }
            masks = {rule: texts.rows(mask, size) for rule, mask in marked.items()}
            yield texts.path, masks, _spoken(texts, size)

    def _rows(
        self, rows: np.ndarray, path: str, rule: str, severity: findings.Severity
    ) -> findings.Findings:
        return findings.make(
            rows, check=self.name, rule=rule, column=path, severity=severity,
            evidence=FAULTS[rule].says, suggestion=FAULTS[rule].advice,
        )  # fmt: skip


def _spoken(texts: text_leaves.Texts, size: int) -> dict[int, np.ndarray]:
    """Return the rows by language: of texts behind none that speaks of a language in that row."""
    places = np.arange(len(texts.codes))
    is_about = languages.are_about_languages(texts.unique)[texts.codes]
    first = np.full(size, len(places))
    np.minimum.at(first, texts.owners[is_about], places[is_about])
    counted = np.where(places < first[texts.owners], languages.of(texts.unique)[texts.codes], -1)
    found = {}
    for code in np.unique(counted[counted >= 0]).tolist():
        found[code] = np.zeros(size, bool)
        found[code][texts.owners[counted == code]] = True
    return found


def _severity(fault: Fault, rows: int, of: int) -> findings.Severity | None:
    """Return how severe a fault of so many rows is; None if it is a convention."""
    if fault.always:
        return "error"
    if conventions.is_one(rows, of):
        return None
    return "warning" if fault.is_doubt else conventions.severity(rows, of)
