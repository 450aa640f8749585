"""The review page of a run with a million quarantined rows, under twenty reviewers.

`python benchmarks/review.py [--rows N] [--reviewers N] [--seconds N] [--think SECONDS]` reads and
commits a run whose rows are all quarantined (findings are given), serves it from a process of its
own, and lets simulated reviewers work over HTTP, each in a group of its own: list, rows ahead,
decision, and a pause of about THINK seconds. Then one decision on a group of a tenth of the rows,
and its undo. With `--two`, the contract asks for two reviewers. Prints percentiles beside their
goals, and what the server's process spent. Exits 1 if an answer is not what it should be.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import review_page
import runs

from checks.kit import findings
from pipelines.store.store import Store

GOAL_P95, GOAL_GROUP = 0.150, 5.0  # seconds
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: large
schema:
  - name: large
    properties:
      - {name: id, logicalType: string, primaryKey: true}
      - {name: size, logicalType: number}
      - {name: count, logicalType: integer}
      - {name: text, logicalType: string}
      - {name: kind, logicalType: string, customProperties: [{property: assay.role, value: label}]}
"""


TWO = "customProperties:\n  - {property: assay.policy, value: {reviewers: 2}}\n"


def committed(folder, count, *, two=False):
    """Commit the run; returns its entry."""
    made = np.random.default_rng(7)
    table = pa.table(
        {
            "id": [f"c{n:08}" for n in range(count)],
            "size": made.normal(size=count).round(4),
            "count": made.integers(0, 1000, count),
            "text": [f"order {n} of the customer, as it came in" for n in range(count)],
            "kind": made.choice(["good", "bad", "odd"], count),
        }
    )
    source, contract = folder / "large.parquet", folder / "c.yaml"
    pq.write_table(table, source)
    contract.write_text(CONTRACT + (TWO if two else ""))
    rows = np.arange(count)
    kinds = rows % 10  # one group is a tenth of all rows
    found = [
        findings.make(rows[kinds == kind], check=check, rule=rule, column=column, score=0.9,
                      evidence=evidence, suggestion="look at the source")
        for kind, (check, rule, column, evidence) in enumerate(KINDS)
    ]  # fmt: skip
    figures = [f"{value:.3f} is 9.1 deviations from the median" for value in made.random(count)]
    second = (rows % 3 == 0) & (kinds > 0)
    found.append(
        findings.make(rows[second], check="outliers", rule="outliers.far", column="size",
                      evidence=[figures[n] for n in rows[second]])
    )  # fmt: skip
    return runs.committed(Store(folder / "store"), contract, source, found=found)


KINDS = [
    ("poison", "poison.trigger", "text", "a token of one label only"),
    ("labels", "labels.suspect", "kind", "given good, the nearest rows are bad"),
    ("labels", "labels.suspect", "kind", "given bad, the nearest rows are good"),
    ("labels", "labels.suspect", "kind", "given odd, the nearest rows are good"),
    ("outliers", "outliers.joint", "size", "far from all other rows"),
    ("outliers", "outliers.joint", "count", "far from all other rows"),
    ("duplicates", "duplicates.near", "text", "nearly the same as another row"),
    ("sources", "sources.drifted", "text", "its source differs from the others"),
    ("texts", "texts.language", "text", "another language than the rest"),
    ("values", "values.rare", "count", "a value that occurs once"),
]


def serve(folder, number, pipe):
    """Serve until told to end; sends links, and at the end the CPU seconds spent."""
    store = Store(folder / "store")
    begun = time.perf_counter()
    with review_page.served(store, store.find(str(number))) as server:
        pipe.send((time.perf_counter() - begun, server.port))
        while pipe.recv() == "link":
            pipe.send(server.link())
        pipe.send(sum(os.times()[:2]))


class Link:
    """A server in another process, as a browser of the tests needs it."""

    def __init__(self, port, pipe):
        self.port, self._pipe = port, pipe

    def link(self):
        self._pipe.send("link")
        return self._pipe.recv()


