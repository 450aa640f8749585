"""A source that changes at once is named among ten nights of history; one that does not is not."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from checks.sources import Sources, past_runs

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("poisoning", ROOT / "benchmarks" / "poisoning.py")
loans = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(loans)
ROWS, NIGHTS = 4_000, 10


def night(seed, change=None):
    table = loans.loans(ROWS, seed)
    # b0 delivers at weekends only what others do all week
    if seed % 7 not in (5, 6):
        table["branch"] = np.where(table["branch"] == "b0", "b1", table["branch"]).astype(object)
    if change:
        change(table)
    return table


def kept(table, found=None):
    owner, label = (pa.chunked_array([table[name]]) for name in ("branch", "defaulted"))
    made = past_runs.remembered(owner, label)
    if found is not None:
        numbers = past_runs.numbers(pa.array(sorted(made_names(table))))
        counts = {name: int((table["branch"] == name).sum()) for name in made_names(table)}
        made["found"] = {
            number: [round(found(name) * counts[name]), counts[name]]
            for number, name in zip(numbers, sorted(counts), strict=True)
        }
    return made


def made_names(table):
    return set(table["branch"].tolist())


PAST = tuple(kept(night(seed), lambda _: 0.02) for seed in range(NIGHTS))


def judged(table, found=None, past=PAST):
    return past_runs.changed(kept(table, found), past, "branch").to_pylist()


@pytest.mark.parametrize("seed", range(NIGHTS, NIGHTS + 14))
def test_honest_nights_and_weekends_are_no_change(seed):
    assert judged(night(seed), lambda name: 0.02 + 0.01 * (name == "b4")) == []


def grows(table):
    table["branch"][:1600] = "b3"


def doubles(table):
    table["branch"][:900] = "b3"


def vanishes(table):
    table["branch"] = np.where(table["branch"] == "b1", "b2", table["branch"]).astype(object)


def comes(table):
    table["branch"][:400] = "new"


@pytest.mark.parametrize(
    ("change", "severity"),
    [(grows, "error"), (doubles, "warning"), (vanishes, "warning"), (comes, "warning")],
)
def test_a_share_that_changes_at_once(change, severity):
    found = [f for f in judged(night(14, change)) if "share of all rows is" in f["evidence"]]
    assert severity in {f["severity"] for f in found}
    assert {(f["rule"], f["check"], f["column"]) for f in found} == {
        ("ASSAY-K022", "sources", "branch")
    }
    assert not any(name in f["evidence"] for f in found for name in ("b1", "b2", "b3", "new"))


@pytest.mark.parametrize(("turned", "severity"), [(0.3, "warning"), (0.9, "error")])
def test_labels_of_one_source_that_change_at_once(turned, severity):
    def turns(table):
        mine = np.flatnonzero(table["branch"] == "b3")
        table["defaulted"][mine[: int(turned * len(mine))]] = "yes"

    [finding] = judged(night(14, turns))
    assert finding["severity"] == severity
    assert "previous 10 runs" in finding["evidence"]


def test_labels_that_change_in_all_sources_are_left_to_drift():
    def turns(table):
        table["defaulted"][: ROWS // 2] = "yes"

    assert judged(night(14, turns)) == []


@pytest.mark.parametrize(("rate", "severity"), [(0.14, "warning"), (0.5, "error")])
def test_findings_of_one_source_that_become_many_at_once(rate, severity):
    [finding] = judged(night(14), lambda name: rate if name == "b3" else 0.02)
    assert finding["severity"] == severity
    assert "share of rows with findings" in finding["evidence"]


def test_a_few_nights_are_no_past():
    assert judged(night(14, grows), past=PAST[:4]) == []


def test_the_check_itself_remembers_and_compares():
    history = {"sources": tuple({**one, "run": n, "time": "2026"} for n, one in enumerate(PAST))}
    table = pa.table(night(14, grows))
    _, model, _ = loans.examine(Sources, table, history=history)
    assert "ASSAY-K022" in model.overall["rule"].to_pylist()
    told = json.dumps(model.memory)
    assert json.loads(told) == model.memory
    assert "b3" not in told
    assert "yes" not in told
    _, again, _ = loans.examine(Sources, table, parts=5, history=history)
    assert again.memory == model.memory


def test_of_a_protected_column_nothing_is_remembered():
    table = pa.table(night(14, grows))
    contract = loans.contract_of(table.schema)
    columns = tuple(
        dataclasses.replace(c, roles=c.roles | {"quasi_identifier"}) if c.name == "branch" else c
        for c in contract.columns
    )
    contract = dataclasses.replace(contract, columns=columns)
    _, model, _ = loans.examine(Sources, table, contract=contract, history={"sources": PAST})
    assert model.memory == {}
    assert "ASSAY-K022" not in model.overall["rule"].to_pylist()


def test_more_sources_than_are_remembered_are_no_change():
    many = {"branch": np.array([f"s{n % 120}" for n in range(ROWS)], object)}
    table = {**night(14), **many}
    past = tuple(kept({**night(seed), **many}) for seed in range(NIGHTS))
    assert len(past[0]["share"]) == past_runs.MOST
    assert judged(table, past=past) == []
