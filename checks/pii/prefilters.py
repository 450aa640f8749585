r"""Gates: RE2 patterns that a text must match before a recognizer is worth running on it.

A gate is derived from the recognizer's own pattern by dropping what RE2 cannot express (look-
around, word boundaries, back references) and what can only narrow it, so every text in which the
pattern matches passes its gate. Digits, word characters and letter case are widened to what the
regex module accepts. Patterns whose score needs a context word pass only with such a word.
The gates of the pinned Presidio are stored in `gates.json`, so that most scans never import it: by
entity, its patterns as (gate, sign, score, sure) and its context words as RE2, where `\d` stands
for DIGITS. `benchmarks/pii.py --table` writes that file anew, and a test compares it with the
installed recognizers.
Cost: one RE2 pass over the unique values for `stage_0`, one per pattern over those left.
"""

import dataclasses
import functools
import json
import re
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.pii import phone, regex_to_re2
from checks.pii.recognizers import LIFT, LIFTED, Analyzer, analyzer

Row: TypeAlias = tuple[str, str, float, bool]
Known: TypeAlias = tuple[tuple[Row, ...], str]

PATH = Path(__file__).with_name("gates.json")
_STORED = json.loads(PATH.read_text("utf-8"))
# every decimal digit that the regex module knows; RE2's own list is shorter
DIGITS: str = _STORED["digits"]
PATTERNS: dict[str, Known] = {
    entity: (tuple((row[0], row[1], row[2], row[3]) for row in rows), words)
    for entity, (rows, words) in _STORED["patterns"].items()
}
_IGNORE_CASE = 2  # of the regex module
_SIGNS = {"@": "@", "digit": r"[\d]"}


@dataclasses.dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern of a recognizer.

    Attributes:
        gate: RE2 that matches inside every match of the pattern; "" lets all texts pass.
        sign: "digit" or "@" if every match holds one, else "".
        score: the pattern's own, in [0, 1].
        sure: whether validation such as a checksum may raise the score to 1.
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
        first: RE2 that every text that passes must match; "" if nothing can be required.
        alone: RE2 of the patterns that reach the threshold unaided, None without any.
        lifted: RE2 of the patterns that need a context word, None without any.
        words: RE2 of the context words, None without any.
    """

    entity: str
    first: str
    alone: str | None
    lifted: str | None
    words: str | None


@functools.lru_cache(maxsize=8)
def gates(entities: tuple[str, ...], threshold: float) -> tuple[Gate, ...]:
    """Return the gates of the entities for a score threshold."""
    missing = tuple(entity for entity in entities if entity not in PATTERNS)
    derived = derive(analyzer(missing, threshold, 0)) if missing else {}
    return tuple(
        _gate(entity, derived.get(entity) or PATTERNS[entity], threshold) for entity in entities
    )


def derive(built: Analyzer) -> dict[str, Known]:
    """Return for each entity its patterns as (gate, sign, score, sure) and its context words."""
    return {
        entity: (_patterns(recognizer), regex_to_re2.words_of(recognizer.context or ()))
        for entity, recognizer in built.recognizers.items()
    }


def text_of(digits: str, patterns: dict[str, Known]) -> str:
    """Return the text of `gates.json`."""
    return json.dumps({"digits": digits, "patterns": patterns}, indent=1, sort_keys=True) + "\n"


def stage_0(chosen: tuple[Gate, ...]) -> str:
    """Return one RE2 that matches every text that passes any of the gates.

    Most gates need a digit or an at sign; for those it requires no more than that.
    """
    required = {gate.first for gate in chosen}
    return "" if "" in required else "|".join(sorted(required))


def passed(texts: pa.Array, gate: Gate, *, helped: bool, ascii_only: bool) -> np.ndarray:
    """Return which texts pass a gate: bool, shape (n,).

    Args:
        texts: strings without nulls.
        gate: of one entity.
        helped: whether the column's name holds a context word.
        ascii_only: whether all texts are ASCII, which makes the RE2 programs smaller.
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
    whole = pattern.replace(r"\d", "0-9" if ascii_only else DIGITS)
    mask: np.ndarray = pc.match_substring_regex(texts, whole).to_numpy(zero_copy_only=False)
    return mask


@functools.lru_cache(maxsize=1024)
def python(pattern: str) -> re.Pattern[str]:
    """Return a gate compiled for re."""
    wide = pattern.replace(r"\d", DIGITS)
    return re.compile(re.sub(r"\\x\{([0-9a-f]+)\}", lambda hit: f"\\U{int(hit[1], 16):08x}", wide))


def _patterns(recognizer: Any) -> tuple[Row, ...]:
    if not hasattr(recognizer, "patterns"):
        # telephone numbers, the only recognizer without patterns
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


def _gate(entity: str, known: Known, threshold: float) -> Gate:
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
