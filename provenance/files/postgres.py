"""PostgreSQL: a table, copied once to a private Parquet file in one snapshot transaction.

    postgresql://host:5432/database/schema.table

The copy is read like any other file. Rows come in the order of the primary key, so the same table
gives the same bytes; without a key, in the server's own order. Types that Parquet lacks are copied
as the text that PostgreSQL prints. The transaction is read-only, and only the server that the user
named is contacted; user and password come from libpq's own environment and files.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.files import table_copy

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMES = ("postgresql", "postgres")
EXTRA = "postgres"
ANSWER = 10  # seconds within which a server must respond
_URL = re.compile(r"(?:postgresql|postgres)://([^/@?#]+)/([^/?#]+)/(?:([^/?#.]+)\.)?([^/?#.]+)")
_PLAIN = ("int2", "int4", "int8", "float4", "float8", "bool", "text", "varchar", "bpchar", "date",
          "time", "timestamp", "timestamptz", "bytea", "numeric")  # fmt: skip
_MOMENTS = ("date", "timestamp", "timestamptz")
_COLUMNS = """
    SELECT a.attname AS name, t.typname AS kind, a.atttypmod AS modifier,
           coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0)::int4 AS key
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum"""


@dataclasses.dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table.

    Attributes:
        kind: PostgreSQL's name for its type.
        modifier: precision and scale of a numeric; -1 for none.
        key: position in the primary key, from 1; 0 if it is not part of one.
    """

    name: str
    kind: str
    modifier: int
    key: int

    @property
    def sql(self) -> str:
        """Return the expression to select: the column, or its text for other types."""
        cast = "" if self.kind in _PLAIN else "::text"
        return f"{_quoted(self.name)}{cast} AS {_quoted(self.name)}"

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Return precision and scale of a numeric that has them."""
        if self.kind != "numeric" or self.modifier < 0:
            return None
        packed = self.modifier - 4
        return packed >> 16 & 0xFFFF, packed & 0x7FF


def is_table(url: str) -> bool:
    """Return whether a URL names a database table."""
    return url.partition("://")[0].lower() in SCHEMES


def fetch(url: str, path: Path, limits: Limits, where: str) -> None:
    """Copy a table to a new private Parquet file.

    Args:
        url: of the table.
        path: of the new file, in an existing folder.
        limits: `max_bytes`, enforced during the copy.
        where: the table, as messages may show it.

    Raises:
        AssayError: ASSAY-I006 if it is too large, I008 for a numeric without a scale, I014 if it
            cannot be reached or read, I015 if the URL is malformed or the extra is not installed,
            V002 for an infinite date or number.
    """
    match = _URL.fullmatch(url)
    if match is None:
        fix = "write postgresql://host:5432/database/schema.table"
        raise AssayError("I015", "the URL does not name a database table", where=where, fix=fix)
    host, database, schema, name = match.groups()
    table = f"{_quoted(schema)}.{_quoted(name)}" if schema else _quoted(name)
    uri = f"postgresql://{host}/{database}?connect_timeout={ANSWER}&application_name=assay"
    driver = _driver(where)
    try:
        with driver.connect(uri) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ")
            cursor.execute(_COLUMNS, (table,))
            columns = [_Column(**row) for row in cursor.fetch_arrow_table().to_pylist()]
            _refuse_open(columns, where)
            cursor.execute(_query(table, columns))
            _write(cursor.fetch_record_batch(), columns, path, limits, where)
    except driver.Error as error:  # its own text may contain the password or a cell
        state = getattr(error, "sqlstate", "") or ""
        what = f"the table cannot be reached or read ({type(error).__name__} {state}".strip() + ")"
        fix = "check the URL, the network, and PGUSER, PGPASSWORD or ~/.pgpass in this environment"
        raise AssayError("I014", what, where=where, fix=fix) from None


def _driver(where: str) -> Any:
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise table_copy.missing_extra("postgresql:// needs", EXTRA, where) from None
    return dbapi


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _query(table: str, columns: list[_Column]) -> str:
    chosen = ", ".join(column.sql for column in columns)
    keys = sorted((c for c in columns if c.key), key=lambda column: column.key)
    order = f" ORDER BY {', '.join(_quoted(c.name) for c in keys)}" if keys else ""
    return f"SELECT {chosen} FROM {table}{order}"  # noqa: S608  names are quoted


def _refuse_open(columns: list[_Column], where: str) -> None:
    """Refuse numerics of any size and scale: no Parquet type holds all of them exactly."""
    for column in columns:
        size = column.decimal
        if column.kind == "numeric" and (size is None or size[0] > 38 or size[1] > size[0]):  # noqa: PLR2004
            what = (
                f"column {column.name!r} is a numeric whose precision and scale do not fit a file"
            )
            fix = "read from a view that casts it, e.g. to numeric(18, 2) or double precision"
            raise AssayError("I008", what, where=where, fix=fix)


def _write(
    stream: "pa.RecordBatchReader", columns: list[_Column], path: Path, limits: Limits, where: str
) -> None:
    import pyarrow as pa

    schema = pa.schema([_field(f, c) for f, c in zip(stream.schema, columns, strict=True)])

    def to_table(batch: pa.RecordBatch) -> pa.Table:
        return pa.table(list(_cast(batch, columns, schema, where)), schema=schema)

    table_copy.write(stream, to_table, schema, path, limits, where)


def _field(field: "pa.Field", column: _Column) -> "pa.Field":
    import pyarrow as pa

    kind = pa.decimal128(*column.decimal) if column.decimal else field.type
    return pa.field(field.name, kind)


def _cast(
    batch: "pa.RecordBatch", columns: list[_Column], schema: "pa.Schema", where: str
) -> Iterator["pa.Array"]:
    import pyarrow as pa

    for place, column in enumerate(columns):
        values = batch.column(place)
        if column.kind in _MOMENTS:
            _refuse_infinite(values, column, where)
        try:
            yield values if values.type == schema[place].type else values.cast(schema[place].type)
        except pa.ArrowInvalid:
            what = f"column {column.name!r} contains a number that is NaN, infinite or too large"
            fix = "read from a view without that number"
            raise AssayError("V002", what, where=where, fix=fix) from None


def _refuse_infinite(values: "pa.Array", column: _Column, where: str) -> None:
    """Refuse infinite dates, which the driver returns as the ends of the integer range."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_day = pa.types.is_date32(values.type)
    ends = pc.min_max(values.cast(pa.int32() if is_day else pa.int64())).as_py()
    bound = 10_000_000 if is_day else 10_000_000 * 86_400_000_000
    if ends["min"] is not None and (ends["min"] < -bound or ends["max"] > bound):
        what = f"column {column.name!r} contains an infinite date, which a file cannot represent"
        fix = "read from a view that returns it as text or null"
        raise AssayError("V002", what, where=where, fix=fix)
