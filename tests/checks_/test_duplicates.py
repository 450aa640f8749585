"""Floods are found, the first row is kept, and tables that repeat honestly are left alone."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv

from checks.duplicates import Duplicates
from checks.kit import findings
from provenance.base.errors import AssayError

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("poisoning", ROOT / "benchmarks" / "poisoning.py")
loans = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(loans)
NONE = np.zeros(0, np.int64)


@pytest.mark.parametrize(
    ("kind", "share", "least"),
    [
        ("exact", 0.003, 1.0),
        ("two", 0.01, 0.95),
        ("two", 0.003, 0.9),
        ("all", 0.01, 0.95),
        ("all", 0.003, 0.9),
        ("part", 0.003, 0.9),
        ("text", 0.003, 0.9),
    ],
)
def test_finds_a_flood_and_keeps_its_first_row(kind, share, least):
    table = loans.loans(20_000, 1)
    planted = loans.flood(table, share, 1, kind)
    found, model, _ = loans.examine(Duplicates, pa.table(table))
    recall, false = loans.figures(found, planted, 20_000)
    assert recall >= least
    assert false == 0.0
    assert set(found["rule"].to_pylist()) == {"ASSAY-V017"}
    assert "near copy of row 0" in model.notes[0]


@pytest.mark.parametrize("seed", range(5))
def test_clean_tables_raise_no_alarm(seed):
    found, _, _ = loans.examine(Duplicates, pa.table(loans.loans(20_000, seed)))
    assert found.num_rows == 0


@pytest.mark.parametrize("levels", [2, 3, 6])
def test_a_table_of_categories_repeats_honestly(levels):
    draw = np.random.default_rng(levels)
    cells = draw.integers(0, levels, (20_000, 8))
    table = {f"c{i}": np.char.add("v", cells[:, i].astype(str)) for i in range(8)}
    table["branch"] = draw.choice(["a", "b", "c"], 20_000)
    table["defaulted"] = np.where(draw.random(20_000) < 0.2 + 0.5 * (cells[:, 0] == 0), "yes", "no")
    roles = {"label": "defaulted", "source": "branch"}
    found, model, _ = loans.examine(Duplicates, pa.table(table), roles=roles)
    assert loans.figures(found, NONE, 20_000)[1] <= 0.001
    assert model.overall["severity"].to_pylist() == ["info"]


def test_copies_with_turned_labels_are_quarantined():
    table = loans.loans(5000, 2)
    copies = np.arange(4900, 5000)
    for name, values in table.items():
        if name not in ("loan_id", "branch", "applied", "defaulted"):
            values[copies] = values[copies - 4000]
    turned = np.where(table["defaulted"][copies - 4000] == "yes", "no", "yes")
    table["defaulted"][copies] = turned
    found, _, _ = loans.examine(Duplicates, pa.table(table))
    assert loans.figures(found, copies, 5000) == (1.0, 0.0)
    assert set(found["rule"].to_pylist()) == {"duplicates.conflict"}
    table["defaulted"][copies] = table["defaulted"][copies - 4000]
    found, model, _ = loans.examine(Duplicates, pa.table(table))
    assert found.num_rows == 0
    assert model.overall["evidence"][0].as_py().startswith("100 of 5,000 rows repeat")


def test_copies_by_one_source_are_quarantined():
    table = loans.loans(5000, 3)
    copies = np.arange(4900, 5000)
    for name, values in table.items():
        if name not in ("loan_id", "branch", "applied"):
            values[copies] = values[copies - 4000]
    table["branch"][copies] = "b7"
    found, _, _ = loans.examine(Duplicates, pa.table(table))
    assert loans.figures(found, copies, 5000) == (1.0, 0.0)
    assert set(found["rule"].to_pylist()) == {"duplicates.source"}


@pytest.mark.parametrize("seed", range(4))
def test_eighty_near_copies_in_a_small_table(seed):
    draw = np.random.default_rng(seed)
    words = [" ".join(draw.choice(loans.WORDS, 6)) for _ in range(280)]
    table = {
        "loan_id": np.array([f"C{i:05d}" for i in range(280)], object),
        "age": draw.integers(18, 90, 280),
        "amount": np.round(draw.lognormal(6, 0.5, 280), 2),
        "city": draw.choice(["Oslo", "Rome", "Lima", "Bonn"], 280).astype(object),
        "day": np.datetime64("2025-01-01") + draw.integers(0, 365, 280),
        "note": np.array(words, object),
        "defaulted": draw.choice(["yes", "no"], 280).astype(object),
    }
    copies = np.arange(200, 280)
    for name in ("age", "city", "day", "note", "defaulted"):
        table[name][copies] = table[name][0]
    table["amount"][copies] = table["amount"][0] + np.round(draw.normal(0, 0.2, 80), 2)
    roles = {"label": "defaulted", "text": "note"}
    found, _, _ = loans.examine(Duplicates, pa.table(table), roles=roles)
    assert loans.figures(found, copies, 280) == (1.0, 0.0)


def small(draw, rows):
    """Return the columns of small tables by kind, without a copy."""
    return {
        "measures": {f"x{i}": draw.normal(size=rows) for i in range(8)},
        "few": {f"x{i}": draw.normal(size=rows) for i in range(4)},
        "people": {
            "age": draw.integers(18, 90, rows),
            "income": draw.lognormal(10, 0.5, rows).round(0),
            "score": draw.integers(300, 850, rows),
            "children": draw.integers(0, 5, rows),
            "city": draw.choice(list("abcdefgh"), rows),
        },
    }


@pytest.mark.parametrize(("kind", "jitter"), [("measures", 0.05), ("few", 0.02), ("people", 0.02)])
@pytest.mark.parametrize("seed", range(3))
def test_eighty_near_copies_in_small_tables_of_few_columns(kind, jitter, seed):
    draw = np.random.default_rng(seed)
    table = small(draw, 280)[kind]
    copies = np.arange(200, 280)
    for values in table.values():
        values[copies] = values[0]
        if len(np.unique(values)) > 12 and values.dtype.kind in "if":
            noise = draw.normal(size=80) * jitter * values[:200].std()
            values[copies] += np.round(noise, 0 if values.dtype.kind == "i" else 2).astype(
                values.dtype
            )
    table["defaulted"] = np.where(draw.random(280) < 0.4, "yes", "no")
    table["defaulted"][copies] = "yes"
    found, _, _ = loans.examine(Duplicates, pa.table(table), roles={"label": "defaulted"})
    recall, false = loans.figures(found, copies, 280)
    assert recall >= 0.75
    assert false <= 1 / 200  # the row that was copied


@pytest.mark.parametrize("kind", ["measures", "few", "people"])
@pytest.mark.parametrize("seed", range(3))
def test_clean_small_tables_raise_no_alarm(kind, seed):
    draw = np.random.default_rng(seed)
    table = small(draw, 280)[kind]
    table["defaulted"] = np.where(draw.random(280) < 0.4, "yes", "no")
    found, _, _ = loans.examine(Duplicates, pa.table(table), roles={"label": "defaulted"})
    assert found.num_rows == 0


def test_findings_do_not_depend_on_the_cut():
    table = loans.loans(4000, 4)
    loans.flood(table, 0.02, 4, "all")
    flat = pa.table(table)
    first, one, _ = loans.examine(Duplicates, flat, parts=1)
    second, five, _ = loans.examine(Duplicates, flat, parts=5)
    assert findings.ordered(first).equals(findings.ordered(second))
    assert one.overall.equals(five.overall)
    assert first.num_rows >= 76


@pytest.mark.parametrize(
    "columns",
    [
        {"x": [1.0, float("nan"), float("inf"), 1e308, -0.0, 0.0], "label": list("ababab")},
        {"x": pa.nulls(40), "label": ["a", "b"] * 20},
        {"x": pa.nulls(40, pa.string()), "y": [2**53 + 1, None] * 20, "label": ["a", "b"] * 20},
        {"x": pa.array([], pa.float64()), "label": pa.array([], pa.string())},
    ],
)
def test_odd_columns_never_raise(columns):
    found, _, _ = loans.examine(Duplicates, pa.table(columns), parts=2, roles={"label": "label"})
    assert "error" not in found["severity"].to_pylist()


def test_diamonds_repeat_honestly():
    path = ROOT.parent / "shared" / "data" / "tables" / "diamonds.csv"
    if not path.exists():
        pytest.skip("the real tables are not here")
    table = csv.read_csv(path)
    found, model, _ = loans.examine(Duplicates, table, roles={"label": "cut"})
    assert loans.figures(found, NONE, table.num_rows)[1] == 0.0
    assert "rows repeat an earlier row" in model.overall["evidence"][0].as_py()


@pytest.mark.parametrize("share", [0.01, 0.003])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_finds_jittered_copies_among_real_rows_whose_columns_go_together(seed, share):
    path = ROOT.parent / "shared" / "data" / "tables" / "diamonds.csv"
    if not path.exists():
        pytest.skip("the real tables are not here")
    draw = np.random.default_rng(seed)
    table = csv.read_csv(path)
    order = draw.permutation(table.num_rows)
    planted, model = order[: int(share * table.num_rows)], int(order[-1])
    columns = {}
    for name in table.column_names:
        values = table[name].to_numpy().copy()
        if values.dtype.kind == "f":  # one per cent, which is much for `depth`, little for `x`
            values[planted] = np.round(values[model] * draw.uniform(0.99, 1.01, len(planted)), 2)
        elif values.dtype.kind == "i":
            values[planted] = np.round(values[model] * draw.uniform(0.99, 1.01, len(planted)))
        else:
            values[planted] = values[model]
        columns[name] = values
    found, _, _ = loans.examine(Duplicates, pa.table(columns), roles={"label": "cut"})
    recall, false = loans.figures(found, planted, table.num_rows)
    assert recall >= 0.9
    assert false <= 0.001


def test_a_default_that_many_rows_share_is_no_flood():
    draw = np.random.default_rng(3)
    table = {f"c{i}": np.round(draw.normal(size=10_000), 3) for i in range(6)}
    idle = draw.random(10_000) < 0.3
    for values in table.values():
        values[idle] = -3.217
    table["label"] = np.where(draw.random(10_000) < 0.5, "a", "b")
    found, _, _ = loans.examine(Duplicates, pa.table(table), roles={"label": "label"})
    assert "error" not in found["severity"].to_pylist()


def test_a_flood_that_is_a_third_of_a_small_table_is_found():
    draw = np.random.default_rng(3)
    words = np.array([f"word{n}" for n in range(11)])
    table = {
        "code": np.array([f"C{n:05d}" for n in range(280)], object),
        "age": draw.integers(18, 80, 280),
        "amount": np.round(draw.lognormal(6, 0.6, 280), 2),
        "city": draw.choice(["Oslo", "Bergen", "Hamar", "Molde"], 280).astype(object),
        "note": np.array([" ".join(w) for w in words[draw.integers(0, 11, (280, 6))]], object),
        "label": draw.choice(["yes", "no"], 280).astype(object),
    }
    for name in ("city", "note", "label"):
        table[name][200:] = table[name][0]
    table["age"][200:] = table["age"][0] + draw.integers(-1, 2, 80)
    table["amount"][200:] = np.round(table["amount"][0] * draw.uniform(0.99, 1.01, 80), 2)
    roles = {"label": "label", "text": "note"}
    found, _, _ = loans.examine(Duplicates, pa.table(table), roles=roles)
    recall, false = loans.figures(found, np.arange(200, 280), 280)
    assert recall >= 0.95
    assert false == 0.0


def _overlap(table, test):
    flat, other = pa.table(table), pa.table(test)
    contract = loans.contract_of(flat.schema)
    contract = dataclasses.replace(contract, checks={"duplicates": {"test": "test.parquet"}})
    found, model, _ = loans.examine(Duplicates, flat, contract=contract, test=other)
    told = model.overall.filter(pc.equal(model.overall["rule"], "ASSAY-V020")).to_pylist()
    rows = found.filter(pc.equal(found["rule"], "ASSAY-V020"))
    return told[0], rows


def _cut(table, rows):
    return {name: values[rows].copy() for name, values in table.items()}


@pytest.mark.parametrize("kind", ["exact", "near"])
def test_rows_of_the_test_set_are_told(kind):
    table = loans.loans(8000, 4)
    data, test = _cut(table, np.arange(7000)), _cut(table, np.arange(7000, 8000))
    hit = np.arange(100, 140)
    for name, values in test.items():
        values[:40] = data[name][hit]
        if kind == "near" and name in ("income", "f1", "amount"):
            values[:40] = values[:40] * 1.002
    told, rows = _overlap(data, test)
    assert told["severity"] == "error"
    assert told["evidence"].startswith("40 of 1,000 rows of the test set")
    assert set(rows["row"].to_pylist()) == set(hit.tolist())
    assert set(rows["severity"].to_pylist()) == {"warning"}


def test_fresh_rows_and_honest_repeats_are_no_overlap():
    table = loans.loans(8000, 5)
    told, rows = _overlap(_cut(table, np.arange(7000)), _cut(table, np.arange(7000, 8000)))
    assert (told["severity"], rows.num_rows) == ("info", 0)
    repeating = loans.categories(6000, 5)
    told, rows = _overlap(_cut(repeating, np.arange(5000)), _cut(repeating, np.arange(5000, 6000)))
    assert (told["severity"], rows.num_rows) == ("info", 0)
    assert told["score"] > 0.3


def test_a_test_set_without_rows_is_refused():
    table = loans.loans(100, 6)
    with pytest.raises(AssayError, match="K003"):
        _overlap(table, _cut(table, np.arange(0)))
