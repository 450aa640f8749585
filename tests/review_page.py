"""The review page for tests: a run with accused rows, a server, and a browser without a window."""

import contextlib
import re
import threading
import time

import httpx
import runs

from checks.kit import findings
from pipelines.commands import explain
from pipelines.review.desk import Desk
from pipelines.review.server import Server

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: people
schema:
  - name: people
    properties:
      - {name: key, logicalType: string, primaryKey: true}
      - {name: age, logicalType: integer, logicalTypeOptions: {minimum: 0, maximum: 130}}
      - {name: email, logicalType: string, classification: restricted}
      - {name: note, logicalType: string}
      - name: kind
        logicalType: string
        customProperties:
          - {property: assay.role, value: label}
"""
HEADER = "key,age,email,note,kind\n"


def contract_in(folder, **policy):
    """Write the contract; returns its file."""
    path = folder / "c.yaml"
    said = ", ".join(f"{name}: {value}" for name, value in policy.items())
    more = f"customProperties:\n  - {{property: assay.policy, value: {{{said}}}}}\n" if said else ""
    path.write_text(CONTRACT + more)
    return path


def lines(count):
    """Return rows of a source."""
    return [f"k{n:04},{20 + n % 60},p{n}@example.org,note {n},{'good' if n % 3 else 'bad'}"
            for n in range(count)]  # fmt: skip


def accused(rows, rule="outliers.joint", *, column="age", severity="error", evidence="far off"):
    """Return findings of one rule on rows."""
    return findings.make(
        rows, check=rule.partition(".")[0], rule=rule, column=column, severity=severity,
        evidence=evidence, suggestion="look at the source", score=0.9,
    )  # fmt: skip


def commit(store, contract, folder, rows, found):
    """Commit a run; returns its entry."""
    path = folder / f"night{len(list(folder.iterdir()))}.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return runs.committed(store, contract, path, found=found)


@contextlib.contextmanager
def served(store, entry, reviewer="anna"):
    """Serve a store's run in a thread; yields the server, whose links are in `links`."""
    links = []
    server = Server(Desk(store, reviewer), explain.meaning, entry.seq, port=0, say=links.append)
    server.links = links
    thread = threading.Thread(target=server.run)
    thread.start()
    while not links:
        time.sleep(0.01)
    try:
        yield server
    finally:
        server.stop()
        thread.join()


class Browser(httpx.Client):
    """A client that came in by a start link and sends what the page's script sends."""

    def __init__(self, server):
        self.origin = f"http://127.0.0.1:{server.port}"
        super().__init__(base_url=self.origin, follow_redirects=True, trust_env=False, timeout=60)
        self.page = self.get(server.link())
        self.csrf = re.search(r'data-csrf="([^"]+)"', self.page.text)[1]

    def __enter__(self):
        return self  # open already

    def __exit__(self, *_):
        self.close()

    def tell(self, path, body, **headers):
        """Post JSON as the script does."""
        own = {"origin": self.origin, "x-assay-csrf": self.csrf, "sec-fetch-site": "same-origin"}
        sent = {name: value for name, value in (own | headers).items() if value is not None}
        return self.post(path, json=body, headers=sent)
