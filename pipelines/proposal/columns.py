"""Facts about the columns of an ingested source: types, ranges, values, missing cells.

The source is read twice. Types are found by the very cast that a run uses, so every cell passes the
type that is proposed. A type is only proposed if nothing is lost: leading zeros, plus signs and
integers beyond 64 bits stay text, and so does a column whose only non-integers look like `1e5`.

How far beyond the sample's extremes the next sample may reach is an estimate: a generalised Pareto
tail is fitted to the rows nearest each end (probability-weighted moments, Hosking and Wallis 1987)
and read at a small share of rows. Few rows say little about a tail's shape, so it is drawn towards
a nearly exponential one and then made heavier by its error. Blind to: values of another kind of
row that the sample does not contain.
"""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.proposal import nested_columns
from provenance.base.errors import AssayError
from provenance.rows.cast import cast
from provenance.rows.column_types import ARROW, ColumnSpec, Logical
from provenance.rows.nested import is_flat
from provenance.rows.shards import read_shard
from provenance.rows.snapshot import Snapshot

MOST_VALUES = 1_000  # distinct values that are counted at most
NA_WORDS = ("NA", "N/A", "n/a", "na", "NaN", "nan", "NULL", "null", "None", "none", "-", "?", ".")
FEW_WORDS = 3  # of them that may stand for a missing value in one column
_TRIED: tuple[Logical, ...] = ("integer", "number", "date", "timestamp", "time")
_PROBE = 200  # cells that are tried before the whole shard
_EXACT_DIGITS = 15  # digits of an integer that a float keeps
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)

KEPT = 256  # of the least and of the greatest values
LEAST_TAIL = 10  # rows that a tail is fitted to, if available
STEPS = 3  # distinct values of a tail, if available
TAIL_SHARE = 20  # one row in 20 belongs to the tail
USUAL_SHAPE, USUAL_WEIGHT = 0.1, 10  # the shape that a tail is drawn to, weighing as many rows
LIGHTEST, HEAVIEST = -0.5, 1.0  # shapes of tails that are believed
ERRORS = 1.5  # standard errors that a tail is made heavier by
SHARED_ROWS = 5  # rows on one extreme value that make it the end of the scale
FEW = 50  # with fewer rows, the sample's range may be half of the whole one
ROOM = 0.1  # of the range, at least


# keys with one number in them, such as L-0017; and random ones, such as UUIDs
_KEY_FACTS = r"""
SELECT count(DISTINCT v) = count(v), count(v), bool_and(regexp_full_match(v, '\D*\d{{1,18}}\D*')),
    min(TRY_CAST(regexp_extract(v, '\d{{1,18}}') AS BIGINT)),
    max(TRY_CAST(regexp_extract(v, '\d{{1,18}}') AS BIGINT)),
    bool_and(regexp_full_match(v, '[0-9A-Fa-f]{{16,}}|[0-9A-Fa-f]{{8}}(-[0-9A-Fa-f]{{4,12}}){{4}}'))
        AND bool_or(regexp_matches(v, '[A-Fa-f]'))  -- digits alone may be account numbers
FROM (SELECT {}::VARCHAR AS v FROM read_parquet($1, hive_partitioning = false))"""


@dataclasses.dataclass(slots=True)
class Tails:
    """The values nearest the ends of a column, as floats, ascending.

    Attributes:
        rows: with a finite value; total: their sum; least, most: up to KEPT of them each.
    """

    rows: int = 0
    total: float = 0.0
    least: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    most: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))

    def add(self, values: np.ndarray) -> None:
        """Add finite values, in any order."""
        self.rows += len(values)
        with np.errstate(over="ignore", invalid="ignore"):
            self.total += float(values.sum())
        ranked = np.sort(values)
        self.least = np.sort(np.concatenate([self.least, ranked[:KEPT]]))[:KEPT]
        self.most = np.sort(np.concatenate([self.most, ranked[-KEPT:]]))[-KEPT:]

    def rooms(self, share: float) -> tuple[float, float]:
        """Return how far the scale may extend below the least and above the greatest value.

        An end that many rows share is the scale's own (a shortest term, an age capped at 79).

        Args:
            share: of fresh rows that may lie beyond either end, > 0.
        """
        span = float(self.most[-1]) - float(self.least[0]) if self.rows else 0.0
        usual = ROOM * span or abs(float(self.most[-1])) * ROOM or 1.0
        wide = max(usual, min(1.0, FEW / self.rows) * span)
        below, above = -self.least[::-1], self.most
        return tuple(  # type: ignore[return-value]  # two in, two out
            usual if _is_shared(end) else max(wide, _beyond(end, self.rows, share))
            for end in (below, above)
        )

    def is_crowded(self) -> bool:
        """Return whether values crowd at the low end: many on it, or a mean near it."""
        if _is_shared(-self.least[::-1]):
            return True
        mean, low, high = self.total / self.rows, float(self.least[0]), float(self.most[-1])
        return 2 * (mean - low) < high - mean


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
        return ColumnSpec(self.name, self.logical, missing=self.missing)

    @property
    def distinct(self) -> int:
        """Return the number of distinct values, MOST_VALUES + 1 if they were not all counted."""
        return MOST_VALUES + 1 if self.counts is None else len(self.counts)

    @property
    def may_be_listed(self) -> bool:
        """Return whether a contract may list the values: they are few, and none contains a NUL."""
        return self.counts is not None and not any("\0" in str(value) for value in self.counts)


