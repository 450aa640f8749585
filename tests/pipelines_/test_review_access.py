"""Who may on the review page: users, roles, sessions and proxies, and those who only claim to."""

import re
import signal
import socket
import ssl
import subprocess
import sys
import threading

import httpx
import pytest
import review_page
from review_page import PASSWORD, STORED, Person, accused, commit, lines
from starlette.routing import Route

from pipelines.review import attempts, login, roles, sessions
from pipelines.review.doors import Door, Proxy
from pipelines.store import reference_anchor
from pipelines.store.store import Store

SECRET = "s" * 40
ORIGIN = "https://review.example.org"
REJECT = {"decision": "reject", "version": 0}
EVERYONE = {"vera": "viewer", "rita": "reviewer", "abel": "approver", "adam": "admin"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def entry(store, tmp_path):
    found = [accused([1, 3, 5, 7]), accused([2, 4], "poison.trigger", column="note")]
    return commit(store, review_page.contract_in(tmp_path), tmp_path, lines(12), found)


@pytest.fixture
def users(tmp_path):
    return review_page.users_in(tmp_path, **EVERYONE)


@pytest.fixture
def server(store, entry, users):
    with review_page.served(store, entry, door=Door(users=users)) as started:
        yield started


@pytest.fixture
def proxied(store, entry, users):
    proxy = Proxy("x-remote-user", frozenset({"127.0.0.1"}), SECRET, ORIGIN)
    with review_page.served(store, entry, door=Door(users=users, proxy=proxy)) as started:
        yield started


@pytest.fixture
def tls(store, entry, users, tmp_path):
    certificate, key = review_page.certificate_in(tmp_path)
    door = Door(users=users, certificate=certificate, key=key)
    with review_page.served(store, entry, door=door) as started:
        yield started


@pytest.fixture
def api(entry):
    return f"/api/runs/{entry.seq}"


def reviews(store):
    return [each for each in store.ledger.entries() if each.kind == "review"]


def rewrite(users, **given):
    users.write_text("".join(f"{name} {role} {STORED}\n" for name, role in given.items()))


# the table of routes


def routes_of(router):
    """Return method and path of every route, also of routers in routers."""
    found = set()
    for route in router.routes:
        if isinstance(route, Route):
            found |= {(method, route.path) for method in route.methods}
        else:  # anything else than an included router is an error here
            found |= routes_of(route.original_router)
    return found


def test_every_route_is_in_the_table_and_every_line_of_it_is_served(store, entry, users):
    served = set()
    for door in (None, Door(users=users)):
        with review_page.served(store, entry, door=door) as server:
            served |= routes_of(server.app)
    assert served == set(roles.ROUTES)
    assert set(roles.ROUTES.values()) <= {*roles.POWERS, roles.LINK, roles.FRONT}
    changing = {path for method, path in served if method == "POST"} - roles.FORMS
    assert all(path.startswith("/api/") for path in changing)


def test_a_route_that_is_not_in_the_table_cannot_be_reached(server):
    server.app.add_api_route("/secret", lambda: "told", methods=["GET", "POST"])
    with Person(server, "adam") as adam:
        assert adam.get("/secret").status_code == 404
        assert adam.tell("/secret", {}).status_code == 404
        assert "told" not in adam.get("/secret").text


def filled(path, entry):
    path = path.replace("{rule:path}", "outliers.joint")
    return path.format(number=entry.seq, row=1, group="ffffffff", name="review.css",
                       state="approval")  # fmt: skip


GUARDED = {each: power for each, power in roles.ROUTES.items()
           if power in roles.POWERS and each[1] != "/logout"}  # fmt: skip


def asked(person, method, path, url):
    if path in roles.FORMS:
        return person.submit(url, {"csrf": person.csrf, "reason": ""})
    return person.get(url) if method == "GET" else person.tell(url, {})


def test_each_role_may_do_what_its_place_allows_and_no_more(server, entry, store):
    """What is allowed is answered by the app, whatever it says; what is not never reaches it."""
    people = {name: Person(server, name) for name in EVERYONE}
    with Person(server) as stranger:
        for (method, path), power in GUARDED.items():
            url = filled(path, entry)
            is_page = method == "GET" and not url.startswith("/api")
            code = asked(stranger, method, path, url).status_code
            assert code == (303 if is_page else 401), url
            for name, role in EVERYONE.items():
                before = store.ledger.head().leaf
                answer = asked(people[name], method, path, url)
                is_allowed = roles.ROLES.index(role) >= roles.ROLES.index(roles.POWERS[power])
                assert (answer.status_code not in (401, 403)) == is_allowed, (role, url)
                if not is_allowed:
                    assert f"Your role, {role}, does not allow this" in answer.text
                    assert store.ledger.head().leaf == before
    for person in people.values():
        person.close()


def test_a_viewer_who_posts_by_hand_changes_and_learns_nothing(server, store, api):
    before = store.ledger.head()
    with Person(server, "vera") as vera:
        group = vera.get(f"{api}/rows/1").json()["item"]["group"]
        mark = vera.get(f"{api}/groups/{group}/samples").json()["mark"]
        answers = [
            vera.tell(f"{api}/rows/1/decision", REJECT),
            vera.tell(f"{api}/groups/{group}/decision", {"decision": "reject", "mark": mark}),
            vera.tell(f"{api}/undo", {"entry": 1}),
            vera.tell(f"{api}/rows/1/cell", {"column": "email"}),
            vera.tell(f"{api}/search", {"text": "email=p1@example.org"}),
        ]
        page = vera.look().text
    assert [answer.status_code for answer in answers] == [403] * 5
    assert not any("p1@" in answer.text for answer in answers)
    assert store.ledger.head().leaf == before.leaf
    assert 'data-off="arlcxuAReyv/"' in page


def test_a_second_person_is_an_approver_however_the_decision_is_worded(store, tmp_path, users):
    contract = review_page.contract_in(tmp_path, second_person="[pii, poison]")
    found = [accused([2, 4], "poison.trigger", column="note")]
    entry = commit(store, contract, tmp_path, lines(12), found)
    path = f"/api/runs/{entry.seq}/rows/2"

    def decide(person, word):
        version = person.get(path).json()["item"]["version"]
        return person.tell(f"{path}/decision", {"decision": word, "version": version})

    with (
        review_page.served(store, entry, door=Door(users=users)) as server,
        Person(server, "adam") as adam,
        Person(server, "rita") as rita,
        Person(server, "abel") as abel,
    ):
        assert decide(adam, "release").json()["wait"] == 1
        assert "approve" not in rita.get(path).json()["item"]["can"]
        assert decide(rita, "approve").status_code == 403
        same = decide(rita, "release")
        assert same.status_code == 422
        assert "the role of an approver" in same.json()["message"]
        assert rita.get(path).json()["item"]["state"] == "approval"
        assert decide(abel, "approve").status_code == 200
        assert abel.get(path).json()["item"]["fate"] == "clean"
    assert [each.facts["by"] for each in reviews(store)] == ["adam", "abel"]
    assert not any("account" in each.facts for each in reviews(store))


def test_a_decision_may_need_more_than_its_route(server, store, api, monkeypatch):
    monkeypatch.setitem(roles.DECISIONS, "reject", "approve")
    with Person(server, "rita") as rita, Person(server, "abel") as abel:
        refused = rita.tell(f"{api}/rows/1/decision", REJECT)
        assert refused.status_code == 403
        assert refused.json()["message"].endswith("it needs approver or above.")
        assert abel.tell(f"{api}/rows/1/decision", REJECT).status_code == 200
    assert [each.facts["by"] for each in reviews(store)] == ["abel"]


def test_only_an_admin_anchors_and_the_page_says_who_did(server, store, entry):
    with Person(server, "abel") as abel:
        assert "Make this run the reference" not in abel.get(f"/runs/{entry.seq}").text
    with Person(server, "adam") as adam:
        assert "Make this run the reference" in adam.get(f"/runs/{entry.seq}").text
        form = {"csrf": adam.csrf, "reason": "new prices"}
        sent = adam.submit(f"/runs/{entry.seq}/anchor", form)
        assert sent.headers["location"] == f"/runs/{entry.seq}#reference"
        assert "adam anchored it on" in adam.get(f"/runs/{entry.seq}").text
        two = adam.submit(f"/runs/{entry.seq}/anchor", {"csrf": adam.csrf, "reason": "a\nb"})
        assert two.status_code == 422
    made = reference_anchor.standing(store, "people").entry.facts
    assert (made["by"], made["base"], made["reason"]) == ("adam", entry.seq, "new prices")


# who decides


def test_decisions_and_views_are_by_whoever_is_logged_in(server, store, api):
    with Person(server, "rita") as rita, Person(server, "abel") as abel:
        done = rita.tell(f"{api}/rows/1/decision", REJECT).json()
        lost = abel.tell(f"{api}/rows/1/decision", {"decision": "release", "version": 0})
        assert lost.status_code == 409
        last = lost.json()["last_decision"]
        assert (last["by"], last["own"]) == ("rita", False)
        assert abel.tell(f"{api}/undo", {"entry": done["entry"]}).status_code == 409
        assert abel.get(f"{api}/groups").json()["last"] is None
        assert rita.get(f"{api}/groups").json()["last"]["entry"] == done["entry"]
        abel.tell(f"{api}/rows/3/cell", {"column": "email"})
        assert store.ledger.head().facts["by"] == "abel"
        rita.tell(f"{api}/undo", {"entry": done["entry"]})
    assert [each.facts["by"] for each in reviews(store)] == ["rita", "rita"]


def test_of_two_users_on_one_version_of_a_row_one_wins(server, store, api):
    answers = {}

    def decide(person, word):
        answers[word] = person.tell(f"{api}/rows/1/decision", {"decision": word, "version": 0})

    with Person(server, "rita") as rita, Person(server, "abel") as abel:
        threads = [threading.Thread(target=decide, args=each)
                   for each in ((rita, "release"), (abel, "reject"))]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answer.status_code for answer in answers.values()) == [200, 409]
    [made] = reviews(store)
    won = next(word for word, answer in answers.items() if answer.status_code == 200)
    assert made.facts["by"] == {"release": "rita", "reject": "abel"}[won]


