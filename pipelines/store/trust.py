"""Whose signature counts, and whether the ledger is intact before anyone acts on what it says."""

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines import config
from pipelines.store import high_water, keys, unrecorded
from pipelines.store.high_water import Remembered
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
    """Return the key given, else the pinned one, else this user's; never one the store names.

    Args:
        given: PEM file of a public key, from the command line.

    Raises:
        AssayError: ASSAY-E003 if there is none, or it cannot be read.
    """
    if pinned := Path(given) if given else config.public_key():
        return signing.load_public(pinned)
    if not keys.is_there():
        what, where = "there is no key to verify with", str(config.signing_key())
        fix = "set ASSAY_PUBLIC_KEY to the PEM file of the key you trust, or pass --key FILE"
        raise AssayError("E003", what, where=where, fix=fix)
    return keys.own().verifier


def require_whole(store: Store, kept: str | None = None) -> Verified:
    """Refuse a ledger that is not intact or was rolled back; an empty one must be new.

    Args:
        store: holds the ledger.
        kept: file of a checkpoint that it must continue, by default ASSAY_CHECKPOINT.

    Raises:
        AssayError: ASSAY-L001 to L008 for the first break; L002 or L008 also if it does not
            continue the checkpoint or what this user has seen; L007 for an empty ledger that this
            user's key would begin although another key is pinned; L012 or C012 if the checkpoint
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

    Gathered before the ledger is read, so that what is committed meanwhile is in the ledger too.
    """

    store: Store
    remembered: Remembered
    last_number: int
    kept: str | None

    @staticmethod
    def before(store: Store, kept: str | None = None) -> "Known":
        """Gather what is known; `kept` is a checkpoint's file, by default ASSAY_CHECKPOINT."""
        remembered, last = Remembered.before(store), unrecorded.last_number(store)
        return Known(store, remembered, last, kept or config.checkpoint())

    def require_continued(self, walked: Verified) -> None:
        """Refuse an intact ledger that was rolled back; errors as of `require_whole`."""
        if self.last_number > walked.entries:
            end = walked.entries - 1
            what = f"run or review {self.last_number} exists, but the ledger ends at entry {end}"
            raise broken("L002", what, self.store.run_folder(self.last_number))
        if self.kept:
            continued_checkpoint(walked, self.kept)
        self.remembered.require_continued(walked.leaves)


def once_open(store: Store, kept: str | None = None) -> Callable[[], Verified]:
    """Return `require_whole` for a store about to be opened, and created if it is gone."""
    high_water.forget_if_gone(store)
    return lambda: require_whole(store, kept)


def _require_new(store: Store, known: Known) -> None:
    """Refuse an empty ledger that was not always empty, or that nobody would trust."""
    where = store.ledger.folder
    if known.last_number >= 0:
        what = f"the ledger is gone, but run or review {known.last_number} is still there"
        raise broken("L002", what, where)
    if known.kept:
        size = note.parse(read_text(known.kept, "checkpoint"), known.kept)[0].size
        if size:
            what = f"the checkpoint covers {size} entries, but the ledger is empty"
            raise broken("L002", what, Path(known.kept))
    known.remembered.require_continued(())
    pinned = config.public_key()
    if pinned and not (keys.is_there() and keys.own().verifier == trusted()):
        what = "the ledger is empty, and only the pinned key may begin it, which yours is not"
        fix = "check --store and ASSAY_PUBLIC_KEY, or sign with the pinned key: ASSAY_SIGNING_KEY"
        raise AssayError("L007", what, where=str(where), fix=fix)


def facts_of(store: Store, entry: Entry) -> dict[str, Any]:
    """Return the facts of an entry that nobody has vouched for; L004 if they are not JSON."""
    try:
        return entry.facts
    except ValueError as error:
        what = f"entry {entry.seq} was edited"
        raise broken("L004", what, store.ledger.path_of(entry.seq)) from error


class Vouching:
    """Vouches for entries of a store's ledger, which is walked once for all that need it."""

    def __init__(self, store: Store) -> None:
        """Vouch for entries of a store; nothing is read yet."""
        self._store = store
        self._leaves: tuple[bytes, ...] = ()

    def __call__(self, entry: Entry) -> Entry:
        """Return an entry that is unedited and signed by the ledger's owner.

        Raises:
            AssayError: ASSAY-L004 or L007 if it is not; L001 to L007 if a key other than the user's
                signed it, and the whole ledger is not intact.
        """
        path = self._store.ledger.path_of(entry.seq)
        self._store.ledger.require_unedited(entry)
        if entry.key_id != self._own.key_id:
            # only the chain can vouch for another key's signature
            if not self._has(entry):
                self._leaves = require_whole(self._store).leaves
            if not self._has(entry):
                raise broken("L004", f"entry {entry.seq} is not the one in the ledger", path)
        elif not entry.is_signed_by(self._own):
            raise broken("L007", f"entry {entry.seq} is not signed by the key it names", path)
        return entry

    @functools.cached_property
    def _own(self) -> Verifier:
        return keys.own(make=True).verifier

    def _has(self, entry: Entry) -> bool:
        return entry.seq < len(self._leaves) and self._leaves[entry.seq] == entry.leaf


def vouched(store: Store, entry: Entry) -> Entry:
    """Return an entry that is unedited and signed by the ledger's owner: see `Vouching`."""
    return Vouching(store)(entry)


def checkpoint(path: str, keys: tuple[Verifier, ...]) -> Checkpoint:
    """Read a checkpoint kept elsewhere and signed by one of the ledger's keys.

    Raises:
        AssayError: ASSAY-C012 if there is no such file, L012 if it is not a checkpoint, L007 if
            none of the keys has signed it.
    """
    return note.opened(read_text(path, "checkpoint"), list(keys), path)


def continued_checkpoint(walked: Verified, path: str) -> Checkpoint:
    """Read a checkpoint as above; L002 or L008 if the ledger does not continue it."""
    found = checkpoint(path, walked.keys)
    refuse(verify.verify_checkpoint(walked, found, path))
    return found


def read_text(path: str, kind: str) -> str:
    """Return a small text file named on the command line; C012 if it cannot be read."""
    try:
        # a symlink may lead to it; a pipe would block, and be empty when it is read again
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
    raise AssayError("L012", f"this is not a {kind}", where=path)
