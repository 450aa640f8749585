"""Events on their way: taken whole, in order, by one address only, and never in a run's way."""

import base64
import contextlib
import http.server
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

import openlineage_reader

from pipelines import config
from pipelines.config import LineageTarget
from pipelines.events import delivery
from pipelines.events.delivery import Sink

ASSAY = str(Path(sys.executable).parent / "assay")
SECRET = "s3cr3t"  # noqa: S105  the one that must not be told


class Listener(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent, and answers what its server is told to."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(self.server.answer)
        if self.server.elsewhere:
            self.send_header("Location", self.server.elsewhere)
        self.end_headers()

    do_GET = do_POST  # noqa: N815  the name that http.server looks for

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def listening(answer=201, elsewhere=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    server.answer, server.elsewhere, server.taken = answer, elsewhere, []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server, f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def proxies(monkeypatch):
    """Proxies that nobody gave to Assay, and that answer nothing."""
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def send(place, events, *, key=""):
    sink = Sink(LineageTarget(str(place), "assay", key))
    for event in events:
        sink.put(lambda event=event: event)
    return sink.close()


def target(monkeypatch, **environment):
    for name in ("ENDPOINT", "API_KEY", "NAMESPACE", "DISABLED"):
        monkeypatch.delenv(f"OPENLINEAGE_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return config.lineage_target()


def test_the_environment_says_where_to(monkeypatch):
    assert target(monkeypatch) is None
    found = target(monkeypatch, OPENLINEAGE_URL="https://lineage.example:5000")
    assert found == LineageTarget("https://lineage.example:5000/api/v1/lineage", "assay")
    given = {"OPENLINEAGE_ENDPOINT": "events", "OPENLINEAGE_API_KEY": SECRET}
    found = target(monkeypatch, **given, OPENLINEAGE_NAMESPACE="lending")
    assert found == LineageTarget("https://lineage.example:5000/events", "lending", SECRET)
    # Assay's own goes first, and the key of another address does not go there
    assert target(monkeypatch, ASSAY_OPENLINEAGE="e.jsonl") == LineageTarget("e.jsonl", "assay")
    assert target(monkeypatch, OPENLINEAGE_DISABLED="True") is None


def test_a_file_gets_one_line_an_event_from_many_at_once(tmp_path, capsys):
    path = tmp_path / "events.jsonl"
    threads = [
        threading.Thread(target=send, args=(path, [{"of": n, "at": i} for i in range(30)]))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(told) == 120
    for n in range(4):
        assert [event["at"] for event in told if event["of"] == n] == list(range(30))
    assert not capsys.readouterr().err


def test_a_full_disk_leaves_no_half_line(tmp_path, capsys):
    path = tmp_path / "events.jsonl"
    send(path, [{"first": 1}])
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        send(path, [{"second": "x" * 100}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert "did not accept an OpenLineage event: No space left" in capsys.readouterr().err


def test_a_server_gets_events_in_order_with_its_key(capsys):
    with listening() as (server, host):
        send(f"http://{host}/api/v1/lineage", [{"n": 1}, {"n": 2}], key=SECRET)
    assert [(path, event["n"]) for path, _, event in server.taken] == [
        ("/api/v1/lineage", 1), ("/api/v1/lineage", 2)]  # fmt: skip
    headers = server.taken[0][1]
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert not capsys.readouterr().err


def test_the_user_of_an_address_is_sent_as_such(capsys):
    with listening() as (server, host):
        send(f"http://ann:{SECRET}%40@{host}/x", [{"n": 1}])
    expected = base64.b64encode(f"ann:{SECRET}@".encode()).decode()
    assert server.taken[0][1]["Authorization"] == f"Basic {expected}"
    assert not capsys.readouterr().err


@pytest.mark.parametrize("answer", [301, 302, 303, 307, 308])
def test_a_redirection_is_not_followed(capsys, answer):
    with listening() as (other, elsewhere), listening(answer, f"http://{elsewhere}/") as (_, host):
        send(f"http://{host}/", [{"n": 1}], key=SECRET)
    assert not other.taken
    told = capsys.readouterr().err
    assert f"http://{host} did not accept an OpenLineage event: status {answer}" in told


@pytest.mark.parametrize("answer", [400, 401, 404, 500, 503])
def test_a_refusal_is_a_warning_told_once(capsys, answer):
    with listening(answer) as (server, host):
        send(f"http://{host}/", [{"n": 1}, {"n": 2}])
    assert len(server.taken) == 2
    told = capsys.readouterr().err.splitlines()
    what = f"http://{host} did not accept an OpenLineage event: status {answer}"
    assert told == [f"warning ASSAY-E105: {what}"]


def test_events_go_through_the_proxy_that_assay_is_given_and_no_other(capsys, monkeypatch):
    with listening() as (proxy, host):
        monkeypatch.setenv("ASSAY_PROXY", f"http://{host}")
        send("http://lineage.invalid/x", [{"n": 1}])
    assert [path for path, _, _ in proxy.taken] == ["http://lineage.invalid/x"]
    assert not capsys.readouterr().err


def test_no_secret_is_logged(capsys, caplog):
    caplog.set_level("DEBUG")
    with listening() as (_, host):
        send(f"http://ann:{SECRET}@{host}/x?key={SECRET}", [{"n": 1}])
        send(f"http://{host}/x?key={SECRET}", [{"n": 1}], key=SECRET)
    assert not capsys.readouterr().err
    assert SECRET not in caplog.text


def test_the_body_of_an_answer_is_not_read(capsys, monkeypatch):
    """One that never ends would fill the memory."""

    def endless(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"x" * 65536)

    monkeypatch.setattr(Listener, "do_POST", endless)
    begun = time.monotonic()
    with listening() as (_, host):
        send(f"http://{host}/", [{"n": 1}])
    assert time.monotonic() - begun < delivery.SECONDS
    assert not capsys.readouterr().err


@contextlib.contextmanager
def mute(drip):
    """Listen and never answer, or one byte at a time for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    while not over.wait(0.02):
                        if drip:
                            connection.sendall(b"H")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        over.set()
    thread.join(5)


@pytest.mark.parametrize("drip", [False, True])
def test_a_server_that_is_slow_is_left_behind(capsys, monkeypatch, drip):
    monkeypatch.setattr(delivery, "SECONDS", 0.3)
    with mute(drip) as host:
        send(f"http://{host}/", [{"n": 1}])
        told = capsys.readouterr().err
    assert f"http://{host} did not accept an OpenLineage event: no answer within" in told


@pytest.mark.parametrize(
    "place",
    [
        f"http://ann:{SECRET}@127.0.0.1:9/x?key={SECRET}",
        f"http://ann:{SECRET}@[::1/x",
        f"http://ann:{SECRET}@127.0.0.1:port/",
        f"http://ann:/{SECRET}@127.0.0.1:9/",
        f"http://127.0.0.1:9/?{SECRET}@x",
        f"http://127.0.0.1:9/#{SECRET}",
        f"http:/ann:{SECRET}@127.0.0.1/",
        f"http://ann:{SECRET}\n@127.0.0.1:9/",
        f"ftp://ann:{SECRET}@127.0.0.1/x",
        f"http://ann:{SECRET}@no-such-host.invalid/",
        "https://127.0.0.1:9/",
        "no/such/folder/e.jsonl",
        "/dev/null",
        "/",
        "nul\0byte",
    ],
)
def test_no_address_ends_a_run_or_tells_its_secrets(capsys, place):
    send(place, [{"n": 1}], key=f"{SECRET}\n")
    told = capsys.readouterr().err
    assert told.startswith("warning ASSAY-E105: ")
    assert len(told.splitlines()) == 1
    assert SECRET not in told


def test_a_pipe_nobody_reads_does_not_hold_a_run_up(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    send(tmp_path / "pipe", [{"n": 1}])
    assert "No such device or address" in capsys.readouterr().err


def test_an_event_that_cannot_be_made_is_a_warning(tmp_path, capsys):
    sink = Sink(LineageTarget(str(tmp_path / "e.jsonl"), "assay"))
    sink.put(lambda: {"n": float("nan")})
    sink.put(lambda: {"n": 1})
    assert not sink.close()
    assert "ValueError" in capsys.readouterr().err
    assert (tmp_path / "e.jsonl").read_text() == '{"n": 1}\n'


def test_an_interrupt_ends_the_waiting_and_is_told_to_the_caller(capsys):
    with mute(drip=False) as host:
        sink = Sink(LineageTarget(f"http://{host}/", "assay"))
        sink.put(lambda: {"n": 1})
        main = threading.main_thread().ident
        timer = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT))
        timer.start()
        assert sink.close()
        timer.join()
    assert not capsys.readouterr().err


CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: sizes
schema:
  - name: sizes
    properties:
      - {name: size, logicalType: number}
"""


def run(folder, *words, **environment):
    (folder / "c.yaml").write_text(CONTRACT)
    command = [ASSAY, "run", "c.yaml", "--store", "store", "--direct", "--json", *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        env={**os.environ, **environment},
    )  # fmt: skip


def events_of(folder):
    told = (folder / "e.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in told]
    for event in events:
        openlineage_reader.read(event)
    return events


def test_a_refused_source_is_a_failed_run(tmp_path):
    (tmp_path / "a.csv").write_text("size\n")
    told = {"ASSAY_OPENLINEAGE": "e.jsonl"}
    out, _ = (process := run(tmp_path, "--source", "a.csv", **told)).communicate()
    assert process.returncode == 3
    started, failed = events_of(tmp_path)
    assert (started["eventType"], failed["eventType"]) == ("START", "FAIL")
    assert started["inputs"] == [{"namespace": "file", "name": str(tmp_path / "a.csv")}]
    message = failed["run"]["facets"]["errorMessage"]["message"]
    error = json.loads(out)["error"]
    assert message == f"{error['code']}: {error['message']}"


def test_a_broken_contract_is_no_run_at_all(tmp_path):
    told = {"ASSAY_OPENLINEAGE": "e.jsonl"}
    process = run(tmp_path, "--source", "none.csv", **told)
    process.communicate()
    assert process.returncode == 3
    assert not (tmp_path / "e.jsonl").exists()


def test_a_dead_server_changes_nothing_but_stderr(tmp_path):
    (tmp_path / "a.csv").write_text("size\n")
    address = f"http://ann:{SECRET}@127.0.0.1:9"
    told = {"OPENLINEAGE_URL": address, "OPENLINEAGE_API_KEY": f"{SECRET}2"}
    out, errors = (process := run(tmp_path, "--source", "a.csv", **told)).communicate()
    assert process.returncode == 3
    assert json.loads(out)["error"]["code"] == "ASSAY-I002"
    assert "warning ASSAY-E105: http://127.0.0.1:9 did not accept" in errors
    assert SECRET not in out + errors


def test_an_interrupted_run_is_an_aborted_one(tmp_path):
    (tmp_path / "a.csv").write_text("size\n" + "1.5\n" * 400_000)
    process = run(tmp_path, "--source", "a.csv", ASSAY_OPENLINEAGE="e.jsonl")
    while not (tmp_path / "e.jsonl").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    started, aborted = events_of(tmp_path)
    assert (started["eventType"], aborted["eventType"]) == ("START", "ABORT")
    assert aborted["run"]["facets"]["errorMessage"]["message"] == "interrupted"


def test_an_interrupt_while_events_are_handed_over_starts_no_training(tmp_path):
    lines = [f"{n},{n * 7 % 31}.5,{'big' if n * 7 % 31 > 15 else 'small'}" for n in range(200)]
    (tmp_path / "a.csv").write_text("\n".join(["key,size,kind", *lines]) + "\n")
    init = [ASSAY, "init", "a.csv", "--label", "kind", "--key", "key", "-o", "c.yaml"]
    subprocess.run(init, check=True, capture_output=True, cwd=tmp_path)
    entry = tmp_path / "store" / "ledger" / "entries" / f"{1:012}.parquet"
    with mute(drip=False) as host:
        environment = {**os.environ, "ASSAY_OPENLINEAGE": f"http://{host}/"}
        command = [ASSAY, "gate", "c.yaml", "--source", "a.csv", "--store", "store", "--",
                   "touch", "started"]  # fmt: skip
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
        )
        while not entry.exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert not (tmp_path / "started").exists()
    assert "run 1 is committed, the command was not started" in errors
