"""Presidio's context words in time linear, not quadratic, in the length of the text.

For each hit Presidio walks the tokens from the first one, and for each token the keywords; here
both are looked up in tables built once per text, with equal results. spaCy's tokenizer strips a run
without blanks from both ends, starting over each time, so very long runs are cut first; there a
token may end at the cut.
"""

import bisect
import functools
import importlib
import itertools
import re
from typing import Any

# runs of signs, or without blanks, after which spaCy's tokenizer starts anew
_CUTS = (re.compile(r"[^\w\s]{32}"), re.compile(r"\S{1000}"))


def lifted(text: str, results: list[Any], recognizers: list[Any], context: list[str]) -> list[Any]:
    """Return results with their scores raised by the words around them.

    Args:
        text: one text.
        results: Presidio's, in `text`.
        recognizers: those that found the results.
        context: words that belong to the text, such as the column's name.
    """
    artifacts = nlp_engine().process_text(text, "en")
    raised: list[Any] = _enhancer()(artifacts).enhance_using_context(
        text, results, artifacts, recognizers, context
    )
    return raised


@functools.cache
def _enhancer() -> Any:
    base = importlib.import_module("presidio_analyzer.context_aware_enhancers")

    class Enhancer(base.LemmaContextAwareEnhancer):  # type: ignore[misc, name-defined]
        """Presidio's enhancer for one text."""

        def __init__(self, artifacts: Any) -> None:
            super().__init__()
            tokens = zip(artifacts.tokens_indices, artifacts.tokens, strict=True)
            self.ends = [start + len(token) for start, token in tokens]
            keywords = frozenset(artifacts.keywords)
            lower = [lemma.lower() for lemma in artifacts.lemmas]
            self.places = [at for at, lemma in enumerate(lower) if lemma in keywords]
            self.words = [lower[at] for at in self.places]

        def _find_index_of_match_token(self, word: str, start: int, *_: Any) -> int:
            at = bisect.bisect_right(self.ends, start)
            if at == len(self.ends):
                raise ValueError(len(word))
            return at

        def _add_n_words(self, index: int, n_words: int, *given: Any) -> list[str]:
            *_, is_backward = given
            if is_backward:
                stop = bisect.bisect_right(self.places, index)
                return self.words[max(0, stop - n_words - 1) : stop][::-1]
            first = bisect.bisect_left(self.places, index)
            return self.words[first : first + n_words + 1]

    return Enhancer


class _Cut:
    """A spaCy tokenizer that gets long runs piece by piece."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, text: str) -> Any:
        cuts = [0, *(end for end in _cuts(text) if end < len(text)), len(text)]
        if len(cuts) == 2:  # noqa: PLR2004  no cut but the ends
            return self._tokenizer(text)
        parts = [self._tokenizer(text[a:b]) for a, b in itertools.pairwise(cuts)]
        return parts[0].from_docs(parts, ensure_whitespace=False)


def _cuts(text: str) -> list[int]:
    return sorted({match.end() for cut in _CUTS for match in cut.finditer(text)})


@functools.lru_cache(maxsize=1)
def nlp_engine() -> Any:
    """Return a Presidio NLP engine on a blank tokenizer whose lemma is the lower-case word.

    A blank pipeline leaves lemmas empty, and Presidio's context words would never match.
    """
    spacy: Any = importlib.import_module("spacy")

    class Blank(importlib.import_module("presidio_analyzer.nlp_engine").SpacyNlpEngine):  # type: ignore[misc]
        """spaCy's tokenizer alone."""

        def load(self) -> None:
            """Build the blank English pipeline."""
            made = spacy.blank("en")
            made.tokenizer = _Cut(made.tokenizer)
            self.nlp = {"en": made}

        def _doc_to_nlp_artifact(self, doc: Any, language: str) -> Any:
            for token in doc:
                token.lemma_ = token.lower_
            return super()._doc_to_nlp_artifact(doc, language)

    engine = Blank(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.load()
    return engine
