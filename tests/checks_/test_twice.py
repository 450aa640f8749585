"""What occurs twice is found by value, whatever its hash, in one scan or several."""

import math

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from checks.rules import uniqueness

BIG = 2**53
# NaN with another payload: to a grouping the same value
ODD = np.frombuffer(np.array([0x7FF8000000000001], np.uint64).tobytes(), np.float64)[0]
CASES = {
    "integers": ([1, 2, None, 1, None], [0, 3]),
    "beyond a float": ([BIG, BIG + 1, BIG + 2], []),
    "texts": (["a", "A", "", "b", ""], [2, 4]),
    "signs of zero": ([0.0, -0.0, 1.0], [0, 1]),
    "not a number": ([math.nan, 1.0, ODD, None], [0, 2]),
    "nothing": ([None, None], []),
    "booleans": ([True, False, True], [0, 2]),
}


@pytest.mark.parametrize("most", [uniqueness.MOST, 1], ids=["one scan", "several"])
@pytest.mark.parametrize("case", CASES)
def test_rows_whose_value_occurs_twice(case, most, monkeypatch):
    monkeypatch.setattr(uniqueness, "MOST", most)
    values, repeated = CASES[case]
    assert found(pa.table({"v": values, "r": range(len(values))}), "v") == repeated


def test_keys_of_several_columns_with_missing_parts():
    rows = pa.table({"a": [1, 1, 1, None, None], "b": ["x", None, None, "x", "x"], "r": range(5)})
    assert found(rows, "struct_pack(a := a, b := b)") == [1, 2, 3, 4]


def test_equal_hashes_of_different_values_are_no_repeats(monkeypatch):
    monkeypatch.setattr(uniqueness, "_are_distinct", lambda *_: False)
    assert found(pa.table({"v": [1, 2, 3], "r": range(3)}), "v") == []


def test_distinct_values_are_not_looked_into_again():
    rows = pa.table({"v": np.arange(10_000), "r": range(10_000)})
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        assert uniqueness.repeated_values(connection, "rows", "v", 0) == "false"


def found(rows, value):
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        where = uniqueness.repeated_values(connection, "rows", value, 0)
        query = f"SELECT r FROM rows WHERE {where} ORDER BY r"  # noqa: S608
        return [row for (row,) in connection.execute(query).fetchall()]
