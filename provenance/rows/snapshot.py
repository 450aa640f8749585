"""The snapshot: what ingest makes of a source, as files that later stages read.

    shards   typed rows that could be cast, with row numbers and digests
    raw      of the same rows the texts that the typed values do not print as (as_read), one file a
             shard; none where the shard is as read
    held     rows that could be split but not cast, as read, with ROW: they go to quarantine
    rejected _row, _raw, _reason of what could not be split into fields
    held_findings  why rows are held (HELD_SCHEMA), one row a fault
Every source row is in exactly one of shards, held and rejected.
"""

import dataclasses
import json
from pathlib import Path

import pyarrow as pa

from provenance.base.errors import Notice
from provenance.rows.shards import ShardRef

REJECTED_SCHEMA = pa.schema([("_row", pa.int64()), ("_raw", pa.binary()), ("_reason", pa.string())])
HELD_SCHEMA = pa.schema(
    [("row", pa.int64()), ("code", pa.string()), ("column", pa.string()), ("evidence", pa.string())]
)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One file of the source, as it was when read.

    Attributes:
        name: path as the user gave it; first_row: ordinal of its first row; rows: all its rows.
    """

    name: str
    format: str
    size: int
    sha256: str
    first_row: int
    rows: int


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """Paths are absolute; `rows` counts every source row, read or rejected."""

    folder: str
    rows: int
    sources: tuple[Source, ...]
    shards: tuple[ShardRef, ...]
    raw: tuple[str | None, ...]
    held: str | None
    held_findings: str | None
    rejected: str | None
    warnings: tuple[Notice, ...]

    def save(self) -> Path:
        """Write the snapshot's facts beside its files."""
        path = Path(self.folder) / "snapshot.json"
        path.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")
        return path

    @staticmethod
    def load(path: Path) -> "Snapshot":
        """Read what `save` wrote."""
        facts = json.loads(path.read_text(encoding="utf-8"))
        facts["sources"] = tuple(Source(**item) for item in facts["sources"])
        facts["shards"] = tuple(ShardRef(**item) for item in facts["shards"])
        facts["warnings"] = tuple(Notice(**item) for item in facts["warnings"])
        facts["raw"] = tuple(facts["raw"])
        return Snapshot(**facts)
