"""The child that reads: what it refuses, and how it dies."""

import os
import signal
import time

import pytest

from pipelines.run import reading
from pipelines.run.child_process import Child
from provenance.base.errors import AssayError


def crash(number):
    os.kill(os.getpid(), number)


def begins(begun, *, then=None, times=1):
    for _ in range(times):
        begun()
    if then == "die":
        os._exit(9)
    if then == "hang":
        time.sleep(60)
    if then == "refuse":
        raise AssayError("I025", "too late")
    return "done"


def answers():
    return "done"


def refuses():
    raise AssayError("I001", "at once")


@pytest.fixture
def child(monkeypatch):
    """Start a child for a function of this file, and ask it."""
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(__file__))  # noqa: PTH120
    made = []

    def start(name, **arguments):
        made.append(Child(f"test_reading:{name}"))
        made[-1].ask(**arguments)
        return made[-1]

    yield start
    for one in made:
        one.stop()


@pytest.mark.usefixtures("new_children")
@pytest.mark.parametrize("times", [1, 3])
def test_a_child_that_has_begun_says_so_before_it_answers(child, times):
    begins = child("begins", times=times)
    begins.begun(60)
    assert not begins.has_answered
    assert begins.answer(60) == "done"
    assert begins.has_answered


@pytest.mark.usefixtures("new_children")
def test_an_answer_may_come_without_a_beginning(child):
    answered = child("answers")
    answered.begun(60)
    assert answered.has_answered
    assert [answered.answer(60), answered.answer(60)] == ["done", "done"]
    refused = child("refuses")
    with pytest.raises(AssayError, match="I001: at once"):
        refused.begun(60)


@pytest.mark.usefixtures("new_children")
@pytest.mark.parametrize(("then", "code"), [("refuse", "I025"), ("die", "E005"), ("hang", "K002")])
def test_what_comes_after_the_beginning_is_told_by_the_answer(child, then, code):
    begins = child("begins", then=then)
    begins.begun(60)
    began = time.monotonic()
    with pytest.raises(AssayError, match=code):
        begins.answer(begins._waited + 0.5)
    assert then != "hang" or time.monotonic() - began >= 0.5


@pytest.mark.usefixtures("new_children")
def test_the_time_to_begin_counts_for_the_answer(child):
    begins = child("begins", then="hang")
    begins.begun(60)
    assert begins._waited > 0
    began = time.monotonic()
    with pytest.raises(AssayError, match="K002"):
        begins.answer(begins._waited / 2)
    assert time.monotonic() - began < 5


def test_a_child_that_was_not_started_yet_can_be_stopped():
    late = Child("test_reading:answers", is_late=True)
    late.stop()
    assert late.died_of == ""
    with pytest.raises(AssayError, match="E005"):
        late.answer(1)


@pytest.mark.parametrize(("rows", "times"), [(10, 0), (40_000, 1)])
def test_a_source_has_begun_when_more_of_it_is_to_come(tmp_path, rows, times):
    import gated  # here: children import this file without its neighbours

    contract = tmp_path / "c.yaml"
    contract.write_text(gated.CONTRACT)
    lines = [f'{number},"{"word " * 200}"\n' for number in range(rows)]
    (tmp_path / "a.csv").write_text("".join(["key,word\n", *lines]))
    told = []
    reading.read_sources(
        str(contract), [str(tmp_path / "a.csv")], [], str(tmp_path / "read"),
        begun=lambda: told.append(1),
    )  # fmt: skip
    assert len(told) == times


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
