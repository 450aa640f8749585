"""Column types: what a contract says about a column, and the Arrow type it is cast to."""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa

Logical = Literal[
    "string", "integer", "number", "boolean", "date", "timestamp", "time", "object", "array"
]
NESTED = ("object", "array")
MAP = pa.map_(pa.string(), pa.string())  # an object of any keys
_PLAIN_NAME = re.compile(r"[^.\[\]\"\\\x00-\x1f]+")

ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "time": pa.time64("us"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class ColumnSpec:
    """Name and type of one column, or of a part of a nested one.

    Attributes:
        name: as in the source's header.
        logical: the contract's logical type.
        required: whether a missing value is a fault (ASSAY-V010).
        format: ODCS format of dates and timestamps, e.g. `yyyy-MM-dd`; None means ISO 8601.
        missing: texts that stand for a missing value, in addition to the empty cell.
        decimal, thousands: how numbers are written: `.` or `,`; between groups of three digits,
            empty if they have none.
        trim: whether blanks around a text are left out.
        outside: whether a file may lack the column, since the names of its folders give it.
        items: of an array, what it holds.
        properties: of an object, its parts; an object without any maps texts to texts.
        is_binary: whether a string may be bytes; in a text file it is a text.
    """

    name: str
    logical: Logical = "string"
    required: bool = False
    format: str | None = None
    missing: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str = ""
    trim: bool = False
    outside: bool = False
    items: "ColumnSpec | None" = None
    properties: tuple["ColumnSpec", ...] = ()
    is_binary: bool = False

    @staticmethod
    def of(facts: Mapping[str, Any]) -> "ColumnSpec":
        """Return the specification that `dataclasses.asdict` turned into plain values."""
        inner = {
            "missing": tuple(facts["missing"]),
            "items": ColumnSpec.of(facts["items"]) if facts["items"] else None,
            "properties": tuple(map(ColumnSpec.of, facts["properties"])),
        }
        return ColumnSpec(**{**facts, **inner})

    @property
    def is_nested(self) -> bool:
        """Return whether a cell holds other values."""
        return self.logical in NESTED

    @property
    def arrow(self) -> pa.DataType:
        """Return the type the column is cast to."""
        if self.logical == "array":
            return pa.list_(self.items.arrow if self.items else pa.null())
        if self.logical == "object":
            parts = [(part.name, part.arrow) for part in self.properties]
            return pa.struct(parts) if parts else MAP
        return ARROW[self.logical]


def below(path: str, name: str) -> str:
    """Return the path of an object's part."""
    return f"{path}.{name if _PLAIN_NAME.fullmatch(name) else json.dumps(name)}"