def columns(snapshot: Snapshot) -> list[Seen]:
    """Return the facts about every column, in order: one read for types, one for values.

    Raises:
        AssayError: ASSAY-I023 for a name with a NUL, which no contract may contain.
    """
    schema = read_shard(snapshot.shards[0]).table.schema if snapshot.shards else pa.schema([])
    is_typed = any(source.format == "parquet" for source in snapshot.sources)
    if any("\0" in name for name in schema.names):
        what = "the name of a column contains a NUL character"
        raise AssayError("I023", what, where=snapshot.sources[0].name, fix="export it again")
    nested = _nested(snapshot, schema)
    tries = {f.name: _Type(f, is_typed=is_typed) for f in schema if f.name not in nested}
    for ref in snapshot.shards:
        table = read_shard(ref, list(tries)).table
        for name, tried in tries.items():
            tried.see(table[name].combine_chunks())
    found = [
        Seen(name, nested[name].logical, is_fixed=True, counts=None, nested=nested[name])
        if name in nested
        else Seen(name, *tries[name].settled(), tries[name].fixed is not None)
        for name in schema.names
    ]
    for ref in snapshot.shards:
        table = as_typed(read_shard(ref).table, found)
        for seen in found:
            _count(seen, table[seen.name].combine_chunks())
    return found


def _nested(snapshot: Snapshot, schema: pa.Schema) -> dict[str, ColumnSpec]:
    """Return the columns of lists, objects and bytes with their types."""
    found = {spec.name: nested_columns.refuse_deep(spec) for spec in snapshot.nested}
    for field in schema:
        spec = nested_columns.spec_of(field, lambda part: _logical_of(part, is_typed=True))
        if spec is not None:
            found[field.name] = spec
    return found


def as_typed(table: pa.Table, found: list[Seen]) -> pa.Table:
    """Return a table's columns in the proposed types."""
    parts = [_cast(table[seen.name].combine_chunks(), seen.spec) for seen in found]
    return pa.table(parts, names=[seen.name for seen in found])


def keys(snapshot: Snapshot, names: list[str]) -> dict[str, tuple[int, int, int] | None]:
    """Return the columns whose values all differ, with (rows, least, greatest) of their numbers.

    The numbers are None if a value has no number or several; random values count as a dense series.
    """
    import duckdb

    found: dict[str, tuple[int, int, int] | None] = {}
    if not names or not snapshot.shards:
        return found
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET enable_progress_bar = false")
        paths = [ref.path for ref in snapshot.shards]
        for name in names:
            quoted = f'"{name.replace(chr(34), chr(34) * 2)}"'
            row: Any = connection.execute(_KEY_FACTS.format(quoted), [paths]).fetchone()
            is_unique, rows, is_numbered, least, greatest, is_random = row
            numbers = (rows, least, greatest) if is_numbered else None
            if is_unique:
                found[name] = (rows, 1, rows) if is_random else numbers
    return found


class _Type:
    """The types that fit every cell so far."""

    def __init__(self, field: pa.Field, *, is_typed: bool) -> None:
        self.fixed = _logical_of(field, is_typed=is_typed)
        self.open: list[Logical] = [] if self.fixed else list(_TRIED)
        self.words: dict[Logical, set[str]] = {kind: set() for kind in _TRIED}
        self.filled = False
        self.has_point = False
        self.has_long = False

    def see(self, values: pa.Array) -> None:
        """Drop the types that do not fit these cells."""
        if self.fixed is not None or values.null_count == len(values):
            return
        self.filled = True
        self.open = [kind for kind in self.open if self._fits(values, kind)]
        if "number" in self.open:
            self.has_point = self.has_point or pc.any(pc.match_substring(values, ".")).as_py()
            self.has_long = self.has_long or _has_long_integer(values)

    def settled(self) -> tuple[Logical, tuple[str, ...]]:
        """Return the narrowest type left, and the words that mean a missing value in it."""
        if self.fixed is not None or not self.filled:
            return self.fixed or "string", ()
        for kind in self.open:
            is_lossy = kind == "number" and (not self.has_point or self.has_long)
            if not is_lossy:
                return kind, tuple(sorted(self.words[kind]))
        return "string", ()

    def _fits(self, values: pa.Array, kind: Logical) -> bool:
        spec = ColumnSpec("", kind, missing=NA_WORDS)
        probe = values.drop_null().slice(0, _PROBE)
        if cast(probe, spec)[1].null_count < len(probe):
            return False
        made, codes = cast(values, spec)
        if codes.null_count < len(values):
            return False
        if made.null_count > values.null_count:  # some words were read as missing
            words = set(values.filter(pc.is_null(made)).drop_null().unique().to_pylist()) - {""}
            self.words[kind] |= words
        return len(self.words[kind]) <= FEW_WORDS and made.null_count < len(made)


