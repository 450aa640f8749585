"""The report as text: what it says, in which order, how large it grows, what hostile text does."""

import dataclasses
import re
import time

import numpy as np
import pyarrow as pa
import pytest
from pipelines_.report_fixture import ROWS, category_panel, failing, number_panel, passing

from checks.kit import findings
from checks.kit.model_comparison import Worth
from checks.kit.protocol import Panel
from pipelines.checking.examine import Status
from pipelines.report import charts, finding_tables
from pipelines.report import page as report
from pipelines.report.facts import WorthFacts, folded
from provenance.base.codes import CODES
from provenance.base.errors import Notice

HOSTILE = (
    "<script>alert(1)</script>\u202eevil\u2066\x00\x1b[31m{{ 7*7 }}'\"><img src=x onerror=alert(2)>"
)


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.replace("\N{NO-BREAK SPACE}", " ")))


def wide(
    rows_a_rule, *, columns=50, evidence="a sentence of ordinary length says why this row is odd"
):
    """Facts of 50 columns, each with a rule and a drift panel of 40 bins."""
    rng = np.random.default_rng(3)
    edges = np.linspace(0, 1, 41)
    counts = rng.multinomial(20_000, np.full(40, 1 / 40), size=(columns, 2))
    panels = tuple(
        dataclasses.replace(
            number_panel(f"column_{i}", edges, *counts[i]), statistic="PSI", value=0.01, limit=0.2
        )
        for i in range(columns)
    )
    parts = [
        findings.make(
            np.arange(rows_a_rule), check="schema", rule=f"rule_{i}", column=f"column_{i}",
            score=rng.uniform(size=rows_a_rule), evidence=evidence, suggestion="Repair the source.",
        )
        for i in range(columns)
    ]  # fmt: skip
    facts = dataclasses.replace(failing(), rules=(), scores=(), drift=panels)
    found = findings.concat(parts) if rows_a_rule else findings.empty()
    return finding_tables.facts_of(facts, found)


def test_same_facts_give_the_same_bytes():
    assert report.render(failing()) == report.render(failing())


def test_says_first_what_did_not_run_and_what_to_do():
    page = report.render(failing())
    header = text_of(page[page.index("<header") : page.index("</header>")])
    crash, drift = header.index("leakage crashed"), header.index("2 columns drifted")
    assert crash < drift
    assert "Do not train on this run: 4 reasons" in header
    assert " ".join(CODES["K010"][1].replace("`", " ").split()).rstrip(" .") in header
    assert "1 more reason" in header


def test_every_link_within_the_page_has_its_target():
    for facts in (failing(), passing(), dataclasses.replace(failing(), drift=(), scores=())):
        page = report.render(facts)
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
        assert {
            ref for refs in re.findall(r'labelledby="([^"]+)"', page) for ref in refs.split()
        } <= set(ids)


def test_a_check_that_did_not_run_is_never_shown_as_one_that_found_nothing():
    page = report.render(failing())
    row = page[page.index('<th scope="row">membership') :]
    row = text_of(row[: row.index("</tr>")])
    assert "did not run: timed out" in row
    assert "unknown" in row
    assert " 0 " not in row


def test_an_unknown_status_counts_as_not_run():
    odd = (Status("labels", "perhaps"),)
    page = report.render(dataclasses.replace(passing(), checks=odd))
    assert 'class="out"' in page
    assert "unknown: perhaps" in page
    assert "0 ran" in text_of(page)


def test_what_was_not_checked_names_skipped_checks_too():
    page = text_of(report.render(failing()))
    said = page[page.index("What was not checked A pass") :]
    assert "sources: skipped, the contract names no source." in said
    assert "Names and places in free text" in said


@pytest.mark.parametrize(("lost", "said"), [(0, "The counts add up"), (1, "do not add up")])
def test_rows_that_vanish_are_said_loudly(lost, said):
    facts = passing()
    rows = {**facts.rows, "clean": facts.rows["clean"] - lost}
    page = text_of(report.render(dataclasses.replace(facts, rows=rows)))
    assert said in page
    assert ("ready for training" in page) is (lost == 0)