# logging in and out


def test_a_login_leads_to_the_queue_and_leaves_nothing_in_the_address(server, entry):
    with Person(server) as rita:
        sent = rita.get(f"/runs/{entry.seq}")
        assert sent.headers["location"] == f"/login?to=/runs/{entry.seq}"
        answer = rita.log_in("rita")
        assert answer.headers["location"] == f"/runs/{entry.seq}/review"
        cookies = " ".join(answer.headers.get_list("set-cookie")).lower()
        assert "httponly" in cookies
        assert "samesite=strict" in cookies
        page = rita.get(answer.headers["location"])
        assert "Log out" in page.text
        assert "rita" not in re.search("<title>(.*)</title>", page.text)[1]
        assert PASSWORD not in page.text


@pytest.mark.parametrize(("name", "password"), [
    ("rita", "wrong horse battery"), ("nobody", PASSWORD), ("", ""),
    ("rita", ""), ("rita\x00", PASSWORD), ("<script>", PASSWORD), ("rita", "x" * 1025),
])  # fmt: skip
def test_a_wrong_name_is_answered_as_a_wrong_password_is(server, name, password):
    with Person(server) as stranger:
        answer = stranger.log_in(name, password)
        assert answer.status_code == 403
        assert login.WRONG in answer.text
        assert "<script>" not in answer.text
        assert password not in answer.text or not password
        assert stranger.get("/").status_code == 303


