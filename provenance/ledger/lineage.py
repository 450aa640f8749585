"""Lineage: maps each source row to a row of an output file, with one root over all of it.

A lineage row's leaf is a zero byte followed by the row's encoding (rules joined by line feeds), so
a run's rows form an RFC 6962 tree in the order of the lineage's parts. Its root is in the run's
entry, and a path of hashes proves one row to someone who has nothing else of the run.

Row ids are plain digests. If the contract marks personal data, they are HMACs under a secret of the
signing key's owner, because the plain digest of a row with few possible values can be guessed. Each
row then also has a commitment, SHA-256(salt || plain digest), which only its own salt opens.
"""

import dataclasses
import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.base.errors import Notice
from provenance.ledger import merkle
from provenance.ledger.run_files import FATES
from provenance.ledger.signing import Signer
from provenance.rows import digest
from provenance.rows.shards import DIGEST_BYTES, packed, unpacked
from provenance.rows.snapshot import Source

ALGORITHM = f"rfc6962-{digest.ALGORITHM}"
LINEAGE_SCHEMA = pa.schema(
    [
        ("row_id", pa.binary(DIGEST_BYTES)),
        ("source_sha256", pa.binary(32)),
        ("source_row", pa.int64()),
        ("fate", pa.string()),
        ("file", pa.string()),
        ("file_row", pa.int64()),
        ("rules", pa.list_(pa.string())),
    ]
)
COPY = pa.field("copy", pa.int64())  # only where a run read the same bytes twice
DECISION = pa.field("decision", pa.int64())  # its entry, 0 for none; only where a run applied any
COMMITMENT = pa.field("commitment", pa.binary(DIGEST_BYTES))  # only where row ids are keyed


