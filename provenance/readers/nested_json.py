"""Nested values of JSON Lines: checked for one type at each path, and kept as the JSON they are.

A nested cell is read as the text of its JSON, so that what is quarantined keeps its digits; the
cast (`provenance.rows.nested_cast`) makes the column's type of it. With a contract each path has
the type that it names; without one, that of the first value there. Blind to: blanks between values,
and the order and spelling of escapes, which are not kept.
"""

import dataclasses
import re
from collections.abc import Iterable
from json.encoder import encode_basestring  # quotes a text and keeps its letters
from typing import Any

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.rows.column_types import ColumnSpec, below

_WORDS = {"string": "a string", "number": "a number", "boolean": "true or false",
          "object": "an object", "array": "a list"}  # fmt: skip
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_MOST_PARTS = 1_000  # names in one object without a contract; more are no names


class Object(list[tuple[str, Any]]):
    """The pairs of a JSON object; a plain list could not be told from an array."""


class Digits(str):
    """A number as it is written."""

    __slots__ = ()


class Rejection(Exception):  # noqa: N818  it is no error of the program
    """A line that does not belong to this dataset; its text is the reason, without a cell."""


@dataclasses.dataclass(slots=True)
class Shape:
    """What lies at a path.

    Attributes:
        kind: a key of _WORDS, None as long as only nulls were found.
        is_fixed: whether a contract says so.
        is_whole: of numbers, whether all are integers of up to 18 digits.
        parts: of an object, by name; items: of an array, or of an object of any names.
    """

    kind: str | None = None
    is_fixed: bool = False
    is_whole: bool = True
    parts: dict[str, "Shape"] = dataclasses.field(default_factory=dict)
    items: "Shape | None" = None

    def of_items(self) -> "Shape":
        """Return the shape of what an array holds."""
        if self.items is None:
            self.items = Shape()
        return self.items

    def spec(self, name: str) -> ColumnSpec:
        """Return the type that was found; what is always null or empty counts as a string."""
        if self.kind == "array":
            return ColumnSpec(name, "array", items=self.of_items().spec("items"))
        if self.kind == "object":
            parts = tuple(part.spec(key) for key, part in self.parts.items())
            return ColumnSpec(name, "object", properties=parts)
        if self.kind == "number":
            return ColumnSpec(name, "integer" if self.is_whole else "number")
        return ColumnSpec(name, "boolean" if self.kind == "boolean" else "string")


def shape_of(spec: ColumnSpec) -> Shape:
    """Return the shape that a contract describes."""
    if spec.logical == "array":
        items = shape_of(spec.items) if spec.items else None
        return Shape("array", is_fixed=True, items=items)
    if spec.logical == "object":
        parts = {part.name: shape_of(part) for part in spec.properties}
        values = None if parts else Shape("string", is_fixed=True)
        return Shape("object", is_fixed=True, parts=parts, items=values)
    kind = {"integer": "number", "number": "number", "boolean": "boolean"}.get(spec.logical)
    return Shape(kind or "string", is_fixed=True)


