"""The undisguised forms of a text, each aligned with the raw text.

`text_folding` folds and joins it; runs of base64 and hexadecimal are decoded, and count as text
only if they decode to printable UTF-8, which ids and hashes do not.
Cost: one RE2 pass (`GATE`); 20 to 100 microseconds for a text that matches it.
"""

import base64
import binascii
import re
from collections.abc import Iterator

from checks.kit.text_folding import NEEDS_FOLDING, Aligned, aligned, folded, joined

# a run of base64 in which a capital or a digit follows a small letter, as in no word
_RUN = "[A-Za-z0-9+/_-]"
_ENCODED = "|".join(
    (
        *(f"{_RUN}{{{at}}}[a-z][A-Z0-9+/]{_RUN}{{{10 - at}}}" for at in range(11)),
        "(?:[0-9a-fA-F]{2}){9,}",
    )
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){9,}")
_PRINTABLE = re.compile(r"[\t\n\r\x20-\x7e\x80-\U0010ffff]+")
GATE = f"{NEEDS_FOLDING}|{_ENCODED}"


def variants(text: str) -> Iterator[Aligned]:
    """Yield the undisguised forms of a text that differ from it and from each other."""
    seen = {text}
    flat = folded(text)
    for variant in (flat, joined(flat), *_decoded(text)):
        if variant.text not in seen and len(variant.text):
            seen.add(variant.text)
            yield variant


def _decoded(text: str) -> Iterator[Aligned]:
    whole = aligned(text)
    for pattern, decode in ((_BASE64, _from_base64), (_HEX, bytes.fromhex)):
        for match in pattern.finditer(text):
            try:
                plain = decode(match[0]).decode("utf-8")
            except (ValueError, binascii.Error):
                continue
            if _PRINTABLE.fullmatch(plain):
                start, end = whole.span(*match.span())
                yield Aligned(plain, (start,) * len(plain), (end,) * len(plain))


def _from_base64(run: str) -> bytes:
    bare = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
