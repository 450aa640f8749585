"""The properties of a contract: what a column is and promises, and the rules that come of it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from checks.contract.assay_settings import OF_COLUMN, OF_PART
from checks.contract.grammar import FLAG, INTEGER, TEXT, Case, Kind, Mapped, Part, items, words
from checks.contract.node import Node
from checks.contract.quality_rules import QUALITY, quality_rules
from checks.contract.type_rules import BINARY, OPTIONS, Scope, option_rules
from checks.kit import nested_roles
from checks.kit.contract_model import Column, Rule
from provenance.rows.column_types import NESTED, ColumnSpec, below

REQUIRED, UNIQUE, LABEL = "ASSAY-V010", "ASSAY-V009", "ASSAY-V013"
# rules that `checks.rules.nested_rules` evaluates
OF_PARTS = frozenset({"required", "nullValues", "minimum", "maximum", "minLength", "maxLength",
                      "pattern", "format", "validValues", "minItems", "maxItems",
                      "uniqueItems"})  # fmt: skip

_DESCRIBED = "id physicalType businessName description tags examples authoritativeDefinitions"
_UNUSED = (
    "classification encryptedName relationships "
    "transformSourceObjects transformLogic transformDescription physicalName criticalDataElement"
)


def _is_whole(part: Part) -> None:
    if part.get("logicalType") == "array" and "items" not in part:
        fix = "add `items: {logicalType: ...}`"
        raise part.node.fail("C005", "an array needs `items`, which say what it holds", fix=fix)
    names = [inner["name"] for inner in part.get("properties", ())]
    for inner in part.get("properties", ()):
        if names.count(inner["name"]) > 1:
            what = f"the property '{inner['name']}' is given twice"
            raise inner.nodes["name"].fail("C008", what)


_ARRAY_HAS_ITEMS = {
    "if": {"properties": {"logicalType": {"const": "array"}}, "required": ["logicalType"]},
    "then": {"required": ["items"]},
}


def _case(part: Kind, items_: Kind) -> Case:
    kinds = {kind: {"logicalTypeOptions": options.kind()} for kind, options in OPTIONS.items()}
    kinds["object"]["properties"] = items(part)
    kinds["array"]["items"] = items_
    return Case("logicalType", "string", kinds)


# the parts of nested columns hold parts themselves
def _read_part(node: Node, name: str) -> Part:
    return PART.read(node, name)


def _read_items(node: Node, name: str) -> Part:
    return ITEMS.read(node, name)


_PART = Kind(_read_part, {"$ref": "#/$defs/part"})
_ITEMS = Kind(_read_items, {"$ref": "#/$defs/items"})
ITEMS: Mapped = Mapped(
    {
        "logicalType": words(tuple(OPTIONS)),
        "required": FLAG,
        "quality": items(QUALITY),
        "customProperties": OF_PART,
    },
    described=_DESCRIBED + " name",
    unused=_UNUSED + " unique primaryKey primaryKeyPosition partitioned partitionKeyPosition",
    case=_case(_PART, _ITEMS),
    judge=_is_whole,
    schema=_ARRAY_HAS_ITEMS,
)
PART: Mapped = dataclasses.replace(
    ITEMS, kinds={"name": TEXT, **ITEMS.kinds}, needed=("name",), described=_DESCRIBED
)
PROPERTY = Mapped(
    {
        "name": TEXT,
        "logicalType": words(tuple(OPTIONS)),
        "required": FLAG,
        "unique": FLAG,
        "primaryKey": FLAG,
        "primaryKeyPosition": INTEGER,
        # where a file lacks the column, the names of its folders give it; a path tells that itself
        "partitioned": FLAG,
        "partitionKeyPosition": INTEGER,
        "quality": items(QUALITY),
        "customProperties": OF_COLUMN,
    },
    needed=("name",),
    described=_DESCRIBED,
    unused=_UNUSED,
    case=_case(_PART, _ITEMS),
    judge=_is_whole,
    schema=_ARRAY_HAS_ITEMS,
)


def spec_of(part: Part) -> ColumnSpec:
    """Return the type of a property, or of a part of one."""
    logical, options = part.get("logicalType", "string"), part.get("logicalTypeOptions", {})
    form = options.get("format")
    return ColumnSpec(
        part.get("name", "items"),
        logical,
        part.get("required", False),
        form if logical in ("date", "timestamp", "time") else None,
        items=spec_of(part["items"]) if "items" in part else None,
        properties=tuple(map(spec_of, part.get("properties", ()))),
        is_binary=logical == "string" and form == BINARY,
    )


@dataclasses.dataclass(slots=True)
class Columns:
    """The columns; the rules that their properties state; those on nested columns and their parts.

    A nested rule's `column` is a path, such as `messages[].content`.
    """

    columns: list[Column] = dataclasses.field(default_factory=list)
    rules: list[Rule] = dataclasses.field(default_factory=list)
    nested_rules: list[Rule] = dataclasses.field(default_factory=list)


def columns_and_rules(properties: Sequence[Part], scope: Scope) -> Columns:
    """Return the columns, and the rules that their properties state."""
    found = Columns()
    for item in properties:
        here = dataclasses.replace(scope, column=item["name"])
        for key, node in item.unused:
            if key != "physicalName" or node.value != item["name"]:
                here.ignored(key, node)
        is_nested = here.logical in NESTED
        own = [] if is_nested else _rules(item, here)
        found.columns.append(_column(item, here, own))
        found.rules += own
        if is_nested:
            found.nested_rules += nested_rules(item, here)
    for role in ("label", "probabilities"):
        _refuse_two(role, found.columns, properties)
    settings = [item.get("customProperties", {}).get("assay.label", {}) for item in properties]
    is_partial = any(of_label.get("missing") == "allowed" for of_label in settings)
    labelled = _with_labels(found.columns, found.rules, is_partial=is_partial)
    found.rules = _key_rules(properties) + labelled
    return found


def _rules(item: Part, scope: Scope) -> list[Rule]:
    rules: list[Rule] = []
    nodes = item.nodes
    if item.get("required") or item.get("primaryKey"):
        node = nodes["required"] if "required" in item else nodes["primaryKey"]
        rules.append(dataclasses.replace(scope.rule("required", {}, node), id=REQUIRED))
    if item.get("unique"):
        rules.append(dataclasses.replace(scope.rule("unique", {}, nodes["unique"]), id=UNIQUE))
    if "logicalTypeOptions" in item:
        rules += option_rules(item["logicalTypeOptions"], scope)
    for entry in item.get("quality", ()):
        rules += quality_rules(entry, scope)
    return rules


def _column(item: Part, scope: Scope, rules: list[Rule]) -> Column:
    own = item.get("customProperties", Part(item.node))
    for key, node in own.unused:
        scope.ignored(key, node, "it belongs to another tool")
    missing = list(own.get("assay.missing", ()))
    valid = None
    for rule in rules:
        if rule.kind == "missingValues":
            missing += [word for word in rule.params["values"] if word]
        if rule.kind == "validValues" and "bound" not in rule.params:
            valid = tuple(rule.params["values"])
    _refuse_settings(own, scope)
    _refuse_roles(item, own, scope)
    required = any(rule.kind == "required" for rule in rules)
    words = tuple(dict.fromkeys(missing))
    return Column(
        dataclasses.replace(spec_of(item), required=required, missing=words),
        roles=frozenset(own.get("assay.role", ())),
        pii=own.get("assay.pii", "quarantine"),
        is_personal="assay.pii" in own,
        key=item.get("primaryKey", False),
        valid_values=valid,
        classes=_classes(own),
    )


def _classes(own: Part) -> tuple[str, ...]:
    """Return the classes of a label as its column prints them (ASSAY-C008 if one is repeated)."""
    of_label = own.get("assay.label", Part(own.node))
    given = of_label.get("classes", ())
    classes = tuple(str(pa.scalar(value).cast(pa.string())) for value in given)
    if len(set(classes)) < len(classes) or None in given:
        what = "`classes` must list each class once"
        raise of_label.nodes["classes"].fail("C008", what, fix="remove what is listed twice")
    return classes


def _refuse_roles(item: Part, own: Part, scope: Scope) -> None:
    """Refuse roles that do not fit the column's type (ASSAY-C008)."""
    spec = spec_of(item)
    for role in own.get("assay.role", ()):
        if role in nested_roles.FITS:
            fits, what = nested_roles.FITS[role](spec), nested_roles.NEEDS[role]
        elif role == "file":
            fits, what = spec.logical == "string" and not spec.is_binary, "a string"
        else:
            fits, what = not spec.is_nested or role == "ignore", "a column that is not nested"
        if not fits:
            what = f"the role {role} needs {what}, and '{scope.column}' is {scope.logical}"
            raise own.nodes["assay.role"].fail("C008", what, fix="correct the role or the type")


