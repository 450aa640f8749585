"""Rules on one statistic of the rows, evaluated without Great Expectations.

The statistics are those of the adapter, asked for in one query; the library then compares a number
with its limits. What depends on the columns alone is kept from the library's own result.
Nulls: ignored; a column without any other value has no statistic, and breaks the rule.
"""

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from checks.contract.query_guard import quoted
from checks.rules.one_pass import ROWS
from checks.rules.suite import Clause

if TYPE_CHECKING:
    import duckdb

MOST = 200  # statistics of one query, which is planned in time quadratic in them
_MIDNIGHT = "DATE '1970-01-01'"
_COUNTS = {
    "expect_table_row_count_to_be_between",
    "expect_table_row_count_to_equal",
}
_MEDIAN = "expect_column_median_to_be_between"
_QUANTILES = "expect_column_quantile_values_to_be_between"
# a number, of whose value in SQL `{cell}` and `{ordered}`, the cell as it is compared, are a part
_NUMBERS = {
    "expect_column_max_to_be_between": "max({ordered})",
    "expect_column_mean_to_be_between": "avg(CAST(1.0 AS DOUBLE) * {cell})",
    "expect_column_min_to_be_between": "min({ordered})",
    "expect_column_stdev_to_be_between": "stddev_samp({cell})",
    "expect_column_sum_to_be_between": "sum({cell})",
    "expect_column_unique_value_count_to_be_between": "count(DISTINCT {cell})",
}
# a share: of what, and of how many; 0 if there is none
_SHARES = {
    "expect_column_proportion_of_unique_values_to_be_between": (
        "count(DISTINCT {cell})",
        "count({cell})",
    ),
    "expect_column_proportion_of_non_null_values_to_be_between": ("count({cell})", "count(*)"),
}
KINDS = frozenset({*_COUNTS, _MEDIAN, _QUANTILES, *_NUMBERS, *_SHARES})
# what these say depends on the names and types of the columns
OF_COLUMNS = frozenset(
    {
        "expect_column_to_exist",
        "expect_column_type_to_be",
        "expect_column_values_to_be_of_type",
        "expect_column_values_to_be_in_type_list",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
        "expect_table_columns_to_match_set",
    }
)
_LIMITS = ("min_value", "max_value", "strict_min", "strict_max", "value")


def limits(expectation: Any) -> dict[str, Any]:
    """Return the limits of a statistic as the library compares them, as JSON values.

    Args:
        expectation: the library's object, which may have made floats of integers.
    """
    given = dict(expectation)
    kept = {key: given[key] for key in _LIMITS if given.get(key) is not None}
    for key, value in kept.items():
        if isinstance(value, dt.datetime):
            kept[key] = {"timestamp": value.isoformat()}
    if "quantile_ranges" in given:
        kept["quantile_ranges"] = expectation.configuration.kwargs["quantile_ranges"]
    return kept


def observed(
    connection: "duckdb.DuckDBPyConnection", clauses: Iterable[Clause], types: Mapping[str, str]
) -> dict[int, Any]:
    """Return the statistic of each clause by number, None if there is none.

    Args:
        connection: has the view of the rows.
        clauses: all of `KINDS`.
        types: DuckDB's type of each column.

    Raises:
        duckdb.Error: if a statistic cannot be computed, as that of an infinite number.
    """
    wanted = list(clauses)
    asked = {clause.number: _asked(clause, types) for clause in wanted}
    values = selected(connection, [text for texts in asked.values() for text in texts])
    found: dict[int, Any] = {}
    for clause in wanted:
        parts = [values[text] for text in asked[clause.number]]
        if clause.kind in (_MEDIAN, _QUANTILES):
            found[clause.number] = _placed(connection, clause, types, parts[0])
        elif clause.kind in _SHARES:
            found[clause.number] = parts[0] / parts[1] if parts[1] else 0
        else:
            found[clause.number] = parts[0]
    return found