def test_what_the_clean_output_is_worth_is_said_with_what_it_was_measured_on():
    page = report.render(failing())
    shown = text_of(page[page.index('<section id="worth"') : page.index('<section id="drift"')])
    assert re.search(r"sample of 10,000\b.* 1,209 of them .* held", shown)
    assert "8,000 rows: the rows of the reference." in shown
    assert "accuracy 93.81 % 94.24 % +0.12 points to +0.74 points better" in shown
    assert "log loss 0.1612 0.1633 -0.0008 to +0.0050 no significant difference" in shown
    assert "note repaid 31.20 % 98.70 % 30.40 %" in shown


def test_a_comparison_that_was_not_made_says_why_and_one_not_asked_for_is_not_there():
    why = WorthFacts(Worth("none of the sampled rows is held"), "")
    page = report.render(dataclasses.replace(failing(), worth=why))
    assert "none of the sampled rows is held" in text_of(page)
    page = report.render(dataclasses.replace(failing(), worth=None))
    assert 'id="worth"' not in page


def test_commands_name_the_run():
    page = report.render(failing())
    steps = page[page.index('<section id="next"') : page.index('<section id="checks"')]
    commands = re.findall(r"assay (review|explain|release|verify) (\S+)", text_of(steps))
    assert set(commands) == {(verb, "7") for verb in ("review", "explain", "release", "verify")}


def test_hostile_text_is_escaped_cut_and_made_visible():
    facts = dataclasses.replace(
        wide(3, columns=2, evidence=HOSTILE * 20_000),
        dataset=HOSTILE,
        reasons=(Notice(HOSTILE, HOSTILE * 10_000, HOSTILE), Notice("ASSAY-K010", "`" + HOSTILE)),
        unchecked=(HOSTILE,),
        policy={HOSTILE: {"nested": HOSTILE}},
        drift=(category_panel(HOSTILE, {HOSTILE: 3, "b": 1}, {HOSTILE: 1}),),
    )
    page = report.render(facts)
    assert len(page) < 120_000
    assert page.count("<script") == 2  # our data and our script
    assert "<img" not in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", page)
    assert "\\u202e" in page
    assert "{{ 7*7 }}" in page
    assert page.encode("utf-8")


def test_lone_surrogates_do_not_break_the_page():
    page = report.render(dataclasses.replace(passing(), dataset="a\ud800b"))
    assert "a\\ud800b" in page
    page.encode("utf-8")


def test_data_for_programs_cannot_close_its_element():
    page = report.render(dataclasses.replace(passing(), dataset="</script><b>&amp;"))
    data = page[page.index('id="assay-report">') + 18 :]
    data = data[: data.index("</script>")]
    assert "<" not in data
    assert '"verdict":"pass"' in data
    assert "\\u003c/script\\u003e" in data


def test_fifty_columns_stay_under_300_kb_without_rows():
    assert len(report.render(wide(0)).encode()) < 300_000


def test_of_two_thousand_columns_those_that_drifted_most_are_drawn_and_all_are_named():
    facts = dataclasses.replace(wide(0), drift=wide(0, columns=2_000).drift)
    worst = [f"column_{i}" for i in range(1_000, 1_150)]
    panels = tuple(
        dataclasses.replace(panel, value=float(panel.column.removeprefix("column_")))
        for panel in facts.drift
    )
    panels = tuple(dataclasses.replace(p, is_drifted=p.column in worst) for p in panels)
    page = report.render(dataclasses.replace(facts, drift=panels))
    assert len(page.encode()) < 1_500_000
    assert re.findall(r"<h3>(column_\d+)</h3>", page) == worst[-report.MOST_CHARTS :]
    tabled = re.findall(r"<tr><td>(column_\d+)<td>(\w+)<td", page)
    assert len(tabled) == 2_000 - report.MOST_CHARTS
    assert [name for name, outcome in tabled if outcome == "drifted"] == worst[49::-1]
    assert "150 of 2000 columns exceed their limit" in text_of(page)


def test_two_thousand_rows_stay_under_1_5_mb():
    facts = wide(300, evidence="words that say why, at some length " * 6)
    assert sum(len(rule.top) for rule in facts.rules) == finding_tables.ROWS_IN_ALL
    assert len(report.render(facts).encode()) < 1_500_000


