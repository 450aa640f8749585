"""The retrain signal: raised for drift in what was checked, and told to whoever asked."""

import contextlib
import http.server
import json
import threading
import time
from types import SimpleNamespace

import pytest

from checks.kit import findings
from checks.kit.verdict import Verdict
from pipelines import cli
from pipelines.events import retrain
from provenance.base.errors import Notice


def of(rule, column="x", check="drift", severity="error"):
    return findings.make(None, check=check, rule=rule, column=column, severity=severity)


def failed(*codes, checked=True):
    return Verdict(not codes, checked, tuple(Notice(code, "why") for code in codes))


ENTRY = SimpleNamespace(seq=7, facts={"dataset": "loans", "time": "2026-01-01T00:00:00+00:00"})
SLOW = findings.concat([of("ASSAY-K017"), of("ASSAY-K010", "y"), of("ASSAY-K010", None)])


def test_a_drifted_run_says_what_drifted():
    assert retrain.signal(ENTRY, SLOW, failed("ASSAY-K017", "ASSAY-K010")) == {
        "schema": "assay.retrain/1", "dataset": "loans", "run": 7,
        "time": "2026-01-01T00:00:00+00:00", "verdict": "fail", "only_drift": True,
        "codes": ["ASSAY-K010", "ASSAY-K017"], "columns": ["x", "y"],
    }  # fmt: skip
    assert not retrain.signal(ENTRY, SLOW, failed("ASSAY-K017", "ASSAY-K011"))["only_drift"]


@pytest.mark.parametrize(
    ("found", "decided"),
    [
        (findings.empty(), failed()),
        (findings.empty(), failed("ASSAY-K011")),
        (of("ASSAY-K010", severity="warning"), failed("ASSAY-K015")),
        (of("drift.recent", severity="warning"), failed()),
        (of("ASSAY-K010", check="other"), failed("ASSAY-K010")),
        (SLOW, failed("ASSAY-K001", "ASSAY-K017", checked=False)),
    ],
)
def test_nothing_else_is_a_signal(found, decided):
    assert retrain.signal(ENTRY, found, decided) is None


def test_drift_alone_is_told_from_drift_among_other_reasons():
    assert retrain.is_only_drift(failed("ASSAY-K010"))
    assert not retrain.is_only_drift(failed("ASSAY-K010", "ASSAY-V018"))
    assert not retrain.is_only_drift(failed())


def test_it_goes_to_a_file_as_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ASSAY_RETRAIN", str(tmp_path / "signals"))
    for run in (1, 2):
        assert retrain.tell({"run": run}, is_flow=False) is False
    assert retrain.tell(None, is_flow=False) is False
    lines = (tmp_path / "signals").read_text().splitlines()
    assert [json.loads(line)["run"] for line in lines] == [1, 2]
    assert capsys.readouterr().err == ""


@contextlib.contextmanager
def listening(answer):
    taken = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answer)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", taken
        server.shutdown()
        thread.join()


def test_it_is_posted_to_an_address(monkeypatch, capsys):
    with listening(204) as (url, taken):
        monkeypatch.setenv("ASSAY_RETRAIN", f"{url}/hook?key=s3cr3t")
        retrain.tell({"run": 3}, is_flow=False)
    assert taken == [{"run": 3}]
    assert capsys.readouterr().err == ""


def test_an_address_that_does_not_take_it_is_a_warning_without_its_key(monkeypatch, capsys):
    with listening(500) as (url, _):
        monkeypatch.setenv("ASSAY_RETRAIN", f"{url}/hook?key=s3cr3t")
        assert retrain.tell({"run": 3}, is_flow=False) is False
    told = capsys.readouterr().err
    assert told.startswith("warning ASSAY-E107: http://127.0.0.1:")
    assert "retrain signal: status 500" in told
    assert "s3cr3t" not in told


def test_prefect_gets_an_event_of_the_dataset(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    from prefect.context import refresh_global_settings_context
    from prefect.events.clients import AssertingEventsClient
    from prefect.events.worker import EventsWorker

    refresh_global_settings_context()
    EventsWorker.set_client_override(AssertingEventsClient)
    AssertingEventsClient.reset()
    try:
        retrain.tell({"dataset": "loans", "run": 7}, is_flow=True)
        found = []
        while not found:  # its worker is a thread of its own
            time.sleep(0.05)
            found = [e for c in AssertingEventsClient.all for e in getattr(c, "events", ())]
        EventsWorker.drain_all(timeout=10)
    finally:
        EventsWorker.set_client_override(None)
    [event] = found
    assert event.event == "assay.retrain"
    assert event.resource.id == "assay.dataset.loans"
    assert event.payload == {"dataset": "loans", "run": 7}


@pytest.mark.parametrize("code", ["0", "1", "4", "126", "130", "-1", "ten"])
def test_a_code_that_means_something_else_is_refused(code, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("x")
    assert cli.main(["run", str(tmp_path / "c.yaml"), f"--retrain-exit={code}", "--direct"]) == 2
    assert "ASSAY-C012" in capsys.readouterr().err
