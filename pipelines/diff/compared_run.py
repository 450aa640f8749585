"""One of the two runs of a comparison, and what its own files say about its rows.

A row's content is what the source held, as its row id covers it: typed cells, or the raw bytes of
a rejected row. No cell leaves this module except those of the key.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from checks.kit.contract_model import Contract
from pipelines.store import decisions, row_history
from pipelines.store.opinions import Decision
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger.entry import Entry
from provenance.ledger.run_files import FATES
from provenance.ledger.run_reader import RunReader
from provenance.rows import cast, digest
from provenance.rows.arrow_bytes import whole
from provenance.rows.shards import unpacked

WORDS = ("d0", "d1", "d2", "d3")  # the 64-bit words of a digest
ROWS = pa.schema(
    [
        ("row", pa.int64()),
        ("shared", pa.int64()),
        ("file", pa.int32()),
        ("place", pa.int32()),
        ("fate", pa.int8()),
        *((word, pa.uint64()) for word in WORDS),
    ]
)


@dataclasses.dataclass(frozen=True)
class ComparedRun:
    """A committed run or release whose files match their recorded digests.

    Attributes:
        base: the entry of the run that read the source; `entry` itself unless it is a release.
        contract: the copy in the run's folder.
        schema: the columns of its clean files.
        decisions: those that the run or release applied, by row.
    """

    entry: Entry
    base: Entry
    files: RunReader
    contract: Contract
    schema: pa.Schema
    decisions: Mapping[int, Decision]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Return the entry's facts, parsed once."""
        return self.entry.facts

    @cached_property
    def inputs(self) -> dict[str, Mapping[str, Any]]:
        """Return the source files by their sha256."""
        return {item["sha256"]: item for item in self.facts["inputs"]}

    @cached_property
    def models(self) -> dict[str, str]:
        """Return the sha256 of each check's fitted model; a release has those of its base."""
        paths = ((Path(file["name"]), file["sha256"]) for file in self.base.facts["outputs"])
        return {path.stem: sha256 for path, sha256 in paths if path.parts[0] == "models"}

    @cached_property
    def row_files(self) -> list[str]:
        """Return the names of the files that hold rows; `file` in ROWS is an index into them."""
        names = (file["name"] for file in self.facts["outputs"])
        return [name for name in names if name.partition("/")[0] in FATES]

    @property
    def is_keyed(self) -> bool:
        """Return whether the row ids are keyed with a secret, as they are for personal data."""
        return bool(self.facts.get("lineage", {}).get("keyed"))

    def rows(self, shared: Mapping[str, int], columns: Sequence[str] | None) -> Iterator[pa.Table]:
        """Yield each row's place and content digest, one lineage part at a time.

        Args:
            shared: sha256 of each source file that both runs read, to the number that both runs
                give its first row.
            columns: the columns to digest; None takes the row ids instead.

        Returns:
            ROWS: `shared` is null for a row of a file that only this run read; `d0` to `d3` are
            the words of the content's digest.
        """
        names = ["row_id", "source_row", "source_sha256"]
        if len(self.inputs) == 1:
            names.pop()
        for name in self.files.names("lineage"):
            with self.files.opened(name) as source:
                part = pq.ParquetFile(source, page_checksum_verification=True)
                first = next(part.iter_batches(1, columns=["file"]), None)
                if first is not None:
                    file = first["file"][0].as_py()  # a part covers one file, row by row
                    lineage = part.read(names)
                    ids = lineage["row_id"]
                    digests = self._digests(file, columns) if columns else unpacked(ids)
                    yield self._located(file, lineage, shared, digests)

    def _located(
        self, file: str, lineage: pa.Table, shared: Mapping[str, int], digests: np.ndarray
    ) -> pa.Table:
        count, local = len(lineage), whole(lineage["source_row"])
        own, common = self._first_rows(lineage, shared)
        words = np.ascontiguousarray(digests).view(np.uint64)
        fate = FATES.index(file.partition("/")[0])
        return pa.table(
            [
                pc.add(local, own),
                pc.add(local, common),
                pa.repeat(pa.scalar(self.row_files.index(file), pa.int32()), count),
                pa.array(np.arange(count, dtype=np.int32)),
                pa.repeat(pa.scalar(fate, pa.int8()), count),
                *(pa.array(np.ascontiguousarray(words[:, n])) for n in range(len(WORDS))),
            ],
            ROWS,
        )

    def _first_rows(self, lineage: pa.Table, shared: Mapping[str, int]) -> list[Any]:
        """Return the run's own and the shared number of the first row of each row's source file."""
        if "source_sha256" in lineage.column_names:
            hashes = whole(lineage["source_sha256"]).dictionary_encode()
            names = [item.hex() for item in hashes.dictionary.to_pylist()]
        else:
            hashes, names = None, list(self.inputs)
        own = [self.inputs[name]["first_row"] for name in names]
        starts = [pa.array(found, pa.int64()) for found in (own, list(map(shared.get, names)))]
        return [each.take(hashes.indices) if hashes else each[0] for each in starts]

    def _digests(self, file: str, columns: Sequence[str]) -> np.ndarray:
        """Return digests of the cells of some columns, uint8 (n, 32), in the file's order."""
        if file.startswith("rejected/"):
            return digest.of_rows(self.files.table(file, ["_raw"]))
        table = self.files.table(file, list(columns))
        typed, is_bad = self._typed(table)
        digests = digest.of_rows(typed)
        if is_bad.any():
            digests = digests.copy()
            digests[is_bad] = digest.of_rows(table.filter(pa.array(is_bad)))
        return digests

    def keys_of(self, located: pa.Table, key: Sequence[str]) -> Iterator[tuple[pa.Array, pa.Table]]:
        """Yield ordinals and typed keys of rows, file by file; a key that cannot be read is null.

        `located` has `row`, `file` and `place` as in ROWS, ordered by `file`.
        """
        files = located["file"].to_numpy()
        edges = np.flatnonzero(np.diff(files, prepend=-1, append=-1)).tolist()
        for start, end in pairwise(edges):
            part = located.slice(start, end - start)
            yield part["row"], self._keys(self.row_files[files[start]], key, part["place"])

    def _keys(self, file: str, key: Sequence[str], places: pa.ChunkedArray) -> pa.Table:
        if file.startswith("rejected/"):
            nulls = [pa.nulls(len(places), self.type_of(name)) for name in key]
            return pa.table(nulls, names=list(key))
        return self._typed(self.files.table(file, list(key)).take(places))[0]

    def type_of(self, column: str) -> pa.DataType:
        """Return the type of a column's cells in the clean files, without its dictionary."""
        return _plain(self.schema.field(column).type)

    def _typed(self, table: pa.Table) -> tuple[pa.Table, np.ndarray]:
        """Return cells typed as in the clean files, and which rows hold one that cannot be cast."""
        made, is_bad = [], np.zeros(len(table), bool)
        for name in table.column_names:
            column = table[name].combine_chunks()
            kind = self.type_of(name)
            if _plain(column.type) != kind:
                column, codes = cast.cast(column, self.contract.column(name).spec)
                is_bad |= codes.is_valid().to_numpy(zero_copy_only=False)
            made.append(column.cast(kind))
        return pa.table(made, names=table.column_names), is_bad


def open_run(store: Store, run: str) -> ComparedRun:
    """Return a run after comparing its files with their recorded digests.

    Raises:
        AssayError: ASSAY-C013 if the run does not exist, L011 if a file does not match its record,
            C014 if the run read the same file twice.
    """
    entry = store.find(run)
    files = store.reader(entry)
    files.require()
    _refuse_repeated_source(entry)
    contract = row_history.contract_of(files)
    base = store.ledger.read(row_history.base_of(entry))
    schema = files.schema(files.names("clean")[0])
    applied = decisions.applied(store, entry)
    return ComparedRun(entry, base, files, contract, schema, applied)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _refuse_repeated_source(run: Entry) -> None:
    """Refuse (ASSAY-C014) a run that read the same bytes twice: it is unclear which pair up."""
    known: dict[str, str] = {}
    for source in run.facts["inputs"]:
        if source["rows"] and source["sha256"] in known:
            what = f"run {run.seq} read the same bytes twice, so its rows cannot be paired"
            where = f"{known[source['sha256']]} and {source['name']}"
            fix = "compare runs without the second copy"
            raise AssayError("C014", what, where=where, fix=fix)
        known[source["sha256"]] = source["name"]
