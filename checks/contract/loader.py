"""The contract loader: Open Data Contract Standard v3.1 YAML to `Contract`, or a refusal.

Every refusal names file, line and column, and the nearest name where a name is wrong. Nothing in
a contract is evaluated as Python, no environment variable is expanded, and no path leaves the
root. Great Expectations is not imported here.
"""

import dataclasses
import re
import string
from collections import Counter
from pathlib import Path
from typing import Any

from checks.contract.assay_settings import (
    DELIMITER,
    OF_CONTRACT,
    OF_TABLE,
    Place,
    check_options,
    policy_of,
)
from checks.contract.columns import PROPERTY, columns_and_rules, spec_of
from checks.contract.grammar import SCALAR, TEXT, Json, Kind, Mapped, Part, items, text, words
from checks.contract.node import Node
from checks.contract.quality_rules import QUALITY, quality_rules
from checks.contract.query_guard import Guard, sql_type
from checks.contract.type_rules import Scope
from checks.contract.yaml_reader import Document, parse, read
from checks.kit.contract_model import Contract, Rule
from provenance.base.errors import AssayError
from provenance.files import remote
from provenance.readers.csv_dialect import Dialect
from provenance.rows.shards import RESERVED

OWN = "__assay"  # how the names of our own views and columns begin
LONGEST = 200  # characters of a dataset's name
JSON_LINES = "new_line"  # the standard's `delimiter` of JSON documents; lines are the only kind
_API_VERSION = r"v3\.[0-9]+\.[0-9]+"
_FOLDED = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # as the engine compares


# --- what a contract may hold --------------------------------------------------------------------


def _title(node: Node, name: str) -> str:
    found = node.string(name)
    if len(found) > LONGEST:
        raise node.fail("C005", f"{name} is longer than {LONGEST} characters")
    return found


def _standard(node: Node, name: str) -> str:
    if not re.fullmatch(_API_VERSION, node.text):
        what = f"unsupported {name} {node.text}".rstrip()
        raise node.fail("C005", what, fix="write `apiVersion: v3.1.0`")
    return node.text


def _version(node: Node, name: str) -> str:
    """Return a version as it is written: 1.0 is no number here."""
    if isinstance(node.value, dict | list):
        raise node.fail("C005", f"{name} must be a string")
    return node.text


def _tables(node: Node, name: str) -> list[Part]:
    if len(listed := node.items(name)) != 1:
        what = f"the contract describes {len(listed)} datasets"
        raise node.fail("C005", what, fix="write one contract for each dataset")
    return [TABLE.read(listed[0], name)]


def _has_schema(part: Part) -> None:
    if "schema" not in part:
        raise part.node.fail(
            "C005", "the contract has no schema", fix="write one with `assay init`"
        )


def _has_columns(part: Part) -> None:
    if not part.get("properties"):
        what = "the schema has no properties, so nothing would be checked"
        raise part.node.fail("C005", what, fix="list the columns under `properties`")


_TITLE = text(_title, maxLength=LONGEST)
_SERVER = Mapped(
    {},
    described="id server type path format description environment roles delimiter location "
    "customProperties endpointUrl schema database host port catalog account project dataset region "
    "regionName stagingDir serviceName warehouse",
).kind()
_PROPERTIES = items(PROPERTY.kind())
TABLE = Mapped(
    {
        "name": _TITLE,
        "properties": Kind(_PROPERTIES.read, {**_PROPERTIES.schema, "minItems": 1}),
        "quality": items(QUALITY),
        "customProperties": OF_TABLE,
    },
    described="id logicalType physicalName physicalType businessName description tags "
    "dataGranularityDescription authoritativeDefinitions",
    unused="relationships",
    judge=_has_columns,
    schema={"required": ["properties"]},
)
_SCHEMA = {"type": "array", "items": TABLE.kind().schema, "minItems": 1, "maxItems": 1}


