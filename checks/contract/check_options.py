"""The options of a check in a contract, each held to what the check says that it takes."""

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

from checks.contract.node import Node, nearest
from checks.kit.option_types import LEAST, Kind, Takes

# from a node and its name to the absolute path; ASSAY-C010 if it may not be read
Inside: TypeAlias = Callable[[Node, str], str]


def read(
    check: str, node: Node, takes: Takes, inside: Inside, columns: Collection[str]
) -> dict[str, Any]:
    """Return the options of a check, each of the kind that it takes.

    Raises:
        AssayError: ASSAY-C004 or C005 for what it does not take, C007 for a column that the
            contract lacks, C010 for a path that leaves the root.
    """
    if takes:
        given = node.mapping(f"the options of {check}", takes)
    elif node.value:
        raise node.fail("C004", f"the check {check} takes no options", fix="write `on` or `off`")
    else:
        given = {}
    found: dict[str, Any] = {}
    for key, item in given.items():
        what, kind = f"{check}.{key}", takes[key]
        if kind == "path" or (kind == "model" and "/" in item.string(what)):
            found[key] = inside(item, what)
        elif isinstance(kind, tuple) or kind in ("texts", "columns"):
            found[key] = [_listed(what, entry, kind, columns) for entry in item.items(what)]
        elif isinstance(kind, frozenset):
            found[key] = item.choice(what, sorted(kind))
        else:
            found[key] = _value(what, item, kind)
    return found


def _listed(what: str, node: Node, kind: Kind, columns: Collection[str]) -> str:
    if isinstance(kind, tuple):
        return node.choice(what, kind)
    text = node.string(what)
    if kind == "columns" and text not in columns:
        what = f"{what}: there is no column '{text}'"
        raise node.fail("C007", what, fix=nearest(text, columns))
    return text


def _value(what: str, node: Node, kind: str) -> str | bool | int | float:
    if kind == "model":
        return node.string(what)
    if kind == "flag":
        return node.boolean(what)
    if kind in LEAST:
        return node.integer(what, LEAST[kind])
    number = node.number(what)
    if kind == "share" and not 0 <= number <= 1:
        raise node.fail("C005", f"{what} must be between 0 and 1")
    if kind == "number" and number <= 0:
        raise node.fail("C005", f"{what} must be above 0")
    return number
