"""The words of a column's name, in whatever language or style it is written."""

import re
import unicodedata

_CAMEL = re.compile(r"(?<=[a-z\d])(?=[A-Z])")
_WORD = re.compile(r"[^\W\d_]+")


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text that separates them by blanks."""
    return frozenset(text.split())


def words_of(name: str) -> frozenset[str]:
    """Return the words of a column's name: lower case, without accents."""
    plain = unicodedata.normalize("NFKD", _CAMEL.sub(" ", name.replace("ß", "ss")))
    kept = "".join(char for char in plain if not unicodedata.combining(char))
    return frozenset(_WORD.findall(kept.casefold()))
