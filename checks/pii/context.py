"""Presidio's context words, looked up in a time that grows with the text and not with its square.

For each hit Presidio goes through the tokens from the first, and through the keywords for each
token; here both are looked up in tables made once a text. What it finds is the same.
"""

import bisect
import functools
import importlib
from typing import Any


def lifted(
    text: str, results: list[Any], artifacts: Any, recognizers: list[Any], context: list[str]
) -> list[Any]:
    """Return results with the scores that the words around them make of theirs.

    Args:
        text: one text.
        results: Presidio's, in `text`.
        artifacts: the text's tokens, as a Presidio NLP engine gives them.
        recognizers: those that found the results.
        context: words beside the text.
    """
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
