"""Cuts of a rule over all its columns: a column whose reviewed rows were wrong is left out."""

import pytest

from checks.kit import findings
from checks.kit.contract_model import Contract
from pipelines.learning import cuts, teaching
from pipelines.learning.cases import Case

RULE = "outliers.joint"


def reviewed_rows(score, released, wrong):
    return sorted([Case(score, is_wrong=False)] * released + [Case(score, is_wrong=True)] * wrong)


def pooled(**columns):
    """Return the cut of a rule as a whole, from released and wrong rows of its columns at 0.9."""
    known = {(RULE, name): reviewed_rows(0.9, *counts) for name, counts in columns.items()}
    return next((cut for cut in cuts.learnt(known) if not cut.column), None)


@pytest.mark.parametrize(
    ("columns", "excluded"),
    [
        ({"a": (0, 10), "b": (50, 0), "c": (50, 0)}, ("a",)),
        ({"a": (9, 1), "b": (50, 0), "c": (50, 0)}, ("a",)),  # up to 40 % of all may be wrong
        ({"a": (19, 1), "b": (50, 0), "c": (50, 0)}, ()),
        ({"a": (1, 2), "b": (50, 0), "c": (50, 0)}, ("a",)),
        ({"a": (0, 1), "b": (50, 0), "c": (50, 0)}, ()),  # one may be the reviewer's slip
        ({"a": (4, 2), "b": (50, 0), "c": (50, 0)}, ()),  # a third
        ({"a": (3, 0), "b": (50, 0)}, ()),
        ({"": (0, 10), "b": (50, 0), "c": (50, 0)}, ("",)),
        ({"a": (0, 10), "b": (100, 0)}, None),  # one column says nothing of a third
        ({"a": (0, 10), "b": (5, 0), "c": (4, 0)}, None),
    ],
)
def test_a_cut_of_all_columns_leaves_out_those_that_speak_against_it(columns, excluded):
    cut = pooled(**columns)
    assert (cut and cut.excluded) == excluded
    if cut:
        others = [counts for name, counts in columns.items() if name not in excluded]
        assert (cut.released, cut.wrong) == tuple(map(sum, zip(*others, strict=True)))


def test_errors_in_a_column_whose_reviewed_rows_were_wrong_stay_errors():
    counts = {"a": (0, 10), "b": (50, 0), "c": (50, 0)}
    known = {(RULE, name): reviewed_rows(0.9, *each) for name, each in counts.items()}
    taught = teaching.Teaching(cuts.learnt(known))
    found = findings.make([0, 1, 2, 3, 4], check="outliers", rule=RULE, evidence="far", score=0.8,
                          column=["a", "b", "c", "d", None])  # fmt: skip
    made = teaching.apply(found, taught, Contract("n", "1", "", "", ()))
    assert made.found["severity"].to_pylist() == ["error"] + ["warning"] * 4


def test_a_cut_of_all_columns_reaches_no_further_than_a_column_that_counts():
    known = {(RULE, name): reviewed_rows(0.4, 50, 0) for name in ("b", "c")}
    known[RULE, "a"] = [*reviewed_rows(0.5, 0, 10), *reviewed_rows(0.9, 2, 0)]
    assert {(cut.column, cut.upto) for cut in cuts.learnt(known)} == {
        ("", 0.4), ("b", 0.4), ("c", 0.4),
    }  # fmt: skip


def test_no_threshold_of_all_columns_is_proposed_where_one_speaks_against_it():
    def names(**columns):
        known = {(RULE, name): [*reviewed_rows(0.5, *counts), Case(0.9, is_wrong=True)]
                 for name, counts in columns.items()}  # fmt: skip
        return [each.name for each in cuts.proposals(known)]

    assert names(a=(9, 0), b=(30, 0)) == [RULE, f"{RULE} b"]
    assert names(a=(0, 9), b=(30, 0)) == [f"{RULE} b"]
