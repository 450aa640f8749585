"""The items of `quality`: what each kind of rule may say, and the rules that come of it.

A metric that must be 0 speaks of rows: each offending row is a finding. With any other bound it
speaks of the dataset, and `params["bound"]` holds the comparison.
"""

import dataclasses
from typing import Any

from checks.contract.expectation_rules import GREAT_EXPECTATIONS, IMPLEMENTATION, expectation_rule
from checks.contract.grammar import (
    ANYTHING,
    NUMBER,
    OF_COLUMN,
    TEXT,
    Case,
    Json,
    Kind,
    Mapped,
    Part,
    items,
    text,
    words,
)
from checks.contract.node import Node
from checks.contract.query_guard import MAX_QUERY
from checks.contract.type_rules import PATTERN, VALUES, Scope
from checks.kit.contract_model import Rule

OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)


def _one_operator(part: Part) -> None:
    if (number := len(part.keys() & {*OPERATORS})) != 1:
        what = f"the rule needs exactly one mustBe... key and has {number}"
        raise part.node.fail("C005", what, fix="keep one, such as `mustBe: 0`")


def _own_name(node: Node, name: str) -> str:
    found = node.string(name)
    if found.upper().startswith("ASSAY-"):
        what = "names of rules that begin with ASSAY- are reserved"
        raise node.fail("C005", what, fix="choose a different name")
    return found


_NAME = text(_own_name, **{"not": {"pattern": "^[Aa][Ss][Ss][Aa][Yy]-"}})
_VALUES = items(OF_COLUMN, filled=True)
_WORD_OR_NULL = Kind(
    lambda node, name: node.string(name) if node.value not in (None, "") else None,
    {"type": ["string", "null"]},
)
ARGUMENTS: dict[str, Kind] = {
    "nullValues": Mapped({}).kind(),
    "missingValues": Mapped({"missingValues": items(_WORD_OR_NULL)}).kind(),
    "invalidValues": Mapped({"validValues": _VALUES, "pattern": PATTERN}).kind(),
    "duplicateValues": Mapped({"properties": items(TEXT, filled=True)}).kind(),
    "rowCount": ANYTHING,
}
_BOUND = {key: items(NUMBER, length=2) if key.endswith("Between") else NUMBER for key in OPERATORS}
_SHARED = {"severity": words(("error", "warning", "info"))}
_KEYS = " ".join(OPERATORS) + (
    " id name type metric rule arguments unit query engine implementation validValues"
    " customProperties description dimension method businessImpact tags authoritativeDefinitions"
)


# an item may also hold keys of the other kinds, which are not read
_TEXT = Mapped(_SHARED, described=_KEYS, unused="schedule scheduler")
_NAMED = dataclasses.replace(_TEXT, kinds={**_SHARED, "name": _NAME}, stand_ins={"name": ("id",)})
_COMPARED = dataclasses.replace(
    _NAMED,
    kinds={**_NAMED.kinds, **_BOUND},
    judge=_one_operator,
    schema={"oneOf": [{"required": [key]} for key in OPERATORS]},
)
_METRIC = {"metric": words(tuple(ARGUMENTS)), "unit": words(("rows", "percent"))}
KINDS = {
    "text": _TEXT,
    "library": dataclasses.replace(
        _COMPARED,
        kinds={**_COMPARED.kinds, **_METRIC, "validValues": OF_COLUMN},
        needed=("metric",),
        stand_ins={"name": ("id",), "metric": ("rule",)},
        case=Case("metric", None, {key: {"arguments": kind} for key, kind in ARGUMENTS.items()}),
    ),
    "sql": dataclasses.replace(
        _COMPARED,
        kinds={**_COMPARED.kinds, "query": text(maxLength=MAX_QUERY)},  # C009 if longer
        needed=("query",),
    ),
    "other engine": dataclasses.replace(_NAMED, kinds={**_NAMED.kinds, "engine": TEXT}),
    "expectation": dataclasses.replace(
        _NAMED,
        kinds={**_NAMED.kinds, "implementation": IMPLEMENTATION},
        needed=("implementation",),
    ),
}
_TYPE = words(("library", "sql", "custom", "text"))


def _read(node: Node, name: str) -> Part:
    """Return an item of `quality`, with its kind under the key `kind`."""
    given = KINDS["text"].read(node, name).node.value
    kind = "library" if "metric" in given or "rule" in given else "text"
    if "type" in given:
        kind = _TYPE.read(given["type"], "type")
    if kind == "custom":
        engine = given["engine"].value if "engine" in given else ""
        plain = str(engine).lower().replace("-", "").replace("_", "")
        kind = "expectation" if plain == "greatexpectations" else "other engine"
    part = KINDS[kind].read(node, name)
    part["kind"] = kind
    return part


def item_schema() -> Json:
    """Return what an item may be: by its type, or without one a rule of the library or a text."""
    named: Json = {"anyOf": [{"required": ["metric"]}, {"required": ["rule"]}]}
    types: dict[str, Json] = {
        key: {"properties": {"type": {"const": key}}, "required": ["type"]}
        for key in ("library", "sql", "custom")
    }
    engine = {
        "properties": {"engine": {"type": "string", "pattern": GREAT_EXPECTATIONS}},
        "required": ["engine"],
    }
    untyped = {"allOf": [{"not": {"required": ["type"]}}, named]}
    cases: list[tuple[Json, str]] = [
        ({"anyOf": [types["library"], untyped]}, "library"),
        (types["sql"], "sql"),
        ({"allOf": [types["custom"], engine]}, "expectation"),
        ({"allOf": [types["custom"], {"not": engine}]}, "other engine"),
    ]
    shape = KINDS["text"].kind().schema
    shape["properties"]["type"] = _TYPE.schema
    rules = [{"if": is_so, "then": KINDS[kind].kind().schema} for is_so, kind in cases]
    return {**shape, "allOf": rules}