def _refuse_settings(own: Part, scope: Scope) -> None:
    """Refuse settings that do not fit together, or not the column (ASSAY-C008)."""
    if {"ignore", "label"} <= {*own.get("assay.role", ())}:
        what = "a column cannot be both the label and ignored"
        raise own.nodes["assay.role"].fail("C008", what, fix="remove one of the two roles")
    if "assay.label" in own and "label" not in own.get("assay.role", ()):
        what = f"'{scope.column}' has assay.label but is not the label"
        raise own.nodes["assay.label"].fail("C008", what, fix="add `assay.role: label`")
    if scope.logical in NESTED and "assay.missing" in own:
        what = f"'{scope.column}' is nested, so no word stands for a missing value"
        raise own.nodes["assay.missing"].fail("C008", what, fix="remove assay.missing")
    is_text = scope.logical in ("string", *NESTED)
    if own.get("assay.pii") in ("redact", "pseudonymise") and not is_text:
        what = f"only string columns can be redacted, and '{scope.column}' is {scope.logical}"
        raise own.nodes["assay.pii"].fail("C008", what, fix="use quarantine")


def nested_rules(item: Part, scope: Scope) -> list[Rule]:
    """Return the rules on a nested column and on its parts, at any depth.

    Raises:
        AssayError: ASSAY-C008 for a key, or a rule that has no meaning for a part.
    """
    for key in ("unique", "primaryKey"):
        if item.get(key):
            what = f"the nested column '{scope.column}' cannot be {key}"
            raise item.nodes[key].fail("C008", what, fix=f"remove `{key}`")
    rules = _rules(item, scope)
    for rule in rules:
        if rule.kind not in OF_PARTS or "bound" in rule.params:
            what = f"the rule '{rule.id}' cannot be evaluated on a nested column or a part of one"
            fix = f"use {', '.join(sorted(OF_PARTS))}, or an SQL rule of the dataset"
            raise item.node.fail("C008", what, fix=fix)
    if "items" in item:
        rules += _part_rules(item["items"], f"{scope.column}[]", scope)
    for part in item.get("properties", ()):
        rules += _part_rules(part, below(scope.column or "", part["name"]), scope)
    return rules


