"""A source that labels otherwise than its columns lead one to expect is named to the reviewer."""

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from checks.sources import Sources

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("poisoning", ROOT / "benchmarks" / "poisoning.py")
loans = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(loans)


def contrasts(table, **extra):
    """Return the dataset-level findings."""
    found, model, _ = loans.examine(Sources, pa.table(table), **extra)
    assert found.num_rows == 0
    return model.overall.to_pylist()


@pytest.mark.parametrize("seed", range(5))
def test_honest_sources_are_not_named(seed):
    assert contrasts(loans.loans(10_000, seed)) == []


def test_a_source_with_other_rows_but_honest_labels_is_not_named():
    table = loans.loans(10_000, 1)
    moved = (table["late_payments"] >= 2) & (np.arange(10_000) % 2 == 0)
    table["branch"][moved] = "b3"
    mine = table["branch"] == "b3"
    assert (table["defaulted"][mine] == "yes").mean() > 0.3 > (table["defaulted"] == "yes").mean()
    assert contrasts(table) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_source_that_turns_labels_is_named(seed):
    table = loans.loans(10_000, seed)
    mine = np.flatnonzero(table["branch"] == "b3")
    draw = np.random.default_rng(seed)
    table["defaulted"][mine[draw.random(len(mine)) < 0.3]] = "yes"
    found = contrasts(table)
    assert [(f["rule"], f["severity"], f["column"]) for f in found] == [
        ("sources.label_mix", "warning", "branch")
    ]
    assert contrasts(table, parts=5) == found


@pytest.mark.parametrize("rows", [0, 1, 300])
def test_nulls_and_few_rows_never_raise(rows):
    table = pa.table(loans.loans(300, 4))
    empty = pa.table([pa.nulls(rows, f.type) for f in table.schema], schema=table.schema)
    assert loans.examine(Sources, empty)[1].overall.num_rows == 0
