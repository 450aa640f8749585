"""A process that checks the patterns and queries of one contract, and answers line by line.

Its input is JSON: the dataset's name, its columns with their types, and the items. The engine that
will run a pattern compiles it. A query must be one SELECT whose tree is on the allow-list of
`sql_allow_list`; then it is bound and planned against an empty table, so a misspelt column is found
before any row is read. Limits on processor time and memory end the process where an item needs
more, and once it has started it can open no file or socket.
"""

import json
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.contract.node import nearest
from checks.contract.query_guard import LOCK, SQL_TYPES, quoted
from checks.contract.sql_allow_list import RefusedError, refuse_tree

if TYPE_CHECKING:
    import duckdb

MEMORY = 512 << 20  # bytes of address space beyond those in use when the engine has started
ELSEWHERE = 2 << 30  # in all, where the kernel does not report the usage
NO_FILES = 3  # standard input, output and error are open already


def main() -> None:
    """Answer each item with a line of JSON: null, or what is wrong with it."""
    asked = json.load(sys.stdin)
    _limit(resource.RLIMIT_CPU, int(asked["seconds"]))
    _limit(resource.RLIMIT_CORE, 0)
    database = locked()
    _limit(resource.RLIMIT_AS, _in_use() + MEMORY)
    columns = ", ".join(
        f"{quoted(n)} {SQL_TYPES.get(kind, kind)}" for n, kind in asked["types"].items()
    )
    database.execute(f"CREATE TABLE {quoted(asked['table'])} ({columns})")
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, NO_FILES)
    for item in asked["items"]:
        answer = _answer(item, database, asked["table"], asked["types"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        if answer is not None:
            break
    os._exit(0)  # closing the database takes time and saves nothing


def locked() -> "duckdb.DuckDBPyConnection":
    """Return an empty in-memory database that cannot reach anything outside itself."""
    import duckdb

    connection = duckdb.connect(":memory:", config={**LOCK, "threads": "1"})
    connection.execute("SET memory_limit = '256MB'")
    connection.execute("SET temp_directory = ''")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _answer(
    item: Mapping[str, str],
    database: "duckdb.DuckDBPyConnection",
    table: str,
    types: Mapping[str, str],
) -> dict[str, str] | None:
    import duckdb

    is_pattern = item["kind"] == "pattern"
    try:
        if is_pattern:
            _compile(item["name"], item["text"], database)
        else:
            _inspect(item["text"], database, table, types)
    except RefusedError as refused:
        return {"code": refused.code, "what": refused.what, "fix": refused.fix}
    except (MemoryError, RecursionError, duckdb.Error) as error:
        code = "C006" if is_pattern else "C009"
        what = f"parsing {item['name']} takes too much memory ({type(error).__name__})"
        return {"code": code, "what": what, "fix": "simplify the pattern or query"}
    return None


def _compile(name: str, pattern: str, database: "duckdb.DuckDBPyConnection") -> None:
    import duckdb

    try:
        database.execute("SELECT regexp_matches('', ?)", [pattern])
    except duckdb.InvalidInputException as error:
        reason = _first(error).removeprefix("Invalid Input Error: ")
        fix = "rewrite the pattern; RE2 supports neither lookaround nor backreferences"
        raise RefusedError(f"{name} is not an RE2 pattern: {reason}", fix, "C006") from error


def _inspect(
    text: str, database: "duckdb.DuckDBPyConnection", table: str, types: Mapping[str, str]
) -> None:
    _refuse_statements(text, database)
    refuse_tree(_tree(text, database), table, {name.lower() for name in types})
    _bind(text, database, types)


def _refuse_statements(text: str, database: "duckdb.DuckDBPyConnection") -> None:
    import duckdb

    try:
        found = database.extract_statements(text)
    except duckdb.ParserException as error:
        raise RefusedError(f"the query is not SQL: {_first(error)}") from error
    if len(found) != 1:
        raise RefusedError(f"the query must be one statement, not {len(found)}")
    if found[0].type.name != "SELECT":
        raise RefusedError("the query must be a SELECT", "write one that only reads the dataset")


def _tree(text: str, database: "duckdb.DuckDBPyConnection") -> Any:
    row = database.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        raise RefusedError("the query must be one plain SELECT")
    return tree["statements"]


def _bind(text: str, database: "duckdb.DuckDBPyConnection", types: Mapping[str, str]) -> None:
    import duckdb

    try:
        shape = database.execute(f"DESCRIBE {text}").fetchall()
        database.execute(f"EXPLAIN {text}")  # planned here first, under limits
    except duckdb.BinderException as error:
        message = _first(error)
        if "column" in message and "not found" in message:
            name = message.split('"')[1] if '"' in message else ""
            fix = nearest(name, types)
            raise RefusedError(f"unknown column: {message}", fix, "C007") from error
        raise RefusedError(f"the query does not match the columns: {message}") from error
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise RefusedError(f"the engine refuses the query: {_first(error)}") from error
    if len(shape) != 1:
        raise RefusedError(f"the query must return one number, not {len(shape)} columns")


def _first(error: Exception) -> str:
    return str(error).split("\n")[0]


def _in_use() -> int:
    """Return the bytes of address space that this process uses."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return ELSEWHERE - MEMORY
    return pages * resource.getpagesize()


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (least, hard))


if __name__ == "__main__":
    main()
