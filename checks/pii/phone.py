"""Presidio's telephone recognizer, several times faster and with the same results.

Presidio runs the phonenumbers matcher once for each of eight regions. The candidates it would try
to parse are the same for every region as long as none is a number, so they are listed once, and a
region runs only if a candidate could be a number there by the library's own metadata: an
international prefix, or the region's country code and national prefix before the digits of some
number type. Numbers after a plus sign are always left to the library, which parses them once for
all regions.
Cost: linear, limited in steps rather than time, so that the result is equal on every machine.
Fails closed: too many steps raise. Source: phonenumbers (libphonenumber) metadata.
"""

import functools
import importlib
import re
import sys
import unicodedata
from collections.abc import Callable
from typing import Any

# the marks between the digits of a number and before it, from the library's own table
_MARK = (
    r"[ ()\-./Xx\[\]~\x{a0}\x{ad}\x{200b}\x{2010}-\x{2015}\x{2053}\x{2060}\x{2212}\x{223c}"
    r"\x{3000}\x{30fc}\x{ff08}\x{ff09}\x{ff0d}-\x{ff0f}\x{ff3b}\x{ff3d}\x{ff5e}]{0,4}"
)
# except for German pagers (1640, 01691), every number of the eight regions has six digits or more
_ONE, _SIX = r"[1\x{80}-\x{10ffff}]", r"[6\x{80}-\x{10ffff}]"
GATE = rf"[\d](?:{_MARK}[\d]){{5}}|{_ONE}{_MARK}{_SIX}(?:{_MARK}[\d]){{2}}"

REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "CA", "BR")  # Presidio's, in its order
_TYPES = (
    "fixed_line",
    "mobile",
    "pager",
    "personal_number",
    "premium_rate",
    "shared_cost",
    "toll_free",
    "uan",
    "voicemail",
    "voip",
)
# marks allowed between digits; anything else in a candidate may be an extension
_MARKS = dict.fromkeys(
    map(
        ord,
        " ()[]./-\xa0\xad\u200b\u2010\u2011\u2012\u2013\u2014\u2015\u2053\u2060\u2212\u223c"
        "\u3000\u30fc\uff08\uff09\uff0d\uff0e\uff0f\uff3b\uff3d",
    )
)
_MORE = str.maketrans("", "", "xX~\uff5e")  # marks that may also introduce an extension
_LETTERS = 2  # with three, the library reads letters as the digits on their keys
# letters and digits of a candidate: fewer or more are never a number with its extension
_FEWEST, _MOST = 4, 80
_LONGEST = 250  # characters that the library reads
_DIGITS = 40  # more than the longest number with all its prefixes has
_CODE = 3  # digits of the longest country code
PARSE = 20  # steps: the cost of the library's parser, relative to the test of a candidate
_TRAILING = re.compile(r"\(\\d\{[0-9,]+\}\)")  # the number itself inside a prefix pattern


class TooManyStepsError(Exception):
    """The search would take more steps than allowed."""


def recognizer(steps: int, unscanned: Exception) -> Any:
    """Return Presidio's telephone recognizer; it raises `unscanned` beyond `steps` per text."""
    presidio = importlib.import_module("presidio_analyzer")
    predefined = importlib.import_module("presidio_analyzer.predefined_recognizers")

    class Phone(predefined.PhoneRecognizer):  # type: ignore[misc, name-defined]
        """Presidio's telephone recognizer with a step limit and without explanations."""

        def analyze(self, text: str, *_: Any, **__: Any) -> list[Any]:
            """Return the telephone numbers of a text, by every region."""
            try:
                results = self._results(text)
            except TooManyStepsError:
                raise unscanned from None
            if len(results) > 1:
                results = list(presidio.EntityRecognizer.remove_duplicates(results))
            return results

        def _results(self, text: str) -> list[Any]:
            search = Search(text, steps)
            return [
                self._get_recognizer_result(match, text, region, None)
                for region in search.regions()
                for match in search.matches(region, leniency=self.leniency)
            ]

    return Phone()


class Search:
    """The search of one text and its cost.

    Attributes:
        left: remaining steps; testing a candidate takes one, parsing it takes PARSE.
        possible: regions in which something inside a candidate could be a number, by the
            candidate's start and length.
        abroad: the library's matches for numbers after a plus sign, by their start and text.
    """

    def __init__(self, text: str, steps: int) -> None:
        """Start the search of a text that may take so many steps."""
        self.text, self.left = text, steps
        self.possible: dict[tuple[int, int], frozenset[str]] = {}
        self.abroad: dict[tuple[int, str], Any] = {}
        self._inside: set[str] = set()
        self._regions_of = functools.cache(_regions_of)

    def spend(self, steps: int) -> None:
        """Count steps; TooManyStepsError if too few are left."""
        self.left -= steps
        if self.left < 0:
            raise TooManyStepsError

    def regions(self) -> list[str]:
        """Return the regions in which the text may hold a number, without Presidio.

        Raises:
            TooManyStepsError: beyond the steps allowed.
        """
        for _ in self.matches(None):
            pass
        found = frozenset[str]().union(*self.possible.values())
        return [region for region in REGIONS if region in found]

    def matches(self, region: str | None, **given: Any) -> Any:
        """Return the library's matches for a region; for None, only list candidates."""
        return _matcher()(self, region, max_tries=sys.maxsize, **given)

    def listed(self, extract: Callable[[str, int], Any], candidate: str, offset: int) -> None:
        """Note the regions of everything that the library would try inside a candidate."""
        self._inside.clear()
        extract(candidate, offset)
        found = frozenset[str]().union(*map(self._regions_of, self._inside))
        self.possible[offset, len(candidate)] = found

    def is_possible(self, region: str, candidate: str, offset: int) -> bool:
        """Return whether anything inside a candidate could be a number of the region."""
        return region in self.possible.get((offset, len(candidate)), REGIONS)

    def tried(
        self, read: Callable[[str, int], Any], region: str | None, candidate: str, offset: int
    ) -> Any:
        """Return the library's match for a candidate if it could be a number."""
        self.spend(1)
        if region is None:
            self._inside.add(candidate)
            return None
        if region not in self._regions_of(candidate):
            return None
        place = (offset, candidate)
        if place in self.abroad:
            return self.abroad[place]
        self.spend(PARSE)
        match = read(candidate, offset)
        if _is_abroad(candidate):
            self.abroad[place] = match
        return match


