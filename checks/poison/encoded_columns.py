"""Columns of the sample as integer codes, for the search for triggers to count.

A field is `ordered` (numbers, dates), `category` (short text, booleans) or `text` (tokens). A
condition is one value of a field.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import hashing
from checks.kit.contract_model import Contract
from checks.kit.hashed_values import opaque

Kind = Literal["ordered", "category", "text"]
Atom = tuple[int, int]  # field, code


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One column of the sample.

    Attributes:
        codes: int32, shape (n,), -1 for missing; of text, shape (m,), one per distinct token of
            each row.
        values: distinct values by code, sorted if the field is ordered.
        counts: int64, shape (len(values),), the rows that have each value; never 0.
        places: int32, shape (m,), the row of each code of text, ascending; None for other kinds.
    """

    name: str
    kind: Kind
    codes: np.ndarray
    values: pa.Array
    counts: np.ndarray
    places: np.ndarray | None = None

    def mask(self, code: int, length: int) -> np.ndarray:
        """Return which of the `length` rows have the value `code`."""
        if self.places is None:
            return np.asarray(self.codes == code)
        found = np.zeros(length, bool)
        found[self.places[self.codes == code]] = True
        return found

    def among(self, kept: np.ndarray) -> "Field":
        """Return the field of these rows alone (bool, shape (n,)), as if encoded from them."""
        chosen = kept if self.places is None else kept[self.places]
        codes = self.codes[chosen]
        counts = np.bincount(codes[codes >= 0], minlength=len(self.values))
        left = np.flatnonzero(counts)
        again = np.full(len(counts) + 1, -1, np.int32)
        again[left] = np.arange(len(left))
        places = None if self.places is None else (np.cumsum(kept) - 1)[self.places[chosen]]
        values = self.values.take(pa.array(left))
        return Field(self.name, self.kind, again[codes], values, counts[left], _narrow(places))


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """One value that a trigger requires; plain data, so that a saved model can match it.

    Attributes:
        value: a word of text or the value of a category, as an `opaque` number; else the value.
    """

    column: str
    kind: Kind
    value: Any

    def matches(self, table: pa.Table) -> np.ndarray:
        """Return which rows of a shard's table have the value."""
        column = hashing.whole(table[self.column])
        if self.kind != "text":
            if is_opaque(column.type):
                return _true(pc.equal(opaque(column), pa.scalar(self.value, pa.uint64())))
            return _true(pc.equal(column, pa.scalar(self.value, column.type)))
        places, codes, words = hashing.tokens(column)
        found = np.zeros(len(column), bool)
        if len(codes):
            exact = _true(pc.equal(opaque(words), pa.scalar(self.value, pa.uint64())))[codes]
            found[places[exact]] = True
        return found


def is_opaque(kind: pa.DataType) -> bool:
    """Return whether values of this type are only kept hashed."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def fields(sample: pa.Table, contract: Contract) -> list[Field]:
    """Encode the columns of the sample that a model may learn from and that vary."""
    texts, present = set(contract.having("text")), set(sample.column_names)
    made = [
        encode(name, hashing.whole(sample[name]), is_text=name in texts)
        for name in contract.features
        if name in present and not pa.types.is_null(sample.schema.field(name).type)
    ]
    return [field for field in made if _varies(field, sample.num_rows)]


def _varies(field: Field, rows: int) -> bool:
    return len(field.values) > 1 or (len(field.values) == 1 and int(field.counts[0]) < rows)


def encode(name: str, array: pa.Array, *, is_text: bool = False) -> Field:
    """Encode one column."""
    if hashing.is_number(array.type):
        return _ordered(name, array)
    if pa.types.is_string(array.type) and (is_text or _is_prose(array)):
        places, codes, words = hashing.tokens(array)
        width = max(len(words), 1)
        once = without_repeats(places * width + codes)
        return _counted(name, "text", once % width, words, once // width)
    coded = array.dictionary_encode()
    return _counted(name, "category", _codes(coded), coded.dictionary)


def without_repeats(keys: np.ndarray) -> np.ndarray:
    """Return the distinct keys in ascending order; sorting is faster here than np.unique."""
    ordered = np.sort(keys)
    if not len(ordered):
        return ordered
    return np.asarray(ordered[np.r_[True, ordered[1:] != ordered[:-1]]])


def _counted(
    name: str, kind: Kind, codes: np.ndarray, values: pa.Array, places: np.ndarray | None = None
) -> Field:
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    return Field(name, kind, codes.astype(np.int32), values, counts, _narrow(places))


def _narrow(places: np.ndarray | None) -> np.ndarray | None:
    return None if places is None else places.astype(np.int32)


def matching(every: Sequence[Field], atoms: Sequence[Atom], length: int) -> np.ndarray:
    """Return which rows have all the atoms."""
    met = np.ones(length, bool)
    for field, code in atoms:
        met &= every[field].mask(code, length)
    return met


def _ordered(name: str, array: pa.Array) -> Field:
    values, usable = hashing.numbers(array)
    distinct, inverse = np.unique(values[usable], return_inverse=True)
    codes = np.full(len(array), -1, np.int64)
    codes[usable] = inverse
    kind = pa.float64() if pa.types.is_floating(array.type) else pa.int64()
    kept = pa.array(distinct, kind)
    if pa.types.is_temporal(array.type):
        step = pa.int32() if array.type.bit_width == 32 else pa.int64()  # noqa: PLR2004
        kept = kept.cast(step).cast(array.type)
    return _counted(name, "ordered", codes, kept)


def _is_prose(array: pa.Array) -> bool:
    # most values are distinct and have several words: text that was not declared as such
    filled = array.drop_null()
    if len(filled) < 50 or pc.count_distinct(filled).as_py() < 0.5 * len(filled):  # noqa: PLR2004
        return False
    return bool(pc.mean(pc.match_substring(filled, " ").cast(pa.float64())).as_py() > 0.5)  # noqa: PLR2004


def _codes(coded: pa.DictionaryArray) -> np.ndarray:
    filled = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(filled, np.int64)


def _true(answer: pa.Array) -> np.ndarray:
    return np.array(pc.fill_null(answer, fill_value=False).to_numpy(zero_copy_only=False))
