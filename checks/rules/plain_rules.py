"""Rules whose meaning is known without Great Expectations: conditions on a row, and statistics.

The library is slow to import, and what it says about such a rule depends on the contract alone: a
condition in SQL, limits of a number, or what it says of the columns' names and types. Once known,
the conditions are run by the same pass, and the counts of the library's result are made here as it
makes them. Every other rule needs the library.
Nulls: as in the condition; cells that a rule does not judge are counted apart.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from checks.contract.query_guard import quoted
from checks.rules import judged_values, plain_statistics, uniqueness
from checks.rules.one_pass import ROWS
from checks.rules.suite import NOT_NULL, Clause

if TYPE_CHECKING:
    import duckdb

ROW_COUNT = "expect_table_row_count_to_be_between"
_OF_MISSING = frozenset({NOT_NULL, "expect_column_values_to_be_null"})
_Judge = Callable[[judged_values.Judged, Mapping[str, Any]], str]


def _in_order(*, falls: bool) -> _Judge:
    def condition(judged: judged_values.Judged, given: Mapping[str, Any]) -> str:
        return judged.order(given["column"], {"strictly": given.get("strictly")}, falls=falls)

    return condition


def _parsed(name: str, *keys: str) -> _Judge:
    def condition(judged: judged_values.Judged, given: Mapping[str, Any]) -> str:
        return judged.parsed(given["column"], name, {key: given[key] for key in keys})

    return condition


# the condition of the rows that keep the rule, which depends on the rows
_JUDGED: dict[str, _Judge] = {
    "expect_column_values_to_be_increasing": _in_order(falls=False),
    "expect_column_values_to_be_decreasing": _in_order(falls=True),
    "expect_column_values_to_be_dateutil_parseable": _parsed("dateutil_parseable"),
    "expect_column_values_to_be_json_parseable": _parsed("json_parseable"),
    "expect_column_values_to_match_json_schema": _parsed("match_json_schema", "json_schema"),
    "expect_column_values_to_match_strftime_format": _parsed(
        "match_strftime_format", "strftime_format"
    ),
}
_OF_ROWS = (
    _OF_MISSING
    | uniqueness.KINDS.keys()
    | _JUDGED.keys()
    | {
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_not_be_in_set",
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_not_match_regex",
        "expect_column_values_to_match_regex_list",
        "expect_column_values_to_not_match_regex_list",
        "expect_column_values_to_match_like_pattern",
        "expect_column_values_to_not_match_like_pattern",
        "expect_column_values_to_match_like_pattern_list",
        "expect_column_values_to_not_match_like_pattern_list",
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_to_be_in_set",
        "expect_multicolumn_sum_to_equal",
        "expect_multicolumn_values_to_be_equal",
        "expect_select_column_values_to_be_unique_within_record",
    }
)
_PLAIN = _OF_ROWS | plain_statistics.KINDS | plain_statistics.OF_COLUMNS


@dataclasses.dataclass(slots=True)
class Result:
    """What the library would return for one expectation; `exception_info` is always empty."""

    success: bool
    result: dict[str, Any]
    exception_info: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Learned:
    """What the library said of a contract's clauses that depends on the contract alone.

    Attributes:
        conditions: in SQL, of the rows that break a clause.
        limits: of a clause's statistic, see `plain_statistics.limits`.
        of_columns: success of a clause on names and types, and what the library observed.
    All are by the clause's number, as text since they are JSON values.
    """

    conditions: dict[str, str]
    limits: dict[str, dict[str, Any]]
    of_columns: dict[str, list[Any]]


def are_plain(clauses: Iterable[Clause]) -> bool:
    """Return whether the meaning of every clause can be known without the library."""
    return all(clause.kind in _PLAIN for clause in clauses)


def have_conditions(clauses: Iterable[Clause]) -> list[Clause]:
    """Return the clauses that are a condition on a row."""
    return [clause for clause in clauses if clause.kind in _OF_ROWS]


def learned(
    clauses: Iterable[Clause],
    found: Mapping[int, str],
    expectations: Iterable[Any],
    results: Mapping[str, Any],
) -> Learned:
    """Return what to keep of the library's answers.

    Args:
        clauses: all plain.
        found: conditions by number, of which those remain that do not depend on the rows.
        expectations: the library's objects, in the order of the clauses.
        results: by key, the library's.
    """
    passing = uniqueness.KINDS.keys() | _JUDGED.keys()
    kept = Learned({}, {}, {})
    for clause, expectation in zip(clauses, expectations, strict=True):
        number = str(clause.number)
        if clause.kind in plain_statistics.KINDS:
            kept.limits[number] = plain_statistics.limits(expectation)
        elif clause.kind in plain_statistics.OF_COLUMNS:
            one = results[clause.key]
            told = {key: one.result[key] for key in ("observed_value",) if key in one.result}
            kept.of_columns[number] = [bool(one.success), told]
        elif clause.kind not in passing:
            kept.conditions[number] = found[clause.number]
    return kept


def conditions(
    connection: "duckdb.DuckDBPyConnection",
    clauses: Iterable[Clause],
    known: Learned,
    types: Mapping[str, str],
) -> dict[int, str]:
    """Return the condition of the rows that break each clause that has one, by number.

    Args:
        connection: has the views of the rows.
        clauses: all plain.
        known: conditions that depend on the contract alone; what repeats depends on the rows.
        types: DuckDB's type of each column.

    Raises:
        KeyError: if a condition is missing.
        duckdb.Error: if a key cannot be grouped by.
    """
    floats = frozenset(name for name, kind in types.items() if kind in ("DOUBLE", "FLOAT"))
    judged = judged_values.Judged(connection, ROWS, floats)
    found = {}
    for clause in have_conditions(clauses):
        if clause.kind in uniqueness.KINDS:
            found[clause.number] = uniqueness.condition(connection, clause)
        elif clause.kind in _JUDGED:
            kept = _JUDGED[clause.kind](judged, clause.kwargs)
            cell = quoted(clause.kwargs["column"])
            found[clause.number] = f"{cell} IS NOT NULL AND NOT ({kept})"
        else:
            found[clause.number] = known.conditions[str(clause.number)]
    return found


def results(
    connection: "duckdb.DuckDBPyConnection",
    clauses: Iterable[Clause],
    found: Mapping[int, str],
    known: Learned,
    types: Mapping[str, str],
) -> dict[str, Result]:
    """Return the result of each clause by its key, counted apart from the pass that finds rows.

    Args:
        connection: has the views of the rows.
        clauses: all plain.
        found: the conditions by number, from `conditions`.
        known: of the same clauses.
        types: DuckDB's type of each column.

    Raises:
        KeyError: if something known is missing.
        duckdb.Error: if a condition or a statistic cannot be evaluated.
    """
    wanted = list(clauses)
    made = _counts(connection, [clause for clause in wanted if clause.number in found], found)
    numbers = [clause for clause in wanted if clause.kind in plain_statistics.KINDS]
    values = plain_statistics.observed(connection, numbers, types)
    for clause in numbers:
        given = known.limits[str(clause.number)]
        is_kept, value = plain_statistics.judged(clause.kind, values[clause.number], given)
        made[clause.key] = Result(is_kept, {"observed_value": value})
    for clause in wanted:
        if clause.kind in plain_statistics.OF_COLUMNS:
            is_kept, told = known.of_columns[str(clause.number)]
            made[clause.key] = Result(is_kept, dict(told))
    return made


def _counts(
    connection: "duckdb.DuckDBPyConnection", clauses: Iterable[Clause], found: Mapping[int, str]
) -> dict[str, Result]:
    """Return the results of clauses on rows by their keys."""
    wanted = list(clauses)
    missing = {clause.key: text for clause in wanted if (text := _missing(clause))}
    asked = ["true", *missing.values(), *(found[clause.number] for clause in wanted)]
    counts = _counted(connection, asked)
    rows = counts["true"]
    made = {}
    for clause in wanted:
        count = counts[found[clause.number]]
        # the library adds up for one column, and a sum of no rows is null; for others it counts
        is_sum = "column" in clause.kwargs and clause.kind not in uniqueness.KINDS
        told = None if is_sum and not rows else count
        absent = counts[missing[clause.key]] if clause.key in missing else None
        made[clause.key] = _result(rows, told, absent, clause.kwargs.get("mostly", 1))
    return made


def _missing(clause: Clause) -> str:
    """Return the condition of the rows that a clause does not judge; empty if it judges all."""
    if clause.kind in _OF_MISSING:
        return ""
    if "column" in clause.kwargs:
        return f"{quoted(clause.kwargs['column'])} IS NULL"
    return uniqueness.ignored(clause) or "false"


def _counted(connection: "duckdb.DuckDBPyConnection", asked: Iterable[str]) -> dict[str, int]:
    """Return how many rows meet each condition."""
    counts = {condition: f"count(CASE WHEN {condition} THEN 1 END)" for condition in asked}
    found = plain_statistics.selected(connection, counts.values())
    return {condition: found[text] for condition, text in counts.items()}


def _result(rows: int, broken: int | None, missing: int | None, mostly: float) -> Result:
    """Return counts and percentages by the names of the library; None where nothing was judged."""
    judged = rows - (missing or 0)
    of_all = (broken or 0) / rows * 100 if rows else None
    of_judged = of_all if missing is None else (broken or 0) / judged * 100 if judged else None
    result = {"element_count": rows, "unexpected_count": broken, "unexpected_percent": of_judged}
    if missing is not None:
        result |= {
            "missing_count": missing,
            "missing_percent": missing / rows * 100 if rows else None,
            "unexpected_percent_total": of_all,
            "unexpected_percent_nonmissing": of_judged,
        }
    is_kept = not judged or (judged - (broken or 0)) / judged >= mostly
    return Result(success=is_kept, result=result)