def test_upper_and_lower_case_make_no_difference_to_a_name(server, store, api):
    with Person(server) as rita:
        assert rita.log_in("RITA").status_code == 303
        assert rita.look().status_code == 200
        assert rita.tell(f"{api}/rows/1/decision", REJECT).status_code == 200
    assert reviews(store)[0].facts["by"] == "rita"


def test_an_unknown_name_costs_as_much_as_a_known_one(monkeypatch, server):
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    seen = []

    class Watched:
        @staticmethod
        def verify_phc_encoded(typed, stored):
            seen.append(stored.rsplit("$", 2)[0])
            return Argon2id.verify_phc_encoded(typed, stored)

    monkeypatch.setattr("cryptography.hazmat.primitives.kdf.argon2.Argon2id", Watched)
    monkeypatch.setattr("pipelines.review.passwords._decoy", lambda: STORED)
    with Person(server) as stranger:
        for name in ("rita", "nobody"):
            assert stranger.log_in(name, "wrong horse battery").status_code == 403
        # the decoy's own password opens nothing
        assert stranger.log_in("nobody", PASSWORD).status_code == 403
    assert seen == ["$argon2id$v=19$m=65536,t=3,p=4"] * 3


@pytest.mark.parametrize("change", [
    {"origin": "https://example.org"}, {"origin": "null"}, {"origin": None},
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
    {"content-type": "text/plain"}, {"cookie": ""},
])  # fmt: skip
def test_a_login_that_another_site_sends_is_refused(server, change):
    with Person(server) as victim:
        assert victim.log_in("rita", **change).status_code in (403, 415)
        assert not any("review" in name for name in victim.cookies)


