"""Casts nested cells from JSON texts to the contract's types, as strictly as flat ones.

A cell with a value that does not fit is bad as a whole, and its code, path and content are those of
the first such value. Numbers are parsed as JSON writes them; dates and times are texts, cast like
those of flat columns. Keys that the contract lacks, and other types than it names, are the reader's
to refuse (`provenance.readers.nested_json`).
"""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.rows.column_types import MAP, ColumnSpec, below
from provenance.rows.nested import leaves, replaced

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_EXACT_DIGITS = 20  # no longer integer fits into 64 bits
_NAN = "NaN (not a number, which is not the same as a missing value)"
_MOMENTS = ("date", "timestamp", "time")


class _Large(float):
    """An integer of too many digits for 64 bits."""


class _BadError(Exception):
    """A value that does not fit: code, path, content."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cast:
    """A cast column; all arrays have its length.

    Attributes:
        typed: null where the cell is missing or bad.
        codes, paths, evidence: string, null where the cell is good.
    """

    typed: pa.Array
    codes: pa.Array
    paths: pa.Array
    evidence: pa.Array


def cast_nested(text: pa.Array, spec: ColumnSpec) -> Cast:
    """Cast a column of JSON texts.

    Args:
        text: string, shape (n,), each null or the JSON of an array or object.
        spec: a nested column's.
    """
    fit = _fitting(spec, spec.name)
    values: list[Any] = []
    bad: list[tuple[str, str, str] | None] = [None] * len(text)
    for place, cell in enumerate(text.to_pylist()):
        try:
            values.append(None if cell is None else fit(_parsed(cell)))
        except _BadError as error:
            values.append(None)
            bad[place] = error.args
    typed = pa.array(values, _as_json(spec))
    if typed.type != spec.arrow:
        typed, late = _with_moments(typed, spec)
        for place, fault in late.items():
            bad[place] = bad[place] or fault
        typed = pc.if_else(pa.array([fault is None for fault in bad]), typed, None)
    codes, paths, contents = (
        pa.array([fault and fault[n] for fault in bad], pa.string()) for n in range(3)
    )
    evidence = pc.binary_join_element_wise(paths, contents, " contains ")
    return Cast(typed, codes, paths, evidence)


def _parsed(text: str) -> Any:
    return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _EXACT_DIGITS else _Large(digits)


def _as_json(spec: ColumnSpec) -> pa.DataType:
    """Return the type of a column before its moments are cast."""
    if spec.logical == "array" and spec.items:
        return pa.list_(_as_json(spec.items))
    if spec.logical == "object" and spec.properties:
        return pa.struct([(part.name, _as_json(part)) for part in spec.properties])
    return pa.string() if spec.logical in _MOMENTS else spec.arrow


def _fitting(spec: ColumnSpec, path: str) -> Callable[[Any], Any]:
    """Return a function from a parsed value to what Arrow takes; it raises _BadError."""
    if spec.logical == "array":
        return _array(spec.items or ColumnSpec("items"), f"{path}[]")
    if spec.logical == "object":
        return _object(spec, path) if spec.arrow != MAP else _mapping(path)
    one = {"integer": _whole, "number": _number}.get(spec.logical)
    kind = bool if spec.logical == "boolean" else str

    def scalar(value: Any) -> Any:
        if value is None:
            return None
        if one:
            return one(value, path)
        if type(value) is not kind:
            raise _BadError("I035", path, f"a value that is no {spec.logical}")
        return value

    return scalar


def _array(items: ColumnSpec, path: str) -> Callable[[Any], Any]:
    fit, is_number = _fitting(items, path), items.logical == "number"

    def array(value: Any) -> Any:
        if value is None:
            return None
        if type(value) is not list:
            raise _BadError("I035", path.removesuffix("[]"), "a value that is no list")
        if is_number and set(map(type, value)) == {float} and all(map(math.isfinite, value)):
            return value  # a vector, and so the path that must be quick
        return [fit(item) for item in value]

    return array


def _object(spec: ColumnSpec, path: str) -> Callable[[Any], Any]:
    parts = {part.name: _fitting(part, below(path, part.name)) for part in spec.properties}

    def convert(value: Any) -> Any:
        if value is None:
            return None
        if type(value) is not dict or not value.keys() <= parts.keys():
            raise _BadError("I035", path, "a value that is not the object of the contract")
        return {name: fit(value.get(name)) for name, fit in parts.items()}

    return convert


def _mapping(path: str) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if value is None:
            return None
        if type(value) is not dict or not all(isinstance(v, str | None) for v in value.values()):
            raise _BadError("I035", path, "a value that is no object of texts")
        return list(value.items())

    return convert


def _whole(value: Any, path: str) -> int:
    if type(value) is int and _LEAST <= value <= _MOST:
        return value
    if type(value) is int or type(value) is _Large:
        raise _BadError("I034", path, "an integer that does not fit into 64 bits")
    _number(value, path)
    raise _BadError("I035", path, "a decimal point or an exponent, but the contract says integer")


def _number(value: Any, path: str) -> float:
    if type(value) not in (int, float, _Large):
        raise _BadError("I035", path, "a value that is no number")
    made = float(value)
    if math.isnan(made):
        raise _BadError("V001", path, _NAN)
    if math.isinf(made):
        raise _BadError("V002", path, "an infinity, or a number that is too large")
    return made


def _with_moments(
    typed: pa.Array, spec: ColumnSpec
) -> tuple[pa.Array, dict[int, tuple[str, str, str]]]:
    """Cast the texts at the paths of dates and times; return also the rows with a bad one."""
    from provenance.rows.cast import cast, describe

    specs = dict(_moments(spec, spec.name))
    bad: dict[int, tuple[str, str, str]] = {}
    for leaf in leaves(typed, spec.name):
        if leaf.path in specs:
            _, codes = cast(leaf.values, specs[leaf.path])
            wrong = np.flatnonzero(codes.is_valid())
            content = describe(leaf.values.take(wrong), specs[leaf.path]).to_pylist()
            for at, what in zip(wrong.tolist(), content, strict=True):
                words = what.partition(" contains ")[2]
                bad.setdefault(int(leaf.owners[at]), (codes[at].as_py(), leaf.path, words))

    def change(values: pa.Array, path: str) -> pa.Array:
        return cast(values, specs[path])[0] if path in specs else values

    return replaced(typed, spec.name, change, spec.arrow), bad


def _moments(spec: ColumnSpec, path: str) -> list[tuple[str, ColumnSpec]]:
    if spec.logical in _MOMENTS:
        return [(path, spec)]
    if spec.items:
        return _moments(spec.items, f"{path}[]")
    return [found for part in spec.properties for found in _moments(part, below(path, part.name))]
