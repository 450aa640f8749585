"""From a hit to a decision: personal data (error), possibly (warning), or a plain number?

Presidio's scores stay unchanged; the decision is stricter, because training tables are full of
order numbers, amounts, dates and ids. Checksums that one number in ten passes by chance do not
suffice: a card needs an issuer's prefix and length, an NHS or licence number a word next to it, a
telephone number an international prefix, a word next to it or the usual grouping. Words are whole
words within 40 characters before the hit, 15 after it, or in the column's name.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.column_words import word_set
from checks.pii.hits import Hit, SpanSet

Verdict = Literal["error", "warning"] | None


_BEFORE, _BEHIND = 40, 15
_WORDS = re.compile(r"[a-z]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PHONE = word_set(
    "phone phones telephone tel mobile cell cellphone call calls called fax sms whatsapp dial "
    "ph landline telefon handy mobil text texted"
)
_NUMBERED = word_set(
    "order invoice ref reference ticket tracking case sku isbn item part serial batch version "
    "transaction id claim policy loan contract customer product parcel ean upc gtin barcode imei"
)
_CARD = word_set("card cards credit debit visa mastercard amex discover diners jcb cc")
_NEAR = {
    "US_SSN": word_set("ssn ssns social ssid"),
    "US_ITIN": word_set("itin tax taxpayer tin"),
    "US_PASSPORT": word_set("passport passports"),
    "US_DRIVER_LICENSE": word_set("driver drivers driving license licence permit dl"),
    "US_BANK_NUMBER": word_set("account acct bank routing checking savings"),
    "UK_NHS": word_set("nhs health patient"),
    "MEDICAL_LICENSE": word_set("dea medical prescriber physician license licence"),
    "MAC_ADDRESS": word_set("mac ethernet hardware bluetooth wifi"),
}
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}|(?:2131|1800)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12}"
    r"|(?:50|5[6-9]|6\d)\d{10,17}"
)
_CARD_GROUPS = re.compile(r"(?:\d{4}([ -]))(?:\d{4}\1\d{4}\1\d{1,7}|\d{6}\1\d{4,5})")
_DATE = re.compile(
    r"(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ]\d|\d\d?[-/. ]\d\d?[-/. ](?:19|20)\d\d"
)
_THOUSANDS = re.compile(r"\d{1,3}(?:[ .]\d{3})+")
_GROUPED = re.compile(
    r"\(\d{2,5}\)[ .-]?\d{2,4}[ .-]?\d{2,4}.*|1?[-. ]?\d{3}([-. ])\d{3}\1\d{4}"
    r"|0\d{1,4}(?:[ ./-]\d{2,4}){2,5}|0\d{2,4}[/ -]\d{5,8}"
)
# RE2: ASCII without a plus sign and with one run of digits, so that no grouping above fits; and
# the words that would turn the digits into a telephone number
_OTHERS = r"[\x00-\x2a\x2c-\x2f\x3a-\x7f]*"
_ONE_RUN = rf"\A{_OTHERS}[0-9]+{_OTHERS}\z"
_CALLED = f"(?i:{'|'.join(sorted(_PHONE | {'number'}))})"
_FEW, _SOME = 7, 8  # digits of the shortest number, and of one written with a plus sign


def strength(hit: Hit, text: str, words: frozenset[str]) -> Verdict:
    """Return the verdict on a hit; None if it does not count.

    Args:
        hit: found in `text`.
        text: the text, raw or folded.
        words: lower-case words of the column's name.
    """
    judge = _JUDGES.get(hit.entity)
    near = words | _near(hit, text)
    if judge is not None:
        return judge(hit, text, near)
    needed = _NEAR.get(hit.entity)
    if needed is not None:
        return "warning" if near & needed else None
    return "error"


def has_no_phone(texts: pa.Array, words: frozenset[str]) -> np.ndarray:
    """Return in which texts no telephone number could count: bool, shape (n,).

    These are the ids that fill key columns; the recognizer would take 0.2 ms for each.

    Args:
        texts: strings without nulls, shape (n,).
        words: lower-case words of the column's name.
    """
    if words & (_PHONE | {"number"}):
        return np.zeros(len(texts), bool)
    is_id = pc.match_substring_regex(texts, _ONE_RUN).to_numpy(zero_copy_only=False)
    is_called = pc.match_substring_regex(texts, _CALLED).to_numpy(zero_copy_only=False)
    none: np.ndarray = is_id & ~is_called
    return none


def words_of(name: str) -> frozenset[str]:
    """Return the lower-case words of a column's name."""
    return frozenset(_WORDS.findall(_CAMEL.sub(" ", name).lower()))


def is_issued(digits: str) -> bool:
    """Return whether digits have an issuer's prefix and length, as a card's number does."""
    return _ISSUERS.fullmatch(digits) is not None