def test_the_secret_of_one_login_form_does_not_serve_another_browser(server):
    with Person(server) as one, Person(server) as other:
        csrf = re.search(r'name="csrf" value="([^"]+)"', one.get("/login").text)[1]
        other.get("/login")
        form = {"csrf": csrf, "to": "", "name": "rita", "password": PASSWORD}
        assert other.submit("/login", form).status_code == 403
        for broken in ({**form, "csrf": ""}, {"name": "rita"}, {"csrf": csrf[:-1]}):
            assert other.submit("/login", broken).status_code in (403, 422)
        doubled = f"csrf={csrf}&csrf={csrf}&name=rita&password={PASSWORD}"
        own = {"origin": one.origin, "content-type": "application/x-www-form-urlencoded"}
        assert one.post("/login", content=doubled, headers=own).status_code == 422


def test_a_session_that_was_planted_is_not_taken_over(server):
    """Session fixation: a login always brings a new cookie, and ends the session before it."""
    with Person(server, "vera") as attacker, Person(server) as victim:
        victim.cookies.update(attacker.cookies)
        planted = attacker.cookies[server.threshold.cookie_name()]
        assert victim.log_in("rita").status_code == 303
        assert victim.cookies[server.threshold.cookie_name()] != planted
        assert attacker.get("/").status_code == 303  # its session is over
    with Person(server) as stranger:
        stranger.cookies.set(server.threshold.cookie_name(), "chosen-by-an-attacker")
        assert stranger.get("/").status_code == 303


@pytest.mark.parametrize("to", ["//example.org", "https://example.org", "/\\example.org",
                                "/runs/1/../../x", "/login", "/runs/1/review?x=1",
                                "/runs/1\n/x"])  # fmt: skip
def test_a_login_leads_nowhere_else(server, entry, to):
    with Person(server) as rita:
        csrf = re.search(r'name="csrf" value="([^"]+)"', rita.get("/login").text)[1]
        form = {"csrf": csrf, "to": to, "name": "rita", "password": PASSWORD}
        assert rita.submit("/login", form).headers["location"] == f"/runs/{entry.seq}/review"
        shown = rita.get("/login", params={"to": to}).text
        assert "example.org" not in shown


