"""Fixtures shared by all tests: a key and a configuration of their own, and small shards."""

import signal
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def interrupts_arrive():
    """Take interrupts also where a shell that ignores them started the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory):
    """Keep what scenery of whole modules makes out of the state folder of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


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
