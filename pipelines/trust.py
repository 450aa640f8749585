"""Whose signature counts, and whether the ledger holds before anyone acts on what it says."""

from pathlib import Path

from pipelines import config
from pipelines.store import Store
from provenance import sign, verify
from provenance.errors import AssayError
from provenance.ledger import broken
from provenance.sign import Verifier


def trusted() -> Verifier:
    """Return the pinned public key, else this user's own; never one that the store names.

    Raises:
        AssayError: ASSAY-E003 if there is neither.
    """
    if pinned := config.public_key():
        return sign.load_public(pinned)
    if not config.signing_key().exists():
        fix = "set ASSAY_PUBLIC_KEY to the PEM file of the key you trust"
        raise AssayError(
            "E003", "there is no key to verify with", where=str(config.signing_key()), fix=fix
        )
    return sign.load(config.signing_key()).verifier


def require_whole(store: Store) -> None:
    """Refuse a ledger that does not hold, by its first break; an empty one holds."""
    if not store.ledger.numbers():
        return
    for notice in verify.verify_ledger(store.ledger, trusted()).breaks[:1]:
        raise broken(notice.code.removeprefix("ASSAY-"), notice.message, Path(notice.where))
