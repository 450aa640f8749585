"""Conditions that Great Expectations lacks for DuckDB, registered for the adapter's engine only.

Each holds for the rows that satisfy a rule; the library adds that missing cells break none. Bounds
are compared exactly: the suite wraps what a float cannot represent as `{type: value}`.
"""

import datetime as dt
import importlib
from collections.abc import Callable
from typing import Any, TypeAlias

import sqlalchemy as sql

Condition: TypeAlias = Callable[[Any, Any, dict[str, Any]], Any]  # engine, column, values
_MAPS = "great_expectations.expectations.metrics.map_metric_provider"
_MOMENTS: dict[str, Any] = {"date": dt.date, "timestamp": dt.datetime, "time": dt.time}


def register(engine: Any) -> None:
    """Register all conditions for an engine class, once per process."""
    ends = ("min_value", "max_value", "strict_min", "strict_max")
    _register(engine, "column_values.between", ends, _between)
    _register(engine, "column_values.match_regex", ("regex",), _matches)
    _register(engine, "column_values.not_match_regex", ("regex",), _denied(_matches))
    keys: tuple[str, ...] = ("regex_list", "match_on")
    _register(engine, "column_values.match_regex_list", keys, _matches)
    _register(engine, "column_values.not_match_regex_list", keys[:1], _denied(_matches))
    keys = ("like_pattern", "escape")
    _register(engine, "column_values.match_like_pattern", keys, _like)
    _register(engine, "column_values.not_match_like_pattern", keys, _denied(_like))
    keys = ("like_pattern_list", "escape")
    _register(engine, "column_values.match_like_pattern_list", (*keys, "match_on"), _like)
    _register(engine, "column_values.not_match_like_pattern_list", keys, _denied(_like))
    for word, falls in (("increasing", False), ("decreasing", True)):
        _register(engine, f"column_values.{word}", ("strictly",), _in_order(falls=falls))
    _register(engine, "column_values.dateutil_parseable", (), _parsed("dateutil_parseable"))
    _register(engine, "column_values.json_parseable", (), _parsed("json_parseable"))
    for word in ("json_schema", "strftime_format"):
        name = f"match_{word}"
        _register(engine, f"column_values.{name}", (word,), _parsed(name))
    _register_occurrences(engine)


def _register(engine: Any, name: str, keys: tuple[str, ...], condition: Condition) -> None:
    maps: Any = importlib.import_module(_MAPS)

    def metric(_: Any, column: Any, **given: Any) -> Any:
        values = {key: given.get(key) for key in keys}
        return condition(given["_execution_engine"], column, values)

    body = {
        "condition_metric_name": name,
        "condition_value_keys": keys,
        "_sqlalchemy": maps.column_condition_partial(engine=engine)(metric),
    }
    make: Any = type(maps.ColumnMapMetricProvider)  # creating the class registers it
    make(f"Duck_{name}", (maps.ColumnMapMetricProvider,), body)


def _register_occurrences(engine: Any) -> None:
    """Register how often each row's key occurs, missing parts being equal, as in pandas.

    The library joins the keys with their counts, which loses keys of which a part is missing.
    """
    maps: Any = importlib.import_module(_MAPS)

    def counted(_: Any, column_list: Any, **given: Any) -> Any:  # noqa: ARG001
        names: list[Any] = [sql.column(name) for name in given["_column_names"]]
        often = sql.func.count().over(partition_by=names).label("_num_rows")
        every: list[Any] = [sql.column(name) for name in given["_table_columns"]]
        return sql.select(*every, often).select_from(given["_table"]).alias("__assay_counted")

    name = "compound_columns.count"
    body = {
        "function_metric_name": name,
        "_sqlalchemy": maps.multicolumn_function_partial(engine=engine)(counted),
    }
    make: Any = type(maps.MulticolumnMapMetricProvider)
    make(f"Duck_{name}", (maps.MulticolumnMapMetricProvider,), body)


def _denied(condition: Condition) -> Condition:
    return lambda engine, column, values: sql.not_(condition(engine, column, values))


def _between(engine: Any, column: Any, ends: dict[str, Any]) -> Any:
    parts = []
    if ends["min_value"] is not None:
        low = _exact(ends["min_value"])
        parts.append(column > low if ends["strict_min"] else column >= low)
    if ends["max_value"] is not None:
        high = _exact(ends["max_value"])
        parts.append(column < high if ends["strict_max"] else column <= high)
    if str(column.name) in engine.floats:
        parts.append(sql.not_(sql.func.isnan(column)))
    return sql.and_(*parts)


def _exact(limit: Any) -> Any:
    if not isinstance(limit, dict):
        return sql.literal(limit)
    ((kind, value),) = limit.items()
    if kind == "integer":
        return sql.literal_column(str(int(value)))
    # parsed and formatted again, so that only a date or time can appear between the quotes
    moment = _MOMENTS[kind].fromisoformat(value).isoformat()
    return sql.literal_column(f"{kind.upper()} '{moment}'")


def _matches(_: Any, column: Any, given: dict[str, Any]) -> Any:
    patterns = given.get("regex_list") or [given["regex"]]
    return _joined([sql.func.regexp_matches(column, pattern) for pattern in patterns], given)


def _like(_: Any, column: Any, given: dict[str, Any]) -> Any:
    patterns = given.get("like_pattern_list") or [given["like_pattern"]]
    parts = [column.like(pattern, escape=given["escape"]) for pattern in patterns]
    return _joined(parts, given)


def _joined(parts: list[Any], given: dict[str, Any]) -> Any:
    return sql.and_(*parts) if given.get("match_on") == "all" else sql.or_(*parts)


def _in_order(*, falls: bool) -> Condition:
    return lambda engine, column, given: sql.literal_column(
        engine.judged.order(str(column.name), given, falls=falls)
    )


def _parsed(name: str) -> Condition:
    return lambda engine, column, given: sql.literal_column(
        engine.judged.parsed(str(column.name), name, given)
    )
