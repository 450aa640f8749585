"""Change of key: the ledger is handed from one signing key to the next by an entry of its own.

Keys lie in the user's configuration folder or where ASSAY_SIGNING_KEY says, never in a store:
    signing-key.pem       the present one        signing-key-ID.pem   earlier ones
    signing-key.next.pem  one that is about to take over; a change that died goes on with it
What is derived from a key (pseudonyms, keyed row ids) is left to the next one.
"""

import os
from pathlib import Path

from pipelines import config
from pipelines.store import Store
from provenance import atomic, keychain, sign
from provenance.entry import Entry
from provenance.errors import AssayError
from provenance.sign import Signer


def rotate(store: Store, to: str | None, now: str) -> tuple[Entry, str]:
    """Hand a store's ledger to another key.

    Args:
        store: whose ledger holds.
        to: PEM file of the next key, made if there is none; None for this user's own keys.
        now: the time as an ISO string.

    Returns:
        The entry that hands over, and what to tell the user.

    Raises:
        AssayError: ASSAY-C012 if `to` is missing or the ledger's already, L007 if the ledger is
            signed by a key that is not here.
    """
    head = store.ledger.head()
    if head is None:
        raise AssayError("C013", "the ledger is empty", where=str(store.folder))
    key_id = keychain.key_after(head)
    if to:
        return _to_file(store, key_id, Path(to), now)
    if os.environ.get("ASSAY_SIGNING_KEY"):
        fix = "`assay ledger rotate --to FILE`, then set ASSAY_SIGNING_KEY to that file"
        raise AssayError("C012", "name the file of the next key", fix=fix)
    return _in_folder(store, key_id, head, now)


def _to_file(store: Store, key_id: bytes, path: Path, now: str) -> tuple[Entry, str]:
    old = _held(key_id)
    if path.resolve().is_relative_to(store.folder.resolve()):
        raise AssayError("E003", "the signing key is in the store", where=str(path))
    new = sign.load_or_make(path)
    if new.verifier == old.verifier:
        what = "the ledger is that key's already"
        raise AssayError("C012", what, where=str(path), fix="name another file")
    sign.leave_secret(old, path)
    made = store.ledger.hand_over(old, sign.load(path), now)
    told = f"entry {made.seq} hands the ledger to key {new.verifier.key_id.hex()}"
    return made, f"{told}; from now on set ASSAY_SIGNING_KEY={path}"


def _in_folder(store: Store, key_id: bytes, head: Entry, now: str) -> tuple[Entry, str]:
    own, next_ = config.signing_key(), config.signing_key().with_name("signing-key.next.pem")
    present = sign.load(own)
    if next_.exists() and sign.load(next_).verifier.key_id == key_id:
        made = head  # a change that died after its entry
    elif present.verifier.key_id == key_id:
        new = sign.load_or_make(next_)
        sign.leave_secret(present, next_)
        _keep(own, present)
        made = store.ledger.hand_over(present, new, now)
    else:  # another store's change has retired the key that signs this one
        made = store.ledger.hand_over(_held(key_id), present, now)
        told = f"entry {made.seq} hands the ledger to your key {present.verifier.key_id.hex()}"
        return made, told
    sign.secret_path(next_).replace(sign.secret_path(own))
    next_.replace(own)
    atomic.sync_tree(own.parent)
    told = f"entry {made.seq} hands the ledger to a new key, {sign.load(own).verifier.key_id.hex()}"
    advice = "other stores of yours follow by `assay ledger rotate --store DIR`"
    return made, f"{told}; the old one is kept beside it; {advice}"


def _held(key_id: bytes) -> Signer:
    """Return this user's key of that id, present or earlier."""
    own = config.signing_key()
    for path in (own, _kept(own, key_id)):
        if path.exists() and sign.load(path).verifier.key_id == key_id:
            return sign.load(path)
    what = f"the ledger is key {key_id.hex()}'s, which is not here"
    raise AssayError("L007", what, where=str(own), fix="set ASSAY_SIGNING_KEY to the key's file")


def _keep(own: Path, present: Signer) -> None:
    kept = _kept(own, present.verifier.key_id)
    for path, copy in ((own, kept), (sign.secret_path(own), sign.secret_path(kept))):
        if path.exists() and not copy.exists():
            os.link(path, copy)


def _kept(own: Path, key_id: bytes) -> Path:
    return own.with_name(f"signing-key-{key_id.hex()}.pem")