def _servers() -> Json:
    """Return the schema of servers; only path, location and delimiter of the first are read."""
    ends = {"enum": [*DELIMITER.schema["enum"], JSON_LINES]}
    cases = [
        {"if": {"not": {"required": ["path"]}}, "then": {"properties": {"location": TEXT.schema}}},
        {"if": {"properties": {"format": {"const": "csv"}}},
         "then": {"properties": {"delimiter": ends}}},
    ]  # fmt: skip
    path = {"properties": {**_SERVER.schema["properties"], "path": TEXT.schema}}
    first = {**_SERVER.schema, **path, "allOf": cases}
    return {"type": "array", "items": _SERVER.schema, "prefixItems": [first]}


CONTRACT = Mapped(
    {
        "kind": words(("DataContract",)),
        "apiVersion": Kind(_standard, {"type": "string", "pattern": f"^{_API_VERSION}$"}),
        "schema": Kind(_tables, _SCHEMA),
        "name": _TITLE,
        "version": Kind(_version, SCALAR.schema),
        "servers": Kind(items(_SERVER).read, _servers()),
        "customProperties": OF_CONTRACT,
    },
    described="status tenant tags description domain contractCreatedTs authoritativeDefinitions",
    unused="support price team roles slaDefaultElement slaProperties",
    stand_ins={"name": ("dataProduct", "id")},
    judge=_has_schema,
    schema={"required": ["schema"]},
)


# --- what it means -------------------------------------------------------------------------------


def load(path: Path, *, root: Path | None = None, home: Path | None = None) -> Contract:
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


def of(
    document: Document,
    *,
    root: Path | None = None,
    home: Path | None = None,
    inspected: str = "",
) -> Contract:
    """Return the contract that a document holds; otherwise as `load`, and nothing is read.

    `inspected` is that of the contract which the caller's own parent has loaded.
    """
    whole = CONTRACT.read(parse(document.content, document.name), "the contract")
    (table,) = whole["schema"]
    types, name = _types(table), table.get("name", "dataset")
    guard = Guard(name, {item["name"]: sql_type(spec_of(item)) for item in table["properties"]})
    scope = Scope(name, types, guard, {}, {})
    _note_unused(whole, scope)
    described = columns_and_rules(table["properties"], scope)
    rules = described.rules
    _note_unused(table, scope)
    rules += [rule for item in table.get("quality", ()) for rule in quality_rules(item, scope)]
    place = Place(document.path, root, home)
    settings = _settings(whole.get("customProperties", Part(whole.node)), place, types)
    inspected = guard.settle(inspected)
    servers = whole.get("servers", [])
    return Contract(
        name=whole.get("name", name),
        version=whole.get("version", ""),
        path=str(document.path),
        root=str(place.limit),
        sha256=document.sha256,
        columns=tuple(described.columns),
        rules=tuple(_unique_ids(rules)),
        nested_rules=tuple(_unique_ids(described.nested_rules)),
        source=_source(servers, place, scope),
        csv=_dialect(whole.get("customProperties", {}).get("assay.csv"), servers, scope),
        warnings=tuple(scope.notices.values()),
        inspected=inspected,
        **settings,
    )


def _note_unused(part: Part, scope: Scope) -> None:
    """Note once each key, and each property of another tool, that has no effect."""
    for key, node in part.unused:
        scope.ignored(key, node)
    for key, node in part["customProperties"].unused if "customProperties" in part else ():
        scope.ignored(key, node, "it belongs to another tool")


def _types(table: Part) -> dict[str, str]:
    """Return the logical type of each column; C008 if two are one to the engine."""
    if table.get("name", "").translate(_FOLDED).startswith(OWN):
        what = f"names that begin with {OWN} are reserved"
        raise table.nodes["name"].fail("C008", what, fix="rename the dataset")
    types: dict[str, str] = {}
    firsts: dict[str, Node] = {}
    for item in table["properties"]:
        node, name = item.nodes["name"], item["name"]
        folded = name.translate(_FOLDED)
        if folded in RESERVED:
            fix = "rename the column, here and in the source"
            raise node.fail("C008", f"the column name {name} is reserved", fix=fix)
        if folded in firsts:
            raise _twice(node, firsts[folded])
        types[name], firsts[folded] = item.get("logicalType", "string"), node
    return types


def _twice(node: Node, first: Node) -> AssayError:
    lines = f"in lines {first.line} and {node.line}"
    if node.value == first.value:
        return node.fail("C008", f"column '{node.value}' is given twice, {lines}")
    what = f"columns '{first.value}' and '{node.value}' differ in case only, {lines}"
    return node.fail("C008", what, fix="rename one, here and in the source: SQL ignores case")


