"""The rows of two runs, paired one to one in DuckDB.

1. A row of a file that both runs read is paired with itself, by its ordinal in that file.
2. The remaining rows of equal content are paired: first those of equal fate, then in row order.
3. What remains is paired by primary key, repeats of a key in row order.
Rows that are then left were added or removed. Where the key is not among the compared columns (see
`PairedBy`), step 3 comes before step 2. DuckDB spills to a folder what exceeds its memory limit.
"""
# ruff: noqa: S608  # every name in the SQL here is our own; cells travel as Arrow

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa

from pipelines.diff.compared_run import ROWS, WORDS, ComparedRun

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# What is known about the contents of a pair. PARTLY_SAME: the compared columns are equal.
# DECIDED: the source held the same, and a decision changed it.
SAME, CHANGED, PARTLY_SAME, DECIDED = range(4)


@dataclasses.dataclass(frozen=True, slots=True)
class PairedBy:
    """What the rows of two runs are paired and compared by.

    Attributes:
        shared: sha256 of each file that both runs read, to the number both give its first row.
        key: the columns of the primary key; empty where the runs share none.
        compared: the columns whose cells are compared; None for all, through the row ids.
    """

    shared: Mapping[str, int]
    key: tuple[str, ...]
    compared: tuple[str, ...] | None

    @property
    def is_content_first(self) -> bool:
        """Return whether rows of equal content have equal keys."""
        return self.compared is None or set(self.key) <= set(self.compared)


