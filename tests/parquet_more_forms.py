"""Nested columns, rare types and forms of other writers: more forms for `parquet_forms`.

What pyarrow, DuckDB and polars do not write is written by hand (`parquet_by_hand`).
"""

import datetime as dt
import decimal
import functools
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import parquet_by_hand as by_hand
import pyarrow as pa
from parquet_by_hand import OPTIONAL, REPEATED, REQUIRED, node
from parquet_forms import Form, _by_arrow, _by_duck

_DAY = dt.datetime(2020, 1, 1, 12, 30)  # noqa: DTZ001
_ROUNDS = 5


@functools.cache
def nested() -> pa.Table:
    """Return lists, maps and structs, with nulls and empty ones at every level."""
    turns = [
        [{"role": "user", "content": "hi"}, None, {"role": None, "content": ""}],
        [], None, [{"role": "a", "content": "two\nlines"}],
    ]  # fmt: skip
    kinds: dict[str, tuple[pa.DataType, list[Any]]] = {
        "numbers": (pa.list_(pa.int64()), [[1, None, 2**53 + 1], [], None, [-1]]),
        "texts": (pa.list_(pa.string()), [["a", None, ""], [], None, ["\U0001f642"]]),
        "vector": (pa.list_(pa.float32(), 2), [[0.5, 1.5], None, [0.0, -0.0], [1.0, None]]),
        "large": (pa.large_list(pa.float64()), [[0.1], None, [], [1e308, None]]),
        "lists": (pa.list_(pa.list_(pa.bool_())), [[[True], None, []], [], None, [[None]]]),
        "struct": (
            pa.struct([("a", pa.int32()), ("b.c", pa.string())]),
            [{"a": 1, "b.c": "x"}, None, {"a": None, "b.c": None}, {"a": 2, "b.c": ""}],
        ),
        "deep": (
            pa.struct([("x", pa.struct([("y", pa.list_(pa.date32()))]))]),
            [{"x": {"y": [_DAY.date(), None]}}, {"x": None}, None, {"x": {"y": None}}],
        ),
        "messages": (pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])), turns),
        "map": (
            pa.map_(pa.string(), pa.string()),
            [[("k", "v"), ("n", None)], [], None, [("k", "")]],
        ),
        "mixed map": (
            pa.map_(pa.int32(), pa.list_(pa.string())),
            [[(1, ["a", None])], [], None, [(2, None), (3, [])]],
        ),
        "bytes": (pa.list_(pa.binary()), [[b"\xff", None], [], None, [b""]]),
        "moments": (pa.list_(pa.timestamp("us")), [[_DAY, None], [], None, [_DAY]]),
        "sums": (pa.list_(pa.decimal128(9, 2)), [[decimal.Decimal("1.10")], [None], None, []]),
        "all null": (pa.list_(pa.int64()), [None] * 4),
        "n": (pa.int64(), [1, 2, 3, 4]),
    }
    columns = {name: pa.array(cells * _ROUNDS, kind) for name, (kind, cells) in kinds.items()}
    return pa.table(columns)


@functools.cache
def rare() -> pa.Table:
    """Return flat columns of types that few tables have."""
    day, time, cents = _DAY.date(), _DAY.time(), decimal.Decimal("-1.10")
    kinds: dict[pa.DataType, list[Any]] = {
        pa.uint8(): [255, None], pa.uint16(): [65535, None], pa.uint32(): [2**32 - 1, None],
        pa.int16(): [-(2**15), None], pa.date64(): [day, None], pa.null(): [None, None],
        pa.time32("s"): [time, None], pa.time32("ms"): [time, None], pa.time64("ns"): [time, None],
        pa.decimal32(7, 2): [cents, None], pa.decimal64(18, 2): [cents, None],
        pa.decimal256(60, 2): [cents, None], pa.large_string(): ["a", None],
        pa.string_view(): ["a view of a longer text", None], pa.large_binary(): [b"\xff", None],
        pa.binary_view(): [b"\xff", None], pa.binary(3): [b"abc", None],
        **{
            pa.timestamp(unit, zone): [_DAY if zone is None else _DAY.astimezone(dt.UTC), None]
            for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "Europe/Oslo", "+02:00")
        },
    }  # fmt: skip
    columns = {str(kind): pa.array(cells * 10, kind) for kind, cells in kinds.items()}
    columns["factor"] = pa.array([7, None] * 10).dictionary_encode()
    columns["dates"] = pa.array([day, None] * 10).dictionary_encode()
    columns["factors"] = pa.array([["a", "b"], None] * 10, pa.list_(pa.string())).cast(
        pa.list_(pa.dictionary(pa.int32(), pa.string()))
    )
    columns["views"] = pa.array([["a", None], None] * 10, pa.list_(pa.string_view()))
    return pa.table(columns)


