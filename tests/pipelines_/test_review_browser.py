"""The review page in a real browser: a queue by keyboard alone, nothing asked of anyone else."""

import contextlib
import time

import chromium
import pytest
import review_page
from chromium import CONTRAST
from review_page import accused, commit, lines

from pipelines.review import recording
from pipelines.review.desk import Desk
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.store.store import Store

pytestmark = chromium.needed
UNNAMED = """() => [...document.querySelectorAll("button, input, select, a[href]")]
  .filter((node) => node.checkVisibility() && !(node.textContent.trim() || node.ariaLabel
    || [...(node.labels ?? [])].some((each) => each.textContent.trim())))
  .map((node) => node.outerHTML.slice(0, 90))"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def entry(store, tmp_path):
    rows = lines(12)
    rows[3] = 'k0003,23,p3@example.org,"<img src=x onerror=alert(1)>\u202e",good'
    found = [accused([1, 3, 5, 7]), accused([2, 4], "poison.trigger", column="note"),
             accused([8], "outliers.joint", column="email", evidence="odd")]  # fmt: skip
    return commit(store, review_page.contract_in(tmp_path), tmp_path, rows, found)


@pytest.fixture
def opened(browser, store, entry):
    """Open the page in a browser of its own; what it asked for and complained of is kept."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(review_page.served(store, entry))

        def open_page(*, scheme="light", width=1280):
            size = {"width": width, "height": 860}
            context = browser.new_context(color_scheme=scheme, viewport=size)
            stack.callback(context.close)
            page = chromium.watched(context.new_page())
            page.origin = f"http://127.0.0.1:{server.port}"
            page.goto(server.link())
            page.wait_for_selector("#row-h")
            return page

        yield open_page


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def at(page, row):
    """Wait until a row is shown."""
    page.wait_for_function("row => document.getElementById('row-h')?.textContent === row",
                           arg=f"Row {row}")  # fmt: skip


def said(page, words):
    page.wait_for_function(
        "words => document.getElementById('said').textContent.includes(words)", arg=words
    )


def standing(store, entry):
    found = ReviewedRun.of(store, entry).standing
    return {row: item.last.what for row, item in sorted(found.items())}


def test_a_queue_is_reviewed_by_keyboard_alone(opened, store, entry):
    page = opened()
    at(page, 2)  # poison comes first
    press(page, "a")
    at(page, 4)
    press(page, "r")
    at(page, 1)  # the next group
    press(page, "l")
    page.wait_for_selector("#relabel[open] #classes button")
    press(page, "1")
    at(page, 3)
    press(page, "c")
    page.wait_for_selector("#correct[open]")
    assert page.input_value("#column") == "age"
    page.keyboard.type("33")
    press(page, "Enter")
    at(page, 5)
    press(page, "x")
    at(page, 7)
    press(page, "e")
    page.keyboard.type("known since May")
    press(page, "Enter", "r")
    at(page, 8)
    press(page, "a")
    page.wait_for_selector("text=Nothing waits for a decision")
    assert page.inner_text("#waiting") == "Nothing waits"
    assert standing(store, entry) == {
        1: ("relabel", "kind", "bad"), 2: ("release", None, None), 3: ("correct", "age", "33"),
        4: ("reject", None, None), 5: ("redact", None, None), 7: ("reject", None, None),
        8: ("release", None, None)}  # fmt: skip
    assert ReviewedRun.of(store, entry).standing[7].last.reason == "known since May"
    assert page.inner_text("#n-rejected") == "2"
    assert page.said == []
    assert all(url.startswith((page.origin, "data:")) for url in page.asked)


def test_a_decision_that_takes_long_does_not_hold_up_the_next(opened, store, entry, monkeypatch):
    plain = Desk.decide

    def slow(desk, queue, ask, version, *, overrule):
        time.sleep(1.0 if ask.selection.row == "2" else 0.0)
        return plain(desk, queue, ask, version, overrule=overrule)

    monkeypatch.setattr(Desk, "decide", slow)
    page = opened()
    press(page, "a")
    at(page, 4)
    press(page, "r")
    at(page, 1)
    said(page, "Released row 2")
    assert standing(store, entry) == {2: ("release", None, None), 4: ("reject", None, None)}
    assert page.said == []


def test_skip_back_and_undo(opened, store, entry):
    page = opened()
    press(page, "n")
    at(page, 1)
    press(page, "s")
    at(page, 3)
    press(page, "j")
    at(page, 5)
    press(page, "k")
    at(page, 3)
    press(page, "r")
    at(page, 5)
    said(page, "Rejected row 3")
    assert standing(store, entry) == {3: ("reject", None, None)}
    press(page, "u")
    at(page, 3)
    said(page, "back: reject 1 row")
    assert standing(store, entry) == {}
    press(page, "p")
    at(page, 2)
    page.reload()
    at(page, 2)  # the address holds the place
    assert page.url.endswith("/2")


def test_a_whole_group_is_previewed_confirmed_and_taken_back(opened, store, entry):
    page = opened()
    press(page, "n")
    at(page, 1)
    press(page, "R")
    page.wait_for_selector("#bulk[open]")
    assert page.inner_text("#bulk-h") == "Reject all 4 rows of this group?"
    assert page.locator("#bulk-samples p").count() == 4
    press(page, "Escape")
    assert standing(store, entry) == {}
    press(page, "R")
    page.wait_for_selector("#bulk[open]")
    page.keyboard.type("a broken export")
    press(page, "Enter")
    said(page, "Rejected 4 rows")
    assert set(standing(store, entry)) == {1, 3, 5, 7}
    press(page, "u")
    said(page, "back: reject 4 rows")
    assert standing(store, entry) == {}


