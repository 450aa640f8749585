"""Statistics and types of columns that Great Expectations lacks for DuckDB, for the adapter only.

Their meaning is that of the library's pandas engine: a quantile is the nearest value in order, a
median the mean of the two values in the middle. Dates and times of day are compared as timestamps,
since the library compares no others; a time of day is one of 1 January 1970.
Nulls: ignored. NaN is not missing and counts as the largest number.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import sqlalchemy as sql

from checks.contract.query_guard import quoted
from checks.rules import plain_statistics

Computed: TypeAlias = Callable[..., Any]  # engine, column's name, values -> the metric's value
_METRICS = "great_expectations.expectations.metrics"
_KNOWN = {"BIGINT", "DOUBLE", "VARCHAR", "BOOLEAN", "DATE", "TIMESTAMP", "TIME"}


def register(engine: Any) -> None:
    """Register all statistics for an engine class, once per process."""
    _register_end(engine, "column.max", sql.func.max)
    _register_end(engine, "column.min", sql.func.min)
    _register(engine, "column.median", (), _median)
    _register(engine, "column.quantile_values", ("quantiles", "allow_relative_error"), _quantiles)
    _register(engine, "column.outlier_statistics", ("method",), _outlier_statistics)
    _register_table(engine, "table.column_types", ("include_nested",), _column_types)
    _register_table(engine, "table.columns", (), lambda engine, _: engine.columns)


def _register(engine: Any, name: str, keys: tuple[str, ...], compute: Computed) -> None:
    """Register the value of a column's metric."""

    def metric(cls: Any, *, execution_engine: Any, **given: Any) -> Any:  # noqa: ARG001
        column, values = given["metric_domain_kwargs"]["column"], given["metric_value_kwargs"] or {}
        return compute(execution_engine, column, values)

    provider = _module("column_aggregate_metric_provider").ColumnAggregateMetricProvider
    _make(provider, name, keys, _module("metric_provider").metric_value(engine=engine)(metric))


def _register_table(engine: Any, name: str, keys: tuple[str, ...], compute: Computed) -> None:
    def metric(cls: Any, *, execution_engine: Any, **given: Any) -> Any:  # noqa: ARG001
        return compute(execution_engine, given["metric_value_kwargs"] or {})

    provider = _module("table_metric_provider").TableMetricProvider
    _make(provider, name, keys, _module("metric_provider").metric_value(engine=engine)(metric))


def _register_end(engine: Any, name: str, function: Any) -> None:
    """Register a minimum or maximum, which the library computes together with others."""
    types = importlib.import_module("great_expectations.core.metric_domain_types")
    kinds = importlib.import_module("great_expectations.core.metric_function_types")

    def metric(cls: Any, *, execution_engine: Any, **given: Any) -> Any:  # noqa: ARG001
        domain, column = given["metric_domain_kwargs"], types.MetricDomainTypes.COLUMN
        _, *computed = execution_engine.get_compute_domain(domain, domain_type=column)
        return function(_comparable(execution_engine, domain["column"])), *computed

    partial = _module("metric_provider").metric_partial(
        engine=engine,
        partial_fn_type=kinds.MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=types.MetricDomainTypes.COLUMN,
    )
    provider = _module("column_aggregate_metric_provider").ColumnAggregateMetricProvider
    _make(provider, name, (), partial(metric))


def _make(provider: Any, name: str, keys: tuple[str, ...], metric: Any) -> None:
    body = {"metric_name": name, "value_keys": keys, "_sqlalchemy": metric}
    make: Any = type(provider)  # creating the class registers it
    make(f"Duck_{name}", (provider,), body)


def _module(name: str) -> Any:
    return importlib.import_module(f"{_METRICS}.{name}")


def _comparable(engine: Any, name: str) -> Any:
    """Return a column as SQL, a date or a time of day as a timestamp."""
    return sql.literal_column(plain_statistics.comparable(engine.types[name], name))


def _in_order(engine: Any, name: str, places: Callable[[int], Sequence[int]]) -> list[Any]:
    """Return the values at some places of the sorted column, none for an empty one."""
    cell = _comparable(engine, name)
    source = sql.table(engine.dataset)
    [(count,)] = engine.execute_query(sql.select(sql.func.count(cell)).select_from(source))
    if not count:
        return []
    text = plain_statistics.at_places(str(cell), places(count), count)
    query: Any = sql.select(sql.literal_column(text)).select_from(source)
    return list(engine.execute_query(query).scalar())


def _median(engine: Any, name: str, _: Any) -> Any:
    return plain_statistics.middle(_in_order(engine, name, plain_statistics.median_places))


def _quantiles(engine: Any, name: str, values: dict[str, Any]) -> list[Any]:
    wanted = values["quantiles"]
    found = _in_order(engine, name, plain_statistics.quantile_places(wanted))
    return found or [None] * len(wanted)


def _outlier_statistics(engine: Any, name: str, values: dict[str, Any]) -> Any:
    """Return where the window of values that are no outliers lies; see the library."""
    module = _module("column_aggregate_metrics.column_outlier_statistics")
    cell = quoted(name)
    parts = f"quantile_cont({cell}, 0.25), quantile_cont({cell}, 0.75)"
    if values["method"] == module.STD_METHOD:
        parts = f"avg({cell}), stddev_samp({cell})"
    query: Any = sql.select(sql.literal_column(parts)).select_from(sql.table(engine.dataset))
    row = engine.execute_query(query).fetchone()
    first, second = (None if one is None or not np.isfinite(one) else float(one) for one in row)
    if values["method"] == module.STD_METHOD:
        return module.OutlierStatistics.symmetric(first, second)
    spread = None if first is None or second is None else second - first
    return module.OutlierStatistics(first, second, spread)


def _column_types(engine: Any, _: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "type": getattr(sql, kind)() if kind in _KNOWN else sql.types.NullType()}
        for name, kind in engine.types.items()
    ]
