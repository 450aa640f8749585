"""A source that labels otherwise than its columns lead one to expect is named to the reviewer."""

import dataclasses
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
    assert {(f["rule"], f["severity"], f["column"]) for f in found} == {
        ("sources.label_mix", "warning", "branch"),
        ("sources.influence", "warning", "branch"),
    }
    assert len(found) == 2
    assert contrasts(table, parts=5) == found


@pytest.mark.parametrize("seed", range(3))
def test_a_source_that_turns_as_many_labels_each_way_harms_the_others(seed):
    table = loans.loans(10_000, seed)
    mine = np.flatnonzero(table["branch"] == "b3")
    yes = mine[table["defaulted"][mine] == "yes"]
    no = mine[table["defaulted"][mine] == "no"][: len(yes)]
    table["defaulted"][yes], table["defaulted"][no] = "no", "yes"
    assert [f["rule"] for f in contrasts(table)] == ["sources.influence"]


def test_a_source_against_itself_in_the_reference():
    now, before = loans.loans(6_000, 1), pa.table(loans.loans(6_000, 2))
    assert contrasts(now, reference=before) == []
    mine = now["branch"] == "b3"
    # its rows say so too: no other rule may see this
    now["defaulted"][mine] = np.where(now["late_payments"][mine] >= 1, "yes", "no")
    now["late_payments"][mine] = np.where(now["defaulted"][mine] == "yes", 3, 0)
    found = contrasts(now, reference=before)
    assert [f["rule"] for f in found] == ["sources.label_change"]
    assert "b3" not in found[0]["evidence"]


def test_shares_that_come_go_or_double():
    before = loans.loans(4_000, 2)
    before["branch"][:600] = "b9"
    now = loans.loans(4_000, 1)
    now["branch"][:800] = "b8"
    now["branch"][800:1600] = "b7"
    told = [f["evidence"] for f in contrasts(now, reference=pa.table(before))]
    assert len(told) == 3
    assert any("not in the reference supplies 20.0%" in text for text in told)
    assert any("supplied 15.0% of the reference supplies no rows" in text for text in told)
    assert any("it supplied" in text for text in told)
    assert not any(name in text for text in told for name in ("b7", "b8", "b9"))


def test_without_a_label_shares_are_compared():
    roles = {"source": "branch", "text": "note", "ignore": "defaulted"}
    now, before = loans.loans(1_000, 1), pa.table(loans.loans(1_000, 2))
    now["branch"][:500] = "new"
    found, model, _ = loans.examine(Sources, pa.table(now), roles=roles, reference=before)
    assert found.num_rows == 0
    assert "sources.share" in model.overall["rule"].to_pylist()
    assert any("label" in note for note in model.notes)


def _odd(kind):
    table = loans.loans(400, 4)
    odd = {
        "one class": {"defaulted": ["yes"] * 400},
        "a class a row": {"defaulted": [f"c{n}" for n in range(400)]},
        "a source a row": {"branch": [f"s{n}" for n in range(400)]},
        "one source": {"branch": ["b"] * 400},
        "extremes": {"income": np.resize([np.nan, 1e308, -1e308, 0.0], 400)},
        "many levels": {"region": [f"r{n}" for n in range(400)]},
        "constant": {"income": np.ones(400), "region": ["x"] * 400},
    }
    return pa.table(table | odd[kind])


@pytest.mark.parametrize(
    "kind",
    ["one class", "a class a row", "a source a row", "one source", "extremes", "many levels",
     "constant"],
)  # fmt: skip
def test_odd_tables_never_raise(kind):
    table = _odd(kind)
    found, model, _ = loans.examine(Sources, table, reference=pa.table(loans.loans(400, 5)))
    assert found.num_rows == 0
    assert set(model.overall["severity"].to_pylist()) <= {"warning"}


@pytest.mark.parametrize("rows", [0, 1, 300])
def test_nulls_and_few_rows_never_raise(rows):
    table = pa.table(loans.loans(300, 4))
    empty = pa.table([pa.nulls(rows, f.type) for f in table.schema], schema=table.schema)
    assert loans.examine(Sources, empty)[1].overall.num_rows == 0


def test_figures_of_a_protected_column_are_not_shown():
    table = loans.loans(10_000, 1)
    mine = np.flatnonzero(table["branch"] == "b3")
    table["defaulted"][mine[:600]] = "yes"
    contract = loans.contract_of(pa.table(table).schema)
    columns = tuple(
        dataclasses.replace(c, roles=c.roles | {"quasi_identifier"}) if c.name == "branch" else c
        for c in contract.columns
    )
    found = contrasts(table, contract=dataclasses.replace(contract, columns=columns))
    assert {f["rule"] for f in found} >= {"sources.label_mix"}
    assert all(f["score"] == 1.0 and "not shown" in f["evidence"] for f in found)
    assert not any(char.isdigit() for f in found for char in f["evidence"])
