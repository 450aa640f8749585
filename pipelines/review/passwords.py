"""Passwords of the review page, kept as Argon2id in the format of its reference implementation.

All have the same parameters, the second recommendation of RFC 9106 (64 MiB, three passes, four
lanes), so that every answer costs the same, whether or not the name exists.
"""

import base64
import functools
import re
import secrets
import unicodedata

from provenance.base.errors import AssayError

LEAST, MOST = 12, 1024  # characters of a password
NONE = "-"  # in place of a hash: this user comes in by a proxy only
MEMORY, PASSES, LANES = 65536, 3, 4  # KiB, and two numbers
SALT, LENGTH = 16, 32  # bytes
_PARAMETERS = f"m={MEMORY},t={PASSES},p={LANES}"
_ENCODED = re.compile(
    r"\$argon2id\$v=19\$(m=\d+,t=\d+,p=\d+)\$([A-Za-z0-9+/]{1,100})\$([A-Za-z0-9+/]{1,100})"
)


def fault_of(encoded: str) -> str:
    """Return what is wrong with a stored password in words, "" if nothing is."""
    if encoded == NONE:
        return ""
    found = _ENCODED.fullmatch(encoded)
    if found is None:
        return "the password is not stored as Argon2id"
    if found[1] != _PARAMETERS:
        return f"the parameters of the password are {found[1]}, not {_PARAMETERS}"
    if (_size(found[2]), _size(found[3])) != (SALT, LENGTH):
        return f"the password does not have a salt of {SALT} bytes and a hash of {LENGTH} bytes"
    return ""


def weakness_of(password: str, name: str) -> str:
    """Return why a new password is refused, "" if it is not."""
    if not LEAST <= len(password) <= MOST:
        return f"the password must have {LEAST} to {MOST:,} characters"
    if not password.isprintable():
        return "the password contains a control character"
    if name.casefold() in password.casefold() and len(password) < len(name) + LEAST:
        return "the password is little more than the name"
    return "the password repeats too few characters" if len(set(password)) < LEAST // 2 else ""


def encoded(password: str) -> str:
    """Return what is stored of a password; E114 if this machine cannot compute Argon2id."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    salt = secrets.token_bytes(SALT)
    try:
        made = Argon2id(
            salt=salt, length=LENGTH, iterations=PASSES, lanes=LANES, memory_cost=MEMORY
        )
    except UnsupportedAlgorithm as error:
        raise AssayError("E114", "the cryptography library has no Argon2id") from error
    return made.derive_phc_encoded(_bytes(password))


def prepare() -> None:
    """Make the decoy, so that the first unknown name costs no more than others; E114 as above."""
    _decoy()


def is_right(password: str, stored: str | None) -> bool:
    """Return whether a password is the stored one; without one, False at the same cost.

    Args:
        password: as typed.
        stored: Argon2id whose `fault_of` is empty, NONE, or None for a name that nobody has.
    """
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    is_real = stored not in (None, NONE)
    try:
        Argon2id.verify_phc_encoded(_bytes(password), str(stored) if is_real else _decoy())
    except InvalidKey:
        return False
    return is_real


@functools.cache
def _decoy() -> str:
    return encoded(secrets.token_urlsafe(LENGTH))


def _bytes(password: str) -> bytes:
    """Return the bytes of a password, the same however a keyboard composes its letters."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _size(text: str) -> int:
    try:
        return len(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except ValueError:
        return -1
