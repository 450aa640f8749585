"""Target leakage: copies in every disguise, beside honest strong predictors."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import tables

from checks.leakage import Leakage

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "tables"


def told(table, **roles):
    check = Leakage(tables.context_for(table, **roles))
    model = check.finish(check.fit(tables.cut(table)[0]))
    return {f["column"]: f["severity"] for f in model.overall.to_pylist()}


def book(rows=2_000, seed=0):
    rng = np.random.default_rng(seed)
    late = rng.poisson(0.8, rows)
    yes = rng.random(rows) < 1 / (1 + np.exp(-(2.2 * late - 4)))
    return late, yes, pa.table({"late": late, "label": np.where(yes, "yes", "no")}), rng


@pytest.mark.parametrize("rows", [60, 2_000])
def test_a_copy_under_other_names_is_an_error(rows):
    _, yes, table, _ = book(rows)
    assert told(table.append_column("q", pa.array(np.where(yes, 7, 3))), label="label") == {
        "q": "error"
    }


def test_a_gap_a_scale_and_many_codes_give_the_label_away():
    _, yes, table, rng = book()
    score = np.where(yes, rng.uniform(0.6, 1, 2_000), rng.uniform(0, 0.4, 2_000))
    codes = np.where(yes, rng.choice(["a", "b", "c"], 2_000), rng.choice(["d", "e"], 2_000))
    table = table.append_column("gap", pa.array(score, mask=yes))
    table = table.append_column("score", pa.array(score)).append_column("code", pa.array(codes))
    assert told(table, label="label") == dict.fromkeys(("gap", "score", "code"), "error")


def test_a_near_leak_is_a_warning_and_an_honest_tail_is_nothing():
    late, yes, table, rng = book(8_000)
    tail = yes[late >= 3].mean()
    assert tail > 0.9
    table = table.append_column("near", pa.array(np.where(yes, 3.3, 0.0) + rng.normal(size=8_000)))
    assert told(table, label="label") == {"near": "warning"}


def test_ignored_and_key_columns_are_not_judged():
    _, yes, table, _ = book()
    table = table.append_column("q", pa.array(yes)).append_column("k", pa.array(yes))
    assert told(table, label="label", q="ignore", k="key") == {}


def test_a_quantity_and_its_monotone_copy():
    rng = np.random.default_rng(0)
    price = rng.lognormal(size=1_000)
    table = pa.table(
        {"price": price, "log": np.log(price), "near": price * rng.normal(1, 0.02, 1_000)}
    )
    found = told(table.append_column("x", pa.array(price + rng.normal(size=1_000))), price="label")
    assert found == {"log": "error", "near": "warning"}


@pytest.mark.parametrize("values", [["a"] * 40, ["a"] * 38 + ["b"] * 2, [None] * 40])
def test_too_few_classes_are_noted(values):
    table = pa.table({"x": np.arange(40.0), "label": pa.array(values, pa.string())})
    check = Leakage(tables.context_for(table, label="label"))
    model = check.finish(check.fit(tables.cut(table)[0]))
    assert not len(model.overall)
    assert "Not checked" in model.notes[0]


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [("titanic", "survived", {"alive": "error"}), ("diamonds", "cut", {})],
)
def test_real_tables(name, label, expected):
    assert told(pyarrow.csv.read_csv(DATA / f"{name}.csv"), **{label: "label"}) == expected


@pytest.mark.parametrize("rows", [20, 60, 300])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_row_number_of_a_sorted_table_is_an_error_in_few_rows(rows, classes):
    rows = max(rows, 10 * classes)
    labels = np.sort(np.arange(rows) % classes).astype(str)
    index = pa.array(np.arange(rows))
    table = pa.table({"index": index, "label": labels})
    assert told(table, label="label") == {"index": "error"}
    shuffled = pa.array(np.random.default_rng(1).permutation(rows))
    assert told(table.set_column(0, "index", shuffled), label="label") == {}
    measured = pa.array(np.sort(np.random.default_rng(2).normal(size=rows)))
    assert told(table.set_column(0, "index", measured), label="label") == {
        "index": "error" if rows // classes >= 150 else "warning"
    }
