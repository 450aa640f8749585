"""What a column may promise of its values (`logicalTypeOptions`), and the rules that come of it."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

from checks.contract.grammar import (
    FLAG,
    INTEGER,
    LENGTH,
    NUMBER,
    TEXT,
    Kind,
    Mapped,
    Part,
    text,
    words,
)
from checks.contract.node import Node, nearest
from checks.contract.query_guard import MAX_PATTERN, Guard
from checks.kit.contract_model import Rule
from provenance.base.errors import Notice
from provenance.rows.column_types import NESTED

# String formats that are checked, as RE2; nothing about the others can be checked.
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
FORMATS = {
    "email": r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$",
    "uuid": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$",
    "hostname": r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
    "ipv4": rf"^{_OCTET}(\.{_OCTET}){{3}}$",
    "ipv6": r"^[0-9a-fA-F:]*:[0-9a-fA-F:]*(:[0-9.]+)?$",
}
FORMATS_UNCHECKED = ("password", "byte", "binary")
BINARY = "binary"  # says that a string may be bytes, and is no rule


def _moment(logical: str, parse: Callable[[str], Any]) -> Kind:
    """Return a kind of ISO text; a timestamp with an offset is turned into UTC."""

    def read(node: Node, name: str) -> str:
        try:
            moment = parse(node.string(name))
        except ValueError as error:
            raise node.fail("C005", f"{name} is not an ISO {logical}") from error
        if isinstance(moment, dt.datetime) and moment.tzinfo:
            moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
        return str(moment.isoformat())

    return text(read)


def _bounds(end: Kind) -> dict[str, Kind]:
    keys = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    return dict.fromkeys(keys, end)


# values of a column by its logical type
VALUES: dict[str, Kind] = {
    "string": text(lambda node, name: node.value if node.value == "" else node.string(name)),
    "integer": INTEGER,
    "number": NUMBER,
    "boolean": FLAG,
    "date": _moment("date", dt.date.fromisoformat),
    "timestamp": _moment("timestamp", dt.datetime.fromisoformat),
    "time": _moment("time", dt.time.fromisoformat),
}
PATTERN = text(maxLength=MAX_PATTERN)  # longer ones are refused by the guard, ASSAY-C006
_ZONES = "timezone defaultTimezone"
OPTIONS = {
    "string": Mapped(
        {"minLength": LENGTH, "maxLength": LENGTH, "pattern": PATTERN}
        | {"format": words((*FORMATS, *FORMATS_UNCHECKED))}
    ),
    "integer": Mapped(_bounds(NUMBER), unused="multipleOf format"),
    "number": Mapped(_bounds(NUMBER), unused="multipleOf format"),
    "boolean": Mapped({}),
    "date": Mapped({**_bounds(VALUES["date"]), "format": TEXT}),
    "timestamp": Mapped({**_bounds(VALUES["timestamp"]), "format": TEXT}, unused=_ZONES),
    "time": Mapped({**_bounds(VALUES["time"]), "format": TEXT}, unused=_ZONES),
    "object": Mapped({}, unused="minProperties maxProperties required"),
    "array": Mapped({"minItems": LENGTH, "maxItems": LENGTH, "uniqueItems": FLAG}),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """The place of a clause, and what the whole contract has gathered so far.

    Attributes:
        table: the dataset's name; types: logical type of each column; column: the current one.
        notices: what is ignored, by key; named: the rules that have a name of their own.
        guard: checks patterns and queries.
        part: logical type of the part of a nested column whose path `column` is, else None.
    """

    table: str
    types: dict[str, str]
    guard: Guard
    notices: dict[str, Notice]
    named: dict[str, Node]
    column: str | None = None
    part: str | None = None

    @property
    def logical(self) -> str:
        """Return the column's logical type; text for the whole table."""
        if self.part:
            return self.part
        return self.types[self.column] if self.column else "string"

    def rule(self, kind: str, params: dict[str, Any], node: Node) -> Rule:
        """Return a rule of severity error under its default id."""
        name = f"{self.column}.{kind}" if self.column else kind
        return Rule(name, kind, self.column, params, where=node.short)

    def ignored(self, key: str, node: Node, why: str = "Assay does not act on it") -> None:
        """Note once that a key of the standard, or of another tool, has no effect here."""
        self.notices.setdefault(key, Notice("ASSAY-C004", f"'{key}' is ignored: {why}", node.short))

    def known_column(self, node: Node, _: str = "") -> str:
        """Return the column that a node names; C007 if the contract has none of that name."""
        column: str = node.value
        if column not in self.types:
            raise node.fail("C007", f"unknown column '{column}'", fix=nearest(column, self.types))
        if self.types[column] in NESTED:
            what = f"column '{column}' is nested, and this rule needs one value per row"
            raise node.fail("C008", what, fix="state rules on its items or properties")
        return column


def option_rules(options: Part, scope: Scope) -> list[Rule]:
    """Return the rules that `logicalTypeOptions` states; C008 if they contradict each other."""
    rules = []
    for key, node in options.unused:
        scope.ignored(key, node, "it is not checked; write an SQL rule if it matters")
    for key, value in options.items():
        node = options.nodes[key]
        if key in ("format", "pattern"):
            rules += _text_rules(key, value, node, scope)
        elif key == "uniqueItems":
            rules += [scope.rule(key, {}, node)] if value else []
        elif key in ("minLength", "maxLength", "minItems", "maxItems"):
            rules.append(scope.rule(key, {"value": value}, node))
        else:
            kind = "minimum" if key.endswith("inimum") else "maximum"
            is_exclusive = key.startswith("exclusive")
            rules.append(scope.rule(kind, {"value": value, "exclusive": is_exclusive}, node))
    _refuse_contradiction(rules, options, scope)
    return rules


def _text_rules(key: str, value: str, node: Node, scope: Scope) -> list[Rule]:
    """Return the rule of a pattern or of a string's format; a moment's format is no rule."""
    if key == "pattern":
        return [scope.rule(key, {"regex": scope.guard.pattern(node, key)}, node)]
    if scope.logical == "string" and value in FORMATS:
        return [scope.rule(key, {"format": value, "regex": FORMATS[value]}, node)]
    if scope.logical == "string" and value != BINARY:
        scope.ignored(f"format: {value}", node, "this format has no rule to check")
    return []


def _refuse_contradiction(rules: list[Rule], options: Part, scope: Scope) -> None:
    for kind in ("minimum", "maximum"):
        if sum(rule.kind == kind for rule in rules) > 1:
            exclusive = f"exclusive{kind.capitalize()}"
            what = f"column '{scope.column}' has both {kind} and {exclusive}"
            raise options.nodes[exclusive].fail("C008", what, fix="keep one of them")
    ends = {rule.kind: rule.params for rule in rules}
    pairs = (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"))
    for low, high in pairs:
        if low in ends and high in ends:
            least, most = ends[low]["value"], ends[high]["value"]
            is_open = ends[low].get("exclusive") or ends[high].get("exclusive")
            if least > most or (is_open and least == most):
                node = next(iter(options.node.value.values()))
                what = f"no value of column '{scope.column}' satisfies both {low} and {high}"
                raise node.fail("C008", what)
