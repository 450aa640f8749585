"""Nested and binary columns of a source: their types, and how a contract writes them."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from checks.kit import nested_roles
from provenance.base.errors import AssayError
from provenance.rows.column_types import MAP, ColumnSpec, Logical
from provenance.rows.nested import as_list, is_bytes, is_flat, is_list

MOST_LEVELS = 12  # that fit into the levels that the loader of contracts reads
_NAMES = {
    "embedding": re.compile(r"(?i)embed|(^|[_ .-])(vec|vector)([_ .-]|$)"),
    "tokens": re.compile(r"(?i)^(tokens|words)$"),
    "tags": re.compile(r"(?i)^((ner|pos|bio|chunk|token)_)?(tags|tag_ids)$"),
    "labels": re.compile(r"(?i)^(labels|classes|categories)$"),
}
_BINARY = "logicalTypeOptions: {format: binary}"


def spec_of(field: pa.Field, logical_of: Callable[[pa.Field], Logical | None]) -> ColumnSpec | None:
    """Return what a contract says of a column that is not flat; None for a flat one.

    Args:
        field: of a file that has types.
        logical_of: returns the logical type of a flat part.

    Raises:
        AssayError: ASSAY-I008 if a contract cannot describe the type.
    """
    return None if is_flat(field.type) else refuse_deep(_spec(field, logical_of))


def refuse_deep(spec: ColumnSpec) -> ColumnSpec:
    """Return a type; ASSAY-I008 if it has more levels than a contract may have."""
    if (levels := _levels(spec)) > MOST_LEVELS:
        what = f"column {spec.name!r} is nested {levels} levels deep, and a contract can describe "
        what += f"{MOST_LEVELS}"
        raise AssayError("I008", what, fix="flatten it before the export")
    return spec


def role_of(spec: ColumnSpec | None) -> str | None:
    """Return the role of a nested column that its type, or type and name, make clear."""
    if spec is None:
        return None
    if nested_roles.part_names(spec):
        return "messages"
    for role, pattern in _NAMES.items():
        if nested_roles.FITS[role](spec) and pattern.search(spec.name):
            return role
    return "spans" if nested_roles.has_spans(spec) else None


def _spec(field: pa.Field, logical_of: Callable[[pa.Field], Logical | None]) -> ColumnSpec:
    kind = field.type
    if kind == MAP:
        return ColumnSpec(field.name, "object")
    if is_list(kind):
        return ColumnSpec(
            field.name,
            "array",
            items=_spec(pa.field("items", as_list(kind).value_type), logical_of),
        )
    if pa.types.is_struct(kind):
        parts = tuple(_spec(part, logical_of) for part in kind)
        return ColumnSpec(field.name, "object", properties=parts)
    if is_bytes(kind):
        return ColumnSpec(field.name, is_binary=True)
    return ColumnSpec(field.name, logical_of(field) or "string")


def _levels(spec: ColumnSpec) -> int:
    inner = [*([spec.items] if spec.items else []), *spec.properties]
    return 1 + max(map(_levels, inner), default=0)


def lines(spec: ColumnSpec, indent: str, scalar: Callable[[Any], str]) -> Iterator[str]:
    """Yield what follows the logicalType of a column that is not flat, as lines of YAML.

    Args:
        spec: of the column, or of a part of it.
        indent: of the column's keys.
        scalar: writes a name.
    """
    if spec.is_binary:
        yield f"{indent}{_BINARY}"
    if spec.items:
        yield f"{indent}items:"
        yield f"{indent}  logicalType: {spec.items.logical}"
        yield from lines(spec.items, f"{indent}  ", scalar)
    if spec.properties:
        yield f"{indent}properties:"
        for part in spec.properties:
            yield f"{indent}  - name: {scalar(part.name)}"
            yield f"{indent}    logicalType: {part.logical}"
            yield from lines(part, f"{indent}    ", scalar)
