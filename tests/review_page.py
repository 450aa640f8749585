"""The review page for tests: a run with accused rows, a server, and a browser without a window."""

import contextlib
import datetime as dt
import ipaddress
import re
import ssl
import threading
import time

import httpx
import runs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from checks.kit import findings
from pipelines.commands import explain
from pipelines.review import passwords
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
def served(store, entry, reviewer="anna", door=None):
    """Serve a store's run in a thread; yields the server, whose links are in `links`."""
    links = []
    desk = Desk(store, None if door and door.users else reviewer)
    server = Server(desk, explain.meaning, entry.seq, port=0, say=links.append, door=door)
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


# users and TLS

PASSWORD = "correct horse battery"  # noqa: S105
STORED = passwords.encoded(PASSWORD)  # for all users: it takes a quarter of a second


def users_in(folder, **given):
    """Write a users file; `given` has a role by name, in which _ stands for a dot."""
    path = folder / "users"
    path.write_text("".join(f"{name} {role} {STORED}\n" for name, role in given.items()))
    path.chmod(0o600)
    return path


def certificate_in(folder, names=("localhost", "127.0.0.1"), *, days=(-1, 30), key=None):
    """Write a self-signed certificate and its key; returns both files."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    today = dt.datetime.now(dt.UTC)
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today + dt.timedelta(days[0]))
        .not_valid_after(today + dt.timedelta(days[1]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )  # fmt: skip
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([_name(each) for each in names]),
                                  critical=False)  # fmt: skip
    certificate, private = folder / "cert.pem", folder / "key.pem"
    pem = serialization.Encoding.PEM
    certificate.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    private.touch(0o600)
    private.write_bytes(
        key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return certificate, private


def _name(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Person(httpx.Client):
    """A user's browser, in already if `name` is given; it sends what forms and scripts send."""

    def __init__(self, server, name=None, *, run=1):
        self.origin = server.threshold.origin
        door = server.threshold.door
        trust = ssl.create_default_context(cafile=door.certificate) if door.certificate else True
        super().__init__(base_url=self.origin, trust_env=False, timeout=60, verify=trust)
        self.csrf, self.run = "", run
        if name is not None:
            user = server.threshold.users.now()[name]
            session = server.sessions.open(user, "password")
            host = self.base_url.host
            self.cookies.set(server.threshold.cookie_name(), session.cookie, domain=host)
            self.csrf = session.csrf

    def __enter__(self):
        return self  # open already

    def __exit__(self, *_):
        self.close()

    def look(self):
        """Open the queue's page; returns it."""
        page = self.get(f"/runs/{self.run}/review")
        self.csrf = re.search(r'data-csrf="([^"]+)"', page.text)[1]
        return page

    def log_in(self, name, password=PASSWORD, **changes):
        """Open the login page and send its form; returns the answer."""
        csrf = re.search(r'name="csrf" value="([^"]+)"', self.get("/login").text)[1]
        return self.submit("/login", {"csrf": csrf, "to": "", "name": name, "password": password},
                         **changes)  # fmt: skip

    def submit(self, path, form, **headers):
        """Send a form as a browser does."""
        own = {"origin": self.origin, "sec-fetch-site": "same-origin"}
        sent = {name: value for name, value in (own | headers).items() if value is not None}
        return self.post(path, data=form, headers=sent)

    def tell(self, path, body, **headers):
        """Post JSON as the script does."""
        own = {"origin": self.origin, "x-assay-csrf": self.csrf, "sec-fetch-site": "same-origin"}
        sent = {name: value for name, value in (own | headers).items() if value is not None}
        return self.post(path, json=body, headers=sent)
