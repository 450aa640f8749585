"""Presidio's recognizers, run so that no text that they could not read counts as clean.

Only the recognizers that a text needs are built, on a blank spaCy tokenizer (no model, so no names
and no places). They have no timeouts: a text that takes too many steps raises, where Presidio would
log the timeout and continue. Email domains are checked against the public suffix list that ships
with tldextract, never over the network, and Presidio's logger, which would write matched text, is
silenced.
Cost: about 20 microseconds per text and pattern, 0.3 ms for the telephone numbers of a text;
linear in the text and its hits.
"""

import copy
import functools
import importlib
import logging
from collections.abc import Iterable
from typing import Any

from checks.pii import context as around
from checks.pii import phone
from checks.pii.hits import Hit, UnscannedError
from checks.pii.patterns import EMAIL, FLAGS, Bounded, Emails, Urls

# entity: the name of Presidio's class, which is imported only when needed
CLASSES = {
    "CREDIT_CARD": "CreditCardRecognizer",
    "CRYPTO": "CryptoRecognizer",
    "DATE_TIME": "DateRecognizer",
    "EMAIL_ADDRESS": "EmailRecognizer",
    "IBAN_CODE": "IbanRecognizer",
    "IP_ADDRESS": "IpRecognizer",
    "MAC_ADDRESS": "MacAddressRecognizer",
    "MEDICAL_LICENSE": "MedicalLicenseRecognizer",
    "PHONE_NUMBER": "PhoneRecognizer",
    "UK_NHS": "NhsRecognizer",
    "URL": "UrlRecognizer",
    "US_BANK_NUMBER": "UsBankRecognizer",
    "US_DRIVER_LICENSE": "UsLicenseRecognizer",
    "US_ITIN": "UsItinRecognizer",
    "US_PASSPORT": "UsPassportRecognizer",
    "US_SSN": "UsSsnRecognizer",
    "UUID": "UuidRecognizer",
}
_PREDEFINED = "presidio_analyzer.predefined_recognizers"
LIFT, LIFTED = 0.35, 0.4  # what a context word adds to a score, and the lowest score it leaves
TOO_MANY = "a recognizer would need more steps than the option `steps` allows"


@functools.lru_cache(maxsize=4)
def analyzer(entities: tuple[str, ...], threshold: float, steps: int) -> "Analyzer":
    """Return the analyzer of these entities; built once per process."""
    return Analyzer(entities, threshold, steps)


class Analyzer:
    """Presidio's analysis of one text by chosen recognizers, with AnalyzerEngine's results."""

    def __init__(self, entities: tuple[str, ...], threshold: float, steps: int) -> None:
        """Analyze for `entities`; `steps` limits the recognizer of each on one text."""
        logging.getLogger("presidio-analyzer").addFilter(_silent)
        self.threshold = threshold
        self._entities, self._steps = entities, steps
        self._built: dict[str, Any] = {}

    @property
    def recognizers(self) -> dict[str, Any]:
        """Return the recognizers of all entities."""
        return {entity: self._recognizer(entity) for entity in self._entities}

    def _recognizer(self, entity: str) -> Any:
        """Return an entity's recognizer, which is built for the first text that may hold it."""
        if entity not in self._built:
            self._built[entity] = _build(entity, self._steps)
        return self._built[entity]

    def hits(self, text: str, entities: Iterable[str], context: tuple[str, ...] = ()) -> list[Hit]:
        """Return the hits of some entities in one text, in order.

        Args:
            text: one text.
            entities: those whose gates the text passed.
            context: words that belong to the text, such as the column's name.

        Raises:
            UnscannedError: if a recognizer ran out of steps or failed in any other way.
        """
        try:
            return self._hits(text, entities, context)
        except UnscannedError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the text was not read; its message may quote it
            raise UnscannedError(type(error).__name__) from None

    def _hits(self, text: str, entities: Iterable[str], context: tuple[str, ...]) -> list[Hit]:
        results: list[Any] = []
        for entity in entities:
            results += self._recognizer(entity).analyze(text, [entity], None)
        if not results:
            return []
        results = self._lifted(text, results, context)
        kept = [result for result in results if result.score >= self.threshold]
        if len(kept) > 1:
            kept = _entity_recognizer().remove_duplicates(kept)
        return sorted(Hit(r.start, r.end, r.entity_type, r.score) for r in kept)

    def _lifted(self, text: str, results: list[Any], context: tuple[str, ...]) -> list[Any]:
        # context can only raise a score: texts without a context word need no tokenizer
        lower = (text + "".join(context)).lower()
        open_ = {result.entity_type for result in results if result.score < 1}
        words = (word for entity in open_ for word in self._recognizer(entity).context or ())
        if not any(word.lower() in lower for word in words):
            return results
        recognizers = list(self._built.values())
        return around.lifted(text, results, recognizers, list(context))


