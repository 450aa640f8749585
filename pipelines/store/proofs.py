"""Checkpoints and proofs for people who do not trust this machine, and the rows they are about."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.store import decisions, keys, opinions, rebuild, row_history, trust
from pipelines.store.store import Store
from provenance.base import atomic
from provenance.base.errors import AssayError, Notice
from provenance.base.ordinals import ordinal
from provenance.ledger import checkpoint as note
from provenance.ledger import inclusion_proof, lineage, merkle
from provenance.ledger.checkpoint import Checkpoint
from provenance.ledger.entry import Entry
from provenance.ledger.lineage import RowIds
from provenance.ledger.verify import Verified
from provenance.rows import digest
from provenance.rows.shards import ROW
from provenance.rows.snapshot import Source

CONSISTENCY = "assay.consistency/1"
PRIVATE = 0o600  # mode of a file with cells, or with the salt that hides them


@dataclasses.dataclass(frozen=True, slots=True)
class Leaf:
    """A row's lineage in its run, its place in the Merkle tree, and all leaves of the tree."""

    lineage: pa.Table
    index: int
    leaves: list[bytes]

    def facts(self) -> dict[str, Any]:
        """Return the row's lineage by column."""
        facts: dict[str, Any] = self.lineage.to_pylist()[0]
        return facts


def checkpoint(store: Store) -> tuple[Checkpoint, str]:
    """Return a checkpoint of the whole ledger, also as a signed note.

    Raises:
        AssayError: ASSAY-C013 if the ledger is empty, L001 to L011 if it is not intact.
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
        AssayError: ASSAY-C012 or C013 if the entry or row does not exist, L002 or L008 if the
            ledger does not continue the checkpoint, C013 if the entry is newer than it.
    """
    if run is None:
        fix = "run `assay ledger prove RUN [ROW]`"
        raise AssayError("C012", "name the entry or row to prove", fix=fix)
    walked = _whole(store)
    if kept:
        base, text = trust.continued_checkpoint(walked, kept), trust.read_text(kept, "checkpoint")
    else:
        base, text = _signed(walked)
    number = ordinal(run)
    if row is None and number is not None and number < walked.entries:
        entry = store.ledger.read(number)
    else:
        entry = store.find(run)
    if entry.seq >= base.size:
        what = f"the checkpoint covers {base.size} entries, so it is older than entry {entry.seq}"
        raise AssayError("C013", what, where=kept or "", fix="make a new checkpoint")
    shown = _row_proof(store, entry, row) if row is not None else None
    title = f"proof of row {row} of run {entry.seq}" if row else f"proof of entry {entry.seq}"
    facts = {"schema": "assay.proof/1", "entry": entry.seq, "row": int(row) if row else None,
             "size": base.size, "told": title}  # fmt: skip
    return facts, inclusion_proof.text_of(entry, walked.leaves[: base.size], text, shown)


def since(store: Store, kept: str) -> tuple[dict[str, Any], str]:
    """Prove that the ledger has only grown since a checkpoint; errors as of `of`."""
    walked = _whole(store)
    old = trust.continued_checkpoint(walked, kept)
    new, text = _signed(walked)
    path = "".join(f"{line}\n" for line in inclusion_proof.consistency_of(walked.leaves, old.size))
    title = f"proof that the ledger of {new.size} entries extends the one of {old.size}"
    facts = {"schema": "assay.proof/1", "since": old.size, "size": new.size, "told": title}
    return facts, f"{CONSISTENCY}\nfrom {old.size}\n{path}\n{text}"


def write(path: str | None, content: bytes, *, mode: int = 0o666) -> None:
    """Write a file whole or not at all, over an older one; nothing if `path` is None."""
    if path is not None:
        atomic.write_output(Path(path), content, mode=mode)


def write_row(store: Store, run: str | None, row: str | None, path: str) -> None:
    """Write a row's content as a Parquet file of one row, typed as its digest covers it.

    The file holds the row's cells, so only its owner may read it.
    """
    if run is None or row is None:
        raise AssayError("C012", "--row-file needs RUN and ROW", fix="see `assay ledger --help`")
    sink = io.BytesIO()
    pq.write_table(_content(store, store.find(run), row), sink)
    write(path, sink.getvalue(), mode=PRIVATE)