def _settings(given: Part, place: Place, columns: dict[str, str]) -> dict[str, Any]:
    """Return what Assay's own settings say: reference, files, checks, limits and policy."""
    found: dict[str, Any] = {}
    if "assay.reference" in given:
        found["reference"] = place.inside(given.nodes["assay.reference"], "assay.reference")
    if "root" in (files := given.get("assay.files", {})):
        found["files_root"] = place.inside(files.nodes["root"], "assay.files.root")
    found["has_docs"] = given.get("assay.expectations", {}).get("docs", True)
    if "assay.checks" in given:
        found["checks"] = check_options(given["assay.checks"], place, columns)
    if "assay.limits" in given:
        found["limits"] = dict(given["assay.limits"])
    if "assay.policy" in given:
        found["policy"] = policy_of(given["assay.policy"], columns)
    return found


def _source(servers: list[Part], place: Place, scope: Scope) -> str | None:
    """Return the path or URL of the first server, the default source; None if it has none."""
    for other in servers[1:]:
        node = other.node.value.get("server", other.node)
        scope.ignored("servers", node, "Assay reads the first one only")
    given = servers[0].node.value if servers else {}
    if "endpointUrl" in given:  # a contract must not send credentials to a host of its choice
        why = "the environment names the endpoint, e.g. AWS_ENDPOINT_URL"
        scope.ignored("endpointUrl", given["endpointUrl"], why)
    if "path" in given:
        return place.inside(given["path"], "servers[0].path")
    return _location(given["location"]) if "location" in given else None


def _location(node: Node) -> str:
    """Return the URL of an object store; C010 for any other location."""
    url = node.string("servers[0].location")
    if remote.is_plain_store(url):
        return url
    fix = f"use {', '.join(sorted(remote.STORES))} without credentials, or pass --source"
    raise node.fail("C010", "the location must be the plain URL of an object store", fix=fix)


def _dialect(given: Part | None, servers: list[Part], scope: Scope) -> Dialect:
    """Return the dialect of CSV files.

    Raises:
        AssayError: ASSAY-C007 if the index is no column, C008 if `assay.csv` and the server name
            two delimiters, or one character has two meanings.
    """
    own = Part(Node({}, "", 1, 1)) if given is None else given
    server: dict[str, Node] = servers[0].node.value if servers else {}
    served = ""
    is_csv = "format" not in server or server["format"].value == "csv"
    if is_csv and "delimiter" in server and server["delimiter"].value != JSON_LINES:
        served = DELIMITER.read(server["delimiter"], "delimiter")
    delimiter = own.get("delimiter", served)
    if served and delimiter != served:
        line = server["delimiter"].line
        what = f"assay.csv and the server, in line {line}, name two delimiters"
        raise own.nodes["delimiter"].fail("C008", what, fix="remove one of them")
    quote = {"none": ""}.get(own.get("quote", '"'), own.get("quote", '"'))
    more = {key: value for key, value in own.items() if key not in ("delimiter", "quote")}
    dialect = Dialect(delimiter, quote, **more)
    if "comment" in own and dialect.comment in (delimiter or ",", quote):
        what = "comment is the same character as the delimiter or the quote"
        raise own.nodes["comment"].fail("C008", what, fix="choose a different comment character")
    if dialect.thousands == dialect.decimal:
        what = f"decimal and thousands are both '{dialect.decimal}'"
        node = own.nodes.get("thousands") or own.nodes["decimal"]
        raise node.fail("C008", what, fix="choose a different character for one of them")
    if "index" in own:
        scope.known_column(own.nodes["index"])
    return dialect


def _unique_ids(rules: list[Rule]) -> list[Rule]:
    """Return the rules with `.2`, `.3` appended to ids that occur again for the same column."""
    times: Counter[tuple[str, str | None]] = Counter()
    found = []
    for rule in rules:
        key = (rule.id, rule.column)
        times[key] += 1
        is_again = times[key] > 1 and not rule.id.startswith("ASSAY-")
        found.append(dataclasses.replace(rule, id=f"{rule.id}.{times[key]}") if is_again else rule)
    return found
