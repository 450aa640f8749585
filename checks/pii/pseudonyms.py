"""Keyed pseudonyms: one value, one pseudonym, in every column and run of the same key.

Ways of writing that do not change who is meant are taken off first: case and blanks, and whatever
stands between the digits of a number. So a person stays one person, and without the key nobody
can try names out against the clean dataset. 64 bits of HMAC-SHA256: among a million values two
share one with a chance of 3e-8.
"""

import hashlib
import hmac

from checks.kit.text_folding import normalise

_WORDED = frozenset({"EMAIL_ADDRESS", "PERSON", "LOCATION", "ADDRESS", "DENIED", "URL"})
_CASED = frozenset({"SECRET", "CRYPTO"})  # where case is a part of the value
# letters only: digits could look like a number of some kind to the scan of the clean dataset
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


def of(text: str, entity: str, key: bytes) -> str:
    """Return the pseudonym of a value: 16 letters from a to p."""
    message = f"{entity}\0{canonical(text, entity)}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:16].translate(_LETTERS)


def canonical(text: str, entity: str) -> str:
    """Return a value as it is compared: equal for equal persons, however it is written."""
    plain = normalise(text)
    if entity in _CASED:
        return plain
    if entity in _WORDED:
        return " ".join(plain.casefold().split())
    return "".join(char for char in plain.casefold() if char.isalnum())
