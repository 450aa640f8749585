"""Disclosure risk: counted exactly, and the proposed change really reaches k."""

import functools
import itertools
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tables

from checks.disclosure import (
    Disclosure,
    equivalence_classes,
    generalisation_plan,
    is_quasi_identifier,
)
from checks.disclosure.generalisation_ladders import ladder
from checks.kit import findings, wording
from checks.kit.protocol import Context


def people(rows=3_000, seed=0):
    draw = np.random.default_rng(seed)
    born = np.datetime64("1950-01-01") + draw.integers(0, 18_000, rows)
    return pa.table(
        {
            "age": pa.array(draw.integers(18, 90, rows)),
            "zip": [f"{n:05d}" for n in draw.integers(10_000, 10_400, rows)],
            "town": draw.choice(["oslo"] * 60 + [f"place {n}" for n in range(40)], rows),
            "born": pa.array(born.astype("datetime64[D]")),
            "sex": draw.choice(["f", "m"], rows),
            "label": draw.choice(["no", "no", "yes"], rows),
        }
    )


def run(table, columns, sizes=(), **options):
    roles = dict.fromkeys(columns, "quasi_identifier") | {"label": "label"}
    context = tables.context_for(table, None, **roles)
    contract = context.contract
    object.__setattr__(contract, "checks", {"disclosure": options})
    check = Disclosure(Context(contract, table.schema, len(table)))
    shards = tables.cut(table, *sizes)
    model = check.finish(functools.reduce(check.merge, map(check.fit, shards)))
    rows = findings.concat([check.score(shard, model) for shard in shards])
    by_rule = {item["rule"]: item for item in model.overall.to_pylist()}
    return by_rule, findings.ordered(rows)["row"].to_pylist(), model


@pytest.mark.parametrize("columns", [["age", "sex"], ["age", "zip", "sex"], ["town"]], ids=str)
def test_the_counts_are_those_of_a_group_by(columns):
    table = people()
    frame = table.to_pandas()
    grouped = frame.groupby(columns)
    sizes = grouped["label"].transform("size")
    told, _, model = run(table, columns, (700, 0, 1_100))
    note = model.notes[0]
    assert f"{grouped.ngroups:,} classes, the smallest of {sizes.min():,} row" in note
    small, unique = (
        wording.percent(share, 2) for share in ((sizes < 5).mean(), (sizes == 1).mean())
    )
    assert f"{small} of the rows are in classes of fewer than 5, {unique} are unique" in note
    alike = (grouped["label"].transform("nunique") < 2).mean()
    if alike:
        assert told["disclosure.l_diversity"]["score"] == pytest.approx(alike, abs=1e-6)
        assert told["disclosure.l_diversity"]["severity"] == "info"


def test_few_small_classes_are_told_row_by_row():
    table = people()
    table = pa.concat_tables(
        [table.set_column(0, "age", pa.array(np.full(len(table), 40))), table.slice(0, 20)]
    )
    told, rows, _ = run(table, ["age", "sex"], k=3)
    sizes = table.to_pandas().groupby(["age", "sex"])["label"].transform("size")
    assert rows == np.flatnonzero(sizes < 3).tolist() != []
    assert told["disclosure.k_anonymity"]["severity"] == "warning"
    told, again, _ = run(table, ["age", "sex"], k=3, severity="error")
    assert again == rows
    assert told["disclosure.k_anonymity"]["severity"] == "info"  # the rows are held
    assert "leave out 0." in told["disclosure.k_anonymity"]["evidence"]


def test_many_small_classes_are_a_finding_on_the_dataset():
    told, rows, _ = run(people(), ["age", "zip", "born"])
    assert rows == []
    assert told["disclosure.k_anonymity"]["severity"] == "warning"
    told, _, _ = run(people(), ["age", "zip", "born"], severity="error", k=10)
    assert told["disclosure.k_anonymity"]["severity"] == "error"
    assert "fewer than 10" in told["disclosure.k_anonymity"]["evidence"]


def test_nothing_is_said_where_all_classes_are_large():
    told, rows, model = run(people(), ["sex"])
    assert told == {}
    assert rows == []
    assert "2 classes" in model.notes[0]


