"""What the clean output is worth: better where wrong rows are held, unsaid where nothing can be."""

import numpy as np
import pyarrow as pa
import pytest
import tables

from checks.kit import encode, model_comparison


def poisoned(rows=3_000, seed=0, rate=0.15):
    """Return rows whose label follows `a` and `b`, with wrong ones near the border of one class."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    honest = a + b + 0.3 * rng.normal(size=rows) > 0
    wrong = (rng.random(rows) < 4 * rate) & honest & (a > 0.5)
    label = np.where(honest ^ wrong, "yes", "no")
    return (
        pa.table({"a": a, "b": b, "y": label}),
        wrong,
        pa.table({"a": a, "b": b, "y": np.where(honest, "yes", "no")}),
    )


def compared(table, held, asked, label="y"):
    how = encode.kinds(tables.contract_for(table.schema, **{label: "label"}), table)
    return model_comparison.compare(table, how, label, held, asked)


def test_without_wrong_rows_a_model_is_better_on_trusted_ones():
    table, wrong, _ = poisoned()
    trusted = poisoned(seed=1)[2]
    found = compared(table, wrong, trusted)
    assert (found.learnt, found.held, found.asked) == (3_000, wrong.sum(), 3_000)
    right, loss = found.measures
    assert right.clean > right.raw + 0.02
    assert (right.word, loss.word) == ("better", "better")
    assert right.low < right.clean - right.raw < right.high


def test_honest_rows_held_at_random_make_no_difference():
    _, _, table = poisoned()
    held = np.random.default_rng(2).random(3_000) < 0.01
    right, _ = compared(table, held, poisoned(seed=1)[2]).measures
    assert right.word.startswith("no significant")


def test_without_nearly_all_rows_of_a_class_a_model_is_worse():
    _, _, table = poisoned()
    held = (table["y"].to_numpy() == "yes") & (np.arange(3_000) % 40 > 0)
    right, loss = compared(table, held, poisoned(seed=1)[2]).measures
    assert right.word == loss.word == "worse"


def test_without_a_test_set_each_half_is_told_by_the_other():
    table, wrong, _ = poisoned()
    doubted = wrong | (np.arange(3_000) % 10 == 0)
    found = compared(table, wrong, ~doubted)
    assert found.asked == (~doubted).sum()
    assert found.measures[0].word == "better"


def test_a_number_is_measured_by_its_distance():
    rng = np.random.default_rng(0)
    a = rng.normal(size=2_000)
    honest = 3 * a + rng.normal(size=2_000)
    held = (rng.random(2_000) < 0.4) & (a > 1)
    table = pa.table({"a": a, "y": honest + 20 * held})
    [distance] = compared(table, held, pa.table({"a": a, "y": honest})).measures
    assert (distance.name, distance.word) == (model_comparison.DISTANCE, "better")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda table, held: (table, held & False), "none of the sampled rows is quarantined"),
        (lambda table, held: (table.slice(0, 50), held[:50]), "too few rows"),
        (lambda table, held: (table.select(["y"]), held), "too few rows or columns"),
        (
            lambda table, _: (table, np.asarray(table["y"].to_numpy() == "yes")),
            "only one class",
        ),
        (
            lambda table, held: (
                table.set_column(2, "y", pa.array([str(n) for n in range(3_000)])),
                held,
            ),
            "3,000 classes",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(change, why):
    table, wrong, _ = poisoned()
    table, held = change(table, wrong)
    found = compared(table, held, ~held)
    assert why in found.why
    assert not found.measures


def test_labels_unknown_to_the_dataset_are_not_asked_about():
    table, wrong, clean = poisoned()
    other = clean.slice(0, 1_000).to_pydict()
    other["y"][:100] = ["maybe"] * 50 + [None] * 50
    assert compared(table, wrong, pa.table(other)).asked == 900
