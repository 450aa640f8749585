"""The deny list: the user's own names, found as whole words whatever their case or disguise.

Arrow splits the texts into words; only texts that hold the first word of a name are searched one
by one, in folded form, with spans mapped back. A name of several words matches across blanks and
punctuation. No result says which name was found.
Cost: one pass over the words of the unique texts, whatever the length of the list.
Blind to: names inside longer words; scripts without blanks between words.
"""

import dataclasses
import functools
import hashlib
import io
import itertools
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.text_folding import NEEDS_FOLDING, Aligned, folded, normalise
from checks.pii.hits import Hit
from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.files.safe_open import Opened

ENTITY = "DENIED"
MOST_BYTES = 64 << 20
_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")
_GAPS = r"[^\p{L}\p{N}\p{M}]+"
_ODD = re.compile(r"[%&\[({<]| (?:at|dot) ")
_FEW = 3  # characters between two words of one name


@dataclasses.dataclass(frozen=True, slots=True)
class Names:
    """Names, indexed for the search.

    Attributes:
        by_first: names as tuples of folded words, by their first word.
        lengths: the numbers of words of those names, by their first word.
        firsts: the first words, as Arrow's lower case of a text may spell them.
    """

    by_first: dict[str, frozenset[tuple[str, ...]]]
    lengths: dict[str, tuple[int, ...]]
    firsts: frozenset[str]

    def __len__(self) -> int:
        """Return the number of names."""
        return sum(len(names) for names in self.by_first.values())


def names_of(listed: Iterable[str], file: str, sha256: str = "") -> Names:
    """Return the names of a list and a file.

    Args:
        listed: the names in the contract.
        file: path of a text with one name per line (UTF-8; blank lines and lines that begin with
            `#` are skipped), or "".
        sha256: that the file's bytes must have; "" for any.

    Raises:
        AssayError: ASSAY-K003 if the file cannot be read, I013 if its bytes have another digest;
            neither quotes it.
    """
    lines: tuple[str, ...] = ()
    if file and sha256:
        lines = _lines(file, sha256)
    elif file:
        try:
            facts = Path(file).stat()
        except OSError as error:
            raise _unreadable(os.strerror(error.errno or 0)) from None
        lines = _lines(file, "", facts.st_mtime_ns, facts.st_size)
    return _built(tuple(listed), lines)


def _content_of(file: str) -> bytes:
    """Return the bytes of a deny list; ASSAY-K003 if it cannot be read or is too large."""
    try:
        with Opened(file, Limits(max_bytes=MOST_BYTES)) as opened:
            return opened.content()
    except AssayError as error:
        if error.code == "ASSAY-I006":
            what = f"the deny list is larger than {MOST_BYTES:,} bytes"
            raise AssayError("K003", what, where=_WHERE) from None
        raise _unreadable(error.what) from None


@functools.lru_cache(maxsize=4)
def _lines(file: str, sha256: str, *_: int) -> tuple[str, ...]:
    content = _content_of(file)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        what, fix = "the deny list changed during the run", "run again"
        raise AssayError("I013", what, where=_WHERE, fix=fix)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable("it is not UTF-8") from None
    found = [line.strip() for line in io.StringIO(text, newline=None)]
    return tuple(line for line in found if line and not line.startswith("#"))


_WHERE = "assay.checks.pii.deny_file"


def _unreadable(why: str) -> AssayError:
    fix = "name a UTF-8 text file with one name per line, below the contract's root"
    return AssayError("K003", f"the deny list cannot be read: {why}", where=_WHERE, fix=fix)


@functools.lru_cache(maxsize=4)
def _built(listed: tuple[str, ...], lines: tuple[str, ...]) -> Names:
    made: dict[str, set[tuple[str, ...]]] = {}
    firsts: set[str] = set()
    for name in itertools.chain(listed, lines):
        is_plain = name.isascii() and not _ODD.search(name)
        words = tuple(_WORD.findall(_folded(name if is_plain else normalise(name))))
        if words:
            made.setdefault(words[0], set()).add(words)
            firsts |= {words[0], *_WORD.findall(_unmarked(name.lower()))[:1]}
    by_first = {first: frozenset(rest) for first, rest in made.items()}
    lengths = {first: tuple(sorted({*map(len, rest)})) for first, rest in made.items()}
    return Names(by_first, lengths, frozenset(firsts))


def hits(texts: pa.Array, names: Names) -> dict[int, list[Hit]]:
    """Return the names in each text, by position.

    Args:
        texts: strings without nulls, shape (n,).
        names: from `names_of`.
    """
    if not len(names) or not len(texts):
        return {}
    found = {int(at): _in_text(texts[int(at)].as_py(), names) for at in _candidates(texts, names)}
    return {at: some for at, some in found.items() if some}


def _candidates(texts: pa.Array, names: Names) -> np.ndarray:
    # texts disguised by look-alikes or escapes are folded first, in Python
    odd = pc.match_substring_regex(texts, NEEDS_FOLDING).to_numpy(zero_copy_only=False)
    plain = pc.utf8_lower(texts)
    if not pc.all(pc.string_is_ascii(texts)).as_py():
        decomposed = pc.utf8_normalize(plain, form="NFKD")
        plain = pc.replace_substring_regex(decomposed, r"\p{M}+", "")
    if odd.any():
        some = [_folded(normalise(text)) for text in texts.filter(pa.array(odd)).to_pylist()]
        plain = pc.replace_with_mask(plain, pa.array(odd), pa.array(some, texts.type))
    lists = pc.split_pattern_regex(plain, _GAPS)
    words = pc.list_flatten(lists)
    parents = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    is_first = pc.is_in(words, pa.array(sorted(names.firsts), words.type))
    places: np.ndarray = np.unique(parents[is_first.to_numpy(zero_copy_only=False)])
    return places


def _in_text(text: str, names: Names) -> list[Hit]:
    whole = folded(text)
    words = [(match.span(), _folded(match[0])) for match in _WORD.finditer(whole.text)]
    found, last = [], -1
    for at, ((start, _), first) in enumerate(words):
        longest = max(_lengths(words, at, names, whole), default=0) if first in names.lengths else 0
        if longest and start >= last:
            last = words[at + longest - 1][0][1]
            found.append(Hit(*whole.span(start, last), ENTITY, 1.0))
    return found


def _lengths(
    words: list[tuple[tuple[int, int], str]], at: int, names: Names, whole: Aligned
) -> Iterator[int]:
    first = words[at][1]
    for length in names.lengths[first]:
        part = words[at : at + length]
        if tuple(word for _, word in part) not in names.by_first[first]:
            continue
        gaps = itertools.pairwise(span for span, _ in part)
        if all(_joins(whole.text[end:start]) for (_, end), (start, _) in gaps):
            yield length


def _joins(gap: str) -> bool:
    return len(gap) <= _FEW and "\n\n" not in gap


def _folded(text: str) -> str:
    return _unmarked(text.casefold())


def _unmarked(text: str) -> str:
    marks = unicodedata.normalize("NFKD", text)
    return "".join(char for char in marks if not unicodedata.combining(char))
