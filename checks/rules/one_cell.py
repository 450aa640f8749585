"""Whether one new cell keeps the expectations of its contract that judge each cell by itself.

Great Expectations says what such an expectation means, as it does for a run, and DuckDB evaluates
that over a table of one row. The library is imported only if the column has such a rule.
Nulls: the cell is not missing. Blind to: what compares cells of a row, or rows.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from checks.contract.query_guard import quoted, sql_type
from checks.kit.contract_model import Contract, Rule
from checks.rules import duck_engine, one_pass, suite
from checks.rules.suite import Clause
from provenance.rows.shards import ROW

if TYPE_CHECKING:
    import duckdb

_OF_CELLS = ("expect_column_values_", "expect_column_value_")
_OF_ROWS = frozenset({
    "expect_column_values_to_be_unique",
    "expect_column_values_to_be_increasing",
    "expect_column_values_to_be_decreasing",
})  # fmt: skip


def broken_by(contract: Contract, name: str, cell: pa.Array) -> Rule | None:
    """Return the first expectation of severity error that a cell breaks; None if it keeps all.

    An expectation that cannot be evaluated counts as broken: not judged is never passed.

    Args:
        contract: with the rules.
        name: of a flat column.
        cell: one value of the column's type, not null.
    """
    clauses = _clauses(contract, name)
    if not clauses:
        return None
    duck_engine.silence()
    with (
        tempfile.TemporaryDirectory() as spill,
        one_pass.opened(contract, [], Path(spill), one_pass.Budget("256MB", 1)) as connection,
    ):
        _fill(connection, contract, name, cell)
        return _first_broken(connection, clauses)


def has_rules(contract: Contract, name: str) -> bool:
    """Return whether a column has such an expectation; the library is not imported."""
    return bool(_clauses(contract, name))


def _clauses(contract: Contract, name: str) -> list[Clause]:
    if not any(rule.column == name and rule.kind.startswith(_OF_CELLS) for rule in contract.rules):
        return []
    return [clause for clause in suite.clauses(contract) if _judges(clause, name)]


def _judges(clause: Clause, name: str) -> bool:
    is_own = clause.rule.kind.startswith(_OF_CELLS) and clause.kwargs.get("column") == name
    is_error = clause.rule.severity == "error" and clause.by_row
    return is_own and is_error and clause.kind not in _OF_ROWS


def _fill(
    connection: "duckdb.DuckDBPyConnection", contract: Contract, name: str, cell: pa.Array
) -> None:
    """Put a row of this cell, and otherwise of missing ones, in place of the empty view."""
    types = {column.name: sql_type(column.spec) for column in contract.columns}
    columns = ", ".join(f"{quoted(each)} {kind}" for each, kind in types.items())
    connection.execute(f"DROP VIEW {one_pass.ROWS}")
    connection.execute(f"CREATE TABLE {one_pass.ROWS} ({columns}, {quoted(ROW)} BIGINT)")
    insert = f"INSERT INTO {one_pass.ROWS} ({quoted(name)}, {quoted(ROW)}) VALUES (?, 0)"  # noqa: S608
    connection.execute(insert, [cell[0].as_py()])


def _first_broken(
    connection: "duckdb.DuckDBPyConnection", clauses: Sequence[Clause]
) -> Rule | None:
    from checks.rules import lean_import  # noqa: F401  imports the library
    from checks.rules.ge_adapter import Adapter

    adapter = Adapter(connection)
    try:
        found = adapter.conditions(clauses)
        usable = {number: sql for number, sql in found.items() if isinstance(sql, str)}
        rows, failed = one_pass.offending_each(connection, usable)
    finally:
        adapter.close()
    unknown = failed.keys() | (found.keys() - usable.keys())
    broken = (c.rule for c in clauses if c.number in unknown or len(rows[c.number]))
    return next(broken, None)
