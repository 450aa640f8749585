"""Fixtures shared by all tests: a key and a configuration of their own, and small shards."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def own_configuration(tmp_path_factory, monkeypatch):
    """Keep tests away from the key, the store and the Prefect server of whoever runs them."""
    folder = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    for name in ("ASSAY_STORE", "ASSAY_SIGNING_KEY", "ASSAY_PUBLIC_KEY", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
