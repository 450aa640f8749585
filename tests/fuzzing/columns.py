"""Columns that a contract might promise of a case, so that its cells are cast and not refused."""

import csv
import io

import clean_tables
import pyarrow as pa
import pyarrow.parquet as pq
from bad_files import kind

from provenance.readers.csv_dialect import Dialect
from provenance.rows.column_types import ColumnSpec

FORMATS = {"date": "dd.MM.yyyy", "timestamp": "yyyy-MM-dd HH:mm", "time": "HH:mm"}


def header(body: bytes, dialect: Dialect) -> list[str]:
    text = body[:4000].decode(dialect.encoding, "replace").removeprefix("\ufeff").lstrip("\r\n")
    line = next(iter(text.splitlines()), "")
    form = {"delimiter": dialect.delimiter, "quotechar": dialect.quote or None}
    form |= {} if dialect.quote else {"quoting": csv.QUOTE_NONE}
    try:
        return next(csv.reader([line], **form), [])
    except csv.Error:
        return []


def specs(choice: int, names: list[str]) -> tuple[ColumnSpec, ...] | None:
    how, turn = choice % 4, choice // 4 % 16
    if how == 0:
        return None
    names = list(dict.fromkeys(names)) or kind.NAMES
    if how == 1:
        return tuple(ColumnSpec(name) for name in names)
    return tuple(_spec(name, place + turn, is_odd=how == 3) for place, name in enumerate(names))


def _spec(name: str, turn: int, *, is_odd: bool) -> ColumnSpec:
    logical = clean_tables.KINDS[turn % len(clean_tables.KINDS)]
    if not is_odd:
        return ColumnSpec(name, logical)
    return ColumnSpec(name, logical, turn % 3 == 0, FORMATS.get(logical), ("NA", "-", "7"))


def parquet_specs(body: bytes, choice: int) -> tuple[ColumnSpec, ...] | None:
    if choice % 4 == 0:
        return None
    try:
        schema = pq.read_schema(io.BytesIO(body))
    except (pa.ArrowException, OSError, ValueError):
        return specs(choice, [])
    if choice % 4 == 3:
        return specs(choice, schema.names)
    names = dict.fromkeys(schema.names)
    fits = {name: _logical(schema.field(schema.get_field_index(name)).type) if
            schema.get_field_index(name) >= 0 else "string" for name in names}  # fmt: skip
    return tuple(ColumnSpec(name, kind, missing=("NA",)) for name, kind in fits.items())


def _logical(kind: pa.DataType) -> str:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    tests = {"integer": pa.types.is_integer, "number": pa.types.is_floating,
             "boolean": pa.types.is_boolean, "date": pa.types.is_date,
             "timestamp": pa.types.is_timestamp, "time": pa.types.is_time}  # fmt: skip
    found = next((name for name, test in tests.items() if test(plain)), "string")
    return "number" if pa.types.is_decimal(plain) else found
