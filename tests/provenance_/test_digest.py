"""Row digests: golden vectors, what is equal, and what must never be."""

import datetime as dt
import decimal
import hashlib
import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import standalone_verify
from provenance.base.file_digest import sha256_of
from provenance.rows import digest


def of(array):
    return [bytes(row).hex() for row in digest.of_rows(pa.table({"x": array}))]


GOLDEN_TABLE = pa.table(
    {
        "n": pa.array([1, None, -(2**63)], pa.int64()),
        "x": pa.array([0.5, float("nan"), None], pa.float64()),
        "s": pa.array(["", None, "é漢"], pa.string()),
        "b": pa.array([True, False, None], pa.bool_()),
        "d": pa.array([dt.date(2025, 3, 4), None, dt.date(1, 1, 1)], pa.date32()),
        "t": pa.array(
            [dt.datetime.fromisoformat("1969-12-31T23:59:59.500000"), None, None],
            pa.timestamp("us"),
        ),
        "m": pa.array(
            [decimal.Decimal("1.50"), decimal.Decimal("-1.50"), None], pa.decimal128(9, 2)
        ),
        "y": pa.array([b"\0\1", b"", None], pa.binary()),
        "c": pa.array([dt.time(1, 2, 3), None, None], pa.time64("us")),
        "z": pa.nulls(3),
    }
)
GOLDEN = [
    "ebdbd180811782b07a38f796cf8ab81f70e1767f52aaa3d4e07c88edd8c69647",
    "1a2566c8b8dee4923aa7c35c30b5b0d91ea7e79cd799a2d5baee10539aef2e1c",
    "140687807c9efc2f08e52c4b0dcdb653816d09c1a3ba9f5a4ad158ce829873fb",
]


def test_golden_vectors():
    assert [bytes(row).hex() for row in digest.of_rows(GOLDEN_TABLE)] == GOLDEN


def test_the_encoding_is_what_the_docstring_says():
    table = pa.table({"b": pa.array([7], pa.int64()), "a": pa.array(["xy"])})
    kinds = '["assay-row-1-sha256", [["a", "string"], ["b", "integer"]]]'
    body = b"\0" + (7).to_bytes(8, "little") + (2).to_bytes(4, "little") + b"xy"
    wanted = hashlib.sha256(hashlib.sha256(kinds.encode()).digest() + body).digest()
    assert bytes(digest.of_rows(table)[0]) == wanted


LEDGER_PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"
TOLD = [
    pa.table({"b": pa.array([7], pa.int64()), "a": ["xy"]}),
    pa.table({"b": pa.array([None], pa.int64()), "a": pa.array([None], pa.string())}),
    pa.table({"x": [-0.0]}),
    pa.table({"x": [0.0]}),
    pa.table({"x": [1]}),
    pa.table({"x": [True]}),
    pa.table({"t": GOLDEN_TABLE["t"].slice(0, 1)}),
    pa.table({"m": [[{"role": "user", "content": "hi"}]]}),
    pa.table({"m": pa.array([None], pa.list_(pa.string()))}),
    pa.table({"e": [[0.5, None]]}),
]