def test_text_that_grows_when_escaped_stays_under_1_5_mb():
    page = report.render(wide(300, evidence="&\u202e" * 5_000))
    assert len(page.encode()) < 1_500_000


def test_three_thousand_rules_stay_under_3_mb():
    facts = dataclasses.replace(wide(4, columns=3_000), drift=())
    assert len(facts.rules) == 3_000
    assert len(report.render(facts).encode()) < 3_000_000


def test_rules_are_counted_ranked_and_cut():
    found = pa.concat_tables(
        [
            findings.make(
                np.repeat(np.arange(500), 2), check="a", rule="a.one", column=["x", "y"] * 500,
                score=np.arange(1_000) / 1_000, evidence="e",
            ),
            findings.make(np.arange(900), check="b", rule="b.two", severity="warning"),
            findings.make(None, check="c", rule="c.three", column="z"),
        ]
    )  # fmt: skip
    shuffled = found.take(np.random.default_rng(0).permutation(found.num_rows))
    rules = finding_tables.rules_of(shuffled, 1_000)
    assert rules == finding_tables.rules_of(found, 1_000)
    first, second, third = rules
    assert (first.rule, first.findings, first.rows, first.share) == ("a.one", 1_000, 500, 0.5)
    assert first.columns == ("x", "y")
    assert first.examples == (499, 498, 497, 496, 495)
    assert [item.row for item in first.top[:3]] == [499, 499, 498]
    assert len(first.top) == finding_tables.ROWS_A_RULE
    assert (second.rule, second.rows, second.examples) == ("c.three", 0, ())
    assert second.top[0].row is None
    assert (third.severity, third.share) == ("warning", 0.9)


def test_each_rule_shows_its_own_rows():
    parts = [
        findings.make(np.arange(n * 10, n * 10 + n), check="k", rule=f"k.{n}") for n in range(1, 6)
    ]
    for rule in finding_tables.rules_of(findings.concat(parts), 100):
        count = int(rule.rule[2:])
        assert [item.row for item in rule.top] == list(range(count * 10, count * 11))


@pytest.mark.parametrize(
    ("rules", "each", "shown"),
    [(5, 100, 500), (10, 1_000, 2_000), (3, 1_000, 600), (2_500, 2, 2_000)],
)
def test_rows_are_shared_out_evenly(rules, each, shown):
    quotas = finding_tables._quotas(np.full(rules, each))
    assert quotas.sum() == shown
    assert quotas.max() - quotas.min() <= 1
    assert quotas.max() <= finding_tables.ROWS_A_RULE


@pytest.mark.parametrize("evidence", ["17 odd signs", ["none", "17 odd signs"]])
def test_evidence_that_all_rows_of_a_rule_share_is_shown_once(evidence):
    found = findings.make([1, 2], check="k", rule="k.r", evidence=evidence)
    page = report.render(finding_tables.facts_of(dataclasses.replace(passing(), rules=()), found))
    assert page.count("17 odd signs") == 1
    assert (">Evidence</th>" in page) is isinstance(evidence, list)


def test_no_findings_no_rules():
    assert finding_tables.rules_of(findings.empty(), 10) == ()
    assert "There are no findings" in report.render(
        finding_tables.facts_of(dataclasses.replace(passing(), rules=()), findings.empty())
    )


def test_a_million_findings_are_summed_up_in_seconds():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, ROWS, 1_000_000)
    found = findings.make(
        rows, check="a", rule="a.b", score=rng.uniform(size=1_000_000), evidence="x"
    )
    start = time.perf_counter()
    (rule,) = finding_tables.rules_of(found, ROWS)
    assert time.perf_counter() - start < 10
    assert rule.rows == len(np.unique(rows))


def test_scores_are_drawn_only_where_they_differ():
    found = pa.concat_tables(
        [
            findings.make([1, 2, 3], check="graded", rule="g", score=[0.1, 0.5, 1.0]),
            findings.make([1, 2], check="flat", rule="f"),
            findings.make(None, check="whole", rule="w", score=0.2),
        ]
    )
    (drawn,) = finding_tables.scores_of(found)
    assert drawn.check == "graded"
    assert sum(drawn.counts) == 3
    assert charts.score_summary(drawn).startswith("3 findings")


