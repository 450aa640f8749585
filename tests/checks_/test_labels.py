"""Label errors: planted flips beside honest overlap, odd labels, real tables as they are."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
import tables
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import average_precision_score

from checks.kit import sample
from checks.labels import Labels, _codes, _normal, names

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "tables"


def judged(table, label, **roles):
    check = Labels(tables.context_for(table, **{label: "label"}, **roles))
    [shard] = tables.cut(table)
    model = check.finish(check.fit(shard))
    found = check.score(shard, model)
    return found, model, shard


def rows_of(found, severity):
    return found.filter(pc.equal(found["severity"], severity))["row"].to_numpy()


def flipped(table, label, rate, seed=0):
    rng = np.random.default_rng(seed)
    given, codes = np.unique(table[label].to_numpy(), return_inverse=True)
    hit = rng.choice(len(codes), int(rate * len(codes)), replace=False)
    codes[hit] = (codes[hit] + rng.integers(1, len(given), len(hit))) % len(given)
    place = table.column_names.index(label)
    wrong = np.zeros(len(codes), bool)
    wrong[hit] = True
    return table.set_column(place, label, pa.array(given[codes])), wrong


def sklearn_table(load):
    data = load()
    columns = {f"f{n}": data.data[:, n].astype(float) for n in range(data.data.shape[1])}
    return pa.table(columns | {"y": data.target.astype(str)})


@pytest.mark.parametrize("rate", [0.03, 0.1])
def test_planted_flips_are_found_and_the_stated_share_holds(rate):
    table, wrong = flipped(sklearn_table(load_digits), "y", rate)
    found, model, _ = judged(table, "y")
    severe = rows_of(found, "error")
    assert wrong[severe].sum() / wrong.sum() > 0.6
    assert 1 - wrong[severe].mean() < 0.15
    assert "expected to be honest" in model.notes[0]


@pytest.mark.parametrize("load", [load_digits, load_breast_cancer])
def test_clean_tables_lose_no_row(load):
    found, _, _ = judged(sklearn_table(load), "y")
    assert len(rows_of(found, "error")) == 0
    assert len(found) < 0.03 * load().data.shape[0]


def overlapping(rows, seed, floor=0.0):
    # late payers default by 95 % at most: a hard problem, no error
    rng = np.random.default_rng(seed)
    x, late = rng.normal(size=rows), rng.poisson(1.0, rows)
    yes = rng.random(rows) < 1 / (1 + np.exp(-(1.5 * late + x - 2.5)))
    wrong = rng.random(rows) < floor
    return pa.table({"x": x, "late": late, "label": np.where(yes ^ wrong, "yes", "no")}), wrong


@pytest.mark.parametrize("seed", range(3))
def test_an_honest_hard_problem_is_not_quarantined(seed):
    found, _, _ = judged(overlapping(6_000, seed)[0], "label")
    assert len(rows_of(found, "error")) <= 6
    assert len(rows_of(found, "warning")) <= 0.03 * 6_000


def test_ranking_puts_flips_first_and_beats_chance_by_far():
    table, wrong = flipped(sklearn_table(load_breast_cancer), "y", 0.1, seed=2)
    _, model, shard = judged(table, "y")
    given = _codes(names(table["y"]), model.classes)
    chances = _normal(model.fitted.predict(table, sample.folds(shard)))
    assert average_precision_score(wrong, model.likely.score(chances, given)) > 0.75


def test_evidence_names_classes_and_suggests_the_other():
    table, _ = flipped(sklearn_table(load_digits), "y", 0.03)
    found, _, _ = judged(table, "y")
    row = found.slice(0, 1).to_pylist()[0]
    assert row["rule"] == "labels.contradicted"
    assert row["evidence"].startswith("given class '")
    assert row["suggestion"].startswith("relabel to '")
    assert row["column"] == "y"


def test_rare_and_missing_classes_are_not_judged():
    table = overlapping(1_000, 0)[0]
    labels = table["label"].to_pylist()
    labels[:3], labels[3:6] = ["odd"] * 3, [None] * 3
    table = table.set_column(2, "label", pa.array(labels, pa.string()))
    found, model, _ = judged(table, "label")
    assert model.classes == ("no", "yes")
    assert not set(found["row"].to_pylist()) & set(range(6))
    assert "not judged" in " ".join(model.notes)


@pytest.mark.parametrize(
    "values",
    [["a"] * 200, [f"c{n}" for n in range(200)], [None] * 200],
    ids=["one", "each", "none"],
)
def test_labels_that_cannot_be_judged_are_noted(values):
    table = pa.table({"x": np.arange(200.0), "label": pa.array(values, pa.string())})
    found, model, _ = judged(table, "label")
    assert not len(found)
    assert "not judged" in model.notes[0]


def test_a_quantity_far_from_what_the_rest_foretells_is_held():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3_000, 3))
    price = 100 + 20 * x[:, 0] + 10 * x[:, 1] ** 2 + rng.normal(size=3_000)
    hit = rng.choice(3_000, 20, replace=False)
    clean = pa.table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "price": price})
    assert len(rows_of(judged(clean, "price")[0], "error")) <= 3
    price = price.copy()
    price[hit] += 60
    found, _, _ = judged(clean.set_column(3, "price", pa.array(price)), "price")
    severe = set(rows_of(found, "error").tolist())
    assert len(severe & set(hit.tolist())) >= 18
    assert len(severe - set(hit.tolist())) <= 4


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
@pytest.mark.parametrize(("name", "label"), [("titanic", "survived"), ("diamonds", "cut")])
def test_real_tables_as_they_are(name, label):
    table = pyarrow.csv.read_csv(DATA / f"{name}.csv")
    table = table.drop_columns([c for c in ("alive",) if c in table.column_names])
    found, _, _ = judged(table.slice(0, 15_000), label)
    assert len(rows_of(found, "error")) <= 0.005 * min(len(table), 15_000)
