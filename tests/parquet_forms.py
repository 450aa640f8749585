"""One honest table in every form that Parquet has, by two writers: pyarrow and DuckDB.

A form is a type, an encoding, a kind of page, a compression, the rows of a group, statistics, and
what else a writer may choose. What is read must be what was written; nothing here is damaged.
"""

import dataclasses
import datetime as dt
import decimal
import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 40
Write = Callable[[Path], None]
Make = Callable[[], pa.Table]
UNKNOWN = ("half", "vector")  # DuckDB has no such type; it writes items into missing arrays
COMPRESSIONS = ("none", "snappy", "gzip", "brotli", "lz4", "zstd")


@dataclasses.dataclass(frozen=True)
class Form:
    """One file: what it is, what writes it, and the values that are written."""

    name: str
    write: Write
    values: Make


@functools.cache
def table() -> pa.Table:
    """Return a table with a column of every type, with missing values in every other column."""
    draw = np.random.default_rng(3)
    start, holes = dt.datetime(2020, 1, 1), draw.random(ROWS) < 0.2  # noqa: DTZ001
    moments = [start + dt.timedelta(hours=n, microseconds=n) for n in range(ROWS)]
    whole = draw.integers(-100, 100, ROWS)
    made = {
        "bool": pa.array(draw.random(ROWS) < 0.5, pa.bool_(), mask=holes),
        "int8": pa.array(whole, pa.int8()),
        "int32": pa.array(whole, pa.int32(), mask=holes),
        "int64": pa.array(whole * 2**50, pa.int64()),
        "uint64": pa.array(abs(whole).astype(np.uint64) + 2**62, pa.uint64(), mask=holes),
        "half": pa.array(draw.normal(size=ROWS), pa.float64()).cast(pa.float16()),
        "float": pa.array(draw.normal(size=ROWS), pa.float32(), mask=holes),
        "double": pa.array(draw.normal(size=ROWS), pa.float64()),
        **{
            f"decimal{size}": pa.array(
                [None if h else decimal.Decimal(int(n)).scaleb(-2) for n, h in zip(whole, holes)],  # noqa: B905
                pa.decimal128(size, 2),
            )
            for size in (4, 9, 18, 38)
        },
        "date": pa.array([m.date() for m in moments], pa.date32(), mask=holes),
        "time": pa.array([m.time() for m in moments], pa.time64("us")),
        "stamp": pa.array(moments, pa.timestamp("us"), mask=holes),
        "zoned": pa.array(moments, pa.timestamp("us", "UTC")),
        "text": pa.array([f"row {n}" for n in range(ROWS)], pa.string(), mask=holes),
        "few": pa.array(draw.choice(["red", "blue", ""], ROWS).tolist(), pa.string()),
        "factor": pa.array(draw.choice(["a", "b"], ROWS).tolist()).dictionary_encode(),
        "none": pa.nulls(ROWS, pa.string()),
        "a name, with\na line": pa.array(range(ROWS), pa.int64()),
    }
    return pa.table(made)


def forms() -> Iterator[Form]:
    """Yield every form in which the table of plain columns can be written."""
    for name, options in _arrow_forms():
        written = _in_ms if "coerce_timestamps" in options else table
        written = _without_zones if "use_deprecated_int96_timestamps" in options else written
        yield Form(f"pyarrow, {name}", _by_arrow(options, table), written)
    yield Form("pyarrow, row groups without rows", _with_empty_groups, table)
    for name, options in _duck_forms():
        yield Form(f"DuckDB, {name}", _by_duck(options, table), table)


def _in_ms() -> pa.Table:
    made = table()
    for name in ("stamp", "zoned"):
        place = made.column_names.index(name)
        kind = pa.timestamp("ms", made[name].type.tz)
        made = made.set_column(place, name, made[name].cast(kind, safe=False))
    return made


def _without_zones() -> pa.Table:
    made = table()
    zoned = made["zoned"].cast(pa.timestamp("us"))
    return made.set_column(made.column_names.index("zoned"), "zoned", zoned)


