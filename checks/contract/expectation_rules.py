"""Rules of `type: custom, engine: greatExpectations`: any expectation of the gallery, to a `Rule`.

The names and kinds of its arguments are checked before the library is imported, so the message for
a misspelt one names its place, and nothing reaches the library that it would evaluate.
"""

import dataclasses
import functools
from typing import Any

from checks.contract import expectation_gallery as gallery
from checks.contract.cell_schemas import JSON_SCHEMA, STRFTIME
from checks.contract.grammar import (
    FLAG,
    LENGTH,
    NUMBER,
    OF_COLUMN,
    SCALAR,
    SHARE,
    TEXT,
    Case,
    Json,
    Kind,
    Mapped,
    Part,
    items,
    words,
)
from checks.contract.node import Node, nearest
from checks.contract.type_names import TYPE
from checks.contract.type_rules import PATTERN, VALUES, Scope
from checks.kit.contract_model import Rule

# the name of the engine in any case, with hyphens and underscores anywhere
GREAT_EXPECTATIONS = (
    "^" + "[-_]*".join(f"[{char}{char.upper()}]" for char in "greatexpectations") + "$"
)
_COLUMNS = ("column", "column_A", "column_B")
_COLUMN_LISTS = ("column_list", "column_set")
_ENDS = ("min_value", "max_value")
EXACT = 2**53  # beyond it a float cannot represent every integer
# expectations that compare the values of the column itself
_COMPARING = (
    "expect_column_values_to_be_between",
    "expect_column_max_to_be_between",
    "expect_column_min_to_be_between",
    "expect_column_median_to_be_between",
)
_MOMENTS = ("date", "timestamp", "time")
_FLAGS = "strict_min strict_max ties_okay or_equal bucketize_data double_sided exact_match strictly"
_PAIRS_IGNORED = words(("both_values_are_missing", "either_value_is_missing", "neither"))
_ROWS_IGNORED = words(("all_values_are_missing", "any_value_is_missing", "never"))


def _one_range_each(part: Part) -> None:
    if len(part["quantiles"]) != len(part["value_ranges"]):
        raise part.node.fail("C005", "quantile_ranges needs one range for each quantile")


def _one_domain(part: Part) -> None:
    if ("bins" in part) == ("values" in part):
        raise part.node.fail("C005", "partition_object needs either `bins` or `values`")


_NUMBER_OR_NULL = Kind(
    lambda node, name: None if node.value is None else node.number(name),
    {"type": ["number", "null"]},
)
_QUANTILES = Mapped(
    {
        "quantiles": items(SHARE, filled=True),
        "value_ranges": items(items(_NUMBER_OR_NULL, length=2)),
    },
    ("quantiles", "value_ranges"),
    judge=_one_range_each,
)
_PARTITION = Mapped(
    dict.fromkeys(("bins", "values", "weights", "tail_weights"), items(SCALAR)),
    ("weights",),
    judge=_one_domain,
)
# what an argument holds, by its name
_KINDS: dict[str, Kind] = {
    **dict.fromkeys((*_FLAGS.split(), "allow_relative_error"), FLAG),
    **dict.fromkeys(("mostly", "internal_weight_holdout", "tail_weight_holdout"), SHARE),
    **dict.fromkeys((*_ENDS, "threshold", "sum_total", "multiplier"), NUMBER),
    **dict.fromkeys(("value", "column_index"), LENGTH),
    **dict.fromkeys((*_COLUMNS, "like_pattern", "escape"), TEXT),
    **dict.fromkeys((*_COLUMN_LISTS, "like_pattern_list"), items(TEXT, filled=True)),
    "regex": PATTERN,
    "regex_list": items(PATTERN, filled=True),
    "match_on": words(("any", "all")),
    "method": words(("iqr", "std")),
    "type_": TYPE,
    "type_list": items(TYPE, filled=True),
    "json_schema": JSON_SCHEMA,
    "strftime_format": STRFTIME,
    "value_set": items(OF_COLUMN, filled=True),
    "value_pairs_set": items(items(SCALAR, length=2), filled=True),
    "quantile_ranges": _QUANTILES.kind(),
    "partition_object": _PARTITION.kind(),
}
_END_OF_COLUMN = Kind(OF_COLUMN.read, {"type": ["number", "string"]})


def _one_end(part: Part, kind: str) -> None:
    if not part.keys() & {*_ENDS}:
        raise part.node.fail("C005", f"{kind} needs `min_value`, `max_value` or both")


