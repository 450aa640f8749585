"""The rules of a contract as clauses, each an expectation of Great Expectations.

A rule is one clause or two (a label must be present and valid). A clause concerns rows, so that
each offending row is a finding, or the dataset as a whole. The library is not imported before
`expectations` is called, so any process can read the clauses.
"""

import dataclasses
import datetime as dt
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from checks.kit.contract_model import Column, Contract, Rule
from provenance.base.errors import AssayError

EXACT = 2**53  # beyond it a float cannot represent every integer
_MOMENTS = {
    "date": dt.date.fromisoformat,
    "timestamp": dt.datetime.fromisoformat,
    "time": dt.time.fromisoformat,
}
NOT_NULL = "expect_column_values_to_not_be_null"
_BY_KIND = {
    "minimum": "expect_column_values_to_be_between",
    "maximum": "expect_column_values_to_be_between",
    "minLength": "expect_column_value_lengths_to_be_between",
    "maxLength": "expect_column_value_lengths_to_be_between",
    "pattern": "expect_column_values_to_match_regex",
    "format": "expect_column_values_to_match_regex",
    "rowCount": "expect_table_row_count_to_be_between",
}
_NULLS = ("required", "nullValues", "label", "missingValues")
_LISTS = {
    "label": "expect_column_values_to_be_in_set",
    "validValues": "expect_column_values_to_be_in_set",
    "missingValues": "expect_column_values_to_not_be_in_set",
}
# these concern rows, unless `mostly` lets some of them through
_OF_ROWS = (
    "expect_column_values_",
    "expect_column_value_",
    "expect_column_pair_values_",
    "expect_compound_columns_",
    "expect_multicolumn_",
    "expect_select_column_values_",
)
# these read like rules on values, and are answered by the type of the column
_OF_TYPES = ("expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list")
_OPERATORS: dict[str, Callable[[float, Any], Any]] = {
    "mustBe": operator.eq,
    "mustNotBe": operator.ne,
    "mustBeGreaterThan": operator.gt,
    "mustBeGreaterOrEqualTo": operator.ge,
    "mustBeLessThan": operator.lt,
    "mustBeLessOrEqualTo": operator.le,
}
_SEVERITY = {"error": "critical", "warning": "warning", "info": "info"}


Part: TypeAlias = tuple[str, dict[str, Any], str]  # type of expectation, arguments, fault


@dataclasses.dataclass(frozen=True, slots=True)
class Clause:
    """One expectation of a rule.

    Attributes:
        number: position among all clauses; the bit of the pass.
        rule: the rule that it belongs to.
        kind: type of the expectation.
        kwargs: arguments of the expectation, including the column.
        by_row: whether each offending row is a finding.
        says: what is wrong, for people to read; contains no cell's value.
    """

    number: int
    rule: Rule
    kind: str
    kwargs: Mapping[str, Any]
    by_row: bool
    says: str

    @property
    def key(self) -> str:
        """Return a key that is unique in the suite."""
        return f"{self.number}:{self.rule.id}"


def clauses(contract: Contract) -> tuple[Clause, ...]:
    """Return the clauses of all rules except SQL rules, in the order of the rules."""
    found: list[Clause] = []
    columns = {column.name: column for column in contract.columns}
    for rule in contract.rules:
        if rule.kind != "sql":
            column = columns[rule.column] if rule.column else None
            for kind, kwargs, says in _parts(rule, column):
                found.append(_clause(len(found), rule, kind, kwargs, says))
    return tuple(found)


def expectations(found: Iterable[Clause]) -> list[Any]:
    """Return the clauses as objects of Great Expectations, in order.

    Raises:
        AssayError: ASSAY-C005 if the library rejects a clause's arguments.
    """
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity

    from checks.rules import lean_import  # noqa: F401  imports the library

    made = []
    for clause in found:
        meta = {"rule": clause.rule.id, "where": clause.rule.where, "key": clause.key}
        severity = FailureSeverity(_SEVERITY[clause.rule.severity])
        config = ExpectationConfiguration(
            type=clause.kind, kwargs=dict(clause.kwargs), meta=meta, severity=severity
        )
        try:
            made.append(config.to_domain_obj())
        except ValueError as error:
            reason = "; ".join(str(error).splitlines()[1:3])
            what = f"Great Expectations rejects rule '{clause.rule.id}': {reason}"
            raise AssayError("C005", what, where=clause.rule.where) from error
    return made


def within(value: float, bound: Mapping[str, Any]) -> bool:
    """Return whether a number satisfies a `mustBe...` bound."""
    limit = bound["value"]
    if bound["op"] in _OPERATORS:
        return bool(_OPERATORS[bound["op"]](value, limit))
    is_inside = limit[0] <= value <= limit[1]
    return bool(is_inside == (bound["op"] == "mustBeBetween"))


def worded(bound: Mapping[str, Any], unit: str = "") -> str:
    """Return a bound in words, e.g. `must be less than 5 percent`."""
    text = "".join(f" {c.lower()}" if c.isupper() else c for c in bound["op"])
    limit = bound["value"]
    ends = f"{limit[0]} and {limit[1]}" if isinstance(limit, list) else f"{limit}"
    return f"{text} {ends}" + (f" {unit}" if unit else "")


