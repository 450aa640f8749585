r"""From a pattern of the regex module to RE2 that matches wherever the pattern does.

What RE2 cannot express is dropped (look-around, word boundaries; a back reference becomes a copy of
its group), what could narrow is widened (negated classes, long repeats), and both ends keep only
what must occur. `\d` in the result stands for every decimal digit that the regex module knows.
"""

import importlib
import re
from collections.abc import Iterable
from typing import Any

# Python's own pattern parser, which has no stubs
sre: Any = importlib.import_module("re._constants")
parser: Any = importlib.import_module("re._parser")
ANY = r"[\x00-\x{10ffff}]"
OTHER = r"\x{80}-\x{10ffff}"  # everything beyond ASCII
WORD = rf"[0-9A-Za-z_{OTHER}]"
SPACE = rf"[\x09-\x0d\x1c-\x20{OTHER}]"
# letters that match an ASCII one when case is ignored: dotted I, dotless i, long s, Kelvin sign
_FOLDED = (0x130, 0x131, 0x17F, 0x212A)
_FOLDS = "".join(f"\\x{{{code:x}}}" for code in _FOLDED)
_REPEATS = {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}
_ASCII = 128
_MANY = 40  # repeats beyond which RE2 programs grow too large


def words_of(words: Iterable[str]) -> str:
    """Return RE2 that matches wherever one of the words occurs, ignoring case."""
    return "|".join(sorted(_literals(word.strip()) for word in words if word.strip()))


def sign(pattern: str) -> str:
    """Return "@" or "digit" if every match of the pattern holds one, else ""."""
    try:
        return max(_required(list(parser.parse(pattern))), default="")
    except re.error:
        return ""


def relax(pattern: str, *, ignore_case: bool = True) -> str:
    """Return RE2 that matches in every text in which `pattern` (regex module) matches.

    "" if the pattern has an unsupported part: then every text is a candidate.
    """
    try:
        tree = parser.parse(pattern)
        return _Relaxer(ignore_case=ignore_case).whole(list(tree))
    except (re.error, _NotUnderstoodError):
        return ""


class _NotUnderstoodError(Exception):
    pass


class _Relaxer:
    """Walk the tree of a parsed pattern and write RE2."""

    def __init__(self, *, ignore_case: bool) -> None:
        self.ignore_case = ignore_case
        self.groups: dict[int, Any] = {}

    def whole(self, items: list[Any]) -> str:
        """Write a whole pattern; both ends keep only what must occur."""
        items = [item for item in items if self.node(*item)]
        while items and self._least(items[0]) == 0:
            items.pop(0)
        while items and self._least(items[-1]) == 0:
            items.pop()
        last = len(items) - 1
        return "".join(self.node(*item, end=at in {0, last}) for at, item in enumerate(items))

    def sequence(self, items: list[Any]) -> str:
        """Write items one after the other."""
        return "".join(self.node(op, value) for op, value in items)

    def node(self, op: Any, value: Any, *, end: bool = False) -> str:  # noqa: C901, PLR0911
        """Write one node; at an `end` only the fewest repeats are kept."""
        if op in {sre.AT, sre.ASSERT, sre.ASSERT_NOT}:
            return ""
        if op is sre.LITERAL:
            return self._class([(op, value)])
        if op in {sre.NOT_LITERAL, sre.ANY}:
            return ANY
        if op is sre.IN:
            return self._class(value)
        if op in _REPEATS:
            return self._repeat(*value, end=end)
        if op is sre.BRANCH:
            return "(?:" + "|".join(self.sequence(list(b)) for b in value[1]) + ")"
        if op is sre.SUBPATTERN:
            self.groups[value[0]] = value[-1]
            return self._grouped(value[-1])
        if op is sre.GROUPREF:
            return self._grouped(self.groups[value])
        raise _NotUnderstoodError

    def _repeat(self, low: int, high: Any, item: Any, *, end: bool) -> str:
        inner = self.sequence(list(item))
        if not inner:
            return ""
        if inner.count("[") > 1 or "(" in inner:
            inner = f"(?:{inner})"
        least = min(low, _MANY)
        most = "" if high == sre.MAXREPEAT or high > _MANY else high
        if end or least == most:
            return inner if least == 1 else f"{inner}{{{least}}}"
        return f"{inner}{{{least},{most}}}"

    def _grouped(self, items: Any) -> str:
        inner = self.sequence(list(items))
        return f"(?:{inner})" if "|" in inner else inner

    def _least(self, item: Any) -> int:
        op, value = item
        if op in _REPEATS:
            return int(value[0])
        return 1

    def _class(self, items: list[Any]) -> str:
        if any(op is sre.NEGATE for op, _ in items):
            return ANY
        parts = []
        for op, value in items:
            if op is sre.CATEGORY:
                parts.append(_category(value))
            else:
                low, high = value if op is sre.RANGE else (value, value)
                parts.append(_range(low, high, ignore_case=self.ignore_case))
        return "[" + "".join(dict.fromkeys(parts)) + "]"


def _category(value: Any) -> str:
    known = {
        sre.CATEGORY_DIGIT: r"\d",
        sre.CATEGORY_WORD: WORD[1:-1],
        sre.CATEGORY_SPACE: SPACE[1:-1],
    }
    return known.get(value, ANY[1:-1])


def _range(low: int, high: int, *, ignore_case: bool) -> str:
    out = _span(low, high)
    if not ignore_case:
        return out
    first, last = ord("A"), ord("Z")
    ways = [(max(first, low), min(last, high)), (max(first, low - 32), min(last, high - 32))]
    cased = [way for way in ways if way[0] <= way[1]]
    out += "".join(_span(a, z) + _span(a + 32, z + 32) for a, z in cased)
    folds = any(a <= ord(letter) <= z for a, z in cased for letter in "ISK")
    out += _FOLDS if folds else ""
    if high >= _ASCII:  # its letters may have other cases
        out += OTHER + ("ISKisk" if any(low <= code <= high for code in _FOLDED) else "")
    return out


def _span(low: int, high: int) -> str:
    ends = [chr(c) if c < _ASCII and chr(c).isalnum() else f"\\x{{{c:x}}}" for c in (low, high)]
    return ends[0] if low == high else "-".join(ends)


def _literals(word: str) -> str:
    return "".join(f"[{_range(ord(char), ord(char), ignore_case=True)}]" for char in word)


def _required(items: list[Any]) -> frozenset[str]:
    """Return the signs that every match of a sequence holds: "digit", "@"."""
    return frozenset[str]().union(*(_required_by(op, value) for op, value in items))


def _required_by(op: Any, value: Any) -> frozenset[str]:
    if op is sre.LITERAL:
        return _sign([(op, value)])
    if op is sre.IN:
        return _sign(value)
    if op in _REPEATS:
        return _required(list(value[2])) if value[0] else frozenset()
    if op is sre.BRANCH:
        return frozenset.intersection(*(_required(list(branch)) for branch in value[1]))
    if op is sre.SUBPATTERN:
        return _required(list(value[-1]))
    return frozenset()


def _sign(items: list[Any]) -> frozenset[str]:
    zero, nine = ord("0"), ord("9")
    if items == [(sre.LITERAL, ord("@"))]:
        return frozenset({"@"})
    digits = all(
        (op is sre.LITERAL and zero <= value <= nine)
        or (op is sre.RANGE and zero <= value[0] and value[1] <= nine)
        or (op is sre.CATEGORY and value is sre.CATEGORY_DIGIT)
        for op, value in items
    )
    return frozenset({"digit"}) if digits else frozenset()
