"""One entry of the ledger: a body of facts, chained and signed.

    leaf = SHA-256(0x00 || DOMAIN || seq (8 bytes, big-endian) || prev || key_id || body)
    signature = Ed25519(DOMAIN || leaf)
so the signature covers the sequence number, the preceding entry, the key's id and every fact.
`body` is canonical JSON: sorted keys, no whitespace, UTF-8, no NaN.
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from provenance.ledger import merkle
from provenance.ledger.signing import Signer, Verifier

DOMAIN = b"assay.entry/1\n"
GENESIS = bytes(32)
KINDS = ("key", "run", "review", "release", "access", "compact", "anchor")

_SCHEMA = pa.schema(
    [
        ("seq", pa.uint64()),
        ("prev", pa.binary(32)),
        ("key_id", pa.binary(4)),
        ("body", pa.binary()),
        ("leaf", pa.binary(32)),
        ("sig", pa.binary(64)),
    ]
)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One entry as stored; `facts` is its parsed body."""

    seq: int
    prev: bytes
    key_id: bytes
    body: bytes
    leaf: bytes
    sig: bytes

    @property
    def facts(self) -> dict[str, Any]:
        """Return the body's facts; ValueError if it is not a JSON object."""
        try:
            facts = json.loads(self.body)
        except RecursionError:
            facts = None
        if not isinstance(facts, dict):
            message = "contains no facts"
            raise ValueError(message)  # noqa: TRY004  # like invalid JSON
        return facts

    @property
    def kind(self) -> str:
        """Return one of KINDS."""
        return str(self.facts["kind"])

    @property
    def content(self) -> bytes:
        """Return the bytes whose digest, as a leaf of a Merkle tree, is `leaf`."""
        return DOMAIN + self.seq.to_bytes(8, "big") + self.prev + self.key_id + self.body

    def expected_leaf(self) -> bytes:
        """Return the digest that `leaf` must equal."""
        return hashlib.sha256(merkle.LEAF + self.content).digest()

    def is_signed_by(self, verifier: Verifier) -> bool:
        """Return whether the signature was made by that key."""
        return self.key_id == verifier.key_id and verifier.holds(self.sig, DOMAIN + self.leaf)

    def to_parquet(self) -> bytes:
        """Return the entry's file."""
        return to_parquet([self], compression="none")


def make(seq: int, prev: bytes, facts: Mapping[str, Any], signer: Signer) -> Entry:
    """Chain and sign facts (JSON values only)."""
    body = canonical({**facts, "writer": _writer()})
    key_id = signer.verifier.key_id
    bare = Entry(seq, prev, key_id, body, b"", b"")
    leaf = bare.expected_leaf()
    return dataclasses.replace(bare, leaf=leaf, sig=signer.sign(DOMAIN + leaf))


def to_parquet(entries: Sequence[Entry], compression: str) -> bytes:
    """Return a file of entries, one row per entry."""
    columns = [[getattr(item, field.name) for item in entries] for field in _SCHEMA]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)]
    sink = io.BytesIO()
    table = pa.table(arrays, _SCHEMA)
    pq.write_table(table, sink, write_page_checksum=True, compression=compression)
    return sink.getvalue()


def parse(content: bytes) -> Entry:
    """Parse an entry's file; ValueError if it is not exactly what `to_parquet` writes."""
    entries, created_by = parse_all(content, 1)
    _check_bytes(entries[0], content, created_by)
    return entries[0]


def parse_all(content: bytes, count: int) -> tuple[list[Entry], str]:
    """Return the entries in a file of `count` entries, and its writer; ValueError if invalid."""
    try:
        file = pq.ParquetFile(io.BytesIO(content), page_checksum_verification=True)
        # checked first, because a few bytes can claim any number of rows
        table = file.read(use_threads=False) if file.metadata.num_rows == count else None
        created_by = str(file.metadata.created_by)
    except (OSError, ValueError, pa.ArrowException) as error:
        message = "is not a readable Parquet file"
        raise ValueError(message) from error
    if table is None or len(table) != count:
        message = f"does not contain {count} rows" if count > 1 else "does not contain one row"
        raise ValueError(message)
    if not table.schema.equals(_SCHEMA) or any(c.null_count for c in table.columns):
        message = "does not have an entry's columns"
        raise ValueError(message)
    entries = [Entry(**row) for row in table.to_pylist()]
    if any(item.leaf == item.expected_leaf() and not _has_valid_facts(item) for item in entries):
        message = "contains facts that no entry can have"
        raise ValueError(message)
    return entries, created_by


def canonical(facts: Mapping[str, Any]) -> bytes:
    """Return canonical JSON; `json.loads(canonical(x)) == x`."""
    text = json.dumps(
        facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def _has_valid_facts(item: Entry) -> bool:
    """Return whether the facts have the structure that a walk along the ledger relies on."""
    try:
        facts = item.facts
    except ValueError:
        return False
    files = facts.get("outputs", [])
    if facts.get("kind") not in KINDS or not isinstance(files, list):
        return False
    if facts["kind"] == "compact" and len(files) != 1:
        return False
    return all(
        isinstance(file, dict) and all(isinstance(file.get(k), str) for k in ("name", "sha256"))
        for file in files
    )


def _check_bytes(found: Entry, content: bytes, created_by: str) -> None:
    """Refuse a file with any byte that its writer did not write, even a meaningless one.

    The signed body names the writer, so no other version can be claimed; only the same version can
    reproduce the bytes for a comparison.
    """
    writer = found.facts.get("writer") if found.leaf == found.expected_leaf() else None
    if writer is None:
        return  # its digest does not match, which the walk reports with both digests
    if created_by != writer or (writer == _writer() and found.to_parquet() != content):
        message = "contains bytes that its writer did not write"
        raise ValueError(message)


def _writer() -> str:
    return f"parquet-cpp-arrow version {pa.__version__}"
