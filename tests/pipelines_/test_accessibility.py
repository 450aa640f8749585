"""axe-core over every page and dialog, light and dark, wide and narrow: nothing serious."""

import contextlib

import chromium
import pytest
import review_page
from chromium import violations
from pipelines_.report_fixture import failing, passing
from review_page import accused, commit, lines

from pipelines.report import page as report
from pipelines.review import recording
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.store.store import Store

pytestmark = chromium.needed
LOOKS = [
    ("light", 1280),
    ("dark", 380),
    pytest.param("dark", 1280, marks=pytest.mark.long),
    pytest.param("light", 380, marks=pytest.mark.long),
]
DIALOGS = [("?", "help"), ("/", "search"), ("l", "relabel"), ("c", "correct"), ("R", "bulk")]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Serve a run of which one row is decided and one is personal."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONFIG", "STATE"):
            patch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
        store = Store(folder / "store")
        found = [accused([1, 3, 5, 7]), accused([2, 4], "poison.trigger", column="note"),
                 accused([8], column="email", severity="warning")]  # fmt: skip
        contract = review_page.contract_in(folder)
        entry = commit(store, contract, folder, lines(30), found)
        other = Ask(Selection(row="3"), "reject", reason="a copy")
        recording.record(ReviewedRun.of(store, entry), [other], "bob")
        with review_page.served(store, entry) as server:
            yield server, entry.seq, folder


@pytest.fixture
def own_key(served, monkeypatch):
    """Sign with the key that made the store."""
    for name in ("config", "state"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(served[2] / name))


@contextlib.contextmanager
def window(browser, scheme, width):
    """Open a window of a colour scheme and a width."""
    size = {"width": width, "height": 860}
    # axe is put into the page, which the page's own policy does not allow
    context = browser.new_context(color_scheme=scheme, viewport=size, bypass_csp=True)
    try:
        yield chromium.watched(context.new_page())
    finally:
        context.close()


@pytest.mark.usefixtures("own_key")
@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_the_pages_of_the_server(browser, served, scheme, width):
    server, number, _ = served
    with window(browser, scheme, width) as page:
        page.goto(server.link())
        page.wait_for_selector("#row-h")
        page.wait_for_selector("#near .told")
        assert violations(page) == []
        for key, name in DIALOGS:
            page.keyboard.press(key)
            page.wait_for_selector(f"#{name}[open]")
            assert violations(page) == [], name
            page.keyboard.press("Escape")
            page.wait_for_selector(f"#{name}:not([open])", state="attached")
        page.keyboard.press("h")
        page.wait_for_selector("#fates li")
        page.keyboard.press("v")
        page.wait_for_selector(".open")
        page.evaluate("location.hash = '#row/3'")  # decided by somebody else
        page.wait_for_selector(".standing")
        page.keyboard.press("a")
        page.wait_for_selector("#alert:not([hidden])")
        assert violations(page) == [], "a refusal"
        origin = f"http://127.0.0.1:{server.port}"
        for path in ("/", f"/runs/{number}", "/rules/poison.trigger", "/nowhere"):
            page.goto(f"{origin}{path}")
            assert violations(page) == [], path


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("facts", [failing, passing])
def test_the_report(browser, tmp_path, facts, scheme, width):
    (tmp_path / "report.html").write_text(report.render(facts()), "utf-8")
    with window(browser, scheme, width) as page:
        page.goto(f"file://{tmp_path}/report.html")
        assert violations(page) == []
        page.evaluate(
            "document.querySelectorAll('details').forEach((item) => { item.open = true })"
        )
        assert violations(page) == []
