"""Signatures: Ed25519 keys in PEM files, which are never kept in the store.

A key id is the first four bytes of the SHA-256 of the public key. It names a key; it is no proof.
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

    `secret` is what a rotated key leaves to its successor, so that everything derived from it stays
    the same; 32 bytes, or None for a ledger's first key.
    """

    private: Ed25519PrivateKey
    secret: bytes | None = None

    @property
    def verifier(self) -> Verifier:
        """Return the public half."""
        return Verifier(self.private.public_key().public_bytes_raw())

    def derived(self, purpose: str) -> bytes:
        """Return 32 secret bytes for a purpose, always the same, that do not reveal the key."""
        return hmac.digest(self.root(), f"assay.derived/1\n{purpose}".encode(), "sha256")

    def root(self) -> bytes:
        """Return the 32 secret bytes that all others are derived from."""
        return self.secret or hmac.digest(self.private.private_bytes_raw(), ROOT, "sha256")

    def public_pem(self) -> bytes:
        """Return the public half as PEM, to give to whoever verifies."""
        subject = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, subject)

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self.private.sign(message)


def load_or_make(path: Path) -> Signer:
    """Return the key in `path`, which is created (mode 0600) if it does not exist.

    Raises:
        AssayError: ASSAY-E003 if the key cannot be read, is not Ed25519, or cannot be written.
    """
    with contextlib.suppress(FileExistsError):
        _make(path)
    return load(path)


def load(path: Path) -> Signer:
    """Return the private key in a PEM file; ASSAY-E003 if it is invalid or others can reach it."""
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
    """Return the private key in a PEM text; ASSAY-E003 if it is invalid."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(where, "cannot be read") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(where, "is not an Ed25519 key")
    return Signer(key)


def secret_path(path: Path) -> Path:
    """Return the file next to a key that contains the secret left by an earlier key."""
    return path.with_suffix(".root")


def leave_secret(signer: Signer, path: Path) -> None:
    """Write the secret of `signer` next to the key in `path`, its successor."""
    kept = secret_path(path)
    kept.unlink(missing_ok=True)
    with contextlib.suppress(FileExistsError):
        _write_once(kept, signer.root())


def load_public(path: Path) -> Verifier:
    """Return the public key in a PEM file; ASSAY-E003 if it is invalid or others can write it."""
    try:
        pem = key_files.read(path, key_files.PUBLIC, "the public key")
        key = serialization.load_pem_public_key(pem)
    except no_follow.IrregularError as error:
        raise _unusable_public(path, f"is {error.kind}") from error
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _unusable_public(path, "cannot be read") from error
    if not isinstance(key, Ed25519PublicKey):
        raise _unusable_public(path, "is not an Ed25519 key")
    return Verifier(key.public_bytes_raw())


def _unusable_public(path: Path, why: str) -> AssayError:
    fix = "set --key or ASSAY_PUBLIC_KEY to the PEM file of a public key: assay ledger key -o FILE"
    return AssayError("E003", f"the public key {why}", where=str(path), fix=fix)


def _make(path: Path) -> None:
    if path.exists() and not _scratch(path).exists():
        return
    # checked first, so that no key is created that would then be refused and left behind
    key_files.refuse_way(path, key_files.SECRET, "the signing key")
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_once(path, pem)


def _write_once(path: Path, content: bytes) -> None:
    """Write a private file completely or not at all; FileExistsError if it exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic.write_exclusive(path, content, _scratch(path), mode=0o600)
    except OSError as error:
        if path.exists():  # one of two concurrent first runs wins, and both read the same key
            raise FileExistsError(path) from error
        if error.errno in atomic.DISK:
            raise atomic.refusal(error, path) from error
        raise _unusable(path, f"cannot be created ({os.strerror(error.errno or 0)})") from error
    finally:
        with contextlib.suppress(OSError):
            _scratch(path).rmdir()


def _scratch(path: Path) -> Path:
    """Return the folder in which a key is created; one that still exists is a dead run's."""
    return path.with_name(f".{path.name}.new")


def _unusable(where: Path | str, why: str) -> AssayError:
    fix = "set ASSAY_SIGNING_KEY to a PEM file that this user can read"
    return AssayError("E003", f"the signing key {why}", where=str(where), fix=fix)