def verify_row(store: Store, entry: Entry, row: str) -> tuple[str, list[Notice]]:
    """Recompute the digest of a row's content and the root of its run's lineage.

    Returns:
        What the row is, and what does not match.
    """
    found = _leaf_of(store, entry, row)
    folder = store.run_folder(entry.seq)
    breaks = []
    if (root := merkle.Tree(found.leaves).root().hex()) != entry.facts["lineage"]["root"]:
        recorded = entry.facts["lineage"]["root"]
        what = f"run {entry.seq}: the lineage root is {root}, but the entry records {recorded}"
        breaks.append(Notice("ASSAY-L011", what, str(folder / "lineage")))
    facts = found.facts()
    text = f"row {row} of run {entry.seq} is {facts['fate']}, in {facts['file']}"
    if _is_content_of(store, entry, row, found.lineage):
        return f"{text}, and its content matches the recorded digest", breaks
    if _is_altered(store, entry, int(row)):
        return f"{text}; a decision changed its content, so it cannot be compared", breaks
    if facts["fate"] == "clean" and _is_redacted(store, entry):
        return f"{text}; redaction changed its content, so it cannot be compared", breaks
    what = f"run {entry.seq}: row {row} does not match its recorded digest"
    return text, [*breaks, Notice("ASSAY-L011", what, str(folder / facts["file"]))]


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
        what = "your key is not the ledger's current key, so nobody would trust its checkpoint"
        raise AssayError("L007", what)
    return made, made.signed(signer)


def _leaf_of(store: Store, entry: Entry, row: str) -> Leaf:
    """Find a row of a run by its ordinal; C013 if the run does not have it."""
    number = ordinal(row)
    if number is None:
        raise AssayError(
            "C013",
            f"{row} is not a row number",
            fix="give a whole number; rows are numbered from 0",
        )
    source = row_history.source_of(entry, number)
    local = number - int(source["first_row"])
    sha256 = pa.scalar(bytes.fromhex(source["sha256"]), pa.binary(32))
    copy = row_history.copy_of(entry, source)
    found, index = None, -1
    leaves: list[bytes] = []
    for table in store.reader(entry).tables("lineage"):
        mine = pc.and_(
            pc.equal(table["source_row"], local), pc.equal(table["source_sha256"], sha256)
        )
        at = np.flatnonzero(mine.to_numpy() & (lineage.copy_in(table) == copy))
        if len(at):
            found, index = table.slice(int(at[0]), 1), len(leaves) + int(at[0])
        leaves += lineage.leaves(table)
    if found is None:
        where = str(store.run_folder(entry.seq))
        raise AssayError("L011", f"run {entry.seq} has no lineage for row {row}", where=where)
    return Leaf(found, index, leaves)


def _row_proof(store: Store, entry: Entry, row: str) -> dict[str, Any]:
    """Return what a proof says about a row in addition to its entry, as JSON values."""
    found = _leaf_of(store, entry, row)
    facts, secrets = found.facts(), _secrets(entry)
    shown = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in facts.items()
    }
    salt = secrets and lineage.salt_of(secrets[1], facts["source_sha256"], facts["source_row"])
    return {
        "lineage": shown,
        "index": found.index,
        "size": len(found.leaves),
        "path": [sibling.hex() for sibling in merkle.inclusion(found.leaves, found.index)],
        "salt": salt.hex() if salt else None,
    }


def _content(store: Store, entry: Entry, row: str) -> pa.Table:
    """Return a source row as its digest covers it: one row, typed where it could be cast.

    It comes from the run that read the source, since a release may have changed it. A clean row
    with redacted personal data has lost its original, so its id does not match.
    """
    base = store.ledger.read(row_history.base_of(entry))
    files = store.reader(base)
    facts = _leaf_of(store, base, row).facts()
    table = files.table(facts["file"]).slice(facts["file_row"], 1)
    if facts["fate"] == "clean":
        return table
    if facts["fate"] == "rejected":
        return table.select(["_raw"])
    contract = row_history.contract_of(files)
    as_read = rebuild.as_read(table).drop_columns([ROW])
    if any(item["check"] == "ingest" for item in row_history.findings_in(files, int(row))):
        return as_read  # the contract could not cast it
    return rebuild.typed_cells(as_read, contract, files.schema(files.names("clean")[0]))


def _is_content_of(store: Store, entry: Entry, row: str, placed: pa.Table) -> bool:
    plain = digest.of_rows(_content(store, entry, row))
    sources = tuple(Source(**item) for item in entry.facts["inputs"])
    ids = RowIds(sources, _secrets(entry)).of(plain, np.array([int(row)]))
    return np.array_equal(ids, lineage.ids_in(placed))


def _secrets(entry: Entry) -> tuple[bytes, bytes] | None:
    """Return the secrets behind keyed row ids, None where row ids are plain digests."""
    if not entry.facts["lineage"]["keyed"]:
        return None
    if not keys.is_there():
        what = f"row ids of run {entry.seq} are keyed, since its contract marks personal data"
        fix = "ask the owner of the signing key, who alone can compare rows or prove them"
        raise AssayError("E003", what, fix=fix)
    return lineage.secrets_of(keys.own())


def _is_altered(store: Store, entry: Entry, row: int) -> bool:
    """Return whether a decision changed what the run that read the source holds of a row."""
    base = store.ledger.read(row_history.base_of(entry))
    decision = decisions.applied(store, base).get(row)
    return decision is not None and decision.decision in opinions.ALTERS


def _is_redacted(store: Store, entry: Entry) -> bool:
    contract = row_history.contract_of(store.reader(store.ledger.read(row_history.base_of(entry))))
    return any(column.pii in ("redact", "pseudonymise") for column in contract.columns)
