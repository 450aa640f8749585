"""Fixtures shared by all tests: a key, a configuration and a Prefect server of their own."""

import gc
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

sys.path.append(str(Path(__file__).parent))

from chromium import CHROMIUM

# how long an example takes says more of the machine's load than of the code
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

if "PYTEST_XDIST_WORKER" in os.environ:  # side by side, more threads only wait for each other
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

gc.disable()  # until all modules are imported: they are many, and none of them is garbage


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One worker more than there are processors: some tests wait, for a server or a schedule."""
    return min((os.cpu_count() or 1) + 1, 4)


def pytest_collection_finish():
    """Keep what was imported out of every later collection."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def signals_arrive():
    """Take interrupts and hang-ups also where what started the tests (nohup) ignores them."""
    before = [
        (number, signal.signal(number, handler))
        for number, handler in (
            (signal.SIGINT, signal.default_int_handler),
            (signal.SIGHUP, signal.SIG_DFL),
        )
    ]
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory):
    """Keep fixtures of whole modules out of the folders of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("config", "state", "cache"):
            patch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path_factory.mktemp(name)))
        yield


SERVER = """
import json, os, sys
from pipelines.orchestration.server import connected
with connected():
    print(json.dumps(dict(os.environ)), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="session")
def prefect(own_state):  # noqa: ARG001  whose cache folder holds its database
    """Return one Prefect server for all tests: what its clients need to be told, and its folder."""
    words = [sys.executable, "-P", "-c", SERVER]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        told = json.loads(process.stdout.readline())
        names = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "NO_PROXY", "no_proxy")
        yield SimpleNamespace(
            env={name: told[name] for name in names}, folder=Path(told["PREFECT_HOME"])
        )
        process.stdin.close()
        process.wait(60)


@pytest.fixture(autouse=True)
def own_configuration(tmp_path_factory, monkeypatch):
    """Keep tests away from the key, the store and the Prefect server of whoever runs them."""
    for name in ("config", "state"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path_factory.mktemp(name)))
    for name in ("ASSAY_STORE", "ASSAY_SIGNING_KEY", "ASSAY_PUBLIC_KEY", "PREFECT_API_URL",
                 "ASSAY_CHECKPOINT", "ASSAY_OPENLINEAGE", "OPENLINEAGE_URL",
                 "ASSAY_RETRAIN"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pipelines.config._held", [])


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    """Return a process that has imported everything and forks for each command."""
    import crash

    with crash.Warm(tmp_path_factory.mktemp("said")) as process:
        yield process


@pytest.fixture(scope="session", autouse=True)
def forked_children():
    """Fork the children of the runs that tests make in their own process from one warm process."""
    import warm_children

    from pipelines.run import child_process

    made = warm_children.Nursery()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child_process, "subprocess", made)
        yield
    made.close()


@pytest.fixture
def new_children(monkeypatch):
    """Start the children of a test's runs anew, as a run outside the tests does."""
    from pipelines.run import child_process

    monkeypatch.setattr(child_process, "subprocess", subprocess)


@pytest.fixture(scope="module")
def browser():
    """Return Chromium, started once for the tests of a file."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()
