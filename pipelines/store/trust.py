"""Whose signature counts, and whether the ledger holds before anyone acts on what it says."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines import config
from pipelines.store import high_water, keys
from pipelines.store.high_water import Seen
from pipelines.store.store import Store
from provenance.base import no_follow
from provenance.base.errors import AssayError
from provenance.ledger import checkpoint as note
from provenance.ledger import signing, verify
from provenance.ledger.checkpoint import Checkpoint
from provenance.ledger.entry import Entry
from provenance.ledger.refusals import broken, refuse
from provenance.ledger.signing import Verifier
from provenance.ledger.verify import Verified

MAX_NOTE_BYTES = 1 << 20


def trusted(given: str | None = None) -> Verifier:
    """Return the key as given, else the pinned one, else this user's; never the store's own word.

    Args:
        given: PEM file of a public key, from the command line.

    Raises:
        AssayError: ASSAY-E003 if there is none, or it cannot be read.
    """
    if pinned := Path(given) if given else config.public_key():
        return signing.load_public(pinned)
    if not keys.is_there():
        fix = "set ASSAY_PUBLIC_KEY to the PEM file of the key you trust, or give --key"
        raise AssayError(
            "E003", "there is no key to verify with", where=str(config.signing_key()), fix=fix
        )
    return keys.own().verifier


def require_whole(store: Store, kept: str | None = None) -> Verified:
    """Refuse a ledger that does not hold, or was turned back; an empty one holds if it is new.

    Args:
        store: whose ledger it is.
        kept: file of a checkpoint that it must hold against, by default ASSAY_CHECKPOINT.

    Raises:
        AssayError: ASSAY-L001 to L008 by the first break; L002 or L008 also if it is not what the
            checkpoint saw, or what this user has seen of it; L007 for an empty one that this
            user's key would begin although another is pinned; L012 or C012 if the checkpoint
            cannot be read.
    """
    known = Known.before(store, kept)
    if not store.ledger.numbers():
        _require_new(store, known)
        return Verified(0, b"", ())
    walked = verify.verify_ledger(store.ledger, trusted())
    refuse(walked.breaks)
    known.require_continued(walked)
    high_water.remember(store, walked.leaves, is_quiet=known.kept is not None)
    return walked


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What a ledger must continue: what this user has seen, what lies in the store, a checkpoint.

    Taken before the ledger is read, so that what is committed meanwhile is in the ledger, too.
    """

    store: Store
    seen: Seen
    placed: int
    kept: str | None

    @staticmethod
    def before(store: Store, kept: str | None = None) -> "Known":
        """Take what is known; `kept` is a checkpoint's file, by default ASSAY_CHECKPOINT."""
        return Known(store, Seen.before(store), store.last_placed(), kept or config.checkpoint())

    def require_continued(self, walked: Verified) -> None:
        """Refuse a ledger that holds, but was turned back; errors as of `require_whole`."""
        if self.placed > walked.entries:
            what = (
                f"there is a run or review {self.placed}, the ledger ends at {walked.entries - 1}"
            )
            raise broken("L002", what, self.store.run_folder(self.placed))
        if self.kept:
            held = checkpoint(self.kept, walked.keys)
            refuse(verify.verify_checkpoint(walked, held, self.kept))
        self.seen.require_continued(walked.leaves)


def once_open(store: Store, kept: str | None = None) -> Callable[[], Verified]:
    """Return `require_whole` of a store that is about to be opened, and made if it is gone."""
    high_water.forget_if_gone(store)
    return lambda: require_whole(store, kept)


def _require_new(store: Store, known: Known) -> None:
    """Refuse an empty ledger that was not always empty, or that nobody would trust."""
    where = store.ledger.folder
    if known.placed >= 0:
        what = f"the ledger is gone, and a run or review {known.placed} is left"
        raise broken("L002", what, where)
    if known.kept:
        size = note.parse(read_text(known.kept, "checkpoint"), known.kept)[0].size
        if size:
            what = f"the checkpoint saw {size} entries, the ledger is empty"
            raise broken("L002", what, Path(known.kept))
    known.seen.require_continued(())
    pinned = config.public_key()
    if pinned and not (keys.is_there() and keys.own().verifier == trusted()):
        what = "the ledger is empty, and your signing key is not the pinned one to begin it with"
        fix = "check --store and ASSAY_PUBLIC_KEY, or set ASSAY_SIGNING_KEY to the pinned key's own"
        raise AssayError("L007", what, where=str(where), fix=fix)


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
        # a link may lead to it; a pipe would be waited for, and is empty when it is read again
        with os.fdopen(no_follow.open_file(path, flags=no_follow.FOLLOWED), "rb") as file:
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
