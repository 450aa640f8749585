"""This user's signing key: in the configuration folder or where ASSAY_SIGNING_KEY says.

It never lies in a store. `rotation` replaces it.
"""

import sys

from pipelines import config
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger import key_rotation, signing
from provenance.ledger.signing import Signer


def own(*, make: bool = False) -> Signer:
    """Return this user's signing key from the environment or its file, created if `make`.

    Raises:
        AssayError: ASSAY-E003 if there is none, or it cannot be used.
    """
    if text := config.key_text():
        return signing.parse(text, "ASSAY_SIGNING_KEY")
    path = config.signing_key()
    if make and config.is_key_named() and not path.exists():  # may be a typing error
        message = (
            f"ASSAY_SIGNING_KEY names a file that does not exist: creating a new key in {path}\n"
        )
        sys.stderr.write(message)
    return signing.load_or_make(path) if make else signing.load(path)


def is_there() -> bool:
    """Return whether this user already has a signing key."""
    return config.key_text() is not None or config.signing_key().exists()


def require_for(store: Store) -> None:
    """Refuse (ASSAY-E003) a missing key of a ledger, before a new key is created in its place."""
    refuse_inside(store)
    if not is_there() and (head := store.ledger.head()):
        key_id = key_rotation.key_after(head).hex()
        what = f"the signing key is missing: this store's ledger is signed by key {key_id}"
        where = str(config.signing_key())
        fix = "restore the key file there, or set ASSAY_SIGNING_KEY to its path"
        raise AssayError("E003", what, where=where, fix=fix)


def refuse_inside(store: Store) -> None:
    """Refuse (ASSAY-E003) a signing key that lies in the store it signs."""
    if config.key_text():
        return
    path = config.signing_key()
    if path.resolve().is_relative_to(store.folder.resolve()):
        fix = "move it out: whoever can write to the store must not be able to sign for it"
        raise AssayError("E003", "the signing key lies in the store", where=str(path), fix=fix)