def _silent(_: logging.LogRecord) -> bool:
    return False


def _build(entity: str, steps: int) -> Any:
    """Return Presidio's recognizer for one entity, with patterns whose work is bounded."""
    if entity == "PHONE_NUMBER":
        return phone.recognizer(steps, UnscannedError(TOO_MANY))
    special = {"EMAIL_ADDRESS": _email, "IBAN_CODE": _iban}
    made = special.get(entity) or getattr(_module(_PREDEFINED), CLASSES[entity])
    recognizer = made()
    recognizer.patterns = [copy.copy(pattern) for pattern in recognizer.patterns]
    recognizer.global_regex_flags = FLAGS
    for pattern in recognizer.patterns:
        pattern.compiled_with_flags = FLAGS
        pattern.compiled_regex = _finder(entity, pattern.regex, steps)
    return recognizer


def _finder(entity: str, pattern: str, steps: int) -> Any:
    if pattern == EMAIL:
        return Emails()
    compiled = _module("regex").compile(pattern, FLAGS)
    return Urls(compiled, steps, UnscannedError(TOO_MANY)) if entity == "URL" else Bounded(compiled)


def _email() -> Any:
    # suffix_list_urls=() uses the list in the package: no network, equal on every machine
    extract = _module("tldextract").TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Email(_module(_PREDEFINED).EmailRecognizer):  # type: ignore[misc]
        """Presidio's email recognizer, offline."""

        def validate_result(self, pattern_text: str) -> bool:
            """Return whether the address ends in a registered domain."""
            fqdn: str = extract(pattern_text).fqdn
            return fqdn != ""

    return Email()


def _iban() -> Any:
    class Iban(_module(_PREDEFINED).IbanRecognizer):  # type: ignore[misc]
        """Presidio's IBAN recognizer without its own search, which has a timeout."""

        def analyze(self, text: str, *_: Any, **__: Any) -> Any:
            """Return the IBANs of a text: in each match, the longest part that is one."""
            matches = [m for p in self.patterns for m in p.compiled_regex.finditer(text)]
            return [result for match in matches if (result := self._longest(match)) is not None]

        def _longest(self, match: Any) -> Any:
            for group in range(len(match.groups()), 0, -1):
                end = match.end(group) if match.end(group) > 0 else match.end()
                is_valid = self.validate_result(match.string[match.start() : end])
                score = self.patterns[0].score if is_valid is None else float(is_valid)
                if score > 0:
                    return self._result(match.start(), end, score)
            return None

        def _result(self, start: int, end: int, score: float) -> Any:
            presidio = _module("presidio_analyzer")
            known = presidio.RecognizerResult
            metadata = {
                known.RECOGNIZER_NAME_KEY: self.name,
                known.RECOGNIZER_IDENTIFIER_KEY: self.id,
            }
            why = self.build_regex_explanation(self.name, "", "", score, None, 0)
            return known("IBAN_CODE", start, end, score, why, metadata)

    return Iban()


def _module(name: str) -> Any:
    # heavy: imported for the first candidate, never with this file
    return importlib.import_module(name)


def _entity_recognizer() -> Any:
    return _module("presidio_analyzer").EntityRecognizer
