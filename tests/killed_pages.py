"""The server of the review page, killed in the middle of decisions, and what must hold after it."""

import json
import random
import time
from pathlib import Path

import crash_scenes as scenes
import httpx
import review_page
from crash import KILLED

NAME = "review"  # the operation whose store is taken: one run, and nothing decided
ROWS = range(30, 36)  # which are decided about, one after the other
WORDS = ("release", "reject")


def serve(words):
    """Serve the page of run 1 of the store in a folder, until it is killed."""
    from pipelines.commands import explain
    from pipelines.review import server
    from pipelines.review.desk import Desk
    from pipelines.store.store import Store

    desk = Desk(Store(Path(words[0])), "page")
    desk.queue(1)
    server.Server(desk, explain.meaning, 1, port=0, say=server.say_json).run()
    return 0


class Link:
    """A started server, as a browser of the tests needs it."""

    def __init__(self, started):
        self._links, self._started = 0, started
        self.port = int(httpx.URL(self.link()).port)
        self._links = 0

    def link(self):
        """Return the next start link, once the server has printed it."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            lines = self._started.said().splitlines()
            if len(lines) > self._links:
                self._links += 1
                return json.loads(lines[self._links - 1])["url"]
            time.sleep(0.01)
        raise TimeoutError(self._started.said())


def started(home, fault=None):
    """Start the server; returns what it is, and a browser that came in."""
    made = home.start(home.store, call="killed_pages:serve", fault=fault)
    return made, review_page.Browser(Link(made))


def told_entries(browser, rows=ROWS, *, pause=0.0):
    """Decide about rows until the server is gone; returns row -> entry of what was acknowledged."""
    told = {}
    for place, row in enumerate(rows):
        time.sleep(pause)
        body = {"decision": WORDS[place % 2], "version": 0}
        try:
            answer = browser.tell(f"/api/runs/1/rows/{row}/decision", body)
        except httpx.HTTPError:
            break
        if answer.status_code == 200:
            told[row] = answer.json()["entry"]
    return told


def points(home):
    """Return the write points of a server while decisions are made, in order."""
    home.take(NAME)
    made, browser = started(home)
    with browser:
        told_entries(browser)
    made.kill()
    return scenes.commit_of(made.wait().points)


def attempt(home, fault=None, seconds=None):
    """Kill a server at a write point, or after seconds from its first decision; look at the store.

    Returns the entries that were acknowledged, and everything that is wrong.
    """
    before = home.take(NAME)
    made, browser = started(home, fault)
    with browser:
        if seconds is not None:
            _kill_after(made, seconds)
        told = told_entries(browser)
    if seconds is None:
        done = made.wait()
    else:
        made.kill()
        done = made.wait()
    problems = [] if done.code == KILLED else [f"it ended with {done.code}: {done.errors}"]
    after = scenes.look(home)
    problems += problems_of(before, after, told) + usable(home, after)
    return told, problems


def _kill_after(made, seconds):
    import threading

    timer = threading.Timer(seconds, made.kill)
    timer.daemon = True
    timer.start()


def problems_of(before, after, told):
    """Return what is wrong with the ledger: lost entries, half of one, or one that nobody sent."""
    found = scenes.faults_of(after, {"ASSAY-L009"})
    if after.entries[: len(before.entries)] != before.entries:
        found.append("entries changed")
    new = [entry for entry in after.entries[len(before.entries) :] if entry["kind"] == "review"]
    if lost := set(told.values()) - {entry["seq"] for entry in new}:
        found.append(f"the entries {sorted(lost)} were acknowledged and are lost")
    if len(new) > len(told) + 1:
        found.append(f"{len(new)} entries for {len(told)} decisions")
    if any(sum(entry["decisions"].values()) != 1 for entry in new):
        found.append(f"half a decision: {new}")
    return found


def usable(home, after):
    """Return what is wrong with the next decisions: by the shell, and by a server started again."""
    found = []
    done = home.assay("review", "1", "--decide", "reject", "--row", "50", "--as", "shell")
    if done.number != len(after.entries):
        found.append(f"the next decision gave {done.code}: {done.errors}")
    made, browser = started(home)
    with browser:
        if len(told_entries(browser, range(60, 62))) != 2:
            found.append("a server that is started again records nothing")
    made.kill()
    made.wait()
    end = scenes.look(home)
    return found + scenes.faults_of(end) + scenes.leftovers(home, end)


def drawn(home, count, seed=5):
    """Return so many points of a server's commits, each with a way to die there."""
    draw, every = random.Random(seed), points(home)
    ways = [
        (str(p), mode) for p in every for mode in ("before", "after", "half") if mode in p.modes()
    ]
    return draw.sample(ways, min(count, len(ways)))
