"""Whether values of a key occur twice: hashes first, and a grouping only where two are equal.

Equal values have equal hashes, DuckDB's own joins rest on that; so where all hashes differ nothing
occurs twice, and no value was kept. Exact: equal hashes prove nothing and are looked into.
Cost: one scan of the key and a sort of its hashes, at most `MOST` of them at once.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

MOST = 8_000_000  # hashes in memory, 16 bytes each: more are taken in several scans


def condition(connection: "duckdb.DuckDBPyConnection", view: str, value: str, number: int) -> str:
    """Return the SQL condition of the rows whose value occurs twice; missing ones do not count.

    Args:
        connection: with the view; it keeps the values that occur twice for as long as it is open.
        view: of the rows.
        value: SQL over the view's columns.
        number: that no other condition has.

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