def without_contained(hits: list[Hit]) -> list[Hit]:
    """Drop telephone numbers inside hits of other, more certain types."""
    sure = SpanSet((hit.start, hit.end) for hit in hits if hit.entity != "PHONE_NUMBER")
    return [
        hit for hit in hits if hit.entity != "PHONE_NUMBER" or not sure.overlaps(hit.start, hit.end)
    ]


def _near(hit: Hit, text: str) -> frozenset[str]:
    around = text[max(0, hit.start - _BEFORE) : hit.start] + " " + text[hit.end : hit.end + _BEHIND]
    return frozenset(_WORDS.findall(around.lower()))


def _is_inside(hit: Hit, text: str) -> bool:
    """Return whether the hit is part of a longer id, like 2024-000123 in L-2024-000123."""
    before, behind = text[max(0, hit.start - 2) : hit.start], text[hit.end : hit.end + 2]
    return bool(re.fullmatch(r"\w[-_/#.:]|.?[-_#]", before) or re.match(r"[-_/#:]\w|[_#]", behind))


def _card(hit: Hit, text: str, near: frozenset[str]) -> Verdict:
    found = text[hit.start : hit.end]
    issued = is_issued(re.sub(r"[ -]", "", found))
    if near & _CARD or (issued and _CARD_GROUPS.fullmatch(found)):
        return "error"
    if _is_inside(hit, text):
        return None
    if near & _NUMBERED:
        return "warning" if issued else None
    if not issued:
        return None
    return "error" if found.isdigit() else "warning"


def _ip(hit: Hit, text: str, near: frozenset[str]) -> Verdict:
    found = text[hit.start : hit.end].partition("%")[0]
    if near & {"version", "v", "ver", "release", "build"} and "." in found:
        return None
    if ":" in found and (found.count(":") < 3 or not any(char.isdigit() for char in found)):  # noqa: PLR2004
        return None
    try:
        is_public = ipaddress.ip_interface(found).ip.is_global
    except ValueError:
        return "warning"
    return "error" if is_public else "warning"


def _mac(hit: Hit, text: str, near: frozenset[str]) -> Verdict:
    found = text[hit.start : hit.end]
    if near & _NEAR["MAC_ADDRESS"] or ":" in found:
        return "error"
    return "warning" if any(char.isalpha() for char in found) else None


def _ssn(hit: Hit, text: str, near: frozenset[str]) -> Verdict:
    found = text[hit.start : hit.end]
    if near & _NEAR["US_SSN"]:
        return "error"
    if not re.fullmatch(r"\d{3}([- .])\d\d\1\d{4}", found) or _is_inside(hit, text):
        return None
    return "error" if "-" in found else "warning"


def _itin(hit: Hit, text: str, near: frozenset[str]) -> Verdict:
    found = text[hit.start : hit.end]
    if near & _NEAR["US_ITIN"]:
        return "error"
    return "error" if found.count("-") == 2 and not _is_inside(hit, text) else None  # noqa: PLR2004


def _with_word(hit: Hit, text: str, near: frozenset[str]) -> Verdict:
    return "error" if near & _NEAR[hit.entity] and not _is_inside(hit, text) else None


def _nhs(hit: Hit, text: str, near: frozenset[str]) -> Verdict:
    if near & _NEAR["UK_NHS"]:
        return "error"
    spaced = re.fullmatch(r"\d{3} \d{3} \d{4}", text[hit.start : hit.end])
    return "warning" if spaced and not near & _PHONE and not _is_inside(hit, text) else None


def _phone(hit: Hit, text: str, near: frozenset[str]) -> Verdict:
    found = text[hit.start : hit.end]
    digits = sum(char.isdigit() for char in found)
    if found[0] in "+\uff0b" or text[max(0, hit.start - 1) : hit.start] == "+":
        return "error" if digits >= _SOME else None
    if digits < _FEW or _DATE.match(found):
        return None
    if near & _PHONE:
        return "error"
    if _is_inside(hit, text) or _THOUSANDS.fullmatch(found):
        return None
    if not _GROUPED.fullmatch(found):
        return "warning" if "number" in near and not near & _NUMBERED else None
    return "warning" if near & _NUMBERED else "error"


def _secret(hit: Hit, text: str, near: frozenset[str]) -> Verdict:  # noqa: ARG001
    return "error" if hit.score == 1 else "warning"


_JUDGES: dict[str, Callable[[Hit, str, frozenset[str]], Verdict]] = {
    "CREDIT_CARD": _card,
    "IP_ADDRESS": _ip,
    "MAC_ADDRESS": _mac,
    "US_SSN": _ssn,
    "US_ITIN": _itin,
    "US_PASSPORT": _with_word,
    "MEDICAL_LICENSE": _with_word,
    "UK_NHS": _nhs,
    "PHONE_NUMBER": _phone,
    "SECRET": _secret,
}
