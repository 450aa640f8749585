"""Presidio's own recognizers, driven so that nothing they could not read passes as clean.

Only the recognizers asked for are built, on a blank spaCy tokenizer (no model: no names, no
places). A pattern that runs out of time raises here, where Presidio logs the fact and goes on;
e-mail domains are checked against the public suffix list that ships with tldextract, never over
the network; and Presidio's logger, which would write matched text, is silenced.
Cost: about 20 microseconds a text and pattern, 0.3 ms for the telephone numbers of a text.
"""

import copy
import dataclasses
import functools
import importlib
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from checks.pii import phone

# entity: Presidio's class; the names are known without importing it
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
_FLAGS = 26  # DOTALL | MULTILINE | IGNORECASE, which the default registry gives to all
LIFT, LIFTED = 0.35, 0.4  # what a context word adds to a score, and the least it then is


TIMED_OUT = "a recognizer ran out of time"


class UnscannedError(Exception):
    """A text that a recognizer could not read to its end; says why, and carries no text."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Hit:
    """Personal data at [start, end) of a text.

    Attributes:
        start, end: characters, half open.
        entity: Presidio's entity type, or SECRET.
        score: Presidio's, in (0, 1].
    """

    start: int
    end: int
    entity: str
    score: float


@functools.lru_cache(maxsize=4)
def analyzer(entities: tuple[str, ...], threshold: float, seconds: float) -> "Analyzer":
    """Return the analyzer of these entities; built once a process."""
    return Analyzer(entities, threshold, seconds)


class Analyzer:
    """Presidio's analysis of one text by chosen recognizers; equal to its AnalyzerEngine."""

    def __init__(self, entities: tuple[str, ...], threshold: float, seconds: float) -> None:
        """Build the recognizers of `entities`; `seconds` limits one pattern on one text."""
        logging.getLogger("presidio-analyzer").addFilter(_silent)
        self.threshold = threshold
        self.recognizers = {entity: _build(entity, seconds) for entity in entities}
        self.words = {
            entity: tuple(word.lower() for word in recognizer.context or ())
            for entity, recognizer in self.recognizers.items()
        }

    def hits(self, text: str, entities: Iterable[str], context: tuple[str, ...] = ()) -> list[Hit]:
        """Return the hits of some entities in one text, in order.

        Args:
            text: one text.
            entities: those whose gates the text passed.
            context: words beside the text, as the column's name.

        Raises:
            UnscannedError: if a recognizer ran out of time or tries, or failed in any other way.
        """
        try:
            return self._hits(text, entities, context)
        except UnscannedError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the text was not read; its words stay here
            raise UnscannedError(type(error).__name__) from None

    def _hits(self, text: str, entities: Iterable[str], context: tuple[str, ...]) -> list[Hit]:
        results: list[Any] = []
        for entity in entities:
            results += self.recognizers[entity].analyze(text, [entity], None)
        if not results:
            return []
        results = self._lifted(text, results, context)
        kept = [result for result in results if result.score >= self.threshold]
        if len(kept) > 1:
            kept = _entity_recognizer().remove_duplicates(kept)
        return sorted(Hit(r.start, r.end, r.entity_type, r.score) for r in kept)

    def _lifted(self, text: str, results: list[Any], context: tuple[str, ...]) -> list[Any]:
        # context can only raise a score, so texts where it cannot are not cut into tokens
        lower = (text + "".join(context)).lower()
        open_ = {result.entity_type for result in results if result.score < 1}
        if not any(word in lower for entity in open_ for word in self.words[entity]):
            return results
        lifted: list[Any] = _enhancer().enhance_using_context(
            text, results, _artifacts(text), list(self.recognizers.values()), list(context)
        )
        return lifted


class _Timed:
    """A compiled pattern whose search raises when it runs out of time."""

    def __init__(self, pattern: Any, seconds: float) -> None:
        self._pattern, self._seconds = pattern, seconds

    def finditer(self, text: str, timeout: float | None = None) -> Iterator[Any]:  # noqa: ARG002
        try:
            yield from self._pattern.finditer(text, timeout=self._seconds)
        except TimeoutError:
            raise UnscannedError(TIMED_OUT) from None


def _silent(_: logging.LogRecord) -> bool:
    return False


def _build(entity: str, seconds: float) -> Any:
    """Return Presidio's recognizer of one entity, with patterns that raise in time."""
    regex = _module("regex")
    special = {"EMAIL_ADDRESS": _email, "IBAN_CODE": _iban, "PHONE_NUMBER": _phone}
    if entity in special:
        recognizer = special[entity](seconds)
    else:
        recognizer = getattr(_module(_PREDEFINED), CLASSES[entity])()
    if hasattr(recognizer, "patterns"):
        recognizer.global_regex_flags = _FLAGS
        recognizer.patterns = [copy.copy(pattern) for pattern in recognizer.patterns]
        for pattern in recognizer.patterns:
            pattern.compiled_with_flags = _FLAGS
            pattern.compiled_regex = _Timed(regex.compile(pattern.regex, _FLAGS), seconds)
    return recognizer


def _email(_: float) -> Any:
    # suffix_list_urls=() keeps to the list in the package: no network, the same on every machine
    extract = _module("tldextract").TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Email(_module(_PREDEFINED).EmailRecognizer):  # type: ignore[misc]
        """Presidio's e-mail recognizer, offline."""

        def validate_result(self, pattern_text: str) -> bool:
            """Return whether the address ends in a registered domain."""
            fqdn: str = extract(pattern_text).fqdn
            return fqdn != ""

    return Email()


def _iban(seconds: float) -> Any:
    regex = _module("regex")

    class Iban(_module(_PREDEFINED).IbanRecognizer):  # type: ignore[misc]
        """Presidio's IBAN recognizer, which searches by itself: the search is timed beforehand."""

        def analyze(self, text: str, *args: Any, **kwargs: Any) -> Any:
            """Return the IBANs of a text."""
            for pattern in self.patterns:
                timed = regex.compile(pattern.regex, self.global_regex_flags)
                for _ in _Timed(timed, seconds).finditer(text):
                    pass
            return super().analyze(text, *args, **kwargs)

    return Iban()


def _phone(seconds: float) -> Any:
    return phone.recognizer(seconds, UnscannedError(TIMED_OUT))


def _module(name: str) -> Any:
    # heavy: imported when the first candidate comes, never with this file
    return importlib.import_module(name)


def _entity_recognizer() -> Any:
    return _module("presidio_analyzer").EntityRecognizer


@functools.lru_cache(maxsize=1)
def _enhancer() -> Any:
    return _module("presidio_analyzer.context_aware_enhancers").LemmaContextAwareEnhancer()


@functools.lru_cache(maxsize=1)
def nlp_engine() -> Any:
    """Return a Presidio NLP engine on a blank tokenizer whose lemma is the lower-case word.

    A blank pipeline leaves lemmas empty, and with them Presidio's context words would never match.
    """

    class Blank(_module("presidio_analyzer.nlp_engine").SpacyNlpEngine):  # type: ignore[misc]
        """spaCy's tokenizer alone."""

        def load(self) -> None:
            """Build the blank English pipeline."""
            self.nlp = {"en": _module("spacy").blank("en")}

        def _doc_to_nlp_artifact(self, doc: Any, language: str) -> Any:
            for token in doc:
                token.lemma_ = token.lower_
            return super()._doc_to_nlp_artifact(doc, language)

    engine = Blank(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.load()
    return engine


def _artifacts(text: str) -> Any:
    return nlp_engine().process_text(text, "en")
