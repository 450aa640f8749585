"""Characters that show a broken export or a disguise: which texts have them.

RE2 finds candidates among the texts that are not plain ASCII; mojibake is then decoded again to see
whether it is one.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.text_folding import CONFUSABLE

_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_REPLACED = r"\x{fffd}"
# what the bytes 80 to BF are in Windows-1252 and Latin-1
_ONE_BYTE = [bytes([n]) for n in range(0x80, 0x100) if n not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)]
_CP1252 = bytes(range(0x80, 0xC0)).decode("cp1252", "ignore")
_LATER = "".join(sorted({*_CP1252, *map(chr, range(0x80, 0xC0))}))
_CLASS = "[" + "".join(f"\\x{{{ord(char):x}}}" for char in _LATER) + "]"
_CANDIDATE = (
    rf"[\x{{c2}}-\x{{df}}]{_CLASS}|[\x{{e0}}-\x{{ef}}]{_CLASS}{_CLASS}"
    rf"|[\x{{f0}}-\x{{f4}}]{_CLASS}{_CLASS}{_CLASS}"
)
_LATERS = f"[{re.escape(_LATER)}]"
_SEQUENCE = re.compile(
    rf"(?:[\xc2-\xdf]{_LATERS}|[\xe0-\xef]{_LATERS}{{2}}|[\xf0-\xf4]{_LATERS}{{3}})+"
)
_BYTES = {chr(byte): byte for byte in range(256)}
_BYTES |= {char.decode("cp1252"): char[0] for char in _ONE_BYTE}
_LATIN = r"[A-Za-z\x{c0}-\x{24f}]"
_ALIKE = "".join(
    f"\\x{{{ord(char):x}}}"
    for char, plain in sorted(CONFUSABLE.items())
    if plain.isalpha() and 0x370 <= ord(char) <= 0x52F  # noqa: PLR2004  Greek and Cyrillic
)
_MIXED = rf"{_LATIN}[{_ALIKE}]{{1,2}}{_LATIN}"
_MIXED += rf"|(?:^|\P{{L}})[{_ALIKE}]{_LATIN}{{3}}|{_LATIN}{{3}}[{_ALIKE}](?:$|\P{{L}})"


def are_broken(texts: pa.Array) -> np.ndarray:
    """Return which texts have U+FFFD or an escape of half a surrogate pair: bool, shape (u,)."""
    found = _matches(texts, _REPLACED)
    for at in np.flatnonzero(_matches(texts, f"{_HIGH}|{_LOW}") & ~found).tolist():
        found[at] = _has_half(texts[at].as_py())
    return found


def _has_half(text: str) -> bool:
    units = re.sub(f"{_HIGH}{_LOW}", "", text)
    return re.search(f"{_HIGH}|{_LOW}", units) is not None


def are_mojibake(texts: pa.Array) -> np.ndarray:
    """Return which texts hold UTF-8 that was decoded as a one-byte encoding: bool, shape (u,)."""
    found = _matches(texts, _CANDIDATE)
    for at in np.flatnonzero(found).tolist():
        found[at] = any(_is_mojibake(hit) for hit in _SEQUENCE.finditer(texts[at].as_py()))
    return found


def _is_mojibake(hit: re.Match[str]) -> bool:
    """Return whether a sequence decodes to letters or signs that texts are made of.

    After a capital, an accented capital and a closing quote are nothing but that.
    """
    try:
        text = bytes(_BYTES[char] for char in hit[0]).decode()
    except UnicodeDecodeError:
        return False
    before = hit.string[hit.start() - 1 : hit.start()]
    is_plain = len(text) > 1 or "\xa0" <= text <= "\u017f" or text >= "\u2000"
    return is_plain and not (before.isupper() and len(hit[0]) == 2)  # noqa: PLR2004


def are_mixed(texts: pa.Array) -> np.ndarray:
    """Return which texts have a word of Latin and look-alike letters: bool, shape (u,)."""
    return _matches(texts, _MIXED)


def _matches(texts: pa.Array, pattern: str) -> np.ndarray:
    mask: np.ndarray = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return mask.astype(bool)
