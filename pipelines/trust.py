"""Whose signature counts, and whether the ledger holds before anyone acts on what it says."""

from pathlib import Path
from typing import Any

from pipelines import config, keys
from pipelines.store import Store
from provenance import note, sign, verify
from provenance.entry import Entry
from provenance.errors import AssayError
from provenance.ledger import broken
from provenance.note import Checkpoint
from provenance.sign import Verifier
from provenance.verify import Verified

MAX_NOTE_BYTES = 1 << 20


def trusted(given: str | None = None) -> Verifier:
    """Return the key as given, else the pinned one, else this user's; never the store's own word.

    Args:
        given: PEM file of a public key, from the command line.

    Raises:
        AssayError: ASSAY-E003 if there is none, or it cannot be read.
    """
    if pinned := Path(given) if given else config.public_key():
        return sign.load_public(pinned)
    if not keys.is_there():
        fix = "set ASSAY_PUBLIC_KEY to the PEM file of the key you trust, or give --key"
        raise AssayError(
            "E003", "there is no key to verify with", where=str(config.signing_key()), fix=fix
        )
    return keys.own().verifier


def require_whole(store: Store) -> Verified:
    """Refuse a ledger that does not hold, by its first break; an empty one holds."""
    if not store.ledger.numbers():
        return Verified(0, b"", ())
    walked = verify.verify_ledger(store.ledger, trusted())
    for notice in walked.breaks[:1]:
        raise broken(notice.code.removeprefix("ASSAY-"), notice.message, Path(notice.where))
    return walked


def facts_of(store: Store, entry: Entry) -> dict[str, Any]:
    """Return the facts of an entry that nobody has vouched for; L004 if they are none."""
    try:
        return entry.facts
    except ValueError as error:
        what = f"entry {entry.seq} was edited"
        raise broken("L004", what, store.ledger.path_of(entry.seq)) from error


def vouched(store: Store, entry: Entry) -> Entry:
    """Return an entry that is whole and signed by this ledger's owner, without a walk if it can be.

    Raises:
        AssayError: ASSAY-L004 or L007 if it is not; L001 to L007 if another key than the user's
            signed it, and the whole ledger does not hold.
    """
    path, own = store.ledger.path_of(entry.seq), keys.own(make=True).verifier
    store.ledger.require_unedited(entry)
    if entry.key_id != own.key_id:
        require_whole(store)  # only the chain can vouch for another key's signature
    elif not entry.is_signed_by(own):
        raise broken("L007", f"entry {entry.seq} is not signed by the key it names", path)
    return entry


def checkpoint(path: str, keys: tuple[Verifier, ...]) -> Checkpoint:
    """Read a checkpoint that was kept elsewhere, signed by one of the ledger's keys.

    Raises:
        AssayError: ASSAY-C012 if there is no such file, L012 if it is no checkpoint, L007 if none
            of the keys has signed it.
    """
    return note.opened(read_text(path, "checkpoint"), list(keys), path)


def read_text(path: str, kind: str) -> str:
    """Return a small text file that the command line names; C012 if there is none."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_NOTE_BYTES + 1)
    except OSError as error:
        what = f"the {kind} cannot be read"
        raise AssayError("C012", what, where=path, fix="check the path") from error
    try:
        if len(content) <= MAX_NOTE_BYTES:
            return content.decode()
    except UnicodeDecodeError:
        pass
    raise AssayError("L012", f"this is no {kind}", where=path)
