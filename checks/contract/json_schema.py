"""A JSON Schema of contracts, so that an editor completes keys and marks what is wrong.

Made from the same lists as the loader reads. It refuses nothing that the loader takes; the loader
also knows what a schema cannot say: columns that exist, bounds that contradict each other, types of
values against types of columns, patterns, paths, SQL. Editors read YAML 1.2, where a bare `off` is
a text, so both readings of it are named.
"""

import dataclasses
from typing import Any

from checks.contract import assay_settings, csv_settings, expectation_gallery, odcs
from checks.contract.heading import LONGEST
from checks.contract.node import MOST_INTEGER
from checks.contract.query_guard import MAX_PATTERN, MAX_QUERY
from checks.contract.schema_parts import (
    FLAG,
    LENGTH,
    NUMBER,
    SCALAR,
    SHARE,
    TEXT,
    WHOLE,
    kwargs,
    listed,
    mapping,
    when,
)
from checks.kit import option_types, registry
from checks.kit.contract_model import Policy
from provenance.base.limits import Limits
from provenance.readers.csv_dialect import may_delimit

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_PATTERN = {**TEXT, "maxLength": MAX_PATTERN}
_SPELT = "[-_]*".join(f"[{char}{char.upper()}]" for char in "greatexpectations")
_ENGINE = {"properties": {"engine": {"pattern": f"^{_SPELT}$"}}, "required": ["engine"]}
_DELIMITERS = [char for char in map(chr, range(128)) if may_delimit(char)]
_TITLE = {**TEXT, "maxLength": LONGEST}
_POSITION = {"type": "integer", "maximum": MOST_INTEGER}
# names of rules; those that begin with ASSAY- are Assay's own, and an id stands in for a name
_NAME = {**TEXT, "not": {"pattern": r"^[Aa][Ss][Ss][Aa][Yy]-"}}
_NAMED = {"if": {"not": {"required": ["name"]}}, "then": {"properties": {"id": _NAME}}}


def json_schema() -> dict[str, Any]:
    """Return the schema of a contract; draft 2020-12."""
    known = {
        "apiVersion": {"type": "string", "pattern": f"^{odcs.API_VERSION}$"},
        "kind": {"const": "DataContract"},
        "name": _TITLE,
        "version": SCALAR,
        "servers": _servers(),
        "schema": {**listed(_object()), "minItems": 1, "maxItems": 1},
        "customProperties": _custom(_contract_values()),
    }
    whole = mapping(odcs.CONTRACT, known)
    title = "Open Data Contract Standard 3.1, as Assay reads it"
    shared = {"quality": _quality()}
    whole |= {"required": ["schema"], "allOf": _names(), "$defs": shared}
    return {"$schema": _DRAFT, "title": title, **whole}


def _servers() -> dict[str, Any]:
    """Return the schema of servers; only the first one is read."""
    ends = {"enum": [*_DELIMITERS, csv_settings.JSON_LINES]}
    cases = [
        {"if": {"not": {"required": ["path"]}}, "then": {"properties": {"location": TEXT}}},
        {"if": {"properties": {"format": {"const": "csv"}}},
         "then": {"properties": {"delimiter": ends}}},
    ]  # fmt: skip
    first = {**mapping(odcs.SERVER, {"path": TEXT}), "allOf": cases}
    return {**listed(mapping(odcs.SERVER, {})), "prefixItems": [first]}


def _names() -> list[dict[str, Any]]:
    """Return that what stands in for a missing name is a text as a name is."""
    given = [{"required": [key]} for key in ("name", "dataProduct")]
    return [
        {"if": {"not": given[0]}, "then": {"properties": {"dataProduct": _TITLE}}},
        {"if": {"not": {"anyOf": given}}, "then": {"properties": {"id": _TITLE}}},
    ]


def _object() -> dict[str, Any]:
    known = {
        "name": _TITLE,
        "quality": listed({"$ref": "#/$defs/quality"}),
        "properties": {**listed(_property()), "minItems": 1},
        "customProperties": _custom({}),
    }
    return {**mapping(odcs.OBJECT, known), "required": ["properties"]}


