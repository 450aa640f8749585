"""From a property's logical type and its options to rules, and what rules are made of."""

import dataclasses
import datetime as dt
from typing import Any, cast

from checks.contract import odcs
from checks.contract.node import Node, nearest
from checks.contract.query_guard import Guard
from checks.kit.contract_model import Rule
from provenance.base.errors import Notice
from provenance.rows.column_types import Logical

_MOMENTS = {
    "date": dt.date.fromisoformat,
    "timestamp": dt.datetime.fromisoformat,
    "time": dt.time.fromisoformat,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """Where a clause stands, and what is gathered over the whole contract.

    Attributes:
        table: the dataset's name; types: logical type of each column; column: the one at hand.
        notices: what is ignored, by key; named: the rules that have a name of their own.
        guard: checks patterns and queries.
    """

    table: str
    types: dict[str, str]
    guard: Guard
    notices: dict[str, Notice]
    named: dict[str, Node]
    column: str | None = None

    @property
    def logical(self) -> str:
        """Return the column's logical type; text for the whole table."""
        return self.types[self.column] if self.column else "string"

    def rule(self, kind: str, params: dict[str, Any], node: Node) -> Rule:
        """Return a rule of severity error under its default id."""
        name = f"{self.column}.{kind}" if self.column else kind
        return Rule(name, kind, self.column, params, where=node.short)

    def ignored(self, key: str, node: Node, why: str = "it is kept and not acted on") -> None:
        """Note once that a key of the standard, or of another tool, has no effect here."""
        self.notices.setdefault(key, Notice("ASSAY-C004", f"'{key}' is ignored: {why}", node.short))


def option_rules(options: dict[str, Node], scope: Scope) -> list[Rule]:
    """Return the rules that `logicalTypeOptions` states; C008 if they contradict each other."""
    rules = []
    for key, node in options.items():
        if key in odcs.OPTIONS_UNUSED or (
            key == "format" and scope.logical in ("integer", "number")
        ):
            scope.ignored(key, node, "it is not checked; write an SQL rule if it matters")
        elif key in ("minLength", "maxLength"):
            rules.append(scope.rule(key, {"value": node.integer(key, 0)}, node))
        elif key == "pattern":
            rules.append(scope.rule(key, {"regex": scope.guard.pattern(node, key)}, node))
        elif key != "format":
            rules.append(_bound_rule(key, node, scope))
        elif scope.logical == "string":
            rules += _format_rules(node, scope)
    _refuse_contradiction(rules, options, scope)
    return rules


def value(node: Node, logical: str, what: str) -> Any:
    """Return a value of a column's type: text of a moment in ISO form; C005 if it is another."""
    if logical == "string":
        return node.string(what) if node.value != "" else ""
    if logical == "boolean":
        return node.boolean(what)
    if logical == "integer":
        return node.integer(what)
    if logical == "number":
        return node.number(what)
    text = node.string(what)
    try:
        moment: Any = _MOMENTS[logical](text)
    except ValueError as error:
        raise node.fail("C005", f"{what} is not an ISO {logical}") from error
    if isinstance(moment, dt.datetime) and moment.tzinfo:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return moment.isoformat()


def _bound_rule(key: str, node: Node, scope: Scope) -> Rule:
    kind = "minimum" if key.endswith("inimum") else "maximum"
    if scope.logical in ("integer", "number"):
        limit: Any = node.number(key)
    else:
        limit = value(node, scope.logical, key)
    return scope.rule(kind, {"value": limit, "exclusive": key.startswith("exclusive")}, node)


def _format_rules(node: Node, scope: Scope) -> list[Rule]:
    name = node.choice("format", (*odcs.FORMATS, *odcs.FORMATS_UNCHECKED))
    if name in odcs.FORMATS:
        return [scope.rule("format", {"format": name, "regex": odcs.FORMATS[name]}, node)]
    scope.ignored(f"format: {name}", node, "there is nothing to check")
    return []


def _refuse_contradiction(rules: list[Rule], options: dict[str, Node], scope: Scope) -> None:
    for kind in ("minimum", "maximum"):
        if sum(rule.kind == kind for rule in rules) > 1:
            node = options[f"exclusive{kind.capitalize()}"]
            raise node.fail("C008", f"column '{scope.column}' has two kinds of {kind}")
    ends = {rule.kind: rule.params for rule in rules}
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength")):
        if low in ends and high in ends:
            least, most = ends[low]["value"], ends[high]["value"]
            strict = ends[low].get("exclusive") or ends[high].get("exclusive")
            if least > most or (strict and least == most):
                node = next(iter(options.values()))
                raise node.fail("C008", f"no value of '{scope.column}' fits {low} and {high}")


def known_column(node: Node, name: str, scope: Scope) -> str:
    """Return the name if the contract has such a column; C007 otherwise."""
    if name not in scope.types:
        raise node.fail("C007", f"unknown column '{name}'", fix=nearest(name, scope.types))
    return name


def logical_type(node: Node, scope_name: str) -> Logical:
    """Return a property's logical type; C005 if it is nested or unknown."""
    name = node.string("logicalType")
    if name in odcs.NESTED:
        what = f"column '{scope_name}' is nested ({name})"
        raise node.fail("C005", what, fix="flatten it before the export")
    return cast("Logical", node.choice("logicalType", odcs.OPTIONS))