def test_logging_out_ends_the_session_and_needs_its_secret(server):
    with Person(server, "rita") as rita:
        cookie = dict(rita.cookies)
        assert rita.submit("/logout", {"csrf": "guess"}).status_code == 403
        assert rita.submit("/logout", {"csrf": rita.csrf}, origin="null").status_code == 403
        assert rita.get("/logout").status_code == 404
        assert rita.get("/").status_code == 200
        assert rita.submit("/logout", {"csrf": rita.csrf}).headers["location"] == "/login"
        assert rita.get("/").status_code == 303
        rita.cookies.update(cookie)
        assert rita.get("/").status_code == 303  # the cookie is worth nothing any more


# how long


def at(server, clock):
    server.sessions._clock = lambda: clock[0]


def test_a_session_ends_when_it_is_not_used_and_after_half_a_day(server, api, store):
    clock = [0.0]
    at(server, clock)
    with Person(server, "rita") as rita:
        for _ in range(3):
            clock[0] += sessions.IDLE - 1
            assert rita.get("/").status_code == 200
        clock[0] += sessions.IDLE + 1
        answer = rita.tell(f"{api}/rows/1/decision", REJECT)
        assert answer.status_code == 401
        assert answer.json()["message"] == "Your session has ended, so nothing was recorded."
        assert reviews(store) == []
    with Person(server, "rita") as rita:
        began = clock[0]
        while clock[0] - began < sessions.LONGEST:
            assert rita.get("/").status_code == 200
            clock[0] += sessions.IDLE - 1
        assert rita.get("/").status_code == 303


def test_a_stolen_cookie_without_its_secret_decides_nothing(server, api, store):
    with Person(server, "rita") as rita, Person(server) as thief, Person(server, "vera") as vera:
        thief.cookies.update(rita.cookies)
        thief.csrf = vera.csrf
        assert thief.tell(f"{api}/rows/1/decision", REJECT).status_code == 403
        assert reviews(store) == []


def test_a_role_withdrawn_counts_at_the_next_request(server, users, api, store):
    with Person(server, "rita") as rita:
        rewrite(users, **(EVERYONE | {"rita": "viewer"}))
        refused = rita.tell(f"{api}/rows/1/decision", REJECT)
        assert refused.status_code == 403
        assert "Your role, viewer" in refused.json()["message"]
        rewrite(users, **EVERYONE)
        assert rita.tell(f"{api}/rows/1/decision", REJECT).status_code == 200
        rewrite(users, **{name: role for name, role in EVERYONE.items() if name != "rita"})
        assert rita.get("/").status_code == 303
        rewrite(users, **EVERYONE)
        assert rita.get("/").status_code == 303  # removed and added is another user
    assert len(reviews(store)) == 1


def test_another_password_ends_the_sessions_of_the_old_one(server, users):
    with Person(server, "rita") as rita:
        other = review_page.passwords.encoded("another password")
        users.write_text(users.read_text().replace(f"rita reviewer {STORED}",
                                                   f"rita reviewer {other}"))  # fmt: skip
        assert rita.get("/").status_code == 303
        assert rita.log_in("rita").status_code == 403
        assert rita.log_in("rita", "another password").status_code == 303


def test_a_users_file_that_breaks_lets_nobody_in_until_it_is_repaired(server, users, capfd, api):
    with Person(server, "adam") as adam:
        text = users.read_text()
        users.write_text(text.replace("viewer", "god"))
        assert [adam.get(path).status_code for path in ("/", f"{api}/groups", "/login")] == [
            503
        ] * 3
        told = capfd.readouterr().err
        assert told.count("ASSAY-C015") == 1  # once, not at each request
        assert "$argon2id" not in told
        users.write_text(text)
        users.chmod(0o644)
        assert adam.get("/").status_code == 503
        assert "ASSAY-E112" in capfd.readouterr().err
        users.chmod(0o600)
        assert adam.get("/").status_code == 200


def test_sessions_of_one_user_do_not_push_out_those_of_others(server):
    with Person(server, "rita") as rita, Person(server, "vera") as vera:
        made = [server.sessions.open(server.threshold.users.now()["vera"], "password")
                for _ in range(sessions.MOST_OWN)]  # fmt: skip
        assert vera.get("/").status_code == 303
        assert rita.get("/").status_code == 200
        assert server.sessions.of(made[-1].cookie, server.threshold.users.now())