def changed(frame, told):
    """Do to a frame what a plan's words say, by hand."""
    for name in frame.columns:
        if f"without {name}" in told:
            frame = frame.drop(columns=name)
        elif found := re.search(rf"{name} in steps of ([\d.e+]+)", told):
            frame[name] = np.floor(frame[name] / float(found[1]))
        elif found := re.search(rf"{name} to its first (\d+) char", told):
            frame[name] = frame[name].str[: int(found[1])]
        elif found := re.search(rf"{name} with categories under ([\d.]+)%", told):
            sizes = frame.groupby(name)[name].transform("size")
            frame[name] = frame[name].where(sizes >= float(found[1]) / 100 * len(frame), "other")
        elif found := re.search(rf"{name} to the (day|month|year)", told):
            cut = {"day": 10, "month": 7, "year": 4}[found[1]]
            frame[name] = frame[name].astype(str).str[:cut]
        elif f"{name} to the decade" in told:
            frame[name] = frame[name].astype(str).str[:3]
    return frame


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "columns",
    [["age", "zip"], ["born", "sex"], ["town", "zip", "sex"], ["age", "zip", "town", "born"]],
    ids=str,
)
def test_the_plan_reaches_k_when_it_is_done(columns, seed):
    table = people(seed=seed)
    told, _, _ = run(table, columns)
    said = told["disclosure.k_anonymity"]["evidence"]
    frame = changed(table.select(columns).to_pandas(), said.partition("reaches k = 5:")[2])
    sizes = frame.groupby(list(frame.columns))[frame.columns[0]].transform("size")
    small = float((sizes < 5).mean())
    assert small <= 0.05, said
    if small >= 0.0001:
        assert f"{wording.percent(small, 2)} of the rows left out" in said


@pytest.mark.parametrize("seed", range(3))
def test_no_smaller_change_reaches_k(seed):
    table = people(800, seed)
    columns = ["age", "zip", "sex"]
    made = equivalence_classes.gather(table, columns, [])
    found = generalisation_plan.propose(made, columns, 5, 0.05)
    assert found.is_best
    ladders = [ladder(made.cells[n].combine_chunks(), n, made.counts) for n in columns]
    tried = generalisation_plan._Tried(ladders, made.counts, 5)
    points = itertools.product(*(range(len(steps)) for steps in ladders))
    losses = [generalisation_plan._loss(ladders, p) for p in points if tried.suppressed(p) <= 0.05]
    chosen = generalisation_plan._best(
        ladders, generalisation_plan._Tried(ladders, made.counts, 5), 0.05
    )
    assert generalisation_plan._loss(ladders, chosen) == pytest.approx(min(losses))
    greedy = generalisation_plan._greedy(ladders, tried, 0.05)
    assert tried.suppressed(greedy) <= 0.05


def test_ladders_only_join_what_was_together():
    made = equivalence_classes.gather(people(), ["age", "zip", "town", "born"], [])
    for name in made.cells.column_names:
        steps = ladder(made.cells[name].combine_chunks(), name, made.counts)
        assert len(steps) > 2
        for finer, coarser in itertools.pairwise(steps):
            pairs = np.unique(np.stack([finer.codes, coarser.codes]), axis=1)
            assert len(np.unique(pairs[0])) == pairs.shape[1]
            assert coarser.loss >= finer.loss


def test_beyond_the_cap_classes_are_sampled_whole(monkeypatch):
    table = people(6_000)
    whole = equivalence_classes.gather(table, ["age", "zip"], ["label"])
    monkeypatch.setattr(equivalence_classes, "CAP", 1_000)
    parts = [equivalence_classes.gather(table.slice(at, 1_500), ["age", "zip"], ["label"]) for at in
             range(0, 6_000, 1_500)]  # fmt: skip
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        kept = functools.reduce(equivalence_classes.merge, [parts[n] for n in order])
        assert not kept.is_whole
        assert len(kept.keys) == 1_000
        assert np.array_equal(kept.keys, whole.keys[:1_000])
        assert np.array_equal(kept.counts, whole.counts[:1_000])
        assert np.array_equal(kept.distinct(0), whole.distinct(0)[:1_000])


def test_evidence_holds_no_value():
    table = people()
    told, _, model = run(table, ["age", "zip", "town"])
    text = " ".join([*(item["evidence"] for item in told.values()), *model.notes])
    assert not set(re.findall(r"\b\d{5}\b", text)) & set(table["zip"].to_pylist())
    assert "oslo" not in text
    assert "place" not in text.replace("places", "")


def test_missing_and_odd_cells_are_values_of_their_own():
    table = pa.table(
        {
            "age": pa.array([1.0, float("nan"), None, float("inf"), 1.0, -0.0, 0.0], pa.float64()),
            "town": pa.array([None, "a", None, "b", None, "c", "c"]),
            "seen": pa.array([None] * 7, pa.timestamp("us")),
            "flag": pa.array([True, None, None, False, True, True, True]),
            "label": ["a"] * 7,
        }
    )
    _, _, model = run(table, ["age", "town", "seen", "flag"])
    assert "5 classes, the smallest of 1 row" in model.notes[0]
    assert len(pd.DataFrame(model.overall.to_pylist())) == 2


def test_names_that_tell_of_a_person():
    for name in ("age", "ZipCode", "birth_date", "Geschlecht", "marital status"):
        assert is_quasi_identifier(name)
    for name in ("amount", "average_age", "page", "status", "loan_state"):
        assert not is_quasi_identifier(name)


@pytest.mark.parametrize("values", [[1e308, 3e306, 0.0, 7e307], [5e-324, 0.0, 1e-310]], ids=str)
def test_numbers_of_any_size_have_a_ladder(values):
    made = ladder(pa.array(values), "x", np.ones(len(values), np.int64))
    assert made[0].loss == 0
    assert made[-1].loss == 1