@functools.cache
def extended() -> pa.Table:
    """Return columns of extension types: UUID, JSON, a tensor."""
    ids = [uuid.UUID(int=n * 2**100 + n).bytes for n in range(9)]
    texts = pa.array(['{"a": [1]}', None, "[]"] * 3)
    pairs = pa.array([[1, 2], None, [3, 4]] * 3, pa.list_(pa.float32(), 2))
    made = pa.ExtensionArray.from_storage
    return pa.table(
        {
            "uuid": pa.array([*ids[:-1], None], pa.uuid()),
            "json": made(pa.json_(), texts),
            "tensor": made(pa.fixed_shape_tensor(pa.float32(), [2]), pairs),
            "list": pa.ListArray.from_arrays(pa.array([0, 2, 2, 9]), made(pa.json_(), texts)).take(
                pa.array([0, 1, 2] * 3)
            ),
        }
    )


def _plain_values() -> pa.Table:
    """Return the values of `extended` as they are read."""
    given = extended()
    ids = [None if value is None else str(value) for value in given["uuid"].to_pylist()]
    values = {name: given[name].to_pylist() for name in given.column_names[1:]}
    return pa.table({"uuid": ids, **values})


def more_forms() -> Iterator[Form]:
    """Yield the forms of nested and rare columns, and those of other writers."""
    for name, options in _NESTED_OPTIONS.items():
        yield Form(f"pyarrow, nested, {name}", _by_arrow(options, nested), nested)
    for options in ("PARQUET_VERSION V1", "PARQUET_VERSION V2", "ROW_GROUP_SIZE 7"):
        yield Form(f"DuckDB, nested, {options}", _by_duck(options, nested), nested)
    for version, rows in (("1.0", 1000), ("2.0", 7)):
        options = {"data_page_version": version, "row_group_size": rows}
        yield Form(f"pyarrow, rare types, {version}", _by_arrow(options, rare), rare)
    yield Form("pyarrow, extension types", _by_arrow({}, extended), _plain_values)
    polars: tuple[dict[str, Any], ...] = (
        {"compression": "zstd"},
        {"compression": "lz4", "row_group_size": 5},
        {"compression": "brotli", "statistics": False, "data_page_size": 64},
    )
    for options in polars:
        yield Form(f"polars, {options['compression']}", _by_polars(options), _polars_table)
    yield Form("DuckDB, types of its own", _types_of_duckdb, _duck_values)
    yield from _forms_by_hand()


_NESTED_OPTIONS: dict[str, dict[str, Any]] = {
    "as it likes": {},
    "data pages 2.0": {"data_page_version": "2.0"},
    "no dictionary": {"use_dictionary": False},
    "small pages": {"data_page_size": 8, "write_batch_size": 1, "write_page_index": True},
    "groups of 3": {"row_group_size": 3, "write_statistics": False},
    "elements called item": {"use_compliant_nested_type": False},
    "no Arrow schema": {"store_schema": False},
    "deltas": {
        "use_dictionary": False, "data_page_version": "2.0",
        "column_encoding": {"numbers.list.element": "DELTA_BINARY_PACKED",
                            "texts.list.element": "DELTA_BYTE_ARRAY",
                            "bytes.list.element": "DELTA_LENGTH_BYTE_ARRAY",
                            "vector.list.element": "BYTE_STREAM_SPLIT"},
    },
}  # fmt: skip


@functools.cache
def _polars_table() -> pa.Table:
    names = ("numbers", "texts", "vector", "large", "lists", "struct", "messages", "moments", "n")
    return nested().select(names)


def _by_polars(options: dict[str, Any]) -> Any:
    def write(path: Path) -> None:
        import polars as pl

        pl.DataFrame(_polars_table()).write_parquet(path, **options)

    return write


_DUCK = {
    "uuid": ("'00000000-0000-0001-0000-00000000000f'::UUID",
             "00000000-0000-0001-0000-00000000000f"),
    "enum": ("'a'::ENUM('a', 'b')", "a"),
    "json": ("""'{"a": 1}'::JSON""", '{"a": 1}'),
    "interval": ("INTERVAL '1 month 2 days 3 seconds'", struct.pack("<III", 1, 2, 3000)),
    "ns": ("'2020-01-01 12:30:00.000000'::TIMESTAMP_NS", _DAY),
    "s": ("'2020-01-01 12:30:00'::TIMESTAMP_S", _DAY),
    "array": ("[1, NULL]::INT[2]", [1, None]),
    "pairs": ("MAP {'a': [1], 'b': NULL}", [("a", [1]), ("b", None)]),
    "bytes": (r"'\xFF\x00'::BLOB", b"\xff\0"),
    "huge": ("9::HUGEINT", 9.0),  # DuckDB writes doubles
}  # fmt: skip


