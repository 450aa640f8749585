"""Text as a reader sees it, without invisible, look-alike and escaped characters.

`Aligned` keeps the raw span of each character, so that a span in folded text can be shown, counted
or replaced in the raw text. `folded` undoes disguises that keep the order of characters; `joined`
also joins separated digits. Nothing here decides what is personal.
Cost: O(n) per text in Python: call it only for texts that need it (`NEEDS_FOLDING`, RE2).
Source: Unicode Standard Annex 15 (NFKC), Unicode Technical Standard 39 (a subset of confusables).
"""

import dataclasses
import html
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

# RE2: texts that `folded` or `joined` would change in a way that matters: invisible characters
# and look-alikes next to ASCII, other forms of letters and digits, escapes, spelt-out signs,
# separated digits
_WORD = "[0-9A-Za-z@._-]"
_INVISIBLE = (
    r"[\x{ad}\x{61c}\x{180e}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{206f}\x{feff}"
    r"\x{e0000}-\x{e007f}]"
)
_FOREIGN = r"[\x{131}\x{1d7b}\x{251}-\x{28b}\x{370}-\x{58f}\x{13a0}-\x{13f4}\x{1d0f}-\x{1d22}]"
_FORMS = (
    r"[\x{2070}-\x{209c}\x{2100}-\x{214f}\x{2460}-\x{24ff}\x{fe6b}\x{ff10}-\x{ff19}\x{ff20}-\x{ff3a}"
    r"\x{ff41}-\x{ff5a}\x{1d400}-\x{1d7ff}\x{1f100}-\x{1f189}\x{660}-\x{669}\x{6f0}-\x{6f9}\x{7c0}-\x{7c9}\x{966}-\x{96f}"
    r"\x{9e6}-\x{9ef}\x{a66}-\x{a6f}\x{ae6}-\x{aef}\x{b66}-\x{b6f}\x{be6}-\x{bef}\x{c66}-\x{c6f}"
    r"\x{ce6}-\x{cef}\x{d66}-\x{d6f}\x{e50}-\x{e59}\x{ed0}-\x{ed9}\x{f20}-\x{f29}\x{1040}-\x{1049}]"
)
_BETWEEN = (
    r"[\x{a0}\x{2000}-\x{2015}\x{202f}\x{205f}\x{2212}\x{3000}\x{3002}\x{30fc}\x{fe58}\x{fe63}"
    r"\x{ff0d}\x{ff0e}\x{ff61}]"
)
NEEDS_FOLDING = "|".join(
    (
        f"{_WORD}{_INVISIBLE}|{_INVISIBLE}{_WORD}",
        f"[0-9A-Za-z@_]{_FOREIGN}|{_FOREIGN}[0-9A-Za-z@_]",
        _FORMS,
        f"[0-9A-Za-z]{_BETWEEN}[0-9A-Za-z]",
        r"[0-9][\x{b7}\x{2022}\x{2024}\x{2027}\x{22c5}\x{30fb}][0-9]",
        r"%[0-9A-Fa-f]{2}|&[#A-Za-z][#0-9A-Za-z]*;",
        r"(?i:[\[({<]\s*(?:at|dot|punkt)\s*[\])}>])|(?i:\sdot\s)",
        r"[0-9][ ._/-][0-9][ ._/-][0-9][ ._/-][0-9]|[0-9]{4}[._/][0-9]{4}",
        r"[0-9][0-9 -]{0,7}[OoIl|][0-9OoIl| -]{5}|[OoIl|]{2}[0-9OoIl| -]{4}[0-9]",
    )
)
# look-alikes of ASCII letters in Cyrillic, Greek, Armenian, Cherokee and Latin extensions
_ALIKE = {
    "A": "\u0410\u0391\u13aa",
    "B": "\u0412\u0392\u13f4",
    "C": "\u0421\u03f9\u13df",
    "D": "\u13a0",
    "E": "\u0415\u0395\u13ac",
    "G": "\u050c\u13c0",
    "H": "\u041d\u0397\u13bb",
    "I": "\u0406\u0399\u04c0",
    "J": "\u0408\u13ab\u037f",
    "K": "\u041a\u039a\u13e6\u212a",
    "L": "\u13de",
    "M": "\u041c\u039c\u13b7",
    "N": "\u039d",
    "O": "\u041e\u039f\u0555",
    "P": "\u0420\u03a1\u13e2",
    "R": "\u13a1",
    "S": "\u0405\u054f\u13da",
    "T": "\u0422\u03a4\u13a2",
    "V": "\u0474\u13d9",
    "W": "\u051c\u13b3",
    "X": "\u0425\u03a7",
    "Y": "\u04ae\u03a5",
    "Z": "\u0396\u13c3",
    "a": "\u0430\u03b1\u0251",
    "b": "\u042c\u044c",
    "c": "\u0441\u03f2",
    "d": "\u0501",
    "e": "\u0435\u0454",
    "g": "\u0261\u0581",
    "h": "\u04bb\u0570",
    "i": "\u0456\u03b9\u0131\u1d7b",
    "j": "\u0458\u03f3",
    "k": "\u043a\u03ba",
    "l": "\u04cf",
    "m": "\u043c",
    "n": "\u0578\u057c",
    "o": "\u043e\u03bf\u0585\u1d0f",
    "p": "\u0440\u03c1",
    "q": "\u051b\u0566",
    "s": "\u0455",
    "t": "\u0442\u03c4",
    "u": "\u057d\u03c5\u028b",
    "v": "\u0475\u03bd\u1d20",
    "w": "\u051d\u0461",
    "x": "\u0445\u03c7",
    "y": "\u0443\u04af\u03b3",
    "z": "\u1d22",
}
CONFUSABLE = {other: latin for latin, others in _ALIKE.items() for other in others}
CONFUSABLE |= dict.fromkeys("\u3002\uff61\ufe52\xb7\u2022\u2027\u22c5\u30fb", ".") | dict.fromkeys(
    "\u2212\u2043\u30fc", "-"
)
CONFUSABLE |= dict.fromkeys(map(chr, range(0xFE00, 0xFE10)), "")  # variation selectors
_BY_CATEGORY = {"Cf": "", "Zs": " ", "Pd": "-"}
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_AT = re.compile(
    r"(?i)(?<=[\w+-])\s*[\[({<]\s*at\s*[\])}>]\s*(?=\w)"
    r"|(?<=\w)\s+at\s+(?=[\w-]+(?:\.|\s+dot\s|\s*[\[({<]\s*dot\s*[\])}>]))"
)
_DOT = re.compile(
    r"(?i)(?<=\w)\s*[\[({<]\s*(?:dot|punkt|\.)\s*[\])}>]\s*(?=\w)|(?<=\w)\s+dot\s+(?=\w)"
)
_SPACED = re.compile(r"(?<![0-9])[0-9](?:[ ._/-]{1,2}[0-9]){8,}(?![0-9])")
_GROUPED = re.compile(r"(?<![0-9.])[0-9]{4}(?:[._/][0-9]{4}){2,}(?:[._/][0-9]{1,3})?(?![0-9.])")
# groups separated by a blank or a dash, or one run: with an optional separator, a long run would be
# divided into groups in every possible way before the match fails
_SWAPPED = re.compile(r"(?<!\w)(?:[0-9OoIl|]{3,}(?:[ -][0-9OoIl|]{2,}){1,6}|[0-9OoIl|]{5,})(?!\w)")
_SWAP = str.maketrans("OoIl|", "00111")
_SEPARATORS = re.compile(r"[ ._/-]+")
_FEW = 3  # rounds of undoing a doubled escape
_LONG = 9  # digits of the shortest number in which letters may stand for digits


