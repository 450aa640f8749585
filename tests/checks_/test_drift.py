"""Shifts that matter are seen every time, and the noise of small nights never."""

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from checks.drift import Drift
from provenance.errors import AssayError

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


@pytest.mark.parametrize("rows", [500, 1000, 5000, 20_000])
def test_clean_nights_raise_no_alarm(rows):
    assert [item for seed in range(20) for item in drifted(loans.loans(rows, seed))] == []


@pytest.mark.parametrize("rows", [500, 1000])
def test_a_small_reference_raises_no_alarm(rows):
    reference = REFERENCE.slice(0, rows)
    nights = [drifted(loans.loans(2000, seed), reference=reference) for seed in range(20)]
    assert nights == [[]] * 20


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
    for seed in range(20):
        table = loans.loans(5000, seed)
        plant(table, np.random.default_rng(seed))
        found = drifted(table)
        assert [(f["column"], f["severity"], f["rule"]) for f in found] == [
            (column, "error", "ASSAY-K010")
        ]


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
    flat = loans.examine(Drift, empty, reference=REFERENCE)[1].overall
    assert (flat.num_rows > 0) is (rows >= 20)
