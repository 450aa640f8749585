"""What the columns of an ingested source are: types, ends, values and gaps, in two reads.

Text is judged by the very cast that a run uses, so a type that is proposed here is one that every
cell passes. A type is only proposed when nothing is lost: leading zeros, signs and integers beyond
64 bits stay text, and so does a column whose only non-integers look like `1e5`.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.proposal.tails import Tails
from provenance.base.errors import AssayError
from provenance.rows.cast import cast
from provenance.rows.column_types import ARROW, ColumnSpec, Logical
from provenance.rows.shards import read_shard
from provenance.rows.snapshot import Snapshot

MOST_VALUES = 1_000  # distinct values that are counted; a column with more is "many"
NA_WORDS = ("NA", "N/A", "n/a", "na", "NaN", "nan", "NULL", "null", "None", "none", "-", "?", ".")
FEW_WORDS = 3  # kinds of such words that may stand for a missing value in one column
_TRIED: tuple[Logical, ...] = ("integer", "number", "date", "timestamp", "time")
_PROBE = 200  # cells that are tried before the whole shard
_EXACT_DIGITS = 15  # a float keeps so many digits of an integer
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)


# a key with one number in it, as in L-0017; and one that is drawn at random
_KEY_FACTS = r"""
SELECT count(DISTINCT v) = count(v), count(v), bool_and(regexp_full_match(v, '\D*\d{{1,18}}\D*')),
    min(TRY_CAST(regexp_extract(v, '\d{{1,18}}') AS BIGINT)),
    max(TRY_CAST(regexp_extract(v, '\d{{1,18}}') AS BIGINT)),
    bool_and(regexp_full_match(v, '[0-9A-Fa-f]{{16,}}|[0-9A-Fa-f]{{8}}(-[0-9A-Fa-f]{{4,12}}){{4}}'))
        AND bool_or(regexp_matches(v, '[A-Fa-f]'))  -- digits alone may be numbers of accounts
FROM (SELECT {}::VARCHAR AS v FROM read_parquet($1, hive_partitioning = false))"""


@dataclasses.dataclass(frozen=True, slots=True)
class KeyFacts:
    """Whether a column's values all differ; (rows, least, greatest) of the numbers in them.

    `numbers` is None if some value has no number or several; random values count as a series.
    """

    is_unique: bool
    numbers: tuple[int, int, int] | None


@dataclasses.dataclass(slots=True)
class Seen:
    """What was seen of one column.

    Attributes:
        name: the column; logical: the type proposed; missing: words that stand for no value.
        is_fixed: whether the file itself says the type.
        rows, filled: all rows, and those with a value.
        low, high: least and greatest value of a number or moment.
        counts: rows of each value, None when there are more than MOST_VALUES of them.
        words, characters: in all texts together.
        longest: characters of the longest text.
        tails: the numbers nearest the ends.
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
    characters: int = 0
    longest: int = 0
    tails: Tails = dataclasses.field(default_factory=Tails)

    @property
    def telling(self) -> int:
        """Return the rows with a value that is not the commonest one."""
        return self.filled - max((self.counts or {None: 0}).values(), default=0)

    @property
    def spec(self) -> ColumnSpec:
        """Return the proposal as the cast takes it."""
        return ColumnSpec(self.name, self.logical, missing=self.missing)

    @property
    def distinct(self) -> int:
        """Return the number of distinct values, or one more than are counted."""
        return MOST_VALUES + 1 if self.counts is None else len(self.counts)

    @property
    def may_be_listed(self) -> bool:
        """Return whether the values are few, and none holds a NUL, which no contract may hold."""
        return self.counts is not None and not any("\0" in str(value) for value in self.counts)


def columns(snapshot: Snapshot) -> list[Seen]:
    """Return what was seen of every column, in order; one read for types, one for values.

    Raises:
        AssayError: ASSAY-I023 for a name with a NUL, which no contract may hold.
    """
    schema = read_shard(snapshot.shards[0]).table.schema if snapshot.shards else pa.schema([])
    is_typed = any(source.format == "parquet" for source in snapshot.sources)
    if any("\0" in name for name in schema.names):
        what = "the name of a column holds a NUL"
        raise AssayError("I023", what, where=snapshot.sources[0].name, fix="export it again")
    tries = {field.name: _Type(field, is_typed=is_typed) for field in schema}
    for ref in snapshot.shards:
        table = read_shard(ref).table
        for name, tried in tries.items():
            tried.see(table[name].combine_chunks())
    found = [Seen(name, *tried.settled(), tried.fixed is not None) for name, tried in tries.items()]
    for table in typed(snapshot, found):
        for seen in found:
            _count(seen, table[seen.name].combine_chunks())
    return found


