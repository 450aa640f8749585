"""The report in a real browser: no network, no foreign script, all of it by keyboard."""

import dataclasses

import chromium
import pytest
from chromium import CONTRAST
from pipelines_.report_fixture import category_panel, failing, passing
from pipelines_.test_report import HOSTILE, wide

from pipelines.report import page as report
from provenance.base.errors import Notice

pytestmark = chromium.needed


@pytest.fixture
def opened(browser, tmp_path):
    """Open facts in a fresh page that keeps all it asked for and complained of."""
    contexts = []

    def open_facts(facts, *, folder=tmp_path, scheme="light", width=1240):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.html").write_text(report.render(facts), "utf-8")
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        contexts.append(context)
        page = chromium.watched(context.new_page())
        page.goto(f"file://{folder}/report.html")
        return page

    yield open_facts
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("facts", [failing, passing])
def test_asks_the_network_for_nothing_and_complains_of_nothing(opened, facts, scheme):
    page = opened(facts(), scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true })")
    page.wait_for_timeout(50)
    assert [url for url in page.asked if not url.startswith("data:")] == [page.url]
    assert page.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_of_4_5_or_more(opened, scheme):
    page = opened(failing(), scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true })")
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("width", [320, 400, 800, 1600])
def test_nothing_is_wider_than_the_window(opened, width):
    page = opened(failing(), width=width)
    page.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_text_does_not_run(opened):
    page = opened(
        dataclasses.replace(
            wide(8, columns=7, evidence=HOSTILE),
            dataset=HOSTILE,
            reasons=(Notice("ASSAY-K010", HOSTILE, HOSTILE),),
            drift=(category_panel(HOSTILE, {HOSTILE: 3, "b": 1}, {HOSTILE: 1}),),
        )
    )
    page.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true })")
    page.wait_for_timeout(50)
    assert page.said == []
    assert page.locator("img").count() == 0
    assert "<script>alert(1)</script>" in page.inner_text("h1")


def test_a_script_that_slips_in_is_refused(opened):
    page = opened(passing())
    for sink in ("setAttribute('onclick', 'window.ran = 1')", "innerHTML = '<b onclick=ran>'"):
        with pytest.raises(Exception, match=r"TrustedScript|TrustedHTML"):
            page.evaluate(f"document.body.{sink}")
    page.evaluate("() => { document.body.append(document.createElement('iframe')) }")
    page.evaluate("fetch('https://example.org').catch(() => {})")
    assert any("Content Security Policy" in line for line in page.said)
    assert [url for url in page.asked if url.startswith("http")] == []


def test_rules_open_sort_and_filter_by_keyboard(opened):
    page = opened(failing())
    summary = page.locator("details.rule summary", has_text="labels.suspect")
    summary.focus()
    page.keyboard.press("Enter")
    rule = page.locator("details.rule[open]")
    rows = rule.locator("tbody tr:visible")
    assert rows.count() == 200
    button = rule.get_by_role("button", name="Row")
    button.focus()
    page.keyboard.press("Enter")
    first = [
        int(text.replace(",", ""))
        for text in rule.locator("tbody tr td:first-child").all_inner_texts()
    ]
    assert first == sorted(first)
    assert rule.locator("th").first.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert rule.locator("tbody tr td:first-child").first.inner_text() == f"{first[-1]:,}"
    rule.get_by_role("searchbox").focus()
    page.keyboard.type('"10 of the 10"')
    said = rule.get_by_role("status").inner_text()
    assert 0 < rows.count() < 200
    assert said == f"{rows.count()} of 200 rows"
    assert all("10 of the 10" in text for text in rows.all_inner_texts())


def test_rules_are_filtered_by_any_word_of_theirs(opened):
    page = opened(failing())
    page.get_by_label("Filter rules").fill("warning")
    assert page.locator("details.rule:visible").count() == 2
    page.get_by_label("Filter rules").fill("income_range error")
    assert page.locator("details.rule:visible").count() == 1


def test_tab_reaches_every_link_summary_and_box(opened):
    page = opened(passing())
    wanted = page.locator("a[href]:visible, summary:visible, input:visible, button:visible").count()
    seen = set()
    for _ in range(wanted + 3):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)")
        )
    assert len(seen) >= wanted


def test_a_link_to_a_hidden_place_opens_it(opened):
    page = opened(failing())
    page.evaluate("location.hash = 'rule-3'")
    page.wait_for_selector("#rule-3[open]")


def test_opens_at_once_with_two_thousand_rows(opened):
    page = opened(wide(300))
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert timing < 5_000  # 0.2 s on an idle machine; this one may be busy


def test_is_whole_without_script(browser, tmp_path):
    (tmp_path / "report.html").write_text(report.render(failing()), "utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"file://{tmp_path}/report.html")
    assert page.locator("details.rule tbody tr").count() > 900
    assert page.locator("input, button").count() == 0
    context.close()
