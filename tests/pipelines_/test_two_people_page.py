"""Two people for one decision, on the page: over HTTP, and in two real browsers."""

import contextlib

import chromium
import pytest
import review_page
from chromium import CONTRAST
from review_page import Browser, accused, commit, lines

from pipelines.review.reviewed_run import ReviewedRun
from pipelines.store.store import Store

TWO = {"reviewers": 2}
SECOND = {"second_person": "[pii, poison]"}
PEOPLE = ("anna", "ben", "carla")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def entry(store, tmp_path, policy):
    found = [accused([1, 3, 5]), accused([2, 4], "poison.trigger", column="note")]
    return commit(store, review_page.contract_in(tmp_path, **policy), tmp_path, lines(9), found)


@pytest.fixture
def servers(store, entry):
    """Return a server for each person, on the same store."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(review_page.served(store, entry, name)) for name in PEOPLE]


@pytest.fixture
def clients(servers):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Browser(server)) for server in servers]


@pytest.fixture
def api(entry):
    return f"/api/runs/{entry.seq}"


def item(client, api, row):
    return client.get(f"{api}/rows/{row}").json()["item"]


def decide(client, api, row, decision, **more):
    body = {"decision": decision, "version": item(client, api, row)["version"], **more}
    return client.tell(f"{api}/rows/{row}/decision", body)


def told(client, api):
    """Return all that a person is told of the queue and its rows."""
    groups = client.get(f"{api}/groups").json()
    names = [each["group"] for each in groups["groups"]]
    rows = [client.get(f"{api}/groups/{name}/rows?most=20").json()["items"] for name in names]
    samples = [client.get(f"{api}/groups/{name}/samples").json() for name in names]
    return groups, rows, samples


@pytest.mark.parametrize("policy", [TWO], ids=str)
def test_the_page_tells_nobody_else_of_a_lone_opinion(clients, api):
    anna, ben, _ = clients
    groups, *before = told(ben, api)
    assert decide(anna, api, 2, "release", reason="surely").json()["waiting"] == 4
    after, *rest = told(ben, api)
    assert rest == before
    assert after.pop("people")["one"] == groups.pop("people")["one"] + 1 == 1
    assert after == groups
    own = item(anna, api, 2)
    assert (own["state"], own["waits"], own["opinions"][0]["reason"]) == ("one", False, "surely")
    # ben saw a row without decisions, and decides about just that
    assert decide(ben, api, 2, "release").status_code == 200
    assert item(ben, api, 2)["decision"]["by"] == "anna and ben"
    assert item(anna, api, 2)["fate"] == "clean"


@pytest.mark.parametrize("policy", [TWO], ids=str)
def test_a_group_decided_by_two_people_is_in_force_and_each_takes_back_their_own(clients, api):
    anna, ben, carla = clients
    for client in (anna, ben):
        [group, *_] = client.get(f"{api}/groups").json()["groups"]
        path = f"{api}/groups/{group['group']}"
        mark = client.get(f"{path}/samples").json()["mark"]
        made = client.tell(f"{path}/decision", {"decision": "reject", "mark": mark}).json()
        assert made["wait"] is None
    assert carla.get(f"{api}/groups").json()["rows"]["rejected"] == 2
    last = anna.get(f"{api}/groups").json()["last"]["entry"]
    assert anna.tell(f"{api}/undo", {"entry": last}).json()["counts"] == {"undo": 2}
    assert carla.get(f"{api}/groups").json()["rows"]["rejected"] == 0
    assert ben.get(f"{api}/groups").json()["waiting"] == 3
    assert anna.get(f"{api}/groups").json()["waiting"] == 5


@pytest.mark.parametrize("policy", [TWO], ids=str)
def test_a_disagreement_waits_for_everybody_and_is_listed(clients, api, entry):
    anna, ben, carla = clients
    decide(anna, api, 2, "release")
    decide(ben, api, 2, "reject", reason="planted")
    for client in clients:
        shown = item(client, api, 2)
        assert (shown["state"], shown["waits"]) == ("disagreement", True)
        assert [each["by"] for each in shown["opinions"]] == ["anna", "ben"]
        assert client.get(f"{api}/pending/disagreement").json() == {"rows": [2], "more": 0}
    decide(carla, api, 2, "reject")
    people = carla.get(f"{api}/groups").json()["people"]
    assert people["disagreement"] == 0
    wanted = (
        "anna and ben agreed on 0 of 1 row; kappa 0.00, without an interval, since the rows are"
    )
    assert people["agreement"] == [f"{wanted} too few"]
    page = carla.get(f"/runs/{entry.seq}").text
    assert "Two people decide each row" in page
    assert "anna and ben agreed on 0 of 1 row" in page


@pytest.mark.parametrize("policy", [SECOND], ids=str)
def test_only_somebody_else_may_approve(clients, api, store, entry):
    anna, ben, _ = clients
    made = decide(anna, api, 2, "release", reason="known").json()
    assert (made["wait"], made["rows"]["clean"]) == (1, 4)
    assert "approve" not in item(anna, api, 2)["can"]
    refused = decide(anna, api, 2, "approve")
    assert (refused.status_code, "somebody else" in refused.json()["message"]) == (422, True)
    shown = item(ben, api, 2)
    assert (shown["state"], shown["opinions"][0]["reason"]) == ("approval", "known")
    assert "approve" in shown["can"]
    assert "approve" not in item(ben, api, 4)["can"]
    assert decide(ben, api, 2, "approve").json()["rows"]["clean"] == 5
    assert ReviewedRun.of(store, entry).standing[2].holders == ("anna", "ben")
    assert decide(ben, api, 5, "release").json()["wait"] == 0


# in real browsers


@pytest.fixture
def opened(browser, servers):
    """Return what opens the page of one person in a browser of their own."""
    with contextlib.ExitStack() as stack:

        def open_page(person, *, scheme="light", width=1280):
            server = servers[PEOPLE.index(person)]
            size = {"width": width, "height": 860}
            context = browser.new_context(color_scheme=scheme, viewport=size)
            stack.callback(context.close)
            page = chromium.watched(context.new_page())
            page.goto(server.link())
            page.wait_for_selector("#row-h")
            return page

        yield open_page


def at(page, row):
    page.wait_for_function("row => document.getElementById('row-h')?.textContent === row",
                           arg=f"Row {row}")  # fmt: skip


def said(page, words):
    page.wait_for_function(
        "words => document.getElementById('said').textContent.includes(words)", arg=words
    )


@chromium.needed
@pytest.mark.parametrize("policy", [TWO], ids=str)
def test_two_browsers_decide_blind_and_a_third_settles(opened, store, entry):
    first, second = opened("anna"), opened("ben")
    at(first, 2)
    first.keyboard.press("a")
    at(first, 4)
    said(first, "which counts where two people say the same")
    second.reload()
    at(second, 2)
    assert "1 row has one of two opinions" in second.inner_text("#people")
    assert "anna" not in second.inner_text("#row-body")
    assert "Nobody has decided about this row" in second.inner_text("#row-body")
    second.keyboard.press("r")
    second.wait_for_selector("#people >> text=1 disagreement")
    third = opened("carla", width=380, scheme="dark")
    at(third, 2)
    shown = third.inner_text(".standing.disagreement")
    assert "release by anna" in shown
    assert "reject by ben" in shown
    assert third.evaluate(CONTRAST) == []
    assert third.evaluate("document.documentElement.scrollWidth") <= 380
    third.keyboard.press("r")
    said(third, "Rejected row 2")
    assert ReviewedRun.of(store, entry).standing[2].last.decision == "reject"
    third.goto(third.url.partition("/runs")[0] + f"/runs/{entry.seq}")
    assert "anna and ben agreed on 0 of 1 row" in third.inner_text(".people")
    assert first.said == second.said == third.said == []


@chromium.needed
@pytest.mark.parametrize("policy", [SECOND], ids=str)
def test_a_second_person_approves_with_one_key(opened, store, entry):
    first = opened("anna")
    at(first, 2)
    assert first.locator("#do-approve").is_hidden()
    first.keyboard.press("a")
    said(first, "which waits for a second person")
    assert not ReviewedRun.of(store, entry).standing
    second = opened("ben")
    at(second, 2)
    assert "release by anna" in second.inner_text(".standing.approval")
    assert second.locator("#do-approve").is_visible()
    assert second.locator("#overrule").is_visible()
    assert second.evaluate(CONTRAST) == []
    second.get_by_role("button", name="1 row waits for a second person").click()
    second.get_by_role("button", name="row 2", exact=True).click()
    at(second, 2)
    second.keyboard.press("y")
    said(second, "Approved row 2")
    assert ReviewedRun.of(store, entry).standing[2].holders == ("anna", "ben")
    assert first.said == second.said == []
