"""Facts about the columns of an ingested source: types, ranges, values, missing cells.

The source is read twice: for types (`majority`), with a sample that shows which values are far off
(`far`) and which columns grow; then for the ranges and values of the cells that are believed. With
`trust` every cell is.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import encode, growth
from pipelines.proposal import far, majority, nested_columns, spelling
from pipelines.proposal.deviants import Deviants, is_rare, kind_of
from pipelines.proposal.majority import Typed
from pipelines.proposal.tails import Tails
from provenance.base.errors import AssayError
from provenance.rows.calendar_range import off_calendar
from provenance.rows.cast import cast
from provenance.rows.column_types import ARROW, ColumnSpec, Logical
from provenance.rows.nested import is_flat
from provenance.rows.shards import read_shard
from provenance.rows.snapshot import Snapshot

MOST_VALUES = 1_000  # distinct values that are counted at most
WORDY = 4  # mean words per cell of a text
SAMPLE, SAMPLE_LEAST, SAMPLE_CELLS = 20_000, 2_000, 4_000_000  # rows, and cells of a sample


@dataclasses.dataclass(slots=True)
class Seen:
    """Facts about one column.

    Attributes:
        name: the column; logical: the proposed type; missing: words that mean a missing value.
        is_fixed: whether the file itself defines the type.
        rows, filled: all rows, and those with a value.
        low, high: least and greatest number, date or time.
        counts: rows of each value, None if there are more than MOST_VALUES values.
        words: in all texts together.
        tails: the numbers nearest the ends.
        form: pattern of dates or times, None for ISO 8601.
        range: which numbers or dates are believed, None for all of them.
        deviants: cells kept out of the rules; held: how many; absent: placeholders read as missing.
        near: the values kept out that are nearest below and above the others, as floats.
        grows: whether the values rise from row to row, as times and row numbers do.
        comments: on its type.
        nested: the type of a column of lists, objects or bytes; its values are not counted.
    """

    name: str
    logical: Logical = "string"
    missing: tuple[str, ...] = ()
    is_fixed: bool = False
    rows: int = 0
    filled: int = 0
    low: Any = None
    high: Any = None
    counts: Counter[Any] | None = dataclasses.field(default_factory=Counter)
    words: int = 0
    tails: Tails = dataclasses.field(default_factory=Tails)
    nested: ColumnSpec | None = None
    form: str | None = None
    range: far.Range | None = None
    deviants: Deviants = dataclasses.field(default_factory=Deviants)
    held: int = 0
    absent: Counter[str] = dataclasses.field(default_factory=Counter)
    near: tuple[float, float] = (-np.inf, np.inf)
    grows: bool = False
    comments: list[str] = dataclasses.field(default_factory=list)

    def keep_out(self, kind: str, cell: str, rows: int) -> None:
        """Note rows of a cell that no rule may follow."""
        self.held += rows
        self.deviants.add(kind, cell, rows)

    def nearest(self, value: float) -> None:
        """Note a number that is kept out, if it is the nearest so far to the others."""
        if self.range is None:
            return
        below, above = self.near
        middle = sum(self.range.middle) / 2
        self.near = (max(below, value), above) if value < middle else (below, min(above, value))

    @property
    def is_complete(self) -> bool:
        """Return whether every row has a value, if only one that is kept out."""
        return self.rows > 0 and self.filled + self.held == self.rows

    @property
    def telling(self) -> int:
        """Return the number of rows whose value is not the commonest."""
        return self.filled - max((self.counts or {None: 0}).values(), default=0)

    def extend_range(self, values: pa.Array | pa.ChunkedArray) -> None:
        """Extend the range by values of the column, none of them missing."""
        is_number = self.logical in ("integer", "number")
        numbers = pc.cast(values, pa.float64(), safe=False) if is_number else None
        if numbers is not None:
            is_finite = pc.is_finite(numbers)
            values, numbers = values.filter(is_finite), numbers.filter(is_finite)
        if not len(values):
            return
        low, high = pc.min_max(values).as_py().values()
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        if numbers is not None:
            self.tails.add(np.asarray(numbers))

    @property
    def spec(self) -> ColumnSpec:
        """Return the proposed type for the cast."""
        if self.nested is not None:
            return self.nested
        return ColumnSpec(self.name, self.logical, format=self.form, missing=self.missing)

    @property
    def distinct(self) -> int:
        """Return the number of distinct values, MOST_VALUES + 1 if they were not all counted."""
        return MOST_VALUES + 1 if self.counts is None else len(self.counts)

    @property
    def may_be_listed(self) -> bool:
        """Return whether a contract may list the values: they are few, and none contains a NUL."""
        return self.counts is not None and not any("\0" in str(value) for value in self.counts)


def columns(
    snapshot: Snapshot, texts: frozenset[str] = frozenset(), *, trust: bool = False
) -> list[Seen]:
    """Return the facts about every column, in order: one read for types, one for values.

    Args:
        snapshot: of plain cells (`as_written`).
        texts: columns that are text, whatever their cells look like.
        trust: take every cell as right.

    Raises:
        AssayError: ASSAY-I023 for a name with a NUL, which no contract may contain.
    """
    schema = read_shard(snapshot.shards[0]).table.schema if snapshot.shards else pa.schema([])
    is_typed = any(source.format == "parquet" for source in snapshot.sources)
    if any("\0" in name for name in schema.names):
        what = "the name of a column contains a NUL character"
        raise AssayError("I023", what, where=snapshot.sources[0].name, fix="export it again")
    nested = _nested(snapshot, schema)
    typings = {
        f.name: majority.Typing(f, is_typed=is_typed or f.name in texts, trust=trust)
        for f in schema
        if f.name not in nested
    }
    sampled = []
    for ref in snapshot.shards:
        shard = read_shard(ref, list(typings))
        for name, typing in typings.items():
            typing.see(shard.table[name].combine_chunks())
        sampled.append(shard.table.take(_sampled(shard.rows, snapshot.rows, len(schema))))
    typed = {name: typing.settled() for name, typing in typings.items()}
    usual = _usual_words(typed)
    found = [
        Seen(name, nested[name].logical, is_fixed=True, counts=None, nested=nested[name])
        if name in nested
        else _seen(name, typed[name], usual, trust=trust)
        for name in schema.names
    ]
    if sampled and typings:
        flat = [seen for seen in found if seen.nested is None]
        _suspect(flat, pa.concat_tables(sampled), trust=trust)
    for ref in snapshot.shards:
        table = read_shard(ref).table
        for seen in found:
            _count(seen, table[seen.name].combine_chunks())
    for seen in found if not trust else ():
        _spell(seen)
    return found


def _nested(snapshot: Snapshot, schema: pa.Schema) -> dict[str, ColumnSpec]:
    """Return the columns of lists, objects and bytes with their types."""
    found = {spec.name: nested_columns.refuse_deep(spec) for spec in snapshot.nested}
    for field in schema:
        spec = nested_columns.spec_of(field, lambda part: majority.logical_of(part, is_typed=True))
        if spec is not None:
            found[field.name] = spec
    return found


def as_typed(table: pa.Table, found: list[Seen]) -> pa.Table:
    """Return a table's columns in the proposed types."""
    parts = [_cast(table[seen.name].combine_chunks(), seen.spec) for seen in found]
    return pa.table(parts, names=[seen.name for seen in found])


