"""The rows of two runs, paired one to one in DuckDB.

1. Where both runs read the same file, a row is paired with itself, by its ordinal in that file.
2. Of the other rows, those of equal content are paired: of equal fate first, then in row order.
3. Those that are left are paired by key, copies of a key in row order.
Rows that are left then came or went. Where the key is not among the compared columns (see `How`),
3 goes before 2. Memory is bounded: DuckDB spills to a folder what is over its limit.
"""
# ruff: noqa: S608  # every name in the SQL here is our own; cells travel as Arrow

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipelines.diff.side import ROWS, Side

if TYPE_CHECKING:
    import duckdb

# what is known of the contents of a pair; PARTLY: the compared columns are the same, ALTERED: the
# source held the same, and a decision changed it
SAME, OTHER, PARTLY, ALTERED = range(4)
_WORDS = ("d0", "d1", "d2", "d3")


@dataclasses.dataclass(frozen=True, slots=True)
class How:
    """By what the rows of two runs are paired.

    Attributes:
        shared: sha256 of the files that both read, to the number both give to their first row.
        key: the key's columns; none where there is no key to pair by.
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
    """The work of pairing, one stage after the other.

    Leaves in the database `a` and `b` (ROWS), `pairs` (row ordinals `a` and `b`, `fate_a`,
    `fate_b`, `content`) and `left_a`, `left_b`: the rows that have no pair.
    """

    def __init__(self, connection: "duckdb.DuckDBPyConnection", a: Side, b: Side, how: How) -> None:
        """Take both sides; nothing is read yet."""
        self._connection, self._sides, self._how = connection, {"a": a, "b": b}, how
        self._same = SAME if how.compared is None else PARTLY
        self._left = {"a": "a", "b": "b"}
        self._stages = 0

    def pair(self) -> None:
        """Read both sides and pair their rows."""
        self._of_both(self._fill)
        if self._how.shared:
            self._join(("shared",), str(SAME))
        stages = [self._match_contents, self._match_keys]
        for stage in stages if self._how.is_content_first else reversed(stages):
            stage()
        every = " UNION ALL ".join(f"FROM stage_{n} WHERE is_pair" for n in range(self._stages))
        none = "SELECT NULL::BIGINT AS a, NULL::BIGINT AS b, 0 AS fate_a, 0 AS fate_b, 0 AS content"
        every = every or f"{none} WHERE false"
        self._run(f"CREATE VIEW pairs AS SELECT a, b, fate_a, fate_b, content FROM ({every})")
        for name, left in self._left.items():
            self._run(f"CREATE VIEW left_{name} AS FROM {left}")

    def _of_both(self, read: Callable[["duckdb.DuckDBPyConnection", str], None]) -> None:
        """Read both sides at once, each through a connection of its own."""
        with ThreadPoolExecutor(len(self._sides)) as pool:
            list(pool.map(lambda name: read(self._connection.cursor(), name), self._sides))

    def _fill(self, connection: "duckdb.DuckDBPyConnection", name: str) -> None:
        columns = None if self._how.compared is None else list(self._how.compared)
        tables = self._sides[name].rows(self._how.shared, columns)
        batches = (batch for table in tables for batch in table.to_batches())
        _create(connection, name, ROWS, batches)

    def _match_contents(self) -> None:
        """Pair rows of equal digests; where a digest occurs again, those of equal fate first."""
        if self._how.compared == ():
            return  # nothing is known of the content
        # joining by one word takes a third of the time; the others are compared all the same
        also = " AND ".join(f"a.{word} = b.{word}" for word in _WORDS[1:])
        if not self._join(_WORDS[:1], str(self._same), also=also):
            self._match((*_WORDS, "fate"), str(self._same))
            self._match(_WORDS, str(self._same))

    def _match_keys(self) -> None:
        if not self._how.key:
            return
        self._of_both(self._read_keys)
        names = _names(self._how.key)
        own = ", ".join(map(self._comparable, names, self._how.key))
        for name, left in self._left.items():
            self._leave(name, f"SELECT l.*, {own} FROM {left} l JOIN keys_{name} USING (row)")
        is_other = " OR ".join(f"a.{word} <> b.{word}" for word in _WORDS)
        content = f"CASE WHEN {is_other} THEN {OTHER} ELSE {self._same} END"
        self._match(names, str(PARTLY) if self._how.compared == () else content)

    def _read_keys(self, connection: "duckdb.DuckDBPyConnection", name: str) -> None:
        side, key = self._sides[name], self._how.key
        kinds = map(side.type_of, key)
        schema = pa.schema([("row", pa.int64()), *zip(_names(key), kinds, strict=True)])
        rows = connection.sql(f"SELECT row, file, place FROM {self._left[name]}")
        left = rows.order("file, place").to_arrow_table()
        _create(connection, f"keys_{name}", schema, _keys(side, key, left))

    def _comparable(self, name: str, column: str) -> str:
        """Return the SQL of a key's column: as text where its types cannot be compared."""
        kinds = {_family(side.type_of(column)) for side in self._sides.values()}
        return name if len(kinds) == 1 else f"{name}::VARCHAR AS {name}"

    def _match(self, on: Sequence[str], content: str) -> None:
        """Pair what is left by some columns, the n-th of equal rows with the n-th."""
        if self._join(on, content):
            return
        nth = f"n{self._stages}"
        number = f"row_number() OVER (PARTITION BY {', '.join(on)} ORDER BY row) AS {nth}"
        for name, left in self._left.items():
            self._leave(name, f"SELECT *, {number} FROM {left}")
        self._join((*on, nth), content)

    def _join(self, on: Sequence[str], content: str, also: str = "true") -> bool:
        """Pair what is left by some columns; False, and nothing is done, if a row finds two."""
        same = " AND ".join(f"a.{column} = b.{column}" for column in on)
        counts = [self._count("count(*)", left) for left in self._left.values()]
        stage = f"stage_{self._stages}"
        # a row that finds two stands in more rows of the join than it should; of very many copies
        # the limit lets no more through than it takes to see that
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
        """Let the rows of a query be those of a side that are left."""
        old = self._left[name]
        self._left[name] = f"{old}_"
        self._run(f"CREATE TABLE {old}_ AS {rows}")
        if old != name:
            self._run(f"DROP TABLE {old}")

    def _run(self, query: str) -> None:
        self._connection.execute(query)


def _create(
    connection: "duckdb.DuckDBPyConnection",
    name: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
) -> None:
    reading = f"reading_{name}"
    connection.register(reading, pa.RecordBatchReader.from_batches(schema, batches))
    connection.execute(f"CREATE TABLE {name} AS FROM {reading}")
    connection.unregister(reading)


def _keys(side: Side, key: Sequence[str], rows: pa.Table) -> Iterator[pa.RecordBatch]:
    """Yield the keys of rows that are ordered by file."""
    files = rows["file"].to_numpy()
    edges = np.flatnonzero(np.diff(files, prepend=-1, append=-1)).tolist()
    for start, end in pairwise(edges):
        part = rows.slice(start, end - start)
        keys = side.keys(side.placed[files[start]], key, part["place"].to_numpy())
        yield from pa.table([part["row"], *keys.columns], ["row", *_names(key)]).to_batches()


def _names(key: Sequence[str]) -> list[str]:
    """Return the names that the columns of a key have in the database."""
    return [f"k{place}" for place in range(len(key))]


def _family(kind: pa.DataType) -> str:
    """Return a name that types share if DuckDB compares them by value."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None):
        return "moment"
    return str(kind).removeprefix("large_")