def typed(snapshot: Snapshot, found: list[Seen]) -> Iterator[pa.Table]:
    """Yield each shard's columns in the proposed types."""
    for ref in snapshot.shards:
        yield as_typed(read_shard(ref).table, found)


def as_typed(table: pa.Table, found: list[Seen]) -> pa.Table:
    """Return a table's columns in the proposed types."""
    parts = [_cast(table[seen.name].combine_chunks(), seen.spec) for seen in found]
    return pa.table(parts, names=[seen.name for seen in found])


def keys(snapshot: Snapshot, names: list[str]) -> dict[str, KeyFacts]:
    """Return, for each column, whether all its values differ, and how they are numbered."""
    import duckdb

    if not names or not snapshot.shards:
        return {name: KeyFacts(is_unique=False, numbers=None) for name in names}
    found = {}
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET enable_progress_bar = false")
        paths = [ref.path for ref in snapshot.shards]
        for name in names:
            quoted = f'"{name.replace(chr(34), chr(34) * 2)}"'
            row = connection.execute(_KEY_FACTS.format(quoted), [paths]).fetchone() or (False,)
            is_unique, rows, is_numbered, least, greatest, is_random = (*row, *[None] * 5)[:6]
            numbers = (rows, least, greatest) if is_numbered else None
            numbers = (rows, 1, rows) if is_random else numbers
            found[name] = KeyFacts(bool(is_unique), numbers)
    return found


class _Type:
    """The types that every cell so far could have."""

    def __init__(self, field: pa.Field, *, is_typed: bool) -> None:
        self.fixed = _logical_of(field, is_typed=is_typed)
        self.open: list[Logical] = [] if self.fixed else list(_TRIED)
        self.words: dict[Logical, set[str]] = {kind: set() for kind in _TRIED}
        self.filled = False
        self.has_point = False
        self.has_long = False

    def see(self, values: pa.Array) -> None:
        """Drop the types that these cells cannot have."""
        if self.fixed is not None or values.null_count == len(values):
            return
        self.filled = True
        self.open = [kind for kind in self.open if self._fits(values, kind)]
        if "number" in self.open:
            self.has_point = self.has_point or pc.any(pc.match_substring(values, ".")).as_py()
            self.has_long = self.has_long or _has_long_integer(values)

    def settled(self) -> tuple[Logical, tuple[str, ...]]:
        """Return the narrowest type left, and the words that mean missing in it."""
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
        if made.null_count > values.null_count:  # some words were taken for missing
            words = set(values.filter(pc.is_null(made)).drop_null().unique().to_pylist()) - {""}
            self.words[kind] |= words
        return len(self.words[kind]) <= FEW_WORDS and made.null_count < len(made)


def _has_long_integer(values: pa.Array) -> bool:
    pattern = rf"^-?[0-9]{{{_EXACT_DIGITS + 1},}}(?:\.0*)?$"
    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())


def _logical_of(field: pa.Field, *, is_typed: bool) -> Logical | None:
    """Return the logical type of a typed column; None for text that is still to be judged.

    Raises:
        AssayError: ASSAY-I008 if no logical type stands for it.
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
        what = f"column '{field.name}' is of type {field.type}, which no contract can promise"
        raise AssayError("I008", what, fix="leave it out of the export, or turn it into text")
    return "string" if found is None and is_typed else found


def _cast(values: pa.Array, spec: ColumnSpec) -> pa.Array:
    if pa.types.is_string(values.type):
        return cast(values, spec)[0]
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(ARROW[spec.logical], safe=False)


def _count(seen: Seen, values: pa.Array) -> None:
    seen.rows += len(values)
    filled = values.drop_null()
    seen.filled += len(filled)
    if not len(filled):
        return
    if seen.logical == "string":
        seen.words += pc.sum(pc.add(pc.count_substring(filled, " "), 1)).as_py()
        lengths = pc.utf8_length(filled)
        seen.characters += pc.sum(lengths).as_py()
        seen.longest = max(seen.longest, pc.max(lengths).as_py())
    elif seen.logical != "boolean":
        _widen(seen, filled)
    _tally(seen, filled)


def _widen(seen: Seen, filled: pa.Array) -> None:
    if seen.logical == "number":
        filled = filled.filter(pc.is_finite(filled))
    ends = pc.min_max(filled).as_py()
    if ends["min"] is not None:
        seen.low = ends["min"] if seen.low is None else min(seen.low, ends["min"])
        seen.high = ends["max"] if seen.high is None else max(seen.high, ends["max"])
    if seen.logical in ("integer", "number"):
        numbers = pc.cast(filled, pa.float64(), safe=False)
        seen.tails.add(numbers.to_numpy(zero_copy_only=False))


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