def _sampled(rows: np.ndarray, total: int, width: int) -> pa.Array:
    """Return the places of sampled rows: all of a small table, else about as many as fit."""
    most = max(SAMPLE_LEAST, min(SAMPLE, SAMPLE_CELLS // max(width, 1)))
    if total <= most:
        return pa.array(np.arange(len(rows)))
    # multiples of the golden ratio modulo 1 are spread evenly, whatever period the rows have
    spread = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return pa.array(np.flatnonzero(spread < np.uint64(most / total * 2.0**64)))


def _usual_words(typed: Mapping[str, Typed]) -> set[str]:
    worded = [made for made in typed.values() if made.logical != "string" and made.words]
    counts = [(made.words, made.filled + made.empty) for made in worded]
    return usual_words(counts, has_empty=any(made.empty for made in typed.values()))


def usual_words(columns: Collection[tuple[Mapping[str, int], int]], *, has_empty: bool) -> set[str]:
    """Return the words that mean a missing value in the whole table.

    A word is, if it is frequent in a column; or if it is the table's only mark of a missing value,
    as in the exports of some programs, and occurs in two columns or more.

    Args:
        columns: of each column with such words, the rows of each word, and all its rows.
        has_empty: whether the table has empty cells too.
    """
    usual = {
        word for found, rows in columns if not is_rare(sum(found.values()), rows) for word in found
    }
    words = {word for found, _ in columns for word in found}
    return words if len(words) == 1 and len(columns) > 1 and not has_empty else usual


def _seen(name: str, made: Typed, usual: set[str], *, trust: bool) -> Seen:
    """Return what the types alone tell of a column."""
    seen = Seen(name, made.logical, is_fixed=made.is_fixed, form=made.form)
    if made.comment:
        seen.comments.append(made.comment)
    if made.logical == "string":
        return seen
    seen.missing = tuple(sorted(word for word in made.words if trust or word in usual))
    for cell, rows in (made.odd + made.words).items():
        if cell not in seen.missing:
            kind = "text of other forms" if cell == "(others)" else kind_of(cell, made.logical)
            seen.keep_out(kind, cell, rows)
    return seen


def _suspect(found: list[Seen], table: pa.Table, *, trust: bool) -> None:
    """Find, in a sample of the rows, which columns grow and which values are far off."""
    for seen in found:
        if seen.logical == "string":
            numbers = growth.numbers(_cast(table[seen.name].combine_chunks(), seen.spec))
            seen.grows = numbers is not None and growth.grows(numbers, is_moment=False)
        if seen.logical in ("string", "boolean", "time"):
            continue
        texts = table[seen.name].combine_chunks()
        values = _cast(texts, seen.spec)
        numbers, is_moment = encode.numbers(values), seen.logical in ("date", "timestamp")
        seen.grows = growth.grows(numbers, is_moment=is_moment)
        if trust:
            continue
        ticks = {"date": 1, "timestamp": far.DAY}.get(seen.logical, 0)
        seen.range = far.found(numbers, ticks=ticks)
        is_missing = np.isin(numbers, seen.range.missing)
        if is_missing.any() and pa.types.is_string(texts.type):
            words = set(texts.filter(pa.array(is_missing)).unique().to_pylist())
            seen.missing = tuple(sorted({*seen.missing, *words}))


def _spell(seen: Seen) -> None:
    """Keep odd spellings, and what is no category, out of the values of a column."""
    if seen.logical != "string" or not seen.counts or seen.words >= WORDY * seen.filled:
        return
    absent = {word: seen.counts.pop(word) for word in spelling.absent(seen.counts)}
    if absent:
        seen.missing = tuple(sorted({*seen.missing, *absent}))
        seen.absent.update(absent)
        seen.filled -= sum(absent.values())
    for value, kind in spelling.odd(seen.counts).items():
        rows = seen.counts.pop(value)
        seen.filled -= rows
        seen.keep_out(kind, value, rows)


def _cast(values: pa.Array, spec: ColumnSpec) -> pa.Array:
    if not is_flat(values.type):
        return values
    if pa.types.is_string(values.type):
        return cast(values, spec)[0]
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    is_off = off_calendar(values)
    if is_off is not None:  # a run holds these rows
        values = pc.if_else(is_off, pa.scalar(None, values.type), values)
    return values.cast(ARROW[spec.logical], safe=False)


def _count(seen: Seen, cells: pa.Array) -> None:
    seen.rows += len(cells)
    is_text = pa.types.is_string(cells.type)
    if seen.missing and is_text:
        hits = cells.filter(pc.is_in(cells, pa.array(seen.missing))).value_counts().to_pylist()
        seen.absent.update({hit["values"]: hit["counts"] for hit in hits})
    values = _cast(cells, seen.spec)
    if seen.range is not None:
        is_odd = seen.range.is_odd(encode.numbers(values))
        if is_odd.any():
            _keep_out(seen, cells if is_text else values.cast(pa.string()), values, is_odd)
            values = values.filter(pa.array(~is_odd))
    filled = values.drop_null()
    seen.filled += len(filled)
    if not len(filled) or seen.nested is not None:
        return
    if seen.logical == "string":
        seen.words += pc.sum(pc.add(pc.count_substring(filled, " "), 1)).as_py()
    elif seen.logical != "boolean":
        seen.extend_range(filled)
    _tally(seen, filled)


def _keep_out(seen: Seen, texts: pa.Array, values: pa.Array, is_odd: np.ndarray) -> None:
    """Note the values of a column that its range leaves out, as they are written."""
    if seen.range is None:
        return
    chosen = pa.array(is_odd)
    numbers, is_moment = (
        encode.numbers(values.filter(chosen)),
        seen.logical in ("date", "timestamp"),
    )
    for number, text in zip(numbers.tolist(), texts.filter(chosen).to_pylist(), strict=True):
        seen.keep_out(seen.range.kind(number, is_moment=is_moment), text, 1)
        seen.nearest(number)


def _tally(seen: Seen, filled: pa.Array) -> None:
    if seen.counts is None:
        return
    counted = filled.value_counts()
    if len(counted) > MOST_VALUES:
        seen.counts = None
        return
    for item in counted.to_pylist():
        seen.counts[item["values"]] += item["counts"]
    if len(seen.counts) > MOST_VALUES:
        seen.counts = None