def _property() -> dict[str, Any]:
    roles = {"enum": list(odcs.ROLES)}
    values = {
        "assay.role": {"anyOf": [roles, listed(roles)]},
        "assay.pii": {"enum": list(odcs.PII)},
        "assay.missing": listed(TEXT),
    }
    known = {
        "name": TEXT,
        "logicalType": {"enum": list(odcs.OPTIONS)},
        "required": FLAG,
        "unique": FLAG,
        "primaryKey": FLAG,
        "primaryKeyPosition": _POSITION,
        "quality": listed({"$ref": "#/$defs/quality"}),
        "customProperties": _custom(values),
    }
    cases = [_typed(kind) for kind in odcs.OPTIONS]
    return {**mapping(odcs.PROPERTY, known), "required": ["name"], "allOf": cases}


def _typed(kind: str) -> dict[str, Any]:
    """Return what a property of a logical type may say of it; a property without one is text."""
    end = NUMBER if kind in ("integer", "number") else TEXT
    known = {
        **{key: end for key in odcs.OPTIONS[kind] if key.lower().endswith(("minimum", "maximum"))},
        "minLength": LENGTH,
        "maxLength": LENGTH,
        "pattern": _PATTERN,
    }
    if kind == "string":
        known["format"] = {"enum": [*odcs.FORMATS, *odcs.FORMATS_UNCHECKED]}
    elif kind in ("date", "timestamp", "time"):
        known["format"] = TEXT
    options = mapping(odcs.OPTIONS[kind], known)
    is_kind: dict[str, Any] = {"properties": {"logicalType": {"const": kind}}}
    if kind != "string":
        is_kind["required"] = ["logicalType"]
    return {"if": is_kind, "then": {"properties": {"logicalTypeOptions": options}}}


def _quality() -> dict[str, Any]:
    known = {
        "type": {"enum": ["library", "sql", "custom", "text"]},
        "severity": {"enum": list(odcs.SEVERITIES)},
    }
    named = {"anyOf": [{"required": ["metric"]}, {"required": ["rule"]}]}
    untyped = {"not": {"required": ["type"]}}
    cases = [
        {"if": {"anyOf": [when("type", "library"), {"allOf": [untyped, named]}]},
         "then": {**_library(), **named}},
        {"if": when("type", "sql"), "then": _sql()},
        {"if": when("type", "custom"), "then": {"properties": {"engine": TEXT}}},
        {"if": {"allOf": [when("type", "custom"), _ENGINE]},
         "then": _expectation()},
    ]  # fmt: skip
    return {**mapping(odcs.QUALITY, known), "allOf": cases}


def _library() -> dict[str, Any]:
    arguments = {
        "nullValues": {},
        "rowCount": None,  # its arguments are not looked at
        "missingValues": {"missingValues": listed({"type": ["string", "null"]})},
        "invalidValues": {"validValues": {**listed(SCALAR), "minItems": 1}, "pattern": _PATTERN},
        "duplicateValues": {"properties": {**listed(TEXT), "minItems": 1}},
    }
    metrics = {"enum": list(odcs.METRICS)}
    cases = [
        {"if": when("metric", name), "then": {"properties": {"arguments": mapping(known, known)}}}
        for name, known in arguments.items()
        if known is not None
    ]
    own = {"metric": metrics, "name": _NAME, "unit": {"enum": ["rows", "percent"]}}
    return {"properties": {**own, **_operators()}, "allOf": [*cases, _NAMED], **_one_operator()}


def _sql() -> dict[str, Any]:
    query = {**TEXT, "maxLength": MAX_QUERY}
    own = {"query": query, "name": _NAME, **_operators()}
    return {"properties": own, "required": ["query"], "allOf": [_NAMED], **_one_operator()}


