"""The contract loader: Open Data Contract Standard v3.1 YAML to `Contract`, or a refusal.

Every refusal names file, line and column, and the nearest name where a name is wrong. Nothing in
a contract is evaluated as Python, no environment variable is expanded, and no path leaves the
root. Great Expectations is not imported here.
"""

import dataclasses
import string
from collections import Counter
from pathlib import Path
from typing import Any, cast

from checks.contract import assay_settings, csv_settings, heading, odcs
from checks.contract.node import Node
from checks.contract.quality_rules import quality_rules
from checks.contract.query_guard import Guard
from checks.contract.type_rules import Scope, logical_type, option_rules
from checks.contract.yaml_reader import Document, parse, read
from checks.kit.contract_model import Column, Contract, PiiAction, Role, Rule
from provenance.readers.header import RESERVED
from provenance.rows.column_types import ColumnSpec, Logical

REQUIRED, UNIQUE, LABEL = "ASSAY-V010", "ASSAY-V009", "ASSAY-V013"
OWN = "__assay"  # how the names of our own views and columns begin
_FOLDED = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # as the engine compares


def load(
    path: Path,
    *,
    root: Path | None = None,
    home: Path | None = None,
) -> Contract:
    """Read a contract.

    Args:
        path: the YAML file.
        home: folder that its paths are relative to; by default the contract's own.
        root: folder that the contract's paths may not leave; by default the working folder if
            the contract lies beneath it, else the contract's own folder.

    Raises:
        AssayError: ASSAY-C001 to C011.
    """
    return of(read(path), root=root, home=home)


def of(document: Document, *, root: Path | None = None, home: Path | None = None) -> Contract:
    """Return the contract that a document holds; otherwise as `load`, and nothing is read."""
    top = parse(document.content, document.name)
    facts = top.mapping("the contract", odcs.CONTRACT)
    heading.refuse_standard(facts)
    table, properties, schema = _schema(top, facts)
    types = _types(properties)
    guard = Guard(table, types)
    scope = Scope(table, types, guard, {}, {})
    for key in sorted(odcs.CONTRACT_UNUSED & facts.keys()):
        scope.ignored(key, facts[key])
    columns, rules = _columns(properties, scope)
    rules += _table_rules(schema, scope)
    _refuse_two_labels(columns, properties)
    rules = _key_rules(columns, properties) + _with_labels(columns, rules)
    place = assay_settings.Place(document.path, root, home)
    given = assay_settings.custom(facts.get("customProperties"), odcs.ASSAY_CONTRACT, scope)
    policy, rest = assay_settings.read(given, place, types)
    guard.settle()
    return Contract(
        name=heading.name(facts, table),
        version=heading.version(facts),
        path=str(document.path),
        root=str(place.limit),
        sha256=document.sha256,
        columns=tuple(columns),
        rules=tuple(_unique_ids(rules)),
        policy=policy,
        source=assay_settings.source(facts.get("servers"), place, scope),
        csv=csv_settings.read(given, facts.get("servers")),
        warnings=tuple(scope.notices.values()),
        **rest,
    )


def _schema(
    top: Node, facts: dict[str, Node]
) -> tuple[str, list[dict[str, Node]], dict[str, Node]]:
    """Return the dataset's name, its properties and the schema object."""
    if "schema" not in facts:
        raise top.fail("C005", "the contract has no schema", fix="`assay init` writes one")
    objects = facts["schema"].items("schema")
    if len(objects) != 1:
        what = f"the contract describes {len(objects)} datasets"
        raise facts["schema"].fail("C005", what, fix="write one contract for each dataset")
    schema = objects[0].mapping("schema", odcs.OBJECT)
    listed = schema["properties"].items("properties") if "properties" in schema else []
    if not listed:
        raise objects[0].fail("C005", "the schema has no properties, so nothing would be checked")
    properties = [item.mapping("a property", odcs.PROPERTY) for item in listed]
    for item, node in zip(properties, listed, strict=True):
        if "name" not in item:
            raise node.fail("C005", "a property has no name")
    name = heading.title(schema["name"], "name") if "name" in schema else "dataset"
    if name.translate(_FOLDED).startswith(OWN):
        raise schema["name"].fail("C008", f"names that begin with {OWN} are reserved")
    return name, properties, schema


def _types(properties: list[dict[str, Node]]) -> dict[str, str]:
    """Return the logical type of each column; C008 if two are one to the engine."""
    types: dict[str, str] = {}
    seen: dict[str, Node] = {}
    for item in properties:
        node, name = item["name"], item["name"].string("name")
        folded = name.translate(_FOLDED)
        if folded in RESERVED:
            fix = "rename the column, here and in the source"
            raise node.fail("C008", f"the column name {name} is reserved", fix=fix)
        if folded in seen:
            lines = f"in lines {seen[folded].line} and {node.line}"
            if name in types:
                raise node.fail("C008", f"column '{name}' is given twice, {lines}")
            what = f"columns '{seen[folded].value}' and '{name}' differ in case only, {lines}"
            fix = "rename one, here and in the source: to SQL they are the same"
            raise node.fail("C008", what, fix=fix)
        kind: Logical = (
            logical_type(item["logicalType"], name) if "logicalType" in item else "string"
        )
        types[name], seen[folded] = kind, node
    return types


def _columns(properties: list[dict[str, Node]], scope: Scope) -> tuple[list[Column], list[Rule]]:
    columns: list[Column] = []
    rules: list[Rule] = []
    for item in properties:
        here = dataclasses.replace(scope, column=item["name"].value)
        for key in sorted(odcs.PROPERTY_UNUSED & item.keys()):
            if key != "physicalName" or item[key].value != item["name"].value:
                here.ignored(key, item[key])
        own = _property_rules(item, here)
        columns.append(_column(item, here, own))
        rules += own
    return columns, rules