QUALITY = Kind(_read, {"$ref": "#/$defs/quality"})


def quality_rules(item: Part, scope: Scope) -> list[Rule]:
    """Return the rules of one item of `quality`."""
    for key, node in item.unused:
        scope.ignored(key, node)
    kind, rules = item["kind"], list[Rule]()
    if kind == "text":
        scope.ignored("type: text", item.node, "it is for people to read")
    if kind == "other engine":
        scope.ignored(
            f"engine: {item.get('engine', '')}", item.node, "Assay runs greatExpectations only"
        )
    changes = {"severity": item["severity"]} if "severity" in item else {}
    if "name" in item:
        changes["id"] = _unique_name(item, scope)
    if kind == "sql":
        query = scope.guard.query(item.nodes["query"], scope.column)
        params = {"query": query, "table": scope.table, "bound": _bound(item)}
        rules = [scope.rule("sql", params, item.node)]
    elif kind == "expectation":
        rules = [expectation_rule(item["implementation"], item.node, scope)]
    elif kind == "library":
        rules = _library(item, scope)
    return [dataclasses.replace(rule, **changes) for rule in rules]


def _unique_name(item: Part, scope: Scope) -> str:
    name: str = item["name"]
    if name in scope.named:
        what = f"two rules are called '{name}', the first in line {scope.named[name].line}"
        raise item.nodes["name"].fail("C008", what, fix="rename one of them")
    scope.named[name] = item.nodes["name"]
    return name


def _bound(item: Part) -> dict[str, Any]:
    (operator,) = item.keys() & {*OPERATORS}
    value = item[operator]
    if isinstance(value, list) and value[0] > value[1]:
        what = f"{operator} has the larger number first"
        raise item.nodes[operator].fail("C008", what, fix="swap the two numbers")
    return {"op": operator, "value": value}


def _is_none_allowed(bound: dict[str, Any], unit: str) -> bool:
    """Return whether the bound lets no row through at all."""
    limit = bound["value"]
    if bound["op"] in ("mustBe", "mustBeLessOrEqualTo"):
        return bool(limit == 0)
    return bound["op"] == "mustBeLessThan" and unit == "rows" and 0 < limit <= 1


def _library(item: Part, scope: Scope) -> list[Rule]:
    bound, unit = _bound(item), item.get("unit", "rows")
    if item["metric"] == "rowCount":
        if scope.column or unit != "rows":
            what = "rowCount counts the rows of the dataset"
            fix = "move it to `quality` of the schema, without `unit`"
            raise item.nodes["metric"].fail("C005", what, fix=fix)
        return [scope.rule("rowCount", {"bound": bound}, item.node)]
    rules = _metric_rules(item, item.get("arguments", Part(item.node)), scope)
    if _is_none_allowed(bound, unit):
        return rules
    extra = {"bound": bound, "unit": unit}
    return [dataclasses.replace(rule, params={**rule.params, **extra}) for rule in rules]


def _metric_rules(item: Part, arguments: Part, scope: Scope) -> list[Rule]:
    metric = item["metric"]
    if metric == "duplicateValues" and (scope.column is None or "properties" in arguments):
        return [_duplicates(item.node, arguments, scope)]
    if scope.column is None:
        raise item.node.fail("C005", f"{metric} needs a column", fix="move it to a property")
    if metric == "missingValues":
        listed = arguments.get("missingValues", [""])
        listed = [word for word in listed if word is not None]
        return [scope.rule(metric, {"values": listed}, item.node)]
    if metric == "invalidValues":
        return _invalid(item, arguments, scope)
    kind = "unique" if metric == "duplicateValues" else metric
    return [dataclasses.replace(scope.rule(metric, {}, item.node), kind=kind)]


def _duplicates(node: Node, arguments: Part, scope: Scope) -> Rule:
    if "properties" not in arguments:
        what = "duplicateValues of a dataset needs arguments.properties"
        raise node.fail("C005", what, fix="list the columns to compare")
    names = [scope.known_column(item) for item in arguments.nodes["properties"].value]
    rule = dataclasses.replace(scope.rule("duplicateValues", {}, node), kind="unique")
    if len(names) == 1:
        return dataclasses.replace(rule, column=names[0])
    return dataclasses.replace(rule, params={"columns": names})


def _invalid(item: Part, arguments: Part, scope: Scope) -> list[Rule]:
    rules = []
    listed = item.nodes.get("validValues") or arguments.nodes.get("validValues")
    if listed:
        _VALUES.read(listed, "validValues")
        values = items(VALUES[scope.logical]).read(listed, "validValues")
        rules.append(scope.rule("validValues", {"values": list(dict.fromkeys(values))}, item.node))
    if "pattern" in arguments:
        regex = scope.guard.pattern(arguments.nodes["pattern"], "pattern")
        rules.append(scope.rule("pattern", {"regex": regex}, item.node))
    if not rules:
        fix = "write arguments: {validValues: [...]} or arguments: {pattern: ...}"
        raise item.node.fail("C005", "invalidValues does not say what is valid", fix=fix)
    return rules