@dataclasses.dataclass(frozen=True, slots=True)
class RowIds:
    """Turns row digests into the ids that a run publishes.

    Attributes:
        sources: of the run, in order.
        secrets: for ids and for salts, 32 bytes each; None if plain digests may be published.
    """

    sources: tuple[Source, ...]
    secrets: tuple[bytes, bytes] | None = None

    def of(self, digests: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return ids, uint8 (n, 32), or (n, 64) with each row's commitment after its id."""
        if self.secrets is None:
            return digests
        for_ids, for_salts = self.secrets
        hashes = [bytes.fromhex(source.sha256) for source in self.sources]
        which, local = _places(self.sources, rows)
        out = bytearray()
        for plain, source, row in zip(
            np.ascontiguousarray(digests).view(f"V{DIGEST_BYTES}").ravel().tolist(),
            which.tolist(),
            local.tolist(),
            strict=True,
        ):
            salt = salt_of(for_salts, hashes[source], row)
            out += hmac.digest(for_ids, plain, "sha256")
            out += hashlib.sha256(salt + plain).digest()
        return np.frombuffer(bytes(out), np.uint8).reshape(-1, 2 * DIGEST_BYTES)

    def keyed(self, digests: np.ndarray) -> np.ndarray:
        """Return ids without commitments, uint8 (n, 32)."""
        if self.secrets is None:
            return digests
        plain = np.ascontiguousarray(digests).view(f"V{DIGEST_BYTES}").ravel().tolist()
        out = b"".join(hmac.digest(self.secrets[0], each, "sha256") for each in plain)
        return np.frombuffer(out, np.uint8).reshape(-1, DIGEST_BYTES)


def secrets_of(signer: Signer) -> tuple[bytes, bytes]:
    """Return the secrets for keyed ids and for their salts, which survive key rotations."""
    return signer.derived("row-id"), signer.derived("row-salt")


def salt_of(secret: bytes, source_sha256: bytes, source_row: int) -> bytes:
    """Return the 32 bytes that open one row's commitment."""
    return hmac.digest(secret, source_sha256 + source_row.to_bytes(8, "big"), "sha256")


def copies_of(sources: Sequence[Source]) -> np.ndarray:
    """Return how many files with the same bytes come before each: int64, shape (sources,).

    With it, digest and ordinal name one row also where two folders hold the same file.
    """
    seen: Counter[str] = Counter()
    found = []
    for source in sources:
        found.append(seen[source.sha256])
        seen[source.sha256] += bool(source.rows)
    return np.array(found, np.int64)


def copy_in(table: pa.Table) -> np.ndarray:
    """Return the copy of its file that each lineage row is of: int64, shape (n,)."""
    if COPY.name not in table.column_names:
        return np.zeros(len(table), np.int64)
    return np.asarray(table[COPY.name].to_numpy())


def ordinals_in(table: pa.Table, sources: Sequence[Source]) -> np.ndarray:
    """Return the ordinals of lineage rows in their run: int64, shape (n,); -1 for no row of it."""
    copies = copies_of(sources)
    hashes = table["source_sha256"].combine_chunks().dictionary_encode()
    places = {item.hex(): place for place, item in enumerate(hashes.dictionary.to_pylist())}
    firsts = np.zeros((len(places), 1 + copies.max(initial=0)), np.int64)
    counts = np.zeros_like(firsts)
    for source, copy in zip(sources, copies.tolist(), strict=True):
        if source.rows and source.sha256 in places:
            firsts[places[source.sha256], copy] = source.first_row
            counts[places[source.sha256], copy] = source.rows
    copy, local = copy_in(table), table["source_row"].to_numpy()
    is_known = (copy >= 0) & (copy < firsts.shape[1])
    at = hashes.indices.to_numpy(), np.where(is_known, copy, 0)
    is_known &= (local >= 0) & (local < counts[at])
    return np.where(is_known, firsts[at] + local, -1)


def table_of(
    sources: tuple[Source, ...], rows: np.ndarray, ids: np.ndarray, placed: tuple[str, str],
    rules: pa.Array, decisions: pa.Array | None = None,
) -> pa.Table:  # fmt: skip
    """Return the lineage of the rows of one file, in the file's order.

    Args:
        sources: of the run.
        rows: int64, shape (n,), ordinals.
        ids: uint8, shape (n, 32) or (n, 64), from `RowIds.of`.
        placed: fate and file.
        rules: list<string>, shape (n,), ids of the rules that flagged each row.
        decisions: int64, shape (n,), entries of the decisions that gave rows their fate, 0 for
            none; None if the run applied no decision.
    """
    which, local = _places(sources, rows)
    hashes = pa.array([bytes.fromhex(source.sha256) for source in sources], pa.binary(32))
    columns = [
        packed(ids[:, :DIGEST_BYTES]),
        hashes.take(pa.array(which)),
        pa.array(local, pa.int64()),
        *(pa.repeat(pa.scalar(text), len(rows)) for text in placed),
        pa.array(np.arange(len(rows)), pa.int64()),
        rules,
    ]
    table = pa.table(columns, LINEAGE_SCHEMA)
    if (copies := copies_of(sources)).any():
        table = table.append_column(COPY, pa.array(copies[which]))
    if decisions is not None:
        table = table.append_column(DECISION, decisions)
    if ids.shape[1] > DIGEST_BYTES:
        table = table.append_column(COMMITMENT, packed(ids[:, DIGEST_BYTES:]))
    return table


def ids_in(table: pa.Table) -> np.ndarray:
    """Return the ids of lineage rows as `RowIds.of` returned them."""
    names = [name for name in ("row_id", "commitment") if name in table.column_names]
    return np.hstack([unpacked(table[name]) for name in names])


def leaves(table: pa.Table) -> list[bytes]:
    """Return the tree's leaf hash of each lineage row, 32 bytes each."""
    place = table.column_names.index("rules")
    joined = pc.binary_join(table["rules"].combine_chunks(), "\n")
    flat = table.set_column(place, "rules", joined)
    hashed = digest.of_rows(flat, prefix=merkle.LEAF)
    made: list[bytes] = hashed.view(f"V{DIGEST_BYTES}").ravel().tolist()
    return made


def verify(parts: Iterable[pa.Table], run: int, facts: dict[str, Any], where: str) -> list[Notice]:
    """Recompute the root, and check that each source row has exactly one fate.

    Args:
        parts: of the run's lineage, in the order of the tree's leaves.
        run: its number, for messages.
        facts: of its entry.
        where: folder of the parts, for messages.
    """
    sources = [Source(**item) for item in facts["inputs"]]
    counts = np.zeros(sum(source.rows for source in sources), np.int64)
    tree, fates = merkle.Tree(), dict.fromkeys(FATES, 0)
    for table in parts:
        tree.extend(leaves(table))
        for fate in table["fate"].value_counts().to_pylist():
            fates[fate["values"]] = fates.get(fate["values"], 0) + fate["counts"]
        rows = ordinals_in(table, sources)
        counts += np.bincount(rows[rows >= 0], minlength=len(counts))
    found = []
    recorded = facts["lineage"]["root"]
    if (root := tree.root().hex()) != recorded:
        what = f"run {run}: the root of the lineage is {root}, but {recorded} is recorded"
        found.append(Notice("ASSAY-L011", what, where))
    if fates != {name: facts["rows"].get(name) for name in fates} or (counts != 1).any():
        what = f"run {run}: not every source row has exactly one fate in the lineage"
        found.append(Notice("ASSAY-L011", what, where))
    return found


def _places(sources: tuple[Source, ...], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of each row's source, and the row's ordinal in that source."""
    firsts = np.array([source.first_row for source in sources])
    which = np.searchsorted(firsts, rows, side="right") - 1
    return which, rows - firsts[which]
