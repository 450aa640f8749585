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


def small(kind, rows, seed):
    """Return a small table with noise and one column `c`, a leak or an honest predictor."""
    rng = np.random.default_rng(seed)
    yes = rng.random(rows) < 0.4
    column = rng.normal(size=rows) + float(kind if isinstance(kind, float) else 0) * yes
    if kind == "gap":
        column = np.where(yes, rng.uniform(4, 95, rows), rng.uniform(313, 896, rows))
    if kind == "copy":
        column = 10 * yes + rng.normal(size=rows)
    if kind == "row number":
        yes, column = np.sort(yes), np.arange(rows)
    noise = {f"n{i}": rng.normal(size=rows) for i in range(4)}
    return pa.table({**noise, "c": column, "label": np.where(yes, "yes", "no")})


@pytest.mark.parametrize("rows", [50, 100, 150, 300])
@pytest.mark.parametrize("kind", ["gap", "copy", "row number"])
@pytest.mark.parametrize("seed", range(3))
def test_a_leak_shows_in_a_small_table(kind, rows, seed):
    assert told(small(kind, rows, seed), label="label") == {"c": "error"}


@pytest.mark.parametrize("rows", [50, 100, 150, 300])
@pytest.mark.parametrize("apart", [1.0, 2.0, 3.0])
def test_an_honest_strong_predictor_in_a_small_table_is_no_error(rows, apart):
    found = [told(small(apart, rows, seed), label="label") for seed in range(10)]
    assert all("error" not in one.values() for one in found)
    assert apart > 2 or not any(found)


def test_the_evidence_says_on_how_few_rows_it_rests():
    table = small("gap", 150, 0)
    check = Leakage(tables.context_for(table, label="label"))
    [found] = check.finish(check.fit(tables.cut(table)[0])).overall.to_pylist()
    assert found["rule"] == "ASSAY-V018"
    assert "150 rows" in found["evidence"]


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_real_small_tables_raise_no_error(name):
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    columns = {f"c{i}": data.data[:, i] for i in range(data.data.shape[1])}
    table = pa.table({**columns, "label": np.char.add("k", data.target.astype(str))})
    for rows in (50, 100, 150):
        some = np.random.default_rng(rows).permutation(len(table))[:rows]
        assert "error" not in told(table.take(pa.array(some)), label="label").values()


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
        "index": "error" if rows // classes >= 100 else "warning"
    }
