"""Checkpoints: a ledger's size and root, signed, to be kept apart from the ledger.

A checkpoint is a C2SP signed note: origin, size and root in base64, one per line, an empty line,
and `— origin base64(key hash || Ed25519 over the text)`. It reveals a truncated ledger and one
that was rewritten. Source: c2sp.org/signed-note, c2sp.org/tlog-checkpoint.
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
    """Size and root (32 bytes) of the ledger named `origin`."""

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
    """Return a ledger's name, from the digest of its first entry, which names its first key."""
    return f"assay.ledger/{first_leaf.hex()[:32]}"


def parse(note: str, where: str = "") -> tuple[Checkpoint, list[tuple[bytes, bytes]]]:
    """Parse a note: the checkpoint, and (key hash, signature) of each line with its origin's name.

    Raises:
        AssayError: ASSAY-L012 if it is not a valid checkpoint.
    """
    text, _, tail = note.rpartition("\n\n")
    found = _TEXT.fullmatch(text + "\n")
    if not found or not re.fullmatch(f"(?:{_SIGNATURE.pattern})+", tail):
        raise AssayError("L012", "this is not a checkpoint", where=where)
    origin, size, root = found.groups()
    try:
        checkpoint = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
        lines = [base64.b64decode(s, validate=True) for n, s in _SIGNATURE.findall(tail)
                 if n == origin]  # fmt: skip
    except binascii.Error as error:
        raise AssayError("L012", "the checkpoint is damaged", where=where) from error
    if checkpoint.text() != text + "\n":
        raise AssayError("L012", "the checkpoint is damaged", where=where)
    whole = [line for line in lines if len(line) == _KEY_ID_BYTES + _SIGNATURE_BYTES]
    return checkpoint, [(line[:_KEY_ID_BYTES], line[_KEY_ID_BYTES:]) for line in whole]


def opened(note: str, trusted: list[Verifier], where: str = "") -> Checkpoint:
    """Parse a note that one of the trusted keys must have signed.

    Raises:
        AssayError: ASSAY-L012 if it is not a checkpoint, L007 if none of the keys has signed it.
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