def review(browser, api, group, until, settings, times):
    """Work as a reviewer does until a time; adds to the times of each kind of request."""
    chance = np.random.default_rng(int(group, 16))
    items, row = [], -1
    time.sleep(chance.uniform(0.0, 2.0) * settings.think)  # they do not come all at once
    while time.perf_counter() < until:
        if chance.random() < 0.1:
            timed(times, "list", browser.get, f"{api}/groups")
        if not items:
            path = f"{api}/groups/{group}/rows?after={row}&most=8"
            items = timed(times, "rows", browser.get, path).json()["items"]
        item = items.pop(0)
        row = item["row"]
        if chance.random() < 0.1:
            timed(times, "row", browser.get, f"{api}/rows/{row}")
        word = ["release", "reject"][chance.integers(2)]
        body = {"decision": word, "version": item["version"]}
        timed(times, "decision", browser.tell, f"{api}/rows/{row}/decision", body)
        time.sleep(chance.uniform(0.5, 1.5) * settings.think)


def timed(times, kind, call, *parts):
    """Call, note how long it took, and return the answer; anything but a 200 or 409 ends it all."""
    begun = time.perf_counter()
    answer = call(*parts)
    times.setdefault(kind, []).append(time.perf_counter() - begun)
    if answer.status_code not in (200, 409):
        sys.exit(f"{kind}: {answer.status_code} {answer.text}")
    return answer


def measured(folder, number, settings):
    """Run the reviewers and the decision on a group; returns times by kind and CPU seconds."""
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(
        target=serve, args=(folder, number, theirs)
    )
    child.start()
    opened, port = ours.recv()
    server, api, times = Link(port, ours), f"/api/runs/{number}", {}
    begun = time.perf_counter()
    browsers = [review_page.Browser(server) for _ in range(settings.reviewers)]
    told = browsers[0].get(f"{api}/groups").json()
    print(f"ready after {opened:.1f} s, first queue after {time.perf_counter() - begun:.1f} s")
    groups, until = [group["group"] for group in told["groups"]], time.perf_counter()
    until += settings.seconds
    threads = [
        threading.Thread(target=review, args=(b, api, groups[n % len(groups)], until,
                                              settings, times))
        for n, b in enumerate(browsers)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole(browsers[0], api, times)
    ours.send("end")
    spent = ours.recv()
    child.join()
    return times, spent


def whole(browser, api, times):
    """Reject the largest group as a whole, and take it back."""
    told = browser.get(f"{api}/groups").json()
    group = max(told["groups"], key=lambda each: each["rows"])
    path = f"{api}/groups/{group['group']}"
    shown = timed(times, "preview", browser.get, f"{path}/samples").json()
    body, path = {"decision": "reject", "mark": shown["mark"]}, f"{path}/decision"
    made = timed(times, "group", browser.tell, path, body).json()
    undone = timed(times, "undo", browser.tell, f"{api}/undo", {"entry": made["entry"]})
    if undone.json()["counts"] != {"undo": group["rows"]}:
        sys.exit("the undo is not of the same rows")
    print(f"group of {group['rows']:,} rows")


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--reviewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--think", type=float, default=1.5)
    parser.add_argument("--two", action="store_true", help="ask for two reviewers")
    parser.add_argument("--folder", type=Path, help="where the run is, or is to be kept")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = settings.folder or Path(made)
        folder.mkdir(exist_ok=True)
        store = Store(folder / "store")
        is_there = store.folder.is_dir()
        entry = (
            store.find("latest") if is_there else committed(folder, settings.rows, two=settings.two)
        )
        times, spent = measured(folder, entry.seq, settings)
    for kind, each in times.items():
        goal = GOAL_GROUP if kind in ("group", "undo") else GOAL_P95
        p50, p95 = np.percentile(each, [50, 95])
        print(f"{kind:<9} {len(each):>6,} times  p50 {1e3 * p50:>7.0f} ms  p95 {1e3 * p95:>7.0f} ms"
              f"  max {1e3 * max(each):>7.0f} ms  goal {1e3 * goal:,.0f} ms")  # fmt: skip
    print(f"the server spent {spent:.1f} CPU seconds")


if __name__ == "__main__":
    main()
