"""Columns as integer counts over the reference's bins: exact for any cut into shards."""

import dataclasses
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import hashing
from checks.kit.contract_model import Column, Contract

Kind = Literal["number", "category", "text"]
BINS = 50  # of a number, laid over the reference
EVEN = 20  # of a protected number, laid over its declared range
MOST_CATEGORIES = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Bins:
    """How one column is counted.

    Attributes:
        edges: of a number or a text's length, float64, ascending: bin i is (edges[i-1], edges[i]].
        values: known categories or words.
        reference: int64 counts of the reference, laid out as by `count`.
        widths: from each edge to the next (from the last to the maximum if values are few), in
            standard deviations of the reference between its end bins; empty for categories.
    """

    kind: Kind
    edges: np.ndarray
    values: pa.Array
    reference: np.ndarray
    widths: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

    def places(self, array: pa.Array) -> np.ndarray:
        """Return the bin of each cell, int64, shape (n,): `size` means new, `size` + 1 missing."""
        size = self.size
        if self.kind == "category":
            place = pc.index_in(array.cast(self.values.type), self.values)
            filled: np.ndarray = place.fill_null(size).to_numpy(zero_copy_only=False)
            filled = filled.astype(np.int64)
            filled[pc.is_null(array).to_numpy(zero_copy_only=False)] = size + 1
            return filled
        measured = pc.utf8_length(array).cast(pa.int64()) if self.kind == "text" else array
        numbers, usable = hashing.numbers(measured)
        places = np.searchsorted(self.edges, numbers.astype(float), side="left")
        placed: np.ndarray = np.where(usable, places, size + 1)
        return placed

    def count(self, array: pa.Array, places: np.ndarray | None = None) -> np.ndarray:
        """Return int64 counts of each bin, then new, missing, known words, all words."""
        size = self.size
        counts = np.zeros(size + 4, np.int64)
        found = self.places(array) if places is None else places
        counts[: size + 2] = np.bincount(found, minlength=size + 2)
        if self.kind == "text":
            _, codes, words = hashing.tokens(array)
            known = pc.is_in(words, self.values).to_numpy(zero_copy_only=False)
            counts[size + 2 :] = int(known[codes].sum()), len(codes)
        return counts

    @property
    def size(self) -> int:
        """Return the number of bins."""
        return len(self.values) if self.kind == "category" else len(self.edges) + 1


def lay(array: pa.Array, *, is_text: bool = False, is_class: bool = False) -> Bins:
    """Return the bins of a reference column, with its counts."""
    none = pa.array([], pa.string())
    if is_text and pa.types.is_string(array.type):
        lengths = pc.utf8_length(array).cast(pa.float64()).drop_null().to_numpy()
        edges, widths = _edges(lengths)
        bins = Bins("text", edges, hashing.tokens(array)[2], np.zeros(0, np.int64), widths)
    elif hashing.is_number(array.type) and not (is_class and _is_few(array)):
        values, usable = hashing.numbers(array)
        # dates and times always move on: only compare whether they are missing
        moves = pa.types.is_temporal(array.type)
        edges, widths = _edges(np.zeros(0) if moves else values[usable].astype(float))
        bins = Bins("number", edges, none, np.zeros(0, np.int64), widths)
    else:
        counts = array.drop_null().value_counts()
        values, sizes = counts.field("values"), counts.field("counts").to_numpy()
        order = np.argsort(-sizes, kind="stable")[:MOST_CATEGORIES]
        bins = Bins("category", np.zeros(0), values.take(pa.array(order)), np.zeros(0, np.int64))
    return dataclasses.replace(bins, reference=bins.count(array))


def declared(array: pa.Array, column: Column, contract: Contract) -> Bins | None:
    """Return bins of a protected column from the contract alone, None if it declares none.

    They are the valid values, or bins of equal width from the minimum to the maximum.
    """
    if not column.is_protected:
        return None
    none = np.zeros(0, np.int64)
    rules = [rule for rule in contract.rules if rule.column == column.name]
    ends = {r.kind: r.params["value"] for r in rules if r.kind in ("minimum", "maximum")}
    if column.valid_values is not None:
        try:
            values = pa.array(column.valid_values, array.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return None
        bins = Bins("category", np.zeros(0), values, none)
    elif _is_plain(array.type) and len(ends) == 2 and ends["minimum"] < ends["maximum"]:  # noqa: PLR2004
        edges = np.linspace(float(ends["minimum"]), float(ends["maximum"]), EVEN + 1)[1:-1]
        bins = Bins("number", edges, pa.array([], pa.string()), none)
    else:
        return None
    return dataclasses.replace(bins, reference=bins.count(array))


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_few(array: pa.Array) -> bool:
    return bool(pc.count_distinct(array).as_py() <= BINS)


def _edges(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct inner quantiles and their widths, see `Bins`.

    A value that many rows share gets a bin of its own.
    """
    if len(values) == 0:
        return np.zeros(0), np.zeros(0)
    distinct = np.unique(values)
    if len(distinct) == 1:
        return np.zeros(0), np.zeros(0)
    if len(distinct) <= BINS:
        edges, top = distinct[:-1], distinct[-1]
    else:
        edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS, method="lower"))
        top = edges[-1]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        widths = np.diff(edges, append=top) / np.std(np.clip(values, edges[0], top))
    return edges, np.where(np.isfinite(widths), widths, 0.0)
