"""A JSON Schema of contracts, so that an editor completes keys and marks misspelt ones.

Made from the same lists as the loader reads; the loader decides, and also knows what a schema
cannot say (columns that exist, bounds that contradict each other, paths, SQL).
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from checks.kit import csv_dialect, odcs, settings
from checks.kit.contract import Policy
from provenance.limits import Limits

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_FLAG = {"type": "boolean"}
_NUMBERS = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
_END = {"type": ["number", "string"]}
_LENGTH = {"type": "integer", "minimum": 0}


def json_schema() -> dict[str, Any]:
    """Return the schema of a contract; draft 2020-12."""
    known = {
        "apiVersion": {"type": "string", "pattern": r"^v3\."},
        "kind": {"const": "DataContract"},
        "name": _TEXT,
        "servers": {"type": "array", "items": _mapping(odcs.SERVER, {"path": _TEXT})},
        "schema": {"type": "array", "minItems": 1, "maxItems": 1, "items": _object()},
        "customProperties": _custom(_contract_values()),
    }
    whole = _mapping(odcs.CONTRACT, known)
    title = "Open Data Contract Standard 3.1, as Assay reads it"
    return {"$schema": _DRAFT, "title": title, **whole, "required": ["schema"]}


def _object() -> dict[str, Any]:
    known = {
        "name": _TEXT,
        "quality": {"type": "array", "items": _quality()},
        "properties": {"type": "array", "minItems": 1, "items": _property()},
    }
    return {**_mapping(odcs.OBJECT, known), "required": ["properties"]}


def _property() -> dict[str, Any]:
    options = sorted({key for keys in odcs.OPTIONS.values() for key in keys})
    ends = {key: _END for key in options if key.lower().endswith(("minimum", "maximum"))}
    known_options: dict[str, Any] = {
        **ends,
        "minLength": _LENGTH,
        "maxLength": _LENGTH,
        "pattern": {"type": "string", "format": "regex", "maxLength": 1000},
        "format": _TEXT,
    }
    roles = {"enum": list(odcs.ROLES)}
    values = {
        "assay.role": {"anyOf": [roles, {"type": "array", "items": roles}]},
        "assay.pii": {"enum": list(odcs.PII)},
        "assay.missing": {"type": "array", "items": _TEXT},
    }
    known = {
        "name": _TEXT,
        "logicalType": {"enum": list(odcs.OPTIONS)},
        "logicalTypeOptions": _mapping(options, known_options),
        "required": _FLAG,
        "unique": _FLAG,
        "primaryKey": _FLAG,
        "primaryKeyPosition": {"type": "integer"},
        "quality": {"type": "array", "items": _quality()},
        "customProperties": _custom(values),
    }
    return {**_mapping(odcs.PROPERTY, known), "required": ["name"]}


def _quality() -> dict[str, Any]:
    operators: dict[str, Any] = {
        key: _NUMBERS if key.endswith("Between") else _NUMBER for key in odcs.OPERATORS
    }
    kinds = [*odcs.EXPECTATIONS]
    implementation = _mapping(
        ("type", "kwargs", "meta"), {"type": {"enum": kinds}, "kwargs": {"type": "object"}}
    )
    known = {
        "type": {"enum": ["library", "sql", "custom", "text"]},
        "metric": {"enum": list(odcs.METRICS)},
        "severity": {"enum": list(odcs.SEVERITIES)},
        "unit": {"enum": ["rows", "percent"]},
        "query": _TEXT,
        "name": _TEXT,
        "arguments": {"type": "object"},
        "engine": _TEXT,
        **operators,
    }
    whole = _mapping(odcs.QUALITY, known)
    # only the expectations of one engine are known; another tool's may be anything
    ours = {"properties": {"engine": {"const": "greatExpectations"}}, "required": ["engine"]}
    then = {"properties": {"implementation": implementation}, "required": ["implementation"]}
    return {**whole, "if": ours, "then": then}


def _contract_values() -> dict[str, Any]:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    policy: dict[str, Any] = {field.name: share for field in dataclasses.fields(Policy)}
    policy |= {key: {"type": "number", "minimum": 0} for key in ("epsilon", "epsilon_total")}
    policy["fail_on"] = {"enum": ["error", "warning"]}
    names = [field.name for field in dataclasses.fields(Limits)] + list(settings.STAGE_LIMITS)
    positive = {"type": "number", "exclusiveMinimum": 0}
    return {
        "assay.reference": _TEXT,
        "assay.policy": _mapping(policy, policy),
        "assay.checks": {"type": "object"},
        "assay.limits": _mapping(names, dict.fromkeys(names, positive)),
        "assay.csv": _mapping(csv_dialect.KEYS, dict.fromkeys(csv_dialect.KEYS, _TEXT)),
    }


def _custom(values: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of customProperties: ours have known values, others may be anything."""
    cases = [
        {
            "if": {"properties": {"property": {"const": name}}, "required": ["property"]},
            "then": {"properties": {"value": value}, "required": ["value"]},
        }
        for name, value in values.items()
    ]
    names = {"anyOf": [{"enum": list(values)}, {"not": {"pattern": r"^assay\."}}]}
    item = {
        "type": "object",
        "properties": {"property": {"type": "string", **names}},
        "required": ["property"],
        "allOf": cases,
    }
    return {"type": "array", "items": item}


def _mapping(keys: Iterable[str], known: dict[str, Any]) -> dict[str, Any]:
    properties = {key: known.get(key, {}) for key in sorted(keys)}
    return {"type": "object", "additionalProperties": False, "properties": properties}
