"""The rules of a contract on nested columns and their parts, evaluated on the values at each path.

A row breaks a rule if one of its values does. The meaning is that of the same rule on a flat
column: null breaks only the rules against missing values, NaN breaks every minimum and maximum, a
pattern is RE2 and may match anywhere. A part is missing only where the object it belongs to is not.
Cost: one pass over the nested columns that have rules, O(values x rules).
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings
from checks.kit.contract_model import Contract, Rule
from provenance.rows.nested import Node, nodes, repeats, sizes
from provenance.rows.shards import Shard

CHECK = "contract"
_ADVICE = "repair the row at its source, correct the rule, or release the row"
_MOMENTS: dict[Callable[[pa.DataType], bool], Callable[[str], Any]] = {
    pa.types.is_date: dt.date.fromisoformat,
    pa.types.is_timestamp: dt.datetime.fromisoformat,
    pa.types.is_time: dt.time.fromisoformat,
}


def columns(contract: Contract) -> list[str]:
    """Return the nested columns that have rules."""
    names = [column.name for column in contract.columns if column.spec.is_nested]
    return [name for name in names if any(_is_below(rule, name) for rule in contract.nested_rules)]


def evaluate(shard: Shard, contract: Contract) -> findings.Findings:
    """Return the rows of a shard that break a rule, once for each rule and path.

    Args:
        shard: its `table` has the columns of `columns`.
        contract: with the rules.
    """
    found = [findings.empty()]
    for name in columns(contract):
        by_path: dict[str, list[Rule]] = {}
        for rule in contract.nested_rules:
            by_path.setdefault(rule.column or "", []).append(rule)
        for node in nodes(shard.table[name], name):
            for rule in by_path.get(node.path, ()):
                try:
                    rows = shard.rows[np.unique(node.owners[broken(node, rule)])]
                except (pa.ArrowException, TypeError, ValueError) as error:
                    found.append(_failure(rule, error))
                    continue
                found.append(_found(rows, rule))
    return findings.concat(found)


def broken(node: Node, rule: Rule) -> np.ndarray:
    """Return which values at a path break a rule: bool, shape (m,)."""
    values = node.values
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if rule.kind in ("required", "nullValues"):
        return np.asarray(values.is_null())
    mask = pc.fill_null(_wrong(values, rule), fill_value=False)
    return np.asarray(mask.to_numpy(zero_copy_only=False), bool)


def _wrong(values: pa.Array, rule: Rule) -> pa.Array:
    params = rule.params
    if rule.kind in ("minItems", "maxItems"):
        found, most = sizes(values), params["value"]
        wrong = found < most if rule.kind == "minItems" else found > most
        return pa.array(wrong, mask=np.asarray(values.is_null()))
    if rule.kind == "uniqueItems":
        return pa.array(repeats(values), mask=np.asarray(values.is_null()))
    if rule.kind in ("minLength", "maxLength"):
        compare = "less" if rule.kind == "minLength" else "greater"
        return pc.call_function(compare, [pc.utf8_length(values), pa.scalar(params["value"])])
    if rule.kind in ("pattern", "format"):
        return pc.invert(pc.match_substring_regex(values, params["regex"]))
    if rule.kind == "validValues":
        wanted = pa.array([_end(value, values.type) for value in params["values"]])
        is_valid = pc.is_in(values, wanted.cast(values.type, safe=False))
        return pc.if_else(values.is_null(), pa.scalar(None, pa.bool_()), pc.invert(is_valid))
    return _beyond(values, rule)


def _beyond(values: pa.Array, rule: Rule) -> pa.Array:
    limit, strict = _end(rule.params["value"], values.type), rule.params["exclusive"]
    if rule.kind == "minimum":
        over = (pc.less_equal if strict else pc.less)(values, limit)
    else:
        over = (pc.greater_equal if strict else pc.greater)(values, limit)
    is_float = pa.types.is_floating(values.type)
    return pc.or_(over, pc.is_nan(values)) if is_float else over


def _end(value: Any, kind: pa.DataType) -> Any:
    """Return a bound or value of a rule in the Python type of a leaf's values."""
    for test, parse in _MOMENTS.items():
        if test(kind) and isinstance(value, str):
            return parse(value)
    return value


def _is_below(rule: Rule, name: str) -> bool:
    rest = (rule.column or "").removeprefix(name)
    return (rule.column or "").startswith(name) and rest[:1] in ("", ".", "[")


def _found(rows: np.ndarray, rule: Rule) -> findings.Findings:
    says = _says(rule)
    return findings.make(
        rows,
        check=CHECK,
        rule=rule.id,
        column=rule.column,
        severity=rule.severity,
        evidence=f"{says} ({rule.where})" if rule.where else says,
        suggestion=_ADVICE,
    )


def _says(rule: Rule) -> str:
    params = rule.params
    words: dict[str, Callable[[], str]] = {
        "required": lambda: "is missing",
        "nullValues": lambda: "is missing",
        "minItems": lambda: f"has fewer than {params['value']} items",
        "maxItems": lambda: f"has more than {params['value']} items",
        "uniqueItems": lambda: "has an item twice",
        "minLength": lambda: f"is shorter than {params['value']} characters",
        "maxLength": lambda: f"is longer than {params['value']} characters",
        "pattern": lambda: "does not match its pattern",
        "format": lambda: f"is not a valid {params['format']}",
        "validValues": lambda: f"is not one of its {len(params['values'])} valid values",
        "minimum": lambda: f"is below the minimum {params['value']}, or NaN",
        "maximum": lambda: f"is above the maximum {params['value']}, or NaN",
    }
    return f"{rule.column} {words[rule.kind]()}"


def _failure(rule: Rule, error: Exception) -> findings.Findings:
    # the library's message may quote a cell
    what = f"rule '{rule.id}' could not be evaluated ({type(error).__name__}) ({rule.where})"
    advice = "correct the rule, or the type of its column"
    return findings.make(
        None, check=CHECK, rule="ASSAY-K001", column=rule.column, evidence=what, suggestion=advice
    )
