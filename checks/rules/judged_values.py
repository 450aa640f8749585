"""Conditions that no expression on one cell can state: order of rows, and texts to be parsed.

What breaks the rule is looked up once and kept in a table of the connection, so that the pass and
the library's counts share it. Texts are parsed by the functions that Great Expectations' pandas
engine calls, each distinct text once; no text of a contract is evaluated as Python.
Cost: a sort of the column for an order; a parse in Python a distinct text, 1 to 100 microseconds.
Nulls: a missing cell is no value of the order, and no text. NaN breaks each order.
"""

import contextlib
import datetime as dt
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from checks.contract.query_guard import quoted
from provenance.rows.shards import ROW

if TYPE_CHECKING:
    import duckdb

Judge: TypeAlias = Callable[[str], object]  # raises for a text that is wrong
_JUDGE = "__assay_is_right"


class Judged:
    """Keeps the tables of one connection.

    Attributes:
        connection: has the view.
        view: the rows, with their numbers.
        floats: the columns that may hold NaN.
    """

    def __init__(
        self, connection: "duckdb.DuckDBPyConnection", view: str, floats: frozenset[str]
    ) -> None:
        """Begin with no table."""
        self.connection, self.view, self.floats = connection, view, floats
        self._kept: dict[str, str] = {}

    def order(self, column: str, given: dict[str, Any], *, falls: bool) -> str:
        """Return the condition of the rows whose value is in order after the one before it."""
        signs = {(False, False): "<", (False, True): "<=", (True, False): ">", (True, True): ">="}
        compare = signs[falls, bool(given.get("strictly"))]
        cell = quoted(column)
        number = cell
        if column in self.floats:
            number = f"CASE WHEN isnan({cell}) THEN NULL ELSE {cell} END"
        # names that no column has, since a condition would read the column of that name
        some = f"SELECT {ROW}, {number} AS __assay_value FROM {self.view}"  # noqa: S608
        lagged = f"lag(__assay_value) OVER (ORDER BY {ROW}) AS __assay_earlier"
        pairs = f"SELECT *, {lagged} FROM ({some}) WHERE __assay_value IS NOT NULL"  # noqa: S608
        wrong = f"__assay_value {compare} __assay_earlier"
        query = f"SELECT {ROW} AS wrong FROM ({pairs}) WHERE {wrong}"  # noqa: S608
        condition = f"{ROW} NOT IN (SELECT wrong FROM {self._table(query)})"  # noqa: S608
        return f"({condition} AND NOT isnan({cell}))" if column in self.floats else condition

    def parsed(self, column: str, name: str, given: dict[str, Any]) -> str:
        """Return the condition of the rows whose text can be parsed.

        Args:
            column: of texts.
            name: of the parser, see `PARSERS`.
            given: its arguments.
        """
        cell = quoted(column)
        texts = f"SELECT DISTINCT {cell} AS wrong FROM {self.view} WHERE {cell} IS NOT NULL"  # noqa: S608
        query = f"SELECT wrong FROM ({texts}) WHERE NOT {_JUDGE}(wrong)"  # noqa: S608
        key = f"{query} {name} {json.dumps(given, sort_keys=True)}"
        with _function(self.connection, PARSERS[name](given)):
            table = self._table(query, key)
        return f"{cell} NOT IN (SELECT wrong FROM {table})"  # noqa: S608

    def _table(self, query: str, key: str | None = None) -> str:
        """Return the table of a query's rows, made once."""
        key = key or query
        if key not in self._kept:
            name = f"__assay_judged_{len(self._kept)}"
            # one of an attempt that was given up may be there
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
            self._kept[key] = name
        return self._kept[key]


def _dates(_: Mapping[str, Any]) -> Judge:
    from dateutil.parser import parse

    judge: Judge = parse
    return judge


def _formatted(given: Mapping[str, Any]) -> Judge:
    form = given["strftime_format"]
    return lambda text: dt.datetime.strptime(text, form)  # noqa: DTZ007  whether, not when


def _json(_: Mapping[str, Any]) -> Judge:
    return json.loads


def _json_schema(given: Mapping[str, Any]) -> Judge:
    from jsonschema.validators import validator_for
    from referencing import Registry

    schema = given["json_schema"]
    # an empty registry fetches nothing
    validator = validator_for(schema)(schema, registry=Registry())
    return lambda text: validator.validate(json.loads(text))


# by the library's metric
PARSERS: dict[str, Callable[[Mapping[str, Any]], Judge]] = {
    "dateutil_parseable": _dates,
    "json_parseable": _json,
    "match_json_schema": _json_schema,
    "match_strftime_format": _formatted,
}


@contextlib.contextmanager
def _function(connection: "duckdb.DuckDBPyConnection", judge: Judge) -> Iterator[None]:
    """Let queries of the connection call a judge as an SQL function."""

    def is_right(text: str) -> bool:
        try:
            judge(text)
        except Exception:  # noqa: BLE001  whatever a parser raises, it could not read the text
            return False
        return True

    def all_of(texts: Any) -> pa.Array:
        with warnings.catch_warnings():  # dateutil's quote the text
            warnings.simplefilter("ignore")
            return pa.array([is_right(text) for text in texts.to_pylist()], pa.bool_())

    from duckdb.func import PythonUDFType

    kind = PythonUDFType.ARROW
    connection.create_function(_JUDGE, all_of, ["VARCHAR"], "BOOLEAN", type=kind)
    try:
        yield
    finally:
        connection.remove_function(_JUDGE)
