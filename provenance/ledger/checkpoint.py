"""Checkpoints: a ledger's size and root, signed, to be kept where the ledger is not.

A checkpoint is a C2SP signed note: origin, size and root in base64, a line each, an empty line,
and `— origin base64(key hash || Ed25519 over the text)`. Whoever holds one sees a cut end, and a
ledger that was written anew. Source: c2sp.org/signed-note, c2sp.org/tlog-checkpoint.
"""

import base64
import binascii
import dataclasses
import re

from provenance.base.errors import AssayError
from provenance.ledger.signing import Signer, Verifier

_TEXT = re.compile(r"([^\s+]+)\n(0|[1-9][0-9]{0,17})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})\n")
_KEY_ID_BYTES, _SIGNATURE_BYTES = 4, 64


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """Size and root of the ledger named `origin`; `root` is 32 bytes."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def signed(self, signer: Signer) -> str:
        """Return the note."""
        signature = signer.sign(self.text().encode())
        line = base64.b64encode(signer.verifier.note_id(self.origin) + signature).decode()
        return f"{self.text()}\n— {self.origin} {line}\n"


def origin_of(first_leaf: bytes) -> str:
    """Return the name of a ledger: by the digest of its first entry, which names its first key."""
    return f"assay.ledger/{first_leaf.hex()[:32]}"


def parse(note: str, where: str = "") -> tuple[Checkpoint, list[tuple[bytes, bytes]]]:
    """Read a note: the checkpoint, and (key hash, signature) of each line in its origin's name.

    Raises:
        AssayError: ASSAY-L012 if it is no checkpoint.
    """
    text, _, tail = note.rpartition("\n\n")
    found = _TEXT.fullmatch(text + "\n")
    if not found or not re.fullmatch(f"(?:{_SIGNATURE.pattern})+", tail):
        raise _unreadable("this is no checkpoint", where)
    origin, size, root = found.groups()
    try:
        made = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
        lines = [base64.b64decode(s, validate=True) for n, s in _SIGNATURE.findall(tail)
                 if n == origin]  # fmt: skip
    except binascii.Error as error:
        raise _unreadable("the checkpoint is damaged", where) from error
    if made.text() != text + "\n":
        raise _unreadable("the checkpoint is damaged", where)
    whole = [line for line in lines if len(line) == _KEY_ID_BYTES + _SIGNATURE_BYTES]
    return made, [(line[:_KEY_ID_BYTES], line[_KEY_ID_BYTES:]) for line in whole]


def opened(note: str, trusted: list[Verifier], where: str = "") -> Checkpoint:
    """Read a note that one of the trusted keys has signed.

    Raises:
        AssayError: ASSAY-L012 if it is no checkpoint, L007 if none of the keys has signed it.
    """
    checkpoint, signatures = parse(note, where)
    message = checkpoint.text().encode()
    for verifier in trusted:
        for key_hash, signature in signatures:
            mine = key_hash == verifier.note_id(checkpoint.origin)
            if mine and verifier.holds(signature, message):
                return checkpoint
    ids = ", ".join(verifier.key_id.hex() for verifier in trusted)
    what = f"the checkpoint of {checkpoint.size} entries is not signed by a trusted key ({ids})"
    raise AssayError("L007", what, where=where)


def _unreadable(what: str, where: str) -> AssayError:
    return AssayError("L012", what, where=where)
