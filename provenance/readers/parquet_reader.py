"""Reads Parquet as parts, in its own types: limits are checked first, page checksums verified.

A row with a number that is not finite, a date that no calendar has, or a text that is too large or
contains a NUL byte, is held.
A row with a text that is not UTF-8 is rejected, because no later reader could handle it. Bytes are
read as text, and whole numbers in a column of floats as integers, where the contract says so.
"""

import functools
import io
from collections.abc import Callable, Iterator
from concurrent.futures import Executor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance.base.errors import AssayError, Notice
from provenance.base.limits import MIB, Limits
from provenance.files.safe_open import Opened
from provenance.readers.header import check_names, refuse_wide
from provenance.readers.nested_parquet import leaf_faults, misfit, refuse_items
from provenance.readers.parallel import in_order
from provenance.readers.parquet_limits import (
    batches,
    has_checksums,
    refuse_declared,
    refuse_dictionaries,
    refuse_ends,
    refuse_items_declared,
)
from provenance.readers.plain_types import plain_leaf, plain_schema, plain_table
from provenance.rows.arrow_bytes import as_text, holds, is_binary, longest, whole
from provenance.rows.calendar_range import off_calendar
from provenance.rows.column_types import ColumnSpec
from provenance.rows.nested import is_bytes, is_text, leaves
from provenance.rows.shard_parts import Part, cell_faults, masked_faults, rejected_of
from provenance.rows.snapshot import HELD_SCHEMA, REJECTED_SCHEMA

_BATCH = 64 * MIB  # bytes decoded at once, approximately
_ROWS = 1 << 16
_MOST = (1 << 63) - 1
_EXACT = float(1 << 53)  # up to it a float holds every integer