# guessing


def test_guessing_has_to_wait_longer_and_longer():
    clock = [1000.0]
    tries = attempts.Attempts(lambda: clock[0])
    free, most = attempts.LIMITS["both"]
    assert [tries.begin("rita", "10.0.0.7") for _ in range(free)] == [0.0] * free
    waits = []
    for _ in range(12):
        waits.append(tries.begin("rita", "10.0.0.7"))
        clock[0] += waits[-1]
        assert tries.begin("rita", "10.0.0.7") == 0.0
    assert waits == [min(2.0**n, most) for n in range(12)]
    assert tries.begin("rita", "10.0.0.8") == 0.0  # she herself, from elsewhere
    clock[0] += attempts.FORGET + 1
    assert tries.begin("rita", "10.0.0.7") == 0.0


def test_one_address_does_not_try_many_names_nor_many_addresses_one_name():
    clock = [1000.0]
    tries = attempts.Attempts(lambda: clock[0])
    waits = [tries.begin(f"name{n}", f"2001:db8::{n:x}") for n in range(30)]
    assert waits[: attempts.LIMITS["address"][0]] == [0.0] * attempts.LIMITS["address"][0]
    assert all(wait > 0 for wait in waits[attempts.LIMITS["address"][0] :])
    waits = [tries.begin("rita", f"10.0.{n}.1") for n in range(100)]
    assert waits[: attempts.LIMITS["name"][0]] == [0.0] * attempts.LIMITS["name"][0]
    assert all(0 < wait <= 60 for wait in waits[attempts.LIMITS["name"][0] :])


def test_a_right_password_takes_the_failures_before_it_back():
    tries = attempts.Attempts(lambda: 1000.0)
    for _ in range(200):
        assert tries.begin("rita", "10.0.0.7") == 0.0
        tries.succeed("rita", "10.0.0.7")