def _arguments(kind: str) -> Kind:
    """Return the `kwargs` of an expectation."""
    keys = gallery.ARGUMENTS[kind]
    kinds = {key: _KINDS[key] for key in keys if key != "ignore_row_if"}
    if "ignore_row_if" in keys:
        is_of_pairs = kind.startswith("expect_column_pair_")
        kinds["ignore_row_if"] = _PAIRS_IGNORED if is_of_pairs else _ROWS_IGNORED
    if kind in _COMPARING:
        kinds |= dict.fromkeys(_ENDS, _END_OF_COLUMN)
    needed = tuple(key for key, is_needed in keys.items() if is_needed)
    is_range = keys.keys() >= {*_ENDS}
    schema: Json = {"anyOf": [{"required": [end]} for end in _ENDS]} if is_range else {}
    judge = functools.partial(_one_end, kind=kind) if is_range else None
    whole = Mapped(kinds, needed, judge=judge, schema=schema)

    def read(node: Node, _: str) -> Part:
        for key in ("row_condition", "condition_parser"):  # the library would evaluate them
            if isinstance(node.value, dict) and key in node.value:
                what, fix = f"'{key}' is not supported", "write an SQL rule"
                raise node.fail_at(key, "C005", what, fix=fix)
        return whole.read(node, kind)

    return Kind(read, whole.kind().schema)


def _of_the_gallery(node: Node, name: str) -> str:
    kind = node.string(name)
    if kind in gallery.REFUSED:
        raise node.fail("C009", f"{kind} runs SQL of its own", fix="use `type: sql`")
    if kind not in gallery.EXPECTATIONS:
        what = f"the gallery of Great Expectations has no '{kind}'"
        raise node.fail("C005", what, fix=nearest(kind, gallery.EXPECTATIONS))
    return kind


_KWARGS = {kind: _arguments(kind) for kind in gallery.EXPECTATIONS}
IMPLEMENTATION = Mapped(
    {"type": Kind(_of_the_gallery, {"enum": list(gallery.EXPECTATIONS)})},
    ("type",),
    "meta kwargs",
    case=Case("type", None, {kind: {"kwargs": kwargs} for kind, kwargs in _KWARGS.items()}),
).kind()


def expectation_rule(implementation: Part, node: Node, scope: Scope) -> Rule:
    """Return the rule of an expectation; `node` is its item of `quality`."""
    kind, place = implementation["type"], implementation.nodes["type"]
    if "kwargs" in implementation:
        arguments: Part = implementation["kwargs"]
    else:
        arguments = _KWARGS[kind].read(dataclasses.replace(place, value={}), kind)
    params = _params(kind, arguments, scope)
    _refuse_other_types(kind, arguments, scope, node)
    if not kind.startswith("expect_column_") or kind.startswith("expect_column_pair_"):
        return dataclasses.replace(scope.rule(kind, params, node), column=None)
    column = params.pop("column", scope.column)
    if column is None:
        raise node.fail("C005", f"{kind} needs a column", fix="move it to a property")
    return dataclasses.replace(scope.rule(kind, params, node), column=column)


def _refuse_other_types(kind: str, arguments: Part, scope: Scope, node: Node) -> None:
    """Refuse a column of a type on which an expectation has no meaning."""
    name = arguments.get("column", scope.column)
    wanted = gallery.TYPES.get(kind)
    if wanted is None or name not in scope.types or scope.types[name] in wanted:
        return
    what = f"{kind} has no meaning for column '{name}', whose logicalType is {scope.types[name]}"
    raise node.fail("C008", what, fix=f"use it on columns of type {', '.join(wanted)}")


def _moment(logical: str) -> Kind:
    """Return the kind of a bound of a column of dates or times; a date may have a time of day."""

    def read(node: Node, name: str) -> str:
        is_longer = logical == "date" and isinstance(node.value, str) and ":" in node.value
        found: str = VALUES["timestamp" if is_longer else logical].read(node, name)
        return found.removesuffix("T00:00:00") if is_longer else found

    return Kind(read, {})


def _params(kind: str, arguments: Part, scope: Scope) -> dict[str, Any]:
    """Return the arguments with the values of the column's own type; C007 for unknown columns."""
    logical = scope.types.get(arguments.get("column", scope.column or ""), "string")
    end = _moment(logical) if kind in _COMPARING and logical in _MOMENTS else NUMBER
    readers = {
        **dict.fromkeys(_COLUMNS, Kind(scope.known_column, {})),
        **dict.fromkeys(_COLUMN_LISTS, items(Kind(scope.known_column, {}))),
        **dict.fromkeys(_ENDS, end),
        "regex": Kind(scope.guard.pattern, {}),
        "regex_list": items(Kind(scope.guard.pattern, {})),
        "value_set": items(VALUES.get(logical, VALUES["string"])),
    }
    found = {
        key: readers[key].read(arguments.nodes[key], key) if key in readers else value
        for key, value in arguments.items()
    }
    for key in found.keys() & {*_ENDS}:
        value = found[key]
        if isinstance(value, int) and abs(value) > EXACT and kind not in gallery.EXACT_ENDS:
            what = f"{key} is beyond 2**53, where {kind} would round it"
            raise arguments.nodes[key].fail("C005", what, fix="write an SQL rule")
    low, high = found.get("min_value"), found.get("max_value")
    if low is not None and high is not None and low > high:
        raise arguments.node.fail("C008", "min_value is larger than max_value", fix="swap the two")
    return found
