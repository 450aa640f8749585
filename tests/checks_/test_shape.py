"""Shape: each refusal beside its near miss."""

import dataclasses
import functools

import numpy as np
import pyarrow as pa
import pytest
import tables

from checks.shape import Shape


def said(table, *sizes, **roles):
    check = Shape(tables.context_for(table, **roles))
    shards = tables.cut(table, *sizes)
    model = check.finish(functools.reduce(check.merge, [check.fit(shard) for shard in shards]))
    return {(f["rule"][6:], f["column"], f["severity"]) for f in model.overall.to_pylist()}


def labelled(values, **columns):
    rows = len(values)
    plain = {"x": np.arange(float(rows)), "label": values}
    return pa.table(plain | columns)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["yes"] * 30, {("V012", "label", "error")}),
        (pa.nulls(30, pa.string()), {("V012", "label", "error")}),
        (["yes"] * 29 + ["no"], set()),
        ([f"c{n}" for n in range(60)], {("V014", "label", "error")}),
        ([f"c{n % 25}" for n in range(60)], set()),
        (list(range(60)), {("V014", "label", "error")}),
        ([n * n for n in range(60)], set()),
        (list(np.random.default_rng(0).random(60)), set()),
    ],
    ids=["one", "none", "two", "per-row", "25-of-60", "running", "quantity", "number"],
)
def test_label_classes(values, expected):
    assert said(labelled(values), label="label") == expected


@pytest.mark.parametrize(("rows", "code"), [(19, True), (20, False)])
def test_twenty_rows_are_enough(rows, code):
    found = said(labelled(["a", "b"] * (rows // 2) + ["a"] * (rows % 2)), label="label")
    assert (("V016", None, "error") in found) is code


@pytest.mark.parametrize(
    ("rows", "least", "severity"),
    [(5, 1, "warning"), (5, 6, "error"), (19, 5, "warning"), (20, 5, None), (30, 50, "error")],
)
def test_a_contract_may_ask_for_fewer_rows_or_more(rows, least, severity):
    table = labelled((["a", "b"] * rows)[:rows])
    context = tables.context_for(table, label="label")
    contract = dataclasses.replace(context.contract, checks={"shape": {"least_rows": least}})
    check = Shape(dataclasses.replace(context, contract=contract))
    found = check.finish(check.fit(tables.cut(table, rows)[0])).overall.to_pylist()
    assert [f["severity"] for f in found if f["rule"] == "ASSAY-V016"] == (
        [severity] if severity else []
    )


def test_null_and_constant_columns():
    values = ["yes", "no"] * 15
    columns = {
        "gone": pa.nulls(30, pa.float64()),
        "same": ["k"] * 30,
        "nearly": ["k"] * 29 + ["l"],
        "unused": pa.nulls(30, pa.string()),
    }
    found = said(labelled(values, **columns), label="label", unused="ignore")
    assert found == {("V015", "gone", "error"), ("V015", "same", "warning")}


@pytest.mark.parametrize("sizes", [(), (7_000,), (1, 5_000, 9_000)], ids=str)
@pytest.mark.parametrize(("many", "warns"), [(10_000, False), (10_001, True), (25_000, True)])
def test_ten_thousand_categories(many, warns, sizes):
    codes = [f"c{n % many}" for n in range(25_000)]
    table = labelled(["yes", "no"] * 12_500, code=codes, note=codes, id=codes)
    found = said(table, *sizes, label="label", note="text", id="key")
    assert found == ({("V019", "code", "warning")} if warns else set())


def test_evidence_counts_beyond_what_is_kept():
    table = labelled(["yes", "no"] * 12_500, code=[f"c{n}" for n in range(25_000)])
    check = Shape(tables.context_for(table, label="label"))
    [finding] = check.finish(check.fit(tables.cut(table)[0])).overall.to_pylist()
    about = int(finding["evidence"].split()[1].replace(",", ""))
    assert about == pytest.approx(25_000, rel=0.05)
