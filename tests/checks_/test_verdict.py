"""From findings to fates and a verdict."""

import numpy as np
import pytest

from checks.kit import findings, verdict
from checks.kit.contract_model import Policy


def decide(found=None, source=2000, quarantine=0, rejected=0, **policy):
    found = findings.empty() if found is None else found
    counts = {"source": source, "quarantine": quarantine, "rejected": rejected}
    return verdict.decide(found, Policy(**policy), **counts)


def codes(decided):
    return [reason.code for reason in decided.reasons]


def of(rule, severity="error", rows=None):
    return findings.make(rows, check="c", rule=rule, severity=severity, evidence="why")


def test_nothing_found_passes():
    assert (decide().word, decide().exit_code) == ("pass", 0)


@pytest.mark.parametrize(
    ("quarantine", "rejected", "source", "expected"),
    [
        (200, 0, 2000, []),
        (201, 0, 2000, ["ASSAY-K011"]),
        (0, 20, 2000, []),
        (0, 21, 2000, ["ASSAY-K012"]),
        (0, 3, 99, []),  # a few rejected rows are normal, whatever the size of the source
        (0, 4, 99, ["ASSAY-K012"]),
        (0, 4, 400, []),
        (0, 4, 399, ["ASSAY-K012"]),
    ],
)
def test_shares_have_limits(quarantine, rejected, source, expected):
    decided = decide(source=source, quarantine=quarantine, rejected=rejected)
    assert codes(decided) == expected
    assert decided.exit_code == (1 if expected else 0)


@pytest.mark.parametrize(
    ("rejected", "share", "is_over"), [(1, 0, True), (1, 0.02, False), (3, 0.02, True)]
)
def test_a_limit_that_the_contract_names_holds_for_any_source(rejected, share, is_over):
    decided = decide(source=100, rejected=rejected, max_rejected_share=share)
    assert codes(decided) == (["ASSAY-K012"] if is_over else [])


def test_row_findings_quarantine_but_do_not_fail():
    found = findings.concat([of("a.x", rows=[5, 3, 5]), of("b.y", "warning", [7])])
    assert verdict.quarantined_rows(found).tolist() == [3, 5]
    assert decide(found).passed


def test_overall_errors_fail_and_keep_their_code():
    decided = decide(findings.concat([of("ASSAY-K010"), of("mean.in_range"), of("x", "warning")]))
    assert codes(decided) == ["ASSAY-K010", "ASSAY-K014"]
    assert decided.exit_code == 1


def test_what_did_not_run_is_never_a_pass_and_comes_first():
    decided = decide(findings.concat([of("ASSAY-K010"), of("ASSAY-K001")]))
    assert codes(decided)[0] == "ASSAY-K001"
    assert (decided.passed, decided.checked, decided.exit_code) == (False, False, 3)


def test_rows_that_were_never_cast_come_before_what_follows_from_them():
    cast = findings.make(range(90), check="ingest", rule="ASSAY-I035", column="n",
                         evidence="column 'n' contains a decimal point")  # fmt: skip
    few = findings.concat([of("rowCount"), of("ASSAY-K025"), of("ASSAY-V012"), cast])
    decided = decide(few, source=100, quarantine=90)
    assert codes(decided)[:2] == ["ASSAY-K011", "ASSAY-K025"]
    assert "column 'n' contains a decimal point (ASSAY-I035)" in decided.reasons[0].message
    assert "List them" not in decided.reasons[0].message  # what is to be done is at the source
    assert codes(decide(few, source=100, quarantine=9))[0] == "ASSAY-K025"
    assert codes(decide(of("ASSAY-V012"), rejected=90))[0] == "ASSAY-K012"


def test_rows_that_checks_hold_follow_what_is_wrong_with_the_dataset():
    found = findings.concat([of("ASSAY-V018"), of("a.x", rows=range(300))])
    assert codes(decide(found, quarantine=300)) == ["ASSAY-V018", "ASSAY-K011"]


def test_warnings_fail_only_when_asked():
    found = of("a.x", "warning", [1])
    assert decide(found).passed
    assert codes(decide(found, fail_on="warning")) == ["ASSAY-K015"]


def test_reasons_are_one_list_a_row_errors_first():
    found = findings.concat([of("w", "warning", [4]), of("e", "error", [4]), of("z", "error", [2])])
    lists = verdict.reasons_of(found).to_pylist()
    assert [[item["rule"] for item in row] for row in lists] == [["z"], ["e", "w"]]
    assert lists[0][0]["message"] == "why"
    assert len(verdict.reasons_of(findings.empty())) == 0


def test_reasons_of_a_row_begin_with_the_cause():
    named = [("a", "a.guess"), ("values", "ASSAY-V004"), ("contract", "n.minimum"),
             ("ingest", "ASSAY-I035")]  # fmt: skip
    found = findings.concat([findings.make([1], check=c, rule=r) for c, r in named])
    [row] = verdict.reasons_of(found).to_pylist()
    assert [item["rule"] for item in row] == [rule for _, rule in reversed(named)]


def test_scores_are_rounded_and_nan_is_null():
    table = findings.make(np.array([1, 2]), check="c", rule="r", score=[0.12345678, float("nan")])
    assert table["score"].to_pylist() == [0.123457, None]
    assert findings.ordered(table).equals(findings.ordered(table.take([1, 0])))
