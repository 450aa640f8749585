"""Rules whose meaning is one condition on a row, evaluated without Great Expectations.

The library is slow to import, and what it says about such a rule depends on the contract alone: a
condition in SQL. Once known, the condition is run by the same pass, and the counts of the library's
result are made here as it makes them. Every other rule needs the library.
Nulls: as in the condition; a column's missing cells are counted apart.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from checks.contract.query_guard import quoted
from checks.rules import uniqueness
from checks.rules.one_pass import ROWS
from checks.rules.suite import NOT_NULL, Clause

if TYPE_CHECKING:
    import duckdb

ROW_COUNT = "expect_table_row_count_to_be_between"
_OF_MISSING = frozenset({NOT_NULL, "expect_column_values_to_be_null"})
_KINDS = (
    _OF_MISSING
    | uniqueness.KINDS.keys()
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
    }
)
# `mostly` and `ignore_row_if` among others change what the counts mean
_ARGUMENTS = frozenset(
    {
        "column", "column_list", "min_value", "max_value", "strict_min", "strict_max", "value_set",
        "value", "regex", "regex_list", "match_on", "like_pattern", "like_pattern_list", "escape",
    }
)  # fmt: skip
MOST = 200  # counts of one query, which is planned in time quadratic in them


@dataclasses.dataclass(slots=True)
class Result:
    """What the library would return for one expectation; `exception_info` is always empty."""

    success: bool
    result: dict[str, Any]
    exception_info: dict[str, Any] = dataclasses.field(default_factory=dict)


def are_plain(clauses: Iterable[Clause]) -> bool:
    """Return whether every clause is one condition on a row, or the number of rows."""
    return all(_is_plain(clause) for clause in clauses)


def _is_plain(clause: Clause) -> bool:
    if clause.kind == ROW_COUNT:
        return clause.rule.kind == "rowCount"  # with its own bound, and no argument
    is_judged = clause.by_row or "bound" in clause.rule.params
    return is_judged and clause.kind in _KINDS and clause.kwargs.keys() <= _ARGUMENTS


def conditions(
    connection: "duckdb.DuckDBPyConnection", clauses: Iterable[Clause], known: Mapping[int, str]
) -> dict[int, str]:
    """Return the condition of the rows that break each clause, by number.

    Args:
        connection: has the views of the rows.
        clauses: all plain.
        known: conditions that depend on the contract alone; what repeats depends on the rows.

    Raises:
        KeyError: if a condition is missing.
        duckdb.Error: if a key cannot be grouped by.
    """
    found = {}
    for clause in clauses:
        if clause.kind in uniqueness.KINDS:
            found[clause.number] = uniqueness.condition(connection, clause)
        elif clause.kind != ROW_COUNT:
            found[clause.number] = known[clause.number]
    return found


def lasting(clauses: Iterable[Clause], found: Mapping[int, str]) -> dict[int, str]:
    """Return those of the conditions that do not depend on the rows."""
    passing = {clause.number for clause in clauses if clause.kind in uniqueness.KINDS}
    return {number: sql for number, sql in found.items() if number not in passing}


def results(
    connection: "duckdb.DuckDBPyConnection", clauses: Iterable[Clause], found: Mapping[int, str]
) -> dict[str, Result]:
    """Return the result of each clause by its key, counted apart from the pass that finds rows.

    Args:
        connection: has the views of the rows.
        clauses: all plain.
        found: the conditions by number, from `conditions`.

    Raises:
        duckdb.Error: if a condition cannot be evaluated.
    """
    wanted = list(clauses)
    broken = {clause.key: found[clause.number] for clause in wanted if clause.number in found}
    missing = {text: text for clause in wanted if (text := _missing(clause))}
    counts = _counted(connection, ["true", *broken.values(), *missing])
    rows = counts["true"]
    made = {}
    for clause in wanted:
        if clause.kind == ROW_COUNT:
            made[clause.key] = Result(success=True, result={"observed_value": rows})
            continue
        text, count = _missing(clause), counts[broken[clause.key]]
        # the library adds up, and a sum of no rows is null; what repeats is counted
        told = count if rows or clause.kind in uniqueness.KINDS else None
        made[clause.key] = _result(rows, told, counts[text] if text else None)
    return made


def _missing(clause: Clause) -> str:
    """Return the condition of the rows that a clause does not judge; empty if it judges all."""
    if clause.kind == ROW_COUNT or clause.kind in _OF_MISSING:
        return ""
    names = clause.kwargs.get("column_list") or [clause.kwargs["column"]]
    return " AND ".join(f"{quoted(name)} IS NULL" for name in names)


def _counted(connection: "duckdb.DuckDBPyConnection", asked: Iterable[str]) -> dict[str, int]:
    """Return how many rows meet each condition."""
    each = list(dict.fromkeys(asked))
    found: dict[str, int] = {}
    for start in range(0, len(each), MOST):
        part = each[start : start + MOST]
        counts = ", ".join(f"count(CASE WHEN {condition} THEN 1 END)" for condition in part)
        [row] = connection.execute(f"SELECT {counts} FROM {ROWS}").fetchall()  # noqa: S608
        found |= dict(zip(part, row, strict=True))
    return found


def _result(rows: int, broken: int | None, missing: int | None) -> Result:
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
    return Result(success=not broken, result=result)