def test_densities_have_area_one_for_unequal_and_open_bins():
    panel = Panel("x", (0.0, 1.0, 4.0), (), (1, 2, 3, 4), (0, 0, 5, 5))
    assert charts.ends(panel).tolist() == [-1, 0, 1, 4, 7]
    for shares in charts.shares(panel):
        assert np.isclose(shares.sum(), 1)
    assert "reference, n = 10" in charts.drift_chart(panel, "d1")


EXTREME = [(2.0**63,), (-1e308, 1e308), (1.7e308,), (0.0, 5e-324), (0.0, 5e-324, 1.0), (0.0,),
           (-1.79e308, 0.0, 1.79e308), (5e-324,), (1e16, 1e16 + 2), (-1e-310, 1e-310)]  # fmt: skip


@pytest.mark.parametrize("edges", EXTREME, ids=str)
def test_numbers_of_any_size_are_drawn(edges):
    count = len(edges) + 1
    panel = Panel("x", edges, (), tuple(range(count)), tuple(range(1, count + 1)))
    drawn = charts.drift_chart(panel, "d1")
    assert not re.search(r"\bnan\b|\binf\b", drawn)
    assert all(len(charts.bin_name(panel, index)) < 50 for index in range(count))


def test_a_column_without_values_is_drawn_all_the_same():
    empty = number_panel("x", [0, 1, 2], [0, 0], [0, 0])
    assert "<svg" in charts.drift_chart(empty, "d1")
    assert "<svg" in charts.drift_chart(category_panel("y", {}, {}), "d2")


def test_many_categories_become_one():
    many = {f"c{i:02}": 100 - i for i in range(60)}
    panel = folded(category_panel("x", many, {"new": 1_000}))
    assert panel.categories[0] == "new"
    assert panel.categories[-1] == "41 others"
    assert sum(panel.reference) == sum(many.values())
    assert sum(panel.current) == 1_000


def test_new_categories_are_drawn_and_those_of_one_name_are_added():
    panel = folded(Panel("x", (), ("a", "<PERSON>", "<PERSON>"), (5, 2, 1, 0), (5, 0, 1, 7)))
    assert panel.categories == ("a", "new", "<PERSON>")
    assert (panel.reference, panel.current) == ((5, 0, 3), (5, 7, 1))


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0, "0.00 %"),
        (0.00001, "< 0.01 %"),
        (0.99999, "99.99 %"),
        (1, "100.00 %"),
        (0.1234, "12.34 %"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(share, said):
    assert charts.percent(share) == said


def test_one_row_of_a_million_is_seen_in_the_bar():
    rows = {"source": 1_000_000, "clean": 999_999, "quarantine": 0, "rejected": 1}
    bar = charts.fates_bar(rows)
    widths = [float(w) for w in re.findall(r'class="fate-\w+" x="[\d.]+" width="([\d.]+)"', bar)]
    assert len(widths) == 2
    assert min(widths) > 3
    assert abs(sum(widths) - charts.BAR_WIDTH) < 0.5


def test_what_reviewers_decided_is_a_table_with_the_price_of_a_threshold():
    assert 'id="lessons"' not in report.render(failing())
    price = "at 0.93 instead of 0.9, 31 of 38 released rows would not have been held"
    lessons = (
        {"rule": "labels.contradicted", "wrong": 12, "reviewed": 50, "low": 0.143, "high": 0.374,
         "proposals": [{"name": "labels.contradicted status", "says": price}]},
        {"rule": "pii.<b>", "wrong": 3, "reviewed": 3, "low": 0.438, "high": 1.0, "proposals": []},
    )  # fmt: skip
    page = report.render(dataclasses.replace(failing(), lessons=lessons))
    said = text_of(page)
    assert "What reviewers decided" in said
    assert "labels.contradicted 50 24.00 % 14.30 % to 37.40 %" in said
    assert f"labels.contradicted status: {price}" in said
    assert "pii.<b>" not in page
