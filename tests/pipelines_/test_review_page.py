"""The review page over HTTP: who gets in, what is recorded, and what never leaves the server."""

import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest
import review_page
from review_page import Browser, accused, commit, lines

from pipelines.cli import main
from pipelines.review import recording
from pipelines.review.answers import Answers
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.store.store import Store

AGES = [1, 3, 5, 7]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def entry(store, tmp_path):
    found = [accused(AGES), accused([2, 4], "poison.trigger", column="note", evidence="a trigger")]
    return commit(store, review_page.contract_in(tmp_path), tmp_path, lines(12), found)


@pytest.fixture
def server(store, entry):
    with review_page.served(store, entry) as started:
        yield started


@pytest.fixture
def browser(server):
    with Browser(server) as made:
        yield made


@pytest.fixture
def api(entry):
    return f"/api/runs/{entry.seq}"


def kinds(store):
    return [entry.kind for entry in store.ledger.entries()]


def decide(browser, api, row, decision, version=0, **more):
    body = {"decision": decision, "version": version, **more}
    return browser.tell(f"{api}/rows/{row}/decision", body)


def item(browser, api, row):
    return browser.get(f"{api}/rows/{row}").json()["item"]


# who gets in


def test_a_link_works_once_and_leaves_nothing_in_the_address(server):
    link = server.link()
    first = httpx.get(link, trust_env=False)
    cookie = first.headers["set-cookie"].lower()
    assert first.status_code == 303
    assert "token" not in first.headers["location"]
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert httpx.get(link, trust_env=False).status_code == 401
    assert len(server.links) == 2  # the used one was followed by another


@pytest.mark.parametrize("path", ["/", "/runs/1", "/runs/1/review", "/static/review.js",
                                  "/api/runs/1/groups", "/runs/1/report.html"])  # fmt: skip
def test_without_a_session_nothing_is_served(server, path):
    answer = httpx.get(f"http://127.0.0.1:{server.port}{path}", trust_env=False)
    assert answer.status_code == 401
    assert "assay review" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1", "127.0.0.1.example.org:{port}",
                                  "localhost:1", "[::1]:{port}"])  # fmt: skip