def _has_long_integer(values: pa.Array) -> bool:
    pattern = rf"^-?[0-9]{{{_EXACT_DIGITS + 1},}}(?:\.0*)?$"
    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())


def _logical_of(field: pa.Field, *, is_typed: bool) -> Logical | None:
    """Return the logical type of a typed column; None for text whose type must be found.

    Raises:
        AssayError: ASSAY-I008 if no logical type corresponds to it.
    """
    plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    tests: list[tuple[Any, Logical]] = [
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "number"),
        (pa.types.is_decimal, "number"),
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_time, "time"),
    ]
    found: Logical | None = next((logical for test, logical in tests if test(plain)), None)
    if found is None and not any(test(plain) for test in _TEXTS):
        what = f"column '{field.name}' has the type {field.type}, which a contract cannot describe"
        raise AssayError("I008", what, fix="leave it out of the export, or export it as text")
    return "string" if found is None and is_typed else found


def _cast(values: pa.Array, spec: ColumnSpec) -> pa.Array:
    if not is_flat(values.type):
        return values
    if pa.types.is_string(values.type):
        return cast(values, spec)[0]
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(ARROW[spec.logical], safe=False)


def _count(seen: Seen, values: pa.Array) -> None:
    seen.rows += len(values)
    filled = values.drop_null()
    seen.filled += len(filled)
    if not len(filled) or seen.nested is not None:
        return
    if seen.logical == "string":
        seen.words += pc.sum(pc.add(pc.count_substring(filled, " "), 1)).as_py()
    elif seen.logical != "boolean":
        seen.extend_range(filled)
    _tally(seen, filled)


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


def _is_shared(end: np.ndarray) -> bool:
    """Return whether many rows have the greatest value, not far fewer than have other values.

    Counts of rare events also end on a shared value, but it has fewer rows than those before it.
    """
    on_it = int(np.count_nonzero(end == end[-1]))
    others = max(1, len(np.unique(end)) - 1)
    return on_it >= SHARED_ROWS and 2 * on_it * others >= len(end) - on_it


def _beyond(end: np.ndarray, rows: int, share: float) -> float:
    """Return how far above the greatest value the tail's shape leaves only `share` of the rows."""
    steps = np.unique(end)
    stepped = np.count_nonzero(end > steps[-STEPS - 1]) if len(steps) > STEPS else 0
    count = min(len(end) - 1, max(rows // TAIL_SHARE, LEAST_TAIL, int(stepped)))
    if count < 3:  # noqa: PLR2004  two moments need three
        return 0.0
    start = float(end[-count - 1])
    width = float(end[-1]) - start
    if not 0 < width < float("inf"):
        return 0.0
    excess = (end[-count:] / width) - (start / width)  # scaled so that no sum overflows
    middle, shape = float(np.median(excess)), _shape(excess)
    depth = max(count / (rows * share), count)
    by_middle = middle / _times(2.0, shape) * _times(depth, shape)
    by_greatest = _times(depth, shape) / _times(count, shape)
    return max(0.0, max(by_middle, by_greatest) - 1) * width


def _shape(excess: np.ndarray) -> float:
    """Return the shape of a generalised Pareto tail, plus a margin for its error."""
    count = len(excess)
    ranks = (np.arange(1, count + 1) - 0.35) / count
    mean, weighted = float(excess.mean()), float(np.mean((1 - ranks) * excess))
    rest = mean - 2 * weighted
    fitted = 2 - mean / rest if rest > 0 else HEAVIEST
    fitted = min(max(fitted, LIGHTEST), HEAVIEST)
    drawn = (count * fitted + USUAL_WEIGHT * USUAL_SHAPE) / (count + USUAL_WEIGHT)
    error = (1 + max(drawn, 0.0)) / (count + USUAL_WEIGHT) ** 0.5
    return min(drawn + ERRORS * float(error), HEAVIEST)


def _times(depth: float, shape: float) -> float:
    """Return the excess at one in `depth` rows of the tail, in units of its scale."""
    if abs(shape) < 1e-6:  # noqa: PLR2004
        return float(np.log(depth))
    made: float = (depth**shape - 1) / shape
    return made
