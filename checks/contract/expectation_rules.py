"""Rules of `type: custom, engine: greatExpectations`: any expectation of the gallery, to a `Rule`.

Its arguments are checked by name and kind before the library is imported, so that a misspelt one
has its place in the message, and so that nothing reaches the library that it would evaluate.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from checks.contract import expectation_gallery
from checks.contract.node import Node, nearest
from checks.contract.type_rules import Scope, known_column, value
from checks.kit.contract_model import Rule

_PAIR = 2


def expectation_rules(node: Node, item: Mapping[str, Node], scope: Scope) -> list[Rule]:
    """Return the rule of a `quality` item of type custom; none if it is another engine's."""
    engine = item["engine"].string("engine") if "engine" in item else ""
    if engine.lower().replace("-", "").replace("_", "") != "greatexpectations":
        scope.ignored(f"engine: {engine}", node, "only greatExpectations is run")
        return []
    if "implementation" not in item:
        raise node.fail("C005", "the rule has no implementation")
    given = item["implementation"].mapping("implementation", ("type", "kwargs", "meta"))
    if "type" not in given:
        raise item["implementation"].fail("C005", "implementation has no type")
    kind = _kind(given["type"])
    params = _kwargs(kind, given.get("kwargs"), given["type"], scope)
    if not kind.startswith("expect_column_") or kind.startswith("expect_column_pair_"):
        return [dataclasses.replace(scope.rule(kind, params, node), column=None)]
    column = params.pop("column", scope.column)
    if column is None:
        raise node.fail("C005", f"{kind} needs a column", fix="move it to a property")
    return [dataclasses.replace(scope.rule(kind, params, node), column=column)]


def _kind(node: Node) -> str:
    kind = node.string("type")
    if kind in expectation_gallery.REFUSED:
        raise node.fail("C009", f"{kind} runs SQL of its own", fix="use `type: sql`")
    if kind in expectation_gallery.UNSUPPORTED:
        fix = "use logicalType, logicalTypeOptions.pattern or an SQL rule"
        raise node.fail("C005", f"{kind} cannot be run on DuckDB", fix=fix)
    if kind not in expectation_gallery.EXPECTATIONS:
        fix = nearest(kind, expectation_gallery.EXPECTATIONS)
        raise node.fail("C005", f"Great Expectations has no '{kind}' here", fix=fix)
    return kind


def _kwargs(kind: str, node: Node | None, where: Node, scope: Scope) -> dict[str, Any]:
    known = expectation_gallery.ARGUMENTS[kind]
    given = node.anything("kwargs") if node else {}
    for key in given:
        if key not in known and node:
            raise _unknown(kind, key, node)
    place = node or where
    for key, is_needed in known.items():
        if is_needed and key not in given:
            raise place.fail("C005", f"{kind} needs `{key}`", fix=f"kwargs: {{{key}: ...}}")
    if known.keys() >= expectation_gallery.ENDS and not expectation_gallery.ENDS & given.keys():
        raise place.fail("C005", f"{kind} needs `min_value`, `max_value` or both")
    named = given["column"].value if "column" in given else scope.column
    logical = scope.types.get(named, "string") if isinstance(named, str) else "string"
    found = {key: _argument(kind, key, item, scope, logical) for key, item in given.items()}
    _refuse_contradiction(found, place)
    return found


def _unknown(kind: str, key: str, node: Node) -> Exception:
    if key in ("row_condition", "condition_parser"):
        return node.fail_at(key, "C005", f"'{key}' is not supported", fix="write an SQL rule")
    fix = nearest(key, expectation_gallery.ARGUMENTS[kind])
    return node.fail_at(key, "C004", f"{kind} has no argument '{key}'", fix=fix)


def _argument(kind: str, key: str, node: Node, scope: Scope, logical: str) -> Any:
    if key in _READERS:
        return _READERS[key](key, node)
    if key in expectation_gallery.COLUMNS or key in expectation_gallery.COLUMN_LISTS:
        return _columns(key, node, scope)
    if key in expectation_gallery.ENDS:
        return _end(kind, key, node, logical)
    if key == "ignore_row_if":
        return node.choice(key, expectation_gallery.ignored(kind))
    if key in expectation_gallery.PATTERNS:
        return _patterns(key, node, scope)
    return [value(item, logical, "a value of value_set") for item in _filled(key, node)]


