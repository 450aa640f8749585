"""Presidio's telephone recognizer, made several times faster without changing what it finds.

Presidio runs the phonenumbers matcher once for each of eight regions. The texts it would try to
parse are the same for every region as long as none is a number, so they are listed once, and a
region runs only if one of them could be a number there, judged by the library's own metadata:
an international prefix, or the region's country code and national prefix before digits that are
a number of some type. Extensions, plus signs and foreign digits are always left to the library.
Fail closed: out of time or tries raises. Source: phonenumbers (libphonenumber) metadata.
"""

import functools
import importlib
import re
import time
from collections.abc import Callable
from typing import Any

# what stands between the digits of a number, from the library's own table, and what leads it
_MARK = (
    r"[ ()\-./Xx\[\]~\x{a0}\x{ad}\x{200b}\x{2010}-\x{2015}\x{2053}\x{2060}\x{2212}\x{223c}"
    r"\x{3000}\x{30fc}\x{ff08}\x{ff09}\x{ff0d}-\x{ff0f}\x{ff3b}\x{ff3d}\x{ff5e}]{0,4}"
)
# no number of the eight regions has fewer than six digits, but for German pagers (1640, 01691)
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
# digits with the marks that may stand between them; anything else may be an extension
_PLAIN = re.compile(r"[0-9 ()\[\]./\-]+")
_MARKS = str.maketrans("", "", " ()[]./-")
_TRAILING = re.compile(r"\(\\d\{[0-9,]+\}\)")  # the number itself inside a prefix pattern


class OutOfTimeError(Exception):
    """The search took too long or too many tries."""


def recognizer(seconds: float, unscanned: Exception) -> Any:
    """Return Presidio's telephone recognizer; it raises `unscanned` after `seconds` a text."""
    presidio = importlib.import_module("presidio_analyzer")
    predefined = importlib.import_module("presidio_analyzer.predefined_recognizers")

    class Phone(predefined.PhoneRecognizer):  # type: ignore[misc, name-defined]
        """Presidio's telephone recognizer with a deadline; explanations are left out."""

        def analyze(self, text: str, *_: Any, **__: Any) -> list[Any]:
            """Return the telephone numbers of a text, by every region."""
            try:
                results = self._results(text, time.monotonic() + seconds)
            except OutOfTimeError:
                raise unscanned from None
            if len(results) > 1:
                results = list(presidio.EntityRecognizer.remove_duplicates(results))
            return results

        def _results(self, text: str, deadline: float) -> list[Any]:
            results = []
            for region in regions(text, deadline):
                found = _matcher()(text, region, deadline, None, leniency=self.leniency)
                results += [self._get_recognizer_result(m, text, region, None) for m in found]
            return results

    return Phone()


def regions(text: str, deadline: float = float("inf")) -> list[str]:
    """Return the regions in which the text may hold a number; Presidio is not needed for it.

    Raises:
        OutOfTimeError: past the deadline, in seconds of the monotonic clock.
    """
    tried: list[str] = []
    list(_matcher()(text, None, deadline, tried))
    return [region for region in REGIONS if any(map(could_be(region), tried))]


@functools.cache
def could_be(region: str) -> Callable[[str], bool]:
    """Return a test of a candidate: whether it could be a number of the region (a superset)."""
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

    def test(candidate: str) -> bool:
        if not _PLAIN.fullmatch(candidate):
            return True
        digits = candidate.translate(_MARKS)
        if pattern.fullmatch(digits) is None:
            return False
        # most regions want their national prefix before the number; without one it is none
        return led.match(digits) is not None or not _wants_prefix(own, digits)

    return test


def _patterns(metadata: Any) -> list[str]:
    # a number is valid only if it is of some type
    types = (getattr(metadata, name) for name in _TYPES)
    return [kind.national_number_pattern for kind in types if kind and kind.national_number_pattern]


def _wants_prefix(metadata: Any, number: str) -> bool:
    library: Any = importlib.import_module("phonenumbers.phonenumberutil")
    form = library._choose_formatting_pattern_for_number(metadata.number_format, number)  # noqa: SLF001
    if form is None or form.national_prefix_optional_when_formatting:
        return False
    rule = form.national_prefix_formatting_rule
    return bool(rule) and not library._formatting_rule_has_first_group_only(rule)  # noqa: SLF001


@functools.cache
def _matcher() -> Callable[..., Any]:
    phonenumbers = importlib.import_module("phonenumbers")

    class Matcher(phonenumbers.PhoneNumberMatcher):  # type: ignore[misc, name-defined]
        """The library's matcher with a deadline; with a list to fill, it parses nothing."""

        def __init__(
            self,
            text: str,
            region: str | None,
            deadline: float,
            tried: list[str] | None,
            **given: Any,
        ) -> None:
            super().__init__(text, region, **given)
            self.deadline, self.tried = deadline, tried

        def _parse_and_verify(self, candidate: str, offset: int) -> Any:
            if time.monotonic() > self.deadline or self._max_tries <= 1:
                raise OutOfTimeError
            if self.tried is not None:
                self.tried.append(candidate)
                return None
            if not could_be(self.preferred_region)(candidate):
                return None
            return super()._parse_and_verify(candidate, offset)

    made: Callable[..., Any] = Matcher
    return made
