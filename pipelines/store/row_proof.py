"""One row of a run: its content, its lineage, and the hashes that prove both to a stranger."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.store import keys, rebuild, row_history
from pipelines.store.store import Store
from provenance.base.errors import AssayError, Notice
from provenance.base.ordinals import ordinal
from provenance.ledger import lineage, merkle
from provenance.ledger.entry import Entry
from provenance.ledger.lineage import RowIds
from provenance.rows import digest
from provenance.rows.shards import ROW
from provenance.rows.snapshot import Source


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A row in its run: one row of lineage, its place in the tree, and all of the tree's leaves."""

    lineage: pa.Table
    index: int
    leaves: list[bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class RowVerified:
    """What the verification of one row told."""

    told: str
    breaks: tuple[Notice, ...]


def find(store: Store, entry: Entry, row: str) -> Found:
    """Find a row of a run by its ordinal; C013 if there is none."""
    number = ordinal(row)
    if number is None:
        raise AssayError("C013", f"{row} is not a row", fix="rows are numbers from 0")
    source = row_history.source_of(entry, number)
    local = number - int(source["first_row"])
    sha256 = pa.scalar(bytes.fromhex(source["sha256"]), pa.binary(32))
    found, index = None, -1
    leaves: list[bytes] = []
    for table in store.reader(entry).tables("lineage"):
        mine = pc.and_(
            pc.equal(table["source_row"], local), pc.equal(table["source_sha256"], sha256)
        )
        at = np.flatnonzero(mine.to_numpy())
        if len(at):
            found, index = table.slice(int(at[0]), 1), len(leaves) + int(at[0])
        leaves += lineage.leaves(table)
    if found is None:
        where = str(store.run_folder(entry.seq))
        raise AssayError("L011", f"run {entry.seq} has no lineage of row {row}", where=where)
    return Found(found, index, leaves)


def content(store: Store, entry: Entry, row: str) -> pa.Table:
    """Return a source row as its digest sees it: one row, typed where it could be cast.

    It is read from the run that read the source, since a release may have changed it. A clean row
    in which personal data was redacted has lost its original, so its id does not match.
    """
    base = store.ledger.read(row_history.base_of(entry))
    files = store.reader(base)
    placed = find(store, base, row).lineage.to_pylist()[0]
    table = files.table(placed["file"]).slice(placed["file_row"], 1)
    if placed["fate"] == "clean":
        return table
    if placed["fate"] == "rejected":
        return table.select(["_raw"])
    contract = row_history.contract_of(files)
    as_read = rebuild.as_read(table).drop_columns([ROW])
    uncast = row_history.findings_in(files, int(row))
    if any(item["check"] == "ingest" for item in uncast):
        return as_read
    return rebuild.typed(as_read, contract, files.schema(files.names("clean")[0]))


def salt(entry: Entry, placed: dict[str, Any]) -> bytes | None:
    """Return what opens a row's commitment, None where row ids are plain digests."""
    secrets = _secrets(entry)
    if secrets is None:
        return None
    return lineage.salt_of(secrets[1], placed["source_sha256"], placed["source_row"])


def verify_row(store: Store, entry: Entry, row: str) -> RowVerified:
    """Recompute the digest of one row's content and the root of its run's lineage."""
    found = find(store, entry, row)
    folder = store.run_folder(entry.seq)
    breaks = []
    if (root := merkle.Tree(found.leaves).root().hex()) != entry.facts["lineage"]["root"]:
        what = f"run {entry.seq}: the lineage's root is {root}, recorded"
        told = f"{what} {entry.facts['lineage']['root']}"
        breaks.append(Notice("ASSAY-L011", told, str(folder / "lineage")))
    placed = found.lineage.to_pylist()[0]
    place = f"row {row} of run {entry.seq} is {placed['fate']}, in {placed['file']}"
    if _is_content_of(store, entry, row, found.lineage):
        return RowVerified(f"{place}, and its content has the recorded digest", tuple(breaks))
    if placed["fate"] == "clean" and _is_changed(store, entry):
        told = f"{place}; its content was changed by redaction and cannot be compared"
        return RowVerified(told, tuple(breaks))
    what = f"run {entry.seq}: row {row} does not have its recorded digest"
    breaks.append(Notice("ASSAY-L011", what, str(folder / placed["file"])))
    return RowVerified(place, tuple(breaks))


def proven(store: Store, entry: Entry, row: str) -> dict[str, Any]:
    """Return what a proof says of a row beside its entry, as JSON values."""
    found = find(store, entry, row)
    placed = found.lineage.to_pylist()[0]
    opening = salt(entry, placed)
    shown = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in placed.items()
    }
    return {
        "lineage": shown,
        "index": found.index,
        "size": len(found.leaves),
        "path": [beside.hex() for beside in merkle.inclusion(found.leaves, found.index)],
        "salt": opening.hex() if opening else None,
    }


def _is_content_of(store: Store, entry: Entry, row: str, placed: pa.Table) -> bool:
    plain = digest.of_rows(content(store, entry, row))
    sources = tuple(Source(**item) for item in entry.facts["inputs"])
    ids = RowIds(sources, _secrets(entry)).of(plain, np.array([int(row)]))
    return np.array_equal(ids, lineage.ids_in(placed))


def _secrets(entry: Entry) -> tuple[bytes, bytes] | None:
    if not entry.facts["lineage"]["keyed"]:
        return None
    if not keys.is_there():
        what = f"row ids of run {entry.seq} are keyed, for its contract marks personal data"
        fix = "only the owner of the signing key can compare rows or prove them"
        raise AssayError("E003", what, fix=fix)
    return lineage.secrets_of(keys.own())


def _is_changed(store: Store, entry: Entry) -> bool:
    contract = row_history.contract_of(store.reader(store.ledger.read(row_history.base_of(entry))))
    return any(column.pii in ("redact", "pseudonymise") for column in contract.columns)
