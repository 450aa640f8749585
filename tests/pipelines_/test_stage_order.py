"""The order of stages: what waits for what, what runs side by side, how a failure ends a run."""

import signal
import threading
import time

import pytest

from pipelines.orchestration import scheduler
from pipelines.orchestration.scheduler import Stage, run_direct
from provenance.base.errors import AssayError


def nothing():
    return None


def test_a_stage_waits_for_what_it_comes_after_and_seconds_come_in_order():
    seen = []
    order = [
        Stage("ingest", lambda: seen.append("ingest")),
        Stage("rules", lambda: (time.sleep(0.05), seen.append("rules")), ("ingest",)),
        Stage("checks", lambda: seen.append("checks"), ("ingest",)),
        Stage("emit", lambda: seen.append("emit"), ("rules", "checks")),
    ]
    seconds = run_direct(order)
    assert seen == ["ingest", "checks", "rules", "emit"]
    assert list(seconds) == ["ingest", "rules", "checks", "emit"]
    assert seconds["rules"] >= 0.05 > seconds["emit"]


def test_stages_that_are_ready_together_run_side_by_side():
    meeting = threading.Barrier(2, timeout=5)
    order = [Stage("rules", meeting.wait), Stage("checks", meeting.wait)]
    assert set(run_direct(order)) == {"rules", "checks"}


def test_a_stage_alone_runs_in_the_calling_thread():
    threads = []
    run_direct([Stage("ingest", lambda: threads.append(threading.current_thread()))])
    assert threads == [threading.current_thread()]


@pytest.mark.parametrize("beside", [True, False])
def test_the_very_object_comes_out_and_nothing_new_starts(beside):
    refusal = AssayError("I001", "the source is empty")
    seen = []

    def refuse():
        raise refusal

    order = [Stage("ingest", refuse), Stage("emit", lambda: seen.append(1), ("ingest",))]
    order += [Stage("checks", nothing)] if beside else []
    with pytest.raises(AssayError) as raised:
        run_direct(order)
    assert raised.value is refusal
    assert seen == []


def test_a_failure_ends_the_stage_beside_it():
    ended = []

    def endless():
        try:
            while True:
                time.sleep(0.01)
        finally:
            ended.append(True)

    def refuse():
        raise AssayError("C009", "an SQL rule")

    start = time.monotonic()
    with pytest.raises(AssayError, match="C009"):
        run_direct([Stage("rules", refuse), Stage("checks", endless)])
    assert ended == [True]
    assert time.monotonic() - start < scheduler.GRACE


def test_a_stage_that_waits_is_ended_by_its_stop_and_what_it_then_raises_does_not_count():
    gone = threading.Event()

    def wait():
        gone.wait(60)
        raise AssayError("E005", "the stage was stopped")

    def refuse():
        raise AssayError("K001", "a check failed")

    start = time.monotonic()
    with pytest.raises(AssayError, match="K001"):
        run_direct([Stage("rules", wait, stop=gone.set), Stage("checks", refuse)])
    assert time.monotonic() - start < scheduler.GRACE


def test_a_stage_that_hangs_in_c_is_left_behind_after_the_grace(monkeypatch):
    monkeypatch.setattr(scheduler, "GRACE", 0.2)
    free = threading.Event()

    def refuse():
        raise ValueError

    start = time.monotonic()
    with pytest.raises(ValueError):
        run_direct([Stage("rules", lambda: free.wait(30)), Stage("checks", refuse)])
    assert time.monotonic() - start < 2
    free.set()


def test_of_two_failures_the_first_in_the_order_is_raised():
    both = threading.Barrier(2, timeout=5)

    def refuse(code):
        both.wait()
        raise AssayError(code, "no")

    codes = set()
    for _ in range(20):
        order = [Stage("a", lambda: refuse("I001")), Stage("b", lambda: refuse("I002"))]
        with pytest.raises(AssayError) as raised:
            run_direct(order)
        codes.add(raised.value.code)
    assert codes <= {"ASSAY-I001", "ASSAY-I002"}  # the slower one may not have failed yet


def test_a_stage_that_fails_is_not_tried_again():
    attempts = []

    def flaky():
        attempts.append(1)
        raise OSError

    with pytest.raises(OSError):
        run_direct([Stage("ingest", flaky)])
    assert len(attempts) == 1


@pytest.mark.parametrize("beside", [True, False])
def test_an_interrupt_comes_out_at_once(beside):
    order = [Stage("rules", lambda: _sleep(30))]
    order += [Stage("checks", lambda: _sleep(30))] if beside else []
    main = threading.main_thread().ident
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_direct(order)
    assert time.monotonic() - start < scheduler.GRACE


def _sleep(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)


@pytest.mark.parametrize(
    "order",
    [
        [Stage("a", nothing), Stage("a", nothing)],
        [Stage("a", nothing, ("b",)), Stage("b", nothing)],
        [Stage("a", nothing, ("a",))],
    ],
)
def test_an_order_that_cannot_be_run_is_refused(order):
    with pytest.raises(ValueError, match="stage"):
        run_direct(order)
