"""The properties of a contract: what a column is and promises, and the rules that come of it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from checks.contract.assay_settings import OF_COLUMN
from checks.contract.grammar import FLAG, INTEGER, TEXT, Case, Kind, Mapped, Part, items
from checks.contract.node import Node
from checks.contract.quality_rules import QUALITY, quality_rules
from checks.contract.type_rules import OPTIONS, Scope, option_rules
from checks.kit.contract_model import Column, Rule
from provenance.rows.column_types import ColumnSpec

REQUIRED, UNIQUE, LABEL = "ASSAY-V010", "ASSAY-V009", "ASSAY-V013"


_NESTED = ("object", "array")


def _logical(node: Node, name: str) -> str:
    return str(node.value) if node.value in _NESTED else node.choice(name, OPTIONS)


def _is_flat(part: Part) -> None:
    if (kind := part.get("logicalType")) in _NESTED:
        what, fix = f"column '{part['name']}' is nested ({kind})", "flatten it before the export"
        raise part.nodes["logicalType"].fail("C005", what, fix=fix)


PROPERTY = Mapped(
    {
        "name": TEXT,
        "logicalType": Kind(_logical, {"enum": list(OPTIONS)}),
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
    described="id physicalType businessName description tags examples authoritativeDefinitions",
    unused="classification encryptedName relationships items "
    "properties transformSourceObjects transformLogic transformDescription physicalName "
    "criticalDataElement",
    case=Case(
        "logicalType",
        "string",
        {kind: {"logicalTypeOptions": options.kind()} for kind, options in OPTIONS.items()},
    ),
    judge=_is_flat,
)


def columns_and_rules(properties: Sequence[Part], scope: Scope) -> tuple[list[Column], list[Rule]]:
    """Return the columns, and the rules that their properties state."""
    columns: list[Column] = []
    rules: list[Rule] = []
    for item in properties:
        here = dataclasses.replace(scope, column=item["name"])
        for key, node in item.unused:
            if key != "physicalName" or node.value != item["name"]:
                here.ignored(key, node)
        own = _rules(item, here)
        columns.append(_column(item, here, own))
        rules += own
    _refuse_two_labels(columns, properties)
    settings = [item.get("customProperties", {}).get("assay.label", {}) for item in properties]
    is_partial = any(of_label.get("missing") == "allowed" for of_label in settings)
    return columns, _key_rules(properties) + _with_labels(columns, rules, is_partial=is_partial)


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
    required = any(rule.kind == "required" for rule in rules)
    is_moment = scope.logical in ("date", "timestamp", "time")
    form = item.get("logicalTypeOptions", {}).get("format") if is_moment else None
    logical = item.get("logicalType", "string")
    return Column(
        ColumnSpec(item["name"], logical, required, form, tuple(dict.fromkeys(missing))),
        roles=frozenset(own.get("assay.role", ())),
        pii=own.get("assay.pii", "quarantine"),
        is_personal="assay.pii" in own,
        key=item.get("primaryKey", False),
        valid_values=valid,
    )


def _refuse_settings(own: Part, scope: Scope) -> None:
    """Refuse settings that do not fit together, or not the column (ASSAY-C008)."""
    if {"ignore", "label"} <= {*own.get("assay.role", ())}:
        what = "a column cannot be both the label and ignored"
        raise own.nodes["assay.role"].fail("C008", what, fix="remove one of the two roles")
    if "assay.label" in own and "label" not in own.get("assay.role", ()):
        what = f"'{scope.column}' has assay.label but is not the label"
        raise own.nodes["assay.label"].fail("C008", what, fix="add `assay.role: label`")
    if own.get("assay.pii") in ("redact", "pseudonymise") and scope.logical != "string":
        what = f"only string columns can be redacted, and '{scope.column}' is {scope.logical}"
        raise own.nodes["assay.pii"].fail("C008", what, fix="use quarantine")


def _refuse_two_labels(columns: Sequence[Column], properties: Sequence[Part]) -> None:
    found = [
        item.nodes["name"]
        for column, item in zip(columns, properties, strict=True)
        if "label" in column.roles
    ]
    if len(found) > 1:
        what = f"two label columns, in lines {found[0].line} and {found[1].line}"
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