@dataclasses.dataclass(frozen=True, slots=True)
class Aligned:
    """A text and, for each character, its raw span.

    Attributes:
        text: the characters.
        starts, ends: raw span of each character, half open, same length as `text`.
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the raw span of the characters in [start, end), end > start."""
        return min(self.starts[start:end]), max(self.ends[start:end])

    def each(self, change: Callable[[str], str]) -> "Aligned":
        """Replace every character by the text that `change` returns for it."""
        parts = [change(char) for char in self.text]
        return Aligned(
            "".join(parts),
            tuple(at for at, part in zip(self.starts, parts, strict=True) for _ in part),
            tuple(at for at, part in zip(self.ends, parts, strict=True) for _ in part),
        )

    def sub(self, pattern: re.Pattern[str], change: Callable[[str], str]) -> "Aligned":
        """Replace every match; a match of equal length keeps its inner alignment."""
        out, starts, ends, last = [], list[int](), list[int](), 0
        for match in pattern.finditer(self.text):
            first, stop = match.span()
            new = change(match[0])
            out += [self.text[last:first], new]
            starts += self.starts[last:first]
            ends += self.ends[last:first]
            if len(new) == stop - first:
                starts += self.starts[first:stop]
                ends += self.ends[first:stop]
            else:
                low, high = self.span(first, stop) if stop > first else (0, 0)
                starts += [low] * len(new)
                ends += [high] * len(new)
            last = stop
        if not last:
            return self
        out.append(self.text[last:])
        return Aligned("".join(out), (*starts, *self.starts[last:]), (*ends, *self.ends[last:]))


def aligned(text: str) -> Aligned:
    """Return a raw text aligned with itself."""
    return Aligned(text, tuple(range(len(text))), tuple(range(1, len(text) + 1)))


def normalise(text: str) -> str:
    """Return the text without disguises: see `folded`."""
    return folded(text).text


def folded(text: str) -> Aligned:
    """Undo compatibility forms, invisible characters, foreign digits, look-alikes and escapes."""
    now = aligned(text)
    for _ in range(_FEW):
        before = now.text
        now = now.sub(_PERCENT, _unquoted).sub(_ENTITY, html.unescape)
        if now.text == before:
            break
    if not now.text.isascii():
        now = now.each(plain)
    return now.sub(_AT, lambda _: "@").sub(_DOT, lambda _: ".")


def joined(text: Aligned) -> Aligned:
    """Join separated digits, and read O and l inside long numbers as 0 and 1."""
    now = text.sub(_SWAPPED, _digits)
    return now.sub(_SPACED, _closed).sub(_GROUPED, _closed)


def skeleton(text: str) -> str:
    """Return a key that is equal for look-alike texts: no case, blanks, marks or scripts."""
    whole = unicodedata.normalize("NFKC", text)
    return "".join("".join(map(plain, whole)).casefold().split())


def plain(char: str) -> str:
    """Return the ASCII that a character stands for, or the character itself; '' if invisible."""
    if char.isascii():
        return char
    known = CONFUSABLE.get(char)
    if known is not None:
        return known
    kind = unicodedata.category(char)
    if kind == "Nd":
        return str(unicodedata.digit(char))
    if kind in _BY_CATEGORY:
        return _BY_CATEGORY[kind]
    compatible = unicodedata.normalize("NFKC", char)
    return CONFUSABLE.get(compatible, compatible)


def _unquoted(escaped: str) -> str:
    return unquote(escaped, errors="replace")


def _closed(found: str) -> str:
    return _SEPARATORS.sub("", found)


def _digits(found: str) -> str:
    real = sum(char.isdigit() for char in found)
    marks = sum(char in " -" for char in found)
    return found.translate(_SWAP) if real > 0 and len(found) - marks >= _LONG else found