_Test = Callable[[pa.DataType], bool]
_TEXTS: tuple[_Test, ...] = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
)
_FITS: dict[str, tuple[_Test, ...]] = {
    "string": _TEXTS,
    "integer": (pa.types.is_integer,),
    "number": (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
    "boolean": (pa.types.is_boolean,),
    "date": (pa.types.is_date,),
    "timestamp": (pa.types.is_timestamp,),
    "time": (pa.types.is_time,),
}

_MORE: tuple[_Test, ...] = (is_bytes, pa.types.is_duration)
_ANY = sum(_FITS.values(), _MORE)


class ParquetSource:
    """One Parquet file."""

    def __init__(self, file: Opened, specs: tuple[ColumnSpec, ...] | None, limits: Limits) -> None:
        """Take an open file that starts like a Parquet file."""
        self.rows = 0
        self._file = file
        self._specs = None if specs is None else {spec.name: spec for spec in specs}
        self._limits = limits
        self._has_checksums = True
        self._has_schema = False
        self._floats: set[str] = set()  # integer columns that are floats in the file

    def parts(self, first_row: int, pool: Executor) -> Iterator[Part]:
        """Yield the file's rows as parts; ordinals start at `first_row`.

        Raises:
            AssayError: ASSAY-I003 to I009, I018, I026 or I027.
        """
        refuse_ends(self._file, self._limits)
        self._file.digest()
        source = pa.PythonFile(_Seekable(self._file), "r")
        try:
            yield from in_order(self._jobs(source, first_row), pool)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from None
        except MemoryError:
            what, fix = "there is not enough memory to read the file", "write smaller row groups"
            raise AssayError("I006", what, where=self._file.name, fix=fix) from None

    def notices(self) -> list[Notice]:
        """Return what a person should know about the file that was read."""
        what = "is of floats that hold whole numbers only; they are read as integers"
        found = [
            Notice("ASSAY-I042", f"column {name!r} {what}", self._file.name)
            for name in sorted(self._floats)
        ]
        if not self._has_checksums:
            message = "the file has no page checksums, so damage to its data cannot be detected"
            found.append(Notice("ASSAY-I005", message, self._file.name))
        return found

    def _jobs(self, source: pa.NativeFile, first_row: int) -> Iterator[Callable[[], Part]]:
        options = {"page_checksum_verification": True, "pre_buffer": False}
        with pq.ParquetFile(source, **options) as opened:
            self._has_schema = True
            meta = opened.metadata
            if meta.num_rows and not meta.num_columns:
                what = "the source has rows without any column"
                raise AssayError("I001", what, where=self._file.name)
            refuse_wide(meta.num_columns, self._limits, self._file.name)
            refuse_declared(meta, self._file, self._limits)
            schema = opened.schema_arrow
            self._refuse_columns(schema)
            refuse_items_declared(meta, self._file, self._limits)
            self._has_checksums = has_checksums(meta, self._file)
            refuse_dictionaries(source, self._file, self._limits)
            yield functools.partial(self._part, plain_schema(schema).empty_table(), first_row)
            total = sum(meta.row_group(g).total_byte_size for g in range(meta.num_row_groups))
            wide = max(total // max(meta.num_rows, 1), 1)
            least = 1 if any(pa.types.is_nested(field.type) for field in schema) else 256
            step = min(max(_BATCH // wide, least), _ROWS)
            for batch in batches(opened, step):
                table = pa.Table.from_batches([batch])
                yield functools.partial(self._part, table, first_row + self.rows)
                self.rows += batch.num_rows
            if self.rows != meta.num_rows:
                what = f"the footer declares {meta.num_rows:,} rows, but the file has {self.rows:,}"
                raise AssayError("I005", what, where=self._file.name)

    def _refuse_columns(self, schema: pa.Schema) -> None:
        wanted = None if self._specs is None else list(self._specs)
        outside = frozenset(n for n, spec in (self._specs or {}).items() if spec.outside)
        check_names(schema.names, wanted, self._file.name, outside)
        for field in schema:
            spec = self._specs[field.name] if self._specs else None
            fix = "correct the contract's logicalType (`assay init` writes it)"
            if spec is None:
                fix = "convert it to another type, or leave it out of the export"
            kind = plain_leaf(field.type)
            if pa.types.is_nested(kind) or (spec and spec.is_nested):
                if what := misfit(field.with_type(kind), spec, _fits, self._limits):
                    raise AssayError("I008", what, where=self._file.name, fix=fix)
            elif not (_fits(field.type, spec) or _is_read_as(_plain(field.type), spec)):
                wish = f", but the contract says {spec.logical}" if spec else ""
                what = f"column {field.name!r} is {field.type}{wish}"
                raise AssayError("I008", what, where=self._file.name, fix=fix)

    def _part(self, table: pa.Table, first_row: int) -> Part:
        table = self._as_promised(plain_table(table))
        rows = first_row + np.arange(table.num_rows, dtype=np.int64)
        texts = [f.name for f in table.schema if any(test(_plain(f.type)) for test in _TEXTS)]
        nested = [field.name for field in table.schema if pa.types.is_nested(field.type)]
        try:
            refuse_items(table.select(nested), first_row, self._limits)
        except AssayError as error:
            error.where = self._file.name
            raise
        table, rows, rejected = self._without_mojibake(table, rows, [*texts, *nested])
        if self._specs is None:
            return Part(table, rows, HELD_SCHEMA.empty_table(), rejected)
        for name in texts:
            if words := self._specs[name].missing:
                place = table.column_names.index(name)
                kept = _without_words(whole(table[name]), list(words))
                table = table.set_column(place, table.schema.field(name), kept)
        faults = [
            _not_finite(table, rows),
            _over_int64(table, rows, self._specs),
            _off_calendar(table, rows),
            _odd_texts(table.select(texts), rows, self._limits),
            leaf_faults(table.select(nested), rows, self._specs, self._limits),
        ]
        return Part(table, rows, pa.concat_tables(faults), rejected)

    def _as_promised(self, table: pa.Table) -> pa.Table:
        """Return the table with bytes as text, and floats as integers, where the contract says so.

        Raises:
            AssayError: ASSAY-I008 if a float of an integer column is not a whole number.
        """
        for place, field in enumerate(table.schema):
            spec = self._specs[field.name] if self._specs else None
            column = None
            if not _is_read_as(field.type, spec):
                continue
            if is_binary(field.type):
                column = as_text(whole(table[field.name]))
            else:
                column = self._integers(field, whole(table[field.name]).cast(pa.float64()))
            if column is not None:
                table = table.set_column(place, field.with_type(column.type), column)
        return table

    def _integers(self, field: pa.Field, floats: pa.Array) -> pa.Array:
        is_whole = pc.and_(
            pc.less_equal(pc.abs(floats), _EXACT), pc.equal(pc.floor(floats), floats)
        )
        if others := pc.sum(pc.invert(is_whole)).as_py():
            what = f"column {field.name!r} is {field.type}, but the contract says integer, and "
            what += f"{others:,} of {len(floats):,} values read so far are not whole numbers"
            fix = "declare the column as a number; or write whole numbers (pandas: Int64)"
            raise AssayError("I008", what, where=self._file.name, fix=fix)
        if len(floats):
            self._floats.add(field.name)
        return floats.cast(pa.int64())

    def _without_mojibake(
        self, table: pa.Table, rows: np.ndarray, texts: list[str]
    ) -> tuple[pa.Table, np.ndarray, pa.Table]:
        found: dict[int, tuple[bytes, str]] = {}
        for leaf in (leaf for name in texts for leaf in leaves(table[name], name)):
            if is_text(leaf.values.type):
                reason = f"ASSAY-I022: column {leaf.path!r} contains bytes that are not UTF-8"
                for place, raw in _not_utf8(leaf.values):
                    found.setdefault(int(leaf.owners[place]), (raw, reason))
        if not found:
            return table, rows, REJECTED_SCHEMA.empty_table()
        at = sorted(found)
        is_good = np.ones(len(rows), bool)
        is_good[at] = False
        cells = [found[place][0] for place in at]
        reasons = [found[place][1] for place in at]
        rejected = rejected_of(rows[at].tolist(), cells, reasons)
        return table.filter(pa.array(is_good)), rows[is_good], rejected

    def _damaged(self, error: Exception) -> AssayError:
        # Arrow's own message may contain data and is never repeated
        text = str(error)
        if "ncrypt" in text or "decrypt" in text:
            return AssayError("I007", "the Parquet file is encrypted", where=self._file.name)
        if "too deeply nested" in text:
            what = f"a column is nested deeper than {self._limits.max_depth} levels"
            return AssayError("I008", what, where=self._file.name, fix="flatten it")
        if isinstance(error, pa.ArrowNotImplementedError) and not self._has_schema:
            what, fix = "a column's type cannot be read", "convert it to another type (try pyarrow)"
            return AssayError("I008", what, where=self._file.name, fix=fix)
        cause = ": a page checksum does not match" if "CRC" in text else ""
        what = f"a row from row {self.rows:,} on cannot be decoded{cause}"
        return AssayError("I005", what, where=self._file.name)


class _Seekable(io.RawIOBase):
    """An open source as a seekable Python file for Arrow."""

    def __init__(self, file: Opened) -> None:
        super().__init__()
        self._file = file
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._file.size}[whence]
        self._place = start + offset
        return self._place

    def read(self, size: int = -1) -> bytes:
        block = self._file.at(self._place, self._file.size if size < 0 else size)
        self._place += len(block)
        return block


def _plain(kind: pa.DataType) -> pa.DataType:
    return plain_leaf(kind.value_type if pa.types.is_dictionary(kind) else kind)


def _fits(kind: pa.DataType, spec: ColumnSpec | None) -> bool:
    """Return whether a column or leaf of a type can be what the contract says of it."""
    plain = _plain(kind)
    if pa.types.is_null(plain):
        return True
    if spec is not None and spec.is_binary and is_bytes(plain):
        return True
    tests = _FITS[spec.logical] if spec is not None and not spec.is_nested else _ANY
    return any(test(plain) for test in tests)


def _is_read_as(kind: pa.DataType, spec: ColumnSpec | None) -> bool:
    """Return whether a flat column is turned into what the contract says: bytes, or floats."""
    if spec is None or spec.is_binary:
        return False
    is_bytes_as_text = spec.logical == "string" and is_binary(kind)
    return is_bytes_as_text or (spec.logical == "integer" and pa.types.is_floating(kind))


def _without_words(column: pa.Array, words: list[str]) -> pa.Array:
    """Return a text column with null for each word that stands for a missing value."""
    plain = column.dictionary if pa.types.is_dictionary(column.type) else column
    is_missing = pc.is_in(plain, pa.array(words).cast(plain.type))
    if not pc.any(is_missing).as_py():
        return column
    if plain is column:
        return pc.if_else(is_missing, pa.scalar(None, column.type), column)
    is_missing = pc.fill_null(is_missing.take(column.indices), fill_value=False)
    indices = pc.if_else(is_missing, pa.scalar(None, column.indices.type), column.indices)
    return pa.DictionaryArray.from_arrays(indices, column.dictionary)


def _not_finite(table: pa.Table, rows: np.ndarray) -> pa.Table:
    found = [HELD_SCHEMA.empty_table()]
    for field in table.schema:
        if pa.types.is_floating(field.type):
            column = whole(table[field.name])
            nan = "NaN (not a number, which is not the same as a missing value)"
            found.append(masked_faults(rows, pc.is_nan(column), "V001", field.name, nan))
            found.append(masked_faults(rows, pc.is_inf(column), "V002", field.name, "an infinity"))
    return pa.concat_tables(found)


def _off_calendar(table: pa.Table, rows: np.ndarray) -> pa.Table:
    found = [HELD_SCHEMA.empty_table()]
    for name in table.column_names:
        is_off = off_calendar(whole(table[name]))
        if is_off is not None:
            what = "a date outside the years 1 to 9999, or a time outside its day"
            found.append(masked_faults(rows, is_off, "V002", name, what))
    return pa.concat_tables(found)


def _over_int64(table: pa.Table, rows: np.ndarray, specs: dict[str, ColumnSpec]) -> pa.Table:
    """Return the faults of unsigned integers that exceed the contract's integer type."""
    found = [HELD_SCHEMA.empty_table()]
    for field in table.schema:
        plain = _plain(field.type)
        if specs[field.name].logical != "integer" or not pa.types.is_uint64(plain):
            continue
        over = pc.greater(whole(table[field.name]).cast(plain), pa.scalar(_MOST, pa.uint64()))
        content = "a number that is too large, but the contract says integer"
        found.append(masked_faults(rows, over, "I034", field.name, content))
    return pa.concat_tables(found)


def _odd_texts(texts: pa.Table, rows: np.ndarray, limits: Limits) -> pa.Table:
    found = [HELD_SCHEMA.empty_table()]
    for name in texts.column_names:
        column = whole(texts[name])
        values = column.dictionary if pa.types.is_dictionary(column.type) else column
        if pa.types.is_string_view(values.type):
            values = values.cast(pa.large_string())
        has_nul, most = holds(values, b"\0"), longest(values)
        if has_nul or most > limits.max_field_bytes:
            plain = pa.table({name: column.cast(pa.large_string())})
            found.append(cell_faults(plain, rows, limits, longest=most, has_nul=has_nul))
    return pa.concat_tables(found)


def _not_utf8(column: pa.Array) -> list[tuple[int, bytes]]:
    """Return the index and bytes of each text that is not UTF-8, by bisection."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        if len(column) == 1:
            raw = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            return [(0, raw.cast(pa.large_binary())[0].as_py())]
        half = len(column) // 2
        after = [(half + place, raw) for place, raw in _not_utf8(column.slice(half))]
        return _not_utf8(column.slice(0, half)) + after
    return []
