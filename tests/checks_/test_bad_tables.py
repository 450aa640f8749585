"""What nobody can learn from is told or left alone: poison, duplicates and leakage never raise."""

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from checks.duplicates import Duplicates
from checks.kit import registry
from checks.kit.protocol import Context
from checks.leakage import Leakage
from checks.poison import Poison

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("poisoning", ROOT / "benchmarks" / "poisoning.py")
loans = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(loans)


def bad_table(what):
    """Return a table that teaches nothing, or too much."""
    draw = np.random.default_rng(0)
    rows, columns = {"20 rows": (20, 4), "500 columns": (1000, 500)}.get(what, (2000, 4))
    table = {f"x{n}": draw.normal(size=rows) for n in range(columns)}
    table["city"] = draw.choice(["Oslo", "Rome", "Lima"], rows).astype(object)
    table["note"] = np.array([" ".join(draw.choice(loans.WORDS, 5)) for _ in range(rows)], object)
    table["label"] = draw.choice(["a", "b"], rows).astype(object)
    if what == "one class":
        table["label"][:] = "a"
    elif what == "one row a class":
        table["label"] = np.array([f"c{n}" for n in range(rows)], object)
    elif what == "no label":
        table["label"][:] = None
    elif what == "null and constant columns":
        table |= {"x0": np.full(rows, np.nan), "x1": np.full(rows, 7.0)}
        table["city"] = np.full(rows, None, object)
        table["note"] = np.full(rows, "same words", object)
    elif what == "30,000 categories":
        return _many(draw)
    elif what == "NaN and 1e308":
        table["x0"][::3], table["x0"][1::3], table["x1"][::2] = np.nan, 1e308, -1e308
        table["x2"][::5], table["x2"][1::5] = np.inf, -np.inf
    return table


def _many(draw):
    codes = np.array([f"K{n}" for n in range(30_000)], object)
    label = draw.choice(["a", "b"], 30_000).astype(object)
    return {"code": codes, "other": codes[::-1].copy(), "x": draw.normal(size=30_000),
            "label": label}  # fmt: skip


@pytest.mark.parametrize(
    "what",
    ["one class", "one row a class", "no label", "null and constant columns", "30,000 categories",
     "NaN and 1e308", "20 rows", "500 columns"],
)  # fmt: skip
def test_bad_tables_are_told_and_hold_no_row(what):
    table = {
        name: pa.array(
            values, from_pandas=False, type=None if name.startswith("x") else pa.string()
        )
        for name, values in bad_table(what).items()
    }
    roles = {"label": "label", "text": "note"} if "note" in table else {"label": "label"}
    for kind in (Poison, Duplicates, Leakage):
        found, model, _ = loans.examine(kind, pa.table(table), roles=roles)
        assert "error" not in found["severity"].to_pylist(), kind.name
        if kind is Poison:
            assert model.notes or model.overall.num_rows


def test_without_a_label_the_rest_is_examined():
    table = pa.table(loans.loans(200, 0)).drop_columns(["defaulted"])
    contract = loans.contract_of(table.schema, {"text": "note"})
    chosen, skipped = registry.select(Context(contract, table.schema, 200))
    assert "duplicates" in chosen
    assert {skipped[name] for name in ("poison", "leakage")} == {"the contract names no label"}