def test_a_preview_shows_the_cells_of_a_rule_that_names_two_columns(opened, store, tmp_path):
    found = [accused([1, 3], "poison.trigger", column="age,note")]
    pair = commit(store, review_page.contract_in(tmp_path), tmp_path, lines(9), found)
    page = opened()
    page.goto(f"{page.url.split('/runs')[0]}/runs/{pair.seq}/review")
    at(page, 1)
    press(page, "A")
    page.wait_for_selector("#bulk[open]")
    first = page.locator("#bulk-samples p").first.inner_text()
    assert "age" in first
    assert "note" in first


def test_a_masked_cell_is_shown_on_request_and_hidden_again(opened, store):
    page = opened()
    page.clock.install()
    assert "p2@example.org" not in page.content()
    assert store.ledger.head().kind == "run"
    press(page, "v")
    page.wait_for_selector("text=p2@example.org")
    assert store.ledger.head().facts["shown"] == {"rows": 1, "columns": ["email"]}
    assert "example" not in page.url + page.title()
    page.clock.run_for(31_000)
    page.wait_for_selector("text=x#@xxxxxxx.xxx")
    assert "p2@example.org" not in page.content()
    press(page, "v")
    page.wait_for_selector("text=p2@example.org")
    press(page, "j")
    at(page, 4)
    assert "p2@example.org" not in page.content()


def test_of_two_browsers_on_one_row_the_second_sees_what_the_first_decided(opened, store, entry):
    first, second = opened(), opened()
    press(first, "r")
    at(first, 4)
    said(first, "Rejected row 2")
    press(second, "a")
    second.wait_for_selector("#alert:not([hidden])")
    at(second, 2)
    told = second.inner_text("#alert")
    assert "Not recorded" in told
    assert second.locator("#overrule").is_hidden()  # it is the same account's own
    assert "reject by anna" in told
    assert standing(store, entry) == {2: ("reject", None, None)}
    press(second, "j")
    at(second, 4)


def test_somebody_elses_decision_is_contradicted_only_on_purpose(opened, store, entry):
    page = opened()
    run = ReviewedRun.of(store, entry)
    recording.record(run, [Ask(Selection(row="2"), "reject", reason="not ours")], "bob")
    press(page, "a")
    page.wait_for_selector("#alert:not([hidden])")
    at(page, 2)
    assert "reject by bob" in page.inner_text("#alert")
    press(page, "a")
    page.wait_for_selector("#alert:has-text('tick Overrule')")
    page.get_by_label("Overrule").check()
    press(page, "a")
    page.wait_for_selector("#alert:has-text('needs a reason')")
    page.keyboard.type("checked the form")
    press(page, "Enter", "a")
    said(page, "Released row 2")
    assert standing(store, entry) == {2: ("release", None, None)}


def test_keys_are_off_while_one_types_and_with_modifiers(opened, store, entry):
    page = opened()
    press(page, "e")
    page.keyboard.type("rare")
    assert page.input_value("#reason") == "rare"
    press(page, "Escape", "Control+r")
    page.wait_for_selector("#row-h")
    press(page, "Alt+a", "?")
    page.wait_for_selector("#help[open]")
    press(page, "r", "Escape")
    press(page, "/")
    page.wait_for_selector("#search[open]")
    page.keyboard.type("k0007")
    press(page, "Enter")
    at(page, 7)
    assert standing(store, entry) == {}


def test_hostile_cells_are_text(opened):
    page = opened()
    press(page, "n", "j")
    at(page, 3)
    assert "<img src=x onerror=alert(1)>\\u202e" in page.inner_text(".cells")
    assert page.locator("#row-body img").count() == 0
    assert page.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_read_and_every_control_is_named(opened, entry, scheme):
    page = opened(scheme=scheme)
    for path in ("", f"/runs/{entry.seq}", "/rules/outliers.joint", "/nowhere"):
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(UNNAMED) == []
        page.goto(f"{page.origin}{path}/".removesuffix("/") if path else page.origin)
    assert [line for line in page.said if "404" not in line] == []


@pytest.mark.parametrize("width", [320, 400, 800, 1600])
def test_nothing_is_wider_than_the_window(opened, entry, width):
    page = opened(width=width)
    for path in (f"/runs/{entry.seq}/review", "/", f"/runs/{entry.seq}"):
        page.goto(f"{page.origin}{path}")
        page.wait_for_selector("h1")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_tab_reaches_every_control(opened):
    page = opened()
    wanted = "a[href]:visible, summary:visible, input:visible, button:enabled:visible"
    count, seen = page.locator(wanted).count(), set()
    for _ in range(count + 3):
        press(page, "Tab")
        seen.add(
            page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)")
        )
    assert len(seen) >= count


def test_the_dashboard_leads_to_run_report_and_queue(opened, entry):
    page = opened()
    page.goto(page.origin)
    page.get_by_role("link", name=f"run {entry.seq}", exact=True).click()
    page.wait_for_url(f"**/runs/{entry.seq}")
    page.get_by_role("link", name="Full report").click()
    page.wait_for_url("**/report.html")
    assert page.evaluate("self.origin") == "null"  # a sandbox: it is no page of this server
    page.goto(f"{page.origin}/runs/{entry.seq}")
    page.get_by_role("link", name="Review its rows").click()
    page.wait_for_selector("#row-h")
