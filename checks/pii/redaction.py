"""Redaction: personal data in texts replaced by placeholders, or by keyed pseudonyms.

With a key, one value gets one pseudonym in every column and every run. Case, blanks and whatever
separates the digits of a number do not change who is meant, so they are removed first: one person
stays one person, and without the key nobody can test guessed names against the clean dataset.
64 bits of HMAC-SHA256: among a million values, two share a pseudonym with probability 3e-8.
"""

import hashlib
import hmac

import pyarrow as pa

from checks.kit.contract_model import Contract
from checks.kit.text_folding import normalise
from checks.pii.scan import Found, spans, texts_of
from checks.pii.search import search
from checks.pii.settings import settings_of

UNSCANNED = "<UNSCANNED>"
_ROUNDS = 4  # replacing a span may join its neighbours into something new
_WORDED = frozenset({"EMAIL_ADDRESS", "PERSON", "LOCATION", "ADDRESS", "DENIED", "URL"})
_CASED = frozenset({"SECRET", "CRYPTO"})  # where case is part of the value
# letters only: the scan of the clean dataset could take digits for a number of some kind
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def redact(
    texts: pa.Array, column: str, contract: Contract, *, key: bytes | None = None
) -> pa.Array:
    """Replace personal data by placeholders such as `<EMAIL_ADDRESS>`; a new scan finds none.

    Args:
        texts: strings, shape (n,).
        column: the name of their column.
        contract: its options say what counts as personal data.
        key: with it, equal values get equal pseudonyms (`<EMAIL_ADDRESS:cafgkcbphaebbafk>`)
            in every column and in every run with the same key.

    Returns:
        Strings of the same length; a text that cannot be scanned becomes `<UNSCANNED>`, null
        stays null.
    """
    settings = settings_of(contract)
    unique, codes = texts_of(texts)
    values = unique.to_pylist()
    left = list(range(len(values)))
    for _ in range(_ROUNDS):
        found = search(pa.array([values[at] for at in left], pa.string()), column, settings)
        left = [left[at] for at in sorted(found)]
        for at, what in zip(left, (found[at] for at in sorted(found)), strict=True):
            values[at] = _replaced(values[at], what, key)
        if not left:
            break
    for at in left:
        values[at] = UNSCANNED
    indices = pa.array(codes, mask=codes < 0)
    return pa.array(values, pa.string()).take(indices).cast(texts.type)


def _replaced(text: str, found: Found, key: bytes | None) -> str:
    if found.unscanned:
        return UNSCANNED
    out, last = [], 0
    for start, end, entity in spans(found):
        mark = ":" + pseudonym(text[start:end], entity, key) if key is not None else ""
        out += [text[last:start], f"<{entity}{mark}>"]
        last = end
    return "".join([*out, text[last:]])


def pseudonym(text: str, entity: str, key: bytes) -> str:
    """Return the pseudonym of a value: 16 letters from a to p."""
    message = f"{entity}\0{canonical(text, entity)}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:16].translate(_LETTERS)


def canonical(text: str, entity: str) -> str:
    """Return the form in which values are compared: equal for equal persons, however written."""
    plain = normalise(text)
    if entity in _CASED:
        return plain
    if entity in _WORDED:
        return " ".join(plain.casefold().split())
    return "".join(char for char in plain.casefold() if char.isalnum())