def _property_rules(item: dict[str, Node], scope: Scope) -> list[Rule]:
    rules: list[Rule] = []
    if _flag(item, "required") or _flag(item, "primaryKey"):
        node = item["required"] if "required" in item else item["primaryKey"]
        rules.append(dataclasses.replace(scope.rule("required", {}, node), id=REQUIRED))
    if "primaryKeyPosition" in item:
        item["primaryKeyPosition"].integer("primaryKeyPosition")
    if _flag(item, "unique"):
        rules.append(dataclasses.replace(scope.rule("unique", {}, item["unique"]), id=UNIQUE))
    if "logicalTypeOptions" in item:
        known = odcs.OPTIONS[scope.logical]
        what = f"logicalTypeOptions of type {scope.logical}"
        rules += option_rules(item["logicalTypeOptions"].mapping(what, known), scope)
    for entry in item["quality"].items("quality") if "quality" in item else []:
        rules += quality_rules(entry, scope)
    return rules


def _flag(item: dict[str, Node], key: str) -> bool:
    return item[key].boolean(key) if key in item else False


def _column(item: dict[str, Node], scope: Scope, rules: list[Rule]) -> Column:
    name: str = item["name"].value
    given = assay_settings.custom(item.get("customProperties"), odcs.ASSAY_PROPERTY, scope)
    roles = _roles(given["assay.role"]) if "assay.role" in given else frozenset()
    pii = _pii(given["assay.pii"], scope) if "assay.pii" in given else "quarantine"
    missing = _words(given["assay.missing"]) if "assay.missing" in given else []
    valid = None
    for rule in rules:
        if rule.kind == "missingValues":
            missing += [word for word in rule.params["values"] if word]
        if rule.kind == "validValues" and "bound" not in rule.params:
            valid = tuple(rule.params["values"])
    required = any(rule.kind == "required" for rule in rules)
    options = item["logicalTypeOptions"].value if "logicalTypeOptions" in item else {}
    is_moment = scope.logical in ("date", "timestamp", "time")
    form = options["format"].string("format") if is_moment and "format" in options else None
    spec = ColumnSpec(
        name, cast("Logical", scope.logical), required, form, tuple(dict.fromkeys(missing))
    )
    return Column(spec, roles, pii, "assay.pii" in given, _flag(item, "primaryKey"), valid)


def _pii(node: Node, scope: Scope) -> PiiAction:
    action = node.choice("assay.pii", odcs.PII)
    if action in ("redact", "pseudonymise") and scope.logical != "string":
        what = f"only string columns can be redacted, and '{scope.column}' is {scope.logical}"
        raise node.fail("C008", what, fix="use quarantine")
    return cast("PiiAction", action)


def _roles(node: Node) -> frozenset[Role]:
    items = node.value if isinstance(node.value, list) else [node]
    roles = [cast("Role", item.choice("assay.role", odcs.ROLES)) for item in items]
    if "ignore" in roles and "label" in roles:
        raise node.fail("C008", "a column cannot be both the label and ignored")
    return frozenset(roles)


def _words(node: Node) -> list[str]:
    return [item.string("assay.missing") for item in node.items("assay.missing")]


def _table_rules(schema: dict[str, Node], scope: Scope) -> list[Rule]:
    assay_settings.custom(schema.get("customProperties"), (), scope)
    for key in sorted(odcs.OBJECT_UNUSED & schema.keys()):
        scope.ignored(key, schema[key])
    items = schema["quality"].items("quality") if "quality" in schema else []
    return [rule for item in items for rule in quality_rules(item, scope)]


def _refuse_two_labels(columns: list[Column], properties: list[dict[str, Node]]) -> None:
    found = [
        item["name"]
        for column, item in zip(columns, properties, strict=True)
        if "label" in column.roles
    ]
    if len(found) > 1:
        what = f"two label columns, in lines {found[0].line} and {found[1].line}"
        raise found[1].fail("C008", what)


def _key_rules(columns: list[Column], properties: list[dict[str, Node]]) -> list[Rule]:
    """Return the rule of the primary key, in the order of primaryKeyPosition."""
    keyed = []
    for number, (column, item) in enumerate(zip(columns, properties, strict=True)):
        if column.key:
            given = item.get("primaryKeyPosition")
            position = given.value if given else number
            keyed.append((position, number, column.name, item["primaryKey"]))
    keyed.sort(key=lambda entry: entry[:2])
    if not keyed:
        return []
    where = keyed[0][3].short
    if len(keyed) == 1:
        return [Rule(UNIQUE, "unique", keyed[0][2], {}, where=where)]
    return [Rule(UNIQUE, "unique", None, {"columns": [entry[2] for entry in keyed]}, where=where)]


def _with_labels(columns: list[Column], rules: list[Rule]) -> list[Rule]:
    """Return the rules with those of the label joined: missing or not valid is ASSAY-V013."""
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
    where = (valid or joined[0]).where if joined else ""
    severity = valid.severity if valid else "error"
    own = Rule(LABEL, "label", label.name, params, severity, where)
    return [own, *(rule for rule in rules if rule not in joined)]


def _unique_ids(rules: list[Rule]) -> list[Rule]:
    """Return the rules with `.2`, `.3` appended to ids that occur again for the same column."""
    seen: Counter[tuple[str, str | None]] = Counter()
    found = []
    for rule in rules:
        key = (rule.id, rule.column)
        seen[key] += 1
        twice = seen[key] > 1 and not rule.id.startswith("ASSAY-")
        found.append(dataclasses.replace(rule, id=f"{rule.id}.{seen[key]}") if twice else rule)
    return found