def _clause(number: int, rule: Rule, kind: str, kwargs: dict[str, Any], says: str) -> Clause:
    by_row = kind.startswith(_OF_ROWS) and "bound" not in rule.params
    by_row = by_row and kwargs.get("mostly", 1) == 1 and kind not in _OF_TYPES
    return Clause(number, rule, kind, kwargs, by_row, says)


def _parts(rule: Rule, column: Column | None) -> list[Part]:
    if rule.kind.startswith("expect_"):
        own = {"column": rule.column} if rule.column else {}
        whole = "the row" if rule.kind.startswith(_OF_ROWS) else "the dataset"
        says = f"{rule.column or whole} does not satisfy {rule.kind}"
        return [(rule.kind, {**own, **_exact_kwargs(rule, column)}, says)]
    if rule.kind == "rowCount":
        return [(_BY_KIND["rowCount"], {}, "the number of rows")]
    if rule.kind == "unique":
        return [_unique(rule)]
    if rule.kind not in _LISTS and rule.kind not in _NULLS:
        return [_limited(rule, column)]
    absent: Part = (NOT_NULL, {"column": rule.column}, f"{rule.column} is missing")
    is_needed = rule.kind in _NULLS and rule.params.get("missing") != "allowed"
    parts = [absent] if is_needed else []
    return parts + (_listed(rule, column, _LISTS[rule.kind]) if rule.kind in _LISTS else [])


def _unique(rule: Rule) -> Part:
    if "columns" in rule.params:
        names = list(rule.params["columns"])
        says = f"the key ({', '.join(names)}) occurs more than once"
        return "expect_compound_columns_to_be_unique", {"column_list": names}, says
    says = f"{rule.column} occurs more than once"
    return "expect_column_values_to_be_unique", {"column": rule.column}, says


def _listed(rule: Rule, column: Column | None, kind: str) -> list[Part]:
    values = rule.params["values"]
    logical = column.spec.logical if column else "string"
    if values is None or (kind.endswith("not_be_in_set") and logical != "string"):
        return []  # outside text columns, a word that means missing was read as missing
    if logical in _MOMENTS:
        values = [_MOMENTS[logical](value) for value in values]
    says = f"{rule.column} is not one of its {len(values)} valid values"
    if kind.endswith("not_be_in_set"):
        says = f"{rule.column} is a word that means missing"
    return [(kind, {"column": rule.column, "value_set": list(values)}, says)]


def _limited(rule: Rule, column: Column | None) -> Part:
    kwargs: dict[str, Any] = {"column": rule.column}
    if rule.kind in ("pattern", "format"):
        named = rule.params.get("format")
        wrong = f"is not a valid {named}" if named else "does not match its pattern"
        return (
            _BY_KIND[rule.kind],
            {**kwargs, "regex": rule.params["regex"]},
            f"{rule.column} {wrong}",
        )
    limit = rule.params["value"]
    if rule.kind in ("minLength", "maxLength"):
        end = "min_value" if rule.kind == "minLength" else "max_value"
        short = "shorter" if rule.kind == "minLength" else "longer"
        says = f"{rule.column} is {short} than {limit} characters"
        return _BY_KIND[rule.kind], {**kwargs, end: limit}, says
    end = "min" if rule.kind == "minimum" else "max"
    kwargs[f"{end}_value"] = _exact(limit, column)
    strict = rule.params["exclusive"]
    if strict:
        kwargs[f"strict_{end}"] = True
    within, beyond = ("above", "below") if end == "min" else ("below", "above")
    says = f"{rule.column} is {beyond} the {rule.kind} {limit}"
    if strict:
        says = f"{rule.column} is not {within} the exclusive {rule.kind} {limit}"
    if column and column.spec.logical == "number":
        says += ", or NaN"
    return _BY_KIND[rule.kind], kwargs, says


def _exact_kwargs(rule: Rule, column: Column | None) -> dict[str, Any]:
    """Return an expectation's arguments, with dates and large numbers as the adapter takes them."""
    found = dict(rule.params)
    logical = column.spec.logical if column else "string"
    if "value_set" in found and logical in _MOMENTS:
        found["value_set"] = [_MOMENTS[logical](value) for value in found["value_set"]]
    for key in ("min_value", "max_value"):
        if key in found:
            of_rows = rule.kind.startswith(_OF_ROWS)
            found[key] = (_exact if of_rows else _compared)(found[key], column)
    return found


def _compared(limit: Any, column: Column | None) -> Any:
    """Return a bound of a statistic: the library compares timestamps, but no dates and no times."""
    logical = column.spec.logical if column else "number"
    if not isinstance(limit, str) or logical not in _MOMENTS:
        return limit
    if logical == "time":
        return dt.datetime.combine(dt.date(1970, 1, 1), dt.time.fromisoformat(limit))
    return dt.datetime.fromisoformat(limit)


def _exact(limit: Any, column: Column | None) -> Any:
    """Wrap a bound that Great Expectations would turn into a float or cannot represent.

    The mapping passes through its configuration unchanged, and the adapter compares exactly.
    """
    logical = column.spec.logical if column else "number"
    if isinstance(limit, str) and logical in _MOMENTS:
        return {"timestamp" if logical == "date" and "T" in limit else logical: limit}
    if isinstance(limit, int) and abs(limit) > EXACT:
        return {"integer": limit}
    return limit