def _columns(key: str, node: Node, scope: Scope) -> Any:
    if key in expectation_gallery.COLUMNS:
        return known_column(node, node.string(key), scope)
    return [known_column(item, item.string(key), scope) for item in _filled(key, node)]


def _patterns(key: str, node: Node, scope: Scope) -> Any:
    if key == "regex":
        return scope.guard.pattern(node, key)
    return [scope.guard.pattern(item, "regex") for item in _filled(key, node)]


def _share(key: str, node: Node) -> int | float:
    share = node.number(key)
    if not 0 <= share <= 1:
        raise node.fail("C005", f"{key} must be a share between 0 and 1", fix="e.g. 0.95")
    return share


def _end(kind: str, key: str, node: Node, logical: str) -> Any:
    """Return an end of the column's own type where the column's values are compared."""
    compares = kind in (
        "expect_column_values_to_be_between",
        "expect_column_max_to_be_between",
        "expect_column_min_to_be_between",
    )
    if compares and logical in ("date", "timestamp", "time"):
        return value(node, logical, key)
    return node.number(key)


def _filled(key: str, node: Node) -> list[Node]:
    items = node.items(key)
    if not items:
        raise node.fail("C005", f"{key} is empty")
    return items


def _texts(key: str, node: Node) -> list[str]:
    return [item.string(key) for item in _filled(key, node)]


def _pairs(key: str, node: Node) -> list[list[Any]]:
    return [[end.scalar(key) for end in _pair(item, key)] for item in _filled(key, node)]


def _pair(node: Node, key: str) -> list[Node]:
    ends = node.items(key)
    if len(ends) != _PAIR:
        raise node.fail("C005", f"{key} needs pairs of values")
    return ends


def _quantiles(_: str, node: Node) -> dict[str, Any]:
    given = node.mapping("quantile_ranges", ("quantiles", "value_ranges"))
    if len(given) != _PAIR:
        raise node.fail("C005", "quantile_ranges needs `quantiles` and `value_ranges`")
    quantiles = [_share("quantiles", item) for item in _filled("quantiles", given["quantiles"])]
    ranges = [
        [None if end.value is None else end.number("value_ranges") for end in _pair(item, "ranges")]
        for item in given["value_ranges"].items("value_ranges")
    ]
    if len(ranges) != len(quantiles):
        raise node.fail("C005", "quantile_ranges needs one range for each quantile")
    return {"quantiles": quantiles, "value_ranges": ranges}


def _partition(_: str, node: Node) -> dict[str, Any]:
    known = ("bins", "values", "weights", "tail_weights")
    given = node.mapping("partition_object", known)
    if "weights" not in given or ("bins" in given) == ("values" in given):
        raise node.fail("C005", "partition_object needs `weights`, and `bins` or `values`")
    return {key: [item.scalar(key) for item in part.items(key)] for key, part in given.items()}


def _refuse_contradiction(found: Mapping[str, Any], place: Node) -> None:
    low, high = found.get("min_value"), found.get("max_value")
    if low is not None and high is not None and low > high:
        raise place.fail("C008", "min_value is larger than max_value")


_READERS: dict[str, Callable[[str, Node], Any]] = {
    **dict.fromkeys(expectation_gallery.FLAGS, lambda key, node: node.boolean(key)),
    **dict.fromkeys(expectation_gallery.INTEGERS, lambda key, node: node.integer(key, 0)),
    **dict.fromkeys(expectation_gallery.NUMBERS, lambda key, node: node.number(key)),
    **dict.fromkeys(expectation_gallery.TEXTS, lambda key, node: node.string(key)),
    **dict.fromkeys(expectation_gallery.TEXT_LISTS, _texts),
    **dict.fromkeys(expectation_gallery.SHARES, _share),
    "match_on": lambda key, node: node.choice(key, expectation_gallery.MATCH_ON),
    "value_pairs_set": _pairs,
    "quantile_ranges": _quantiles,
    "partition_object": _partition,
}
