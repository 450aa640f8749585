"""Key rotation: an entry of its own passes the ledger from one signing key to the next.

In the folder of the signing key:
    signing-key.pem       the current key        signing-key-ID.pem   earlier ones
    signing-key.next.pem  the key about to take over; an interrupted rotation resumes with it
Secrets derived from a key (for pseudonyms and keyed row ids) pass on to the next one.
"""

import os
import shlex
from pathlib import Path

from pipelines import config
from pipelines.store import high_water, keys
from pipelines.store.store import Store
from pipelines.store.trust import Known
from provenance.base import atomic
from provenance.base.errors import AssayError
from provenance.ledger import key_rotation, signing, verify
from provenance.ledger.entry import Entry
from provenance.ledger.refusals import refuse
from provenance.ledger.signing import Signer


def rotate(store: Store, to: str | None, now: str) -> tuple[Entry, str]:
    """Pass an open store's ledger to another key.

    Args:
        store: holds the ledger, which must be intact.
        to: PEM file of the new key, created if missing; None for this user's own keys.
        now: the time as an ISO string.

    Returns:
        The rotation's entry, and what to tell the user.

    Raises:
        AssayError: ASSAY-C012 if `to` is missing or the ledger already has that key, L007 if the
            key that signs the ledger is not available, L001 to L008 if the ledger is not intact.
    """
    # this user's key may not be the ledger's yet, so `trust.require_whole` cannot be used
    known = Known.before(store)
    head = store.ledger.head()
    if head is None:
        raise AssayError("C013", "the ledger is empty", where=str(store.folder))
    if to:
        made, message = _to_file(known, key_rotation.key_after(head), Path(to), now)
    elif config.is_key_named():
        what = "ASSAY_SIGNING_KEY is set, so the new key needs a file of its own"
        fix = "run `assay ledger rotate --to FILE`, then set ASSAY_SIGNING_KEY to that file"
        raise AssayError("C012", what, fix=fix)
    else:
        made, message = _in_folder(known, head, now)
    high_water.advance(store, made)
    return made, message


def _to_file(known: Known, key_id: bytes, path: Path, now: str) -> tuple[Entry, str]:
    store, old = known.store, _available(key_id)
    _require_whole(known, old)
    if path.resolve().is_relative_to(store.folder.resolve()):
        raise AssayError("E003", "the signing key lies in the store", where=str(path))
    new = signing.load_or_make(path)
    if new.verifier == old.verifier:
        what = "the ledger already belongs to that key"
        raise AssayError("C012", what, where=str(path), fix="name a different file")
    signing.leave_secret(old, path)
    made = store.ledger.hand_over(old, signing.load(path), now)
    message = f"entry {made.seq} rotates the ledger to key {new.verifier.key_id.hex()}"
    return made, f"{message}; from now on set ASSAY_SIGNING_KEY={shlex.quote(str(path))}"


def _in_folder(known: Known, head: Entry, now: str) -> tuple[Entry, str]:
    ledger, key_id = known.store.ledger, key_rotation.key_after(head)
    path, next_ = config.signing_key(), config.signing_key().with_name("signing-key.next.pem")
    current = signing.load(path)
    if next_.exists() and signing.load(next_).verifier.key_id == key_id:
        _require_whole(known, signing.load(next_))
        made = head  # a rotation that died after its entry
    elif current.verifier.key_id == key_id:
        _require_whole(known, current)
        new = signing.load_or_make(next_)
        signing.leave_secret(current, next_)
        _keep(path, current)
        made = ledger.hand_over(current, new, now)
    else:  # the rotation of another store has already retired the key that signs this one
        old = _available(key_id)
        _require_whole(known, old)
        made = ledger.hand_over(old, current, now)
        message = f"entry {made.seq} rotates the ledger to your key {current.verifier.key_id.hex()}"
        return made, message
    if signing.secret_path(next_).exists():
        signing.secret_path(next_).replace(signing.secret_path(path))
    next_.replace(path)
    atomic.sync_tree(path.parent)
    message = (
        f"entry {made.seq} rotates the ledger to a new key, {keys.own().verifier.key_id.hex()}"
    )
    advice = "for your other stores run `assay ledger rotate --store DIR`"
    return made, f"{message}; the old key is kept in the same folder; {advice}"


def _require_whole(known: Known, trusted: Signer) -> None:
    walked = verify.verify_ledger(known.store.ledger, trusted.verifier)
    refuse(walked.breaks)
    known.require_continued(walked)


def _available(key_id: bytes) -> Signer:
    """Return this user's key with that id, current or earlier; L007 if there is none."""
    if keys.is_there() and keys.own().verifier.key_id == key_id:
        return keys.own()
    kept = _kept(config.signing_key(), key_id)
    if not config.key_text() and kept.exists():
        return signing.load(kept)
    what = f"the ledger is signed by key {key_id.hex()}, which is not available here"
    raise AssayError("L007", what, fix="set ASSAY_SIGNING_KEY to that key's file")


def _keep(path: Path, current: Signer) -> None:
    kept = _kept(path, current.verifier.key_id)
    for old, copy in ((path, kept), (signing.secret_path(path), signing.secret_path(kept))):
        if old.exists() and not copy.exists():
            os.link(old, copy)


def _kept(path: Path, key_id: bytes) -> Path:
    return path.with_name(f"signing-key-{key_id.hex()}.pem")