def judged(kind: str, value: Any, given: Mapping[str, Any]) -> tuple[bool, Any]:
    """Return whether a statistic is within its limits, and what the library calls observed.

    Args:
        kind: type of the expectation.
        value: from `observed`.
        given: from `limits`.
    """
    if kind == "expect_table_row_count_to_equal":
        return value == given["value"], value
    if kind == _QUANTILES:
        asked = given["quantile_ranges"]
        is_kept = all(map(_is_near, value, asked["value_ranges"]))
        return is_kept, {"quantiles": asked["quantiles"], "values": value}
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return False, None
    low, high = (_limit(given.get(key)) for key in ("min_value", "max_value"))
    is_above = low is None or (value > low if given.get("strict_min") else value >= low)
    is_below = high is None or (value < high if given.get("strict_max") else value <= high)
    return bool(is_above and is_below), value


def _limit(given: Any) -> Any:
    return dt.datetime.fromisoformat(given["timestamp"]) if isinstance(given, dict) else given


def _is_near(value: float | None, ends: Sequence[float | None]) -> bool:
    """Return whether a quantile is between its ends, or as near to one as the library allows."""
    if value is None:
        return False
    low = -np.inf if ends[0] is None else ends[0]
    high = np.inf if ends[1] is None else ends[1]
    near = [np.isclose(np.float64(value), np.float64(end), rtol=1e-4) for end in (low, high)]
    return bool(any(near) or low <= value <= high)


def _asked(clause: Clause, types: Mapping[str, str]) -> list[str]:
    """Return the expressions that a clause's statistic is made of."""
    if clause.kind in _COUNTS:
        return ["count(*)"]
    name = clause.kwargs["column"]
    forms = {"cell": quoted(name), "ordered": comparable(types[name], name)}
    if clause.kind in (_MEDIAN, _QUANTILES):
        return [f"count({forms['ordered']})"]
    texts = _SHARES.get(clause.kind) or (_NUMBERS[clause.kind],)
    return [text.format(**forms) for text in texts]


def selected(connection: "duckdb.DuckDBPyConnection", asked: Iterable[str]) -> dict[str, Any]:
    """Return the value over all rows of each expression in SQL, at most MOST in one query."""
    each = list(dict.fromkeys(asked))
    found: dict[str, Any] = {}
    for start in range(0, len(each), MOST):
        part = each[start : start + MOST]
        [row] = connection.execute(f"SELECT {', '.join(part)} FROM {ROWS}").fetchall()  # noqa: S608
        found |= dict(zip(part, row, strict=True))
    return found


def _placed(
    connection: "duckdb.DuckDBPyConnection", clause: Clause, types: Mapping[str, str], count: int
) -> Any:
    """Return a median or quantiles from the values at their places."""
    name = clause.kwargs["column"]
    places: Callable[[int], list[int]] = median_places
    wanted: list[float] = []
    if clause.kind == _QUANTILES:
        wanted = clause.kwargs["quantile_ranges"]["quantiles"]
        places = quantile_places(wanted)
    values: list[Any] = []
    if count:
        text = at_places(comparable(types[name], name), places(count), count)
        [(values,)] = connection.execute(f"SELECT {text} FROM {ROWS}").fetchall()  # noqa: S608
    return list(values) or [None] * len(wanted) if wanted else middle(values)


def comparable(kind: str, name: str) -> str:
    """Return a column of a DuckDB type as SQL, a date or a time of day as a timestamp."""
    cell = quoted(name)
    if kind == "DATE":
        return f"CAST({cell} AS TIMESTAMP)"
    return f"({_MIDNIGHT} + {cell})" if kind == "TIME" else cell


def at_places(cell: str, places: Sequence[int], count: int) -> str:
    """Return the SQL of the values at some places of a sorted column of `count` values."""
    # the value at place i is the first whose share of values up to it is at least (i + 1) / count
    shares = ", ".join(repr((place + 0.5) / count) for place in places)
    return f"quantile_disc({cell}, [{shares}])"


def median_places(count: int) -> list[int]:
    """Return the two places in the middle."""
    return [(count - 1) // 2, count // 2]


def middle(values: Sequence[Any]) -> Any:
    """Return the mean of the two values in the middle, None if there are none."""
    if not values:
        return None
    low, high = values
    return low if low == high else low + (high - low) / 2


def quantile_places(wanted: Sequence[float]) -> Callable[[int], list[int]]:
    """Return what gives the place nearest to each quantile."""
    shares = np.asarray(wanted, float)

    def places(count: int) -> list[int]:
        found: list[int] = np.round(shares * (count - 1)).astype(int).tolist()
        return found

    return places