def _operators() -> dict[str, Any]:
    pair = {**listed(NUMBER), "minItems": 2, "maxItems": 2}
    return {key: pair if key.endswith("Between") else NUMBER for key in odcs.OPERATORS}


def _one_operator() -> dict[str, Any]:
    return {"oneOf": [{"required": [key]} for key in odcs.OPERATORS]}


def _expectation() -> dict[str, Any]:
    cases = [
        {"if": when("type", kind), "then": {"properties": {"kwargs": kwargs(kind)}}}
        for kind in expectation_gallery.EXPECTATIONS
    ]
    known = {"type": {"enum": list(expectation_gallery.EXPECTATIONS)}, "kwargs": {"type": "object"}}
    shape = {**mapping(("type", "kwargs", "meta"), known), "required": ["type"], "allOf": cases}
    own = {"implementation": shape, "name": _NAME}
    return {"properties": own, "required": ["implementation"], "allOf": [_NAMED]}


def _contract_values() -> dict[str, Any]:
    policy: dict[str, Any] = {field.name: SHARE for field in dataclasses.fields(Policy)}
    policy["alpha"] = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    policy |= {key: {"type": "number", "minimum": 0} for key in ("epsilon", "epsilon_total")}
    policy["fail_on"] = {"enum": ["error", "warning"]}
    sizes = [field.name for field in dataclasses.fields(Limits)] + list(assay_settings.STAGE_LIMITS)
    limits: dict[str, Any] = dict.fromkeys(sizes, WHOLE)
    seconds = {"type": "number", "exclusiveMinimum": 0, "maximum": assay_settings.MOST_SECONDS}
    limits |= {name: seconds for name in sizes if name.endswith("_seconds")}
    return {
        "assay.reference": {**TEXT, "maxLength": assay_settings.MOST_PATH},
        "assay.policy": mapping(policy, policy),
        "assay.checks": _checks(),
        "assay.limits": mapping(limits, limits),
        "assay.csv": mapping(csv_settings.KEYS, _csv()),
    }


def _csv() -> dict[str, Any]:
    quotes = {"enum": list(csv_settings.QUOTES)}
    return {"delimiter": {"enum": _DELIMITERS}, "quote": quotes, "encoding": TEXT}


def _checks() -> dict[str, Any]:
    on, off = [None, True, "on"], [False, "off"]
    stages: dict[str, Any] = {key: {"enum": on} for key in assay_settings.STAGES}
    known = {
        name: {"anyOf": [{"enum": [*on, *off]}, mapping(kind.takes, _options(kind.takes))]}
        for name, kind in registry.load().items()
    }
    return mapping([*known, *stages], {**known, **stages})


def _options(takes: option_types.Takes) -> dict[str, Any]:
    return {key: _option(kind) for key, kind in takes.items()}


def _option(kind: option_types.Kind) -> dict[str, Any]:
    if isinstance(kind, tuple):
        return listed({"enum": list(kind)})
    if isinstance(kind, frozenset):
        return {"enum": sorted(kind)}
    if kind in option_types.LEAST:
        return {**WHOLE, "minimum": option_types.LEAST[kind]}
    return {
        "number": {"type": "number", "exclusiveMinimum": 0},
        "share": SHARE,
        "flag": FLAG,
        "texts": listed(TEXT),
        "columns": listed(TEXT),
        "path": {**TEXT, "maxLength": assay_settings.MOST_PATH},
        "model": TEXT,
    }[kind]


def _custom(values: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of customProperties: ours have known values, others may be anything."""
    cases = [
        {"if": when("property", name),
         "then": {"properties": {"value": value}, "required": ["value"]}}
        for name, value in values.items()
    ]  # fmt: skip
    other = {"not": {"pattern": "^[Aa][Ss][Ss][Aa][Yy]"}}
    known = {"type": "string", "minLength": 1, "anyOf": [{"enum": list(values)}, other]}
    item: dict[str, Any] = {"type": "object", "properties": {"property": known}}
    return listed({**item, "required": ["property"], **({"allOf": cases} if cases else {})})
