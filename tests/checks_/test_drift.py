"""Shifts that matter are seen every time, and the noise of small nights never."""

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tables

from checks.drift import Drift
from provenance.base.errors import AssayError

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("poisoning", ROOT / "benchmarks" / "poisoning.py")
loans = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(loans)
REFERENCE = pa.table(loans.loans(20_000, 999))


def drifted(table, parts=2, reference=REFERENCE):
    """Return the dataset-level findings of one night."""
    flat = pa.table(table)
    found, model, _ = loans.examine(Drift, flat, parts=parts, reference=reference)
    assert found.num_rows == 0
    return model.overall.to_pylist()


LARGE = [pytest.param(rows, marks=pytest.mark.long) for rows in (1000, 20_000)]


@pytest.mark.parametrize("rows", [500, 5000, *LARGE])
def test_clean_nights_raise_no_alarm(rows):
    assert [item for seed in range(10) for item in drifted(loans.loans(rows, seed))] == []


@pytest.mark.parametrize("rows", [500, 1000])
def test_a_small_reference_raises_no_alarm(rows):
    reference = REFERENCE.slice(0, rows)
    nights = [drifted(loans.loans(2000, seed), reference=reference) for seed in range(10)]
    assert nights == [[]] * 10


def shift(table, draw):
    del draw
    table["balance"] += 0.5 * 900


def new_category(table, draw):
    table["purpose"][draw.random(5000) < 0.05] = "boat"


def more_defaults(table, draw):
    label = table["defaulted"]
    others = np.flatnonzero(label == "no")
    label[draw.choice(others, 500, replace=False)] = "yes"


def missing(table, draw):
    table["income"] = pa.array(table["income"], mask=draw.random(5000) < 0.1)


def new_words(table, draw):
    del draw
    table["note"] = np.array([f"{text} blockchain synergy" for text in table["note"]], object)


@pytest.mark.parametrize(
    ("plant", "column"),
    [
        (shift, "balance"),
        (new_category, "purpose"),
        (more_defaults, "defaulted"),
        (missing, "income"),
        (new_words, "note"),
    ],
)
def test_a_sudden_change_is_seen_the_same_night(plant, column):
    for seed in range(5):
        table = loans.loans(5000, seed)
        plant(table, np.random.default_rng(seed))
        found = drifted(table)
        whole = [f for f in found if f["column"] is None]  # what a classifier makes of it
        assert [f["severity"] for f in whole] == ["warning"] * (plant in (shift, new_words))
        assert all(f"by {column}." in f["evidence"] for f in whole)
        assert [(f["column"], f["severity"], f["rule"]) for f in found if f["column"]] == [
            (column, "error", "ASSAY-K010")
        ]


def two_groups(rows, seed, apart):
    """Return a table whose a follows b, or with `apart` its opposite; each alone is alike."""
    rng = np.random.default_rng(seed)
    b = rng.normal(size=rows)
    a = (-b if apart else b) + rng.normal(size=rows)
    label = np.where(rng.random(rows) < 1 / (1 + np.exp(-2 * b)), "yes", "no")
    return pa.table({"a": a, "b": b, "c": rng.normal(size=rows), "label": label})


def judged(table, reference, **roles):
    check = Drift(tables.context_for(table, reference, **roles))
    [shard] = tables.cut(table)
    return check.finish(check.fit(shard)).overall.to_pylist()


def test_columns_that_go_together_differently_are_an_error_and_named():
    reference = two_groups(6_000, 1, apart=False)
    assert judged(two_groups(2_000, 2, apart=False), reference, label="label") == []
    found = judged(two_groups(2_000, 3, apart=True), reference, label="label")
    [whole] = [f for f in found if f["column"] is None]
    assert whole["severity"] == "error"
    assert "by b, a" in whole["evidence"] or "by a, b" in whole["evidence"]
    assert "relate to each other differently" in whole["evidence"]


def test_a_relation_to_the_label_that_changed_is_an_error_where_the_shares_are_the_same():
    reference = two_groups(6_000, 4, apart=False)
    table = two_groups(2_000, 5, apart=False)
    labels = table["label"].to_pylist()
    table = table.set_column(3, "label", pa.array(np.random.default_rng(0).permutation(labels)))
    found = {f["column"]: f for f in judged(table, reference, label="label")}
    assert set(found) == {"a", "b"}
    assert found["b"]["severity"] == "error"
    assert "relation to the label" in found["b"]["evidence"]


def test_more_of_one_class_alone_is_no_change_of_relation():
    reference = two_groups(12_000, 6, apart=False)
    pool = two_groups(12_000, 7, apart=False)
    is_yes = np.array(pool["label"].to_pylist()) == "yes"
    rows = np.concatenate([np.flatnonzero(is_yes)[:3_000], np.flatnonzero(~is_yes)[:1_000]])
    found = judged(pool.take(pa.array(rows)), reference, label="label")
    assert [f for f in found if "relation" in f["evidence"]] == []
    assert "label" in [f["column"] for f in found]


def test_a_wider_column_has_moved_although_its_middle_has_not():
    rng = np.random.default_rng(8)
    reference = pa.table({"x": rng.normal(size=6_000)})
    [found] = [f for f in judged(pa.table({"x": rng.normal(0, 2.0, 2_000)}), reference)
               if f["column"]]  # fmt: skip
    assert "Wasserstein 0.4" in found["evidence"]


def test_a_tenth_of_a_deviation_is_no_error():
    table = loans.loans(20_000, 1)
    table["balance"] += 0.1 * 900
    assert "error" not in [item["severity"] for item in drifted(table)]


def test_findings_do_not_depend_on_the_cut():
    table = loans.loans(5000, 2)
    table["balance"] += 900
    assert drifted(table, parts=1) == drifted(table, parts=7) != []


def test_a_column_that_the_reference_lacks_is_an_error():
    found = drifted(loans.loans(200, 3), reference=REFERENCE.drop_columns(["age"]))
    assert [(f["column"], f["severity"]) for f in found] == [("age", "error")]


def test_a_reference_of_other_types_is_refused():
    place = REFERENCE.column_names.index("age")
    reference = REFERENCE.set_column(place, "age", pa.array(["old"] * REFERENCE.num_rows))
    with pytest.raises(AssayError, match="ASSAY-K003"):
        drifted(loans.loans(200, 3), reference=reference)


@pytest.mark.parametrize("rows", [0, 1, 30])
def test_nulls_and_few_rows_never_raise(rows):
    table = pa.table(loans.loans(rows, 4)) if rows else REFERENCE.slice(0, 0)
    empty = pa.table([pa.nulls(rows, f.type) for f in table.schema], schema=table.schema)
    found = loans.examine(Drift, empty, reference=REFERENCE)[1].overall.to_pylist()
    codes = {item["rule"] for item in found}
    assert codes == ({"ASSAY-K010"} if rows >= 20 else {"ASSAY-V016"})  # never a silent pass