def _arrow_forms() -> Iterator[tuple[str, dict[str, object]]]:
    for compression, version in itertools.product(COMPRESSIONS, ("1.0", "2.0")):
        name = f"{compression}, data pages {version}"
        yield name, {"compression": compression, "data_page_version": version}
    for group, page in ((1, 64), (7, 64), (ROWS, 64), (ROWS, 1 << 20)):
        yield (
            f"groups of {group}, pages of {page}",
            {"row_group_size": group, "data_page_size": page},
        )
    for version in ("1.0", "2.4", "2.6"):
        yield f"format {version}", {"version": version, "coerce_timestamps": "ms",
                                    "allow_truncated_timestamps": True}  # fmt: skip
    for encoding, names in ENCODINGS.items():
        for page in ("1.0", "2.0"):
            yield f"{encoding}, data pages {page}", {
                "use_dictionary": False, "data_page_version": page,
                "column_encoding": dict.fromkeys(names, encoding),
            }  # fmt: skip
    yield "int96", {"use_deprecated_int96_timestamps": True}
    yield "decimals as integers", {"store_decimal_as_integer": True}
    yield "no statistics", {"write_statistics": False}
    yield "a page index", {"write_page_index": True}
    yield "a page index of small pages", {"write_page_index": True, "max_rows_per_page": 7}
    yield "bloom filters", {"bloom_filter_options": {"text": {"ndv": ROWS, "fpp": 0.01}}}
    yield "pages cut by content", {"use_content_defined_chunking": True}
    yield "sorting columns", {"sorting_columns": [pq.SortingColumn(0)]}
    yield "no Arrow schema", {"store_schema": False}
    yield "checksums", {"write_page_checksum": True}
    yield "batches of one row", {"write_batch_size": 1, "dictionary_pagesize_limit": 1}


NUMBERS = ("float", "double", "half")
WHOLE = ("int8", "int32", "int64", "uint64", "date", "time", "stamp", "zoned")
TEXTS = ("text", "few", "none")
ENCODINGS = {
    "PLAIN": (*NUMBERS, *WHOLE, *TEXTS, "bool"),
    "RLE": ("bool",),
    "DELTA_BINARY_PACKED": WHOLE,
    "DELTA_LENGTH_BYTE_ARRAY": TEXTS,
    "DELTA_BYTE_ARRAY": (*TEXTS, "decimal38"),
    "BYTE_STREAM_SPLIT": (*NUMBERS, *WHOLE, "decimal38"),
}


def _by_arrow(options: dict[str, object], made: Make) -> Write:
    return lambda path: pq.write_table(made(), path, **options)


def _with_empty_groups(path: Path) -> None:
    made = table()
    with pq.ParquetWriter(path, made.schema) as writer:
        for start in (0, 13, ROWS):
            writer.write_table(made.slice(0, 0))
            writer.write_table(made.slice(start, 13 if start < 13 else ROWS))
            writer.write_table(made.slice(0, 0))


def _duck_forms() -> Iterator[tuple[str, str]]:
    for compression in ("uncompressed", "snappy", "gzip", "brotli", "lz4_raw", "zstd"):
        for version in ("V1", "V2"):
            yield (
                f"{compression} {version}",
                f"COMPRESSION {compression}, PARQUET_VERSION {version}",
            )
    yield "small groups", "ROW_GROUP_SIZE 7"
    yield "no dictionaries", "DICTIONARY_SIZE_LIMIT 1"
    yield "bloom filters", "BLOOM_FILTER_FALSE_POSITIVE_RATIO 0.01, DICTIONARY_SIZE_LIMIT 100000"
    yield "ids of fields", "FIELD_IDS 'auto'"


def _by_duck(options: str, make: Make) -> Write:
    def write(path: Path) -> None:
        import duckdb

        made = make()
        made = made.drop_columns([n for n in made.column_names if n in UNKNOWN])
        with duckdb.connect() as connection:
            connection.register("made", made)
            connection.execute(f"COPY made TO '{path}' (FORMAT parquet, {options})")

    return write
