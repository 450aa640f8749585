"""Checkpoints and proofs that leave the store, for people who do not trust this machine."""

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.store import keys, row_proof, trust
from pipelines.store.store import Store
from provenance.base import atomic
from provenance.base.errors import AssayError
from provenance.base.ordinals import ordinal
from provenance.ledger import checkpoint as note
from provenance.ledger import inclusion_proof, merkle, verify
from provenance.ledger.checkpoint import Checkpoint
from provenance.ledger.entry import Entry
from provenance.ledger.refusals import refuse
from provenance.ledger.verify import Verified


def checkpoint(store: Store) -> tuple[Checkpoint, str]:
    """Return a checkpoint of the whole ledger, and as a signed note.

    Raises:
        AssayError: ASSAY-C013 if the ledger is empty, L001 to L011 if it does not hold.
    """
    return _signed(_whole(store))


def of(
    store: Store, run: str | None, row: str | None, kept: str | None
) -> tuple[dict[str, Any], str]:
    """Prove an entry, or one row of a run.

    Args:
        store: holds the run.
        run: number of an entry of any kind, or `latest` for the last run.
        row: ordinal of a row of that run.
        kept: file of the checkpoint to prove against; None makes one.

    Raises:
        AssayError: ASSAY-C012 or C013 if there is no such thing, L002 or L008 if the checkpoint is
            not of this ledger, or older than the entry (C013).
    """
    if run is None:
        raise AssayError("C012", "name what to prove", fix="`assay ledger prove RUN [ROW]`")
    walked = _whole(store)
    if kept:
        seen = trust.checkpoint(kept, walked.keys)
        text = trust.read_text(kept, "checkpoint")
        _require_seen(walked, seen, kept)
    else:
        seen, text = _signed(walked)
    entry = _entry(store, run, walked, is_run=row is not None)
    if entry.seq >= seen.size:
        what = f"the checkpoint is older than entry {entry.seq}: it saw {seen.size} entries"
        raise AssayError("C013", what, where=kept or "", fix="make a new one")
    shown = row_proof.proven(store, entry, row) if row is not None else None
    told = f"proof of row {row} of run {entry.seq}" if row else f"proof of entry {entry.seq}"
    facts = {"schema": "assay.proof/1", "entry": entry.seq, "row": int(row) if row else None,
             "size": seen.size, "told": told}  # fmt: skip
    return facts, inclusion_proof.text_of(entry, walked.leaves[: seen.size], text, shown)


def _entry(store: Store, run: str, walked: Verified, *, is_run: bool) -> Entry:
    number = ordinal(run)
    if number is None or number >= walked.entries or is_run:
        return store.find(run)
    return store.ledger.read(number)


def since(store: Store, kept: str) -> tuple[dict[str, Any], str]:
    """Prove that the ledger only grew since a checkpoint; errors as of `of`."""
    walked = _whole(store)
    seen = trust.checkpoint(kept, walked.keys)
    _require_seen(walked, seen, kept)
    new, text = _signed(walked)
    path = "".join(f"{line}\n" for line in inclusion_proof.consistency_of(walked.leaves, seen.size))
    told = f"proof that {new.size} entries continue {seen.size}"
    facts = {"schema": "assay.proof/1", "since": seen.size, "size": new.size, "told": told}
    return facts, f"{CONSISTENCY}\nfrom {seen.size}\n{path}\n{text}"


CONSISTENCY = "assay.consistency/1"
PRIVATE = 0o600  # of a file with cells, or with the salt that hides them


def write(path: str | None, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file whole or not at all, over an older one; nothing if `path` is None."""
    if path is not None:
        atomic.write_output(Path(path), content, mode=mode)


def write_row(store: Store, run: str | None, row: str | None, path: str) -> None:
    """Write a row's content as a Parquet file of one row, typed as its digest sees it.

    It holds the row's cells, so it is for its owner only.
    """
    if run is None or row is None:
        raise AssayError("C012", "--row-file needs RUN and ROW", fix="see `assay ledger --help`")
    table = row_proof.content(store, store.find(run), row)
    sink = io.BytesIO()
    pq.write_table(table, sink)
    write(path, sink.getvalue(), mode=PRIVATE)


def _whole(store: Store) -> Verified:
    walked = trust.require_whole(store)
    if not walked.entries:
        raise AssayError("C013", "the ledger is empty", where=str(store.folder))
    return walked


def _signed(walked: Verified) -> tuple[Checkpoint, str]:
    root = merkle.Tree(walked.leaves).root()
    made = Checkpoint(note.origin_of(walked.leaves[0]), walked.entries, root)
    signer = keys.own()
    if signer.verifier != walked.keys[-1]:
        what = "your key is not the ledger's, so nobody would believe a checkpoint by it"
        raise AssayError("L007", what)
    return made, made.signed(signer)


def _require_seen(walked: Verified, seen: Checkpoint, where: str) -> None:
    refuse(verify.verify_checkpoint(walked, seen, where))
