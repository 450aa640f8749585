"""Signatures: Ed25519 keys as PEM files, never kept in the store.

A key id is the first four bytes of SHA-256 over the public key; it names a key, it proves nothing.
"""

import contextlib
import dataclasses
import hashlib
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from provenance.base import atomic, no_follow
from provenance.base.errors import AssayError
from provenance.ledger import key_files

ROOT = b"assay.root/1\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Verifier:
    """A public key: 32 raw bytes."""

    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return the four bytes that name the key in an entry."""
        return hashlib.sha256(self.public).digest()[:4]

    def note_id(self, name: str) -> bytes:
        """Return the four bytes that name the key in a signed note (C2SP) under a name."""
        return hashlib.sha256(name.encode() + b"\n\x01" + self.public).digest()[:4]

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Return whether `signature` over `message` was made by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclasses.dataclass(frozen=True, slots=True)
class Signer:
    """A private key, held in memory only.

    `secret` is what a key that was handed over leaves to the next, so that what is derived from it
    stays; 32 bytes, or None for a ledger's first key.
    """

    private: Ed25519PrivateKey
    secret: bytes | None = None

    @property
    def verifier(self) -> Verifier:
        """Return the public half."""
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        return Verifier(self.private.public_key().public_bytes(*raw))

    def derived(self, purpose: str) -> bytes:
        """Return 32 secret bytes for a purpose, the same each time, that do not tell the key."""
        return hmac.digest(self.root(), f"assay.derived/1\n{purpose}".encode(), "sha256")

    def root(self) -> bytes:
        """Return the 32 secret bytes that all others are derived from."""
        return self.secret or hmac.digest(self.private.private_bytes_raw(), ROOT, "sha256")

    def public_pem(self) -> bytes:
        """Return the public half as PEM, to hand to whoever verifies."""
        subject = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, subject)

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self.private.sign(message)


def load_or_make(path: Path) -> Signer:
    """Return the key in `path`, made there (mode 0600) if it does not exist.

    Raises:
        AssayError: ASSAY-E003 if the key cannot be read, is not Ed25519, or cannot be written.
    """
    with contextlib.suppress(FileExistsError):
        _make(path)
    return load(path)


def load(path: Path) -> Signer:
    """Return the private key in a PEM file; ASSAY-E003 if it is none, or others can reach it."""
    kept = secret_path(path)
    try:
        pem = key_files.read(path, key_files.SECRET, "the signing key")
        what = "the secret of an earlier signing key"
        secret = key_files.read(kept, key_files.SECRET, what) if kept.exists() else None
    except no_follow.IrregularError as error:
        raise _unusable(path, f"is {error.kind}") from error
    except OSError as error:
        raise _unusable(path, "cannot be read") from error
    return dataclasses.replace(parse(pem, str(path)), secret=secret)


def parse(pem: bytes, where: str) -> Signer:
    """Return the private key in a PEM; ASSAY-E003 if it is none."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(where, "cannot be read") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(where, "is not an Ed25519 key")
    return Signer(key)


def secret_path(path: Path) -> Path:
    """Return the file beside a key that holds the secret which an earlier key left to it."""
    return path.with_suffix(".root")


def leave_secret(signer: Signer, path: Path) -> None:
    """Write what is derived from `signer` beside the key in `path`, which takes its place."""
    kept = secret_path(path)
    kept.unlink(missing_ok=True)
    with contextlib.suppress(FileExistsError):
        _write_once(kept, signer.root())


def load_public(path: Path) -> Verifier:
    """Return the public key in a PEM file; ASSAY-E003 if it is none, or others can write it."""
    try:
        pem = key_files.read(path, key_files.PUBLIC, "the public key")
        key = serialization.load_pem_public_key(pem)
    except no_follow.IrregularError as error:
        raise _no_public(path, f"is {error.kind}") from error
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _no_public(path, "cannot be read") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_public(path, "is not an Ed25519 key")
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return Verifier(key.public_bytes(*raw))


def _no_public(path: Path, what: str) -> AssayError:
    fix = "give --key or ASSAY_PUBLIC_KEY the PEM file of a public key: `assay ledger key -o FILE`"
    return AssayError("E003", f"the public key {what}", where=str(path), fix=fix)


def _make(path: Path) -> None:
    if path.exists() and not _scratch(path).exists():
        return
    # before a key is made that would then be refused, and left behind
    key_files.refuse_way(path, key_files.SECRET, "the signing key")
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_once(path, pem)


def _write_once(path: Path, content: bytes) -> None:
    """Write a file for its owner only, whole or not at all; FileExistsError if it exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic.write_exclusive(path, content, _scratch(path), mode=0o600)
    except OSError as error:
        if path.exists():  # of two first runs at once one wins, both read the same
            raise FileExistsError(path) from error
        if error.errno in atomic.DISK:
            raise atomic.refusal(error, path) from error
        raise _unusable(path, f"cannot be made ({os.strerror(error.errno or 0)})") from error
    finally:
        with contextlib.suppress(OSError):
            _scratch(path).rmdir()


def _scratch(path: Path) -> Path:
    """Return the folder in which a key is made; one that is still there is a dead run's."""
    return path.with_name(f".{path.name}.new")


def _unusable(where: Path | str, why: str) -> AssayError:
    fix = "set ASSAY_SIGNING_KEY to a PEM file that this user can read"
    return AssayError("E003", f"the signing key {why}", where=str(where), fix=fix)
