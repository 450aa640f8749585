"""One pass over the shards for all row rules: one bit per clause, only the rows with a bit set.

Cost: one scan of a column for each 240 rules on it, O(rows x clauses), and a grouping per key;
memory is bounded by DuckDB's limit, beyond which it spills to disk. The connection is locked: it
can read only the shards.
"""

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from checks.contract.query_guard import LOCK, quoted, sql_type
from checks.kit.contract_model import Contract
from provenance.rows.shards import DIGEST, ROW

if TYPE_CHECKING:
    import duckdb

DATASET = "__assay_dataset"  # the view of the dataset's own columns
ROWS = "__assay_rows"  # the same with the rows' numbers, which Great Expectations is not told of
WORD = 60  # bits per column of the pass; a signed integer has 63
MOST = 4 * WORD  # conditions of one query, which is planned in time quadratic in them


@dataclasses.dataclass(frozen=True, slots=True)
class Budget:
    """What the engine may use.

    Attributes:
        memory: DuckDB's memory limit, beyond which it spills; the checks run at the same time.
        threads: maximum; 0 means up to four of the machine's cores.
        seconds: time limit of one SQL rule.
    """

    memory: str = "1GB"
    threads: int = 0
    seconds: float = 60.0


@contextlib.contextmanager
def opened(
    contract: Contract, shards: Sequence[str], spill: Path, budget: Budget
) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Open a locked database with views over the shards.

    Args:
        contract: defines the columns of the views if there is no shard.
        shards: paths of the shards' files.
        spill: an existing folder that the engine may spill to.
        budget: memory and threads.
    """
    import duckdb

    connection = duckdb.connect(":memory:", config=dict(LOCK))
    threads = budget.threads or min(4, os.cpu_count() or 1)
    try:
        connection.execute(f"SET memory_limit = {_text(budget.memory)}")
        connection.execute(f"SET threads = {int(threads)}")
        connection.execute(f"SET temp_directory = {_text(str(spill))}")
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET allowed_directories = [{_text(str(spill))}]")
        if shards:
            listed = ", ".join(_text(path) for path in shards)
            connection.execute(f"SET allowed_paths = [{listed}]")
        connection.execute("SET enable_external_access = false")
        _make_views(connection, contract, shards)
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def offending(
    connection: "duckdb.DuckDBPyConnection", conditions: Mapping[int, str]
) -> dict[int, np.ndarray]:
    """Return, by clause number, the rows that meet its condition: int64, sorted.

    Raises:
        duckdb.Error: if a condition cannot be evaluated; see `offending_each`.
    """
    numbers = sorted(conditions)
    found: dict[int, np.ndarray] = {}
    for start in range(0, len(numbers), MOST):
        found |= _offending(connection, conditions, numbers[start : start + MOST])
    return found


def _offending(
    connection: "duckdb.DuckDBPyConnection", conditions: Mapping[int, str], numbers: list[int]
) -> dict[int, np.ndarray]:
    words = [numbers[i : i + WORD] for i in range(0, len(numbers), WORD)]
    columns = [_word(words[i], conditions, i) for i in range(len(words))]
    some = " OR ".join(f"({conditions[number]})" for number in numbers)
    # CASE rather than a plain filter, which DuckDB would prune by the files' statistics: those
    # ignore NaN. It stops at the first condition met; bits are computed for the rows left only
    where = f"CASE WHEN {some} THEN 1 ELSE 0 END <> 0"
    query = f"SELECT {quoted(ROW)} AS r, {', '.join(columns)} FROM {ROWS} WHERE {where}"  # noqa: S608
    table: Any = connection.sql(query).to_arrow_table()
    rows = table["r"].to_numpy()
    found = {}
    for place, word in enumerate(words):
        bits = table[f"w{place}"].to_numpy()
        for bit, number in enumerate(word):
            found[number] = np.sort(rows[(bits >> bit) & 1 == 1])
    return found


def offending_each(
    connection: "duckdb.DuckDBPyConnection", conditions: Mapping[int, str]
) -> tuple[dict[int, np.ndarray], dict[int, Exception]]:
    """Return what `offending` does, and an exception for each condition that failed."""
    import duckdb

    try:
        return offending(connection, conditions), {}
    except duckdb.Error:
        found: dict[int, np.ndarray] = {}
        failed: dict[int, Exception] = {}
        for number, condition in conditions.items():
            try:
                found |= offending(connection, {number: condition})
            except duckdb.Error as error:
                failed[number] = error
        return found, failed


def column_types(connection: "duckdb.DuckDBPyConnection") -> dict[str, str]:
    """Return DuckDB's type of each column of the dataset, in order."""
    rows = connection.execute(f"DESCRIBE {quoted(DATASET)}").fetchall()
    return {row[0]: row[1] for row in rows}


def number_of(connection: "duckdb.DuckDBPyConnection", query: str, seconds: float) -> float:
    """Return the number that an SQL rule returns.

    Raises:
        ValueError: if it does not return exactly one number.
        TimeoutError: after `seconds`.
        duckdb.Error: if it cannot be run.
    """
    import duckdb

    timer = threading.Timer(seconds, connection.interrupt)
    timer.start()
    try:
        rows: list[tuple[Any, ...]] = connection.execute(query).fetchmany(2)
    except duckdb.InterruptException as error:
        raise TimeoutError(f"the query took longer than {seconds:.0f} s") from error
    finally:
        timer.cancel()
    if len(rows) != 1 or len(rows[0]) != 1:
        raise ValueError("the query must return one row with one number")
    try:
        return float(rows[0][0])
    except (TypeError, ValueError):
        raise ValueError("the query must return a number") from None


def _make_views(
    connection: "duckdb.DuckDBPyConnection", contract: Contract, shards: Sequence[str]
) -> None:
    if shards:
        listed = ", ".join(_text(path) for path in shards)
        files = f"read_parquet([{listed}], hive_partitioning = false)"
        source = f"SELECT * EXCLUDE ({quoted(DIGEST)}) FROM {files}"  # noqa: S608
    else:
        types = {column.name: sql_type(column.spec) for column in contract.columns}
        empty = [f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in types.items()]
        source = f"SELECT {', '.join(empty)}, 0::BIGINT AS {quoted(ROW)} WHERE false"
    connection.execute(f"CREATE VIEW {ROWS} AS {source}")
    own = f"SELECT * EXCLUDE ({quoted(ROW)}) FROM {ROWS}"  # noqa: S608
    names = {DATASET} | {rule.params["table"] for rule in contract.rules if rule.kind == "sql"}
    for name in sorted(names):
        connection.execute(f"CREATE VIEW {quoted(name)} AS {own}")


def _word(numbers: Sequence[int], conditions: Mapping[int, str], place: int) -> str:
    # a condition that is null is not met, as everywhere in SQL
    bits = [
        f"(CASE WHEN {conditions[number]} THEN {1 << bit} ELSE 0 END)::BIGINT"
        for bit, number in enumerate(numbers)
    ]
    return f"({' | '.join(bits)}) AS w{place}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
