"""The flow `assay-validate`: same results and errors as without Prefect, and nothing of it seen."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

# one process and one server for all that can be seen from inside; prints one line of JSON
SCENARIOS = """
import asyncio, json, os, pathlib, threading, time
from pipelines.orchestration.flow import run_flow
from pipelines.orchestration.server import PrefectServer
from pipelines.orchestration.scheduler import Stage
from provenance.base.errors import AssayError

seen, told = [], {}
meeting = threading.Barrier(2, timeout=30)


def attempt():
    seen.append("attempt")
    if seen.count("attempt") < 3:
        raise OSError("name@example.org")


def raising(error):
    def call():
        raise error
    return call


def outcome(error, order, name):
    try:
        run_flow(order, {}, server=server, name=name)
    except BaseException as raised:
        return raised is error


async def asked():
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import FlowRunSort
    async with get_client() as client:
        runs = await client.read_flow_runs(limit=20, sort=FlowRunSort.EXPECTED_START_TIME_ASC)
        flows = [await client.read_flow(runs[0].flow_id)]
    told["runs"] = [[r.name, r.state_name, r.parameters, r.state.message] for r in runs]
    told["flows"] = [flow.name for flow in flows]


with PrefectServer() as server:
    home = pathlib.Path(os.environ["PREFECT_HOME"]).parent
    order = [
        Stage("ingest", lambda: seen.append("ingest")),
        Stage("rules", meeting.wait, ("ingest",)),
        Stage("checks", meeting.wait, ("ingest",)),
        Stage("emit", lambda: seen.append("emit"), ("rules", "checks")),
    ]
    summary = {"contract": "a.yaml", "rows": 3}
    told["seconds"] = list(run_flow(order, summary, server=server, name="assay-people {4f2a}"))
    flaky = [Stage("ingest", attempt, retries=2, retry_seconds=0.0)]
    told["retried"] = list(run_flow(flaky, {}, server=server, name="retried"))
    refusal = AssayError("I001", "the source is empty")
    beside = Stage("checks", lambda: time.sleep(0.1))
    told["refusal"] = outcome(refusal, [Stage("rules", raising(refusal)), beside], "refused")
    error = ValueError("Jane Roe, name@example.org")
    told["unforeseen"] = outcome(error, [Stage("rules", raising(error))], "broken")
    error = KeyboardInterrupt()
    told["interrupt"] = outcome(error, [Stage("rules", raising(error))], "interrupted")
    asyncio.run(asked())
    files = [path for path in home.rglob("*") if path.is_file()]
    told["leaks"] = [str(path) for path in files if b"@example.org" in path.read_bytes()]
    told["files"] = [path.name for path in files]
told["order"] = seen
print(json.dumps(told))
"""

SLOW = """
import sys, time
from pipelines.orchestration.flow import run_flow
from pipelines.orchestration.server import PrefectServer
from pipelines.orchestration.scheduler import Stage

def slow():
    print(server.pid, flush=True)
    time.sleep(120)

with PrefectServer() as server:
    order = [Stage("a", slow)] + ([Stage("b", lambda: time.sleep(120))] if sys.argv[1] else [])
    run_flow(order, {}, server=server, name="slow")
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Settings of a user, a proxy and a profile that would all break a server of our own."""
    env = {name: os.environ[name] for name in os.environ if not name.startswith("PREFECT_")}
    return env | {
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "PREFECT_PROFILE": "missing",
        "PREFECT_SERVER_API_AUTH_STRING": "somebody:else",
        "PREFECT_API_KEY": "a-key-of-the-cloud",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
    }


@pytest.fixture(scope="module")
def told(hostile):
    """What the scenarios tell, once their process ended with nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCENARIOS],
        env=hostile, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def test_the_stages_run_in_order_and_side_by_side(told):
    assert told["order"][:2] == ["ingest", "emit"]
    assert told["seconds"] == ["ingest", "rules", "checks", "emit"]


def test_the_server_gets_names_states_and_small_parameters(told):
    assert told["flows"] == ["assay-validate"]
    first = told["runs"][0]
    assert first[:3] == [
        "assay-people {4f2a}", "Completed", {"plan": {"contract": "a.yaml", "rows": 3}},
    ]  # fmt: skip
    states = {name: (state, message) for name, state, _, message in told["runs"]}
    assert states["refused"] == ("Failed", "ASSAY-I001: the source is empty")
    assert states["broken"] == ("Failed", "ValueError")
    assert states["interrupted"] == ("Cancelled", "KeyboardInterrupt")


def test_a_stage_is_tried_again_as_often_as_it_says(told):
    assert told["retried"] == ["ingest"]
    assert told["order"].count("attempt") == 3


@pytest.mark.parametrize("how", ["refusal", "unforeseen", "interrupt"])
def test_the_very_object_comes_out(told, how):
    assert told[how] is True


def test_no_text_of_an_exception_reaches_the_server(told):
    assert "prefect.db" in told["files"]
    assert told["leaks"] == []


@pytest.mark.parametrize(("kill", "beside"), [(signal.SIGINT, ""), (signal.SIGTERM, "beside")])
def test_a_signal_ends_the_flow_quickly_and_its_server_with_it(hostile, kill, beside):
    running = subprocess.Popen(
        [sys.executable, "-P", "-c", SLOW, beside],
        env=hostile, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    pid = int(running.stdout.readline())
    os.kill(pid, 0)  # it is there
    start = time.monotonic()
    running.send_signal(kill)
    _, errors = running.communicate(timeout=30)
    assert time.monotonic() - start < 10
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    if kill == signal.SIGINT:
        assert errors.splitlines()[-1] == "KeyboardInterrupt"
        assert running.returncode == -signal.SIGINT
    else:
        assert errors == ""
        assert running.returncode == 128 + signal.SIGTERM
    assert "EventsWorker" not in errors


def test_a_configured_server_that_is_gone_is_e101_before_any_stage(hostile):
    script = SLOW.replace("run_flow(order", "raise SystemExit(run_flow(order", 1)
    gone = hostile | {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_PROFILE": ""}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script.replace('name="slow")', 'name="slow"))'), ""],
        env=gone, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == ""
    assert "ASSAY-E101" in done.stderr
    assert "127.0.0.1:9" in done.stderr
