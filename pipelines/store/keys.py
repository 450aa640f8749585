"""Change of key: the ledger is handed from one signing key to the next by an entry of its own.

Keys lie in the user's configuration folder or where ASSAY_SIGNING_KEY says, never in a store:
    signing-key.pem       the present one        signing-key-ID.pem   earlier ones
    signing-key.next.pem  one that is about to take over; a change that died goes on with it
What is derived from a key (pseudonyms, keyed row ids) is left to the next one.
"""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from pipelines import config
from pipelines.store.store import Store
from provenance.base import atomic
from provenance.base.errors import AssayError
from provenance.ledger import key_rotation, signing, verify
from provenance.ledger.entry import Entry
from provenance.ledger.refusals import refuse
from provenance.ledger.signing import Signer
from provenance.ledger.verify import Verified

Require = Callable[[Verified], None]


def own(*, make: bool = False) -> Signer:
    """Return this user's signing key, from the environment or its file, made if asked for.

    Raises:
        AssayError: ASSAY-E003 if there is none, or it cannot be used.
    """
    if text := config.key_text():
        return signing.parse(text, "ASSAY_SIGNING_KEY")
    path = config.signing_key()
    if make and config.is_key_named() and not path.exists():  # or a slip of the pen
        sys.stderr.write(f"ASSAY_SIGNING_KEY names no file: a new key is made in {path}\n")
    return signing.load_or_make(path) if make else signing.load(path)


def is_there() -> bool:
    """Return whether this user has a signing key already."""
    return config.key_text() is not None or config.signing_key().exists()


def require_for(store: Store) -> None:
    """Refuse, before a key is made in its place, that the key of a ledger is missing: E003."""
    refuse_inside(store)
    if not is_there() and (head := store.ledger.head()):
        key_id = key_rotation.key_after(head).hex()
        what = f"the signing key is missing: the ledger of this store is key {key_id}'s"
        where = str(config.signing_key())
        fix = "restore the key's file there, or set ASSAY_SIGNING_KEY to where it is"
        raise AssayError("E003", what, where=where, fix=fix)


def refuse_inside(store: Store) -> None:
    """Refuse a signing key that lies in the store it signs for: E003."""
    if config.key_text():
        return
    path = config.signing_key()
    if path.resolve().is_relative_to(store.folder.resolve()):
        fix = "move it out, for whoever may write the store must not be able to sign for it"
        raise AssayError("E003", "the signing key is in the store", where=str(path), fix=fix)


def rotate(store: Store, to: str | None, now: str, require: Require) -> tuple[Entry, str]:
    """Hand a store's ledger to another key.

    Args:
        store: its ledger must hold.
        to: PEM file of the next key, made if there is none; None for this user's own keys.
        now: the time as an ISO string.
        require: refuses the ledger as it was walked.

    Returns:
        The entry that hands over, and what to tell the user.

    Raises:
        AssayError: ASSAY-C012 if `to` is missing or the ledger's already, L007 if the ledger is
            signed by a key that is not here, L001 to L008 if it does not hold.
    """
    head = store.ledger.head()
    if head is None:
        raise AssayError("C013", "the ledger is empty", where=str(store.folder))
    key_id = key_rotation.key_after(head)
    if to:
        return _to_file(store, key_id, Path(to), now, require)
    if config.is_key_named():
        fix = "`assay ledger rotate --to FILE`, then set ASSAY_SIGNING_KEY to that file"
        raise AssayError("C012", "name the file of the next key", fix=fix)
    return _in_folder(store, head, now, require)


def _to_file(
    store: Store, key_id: bytes, path: Path, now: str, require: Require
) -> tuple[Entry, str]:
    old = _held(key_id)
    _require_whole(store, old, require)
    if path.resolve().is_relative_to(store.folder.resolve()):
        raise AssayError("E003", "the signing key is in the store", where=str(path))
    new = signing.load_or_make(path)
    if new.verifier == old.verifier:
        what = "the ledger is that key's already"
        raise AssayError("C012", what, where=str(path), fix="name another file")
    signing.leave_secret(old, path)
    made = store.ledger.hand_over(old, signing.load(path), now)
    told = f"entry {made.seq} hands the ledger to key {new.verifier.key_id.hex()}"
    return made, f"{told}; from now on set ASSAY_SIGNING_KEY={shlex.quote(str(path))}"


def _in_folder(store: Store, head: Entry, now: str, require: Require) -> tuple[Entry, str]:
    key_id = key_rotation.key_after(head)
    path, next_ = config.signing_key(), config.signing_key().with_name("signing-key.next.pem")
    present = signing.load(path)
    if next_.exists() and signing.load(next_).verifier.key_id == key_id:
        _require_whole(store, signing.load(next_), require)
        made = head  # a change that died after its entry
    elif present.verifier.key_id == key_id:
        _require_whole(store, present, require)
        new = signing.load_or_make(next_)
        signing.leave_secret(present, next_)
        _keep(path, present)
        made = store.ledger.hand_over(present, new, now)
    else:  # another store's change has retired the key that signs this one
        old = _held(key_id)
        _require_whole(store, old, require)
        made = store.ledger.hand_over(old, present, now)
        told = f"entry {made.seq} hands the ledger to your key {present.verifier.key_id.hex()}"
        return made, told
    if signing.secret_path(next_).exists():
        signing.secret_path(next_).replace(signing.secret_path(path))
    next_.replace(path)
    atomic.sync_tree(path.parent)
    told = f"entry {made.seq} hands the ledger to a new key, {own().verifier.key_id.hex()}"
    advice = "other stores of yours follow by `assay ledger rotate --store DIR`"
    return made, f"{told}; the old one is kept beside it; {advice}"


def _require_whole(store: Store, trusted: Signer, require: Require) -> None:
    walked = verify.verify_ledger(store.ledger, trusted.verifier)
    refuse(walked.breaks)
    require(walked)


def _held(key_id: bytes) -> Signer:
    """Return this user's key of that id, present or earlier."""
    path = config.signing_key()
    if is_there() and own().verifier.key_id == key_id:
        return own()
    if not config.key_text() and _kept(path, key_id).exists():
        return signing.load(_kept(path, key_id))
    what = f"the ledger is key {key_id.hex()}'s, which is not here"
    raise AssayError("L007", what, fix="set ASSAY_SIGNING_KEY to the key's file")


def _keep(path: Path, present: Signer) -> None:
    kept = _kept(path, present.verifier.key_id)
    for old, copy in ((path, kept), (signing.secret_path(path), signing.secret_path(kept))):
        if old.exists() and not copy.exists():
            os.link(old, copy)


def _kept(path: Path, key_id: bytes) -> Path:
    return path.with_name(f"signing-key-{key_id.hex()}.pem")
