"""Telephone numbers that the text announces as such, whatever their grouping.

Presidio knows numbers that are valid in eight countries; a number after `Phone:` or before `fax`
is one in any country. This is our own rule, applied in addition to Presidio's results.
RE2 and re read the pattern alike, so it is its own gate.
"""

import re

from checks.pii.hits import Hit

_BEFORE = (
    r"\b(?:(?:tele|cell)?phone|tel|mobile|cell|fax|landline|whatsapp|dial|answering|"
    r"call|(?:reach|text|ring)(?: (?:me|us|him|her|them)))"
    r"(?: (?:me|us|him|her|them))?(?: (?:number|num|no|nr))?\.?(?: (?:is|on|at))?[ :#]{1,3}"
)
_NUMBER = r"\+?\(?[0-9][0-9 ()./-]{4,18}[0-9](?: ?(?:x|ext\.?) ?[0-9]{1,6})?"
_BEHIND = r"[ -]{1,2}(?:office|fax|mobile|cell|landline)\b"
GATE = f"(?i:{_BEFORE}{_NUMBER}|{_NUMBER}{_BEHIND})"
_SEARCH = re.compile(
    f"(?i:(?:{_BEFORE}(?P<after>{_NUMBER})|(?<![0-9A-Za-z])(?P<before>{_NUMBER}){_BEHIND}))",
    re.ASCII,
)
_NOT = re.compile(
    r"(?:19|20)\d\d[-/. ]\d\d?[-/. ]\d.*|\d\d?[-/. ]\d\d?[-/. ](?:19|20)\d\d.*"
    r"|\d{1,3}(?:[ .]\d{3})+|\d+\.\d+"
)
_FEWEST, _MOST = 6, 15  # digits, without an extension
SCORE = 0.4


def hits(text: str) -> list[Hit]:
    """Return the announced numbers of a text, in order."""
    found = []
    for match in _SEARCH.finditer(text):
        name = "after" if match["after"] else "before"
        start, end = match.span(name)
        digits = sum(char.isdigit() for char in re.split("[xXeE]", match[name])[0])
        if _FEWEST <= digits <= _MOST and not _NOT.fullmatch(match[name]):
            found.append(Hit(start, end, "PHONE_NUMBER", SCORE))
    return found