class Pairing:
    """Pairs rows in stages.

    Leaves in the database `a` and `b` (ROWS), `pairs` (row ordinals `a` and `b`, `fate_a`,
    `fate_b`, `content`), and `left_a` and `left_b`, the rows without a pair.
    """

    def __init__(
        self, connection: "DuckDBPyConnection", a: ComparedRun, b: ComparedRun, by: PairedBy
    ) -> None:
        """Keep the arguments; nothing is read yet."""
        self._connection, self._runs, self._by = connection, {"a": a, "b": b}, by
        self._same = SAME if by.compared is None else PARTLY_SAME
        self._left = {"a": "a", "b": "b"}
        self._stages = 0

    def pair(self) -> None:
        """Read both runs and pair their rows."""
        self._for_both(self._load)
        if self._by.shared:
            self._join(("shared",), str(SAME))
        stages = [self._match_contents, self._match_keys]
        for stage in stages if self._by.is_content_first else reversed(stages):
            stage()
        pairs = " UNION ALL ".join(f"FROM stage_{n} WHERE is_pair" for n in range(self._stages))
        none = "SELECT NULL::BIGINT AS a, NULL::BIGINT AS b, 0 AS fate_a, 0 AS fate_b, 0 AS content"
        pairs = pairs or f"{none} WHERE false"
        self._run(f"CREATE VIEW pairs AS SELECT a, b, fate_a, fate_b, content FROM ({pairs})")
        for name, left in self._left.items():
            self._run(f"CREATE VIEW left_{name} AS FROM {left}")

    def _for_both(self, read: Callable[["DuckDBPyConnection", str], None]) -> None:
        """Read both runs at once, each through its own connection."""
        with ThreadPoolExecutor(len(self._runs)) as pool:
            list(pool.map(lambda name: read(self._connection.cursor(), name), self._runs))

    def _load(self, connection: "DuckDBPyConnection", name: str) -> None:
        tables = self._runs[name].rows(self._by.shared, self._by.compared)
        _create(connection, name, ROWS, (batch for table in tables for batch in table.to_batches()))

    def _match_contents(self) -> None:
        """Pair rows of equal digests; where a digest repeats, those of equal fate first."""
        if self._by.compared == ():
            return  # nothing is known about the contents
        # joining on one word takes a third of the time; the other words are compared all the same
        also = " AND ".join(f"a.{word} = b.{word}" for word in WORDS[1:])
        if not self._join(WORDS[:1], str(self._same), also=also):
            self._match((*WORDS, "fate"), str(self._same))
            self._match(WORDS, str(self._same))

    def _match_keys(self) -> None:
        if not self._by.key:
            return
        self._for_both(self._load_keys)
        names = _names(self._by.key)
        own = ", ".join(map(self._comparable, names, self._by.key))
        for name, left in self._left.items():
            self._leave(name, f"SELECT l.*, {own} FROM {left} l JOIN keys_{name} USING (row)")
        differs = " OR ".join(f"a.{word} <> b.{word}" for word in WORDS)
        content = f"CASE WHEN {differs} THEN {CHANGED} ELSE {self._same} END"
        self._match(names, str(PARTLY_SAME) if self._by.compared == () else content)

    def _load_keys(self, connection: "DuckDBPyConnection", name: str) -> None:
        run, key = self._runs[name], self._by.key
        kinds = map(run.type_of, key)
        schema = pa.schema([("row", pa.int64()), *zip(_names(key), kinds, strict=True)])
        rows = connection.sql(f"SELECT row, file, place FROM {self._left[name]}")
        left = rows.order("file, place").to_arrow_table()
        _create(connection, f"keys_{name}", schema, _key_batches(run, key, left))

    def _comparable(self, name: str, column: str) -> str:
        """Return the SQL of a key's column: as text where its two types cannot be compared."""
        kinds = {_family(run.type_of(column)) for run in self._runs.values()}
        return name if len(kinds) == 1 else f"{name}::VARCHAR AS {name}"

    def _match(self, on: Sequence[str], content: str) -> None:
        """Pair remaining rows on some columns, the n-th of equal rows with the n-th."""
        if self._join(on, content):
            return
        nth = f"n{self._stages}"
        number = f"row_number() OVER (PARTITION BY {', '.join(on)} ORDER BY row) AS {nth}"
        for name, left in self._left.items():
            self._leave(name, f"SELECT *, {number} FROM {left}")
        self._join((*on, nth), content)

    def _join(self, on: Sequence[str], content: str, also: str = "true") -> bool:
        """Pair remaining rows on some columns; return False, undone, if a row matches two."""
        same = " AND ".join(f"a.{column} = b.{column}" for column in on)
        counts = [self._count("count(*)", left) for left in self._left.values()]
        stage = f"stage_{self._stages}"
        # A row that matches two appears more often in the join than it should. The limit lets just
        # enough rows through to notice that, however many copies there are.
        self._run(
            f"CREATE TABLE {stage} AS SELECT a.row AS a, b.row AS b, a.fate AS fate_a, "
            f"b.fate AS fate_b, ({content})::TINYINT AS content, "
            f"a.row IS NOT NULL AND b.row IS NOT NULL AND ({also}) AS is_pair "
            f"FROM {self._left['a']} a FULL JOIN {self._left['b']} b ON {same} "
            f"LIMIT {sum(counts) + 1}"
        )
        if [self._count(f"count({name})", stage) for name in self._left] != counts:
            self._run(f"DROP TABLE {stage}")
            return False
        self._stages += 1
        for name, left in self._left.items():
            alone = f"SELECT {name} FROM {stage} WHERE {name} IS NOT NULL AND NOT is_pair"
            self._leave(name, f"SELECT * FROM {left} WHERE row IN ({alone})")
        return True

    def _count(self, what: str, table: str) -> int:
        [(found,)] = self._connection.execute(f"SELECT {what} FROM {table}").fetchall()
        return int(found)

    def _leave(self, name: str, rows: str) -> None:
        """Make the rows of a query those that remain of a run."""
        old = self._left[name]
        self._left[name] = f"{old}_"
        self._run(f"CREATE TABLE {old}_ AS {rows}")
        if old != name:
            self._run(f"DROP TABLE {old}")

    def _run(self, query: str) -> None:
        self._connection.execute(query)


def _create(
    connection: "DuckDBPyConnection",
    name: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
) -> None:
    reader = f"reader_{name}"
    connection.register(reader, pa.RecordBatchReader.from_batches(schema, batches))
    connection.execute(f"CREATE TABLE {name} AS FROM {reader}")
    connection.unregister(reader)


def _key_batches(run: ComparedRun, key: Sequence[str], rows: pa.Table) -> Iterator[pa.RecordBatch]:
    for ordinals, keys in run.keys_of(rows, key):
        yield from pa.table([ordinals, *keys.columns], ["row", *_names(key)]).to_batches()


def _names(key: Sequence[str]) -> list[str]:
    """Return the names of a key's columns in the database."""
    return [f"k{place}" for place in range(len(key))]


def _family(kind: pa.DataType) -> str:
    """Return a name shared by types that DuckDB compares by value."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None):
        return "time"
    return str(kind).removeprefix("large_")
