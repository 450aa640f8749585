"""Options of checks: what a check takes, and how a contract's value is held to it.

A check names its options in `takes`, each with what it is:

- `whole`: a whole number of at least 1; `several`: of at least 2;
- `number`: above 0; `share`: 0 to 1; `flag`: true or false;
- `texts`: a list of texts; `columns`: a list of names of the contract's columns;
- `path`: relative to the contract's folder and below its root; `model`: the same, or the name of an
  installed package, which has no slash;
- a tuple: the words that a list may hold; a frozenset: the words of which it is one.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from checks.kit.node import Node, nearest

Kind: TypeAlias = str | tuple[str, ...] | frozenset[str]
Takes: TypeAlias = Mapping[str, Kind]
# from a node and its name to the absolute path; ASSAY-C010 if it may not be read
Inside: TypeAlias = Callable[[Node, str], str]

LEAST = {"whole": 1, "several": 2}


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
