"""Encoding: each row by itself, whatever its neighbours, missing and odd values included."""

import numpy as np
import pyarrow as pa
import pytest

from checks.kit import encode


def mixed(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    words = np.array(["roof", "car", "school", "boat", "kitchen", "garden"])
    numbers = rng.normal(10, 3, rows)
    numbers[:5] = [np.nan, np.inf, 1e308, -1e308, 0]
    days = pa.array(rng.integers(18_000, 20_000, rows), pa.int32()).cast(pa.date32())
    return pa.table(
        {
            "n": pa.array(numbers, from_pandas=True),
            "big": pa.array([2**53 + 1, None] * (rows // 2), pa.int64()),
            "c": pa.array(rng.choice(["a", "b", None], rows)),
            "many": [f"code{n}" for n in rng.integers(0, 100, rows)],
            "flag": pa.array(rng.random(rows) < 0.5),
            "day": days,
            "t": [" ".join(words[rng.integers(0, 6, 8)]) + str(n) for n in range(rows)],
            "none": pa.nulls(rows, pa.float64()),
        }
    )


HOW = dict.fromkeys(("n", "big", "flag", "day", "none"), "number") | {
    "c": "category",
    "many": "category",
    "t": "text",
}


@pytest.fixture(scope="module")
def fitted():
    return encode.fit(mixed(), HOW)


@pytest.mark.parametrize("view", ["linear", "trees"])
def test_a_row_alone_gets_the_numbers_it_gets_among_others(fitted, view):
    table = mixed(60, seed=1)
    whole = getattr(fitted, view)(table)
    whole = whole.toarray() if view == "linear" else whole
    for row in (0, 1, 2, 3, 31, 59):
        one = getattr(fitted, view)(table.slice(row, 1))
        one = one.toarray() if view == "linear" else one
        assert np.array_equal(one[0], whole[row], equal_nan=True)


def test_linear_is_finite_and_clipped(fitted):
    values = fitted.linear(mixed(seed=2)).toarray()
    assert np.isfinite(values).all()
    assert np.abs(values).max() <= encode.CLIP


def test_unseen_levels_and_words_do_not_raise(fitted):
    table = mixed(20, seed=3)
    table = table.set_column(2, "c", pa.array(["new"] * 20))
    table = table.set_column(6, "t", pa.array([None, "", "unseen words"] + ["roof"] * 17))
    assert fitted.linear(table).shape[0] == 20
    assert np.isnan(fitted.trees(table)[0, list(HOW).index("t")])


def test_empty_tables_keep_their_width(fitted):
    empty = mixed().slice(0, 0)
    assert fitted.linear(empty).shape == (0, fitted.linear(mixed(10)).shape[1])
    assert fitted.trees(empty).shape == (0, len(HOW))


def test_texts_are_of_length_one_in_tf_idf():
    table = pa.table({"t": ["Roof, roof; CAR", "car boat", "..."]})
    values = encode.fit(table, {"t": "text"}).linear(table).toarray()
    norms = np.linalg.norm(values, axis=1)
    assert norms == pytest.approx([1, 1, 0])
    # two of "roof" weigh more than one of "car", which two rows have
    assert values[0].max() > values[1].min()


def test_spread_survives_a_column_of_one_value():
    assert encode.spread(np.array([3.0, 3.0, np.nan])) == (3.0, 1.0)
    assert encode.spread(np.array([np.nan])) == (0.0, 1.0)
    assert encode.spread(np.array([0.0] * 90 + [5.0] * 10))[1] > 0
