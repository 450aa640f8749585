"""Forty ways to write personal data that a plain pattern does not read: for test and benchmark.

Written from a list of kinds alone, before its writer had read the normaliser. Each kind
comes with several values; a kind counts as found when every one of them is.
"""

import base64
from collections.abc import Callable
from typing import NamedTuple

CARDS = ("4012888888881881", "5555555555554444", "378282246310005")
MAILS = ("anna.keller@posteo.de", "r.okafor77@example.com", "mei_lin@mail.example.org")
SSNS = ("536-22-1847", "401-55-2093", "219-09-3476")
ADDRESSES = ("203.0.113.77", "198.51.100.23", "172.217.16.142")
IBANS = ("DE89370400440532013000", "GB82WEST12345698765432", "FR1420041010050500013M02606")
PHONES = ("+44 20 7946 0958", "+49 30 901820", "+1 212-664-7665")
VALUES = {
    "CREDIT_CARD": CARDS,
    "EMAIL_ADDRESS": MAILS,
    "US_SSN": SSNS,
    "IP_ADDRESS": ADDRESSES,
    "IBAN_CODE": IBANS,
    "PHONE_NUMBER": PHONES,
}
SENTENCES = ("please use {} from now on", "{}", "Kundin schrieb: {} (bitte notieren)")


class Disguised(NamedTuple):
    """One text that hides one value."""

    kind: str
    entity: str
    text: str


def _digits(zero: int) -> Callable[[str], str]:
    """Write ASCII digits in the script whose zero is at code point `zero`."""
    return lambda text: "".join(chr(zero + int(c)) if c.isdecimal() else c for c in text)


def _fullwidth(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _between(mark: str, every: int = 1) -> Callable[[str], str]:
    """Put `mark` after every `every` characters."""
    return lambda text: mark.join(text[at : at + every] for at in range(0, len(text), every))


def _swap(**pairs: str) -> Callable[[str], str]:
    return lambda text: text.translate(str.maketrans(pairs))


def _say(old: str, new: str, *more: str) -> Callable[[str], str]:
    """Replace pairs of strings, one after the other."""
    pairs = [(old, new), *zip(more[::2], more[1::2], strict=True)]

    def change(text: str) -> str:
        for one, other in pairs:
            text = text.replace(one, other)
        return text

    return change


def _tagged(text: str) -> str:
    """Follow each character by a tag character."""
    return "".join(c + chr(0xE0061) for c in text)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _base64_url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _entities(text: str) -> str:
    return "".join(f"&#{ord(c)};" for c in text)


def _percent(text: str) -> str:
    return "".join(f"%{ord(c):02X}" for c in text)


def _hyphened(text: str) -> str:
    return _between("\N{SOFT HYPHEN}", 4)(text)


def _bidi(text: str) -> str:
    """Wrap in right-to-left embedding and put a left-to-right mark in the middle."""
    half = len(text) // 2
    return f"\u202b{text[:half]}\u200e{text[half:]}\u202c"


CYRILLIC = _swap(a="а", e="е", o="о", p="р", c="с", x="х")  # noqa: RUF001 (homoglyphs)
GREEK = _swap(a="α", o="ο", v="ν", i="ι")  # noqa: RUF001 (homoglyphs)
_C, _E, _S, _I, _B, _P = VALUES

KINDS: dict[str, tuple[str, Callable[[str], str]]] = {
    "full-width card": (_C, _fullwidth),
    "full-width e-mail": (_E, _fullwidth),
    "Arabic-Indic SSN": (_S, _digits(0x660)),
    "bold IP": (_I, _digits(0x1D7CE)),
    "zero-width space in e-mail": (_E, _between("\u200b", 3)),
    "zero-width joiner in card": (_C, _between("\u200d")),
    "soft hyphens in IBAN": (_B, _hyphened),
    "bidi marks in phone": (_P, _bidi),
    "spaced card": (_C, _between(" ")),
    "dotted card": (_C, _between(".", 4)),
    "non-breaking hyphen SSN": (_S, _say("-", "\u2011")),
    "en-dash phone": (_P, _say(" ", "\u2013", "-", "\u2013")),
    "at and dot as words": (_E, _say("@", " at ", ".", " dot ")),
    "at and dot in brackets": (_E, _say("@", "[at]", ".", "(dot)")),
    "Cyrillic e-mail": (_E, CYRILLIC),
    "l for 1 in card": (_C, lambda text: _between(" ", 4)(text.replace("1", "l"))),
    "percent at": (_E, _say("@", "%40")),
    "percent at, twice": (_E, _say("@", "%2540")),
    "base64 e-mail": (_E, _base64),
    "entities in e-mail": (_E, _say("@", "&#64;", ".", "&period;")),
    # The second twenty: the same families on other types and with other means.
    "Devanagari card": (_C, _digits(0x966)),
    "Persian phone": (_P, _digits(0x6F0)),
    "double-struck SSN": (_S, _digits(0x1D7D8)),
    "full-width IBAN": (_B, _fullwidth),
    "byte order mark in IP": (_I, _between("\ufeff", 2)),
    "word joiner in SSN": (_S, _between("\u2060", 2)),
    "tag characters in e-mail": (_E, _tagged),
    "invisible plus in card": (_C, _between("\u2064", 4)),
    "thin spaces in card": (_C, _between("\u2009", 4)),
    "narrow spaces in phone": (_P, _say(" ", "\u202f", "-", "\u202f")),
    "figure dash SSN": (_S, _say("-", "\u2012")),
    "slashed card": (_C, _between("/", 4)),
    "dotted phone": (_P, _say(" ", "\u00b7", "-", "\u00b7")),
    "AT and DOT in braces": (_E, lambda text: _say("@", " {AT} ", ".", " {DOT} ")(text.upper())),
    "at and dot in angles": (_E, _say("@", "<at>", ".", "<Dot>")),
    "Greek e-mail": (_E, GREEK),
    "base64 SSN, URL-safe, no padding": (_S, _base64_url),
    "hex card": (_C, lambda text: text.encode().hex()),
    "decimal entities in IP": (_I, _entities),
    "percent phone": (_P, _percent),
}


def cases() -> list[Disguised]:
    """Return every kind, value and sentence."""
    return [
        Disguised(kind, entity, sentence.format(change(value)))
        for kind, (entity, change) in KINDS.items()
        for value in VALUES[entity]
        for sentence in SENTENCES
    ]
