"""The store changes under the open page: it is refused in words, and nothing that was decided goes.

What lies in memory was checked when it was read; what is read later is held against its record.
"""

import shutil

import chromium
import pytest
import review_page
from review_page import Browser, accused, commit, lines

from pipelines.cli import main
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.store.store import Store

ROWS = 12


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def entry(store, tmp_path):
    contract = review_page.contract_in(tmp_path)
    return commit(store, contract, tmp_path, lines(ROWS), [accused([1, 3, 5, 7])])


@pytest.fixture
def server(store, entry):
    with review_page.served(store, entry) as started:
        yield started


@pytest.fixture
def client(server):
    with Browser(server) as made:
        yield made


def decide(client, entry, row, decision="reject", version=0):
    path = f"/api/runs/{entry.seq}/rows/{row}/decision"
    return client.tell(path, {"decision": decision, "version": version})


def standing(store, entry):
    found = ReviewedRun.of(store, entry).standing
    return {row: each.last.decision for row, each in sorted(found.items())}


def test_a_ledger_that_is_compacted_meanwhile_takes_decisions(client, store, entry):
    first = decide(client, entry, 1).json()
    assert main(["ledger", "compact", "--store", str(store.folder)]) == 0
    assert not store.ledger.path_of(first["entry"]).exists()
    assert decide(client, entry, 3).status_code == 200
    assert main(["ledger", "compact", "--store", str(store.folder)]) == 0
    undone = client.tell(f"/api/runs/{entry.seq}/undo", {"entry": first["entry"]})
    assert undone.json()["counts"] == {"undo": 1}
    assert client.get(f"/api/runs/{entry.seq}/groups").json()["waiting"] == 3
    assert standing(store, entry) == {3: "reject"}
    assert main(["verify", "--store", str(store.folder)]) == 0


@pytest.mark.parametrize("how", ["deleted", "altered"])
def test_a_run_whose_files_went_is_told_and_its_decisions_stay(client, store, entry, how):
    api = f"/api/runs/{entry.seq}"
    assert decide(client, entry, 1).status_code == 200
    folder = store.run_folder(entry.seq)
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    if how == "deleted":
        shutil.rmtree(folder)
    else:
        for path in folder.glob("*/*.parquet"):
            path.write_bytes(path.read_bytes()[:-1] + b"X")
    refused = [client.get(f"{api}/rows/0"), client.get(f"{api}/rows/0/near"),
               client.tell(f"{api}/search", {"text": "kind=bad"})]  # fmt: skip
    for answer in refused:  # a clean row has never been read
        assert answer.status_code == 503
        assert answer.json()["code"].startswith("ASSAY-L0")
        assert answer.json()["message"]
    if how == "deleted":
        told = client.get(f"/runs/{entry.seq}/report.html")
        assert told.status_code == 503
        assert "ASSAY-L0" in told.text
    made = decide(client, entry, 3)  # of what is in memory, or refused by a code
    assert made.status_code == 200 or made.json()["code"].startswith("ASSAY-L0")
    shutil.rmtree(folder, ignore_errors=True)
    kept.rename(folder)
    assert client.get(f"{api}/rows/0").status_code == 200
    assert decide(client, entry, 5).status_code == 200
    decided = standing(store, entry)
    assert {1, 5} <= decided.keys()
    assert (3 in decided) == (made.status_code == 200)


def test_a_file_of_decisions_that_was_altered_is_told(client, store, entry):
    """Another process decides, and its file is altered before the page has followed it."""
    api = f"/api/runs/{entry.seq}"
    words = ["review", str(entry.seq), "--store", str(store.folder), "--as", "bob"]
    assert main([*words, "--decide", "reject", "--row", "1"]) == 0
    path = store.review_file(store.ledger.head().seq)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"X")
    answers = [decide(client, entry, 3), client.get(f"{api}/groups")]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert all(answer.json()["code"] == "ASSAY-L011" for answer in answers)
    path.write_bytes(content)
    assert decide(client, entry, 3).status_code == 200
    assert standing(store, entry) == {1: "reject", 3: "reject"}


@pytest.fixture
def page(browser, server):
    """Open the page in a browser."""
    context = browser.new_context()
    made = chromium.watched(context.new_page())
    made.goto(server.link())
    made.wait_for_selector("#row-h")
    yield made
    context.close()


@chromium.needed
def test_a_session_that_is_lost_is_told_and_the_reason_stays(page, server, store, entry):
    server.sessions._open.clear()
    page.fill("#reason", "a broken export")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.wait_for_selector("#alert:not([hidden])")
    assert "only to whoever started it" in page.inner_text("#alert")
    assert page.input_value("#reason") == "a broken export"
    assert standing(store, entry) == {}


@chromium.needed
def test_a_store_that_refuses_is_told_and_works_again(page, store, entry):
    """As a disk that takes nothing does; `test_killed_reviews` has such disks."""
    tmp = store.ledger.folder / "tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    tmp.write_text("in the way")
    page.keyboard.press("r")
    page.wait_for_selector("#alert:not([hidden])")
    assert page.inner_text("#alert").strip()
    assert standing(store, entry) == {}
    tmp.unlink()
    page.keyboard.press("r")
    page.wait_for_function("() => document.getElementById('said').textContent.includes('Rejected')")
    assert standing(store, entry) == {1: "reject"}
