"""From the `quality` items of a contract to rules.

A metric that must be 0 speaks of rows: each offending row is a finding. With any other bound it
speaks of the dataset, and `params["bound"]` holds the comparison.
"""

import dataclasses
from typing import Any

from checks.contract import odcs
from checks.contract.expectation_rules import expectation_rules
from checks.contract.node import Node
from checks.contract.type_rules import Scope, known_column, value
from checks.kit.contract_model import Rule


def quality_rules(node: Node, scope: Scope) -> list[Rule]:
    """Return the rules of one item of `quality`."""
    item = node.mapping("quality", odcs.QUALITY)
    for key in odcs.QUALITY_UNUSED & item.keys():
        scope.ignored(key, item[key])
    kind = "library" if "metric" in item or "rule" in item else "text"
    if "type" in item:
        kind = item["type"].choice("type", ("text", "library", "sql", "custom"))
    changes: dict[str, Any] = {}
    if "severity" in item:
        changes["severity"] = item["severity"].choice("severity", odcs.SEVERITIES)
    if kind == "text":
        scope.ignored("type: text", node, "it is for people to read")
        return []
    makers = {"library": _library, "sql": _sql, "custom": expectation_rules}
    if given := item.get("name") or item.get("id"):
        changes["id"] = _own_name(given, scope)
    return [dataclasses.replace(rule, **changes) for rule in makers[kind](node, item, scope)]


def _own_name(node: Node, scope: Scope) -> str:
    name = node.string("name")
    if name.upper().startswith("ASSAY-"):
        raise node.fail("C005", "names beginning with ASSAY- are Assay's own")
    if name in scope.named:
        what = f"two rules are called '{name}', the first in line {scope.named[name].line}"
        raise node.fail("C008", what)
    scope.named[name] = node
    return name


def _bound(node: Node, item: dict[str, Node]) -> dict[str, Any]:
    found = [key for key in odcs.OPERATORS if key in item]
    if len(found) != 1:
        fix = "give exactly one, such as `mustBe: 0`"
        raise node.fail("C005", f"the rule has {len(found)} of the mustBe... keys", fix=fix)
    operator = found[0]
    if not operator.endswith("Between"):
        return {"op": operator, "value": item[operator].number(operator)}
    ends = [end.number(operator) for end in item[operator].items(operator)]
    if len(ends) != 2:  # noqa: PLR2004
        raise item[operator].fail("C005", f"{operator} needs two numbers")
    if ends[0] > ends[1]:
        raise item[operator].fail("C008", f"{operator} has the larger number first")
    return {"op": operator, "value": ends}


def _is_none_allowed(bound: dict[str, Any], unit: str) -> bool:
    """Return whether the bound lets no row through at all."""
    limit = bound["value"]
    if bound["op"] in ("mustBe", "mustBeLessOrEqualTo"):
        return bool(limit == 0)
    return bound["op"] == "mustBeLessThan" and unit == "rows" and 0 < limit <= 1


def _library(node: Node, item: dict[str, Node], scope: Scope) -> list[Rule]:
    named = item.get("metric") or item.get("rule")
    if named is None:
        raise node.fail("C005", "the rule has no metric", fix=f"one of {', '.join(odcs.METRICS)}")
    metric = named.choice("metric", odcs.METRICS)
    bound = _bound(node, item)
    unit = item["unit"].choice("unit", ("rows", "percent")) if "unit" in item else "rows"
    if metric == "rowCount":
        if scope.column or unit != "rows":
            raise named.fail("C005", "rowCount counts the rows of the dataset", fix="move it there")
        return [scope.rule("rowCount", {"bound": bound}, node)]
    rules = _metric_rules(metric, node, item, scope)
    if _is_none_allowed(bound, unit):
        return rules
    extra = {"bound": bound, "unit": unit}
    return [dataclasses.replace(rule, params={**rule.params, **extra}) for rule in rules]


def _metric_rules(metric: str, node: Node, item: dict[str, Node], scope: Scope) -> list[Rule]:
    given = item.get("arguments")
    known = {
        "nullValues": (),
        "missingValues": ("missingValues",),
        "invalidValues": ("validValues", "pattern"),
        "duplicateValues": ("properties",),
    }[metric]
    arguments = given.mapping("arguments", known) if given else {}
    if metric == "duplicateValues" and (scope.column is None or "properties" in arguments):
        return [_duplicates(node, arguments, scope)]
    if scope.column is None:
        raise node.fail("C005", f"{metric} needs a column", fix="move it to a property")
    if metric == "missingValues":
        return [_missing(node, arguments, scope)]
    if metric != "invalidValues":
        kind = "unique" if metric == "duplicateValues" else metric
        return [dataclasses.replace(scope.rule(metric, {}, node), kind=kind)]
    return _invalid(
        node,
        arguments | ({"validValues": item["validValues"]} if "validValues" in item else {}),
        scope,
    )


def _duplicates(node: Node, arguments: dict[str, Node], scope: Scope) -> Rule:
    if "properties" not in arguments:
        raise node.fail("C005", "duplicateValues of a dataset needs arguments.properties")
    items = arguments["properties"].items("properties")
    names = [known_column(item, item.string("properties"), scope) for item in items]
    if not names:
        raise arguments["properties"].fail("C005", "properties is empty")
    rule = dataclasses.replace(scope.rule("duplicateValues", {}, node), kind="unique")
    if len(names) == 1:
        return dataclasses.replace(rule, column=names[0])
    return dataclasses.replace(rule, params={"columns": names})


def _missing(node: Node, arguments: dict[str, Node], scope: Scope) -> Rule:
    words: list[str] = [""]
    if "missingValues" in arguments:
        given = arguments["missingValues"].items("missingValues")
        words = [item.string("missingValues") for item in given if item.value not in (None, "")]
    return scope.rule("missingValues", {"values": words}, node)


def _invalid(node: Node, arguments: dict[str, Node], scope: Scope) -> list[Rule]:
    rules = []
    if "validValues" in arguments:
        listed = arguments["validValues"]
        values = [
            value(item, scope.logical, "a valid value") for item in listed.items("validValues")
        ]
        if not values:
            raise listed.fail("C005", "validValues is empty, so no value would be valid")
        rules.append(scope.rule("validValues", {"values": list(dict.fromkeys(values))}, node))
    if "pattern" in arguments:
        regex = scope.guard.pattern(arguments["pattern"], "pattern")
        rules.append(scope.rule("pattern", {"regex": regex}, node))
    if not rules:
        fix = "arguments: {validValues: [...]} or {pattern: ...}"
        raise node.fail("C005", "invalidValues does not say what is valid", fix=fix)
    return rules


def _sql(node: Node, item: dict[str, Node], scope: Scope) -> list[Rule]:
    if "query" not in item:
        raise node.fail("C005", "the SQL rule has no query")
    text = scope.guard.query(item["query"], scope.column)
    params = {"query": text, "table": scope.table, "bound": _bound(node, item)}
    return [scope.rule("sql", params, node)]
