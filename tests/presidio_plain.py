"""Plain Presidio to compare with, and texts to compare on: for tests and benchmarks.

Plain is Presidio's own engine, row by row, with no gate, on the same blank tokenizer.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from unittest.mock import patch

from checks.pii import recognizers
from checks.pii.context import nlp_engine
from checks.pii.hits import Hit
from checks.pii.recognizers import CLASSES
from checks.pii.settings import ENTITIES

DENIED = "CODENAME"
# names that a deny list may hold: no digit in them, and not all of them ASCII
NAMES = ("Bluebird", "Kestrel Ridge", "O'Keefe & Sons", "Žižkov", "Straße", "Ilıca", "北京项目")  # noqa: RUF001 (as meant)
SEEDS = (
    "4111 1111 1111 1111",
    "378282246310005",
    "joe.bloggs+x@mail.example.co.uk",
    "GB82 WEST 1234 5698 7654 32",
    "gb82west12345698765432",
    "DE89370400440532013000",
    "10.20.30.40/24",
    "2001:db8::8a2e:370:7334",
    "::ffff:1.2.3.4",
    "00:1A:2B:3C:4D:5E",
    "aabb.ccdd.eeff",
    "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "219-09-9999",
    "ssn 219099999",
    "itin 912-70-1234",
    "passport 123456789",
    "A12345678 travel document",
    "AB1234563",
    "943 476 5919",
    "+44 20 7946 0958",
    "(212) 555-0187",
    "phone 1640",
    "030 123456",
    "+91 98765 43210 ext 12",
    "call 0171/2345678",
)
ODD = "\u0661\uff11\u0966\u212a\u0130\u0131\u017f\u00e9\u00a0\u2011\u200b\u3000"
Analyze = Callable[..., list[Hit]]


def mutated(rng: Random, text: str) -> str:
    """Change a text of personal data a little, sometimes with characters of other scripts."""
    chars = list(text)
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(chars) + 1)
        kind = rng.randrange(5)
        if kind == 0 and chars:
            chars[at - 1] = rng.choice("0123456789abcXYZ -./:@+()" + ODD)
        elif kind == 1:
            chars.insert(at, rng.choice("0123456789 -.:@+x" + ODD))
        elif kind == 2 and chars:
            del chars[at - 1]
        elif kind == 3:
            chars = list("".join(chars).swapcase())
        else:
            chars = list(rng.choice(["a", "x-", "\u00e9", " ", "id=", "bank "])) + chars
    return "".join(chars) + rng.choice(["", ".", " now", " 2024", "\n7"])


@contextmanager
def plain() -> Iterator[Analyze]:
    """Give Presidio's own analysis of one text, offline, with a deny list added to both sides.

    The deny list is the entity `DENIED`; for the scan it is a recognizer that it has no stored
    gates for, as any that is added later.
    """
    import presidio_analyzer
    import tldextract
    from presidio_analyzer import predefined_recognizers

    # where Assay's commands ran, a recognizer is imported when it is used; Presidio looks for all
    for name in predefined_recognizers.__all__:
        getattr(getattr(predefined_recognizers, name), "analyze", None)

    def denied():
        return presidio_analyzer.PatternRecognizer(DENIED, deny_list=list(NAMES))

    offline = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    with (
        # plain Presidio would fetch the suffix list over the network; give it the packaged one
        patch.object(tldextract, "extract", offline),
        patch.dict(CLASSES, {DENIED: "Denied"}),
        patch.object(predefined_recognizers, "Denied", denied, create=True),
    ):
        engine = presidio_analyzer.AnalyzerEngine(nlp_engine=nlp_engine())
        engine.registry.add_recognizer(denied())

        def analyze(text, entities=ENTITIES, context=None):
            found = engine.analyze(
                text, "en", entities=list(entities), score_threshold=0.4, context=context
            )
            return sorted(Hit(r.start, r.end, r.entity_type, r.score) for r in found)

        yield analyze
    recognizers.analyzer.cache_clear()