def test_a_foreign_host_name_is_refused(server, browser, host):
    answer = browser.get("/", headers={"host": host.format(port=server.port)})
    assert answer.status_code == 421
    assert browser.get("/", headers={"host": f"localhost:{server.port}"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://example.org"}, {"origin": None}, {"origin": "null"},
     {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
     {"x-assay-csrf": "guess"}, {"x-assay-csrf": None}, {"content-type": "text/plain"}],
)  # fmt: skip
def test_what_does_not_come_from_its_own_pages_changes_nothing(browser, api, store, headers):
    body = {"decision": "reject", "version": 0}
    answer = browser.tell(f"{api}/rows/1/decision", body, **headers)
    assert answer.status_code in (403, 415)
    assert "review" not in kinds(store)


def test_the_secret_of_one_session_does_not_serve_another(server, browser, api, store):
    with Browser(server) as other:
        body = {"decision": "reject", "version": 0}
        sent = browser.tell(f"{api}/rows/1/decision", body, **{"x-assay-csrf": other.csrf})
    assert sent.status_code == 403
    assert "review" not in kinds(store)


def test_no_get_changes_anything_and_every_answer_is_hardened(browser, api, store, entry):
    before = kinds(store)
    paths = ["/", f"/runs/{entry.seq}",
             f"/runs/{entry.seq}/review", "/static/review.css",
             f"{api}/groups", f"{api}/rows/1", f"{api}/rows/1/fates", f"{api}/classes",
             f"{api}/rows/1/decision", f"{api}/undo", "/rules/outliers.joint",
             "/nowhere"]  # fmt: skip
    for path in paths:
        answer = browser.get(path)
        assert "script-src 'self'" in answer.headers["content-security-policy"], path
        assert "unsafe" not in answer.headers["content-security-policy"], path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
    assert kinds(store) == before


def test_the_report_is_served_in_a_sandbox(browser, entry):
    answer = browser.get(f"/runs/{entry.seq}/report.html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")
    assert "same-origin" not in policy
    assert "connect" not in policy


def test_a_request_that_is_too_long_or_of_another_form_is_refused(browser, api, store):
    body = {"decision": "reject", "version": 0, "reason": "x" * 70_000}
    assert browser.tell(f"{api}/rows/1/decision", body).status_code == 413
    for wrong in ({"decision": "forget", "version": 0}, {"decision": "reject"},
                  {"decision": "reject", "version": 0, "more": 1}, [],
                  {"decision": "reject", "version": 0, "reason": "two\nlines"}):  # fmt: skip
        answer = browser.tell(f"{api}/rows/1/decision", wrong)
        assert answer.status_code == 422
        assert "two" not in answer.text
    assert "review" not in kinds(store)


def test_a_port_in_use_and_another_host_are_refused_at_once(store, entry, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["review", str(entry.seq), "--store", str(store.folder)]
        assert main([*words, "--port", str(port)]) == 2
        assert (
            f"ASSAY-C012: another program uses port {port} of 127.0.0.1\n"
            in capsys.readouterr().err
        )
    assert main([*words, "--port", "70000"]) == 2
    assert main([*words, "--host", "0.0.0.0"]) == 2  # noqa: S104 - that it is refused
    told = capsys.readouterr().err
    assert "needs --users, --tls-cert and --tls-key" in told
    assert "ssh -L" in told
    assert main([*words, "--list", "--port", "1"]) == 2


def test_the_command_prints_links_and_ends_cleanly_on_an_interrupt(store, entry):
    words = [sys.executable, "-P", "-m", "pipelines.cli", "review", str(entry.seq)]
    with subprocess.Popen(
        [*words, "--store", str(store.folder)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as started:  # fmt: skip
        link = started.stdout.readline().removeprefix("review page: ").strip()
        answer = httpx.get(link, follow_redirects=True, trust_env=False)
        assert answer.status_code == 200
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)
    assert started.returncode == 0
    assert [line.partition(" http")[0] for line in out.splitlines()] == ["review page:"]
    assert err == ""


# the queue


def test_groups_come_worst_first_and_shrink(browser, api):
    told = browser.get(f"{api}/groups").json()
    assert [group["rows"] for group in told["groups"]] == [2, 4]
    assert told["groups"][0]["reasons"][0]["rule"] == "poison.trigger"
    assert told["groups"][0]["reasons"][0]["means"]
    assert told["rows"] == {"clean": 6, "quarantine": 6, "rejected": 0}
    made = decide(browser, api, 1, "release").json()
    assert made["rows"] == {"clean": 7, "quarantine": 5, "rejected": 0}
    made = decide(browser, api, 3, "reject").json()
    assert made["rows"] == {"clean": 7, "quarantine": 4, "rejected": 1}
    told = browser.get(f"{api}/groups").json()
    assert [group["rows"] for group in told["groups"]] == [2, 2]
    name = told["groups"][1]["group"]
    ahead = browser.get(f"{api}/groups/{name}/rows?after=-1").json()
    assert [each["row"] for each in ahead["items"]] == [5, 7]
    back = browser.get(f"{api}/groups/{name}/rows?before=7").json()
    assert [each["row"] for each in back["items"]] == [5]


def test_the_rest_that_is_worth_little_is_told(store, tmp_path):
    found = [accused(list(range(200)), "poison.trigger"),
             accused([300], "sources.rare", severity="warning")]  # fmt: skip
    contract = review_page.contract_in(tmp_path)
    entry = commit(store, contract, tmp_path, lines(400), found)
    with review_page.served(store, entry) as server, Browser(server) as browser:
        told = browser.get(f"/api/runs/{entry.seq}/groups").json()
    assert told["stop"] == 1
    assert told["rest"]["rows"] == 1
    assert told["rest"]["share"] < 0.05


def test_a_decision_is_recorded_and_taken_back_as_a_whole(browser, api, store, entry):
    made = decide(browser, api, 1, "relabel", value="bad", reason="typo").json()
    assert (made["counts"], made["last"]["entry"]) == ({"relabel": 1}, made["entry"])
    run = ReviewedRun.of(store, entry)
    assert run.standing[1].last.what == ("relabel", "kind", "bad")
    assert run.standing[1].last.reason == "typo"
    assert item(browser, api, 1)["version"] == made["entry"]
    undone = browser.tell(f"{api}/undo", {"entry": made["entry"]}).json()
    assert undone["counts"] == {"undo": 1}
    assert undone["last"] is None
    assert ReviewedRun.of(store, entry).standing == {}
    assert item(browser, api, 1)["waits"]
    assert item(browser, api, 1)["version"] == undone["entry"]
    assert browser.tell(f"{api}/undo", {"entry": made["entry"]}).status_code == 409


def test_a_whole_group_is_one_entry(browser, api, store, entry):
    name = item(browser, api, 1)["group"]
    shown = browser.get(f"{api}/groups/{name}/samples").json()
    assert [each["row"] for each in shown["items"]] == AGES
    path = f"{api}/groups/{name}/decision"
    body = {"decision": "reject", "mark": shown["mark"]}
    decide(browser, api, 3, "release")
    stale = browser.tell(path, body)
    assert stale.status_code == 409
    assert "other rows of the group wait now" in stale.json()["message"]
    assert browser.tell(f"{api}/undo", {"entry": store.ledger.head().seq}).status_code == 200
    made = browser.tell(path, body).json()  # the rows are those that were shown again
    assert made["counts"] == {"reject": 4}
    assert store.ledger.head().facts["groups"] == [{"group": name}]
    assert set(ReviewedRun.of(store, entry).standing) == set(AGES)
    assert browser.tell(f"{api}/undo", {"entry": made["entry"]}).json()["counts"] == {"undo": 4}
    assert browser.get(f"{api}/groups").json()["waiting"] == 6


def test_what_is_impossible_is_refused_in_words(browser, api, store):
    answers = [
        decide(browser, api, 1, "correct", column="age", value="999"),
        decide(browser, api, 1, "correct", column="age"),
        decide(browser, api, 1, "relabel"),
    ]
    assert [answer.status_code for answer in answers] == [422] * 3
    assert "breaks the rule age.maximum" in answers[0].json()["message"]
    assert decide(browser, api, 99, "reject").status_code == 404
    assert browser.get("/api/runs/77/groups").status_code == 404
    assert browser.get(f"{api}/groups/ffffffff/rows").status_code == 404
    assert "review" not in kinds(store)


def test_a_reason_that_the_contract_asks_for_is_asked_for(store, tmp_path):
    contract = review_page.contract_in(tmp_path, require_reason="true")
    entry = commit(store, contract, tmp_path, lines(5), [accused([1])])
    with review_page.served(store, entry) as server, Browser(server) as browser:
        api = f"/api/runs/{entry.seq}"
        assert decide(browser, api, 1, "reject").status_code == 422
        assert decide(browser, api, 1, "reject", reason="known").status_code == 200


# two reviewers


def test_of_two_decisions_on_one_version_one_wins(server, browser, api, store):
    with Browser(server) as other:
        answers = []
        threads = [
            threading.Thread(target=lambda b=b, w=w: answers.append(decide(b, api, 1, w)))
            for b, w in ((browser, "release"), (other, "reject"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    [lost] = [answer.json() for answer in answers if answer.status_code == 409]
    assert lost["last_decision"]["by"] == "anna"
    assert lost["item"]["version"] == lost["last_decision"]["entry"]
    assert kinds(store).count("review") == 1


def test_what_another_process_decides_appears(browser, api, store, entry):
    seen = item(browser, api, 1)
    run = ReviewedRun.of(store, entry)
    made = recording.record(run, [Ask(Selection(row="1"), "reject", reason="mine")], "bob").entry
    refused = decide(browser, api, 1, "release", seen["version"])
    assert refused.status_code == 409
    told = refused.json()["last_decision"]
    assert (told["by"], told["decision"], told["reason"]) == ("bob", "reject", "mine")
    assert browser.get(f"{api}/groups").json()["waiting"] == 5
    refused = decide(browser, api, 1, "release", made.seq)
    assert refused.status_code == 422
    assert "bob decided otherwise" in refused.json()["message"]
    overruled = decide(browser, api, 1, "release", made.seq, overrule=True, reason="checked")
    assert overruled.status_code == 200


def test_a_store_that_cannot_be_written_says_so(browser, api, store):
    folder = store.ledger.entries_folder
    (folder / "000000000099.parquet").write_bytes(b"")  # as a broken ledger: nothing may follow it
    answer = decide(browser, api, 1, "reject")
    assert answer.status_code == 503
    assert answer.json()["code"].startswith("ASSAY-L")
    assert answer.json()["fix"]


def test_what_nobody_foresaw_is_told_without_a_word_of_the_data(browser, api, monkeypatch, capfd):
    def fail(_):
        message = "p1@example.org"
        raise ValueError(message)

    monkeypatch.setattr(Answers, "groups", fail)
    answer = browser.get(f"{api}/groups")
    assert answer.status_code == 500
    assert answer.json()["code"] == "ASSAY-E104"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    told = capfd.readouterr()
    assert "ASSAY-E104" in told.err
    assert "p1@" not in answer.text + told.err + told.out
    assert "Traceback" not in told.err


# cells


def test_a_personal_cell_leaves_the_server_only_when_asked_for_and_recorded(
    browser, api, store, entry
):
    page = browser.get(f"{api}/rows/1").text
    name = item(browser, api, 1)["group"]
    pages = [page, browser.get(f"{api}/groups").text, browser.get(f"{api}/groups/{name}/rows").text,
             browser.get(f"{api}/groups/{name}/samples").text, browser.page.text,
             browser.get("/").text, browser.get(f"/runs/{entry.seq}").text]  # fmt: skip
    assert all("p1@example" not in text for text in pages)
    cells = {cell["column"]: cell for cell in item(browser, api, 1)["cells"]}
    assert (cells["email"]["text"], cells["email"]["masked"]) == ("x#@xxxxxxx.xxx", True)
    assert (cells["age"]["text"], cells["age"]["masked"]) == ("21", False)
    shown = browser.tell(f"{api}/rows/1/cell", {"column": "email"})
    assert shown.json()["text"] == "p1@example.org"
    facts = store.ledger.head().facts
    assert (facts["kind"], facts["by"]) == ("access", "anna")
    assert facts["shown"] == {"rows": 1, "columns": ["email"]}
    assert browser.tell(f"{api}/rows/1/cell", {"column": "none"}).status_code == 404
    assert browser.tell(f"{api}/rows/9999/cell", {"column": "email"}).status_code == 404


def test_a_value_that_was_decided_for_a_personal_column_is_masked(browser, api):
    decide(browser, api, 1, "correct", column="email", value="ann@example.org")
    text = browser.get(f"{api}/rows/1").text
    assert "ann@" not in text
    assert "xxx@xxxxxxx.xxx" in text


def test_hostile_cells_stay_text(store, tmp_path):
    script = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    long = "y" * (1 << 20)
    rows = [f'k0,20,a,"{script}",good', "k1,21,b,left\u202eright\x07,bad", f"k2,22,c,{long},good",
            f'"{script}",23,d,plain,bad']  # fmt: skip
    found = [accused([0, 1, 2, 3], evidence=f"like {script}\u202e")]
    entry = commit(store, review_page.contract_in(tmp_path), tmp_path, rows, found)
    with review_page.served(store, entry) as server, Browser(server) as browser:
        api = f"/api/runs/{entry.seq}"
        items = [browser.get(f"{api}/rows/{row}") for row in range(4)]
        cells = [{c["column"]: c for c in each.json()["item"]["cells"]} for each in items]
        assert all(each.headers["content-type"] == "application/json" for each in items)
        assert cells[0]["note"]["text"] == script
        assert cells[1]["note"]["text"] == "left\\u202eright\\u0007"
        assert cells[2]["note"]["cut"]
        assert cells[2]["note"]["length"] == len(long)
        assert len(items[2].content) < 20_000
        whole = browser.tell(f"{api}/rows/2/cell", {"column": "note"}).json()
        assert (len(whole["text"]), whole["length"]) == (100_000, len(long))
        assert "\u202e" not in items[0].json()["item"]["reasons"][0]["evidence"]
        assert browser.get(f"/rules/{script}").status_code == 404
        assert "<script>" not in browser.get(f"/rules/{script}").text.replace(
            '<script src="/static/review.js" defer>', ""
        )


def test_search_finds_rows_by_number_and_key(browser, api):
    assert browser.tell(f"{api}/search", {"text": "7"}).json()["rows"] == [7]
    assert browser.tell(f"{api}/search", {"text": "k0003"}).json()["rows"] == [3]
    assert browser.tell(f"{api}/search", {"text": "kind=bad"}).json()["rows"] == [0, 3, 6, 9]
    refused = browser.tell(f"{api}/search", {"text": "secret@example.org"})
    assert refused.status_code == 422
    assert "secret" not in refused.text


def test_a_row_tells_its_history(browser, api, store, tmp_path, entry):
    decide(browser, api, 1, "reject", reason="first look")
    later = commit(store, tmp_path / "c.yaml", tmp_path, lines(12)[:2], [accused([1])])
    told = item(browser, f"/api/runs/{later.seq}", 1)
    assert [(each["decision"], each["same"]) for each in told["told"]] == [("reject", True)]
    fates = browser.get(f"{api}/rows/1/fates").json()["fates"]
    assert [(each["run"], each["fate"]) for each in fates] == [(entry.seq, "quarantine")]


def test_pages_of_runs_link_to_queue_and_report(browser, entry):
    page = browser.get("/").text
    assert f'href="/runs/{entry.seq}"' in page
    assert "<svg" in page
    assert f'href="/runs/{entry.seq}/report.html"' in browser.get(f"/runs/{entry.seq}").text
    assert browser.get("/runs/99").status_code == 404
    assert browser.get("/static/../server.py").status_code == 404
