"""What a contract may hand to an engine: RE2 patterns, and SQL that only reads the dataset.

An SQL rule is parsed by DuckDB on a locked connection without files or extensions. It must be one
SELECT, and its tree may read the dataset, its own WITH clauses and the row generators, and no
other table or table function. Then it is bound against an empty table of the contract's columns,
so a misspelt column is found before any row is read. It is never executed here.
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.yaml_reader import Node, nearest

if TYPE_CHECKING:
    import duckdb

MAX_PATTERN = 1_000  # characters
LOCK = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
SQL_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "time": "TIME",
}
_GENERATORS = ("unnest", "range", "generate_series")
_FROM = ("BASE_TABLE", "JOIN", "SUBQUERY", "EMPTY", "EXPRESSION_LIST", "TABLE_FUNCTION")
# functions that look outside the dataset, or give another result on each run of the same data
_FUNCTIONS = frozenset(
    {"getenv", "getvariable", "current_setting", "query", "query_table", "nextval", "currval"}
    | {"random", "setseed", "gen_random_uuid", "uuid", "uuidv4", "uuidv7", "current_database"}
    | {"current_schema", "current_schemas", "current_user", "current_catalog", "session_user"}
    | {"user", "version", "txid_current", "write_log", "in_search_path"}
)


def pattern(node: Node, what: str) -> str:
    """Return the node's pattern; C006 if RE2 refuses it or it is too large."""
    text = node.string(what)
    if len(text) > MAX_PATTERN:
        raise node.fail("C006", f"{what} is longer than {MAX_PATTERN} characters")
    try:
        pc.match_substring_regex(pa.array([""]), text)
    except pa.ArrowInvalid as error:
        reason = str(error).split("\n")[0].removeprefix("Invalid regular expression: ")
        fix = "RE2 knows no lookaround and no backreference"
        raise node.fail("C006", f"{what} is not an RE2 pattern: {reason}", fix=fix) from error
    return text


def query(node: Node, table: str, types: Mapping[str, str], column: str | None) -> str:
    """Return an SQL rule's query with its placeholders filled in; C009 or C007 if refused.

    Args:
        node: the text of the query.
        table: the name under which the dataset is read.
        types: logical type of each column.
        column: the property that the rule stands at, for `${column}`.
    """
    text = _filled(node, table, column)
    connection = locked()
    try:
        _refuse_statements(node, text, connection)
        _refuse_tree(node, _tree(node, text, connection), table)
        _bind(node, text, connection, table, types)
    finally:
        connection.close()
    return text


def locked() -> "duckdb.DuckDBPyConnection":
    """Return an empty in-memory database that cannot reach anything outside itself."""
    import duckdb

    connection = duckdb.connect(":memory:", config=dict(LOCK))
    connection.execute("SET threads = 1")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _filled(node: Node, table: str, column: str | None) -> str:
    text = node.string("query")
    for word in ("table", "object", "model"):
        text = text.replace(f"${{{word}}}", quoted(table))
    for word in ("column", "property", "field"):
        if f"${{{word}}}" in text and column is None:
            raise node.fail("C009", f"${{{word}}} is only known in a rule of a property")
        text = text.replace(f"${{{word}}}", quoted(column or ""))
    return text


def _refuse_statements(node: Node, text: str, connection: "duckdb.DuckDBPyConnection") -> None:
    import duckdb

    try:
        found = connection.extract_statements(text)
    except duckdb.Error as error:
        raise node.fail("C009", f"the query is not SQL: {_first(error)}") from error
    if len(found) != 1:
        raise node.fail("C009", f"the query must be one statement, this is {len(found)}")
    if found[0].type.name != "SELECT":
        raise node.fail("C009", "the query must be a SELECT", fix="a rule only reads")


def _tree(node: Node, text: str, connection: "duckdb.DuckDBPyConnection") -> Any:
    row = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        raise node.fail("C009", "the query must be one plain SELECT")
    return tree


def _refuse_tree(node: Node, tree: Any, table: str) -> None:
    known = {table.lower()} | set(_own_clauses(tree))
    for item in _objects(tree):
        kind = item.get("type", "")
        if "table_name" in item and kind == "BASE_TABLE":
            own = not item.get("schema_name") and not item.get("catalog_name")
            if not own or item["table_name"].lower() not in known:
                fix = f"the dataset is called {quoted(table)}, or ${{table}}"
                raise node.fail("C009", "the query reads another table or a file", fix=fix)
        elif kind == "TABLE_FUNCTION":
            name = item["function"]["function_name"].lower()
            if name not in _GENERATORS:
                raise node.fail("C009", f"the query calls the table function {name}")
        elif "from_table" in item and item["from_table"]["type"] not in _FROM:
            raise node.fail("C009", f"the query may not use {item['from_table']['type']}")
        if item.get("class") == "FUNCTION" and item["function_name"].lower() in _FUNCTIONS:
            raise node.fail("C009", f"the query may not call {item['function_name']}")


def _bind(
    node: Node,
    text: str,
    connection: "duckdb.DuckDBPyConnection",
    table: str,
    types: Mapping[str, str],
) -> None:
    import duckdb

    columns = ", ".join(f"{quoted(name)} {SQL_TYPES[kind]}" for name, kind in types.items())
    connection.execute(f"CREATE TABLE {quoted(table)} ({columns})")
    try:
        shape = connection.execute(f"DESCRIBE {text}").fetchall()
    except duckdb.BinderException as error:
        message = _first(error)
        if "column" in message and "not found" in message:
            name = message.split('"')[1] if '"' in message else ""
            raise node.fail("C007", f"unknown column: {message}", nearest(name, types)) from error
        raise node.fail("C009", f"the query does not fit the columns: {message}") from error
    except duckdb.Error as error:
        raise node.fail("C009", f"the query is refused: {_first(error)}") from error
    if len(shape) != 1:
        raise node.fail("C009", f"the query must give one number, this gives {len(shape)} columns")


def _first(error: Exception) -> str:
    return str(error).split("\n")[0]


def _objects(tree: Any) -> Iterator[dict[str, Any]]:
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _own_clauses(tree: Any) -> Iterator[str]:
    for item in _objects(tree):
        for entry in (item.get("cte_map") or {}).get("map", []):
            yield entry["key"].lower()
