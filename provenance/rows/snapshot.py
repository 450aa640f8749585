"""The snapshot: the files that ingest produces from a source, for later stages to read.

    shards         typed rows that could be cast, with row numbers and digests
    raw            texts of those rows that differ from what the typed values print as
                   (`shards.as_read`), one file per shard; none if the source is not text
    held           rows that could be split into cells but not cast, as read, with ROW; these are
                   quarantined
    held_findings  why rows are held (HELD_SCHEMA), one row per fault
    rejected       _row, _raw and _reason of rows that could not be split into cells
Every source row is in exactly one of shards, held and rejected.
"""

import dataclasses
import json
from pathlib import Path

import pyarrow as pa

from provenance.base.errors import Notice
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import ShardRef

REJECTED_SCHEMA = pa.schema([("_row", pa.int64()), ("_raw", pa.binary()), ("_reason", pa.string())])
HELD_SCHEMA = pa.schema(
    [("row", pa.int64()), ("code", pa.string()), ("column", pa.string()), ("evidence", pa.string())]
)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One file of the source, as it was when it was read.

    Attributes:
        name: path as the user gave it.
        format: such as `csv.gz`.
        size: in bytes.
        sha256: of the file, in hex.
        first_row: ordinal of its first row.
        rows: number of all its rows.
    """

    name: str
    format: str
    size: int
    sha256: str
    first_row: int
    rows: int


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """The snapshot's files by absolute path; `rows` counts every source row, read or rejected.

    `nested` has the types of the columns whose texts are JSON, where there was no contract.
    """

    folder: str
    rows: int
    sources: tuple[Source, ...]
    shards: tuple[ShardRef, ...]
    raw: tuple[str | None, ...]
    held: str | None
    held_findings: str | None
    rejected: str | None
    warnings: tuple[Notice, ...]
    nested: tuple[ColumnSpec, ...] = ()

    def save(self) -> Path:
        """Write the snapshot's facts next to its files."""
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
        facts["nested"] = tuple(map(ColumnSpec.of, facts["nested"]))
        return Snapshot(**facts)
