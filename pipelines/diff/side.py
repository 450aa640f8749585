"""One side of a comparison: a committed run or release, and what its own files say of its rows.

A row's content is what the source held, as its row id covers it: typed cells, or the raw bytes of
a rejected row. Cells never leave this module but for the key's.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from checks.kit.contract_model import Contract
from pipelines.store import row_history
from pipelines.store.row_history import Decision
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger.entry import Entry
from provenance.ledger.run_reader import RunReader
from provenance.rows import cast, digest
from provenance.rows.shard_parts import whole
from provenance.rows.shards import unpacked

FATES = ("clean", "quarantine", "rejected")
WORDS = 4  # 64-bit words of a digest
ROWS = pa.schema(
    [
        ("row", pa.int64()),
        ("shared", pa.int64()),
        ("file", pa.int32()),
        ("place", pa.int32()),
        ("fate", pa.int8()),
        *((f"d{word}", pa.uint64()) for word in range(WORDS)),
    ]
)


@dataclasses.dataclass(frozen=True)
class Side:
    """A run whose files hold.

    Attributes:
        entry: of the run; base: of the run that read its source, itself if it is no release.
        files: of the run.
        contract: as the run's own copy has it.
        schema: the columns of its clean files.
        decisions: those that a release has applied, by row.
    """

    entry: Entry
    base: Entry
    files: RunReader
    contract: Contract
    schema: pa.Schema
    decisions: Mapping[int, Decision]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Return the entry's facts, read once."""
        return self.entry.facts

    @cached_property
    def inputs(self) -> dict[str, Mapping[str, Any]]:
        """Return the files of the source by their sha256."""
        return {item["sha256"]: item for item in self.facts["inputs"]}

    @cached_property
    def models(self) -> dict[str, str]:
        """Return the sha256 of the fitted model of each check; a release has its base's."""
        paths = ((Path(file["name"]), file["sha256"]) for file in self.base.facts["outputs"])
        return {path.stem: sha256 for path, sha256 in paths if path.parts[0] == "models"}

    @cached_property
    def placed(self) -> list[str]:
        """Return the names of the files that rows lie in; `file` in ROWS counts them."""
        names = (file["name"] for file in self.facts["outputs"])
        return [name for name in names if name.partition("/")[0] in FATES]

    @property
    def is_keyed(self) -> bool:
        """Return whether its row ids are made with a secret, as for personal data."""
        return bool(self.facts.get("lineage", {}).get("keyed"))

    def rows(self, shared: Mapping[str, int], columns: list[str] | None) -> Iterator[pa.Table]:
        """Yield where each row lies and what it holds, part by part.

        Args:
            shared: sha256 of the source files that the other side read too, to the number that
                both give to their first row.
            columns: whose cells to digest; None for the row ids.

        Returns:
            ROWS: `shared` is null for a row of another file; `d0` to `d3` are the words of the
            content's digest.
        """
        names = ["row_id", "source_row", "source_sha256"]
        if len(self.inputs) == 1:
            names.pop()
        for name in self.files.names("lineage"):
            with self.files.opened(name) as source:
                part = pq.ParquetFile(source, page_checksum_verification=True)
                first = next(part.iter_batches(1, columns=["file"]), None)
                if first is not None:
                    file = first["file"][0].as_py()  # a part is of one file, row by row
                    lineage = part.read(names)
                    ids = lineage["row_id"]
                    digests = self.contents(file, columns) if columns else unpacked(ids)
                    yield self._placed(file, lineage, shared, digests)

    def _placed(
        self, file: str, lineage: pa.Table, shared: Mapping[str, int], digests: np.ndarray
    ) -> pa.Table:
        count, local = len(lineage), whole(lineage["source_row"])
        own, common = self._starts(lineage, shared)
        words = np.ascontiguousarray(digests).view(np.uint64)
        fate = FATES.index(file.partition("/")[0])
        return pa.table(
            [
                pc.add(local, own),
                pc.add(local, common),
                pa.repeat(pa.scalar(self.placed.index(file), pa.int32()), count),
                pa.array(np.arange(count, dtype=np.int32)),
                pa.repeat(pa.scalar(fate, pa.int8()), count),
                *(pa.array(np.ascontiguousarray(words[:, word])) for word in range(WORDS)),
            ],
            ROWS,
        )

    def _starts(self, lineage: pa.Table, shared: Mapping[str, int]) -> list[Any]:
        """Return, for each row or for all, the numbers of the first row of its source file."""
        if "source_sha256" in lineage.column_names:
            hashes = whole(lineage["source_sha256"]).dictionary_encode()
            names = [item.hex() for item in hashes.dictionary.to_pylist()]
        else:
            hashes, names = None, list(self.inputs)
        own = [self.inputs[name]["first_row"] for name in names]
        starts = [pa.array(found, pa.int64()) for found in (own, list(map(shared.get, names)))]
        return [each.take(hashes.indices) if hashes else each[0] for each in starts]

    def contents(self, file: str, columns: list[str]) -> np.ndarray:
        """Return digests of the cells of some columns, uint8 (n, 32), in the file's order."""
        if file.startswith("rejected/"):
            return digest.of_rows(self.files.table(file, ["_raw"]))
        table = self.files.table(file, columns)
        typed, is_bad = self._typed(table)
        digests = digest.of_rows(typed)
        if is_bad.any():
            digests = digests.copy()
            digests[is_bad] = digest.of_rows(table.filter(pa.array(is_bad)))
        return digests

    def keys(self, file: str, columns: Sequence[str], at: np.ndarray) -> pa.Table:
        """Return the keys of some rows of a file, typed; null where the row has none to read."""
        if file.startswith("rejected/"):
            nulls = [pa.nulls(len(at), self.type_of(name)) for name in columns]
            return pa.table(nulls, names=list(columns))
        table = self.files.table(file, list(columns)).take(pa.array(at))
        return self._typed(table)[0]

    def type_of(self, column: str) -> pa.DataType:
        """Return the type of a column's cells in the clean files, whether in a dictionary."""
        return _plain(self.schema.field(column).type)

    def _typed(self, table: pa.Table) -> tuple[pa.Table, np.ndarray]:
        """Return cells with the types of the clean files, and which rows have one that is none."""
        made, is_bad = [], np.zeros(len(table), bool)
        for name in table.column_names:
            column = table[name].combine_chunks()
            kind = self.type_of(name)
            if _plain(column.type) != kind:
                spec = self.contract.column(name).spec
                column, codes = cast.cast(column, spec)
                is_bad |= codes.is_valid().to_numpy(zero_copy_only=False)
            made.append(column.cast(kind))
        return pa.table(made, names=table.column_names), is_bad


def opened(store: Store, run: str) -> Side:
    """Return a run after its files were compared with their recorded digests.

    Raises:
        AssayError: ASSAY-C013 if there is no such run, L011 if a file does not hold, C014 if two
            of its sources are the same.
    """
    entry = store.find(run)
    files = store.reader(entry)
    files.require()
    _refuse_twins(entry)
    contract = row_history.contract_of(files)
    base = store.ledger.read(row_history.base_of(entry))
    schema = files.schema(files.names("clean")[0])
    decisions = row_history.applied(store, entry) if entry.kind == "release" else {}
    return Side(entry, base, files, contract, schema, decisions)


def _refuse_twins(entry: Entry) -> None:
    seen: dict[str, str] = {}
    for source in entry.facts["inputs"]:
        if source["rows"] and source["sha256"] in seen:
            what = f"run {entry.seq} read the same file twice, so its rows cannot be told apart"
            where = f"{seen[source['sha256']]} and {source['name']}"
            raise AssayError("C014", what, where=where, fix="run again without the copy")
        seen[source["sha256"]] = source["name"]


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
