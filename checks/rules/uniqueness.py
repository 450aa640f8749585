"""Uniqueness: the rows whose key occurs more than once, as a condition in SQL.

Great Expectations would sort all rows; hashes of the key tell as much at less cost.
Nulls: a null key, or one whose parts are all null, is no value and repeats nothing.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from checks.contract.query_guard import quoted
from checks.rules.one_pass import DATASET
from checks.rules.suite import Clause

if TYPE_CHECKING:
    import duckdb

MOST = 8_000_000  # hashes in memory, 16 bytes each; more are read in several scans


def condition(connection: "duckdb.DuckDBPyConnection", clause: Clause) -> str:
    """Return the condition of the rows that break a clause of `KINDS`.

    Raises:
        duckdb.Error: if its key cannot be grouped by.
    """
    value = KINDS[clause.kind](clause)
    return repeated_values(connection, DATASET, value, clause.number) + unless_ignored(clause)


def repeated_values(
    connection: "duckdb.DuckDBPyConnection", view: str, value: str, number: int
) -> str:
    """Return the SQL condition of the rows whose value occurs more than once; null does not count.

    Hashes are compared first, since equal values have equal hashes; values are grouped only if two
    hashes are equal. Cost: one scan of the key and a sort of at most `MOST` hashes at a time.

    Args:
        connection: has the view, and keeps the repeated values as long as it is open.
        view: view of the rows.
        value: SQL expression over the view's columns.
        number: number that no other condition has.

    Raises:
        duckdb.Error: if the value cannot be grouped by.
    """
    if _are_distinct(connection, view, value):
        return "false"
    name = f"__assay_repeated_{number}"
    repeated = f"SELECT {value} AS v FROM {view} GROUP BY ALL HAVING count(*) > 1"  # noqa: S608
    kept = f"SELECT v FROM ({repeated}) WHERE v IS NOT NULL"  # noqa: S608
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {kept}")
    return f"({value} IN (SELECT v FROM {name}))"  # noqa: S608


def _are_distinct(connection: "duckdb.DuckDBPyConnection", view: str, value: str) -> bool:
    """Return whether no two values have the same hash."""
    [(rows,)] = connection.execute(f"SELECT count(*) FROM {view}").fetchall()  # noqa: S608
    scans = rows // MOST + 1
    for scan in range(scans):
        mine = f" AND hash({value}) % {scans} = {scan}" if scans > 1 else ""
        query = f"SELECT hash({value}) AS h FROM {view} WHERE {value} IS NOT NULL{mine}"  # noqa: S608
        hashes = connection.sql(query).to_arrow_table()["h"].to_numpy().copy()
        hashes.sort()
        if (hashes[1:] == hashes[:-1]).any():
            return False
    return True


def _cell(clause: Clause) -> str:
    return quoted(clause.kwargs["column"])


def _cells(clause: Clause) -> str:
    names = [quoted(name) for name in clause.kwargs["column_list"]]
    # one value, in which missing parts are equal
    return f"struct_pack({', '.join(f'{n} := {n}' for n in names)})"


# the value of a row that must not occur twice
KINDS: dict[str, Callable[[Clause], str]] = {
    "expect_column_values_to_be_unique": _cell,
    "expect_compound_columns_to_be_unique": _cells,
}
_IGNORED = {
    "both_values_are_missing": "AND",
    "all_values_are_missing": "AND",
    "either_value_is_missing": "OR",
    "any_value_is_missing": "OR",
}


def unless_ignored(clause: Clause) -> str:
    """Return the part of a condition that leaves out the rows that the library ignores."""
    text = ignored(clause)
    return f" AND NOT ({text})" if text else ""


def ignored(clause: Clause) -> str:
    """Return the condition of the rows of several cells that the library ignores, empty if none."""
    if "column_A" in clause.kwargs:
        names, default = [clause.kwargs["column_A"], clause.kwargs["column_B"]], "both_values"
    elif "column_list" in clause.kwargs:
        names, default = clause.kwargs["column_list"], "all_values"
    else:
        return ""
    chosen = clause.kwargs.get("ignore_row_if", f"{default}_are_missing")
    if chosen not in _IGNORED:
        return ""
    return f" {_IGNORED[chosen]} ".join(f"{quoted(name)} IS NULL" for name in names)
