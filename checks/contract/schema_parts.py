"""Parts of the JSON Schema of contracts: kinds of values, and arguments of expectations."""

from collections.abc import Iterable, Mapping
from typing import Any

from checks.contract import expectation_gallery
from checks.contract.node import MOST_INTEGER

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
NUMBER: dict[str, Any] = {"type": "number"}
FLAG: dict[str, Any] = {"type": "boolean"}
WHOLE: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": MOST_INTEGER}
LENGTH: dict[str, Any] = {**WHOLE, "minimum": 0}
SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}
SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}


def listed(items: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a list of such items."""
    return {"type": "array", "items": dict(items)}


def filled(items: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a list of at least one such item."""
    return {**listed(items), "minItems": 1}


def mapping(keys: Iterable[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a mapping of these keys and no others; some have a known schema."""
    properties = {key: known.get(key, {}) for key in sorted(keys)}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def when(key: str, value: str) -> dict[str, Any]:
    """Return a schema that holds where a key has a value."""
    return {"properties": {key: {"const": value}}, "required": [key]}


def kwargs(kind: str) -> dict[str, Any]:
    """Return the schema of an expectation's arguments."""
    arguments = expectation_gallery.ARGUMENTS[kind]
    shape = mapping(arguments, {key: _argument(kind, key) for key in arguments})
    if needed := [key for key, is_needed in arguments.items() if is_needed]:
        shape["required"] = needed
    if arguments.keys() >= expectation_gallery.ENDS:
        shape["anyOf"] = [{"required": [end]} for end in sorted(expectation_gallery.ENDS)]
    return shape


def _argument(kind: str, key: str) -> dict[str, Any]:
    pair = {"type": "array", "minItems": 2, "maxItems": 2}
    special: dict[str, Any] = {
        "ignore_row_if": {"enum": list(expectation_gallery.ignored(kind))},
        "match_on": {"enum": list(expectation_gallery.MATCH_ON)},
        "value_set": filled(SCALAR),
        "value_pairs_set": filled({**pair, "items": SCALAR}),
        "quantile_ranges": {"type": "object"},
        "partition_object": {"type": "object"},
        "regex_list": filled(TEXT),
        "like_pattern_list": filled(TEXT),
        "column_list": filled(TEXT),
        "column_set": filled(TEXT),
    }
    if key in special:
        found: dict[str, Any] = special[key]
        return found
    kinds = (
        (expectation_gallery.FLAGS, FLAG),
        (expectation_gallery.INTEGERS, LENGTH),
        (expectation_gallery.NUMBERS, NUMBER),
        (expectation_gallery.SHARES, SHARE),
        (expectation_gallery.ENDS, {"type": ["number", "string"]}),
    )
    return next((shape for keys, shape in kinds if key in keys), TEXT)