def _regions_of(candidate: str) -> frozenset[str]:
    """Return the regions in which a candidate could be a number (a superset)."""
    if len(candidate) > _LONGEST:
        return frozenset()
    bare = candidate.translate(_MARKS)
    if not _FEWEST <= sum(map(str.isalnum, bare)) <= _MOST:
        return frozenset()
    if not bare.isdecimal():
        bare = _without_extension(candidate).translate(_MARKS)
        if sum(map(str.isalpha, bare)) <= _LETTERS:
            bare = bare.translate(_MORE)
    if not bare.isdecimal():
        return frozenset(REGIONS)
    digits = _ascii(bare)
    known = _tests() if len(digits) <= _DIGITS else {}
    return frozenset(region for region, test in known.items() if test(digits))


def _without_extension(candidate: str) -> str:
    library: Any = importlib.import_module("phonenumbers.phonenumberutil")
    number: str = library._maybe_strip_extension(library._extract_possible_number(candidate))[1]  # noqa: SLF001
    return number


def _ascii(digits: str) -> str:
    return digits if digits.isascii() else "".join(str(unicodedata.digit(d)) for d in digits)


@functools.cache
def _tests() -> dict[str, Callable[[str], bool]]:
    return {region: _test(region) for region in REGIONS}


def _test(region: str) -> Callable[[str], bool]:
    """Return a test of digits: whether they could be a number of the region (a superset)."""
    metadata = importlib.import_module("phonenumbers.phonemetadata").PhoneMetadata
    data = importlib.import_module("phonenumbers.data")
    own = metadata.metadata_for_region(region)
    country = own.country_code
    alike = data._COUNTRY_CODE_TO_REGION_CODE[country]  # noqa: SLF001
    every = [metadata.metadata_for_region(name) for name in alike]
    numbers = "|".join(sorted({pattern for m in every for pattern in _patterns(m)}))
    prefixes = {m.national_prefix_for_parsing for m in every} - {None}
    prefix = "|".join(sorted(_TRAILING.sub("", p) for p in prefixes)) or "(?!)"
    abroad = own.international_prefix or "(?!)"
    pattern = re.compile(
        rf"(?:{abroad})[0-9]{{5,}}|(?:{country})?(?:{prefix}){{0,2}}(?:{country})?(?:{numbers})",
        re.ASCII,
    )

    led = re.compile(rf"0|{country}|{prefix}")

    def test(digits: str) -> bool:
        if pattern.fullmatch(digits) is None:
            return False
        # in most regions a number counts only with its national prefix
        return led.match(digits) is not None or not _needs_prefix(own, digits)

    return test


def _patterns(metadata: Any) -> list[str]:
    # a number is valid only if it has a type
    types = (getattr(metadata, name) for name in _TYPES)
    return [kind.national_number_pattern for kind in types if kind and kind.national_number_pattern]


def _needs_prefix(metadata: Any, number: str) -> bool:
    library: Any = importlib.import_module("phonenumbers.phonenumberutil")
    form = library._choose_formatting_pattern_for_number(metadata.number_format, number)  # noqa: SLF001
    if form is None or form.national_prefix_optional_when_formatting:
        return False
    rule = form.national_prefix_formatting_rule
    return bool(rule) and not library._formatting_rule_has_first_group_only(rule)  # noqa: SLF001


def _is_abroad(candidate: str) -> bool:
    """Return whether a plus sign and a country code come first, so no region matters."""
    bare = candidate.translate(_MARKS)
    digits = bare.lstrip("+\uff0b")
    if digits == bare or not digits.isdecimal():
        return False
    codes = importlib.import_module("phonenumbers").COUNTRY_CODE_TO_REGION_CODE
    plain = _ascii(digits[:_CODE])
    return plain[0] != "0" and any(int(plain[:n]) in codes for n in range(1, len(plain) + 1))


@functools.cache
def _matcher() -> Callable[..., Any]:
    phonenumbers = importlib.import_module("phonenumbers")

    class Matcher(phonenumbers.PhoneNumberMatcher):  # type: ignore[misc, name-defined]
        """The library's matcher with counted steps; without a region it only lists candidates."""

        def __init__(self, search: Search, region: str | None, **given: Any) -> None:
            super().__init__(search.text, region, **given)
            self.search = search

        def _extract_match(self, candidate: str, offset: int) -> Any:
            extract = super()._extract_match
            if self.preferred_region is None:
                return self.search.listed(extract, candidate, offset)
            if self.search.is_possible(self.preferred_region, candidate, offset):
                return extract(candidate, offset)
            return None

        def _parse_and_verify(self, candidate: str, offset: int) -> Any:
            read = super()._parse_and_verify
            return self.search.tried(read, self.preferred_region, candidate, offset)

    made: Callable[..., Any] = Matcher
    return made
