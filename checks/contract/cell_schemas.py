"""The arguments of expectations that parse texts: formats of strptime, and JSON Schemas of cells.

A schema fetches nothing and matches no pattern of its own: Python's patterns can take forever on a
text that is made for it, and those of contracts are RE2.
"""

import datetime as dt
import re
from typing import Any

from checks.contract.grammar import Kind, text
from checks.contract.node import Node

_LOCAL = re.compile(r"#(/(\$defs|definitions)/[^/]+)?")  # references to the schema's own parts
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_PATTERNS = ("pattern", "patternProperties")
_DATA = ("const", "enum", "default", "examples")  # keywords that hold no schema
_NAMED = ("properties", "$defs", "definitions", "dependentSchemas")  # these hold schemas by name


def _format(node: Node, name: str) -> str:
    form = node.string(name)
    try:
        dt.datetime.strptime("", form)  # noqa: DTZ007  whether it is a format, not when
    except ValueError as error:
        if "does not match" in str(error):
            return form
        what = f"{name}: {error}"
    except re.error:
        what = f"{name} has a directive twice"
    raise node.fail("C005", what, fix="use the directives of Python's strptime, each once")


def _schema(node: Node, name: str) -> dict[str, Any]:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    node.anything(name)
    schema: dict[str, Any] = _walked(node, name)
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        at = "/".join(str(part) for part in error.absolute_path)
        what = f"{name} is not a valid JSON Schema" + (f" at '{at}'" if at else "")
        raise node.fail("C005", what, fix="correct the schema") from error
    return schema


def _walked(node: Node, name: str, *, are_names: bool = False, is_data: bool = False) -> Any:
    """Return a schema as plain data; C005 for a keyword that is not supported."""
    if isinstance(node.value, list):
        return [_walked(item, name, is_data=is_data) for item in node.value]
    if not isinstance(node.value, dict):
        return node.scalar(name)
    found = {}
    for key, item in node.value.items():
        is_keyword = not are_names and not is_data
        if is_keyword or key.startswith("$PARAMETER"):
            _refuse(node, key, item, name)
        found[key] = _walked(
            item,
            name,
            are_names=is_keyword and key in _NAMED,
            is_data=is_data or (is_keyword and key in _DATA),
        )
    return found


def _refuse(node: Node, key: str, item: Node, name: str) -> None:
    fix = ""
    if key in _PATTERNS:
        fix = "remove it, or use expect_column_values_to_match_regex beside the schema"
    elif key in _REFERENCES and not (isinstance(item.value, str) and _LOCAL.fullmatch(item.value)):
        fix = "write what it refers to in this schema, under $defs"
    elif key.startswith("$PARAMETER"):
        fix = "write the value"
    if fix:
        raise node.fail_at(key, "C005", f"'{key}' is not supported in {name}", fix=fix)


STRFTIME = text(_format)
JSON_SCHEMA = Kind(_schema, {"type": "object"})
