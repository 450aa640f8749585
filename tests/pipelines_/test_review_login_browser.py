"""Logging in, deciding and logging out in a real browser, over TLS and by keyboard alone."""

import contextlib

import chromium
import pytest
import review_page
from chromium import CONTRAST
from review_page import PASSWORD, accused, commit, lines

from pipelines.review.doors import Door
from pipelines.store.store import Store

pytestmark = chromium.needed


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def entry(store, tmp_path):
    found = [accused([1, 3]), accused([2], "poison.trigger", column="note")]
    return commit(store, review_page.contract_in(tmp_path), tmp_path, lines(12), found)


@pytest.fixture
def opened(browser, store, entry, tmp_path):
    """Open the page in a browser of its own, which knows the certificate."""
    certificate, key = review_page.certificate_in(tmp_path)
    users = review_page.users_in(tmp_path, vera="viewer", rita="reviewer", adam="admin")
    door = Door(users=users, certificate=certificate, key=key)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(review_page.served(store, entry, door=door))

        def open_page(*, scheme="light", width=1280, scripts=True):
            size = {"width": width, "height": 860}
            context = browser.new_context(
                color_scheme=scheme, viewport=size, ignore_https_errors=True,
                java_script_enabled=scripts,
            )  # fmt: skip
            stack.callback(context.close)
            page = chromium.watched(context.new_page())
            page.origin, page.users = server.threshold.origin, users
            page.goto(page.origin)
            return page

        yield open_page


def log_in(page, name, password=PASSWORD):
    page.wait_for_selector("#name:focus")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def said(page, words):
    page.wait_for_function(
        "words => document.getElementById('said').textContent.includes(words)", arg=words
    )


def test_log_in_decide_and_log_out(opened, store):
    page = opened()
    assert page.url == f"{page.origin}/login"
    log_in(page, "rita", "not the password")
    page.wait_for_selector("[role=alert]:has-text('Name or password is wrong.')")
    assert page.input_value("#name") == "rita"
    assert page.input_value("#password") == ""
    assert "password" not in page.url
    page.wait_for_selector("#password:focus")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#row-h")
    assert page.inner_text(".account").split() == ["reviewer", "rita", "Log", "out"]
    assert "lets you look" not in page.inner_text("body")
    page.keyboard.press("r")
    said(page, "Rejected row 2")
    page.keyboard.press("v")
    page.wait_for_selector("text=p1@example.org")
    made = [each for each in store.ledger.entries() if each.kind in ("review", "access")]
    assert [(each.kind, each.facts["by"]) for each in made] == [("review", "rita"),
                                                                ("access", "rita")]  # fmt: skip
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.go_back()
    page.wait_for_url("**/login?to=**")  # what was on screen is not shown again
    assert "p1@example.org" not in page.content()
    noted = ("Failed to load resource", "Clear-Site-Data")  # a wrong password; logging out
    assert [text for text in page.said if not text.startswith(noted)] == []
    assert all(url.startswith((page.origin, "data:")) for url in page.asked)
    assert not any("rita" in url or PASSWORD in url for url in page.asked)


def test_a_login_leads_back_to_where_one_was_going_without_a_script(opened, entry):
    page = opened(scripts=False)
    page.goto(f"{page.origin}/runs/{entry.seq}")
    log_in(page, "vera")
    page.wait_for_url(f"{page.origin}/runs/{entry.seq}")
    assert page.inner_text(".account").split() == ["viewer", "vera", "Log", "out"]
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")


def test_a_viewer_sees_rows_and_neither_button_nor_key_decides(opened, store, entry):
    page = opened()
    log_in(page, "vera")
    page.wait_for_selector("#row-h")
    shown = page.locator(".acts button:visible").all_inner_texts()
    assert [text.split()[0] for text in shown] == ["Skip"]
    assert page.locator(".reveal:visible").count() == 0
    for key in "arlcxuARyev/":
        page.keyboard.press(key)
        said(page, "Your role lets you look.")
        page.evaluate("document.getElementById('said').textContent = ''")
    assert page.locator("dialog[open]").count() == 0
    assert store.ledger.head().seq == entry.seq
    assert page.said == []


def test_a_session_that_has_ended_is_said_at_the_next_key(opened, store, entry):
    page = opened()
    log_in(page, "rita")
    page.wait_for_selector("#row-h")
    text = page.users.read_text()
    page.users.write_text("".join(f"{line}\n" for line in text.splitlines() if "rita" not in line))
    page.keyboard.press("r")
    page.wait_for_selector("#alert:has-text('Your session has ended, so nothing was recorded.')")
    assert "Reload this page" in page.inner_text("#alert")
    assert store.ledger.head().seq == entry.seq


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 380, 1280])
def test_pages_of_users_can_be_read_and_fit(opened, entry, scheme, width):
    page = opened(scheme=scheme, width=width)
    wide = "document.documentElement.scrollWidth"
    log_in(page, "adam", "wrong password here")
    page.wait_for_selector("[role=alert]")
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(wide) <= width
    page.wait_for_selector("#password:focus")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#row-h")
    for path in (f"/runs/{entry.seq}", "/", "/nowhere"):
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(wide) <= width
        page.goto(f"{page.origin}{path}")
    assert page.evaluate(CONTRAST) == []