class NestedColumns:
    """The nested columns of one source, and what is wrong with their texts.

    Attributes:
        shapes: by column.
        faults: code, path and content of the texts of the last row that are too long or have a NUL.
    """

    def __init__(self, specs: Iterable[ColumnSpec], limits: Limits, *, is_free: bool) -> None:
        """Begin with the contract's nested columns; `is_free` without one: any may be nested."""
        self.shapes = {spec.name: shape_of(spec) for spec in specs if spec.is_nested}
        self._flat = {spec.name for spec in specs if not spec.is_nested}
        self.faults: list[tuple[str, str, str]] = []
        self._limits, self._is_free = limits, is_free
        self._items = 0
        self._where = ""

    def specs(self) -> tuple[ColumnSpec, ...]:
        """Return the types of the nested columns."""
        return tuple(shape.spec(name) for name, shape in self.shapes.items())

    def take(self, row: dict[str, Any], where: str) -> None:
        """Turn the nested cells of a row into JSON texts.

        Args:
            row: values by column, as read.
            where: the line, for messages.

        Raises:
            Rejection: for a repeated name, or one that the contract does not have.
            AssayError: ASSAY-I008 for a value of another type than expected at its path, or too
                deep; I006 for too many.
        """
        self.faults, self._where = [], where
        for name, value in row.items():
            is_nested = isinstance(value, list)
            if value is None or not (is_nested or name in self.shapes):
                if value is not None and self._is_free:
                    self._flat.add(name)
                continue
            if name in self._flat:
                raise self._misfit(name, value, None)
            if name not in self.shapes:
                if not self._is_free:
                    continue  # no column of the contract: the reader rejects the row
                self.shapes[name] = Shape()
            self._items = 0
            row[name] = self._text(value, self.shapes[name], name, 1)

    def _text(self, value: Any, shape: Shape, path: str, depth: int) -> str:
        """Return a value as JSON, and widen or compare the shape at its path."""
        if value is None:
            return "null"
        kind = _kind(value)
        if shape.kind != kind:
            if shape.kind is not None:
                raise self._misfit(path, value, shape)
            shape.kind = kind
        if kind == "string":
            return self._string(value, path)
        if kind == "number":
            shape.is_whole = shape.is_whole and bool(_WHOLE.fullmatch(value))
            return str(value)
        if kind == "boolean":
            return "true" if value else "false"
        self._count(len(value), path, depth)
        if kind == "array":
            return self._array(value, shape.of_items(), f"{path}[]", depth)
        return self._object(value, shape, path, depth)

    def _array(self, values: list[Any], shape: Shape, path: str, depth: int) -> str:
        if set(map(type, values)) == {Digits} and shape.kind in (None, "number"):
            shape.kind = "number"  # a vector, and so the path that must be quick
            text = ", ".join(values)
            if shape.is_whole:
                shape.is_whole = all(map(_WHOLE.fullmatch, values))
            return f"[{text}]"
        return f"[{', '.join([self._text(item, shape, path, depth + 1) for item in values])}]"

    def _object(self, pairs: Object, shape: Shape, path: str, depth: int) -> str:
        if len(dict(pairs)) != len(pairs):
            raise Rejection(f"ASSAY-I024: a key occurs twice in {path}")
        made = []
        for name, value in pairs:
            part = shape.parts.get(name) or (shape.items if shape.is_fixed else None)
            if part is None:
                part = self._new(name, shape, path)
            inner = self._text(value, part, below(path, name), depth + 1)
            made.append(f"{encode_basestring(name)}: {inner}")
        return f"{{{', '.join(made)}}}"

    def _new(self, name: str, shape: Shape, path: str) -> Shape:
        if shape.is_fixed:
            raise Rejection(f"ASSAY-I024: {path} has a key that is not among its properties")
        if not name or "\0" in name:
            what = f"{self._where}: {path} has a key without a name, or with a NUL character"
            raise AssayError("I027", what, fix="rename the key")
        if len(shape.parts) >= _MOST_PARTS:
            what = f"{self._where}: {path} has more than {_MOST_PARTS:,} different keys"
            fix = "export it as a list of keys and values"
            raise AssayError("I009", what, fix=fix)
        shape.parts[name] = Shape()
        return shape.parts[name]

    def _string(self, value: str, path: str) -> str:
        if "\0" in value and ("I023", path, "a NUL byte") not in self.faults:
            self.faults.append(("I023", path, "a NUL byte"))
        most = self._limits.max_field_bytes
        if len(value) * 4 > most and len(value.encode()) > most:
            self.faults.append(("I030", path, f"more than {most:,} bytes"))
        return str(encode_basestring(value))

    def _count(self, number: int, path: str, depth: int) -> None:
        self._items += number
        if depth > self._limits.max_depth:
            column = re.split(r"[.\[]", path, maxsplit=1)[0]
            what = f"{self._where}: column {column!r} is nested deeper than "
            what += f"{self._limits.max_depth} levels"
            raise AssayError("I008", what, fix="flatten it, or raise assay.limits.max_depth")
        if self._items > self._limits.max_items:
            what = f"{self._where}: {path} brings its cell to more than "
            what += f"{self._limits.max_items:,} values"
            raise AssayError("I006", what, fix="raise assay.limits.max_items")

    def _misfit(self, path: str, value: Any, shape: Shape | None) -> AssayError:
        found = _WORDS[_kind(value)]
        if shape is None or shape.kind is None:
            what = f"{self._where}: {path!r} is {found} here, and a plain value elsewhere"
            fix = "if it is meant to be nested, describe it in the contract (`assay init` does)"
            if self._is_free:  # no contract yet
                fix = "give it one type in all lines"
            return AssayError("I008", what, fix=fix)
        wanted = _WORDS[shape.kind]
        wish = f"the contract says {wanted}" if shape.is_fixed else f"it was {wanted} before"
        fix = "give it one type in all lines" + (", or correct the contract" * shape.is_fixed)
        return AssayError("I008", f"{self._where}: {path!r} is {found}, but {wish}", fix=fix)


def _kind(value: Any) -> str:
    if type(value) is Object:
        return "object"
    if type(value) is list:
        return "array"
    if type(value) is bool:
        return "boolean"
    return "number" if type(value) is Digits else "string"