def _part_rules(part: Part, path: str, scope: Scope) -> list[Rule]:
    here = dataclasses.replace(scope, column=path, part=part.get("logicalType", "string"))
    for key, node in part.unused:
        here.ignored(key, node)
    return nested_rules(part, here)


def _refuse_two(role: str, columns: Sequence[Column], properties: Sequence[Part]) -> None:
    found = [
        item.nodes["name"]
        for column, item in zip(columns, properties, strict=True)
        if role in column.roles
    ]
    if len(found) > 1:
        what = f"two {role} columns, in lines {found[0].line} and {found[1].line}"
        raise found[1].fail("C008", what, fix="keep the role on one of them")


def _key_rules(properties: Sequence[Part]) -> list[Rule]:
    """Return the rule of the primary key, in the order of primaryKeyPosition."""
    keyed = [
        (item.get("primaryKeyPosition", number), number, item)
        for number, item in enumerate(properties)
        if item.get("primaryKey")
    ]
    if not keyed:
        return []
    keyed.sort(key=lambda entry: entry[:2])
    names, where = [item["name"] for *_, item in keyed], keyed[0][2].nodes["primaryKey"].short
    if len(names) == 1:
        return [Rule(UNIQUE, "unique", names[0], {}, where=where)]
    return [Rule(UNIQUE, "unique", None, {"columns": names}, where=where)]


def _with_labels(columns: Sequence[Column], rules: list[Rule], *, is_partial: bool) -> list[Rule]:
    """Return the rules with those of the label joined: missing or not valid is ASSAY-V013.

    In a partially labelled dataset, only labels that are not valid are.
    """
    label = next((column for column in columns if "label" in column.roles), None)
    if label is None:
        return rules
    joined = [
        rule
        for rule in rules
        if rule.column == label.name
        and (rule.kind == "required" or (rule.kind == "validValues" and "bound" not in rule.params))
    ]
    valid = next((rule for rule in joined if rule.kind == "validValues"), None)
    params: dict[str, Any] = {"values": valid.params["values"] if valid else None}
    if is_partial:
        params["missing"] = "allowed"
    where = (valid or joined[0]).where if joined else ""
    severity = valid.severity if valid else "error"
    own = Rule(LABEL, "label", label.name, params, severity, where)
    return [own, *(rule for rule in rules if rule not in joined)]
