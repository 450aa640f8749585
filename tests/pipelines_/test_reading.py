"""The child that reads: what it refuses, and how it dies."""

import os
import signal

import pytest

from pipelines.run import reading
from provenance.base.errors import AssayError


def crash(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGABRT, "I005"), (signal.SIGSEGV, "I005"), (signal.SIGKILL, "E005")],
)
@pytest.mark.usefixtures("new_children")
def test_a_library_that_crashes_over_the_source_is_told_from_a_kill(monkeypatch, number, code):
    monkeypatch.setattr(reading, "__name__", "test_reading")
    monkeypatch.setattr(reading, "WARM", ())
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(__file__))  # noqa: PTH120
    child = reading.started("crash")
    try:
        with pytest.raises(AssayError) as caught:
            reading.ask(child, 60, number=int(number))
    finally:
        child.stop()
    assert caught.value.code == f"ASSAY-{code}"


@pytest.mark.usefixtures("new_children")  # a limit that holds from the start
def test_too_little_memory_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 99)
    child = reading.started("read_bare", 250 << 20)
    try:
        with pytest.raises(AssayError, match="E005"):
            reading.ask(child, 60, source=str(tmp_path / "a.csv"), folder=str(tmp_path / "out"))
    finally:
        child.stop()
