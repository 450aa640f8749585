"""The roles of nested columns: what their types must be, and what their parts are called."""

from collections.abc import Callable, Iterable

from checks.kit.contract_model import Contract
from provenance.rows.column_types import ColumnSpec

SPEAKERS = ("role", "from")  # names of the part that says who speaks
TEXTS = ("content", "value", "text")  # and of the part that says what


def part_names(spec: ColumnSpec) -> tuple[str, str] | None:
    """Return the names of a message's speaker and text; None if the column holds no messages."""
    if spec.items is None or spec.items.logical != "object":
        return None
    names = {part.name: part.logical for part in spec.items.properties}
    speaker = next((name for name in SPEAKERS if names.get(name) == "string"), None)
    said = next((name for name in TEXTS if name in names), None)
    return (speaker, said) if speaker and said else None


def conversations(contract: Contract, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the names of speaker and text of each of these columns that holds messages."""
    named = {name: part_names(contract.column(name).spec) for name in names}
    return {name: parts for name, parts in named.items() if parts}


def is_vector(spec: ColumnSpec) -> bool:
    """Return whether a column holds lists of numbers."""
    return spec.items is not None and spec.items.logical in ("integer", "number")


def is_listed(spec: ColumnSpec) -> bool:
    """Return whether a column holds lists of texts or whole numbers."""
    return spec.items is not None and spec.items.logical in ("string", "integer")


def has_spans(spec: ColumnSpec) -> bool:
    """Return whether a column holds lists of objects with a start and an end."""
    if spec.items is None or spec.items.logical != "object":
        return False
    names = {part.name: part.logical for part in spec.items.properties}
    return names.get("start") == names.get("end") == "integer"


FITS: dict[str, Callable[[ColumnSpec], bool]] = {
    "messages": lambda spec: part_names(spec) is not None,
    "embedding": is_vector,
    "probabilities": is_vector,
    "tokens": is_listed,
    "tags": is_listed,
    "spans": has_spans,
    "labels": is_listed,
}
NEEDS = {
    "messages": "an array of objects with `role` and `content`",
    **dict.fromkeys(("embedding", "probabilities"), "an array of numbers"),
    **dict.fromkeys(("tokens", "tags", "labels"), "an array of strings or integers"),
    "spans": "an array of objects with integers `start` and `end`",
}
