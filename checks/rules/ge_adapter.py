"""Great Expectations on DuckDB: its results, and the meaning of a row rule as SQL.

The library's own `*.condition` metrics give the condition of the rows that break an expectation, so
the pass over the shards runs what the suite means. Only what the library lacks for DuckDB is added:
RE2 patterns, LIKE, uniqueness, exact comparison of bounds, order, and texts that are parsed.
Nulls: a missing cell breaks no rule except those against missing cells. NaN is not missing: it
breaks every minimum and maximum, is in no set, and equals itself. Text length is in code points.
Private parts of the library are used, so its version is pinned: see docs/adr/0003.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from checks.rules import duck_engine, judged_values, lookups, uniqueness
from checks.rules.one_pass import ROWS, column_types
from checks.rules.suite import Clause

if TYPE_CHECKING:
    import duckdb


class Adapter:
    """Great Expectations over the view ROWS of one DuckDB connection."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Wrap a connection; the caller closes it."""
        import sqlalchemy
        from duckdb_engine import ConnectionWrapper
        from great_expectations.core.batch import Batch
        from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
        from sqlalchemy.pool import StaticPool

        self._connection = connection
        engine_type, validator_type = duck_engine.types()
        self._pool = sqlalchemy.create_engine(
            "duckdb://",
            creator=lambda: ConnectionWrapper(connection),
            poolclass=StaticPool,
            pool_reset_on_return=None,
        )
        # the dialect is derived from PostgreSQL's, but DuckDB's plain strings have no escapes
        self._pool.dialect._backslash_escapes = False  # type: ignore[attr-defined]  # noqa: SLF001
        # and its keywords differ from PostgreSQL's: a column may be called `at`
        self._pool.dialect.identifier_preparer.reserved_words = _keywords(connection)
        self._pool.dialect.statement_compiler = _numbering(self._pool.dialect.statement_compiler)
        # nothing is written, and in a transaction one query that fails takes all later ones along
        for name in ("do_begin", "do_commit", "do_rollback"):
            setattr(self._pool.dialect, name, lambda _: None)
        self.engine = engine_type(engine=self._pool, create_temp_table=False)
        self.engine.kept = self._pool.connect()
        self.engine.dataset, self.engine.types = ROWS, column_types(connection)
        self.engine.columns = lookups.Columns(self.engine.types)
        floats = [name for name, kind in self.engine.types.items() if kind in ("DOUBLE", "FLOAT")]
        self.engine.floats = frozenset(floats)
        self.engine.judged = judged_values.Judged(connection, ROWS, self.engine.floats)
        data: Any = SqlAlchemyBatchData(
            execution_engine=self.engine, table_name=ROWS, create_temp_table=False
        )
        self._validator = validator_type(execution_engine=self.engine, batches=[Batch(data=data)])

    def close(self) -> None:
        """Release the connection."""
        self.engine.kept.close()
        self._pool.dispose()

    def validate(self, expectations: Iterable[Any]) -> dict[str, Any]:
        """Return the library's results by clause key: counts only, no cell values."""
        shape = {"result_format": "BASIC", "partial_unexpected_count": 0}
        with lookups.kept_configurations():
            results = self._validator.graph_validate(
                [expectation.configuration for expectation in expectations],
                runtime_configuration={"result_format": shape, "catch_exceptions": True},
            )
        return {result.expectation_config.meta["key"]: result for result in results}

    def conditions(self, clauses: Iterable[Clause]) -> dict[int, str | Exception]:
        """Return, by clause number, the SQL condition of the rows that break it.

        The value is an exception if the library has no condition.
        """
        wanted = list(clauses)
        asked = {c.number: self._metric(c) for c in wanted if c.kind not in uniqueness.KINDS}
        values = self._computed([metric for metric in asked.values() if metric])
        found: dict[int, str | Exception] = {}
        for clause in wanted:
            if clause.kind in uniqueness.KINDS:
                found[clause.number] = self._own(clause)
                continue
            metric = asked[clause.number]
            value = values.get(metric.id) if metric else None
            if isinstance(value, tuple):
                found[clause.number] = self._sql(value[0]) + uniqueness.unless_ignored(clause)
            else:
                reason = value or NotImplementedError(f"{clause.kind} has no condition in SQL")
                found[clause.number] = reason
        return found

    def _own(self, clause: Clause) -> str | Exception:
        """Return the condition of a uniqueness clause, which the library would sort rows for."""
        import duckdb

        try:
            return uniqueness.condition(self._connection, clause)
        except duckdb.Error as error:
            return error

    def _metric(self, clause: Clause) -> Any:
        from great_expectations.expectations.registry import get_expectation_impl
        from great_expectations.validator.metric_configuration import MetricConfiguration

        kind = get_expectation_impl(clause.kind)
        name = getattr(kind, "map_metric", None)
        if name is None:
            return None
        domain_names = ("column", "column_A", "column_B", "column_list")
        domain = {key: item for key, item in clause.kwargs.items() if key in domain_names}
        skip = (*domain_names, "mostly", "ignore_row_if")
        value = {key: item for key, item in clause.kwargs.items() if key not in skip}
        return MetricConfiguration(f"{name}.condition", domain, value)

    def _computed(self, metrics: list[Any]) -> dict[Any, Any]:
        """Return values by metric id, an exception for a metric that failed."""
        from great_expectations.validator.metrics_calculator import MetricsCalculator

        calculator = MetricsCalculator(self.engine, show_progress_bars=False)
        try:
            values, aborted = calculator.compute_metrics(metrics)
        except Exception:
            if len(metrics) == 1:
                raise
            return self._one_by_one(metrics)
        for key, facts in aborted.items():
            errors = facts["exception_info"]
            reason = getattr(errors, "exception_message", None) or str(errors)[:200]
            values[key] = RuntimeError(reason)
        return dict(values)

    def _one_by_one(self, metrics: list[Any]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for metric in metrics:
            try:
                found[metric.id] = self._computed([metric]).get(metric.id)
            except Exception as error:  # noqa: BLE001  reported as ASSAY-K001 by the caller
                found[metric.id] = error
        return found

    def _sql(self, condition: Any) -> str:
        return str(
            condition.compile(dialect=self._pool.dialect, compile_kwargs={"literal_binds": True})
        )


def _numbering(compiler: type[Any]) -> type[Any]:
    """Return an SQL compiler whose parameters are named by their number, not after columns.

    A column's name may hold what a parameter's may not, such as a line end, and two names may
    become one parameter: `x y` and `x.y`.
    """

    class Numbering(compiler):  # type: ignore[misc]  # known at run time only
        def _truncate_bindparam(self, parameter: Any) -> str:
            name: str = self.bind_names.setdefault(parameter, f"p{len(self.bind_names)}")
            return name

    return Numbering


def _keywords(connection: "duckdb.DuckDBPyConnection") -> set[str]:
    """Return the words that must be quoted as names."""
    rows = connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()
    return {row[0] for row in rows}
