"""The flow `assay-validate`: same results and errors as without Prefect, and nothing of it seen."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

# one process for all that can be seen from inside; prints one line of JSON
SCENARIOS = """
import asyncio, json, os, threading, time
from pipelines.orchestration.flow import run_flow
from pipelines.orchestration.server import connected
from pipelines.orchestration.scheduler import Stage
from provenance.base.errors import AssayError

seen, told = [], {}
meeting = threading.Barrier(2, timeout=30)


def raising(error):
    def call():
        raise error
    return call


def outcome(error, order, name):
    try:
        run_flow(order, {}, name=name)
    except BaseException as raised:
        return raised is error


async def asked():
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import FlowRunSort
    async with get_client() as client:
        runs = await client.read_flow_runs(limit=20, sort=FlowRunSort.EXPECTED_START_TIME_DESC)
        runs = [run for run in runs if run.name in NAMES][::-1]
        flows = [await client.read_flow(runs[0].flow_id)]
    told["runs"] = [[r.name, r.state_name, r.parameters, r.state.message] for r in runs]
    told["flows"] = [flow.name for flow in flows]


NAMES = ("assay-people {4f2a}", "refused", "broken", "interrupted")
order = [
    Stage("ingest", lambda: seen.append("ingest")),
    Stage("rules", meeting.wait, ("ingest",)),
    Stage("checks", meeting.wait, ("ingest",)),
    Stage("emit", lambda: seen.append("emit"), ("rules", "checks")),
]
before = dict(os.environ)
summary = {"contract": "a.yaml", "rows": 3}
told["seconds"] = list(run_flow(order, summary, name=NAMES[0]))
refusal = AssayError("I001", "the source is empty")
beside = Stage("checks", lambda: time.sleep(0.1))
told["refusal"] = outcome(refusal, [Stage("rules", raising(refusal)), beside], "refused")
error = ValueError("Jane Roe, name@example.org")
told["unforeseen"] = outcome(error, [Stage("rules", raising(error))], "broken")
error = KeyboardInterrupt()
told["interrupt"] = outcome(error, [Stage("rules", raising(error))], "interrupted")
told["restored"] = dict(os.environ) == before
with connected():
    asyncio.run(asked())
told["order"] = seen
print(json.dumps(told))
"""

SLOW = """
import sys, time
from pipelines.orchestration.flow import run_flow
from pipelines.orchestration.scheduler import Stage

def slow():
    print("slow", flush=True)
    time.sleep(120)

order = [Stage("a", slow)] + ([Stage("b", lambda: time.sleep(120))] if sys.argv[1] else [])
run_flow(order, {}, name="slow")
"""


@pytest.fixture(scope="module")
def hostile():
    """Settings of a user, a proxy and a profile that would all break an ephemeral server."""
    env = {name: os.environ[name] for name in os.environ if not name.startswith("PREFECT_")}
    return env | {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "PREFECT_PROFILE": "missing",
        "PREFECT_SERVER_API_AUTH_STRING": "somebody:else",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:////nowhere/at/all.db",
        "PREFECT_API_KEY": "a-key-of-the-cloud",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
    }


@pytest.fixture(scope="module")
def told(prefect):
    """What the scenarios tell, once their process ended with nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCENARIOS],
        env=os.environ | prefect.env, capture_output=True, text=True, check=False, timeout=400,
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


@pytest.mark.parametrize("how", ["refusal", "unforeseen", "interrupt"])
def test_the_very_object_comes_out(told, how):
    assert told[how] is True


def test_the_environment_is_restored(told):
    assert told["restored"]


def test_no_text_of_an_exception_reaches_the_server(told, prefect):
    assert told["unforeseen"]
    files = [path for path in prefect.folder.rglob("*") if path.is_file()]
    assert "prefect.db" in [path.name for path in files]
    assert [path for path in files if b"@example.org" in path.read_bytes()] == []


def ended(environment, kill, beside):
    """Send a signal to a flow that runs; return its exit code, errors, and its child processes."""
    running = subprocess.Popen(
        [sys.executable, "-P", "-c", SLOW, beside],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stdout.readline() == "slow\n"
    children = psutil.Process(running.pid).children()
    start = time.monotonic()
    running.send_signal(kill)
    _, errors = running.communicate(timeout=60)
    assert time.monotonic() - start < 20
    assert "EventsWorker" not in errors
    return running.returncode, errors, children


def test_an_interrupt_ends_the_flow_and_its_server(hostile):
    code, errors, children = ended(hostile, signal.SIGINT, "")
    assert code == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert len(children) == 1
    assert not psutil.pid_exists(children[0].pid)


def test_a_termination_ends_the_flow_with_stages_side_by_side(prefect):
    code, errors, _ = ended(os.environ | prefect.env, signal.SIGTERM, "beside")
    assert code == 128 + signal.SIGTERM
    assert errors == ""


def test_a_configured_server_that_is_gone_is_e101_before_any_stage():
    gone = os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", SLOW, ""],
        env=gone, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == ""
    assert "ASSAY-E101" in done.stderr
    assert "127.0.0.1:9" in done.stderr


def test_a_flow_is_kept_by_the_configured_server(prefect, tmp_path):
    """Also without `--flow`."""
    (tmp_path / "a.csv").write_text("size\n" + "1.5\n" * 40)
    (tmp_path / "c.yaml").write_text(
        "apiVersion: v3.1.0\nkind: DataContract\nname: kept\n"
        "schema: [{name: a, properties: [{name: size, logicalType: number}]}]\n"
    )
    assay = str(Path(sys.executable).parent / "assay")
    words = [assay, "run", "c.yaml", "--source", "a.csv", "--store", "store"]
    done = subprocess.run(
        words, cwd=tmp_path, env=os.environ | prefect.env, capture_output=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    database = sqlite3.connect(prefect.folder / "prefect.db")
    try:
        runs = database.execute("SELECT name, state_name FROM flow_run").fetchall()
    finally:
        database.close()
    assert [state for name, state in runs if name.startswith("assay-kept-")] == ["Completed"]
