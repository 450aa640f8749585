"""Lineage: which source row is which row of which file, and one root over all of it.

A lineage row's leaf is the row digest of its cells (rules joined by line feeds) behind a zero byte,
so a run's rows form an RFC 6962 tree in the order of the lineage's parts; its root is in the run's
entry, and a path of hashes proves one row to whoever holds nothing else of the run.

Row ids are plain digests, or, where the contract marks personal data, HMACs under a secret of the
signing key's owner: a plain digest of a row with few possible values can be guessed. Then each row
also has a commitment, SHA-256(salt || plain digest), which its own salt opens and no other's.
"""

import dataclasses
import hashlib
import hmac
from collections.abc import Iterable
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
COMMITMENT = pa.field("commitment", pa.binary(DIGEST_BYTES))  # only where row ids are keyed


@dataclasses.dataclass(frozen=True, slots=True)
class RowIds:
    """Turns row digests into the ids that a run publishes.

    Attributes:
        sources: of the run, in order.
        secrets: for ids and for salts, 32 bytes each; None where plain digests may be published.
    """

    sources: tuple[Source, ...]
    secrets: tuple[bytes, bytes] | None = None

    def of(self, digests: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return ids, uint8 (n, 32), or (n, 64) with each row's commitment behind its id."""
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


def secrets_of(signer: Signer) -> tuple[bytes, bytes]:
    """Return the secrets for keyed ids and for their salts; the same through changes of key."""
    return signer.derived("row-id"), signer.derived("row-salt")


def salt_of(secret: bytes, source_sha256: bytes, source_row: int) -> bytes:
    """Return the 32 bytes that open one row's commitment."""
    return hmac.digest(secret, source_sha256 + source_row.to_bytes(8, "big"), "sha256")


def table_of(
    sources: tuple[Source, ...], rows: np.ndarray, ids: np.ndarray, placed: tuple[str, str],
    rules: pa.Array,
) -> pa.Table:  # fmt: skip
    """Return the lineage of rows that stand in one file in this order.

    Args:
        sources: of the run.
        rows: int64, shape (n,), ordinals.
        ids: uint8, shape (n, 32) or (n, 64), from `RowIds.of`.
        placed: fate and file.
        rules: list<string>, shape (n,).
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
    if ids.shape[1] > DIGEST_BYTES:
        table = table.append_column(COMMITMENT, packed(ids[:, DIGEST_BYTES:]))
    return table


def ids_in(table: pa.Table) -> np.ndarray:
    """Return the ids of lineage rows as `RowIds.of` made them."""
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
        facts: its entry's.
        where: the parts lie, for messages.
    """
    sources = [Source(**item) for item in facts["inputs"]]
    seen = {bytes.fromhex(source.sha256): np.zeros(source.rows, np.int64) for source in sources}
    often = {bytes.fromhex(source.sha256): 0 for source in sources}
    for source in sources:
        often[bytes.fromhex(source.sha256)] += 1
    tree, fates = merkle.Tree(), dict.fromkeys(FATES, 0)
    for table in parts:
        tree.extend(leaves(table))
        for fate in table["fate"].value_counts().to_pylist():
            fates[fate["values"]] = fates.get(fate["values"], 0) + fate["counts"]
        for source in table["source_sha256"].unique().to_pylist():
            local = table.filter(pc.equal(table["source_sha256"], source))["source_row"].to_numpy()
            if (
                source in seen
                and len(local)
                and local.min() >= 0
                and local.max() < len(seen[source])
            ):
                seen[source] += np.bincount(local, minlength=len(seen[source]))
    found = []
    if (root := tree.root().hex()) != facts["lineage"]["root"]:
        what = f"run {run}: the lineage's root is {root}, recorded {facts['lineage']['root']}"
        found.append(Notice("ASSAY-L011", what, where))
    if fates != {name: facts["rows"].get(name) for name in fates} or any(
        (counts != often[source]).any() for source, counts in seen.items()
    ):
        what = f"run {run}: not every source row has exactly one fate in the lineage"
        found.append(Notice("ASSAY-L011", what, where))
    return found


def _places(sources: tuple[Source, ...], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which source each row is of, and its ordinal there."""
    firsts = np.array([source.first_row for source in sources])
    which = np.searchsorted(firsts, rows, side="right") - 1
    return which, rows - firsts[which]
