"""Gates: RE2 patterns that a text must match before a recognizer is worth running on it.

A gate is derived from the recognizer's own pattern by forgetting what RE2 cannot say (look-around,
word boundaries, back references) and what can only narrow it, so every text in which the pattern
matches passes its gate. Digits, word characters and letter case are widened to what the regex
module takes them for. Patterns whose score needs a context word pass only with such a word.
Derived gates are kept in `gate_table`; a test derives them again from the installed Presidio.
Cost: one RE2 pass over the unique values for `stage_0`, one a pattern over what is left.
"""

import dataclasses
import functools
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.pii import gate_table, phone, regex_to_re2
from checks.pii.recognizers import LIFT, LIFTED, Analyzer, analyzer

_IGNORE_CASE = 2  # of the regex module
_SIGNS = {"@": "@", "digit": r"[\d]"}


@dataclasses.dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern of a recognizer.

    Attributes:
        gate: RE2 text that every match of the pattern contains a match of; "" lets all pass.
        sign: "digit" or "@" if no match is without one, else "".
        score: the pattern's own, in [0, 1].
        sure: whether a checksum or the like may raise the score to 1.
    """

    gate: str
    sign: str
    score: float
    sure: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Gate:
    """What a text must match for one entity.

    Attributes:
        entity: of the recognizer.
        first: RE2 of what a text must hold to pass at all; "" if that cannot be said.
        alone: RE2 of patterns that reach the threshold by themselves, None if there is none.
        lifted: RE2 of patterns that need a context word, None if there is none.
        words: RE2 of the context words, None if the recognizer has none.
    """

    entity: str
    first: str
    alone: str | None
    lifted: str | None
    words: str | None


@functools.lru_cache(maxsize=8)
def gates(entities: tuple[str, ...], threshold: float) -> tuple[Gate, ...]:
    """Return the gates of the entities for a score threshold."""
    missing = tuple(entity for entity in entities if entity not in gate_table.PATTERNS)
    derived = derive(analyzer(missing, threshold, 0)) if missing else {}
    return tuple(
        _gate(entity, derived.get(entity) or gate_table.PATTERNS[entity], threshold)
        for entity in entities
    )


def derive(built: Analyzer) -> dict[str, gate_table.Known]:
    """Return for each entity its patterns as (gate, sign, score, sure) and its context words."""
    return {
        entity: (_patterns(recognizer), regex_to_re2.words_of(recognizer.context or ()))
        for entity, recognizer in built.recognizers.items()
    }


def stage_0(chosen: tuple[Gate, ...]) -> str:
    """Return one RE2 that every text matches which passes any of the gates.

    Most gates need a digit or an at sign, and then that is all of it that is asked here.
    """
    asked = {gate.first for gate in chosen}
    return "" if "" in asked else "|".join(sorted(asked))


def passed(texts: pa.Array, gate: Gate, *, helped: bool, ascii_only: bool) -> np.ndarray:
    """Return which texts pass a gate: bool, shape (n,).

    Args:
        texts: strings without nulls.
        gate: of one entity.
        helped: whether context beside the texts (the column's name) holds a context word.
        ascii_only: whether all the texts are ASCII, which makes for smaller programs.
    """
    found = matches(texts, gate.alone, ascii_only=ascii_only)
    if gate.lifted is not None and (helped or gate.words is not None):
        weak = matches(texts, gate.lifted, ascii_only=ascii_only)
        if not helped and weak.any():
            weak &= matches(texts, gate.words, ascii_only=ascii_only)
        found |= weak
    return found


def matches(texts: pa.Array, pattern: str | None, *, ascii_only: bool = False) -> np.ndarray:
    """Return which texts match a gate: bool, shape (n,); None matches none and "" all."""
    if not pattern:
        return np.full(len(texts), pattern == "")
    whole = pattern.replace(r"\d", "0-9" if ascii_only else gate_table.DIGITS)
    mask: np.ndarray = pc.match_substring_regex(texts, whole).to_numpy(zero_copy_only=False)
    return mask


def python(pattern: str) -> re.Pattern[str]:
    """Return a gate compiled for re."""
    wide = pattern.replace(r"\d", gate_table.DIGITS)
    return re.compile(re.sub(r"\\x\{([0-9a-f]+)\}", lambda hit: f"\\U{int(hit[1], 16):08x}", wide))


def _patterns(recognizer: Any) -> tuple[gate_table.Row, ...]:
    if not hasattr(recognizer, "patterns"):
        # not a pattern recognizer (telephone numbers): see `PHONE`
        return ((phone.GATE, "digit", recognizer.SCORE, False),)
    validates = type(recognizer).validate_result is not _base().validate_result
    ignore_case = bool(recognizer.global_regex_flags & _IGNORE_CASE)
    return tuple(
        (
            regex_to_re2.relax(p.regex, ignore_case=ignore_case),
            regex_to_re2.sign(p.regex),
            p.score,
            validates,
        )
        for p in recognizer.patterns
    )


def _base() -> Any:
    from presidio_analyzer import PatternRecognizer

    return PatternRecognizer


def _gate(entity: str, known: gate_table.Known, threshold: float) -> Gate:
    patterns = [Pattern(*row) for row in known[0]]
    alone = [p for p in patterns if p.sure or p.score >= threshold]
    rest = [p for p in patterns if p not in alone and max(p.score + LIFT, LIFTED) >= threshold]
    first = [_SIGNS.get(p.sign, p.gate) for p in (*alone, *rest)]
    return Gate(
        entity, _either(first) or "", _either(_of(alone)), _either(_of(rest)), known[1] or None
    )


def _of(patterns: list[Pattern]) -> list[str]:
    return [pattern.gate for pattern in patterns]


def _either(gates_: list[str]) -> str | None:
    if not gates_:
        return None
    return "" if "" in gates_ else "|".join(dict.fromkeys(gates_))