def test_guesses_over_http_are_told_to_wait(store, entry, users, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(login, "Attempts", lambda: attempts.Attempts(lambda: clock[0]))
    with (
        review_page.served(store, entry, door=Door(users=users)) as server,
        Person(server) as guesser,
    ):
        names = ("vera", "Vera", "vEra", "veRa", "verA", "VERA")  # one name to who guesses, too
        codes = [guesser.log_in(name, "wrong password").status_code for name in names]
        assert codes == [403] * 5 + [429]
        late = guesser.log_in("vera")  # the right one has to wait too
        assert (late.status_code, late.headers["retry-after"]) == (429, "2")
        assert "Too many attempts. Try again in 2 seconds." in late.text
        assert guesser.log_in("rita").status_code == 303  # somebody else at this address
        clock[0] += 1
        assert guesser.log_in("vera").status_code == 303


# a proxy


def ask(server, path="/", names=("rita",), secret=SECRET, **more):
    headers = [*({"host": "review.example.org"} | more).items()]
    headers += [("x-remote-user", name) for name in names]
    headers += [("assay-proxy-secret", secret)] if secret else []
    return httpx.get(f"http://127.0.0.1:{server.port}{path}", headers=headers, trust_env=False)


def test_whom_the_proxy_names_is_in_with_the_role_of_the_users_file(proxied, api, store):
    base = {"host": "review.example.org", "assay-proxy-secret": SECRET}
    url = f"http://127.0.0.1:{proxied.port}"
    with httpx.Client(base_url=url, headers=base, trust_env=False) as client:
        page = client.get("/runs/1/review", headers={"x-remote-user": "rita"})
        cookie = page.headers["set-cookie"]
        assert cookie.startswith("__Host-assay-review-")
        assert "Secure" in cookie
        assert "rita" in page.text
        assert "Log out" not in page.text  # that is the proxy's to do
        own = {"cookie": cookie.partition(";")[0], "origin": ORIGIN,
               "x-assay-csrf": re.search(r'data-csrf="([^"]+)"', page.text)[1]}  # fmt: skip
        path = f"{api}/rows/1/decision"
        for name in ("vera", "abel"):  # the cookie of one does not serve another
            sent = client.post(path, json=REJECT, headers={**own, "x-remote-user": name})
            assert sent.status_code == 401
        sent = client.post(path, json=REJECT, headers={**own, "x-remote-user": "rita"})
        assert sent.status_code == 200
        foreign = own | {"origin": url, "x-remote-user": "rita"}
        assert client.post(path, json=REJECT, headers=foreign).status_code == 403
    assert [each.facts["by"] for each in reviews(store)] == ["rita"]


@pytest.mark.parametrize("claim", [
    {"secret": ""}, {"secret": "guess"}, {"secret": SECRET + "x"}, {"names": ()},
    {"names": ("rita", "rita")}, {"names": ("adam", "rita")}, {"names": ("nobody",)},
    {"names": ("rita, adam",)}, {"names": ("rita\tadam",)}, {"names": ("RITA",)}, {"names": ("",)},
    {"assay-proxy-secret": SECRET}, {"host": "127.0.0.1"},
    {"x-forwarded-user": "adam", "names": ()},
])  # fmt: skip
def test_who_only_claims_to_be_named_by_the_proxy_is_refused(proxied, claim):
    names, secret = claim.pop("names", ("rita",)), claim.pop("secret", SECRET)
    answer = ask(proxied, names=names, secret=secret, **claim)
    assert answer.status_code in (403, 421)
    assert "set-cookie" not in answer.headers
    assert "adam" not in answer.text


@pytest.mark.parametrize(
    "value", [b"rita\x00", b"rita\x01", b"rita\r\nx: y", b"\x7frita", b"r\xefta"]
)
def test_a_header_with_control_characters_is_refused(proxied, value):
    with socket.create_connection(("127.0.0.1", proxied.port)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nhost: review.example.org\r\nconnection: close\r\n"
                    b"assay-proxy-secret: " + SECRET.encode() + b"\r\nx-remote-user: " + value
                    + b"\r\nx-remote-user: vera\r\n\r\n")  # fmt: skip
        status = raw.makefile("rb").readline().split()[1]
    assert status in (b"400", b"403")


def test_another_address_than_the_proxys_is_refused_even_with_its_secret(store, entry, users):
    proxy = Proxy("x-remote-user", frozenset({"10.1.2.3"}), SECRET, ORIGIN)
    with review_page.served(store, entry, door=Door(users=users, proxy=proxy)) as server:
        assert ask(server).status_code == 403
        assert ask(server, **{"x-forwarded-for": "10.1.2.3"}).status_code == 403
        assert ask(server, forwarded="for=10.1.2.3").status_code == 403


def test_the_header_means_nothing_where_no_proxy_was_named(server, store, entry):
    claim = {"x-remote-user": "adam", "assay-proxy-secret": SECRET, "x-forwarded-user": "adam"}
    with Person(server) as stranger:
        assert stranger.get("/", headers=claim).status_code == 303
    with review_page.served(store, entry) as plain:
        url = f"http://127.0.0.1:{plain.port}/"
        assert httpx.get(url, headers=claim, trust_env=False).status_code == 401


def test_no_password_is_asked_for_behind_a_proxy(proxied):
    assert ask(proxied, "/login").status_code == 404
    assert ask(proxied, "/start").status_code == 404


# TLS


def test_over_tls_cookies_and_answers_are_for_https_only(tls, api, store):
    with Person(tls) as rita:
        assert rita.log_in("rita").status_code == 303
        rita.look()
        assert rita.origin.startswith("https://localhost:")
        name = tls.threshold.cookie_name()
        assert name.startswith("__Host-")
        assert name in rita.cookies
        assert rita.get("/").headers["strict-transport-security"].startswith("max-age=")
        assert rita.tell(f"{api}/rows/1/decision", REJECT).status_code == 200
        plain = rita.origin.replace("https", "http")
        assert rita.tell(f"{api}/rows/3/decision", REJECT, origin=plain).status_code == 403
        for host in ("example.org", f"example.org:{tls.port}", "localhost", "localhost:1",
                     f"localhost.:{tls.port}", f"0.0.0.0:{tls.port}"):  # fmt: skip
            assert rita.get("/", headers={"host": host}).status_code == 421
        address = f"127.0.0.1:{tls.port}"  # the certificate names it too
        assert rita.get("/", headers={"host": address}).status_code == 200
    assert [each.facts["by"] for each in reviews(store)] == ["rita"]


def test_plain_http_to_the_tls_port_gets_nothing_and_disturbs_nobody(tls, capfd):
    with socket.create_connection(("127.0.0.1", tls.port)) as raw:
        raw.sendall(b"GET /login HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b"HTTP" not in raw.makefile("rb").read()
    with socket.create_connection(("127.0.0.1", tls.port)) as raw:
        raw.sendall(b"\x16\x03\x01")  # a handshake that ends early
    with Person(tls) as rita:
        assert rita.log_in("rita").status_code == 303
    told = capfd.readouterr()
    assert told.err + told.out == ""


def test_old_tls_is_refused(tls):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", tls.port)) as raw, pytest.raises(OSError):
        old.wrap_socket(raw)


# what is too much, and odd paths


def test_bodies_and_headers_that_are_too_long_are_refused(server, store, api):
    with Person(server, "rita") as rita:
        big = rita.submit("/login", {"csrf": rita.csrf, "name": "x" * 70_000, "password": ""})
        assert big.status_code == 413
        many = rita.submit("/login", {f"f{n}": "" for n in range(50)} | {"csrf": rita.csrf})
        assert many.status_code == 422
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"x" * 70_000)
            assert raw.makefile("rb").readline().split()[1] == b"400"
        stream = rita.post(f"{api}/rows/1/decision", content=iter([b"{}"]), headers={
            "origin": rita.origin, "x-assay-csrf": rita.csrf,
            "content-type": "application/json"})  # fmt: skip
        assert stream.status_code == 411
        assert rita.get("/").status_code == 200
    assert reviews(store) == []


@pytest.mark.parametrize("path", [
    "//", "/%2e%2e/", "/static/..%2fserver.py", "/static/%2e%2e/users.py", "/./", "/runs/1%2f..",
    "/API/runs/1/groups", "/api//runs/1/groups", "/runs/1/review/", "/login/../", "/static/x\\y",
])  # fmt: skip
def test_odd_paths_lead_nowhere(server, path):
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        request = (
            f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\nconnection: close\r\n\r\n"
        )
        raw.sendall(request.encode())
        answer = raw.makefile("rb").read().decode()
    assert answer.split()[1] in ("303", "401", "404")
    location = re.search(r"location: (\S+)", answer)
    assert location is None or location[1].startswith("/login")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_do_nothing(server, api, store, method):
    with Person(server, "adam") as adam:
        for path in ("/", "/login", f"{api}/rows/1/decision"):
            own = {"origin": adam.origin, "x-assay-csrf": adam.csrf}
            assert adam.request(method, path, headers=own).status_code in (403, 404, 405)
    assert reviews(store) == []


def test_nothing_of_a_login_is_written_to_the_terminal(store, entry, users):
    words = ["review", str(entry.seq), "--users", str(users), "--store", str(store.folder)]
    command = [sys.executable, "-P", "-m", "pipelines.cli", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, stdout=pipe, stderr=pipe) as started:
        url = started.stdout.readline().removeprefix("review page: ").strip()
        assert "token" not in url
        with httpx.Client(base_url=url, trust_env=False) as client:
            csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)[1]
            form = {"csrf": csrf, "to": "", "name": "rita", "password": PASSWORD}
            own = {"origin": url.rstrip("/")}
            assert client.post("/login", data=form, headers=own).status_code == 303
            assert client.get(f"/runs/{entry.seq}/review").status_code == 200
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=60)
    assert (started.returncode, out, err) == (0, "", "")