def test_the_vectors_of_the_page_are_what_comes_out():
    told = re.findall(
        r"^\| .* \| `([0-9a-f]{64})` \|$", LEDGER_PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert told == [bytes(digest.of_rows(table)[0]).hex() for table in TOLD]


NAN = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
MOMENT = dt.datetime.fromisoformat("2025-03-04T05:06:07")
EQUAL = [
    (pa.array([0.0]), pa.array([-0.0])),
    (pa.array(NAN[:1]), pa.array(NAN[1:])),
    (pa.array([5], pa.int32()), pa.array([5], pa.int64())),
    (pa.array([5], pa.uint8()), pa.array([5], pa.int64())),
    (pa.array([0.5], pa.float32()), pa.array([0.5], pa.float64())),
    (pa.array(["a"]), pa.array(["a"], pa.large_string())),
    (pa.array(["a"]), pa.array(["a"], pa.string_view())),
    (pa.array(["a", None]), pa.array(["a", None]).dictionary_encode()),
    (pa.array([MOMENT], pa.timestamp("us")), pa.array([MOMENT], pa.timestamp("ns"))),
    (pa.array([MOMENT], pa.timestamp("s")), pa.array([MOMENT], pa.timestamp("ms"))),
    (pa.array([MOMENT.date()], pa.date32()), pa.array([MOMENT.date()], pa.date64())),
    (pa.array([dt.time(1)], pa.time32("s")), pa.array([dt.time(1)], pa.time64("ns"))),
    (
        pa.array([decimal.Decimal("1.5")], pa.decimal128(5, 1)),
        pa.array([decimal.Decimal("1.5")], pa.decimal256(50, 1)),
    ),
    (pa.array([b"ab"], pa.binary()), pa.array([b"ab"], pa.binary(2))),
]
DIFFERENT = [
    (pa.array([None], pa.string()), pa.array([""])),
    (pa.array([None], pa.int64()), pa.array([0])),
    (pa.array([float("nan")]), pa.array([None], pa.float64())),
    (pa.array([float("nan")]), pa.array([0.0])),
    (pa.array([1], pa.int64()), pa.array([True])),
    (pa.array([-1], pa.int64()), pa.array([2**64 - 1], pa.uint64())),
    (pa.array(["a"]), pa.array([b"a"])),
    (pa.array([1]), pa.array([1.0])),
    (pa.array([1]), pa.array(["1"])),
    (pa.array([MOMENT], pa.timestamp("us")), pa.array([MOMENT], pa.timestamp("us", "UTC"))),
    (pa.array([2**53], pa.int64()), pa.array([2**53 + 1], pa.int64())),
    (pa.array([MOMENT.date()], pa.date32()), pa.array([MOMENT], pa.timestamp("s"))),
]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal_whatever_the_storage(left, right):
    assert of(left) == of(right)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_different_values_or_kinds(left, right):
    assert of(left) != of(right)


def test_names_and_places_of_texts_count():
    def row(**cells):
        return bytes(digest.of_rows(pa.table({k: [v] for k, v in cells.items()}))[0])

    assert row(a="ab", b="c") != row(a="a", b="bc")
    assert row(a="x") != row(c="x")
    assert row(a=1, b=2) == row(b=2, a=1)
    assert row(a=1, b=2) != row(a=2, b=1)


def test_what_lies_under_a_null_does_not_count():
    hidden = pa.Array.from_buffers(pa.int64(), 1, [pa.py_buffer(b"\0"), pa.py_buffer(b"\7" * 8)])
    assert of(hidden) == of(pa.array([None], pa.int64()))


CELLS = st.fixed_dictionaries(
    {
        "i": st.none() | st.integers(-(2**63), 2**63 - 1),
        "f": st.none() | st.floats(),
        "s": st.none() | st.text(max_size=5),
        "b": st.none() | st.booleans(),
    }
)
SCHEMA = pa.schema([("i", pa.int64()), ("f", pa.float64()), ("s", pa.string()), ("b", pa.bool_())])


@settings(max_examples=60)
@given(st.lists(CELLS, min_size=1, max_size=20), st.data())
def test_a_slice_digests_as_the_whole_does(rows, data):
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    start = data.draw(st.integers(0, len(rows)))
    whole = digest.of_rows(table)
    assert np.array_equal(whole[start:], digest.of_rows(table.slice(start)))
    shuffled = table.select(["b", "s", "f", "i"])
    assert np.array_equal(whole, digest.of_rows(shuffled))
    assert digest.order_free(whole) == digest.order_free(whole[::-1])


@settings(max_examples=60)
@given(CELLS, CELLS)
def test_only_equal_rows_share_a_digest(left, right):
    table = pa.Table.from_pylist([left, right], schema=SCHEMA)
    one, two = digest.of_rows(table)

    def canonical(row):
        value = row["f"]
        number = value if value is None else "nan" if math.isnan(value) else value + 0.0
        return (row["i"], number, row["s"], row["b"])

    assert np.array_equal(one, two) == (canonical(left) == canonical(right))


def test_more_rows_than_one_step_digest_alike():
    values = np.arange(200_000)
    whole = digest.of_rows(pa.table({"x": values, "s": pa.array(values).cast(pa.string())}))
    tail = pa.table({"x": values[-3:], "s": pa.array(values[-3:]).cast(pa.string())})
    assert np.array_equal(whole[-3:], digest.of_rows(tail))
    assert len(np.unique(whole, axis=0)) == len(values)


def test_repeats_count_in_an_order_free_digest():
    rows = digest.of_rows(pa.table({"x": [1, 2, 2]}))
    assert digest.order_free(rows) != digest.order_free(rows[:2])
    assert digest.order_free(rows[[2, 0, 1]]) == digest.order_free(rows)


STRUCT = pa.struct([("x", pa.int32()), ("a", pa.list_(pa.string()))])
NESTED = [
    pa.array([[("a", "b")], None, []], pa.map_(pa.string(), pa.string())),
    pa.array([[1.0, -0.0], None, [3.0, None]], pa.list_(pa.float64(), 2)),
    pa.array([[1.0, 2.0], None, []], pa.list_(pa.float32())),
    pa.array([[], None, [None]], pa.list_(pa.null())),
    pa.array([[{"x": 1, "a": ["p", None]}], None, [{"a": []}, None]], pa.large_list(STRUCT)),
    pa.array([["a"], ["b", "a"], None], pa.list_(pa.dictionary(pa.int32(), pa.string()))),
    pa.array([{"b": b"x"}, None, {}], pa.struct([("b", pa.binary()), ("p", pa.null())])),
    pa.array([{"b": b"xy"}, None, {}], pa.struct([("b", pa.binary(2))])),
    pa.array([[MOMENT], None, [None]], pa.list_(pa.timestamp("ms"))),
    pa.array([[decimal.Decimal("1.5")], None, [None]], pa.list_(pa.decimal128(5, 1))),
    pa.array([[True], None, [None, False]], pa.list_(pa.bool_())),
    pa.array([[[1, 2], []], [None, [3]], []], pa.list_(pa.list_(pa.int64()))),
]


@pytest.mark.parametrize("cells", NESTED, ids=lambda cells: str(cells.type))
def test_both_verifiers_agree_on_nested_cells_wherever_they_lie(cells):
    table = pa.table({"x": cells, "k": [1, 2, 3]})
    found = [bytes(row) for row in digest.of_rows(table)]
    assert found == [standalone_verify.row_digest(table.slice(n, 1)) for n in range(3)]
    assert len(set(found)) == 3
    again = pa.concat_tables([table.slice(1), table]).combine_chunks()
    assert [bytes(row) for row in digest.of_rows(again)] == [*found[1:], *found]


NESTED_EQUAL = [
    (pa.array([[1]], pa.list_(pa.int8())), pa.array([[1]], pa.large_list(pa.int64()))),
    (pa.array([[1]], pa.list_(pa.int8(), 1)), pa.array([[1]], pa.list_(pa.int64()))),
    (pa.array([{"a": 1, "b": 2}]), pa.array([{"b": 2, "a": 1}])),
    (
        pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())),
        pa.array([[{"key": "k", "value": "v"}]]),
    ),
]
NESTED_DIFFERENT = [
    (pa.array([[None]], pa.list_(pa.int64())), pa.array([[]], pa.list_(pa.int64()))),
    (pa.array([None], pa.list_(pa.int64())), pa.array([[]], pa.list_(pa.int64()))),
    (pa.array([["ab", "c"]]), pa.array([["a", "bc"]])),
    (pa.array([[["a"], ["b"]]]), pa.array([[["a", "b"]]])),
    (pa.array([{"a": None}], pa.struct([("a", pa.int64())])), pa.array([{"a": 0}])),
    (pa.array([None], pa.struct([("a", pa.int64())])), pa.array([{"a": None}],
     pa.struct([("a", pa.int64())]))),
    (pa.array([{"a": 1}]), pa.array([{"b": 1}])),
    (pa.array([[1]]), pa.array([["1"]])),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), NESTED_EQUAL)
def test_equal_nested_cells_whatever_the_storage(left, right):
    assert of(left) == of(right)


@pytest.mark.parametrize(("left", "right"), NESTED_DIFFERENT)
def test_nested_cells_that_differ(left, right):
    assert of(left) != of(right)


def test_no_rows_and_a_file(tmp_path):
    assert digest.of_rows(pa.table({"x": pa.nulls(0, pa.string())})).shape == (0, 32)
    (tmp_path / "f").write_bytes(b"abc")
    assert sha256_of(tmp_path / "f") == hashlib.sha256(b"abc").hexdigest()
