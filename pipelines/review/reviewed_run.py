"""A committed run under review: its rows, what accuses them, and what was decided about them."""

import dataclasses
import functools
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import registry
from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from pipelines.run.fates import REFUSED
from pipelines.store import decisions, keys, rebuild, row_history
from pipelines.store.opinions import ID, Decision, Identity, Needed, Standing, Weighed
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger import lineage
from provenance.ledger.entry import Entry
from provenance.ledger.lineage import RowIds
from provenance.ledger.run_files import FATES
from provenance.ledger.run_reader import RunReader
from provenance.rows import cast, digest
from provenance.rows.nested import column_of
from provenance.rows.snapshot import Source

WAITING = ("error", "warning")  # severities of the findings that make a row wait
PRIVATE_CHECKS = frozenset({"pii"})  # what they accuse a column of is that it holds personal data
SAMPLED = 50_000  # clean rows that a row is compared with
PLACES = pa.schema([("row", pa.int64()), ("file", pa.string()), ("file_row", pa.int64())])


@dataclasses.dataclass(frozen=True)
class ReviewedRun:
    """A run that read the source, opened for review; files are checked as they are read.

    Attributes:
        store: of the run.
        entry: of the run; never that of a release.
        files: of the run.
        contract: the copy in the run's folder.
    """

    store: Store
    entry: Entry
    files: RunReader
    contract: Contract

    @classmethod
    def of(cls, store: Store, entry: Entry) -> Self:
        """Open the run that read the source of `entry`, a run or a release."""
        base = store.ledger.read(row_history.base_of(entry))
        files = store.reader(base)
        return cls(store, base, files, row_history.contract_of(files))

    @functools.cached_property
    def found(self) -> Findings:
        """Return all findings; L011 if a file does not match its record."""
        return pa.concat_tables(self.files.tables("findings")).combine_chunks()

    @functools.cached_property
    def rowed(self) -> Findings:
        """Return the findings on rows."""
        return self.found.filter(pc.is_valid(self.found["row"]))

    @property
    def accusing(self) -> Findings:
        """Return the errors and warnings on rows, decided or not."""
        return self.rowed.filter(pc.is_in(self.rowed["severity"], pa.array(WAITING)))

    def findings_on(self, rows: Collection[int]) -> Findings:
        """Return the findings on some rows."""
        return self.rowed.filter(pc.is_in(self.rowed["row"], pa.array(rows, pa.int64())))

    @functools.cached_property
    def history(self) -> decisions.History:
        """Return all decisions on the dataset until this was first asked for."""
        return decisions.History.of(self.store, self.entry.facts["dataset"])

    @functools.cached_property
    def standing(self) -> dict[int, Standing]:
        """Return the decisions in force, by row."""
        return dict(self._judged.standing)

    @functools.cached_property
    def pending(self) -> dict[int, Weighed]:
        """Return the decisions that are not in force before somebody else has decided, by row."""
        return dict(self._judged.pending)

    @functools.cached_property
    def _judged(self) -> decisions.Judged:
        return decisions.judged(
            self.history, self.applied, self.entry, self.files, self.contract, self.found
        )

    @functools.cached_property
    def needed(self) -> Needed:
        """Return how many people the contract asks for."""
        return Needed.of(self.contract.policy)

    def settled(self, name: str = "") -> np.ndarray:
        """Return the rows that do not wait for a person, int64: decided, or by them already."""
        pending = self.pending
        done = [row for row in self.standing if row not in pending]
        own = [row for row, weighed in pending.items() if weighed.is_held_by(name)]
        return np.array([*done, *own], np.int64)

    def pending_to(self, name: str, row: int) -> Weighed | None:
        """Return what a person may know of the decisions on a row that are not in force."""
        weighed = self.pending.get(row)
        return weighed if weighed and weighed.is_shown_to(name) else None

    @functools.cached_property
    def applied(self) -> Mapping[int, Decision]:
        """Return the decisions that the run itself applied, by row."""
        return decisions.applied(self.store, self.entry)

    @functools.cached_property
    def private(self) -> frozenset[str]:
        """Return the columns whose cells are masked, by the contract, their names or the scan."""
        columns = self.contract.columns
        named = {c.name for c in columns if c.is_protected or registry.is_private(c.name)}
        pairs = self.rowed.group_by(["check", "column"]).aggregate([]).to_pylist()
        accused = {item["column"] for item in pairs if item["check"] in PRIVATE_CHECKS}
        return frozenset(named).union(
            column_of(path, self.columns) or path for path in accused if path
        )

    @functools.cached_property
    def judged(self) -> dict[tuple[str, str], Mapping[str, str] | None]:
        """Return what `judged_cells` has found so far, by column and value."""
        return {}

    @functools.cached_property
    def not_judged(self) -> dict[tuple[str, str], tuple[float, AssayError]]:
        """Return why it could not judge others, and until when (monotonic) that is not retried."""
        return {}

    def told(self, row: int, name: str = "") -> list[tuple[Decision, bool]]:
        """Return the decisions on a row that a person may see, oldest first.

        Each comes with whether the row's content was the same: those on other content had the same
        primary key.
        """
        history, needed = self.history, self.needed
        if not history.every:
            return []
        _ = self.pending  # says on which rows fewer than two people's decisions count
        own = history.shown(identity := self.identities([row])[row], name, needed)
        key = None if row in self.unreadable else self.key_ids([row]).get(row)
        keyed = [] if key is None else self._of_key(history, key)
        others = [
            each for each in keyed
            if each.identity != identity and each in history.shown(each.identity, name, needed)
        ]  # fmt: skip
        told = [(each, True) for each in own] + [(each, False) for each in others]
        return sorted(told, key=lambda item: item[0].entry)

    def _of_key(self, history: decisions.History, key: bytes) -> Iterable[Decision]:
        """Return all decisions on rows of one primary key."""
        every = (each for stack in history.every.values() for each in stack)
        return (each for each in every if each.key_id == key)

    @functools.cached_property
    def unreadable(self) -> frozenset[int]:
        """Return the rows that could not be read or cast under the contract."""
        uncast = self.rowed.filter(pc.equal(self.rowed["check"], "ingest"))["row"].to_pylist()
        tables = self.files.tables("rejected", ["_row"])
        gone = frozenset[int]().union(*(table["_row"].to_pylist() for table in tables))
        return frozenset(uncast) | (gone - self._refused.keys())

    @property
    def refused(self) -> frozenset[int]:
        """Return the rows that the run rejected for a reviewer, by an earlier decision."""
        return frozenset(self._refused)

    @property
    def rows(self) -> int:
        """Return the number of rows of the source."""
        return int(self.entry.facts["rows"]["source"])

    @property
    def keys(self) -> list[str]:
        """Return the columns of the primary key."""
        return [column.name for column in self.contract.columns if column.key]

    @property
    def columns(self) -> list[str]:
        """Return the columns of the source."""
        return list(self._schema.names)

    def rows_with(self, column: str, value: str) -> np.ndarray:
        """Return the rows whose cell in a column prints as a text: int64, ascending."""
        sources = [Source(**item) for item in self.entry.facts["inputs"]]
        places, found = rebuild.Lineages(self.files), [np.empty(0, np.int64)]
        for fate in FATES[:2]:
            for name in self.files.names(fate):
                cells = self.files.table(name, [column])[column].combine_chunks()
                same = pc.fill_null(pc.equal(texts_of(cells), value), fill_value=False)
                if pc.any(same).as_py():
                    rows, _ = rebuild.clean_rows(places.of(name), tuple(sources))
                    found.append(rows[same.to_numpy(zero_copy_only=False)])
        refused = [row for row, cells in self._refused.items() if _text(cells.get(column)) == value]
        return np.sort(np.concatenate([*found, np.array(refused, np.int64)]))

    def identities(self, rows: Collection[int]) -> dict[int, Identity]:
        """Return the identities of rows by row."""
        wanted, ids = np.array(sorted(rows), np.int64), []
        for texts, ordinals in decisions.rows_of(self.files, self.entry):
            ids.append(texts[np.isin(ordinals, wanted)])
        chosen = pa.array(sorted(set(_bytes(np.concatenate(ids)))), ID)
        located = decisions.locate(decisions.rows_of(self.files, self.entry), chosen)
        return {row: located[row] for row in wanted.tolist()}

    def key_ids(self, rows: Collection[int]) -> dict[int, bytes]:
        """Return the ids of the rows' primary keys, of those that can be read."""
        is_foreign = self.entry.facts["lineage"].get("keyed") and not keys.is_there()
        if not self.keys or not rows or is_foreign:
            return {}
        table = self.cells(rows, self.keys)
        readable = np.ones(len(table), bool)
        columns = {}
        for name in self.keys:
            column = table[name].combine_chunks()
            if pa.types.is_string(column.type):
                column, codes = cast.cast(column, self.contract.column(name).spec)
                readable &= codes.is_null().to_numpy(zero_copy_only=False)
            columns[name] = column
        mask = pa.array(readable)
        typed = pa.table({name: column.filter(mask) for name, column in columns.items()})
        ids = RowIds((), self._secrets).keyed(digest.of_rows(typed))
        return dict(zip(table["row"].filter(mask).to_pylist(), _bytes(ids), strict=True))

    def cells(self, rows: Collection[int], columns: Collection[str] | None = None) -> pa.Table:
        """Return `row` and cells of rows, ascending: as read if a row is quarantined, else typed.

        Args:
            rows: ordinals; those that could not be split into cells are left out.
            columns: by default all of the source.
        """
        names = [c.name for c in self.contract.columns] if columns is None else [*columns]
        names = [name for name in names if name in self._schema.names]
        parts = [pa.table({"row": pa.array([], pa.int64())})]
        placed = self._places(rows)
        for name in placed["file"].unique().to_pylist():
            mine = placed.filter(pc.equal(placed["file"], name))
            taken = self._lines(name, names, mine["file_row"])
            parts.append(taken.add_column(0, "row", mine["row"]))
        if refused := sorted(self._refused.keys() & set(rows)):
            lines = [{"row": row} | {name: _text(self._refused[row].get(name)) for name in names}
                     for row in refused]  # fmt: skip
            kinds = [("row", pa.int64()), *((name, pa.string()) for name in names)]
            parts.append(pa.Table.from_pylist(lines, pa.schema(kinds)))
        if len(parts) == 1:
            return parts[0]
        return pa.concat_tables(_alike(parts[1:])).sort_by("row").combine_chunks()

    @functools.cached_property
    def clean_sample(self) -> tuple[np.ndarray, pa.Table]:
        """Return ordinals and typed cells of SAMPLED clean rows at most, from all of the run."""
        names = [c.name for c in self.contract.columns if "ignore" not in c.roles]
        names = [name for name in names if name in self._schema.names]
        sources = tuple(Source(**item) for item in self.entry.facts["inputs"])
        places, step = rebuild.Lineages(self.files), -(-self._clean // SAMPLED) or 1
        rows, parts = [np.empty(0, np.int64)], []
        for name in self.files.names("clean"):
            ordinals, _ = rebuild.clean_rows(places.of(name), sources)
            taken = np.arange(0, len(ordinals), step)
            rows.append(ordinals[taken])
            parts.append(self.files.table(name, names).take(pa.array(taken)))
        return np.concatenate(rows), pa.concat_tables(parts).combine_chunks()

    @property
    def _clean(self) -> int:
        return int(self.entry.facts["rows"]["clean"])

    def _lines(self, name: str, columns: list[str], places: pa.ChunkedArray) -> pa.Table:
        """Return rows of a file of the run."""
        return self.files.table(name, columns).take(places)

    @functools.cached_property
    def _refused(self) -> dict[int, dict[str, Any]]:
        """Return the cells of the rows that the run rejected for a reviewer, as read."""
        found = {}
        for table in self.files.tables("rejected"):
            mine = table.filter(pc.equal(table["_reason"], REFUSED))
            for row, raw in zip(mine["_row"].to_pylist(), mine["_raw"].to_pylist(), strict=True):
                found[row] = json.loads(raw)
        return found

    @functools.cached_property
    def _schema(self) -> pa.Schema:
        return self.files.schema(self.files.names("clean")[0])

    @property
    def _secrets(self) -> tuple[bytes, bytes] | None:
        is_keyed = self.entry.facts["lineage"].get("keyed")
        return lineage.secrets_of(keys.own()) if is_keyed else None

    def _places(self, rows: Collection[int]) -> pa.Table:
        """Return row, file and row of the file of those rows that have cells."""
        wanted = np.array(sorted(rows), np.int64)
        sources = [Source(**item) for item in self.entry.facts["inputs"]]
        parts = [PLACES.empty_table()]
        for table in self.files.tables("lineage"):
            ordinals = lineage.ordinals_in(table, sources)
            has_cells = pc.invert(pc.equal(table["fate"], FATES[2])).to_numpy()
            mask = pa.array(np.isin(ordinals, wanted) & has_cells)
            columns = [pa.array(ordinals).filter(mask)]
            columns += [table[name].filter(mask) for name in ("file", "file_row")]
            parts.append(pa.table(columns, PLACES))
        return pa.concat_tables(parts)


def texts_of(cells: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return cells as text; those of nested columns as Python prints them."""
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if pa.types.is_nested(cells.type) or pa.types.is_binary(cells.type):
        return pa.array([_text(cell) for cell in cells.to_pylist()], pa.string())
    return cells.cast(pa.string())


def _text(cell: Any) -> str | None:
    return None if cell is None else str(cell)


def _bytes(ids: np.ndarray) -> list[bytes]:
    """Return ids, uint8 (n, 32), as bytes."""
    wide = ids.shape[1] if ids.ndim > 1 else 1
    found: list[bytes] = np.ascontiguousarray(ids).view(f"V{wide}").ravel().tolist()
    return [bytes(item) for item in found]


def _alike(tables: list[pa.Table]) -> list[pa.Table]:
    """Return tables of one schema: a column whose types differ becomes text in all."""
    first: Mapping[str, pa.DataType] = {f.name: f.type for f in tables[0].schema}
    differing = {
        field.name for table in tables for field in table.schema if field.type != first[field.name]
    }
    made = []
    for table in tables:
        for name in differing:
            place = table.column_names.index(name)
            table = table.set_column(place, name, texts_of(table[name]))  # noqa: PLW2901
        made.append(table)
    return made
