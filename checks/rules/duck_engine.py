"""Great Expectations' execution engine on one DuckDB connection, and its validator.

The classes are made once, when the library is first needed, since making metrics registers them.
Private parts of the library are used, so its version is pinned: see docs/adr/0003.
"""

import functools
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

from checks.rules import judged_values, lookups

BUNDLE = 200  # statistics of one query


class BufferedRows:
    """A query's result, fetched at once: DuckDB keeps one open result per connection."""

    def __init__(self, result: Any) -> None:
        """Fetch all rows of an SQLAlchemy result; None has none."""
        self._rows = result.fetchall() if result is not None and result.returns_rows else []

    def fetchall(self) -> list[Any]:
        """Return all rows."""
        return list(self._rows)

    all = fetchall

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the first rows."""
        return list(self._rows[:size])

    def fetchone(self) -> Any:
        """Return the first row, None if there is none."""
        return self._rows[0] if self._rows else None

    def scalar(self) -> Any:
        """Return the first row's first value, None if there is none."""
        return self._rows[0][0] if self._rows else None

    scalar_one = scalar

    def __iter__(self) -> Any:
        """Iterate over the rows."""
        return iter(self._rows)


def silence() -> None:
    """Turn off the library's analytics, progress bars and log; call before it is imported."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    os.environ["TQDM_DISABLE"] = "1"
    log = logging.getLogger("great_expectations")
    log.setLevel(logging.CRITICAL + 1)  # its messages may quote cells
    log.propagate = False


def _filled(records_of: Callable[[dict[str, Any]], Any], domain: dict[str, Any]) -> Any:
    """Return the records of a domain, without those whose column is missing if it asks for that.

    The library would parse its own text `col("NAME").notnull()`, whatever the name holds.
    """
    import sqlalchemy

    plain = dict(domain)
    conditions = plain.pop("filter_conditions", [])
    if "column" not in plain or not conditions:
        return records_of(domain)
    records = records_of(plain)
    if not isinstance(records, sqlalchemy.Table | sqlalchemy.Subquery):
        records = records.subquery()
    names = [one.condition[len('col("') : -len('").notnull()')] for one in conditions]
    filled = [sqlalchemy.column(name).is_not(None) for name in names]
    return sqlalchemy.select(sqlalchemy.text("*")).select_from(records).where(*filled)


@functools.cache
def types() -> tuple[Any, Any]:
    """Return the engine and validator classes."""
    silence()
    engine = _engine()
    from great_expectations.validator.validator import Validator

    class QuietValidator(Validator):
        """Shows no progress bar."""

        def _determine_progress_bars(self) -> bool:
            return False

    from checks.rules import duckdb_metrics, duckdb_statistics

    lookups.look_up_exact_names()
    lookups.name_plain_arguments()
    lookups.follow_once()
    duckdb_metrics.register(engine)
    duckdb_statistics.register(engine)
    return engine, QuietValidator


def _engine() -> Any:
    from great_expectations.execution_engine import sqlalchemy_execution_engine as usual

    class DuckEngine(usual.SqlAlchemyExecutionEngine):
        """Runs every query on the one connection that is kept.

        Attributes:
            dataset: the view that is read, with the rows' numbers.
            types: DuckDB's type of each column, but for the rows' numbers; columns: their names.
            floats: the columns that may hold NaN.
            judged: conditions of what no expression on one cell states.
        """

        kept: Any
        dataset: str
        types: dict[str, str]
        columns: lookups.Columns
        floats: frozenset[str]
        judged: judged_values.Judged

        def execute_query(self, query: Any) -> Any:
            # the library asks for 0 examples of each rule; each query would bind every column
            if getattr(getattr(query, "_limit_clause", None), "value", None) == 0:
                return BufferedRows(None)
            return BufferedRows(self.kept.execute(query))

        execute_query_in_transaction = execute_query

        def resolve_metric_bundle(self, metric_fn_bundle: Iterable[Any]) -> dict[Any, Any]:
            # a query is planned in time quadratic in what it selects
            metrics = list(metric_fn_bundle)
            found: dict[Any, Any] = {}
            for start in range(0, len(metrics), BUNDLE):
                found |= super().resolve_metric_bundle(metrics[start : start + BUNDLE])
            return found

        def get_domain_records(self, domain_kwargs: dict[str, Any]) -> Any:
            return _filled(super().get_domain_records, domain_kwargs)

    return DuckEngine