def _types_of_duckdb(path: Path) -> None:
    import duckdb

    cells = ", ".join(f'{sql} AS "{name}"' for name, (sql, _) in _DUCK.items())
    query = f"SELECT {cells} FROM range(6)"  # noqa: S608
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")


def _duck_values() -> pa.Table:
    values = {name: [value] * 6 for name, (_, value) in _DUCK.items()}
    values["pairs"] = pa.array(values["pairs"], pa.map_(pa.string(), pa.list_(pa.int32())))
    return pa.table(values)


def _forms_by_hand() -> Iterator[Form]:
    lists = [[1, 2], None, [], [3]]
    two_levels = [node("x", OPTIONAL, children=1, converted=by_hand.LIST),
                  node("array", REPEATED, kind=by_hand.INT32)]  # fmt: skip
    levels = ((0, 1, 0, 0, 0), (2, 2, 0, 1, 2))
    yield _form("lists of two levels", two_levels, [1, 2, 3], lists, levels)
    bare = [node("x", REPEATED, kind=by_hand.INT32)]
    levels = ((0, 1, 0, 0), (1, 1, 0, 1))
    yield _form("a repeated field that is no list", bare, [1, 2, 3], [[1, 2], [], [3]], levels)
    pair = [node("x", OPTIONAL, children=1, converted=by_hand.LIST),
            node("x_tuple", REPEATED, kind=by_hand.BYTES, converted=by_hand.UTF8)]  # fmt: skip
    yield _form("lists as Thrift writes them", pair, [b"a"], [["a"], None], ((0, 0), (2, 0)))
    for name, converted in {"enum": by_hand.ENUM, "bson": by_hand.BSON}.items():
        leaf = [node("x", OPTIONAL, kind=by_hand.BYTES, converted=converted)]
        yield _form(name, leaf, [b"a"], [b"a", None], ((), (1, 0)))
    leaf = [node("x", OPTIONAL, kind=by_hand.BYTES, converted=by_hand.JSON)]
    yield _form("json", leaf, [b"[1]"], ["[1]", None], ((), (1, 0)))
    for name, kind, cell in (("int32", by_hand.INT32, 256), ("int64", by_hand.INT64, 256),
                             ("bytes of any length", by_hand.BYTES, b"\x01\0")):  # fmt: skip
        facts = {"converted": by_hand.DECIMAL, "scale": 2, "precision": 9}
        leaf = [node("x", OPTIONAL, kind=kind, **facts)]
        cells = [decimal.Decimal("2.56"), None]
        yield _form(f"a decimal as {name}", leaf, [cell], cells, ((), (1, 0)))
    leaf = [node("x", OPTIONAL, kind=by_hand.INT96)]
    moment = struct.pack("<qi", 45_000 * 10**9, 2_440_588 + 18_262)
    yield _form("int96", leaf, [moment], [_DAY, None], ((), (1, 0)))
    leaf = [node("x", REQUIRED, kind=by_hand.DOUBLE)]
    for codec in by_hand.CODECS:
        how = {"codec": codec, "pairs": {"made by": "hand", "": "\U0001f642"}}
        yield _form(f"pairs of metadata, {codec or 'plain'}", leaf, [0.5] * 9, [0.5] * 9, **how)


def _form(
    name: str, schema: Any, values: list[Any], cells: list[Any], levels: Any = ((), ()), **how: Any
) -> Form:
    def write(path: Path) -> None:
        by_hand.save(path, schema, values, rows=len(cells), levels=levels, **how)

    return Form(f"by hand, {name}", write, lambda: pa.table({"x": cells}))


LIES: dict[str, tuple[str, dict[str, Any]]] = {  # what a page says of itself, and its code
    "a wrong checksum": ("I005", {"checksum": 5}),
    "two gigabytes in a page": ("I005", {"codec": "zstd", "page_size": 2**31 - 1}),
    "less than nothing in a page": ("I005", {"page_size": -5}),
    "two billion values in a page": ("I006", {"declared": 2**31 - 1}),
    "too few values in a page": ("I005", {"declared": 1}),
    "no values in a page": ("I005", {"declared": 0}),
}


def save_lying(path: Path, how: dict[str, Any]) -> None:
    """Write a small file whose page lies."""
    leaf = [node("x", OPTIONAL, kind=by_hand.INT64)]
    by_hand.save(path, leaf, range(9), rows=9, levels=((), (1,) * 9), **how)
