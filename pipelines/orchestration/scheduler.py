"""The order of stages: which run concurrently, and how a failure or an interrupt ends them.

One scheduler for both ways of running: without Prefect the stages are called directly; the flow
passes the same stages with each `call` wrapped in a task. Nothing here imports Prefect.
"""

import contextlib
import contextvars
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Sequence

from pipelines.threads import end

GRACE = 3.0  # seconds in which stages must end after a failure or an interrupt


class StageStopped(BaseException):
    """Raised inside a stage when a concurrent one has failed; not an error of its own."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """One step of a run.

    Attributes:
        name: unique in its order; the name of the Prefect task.
        call: does the work; its return value is dropped, so results travel as files.
        needs: names of earlier stages in the order that must finish first.
        stop: makes a `call` that waits in another thread return soon, for example by ending its
            child process; called from the main thread when the run is abandoned.
    """

    name: str
    call: Callable[[], object]
    needs: tuple[str, ...] = ()
    stop: Callable[[], object] | None = None


def run_direct(order: Sequence[Stage]) -> dict[str, float]:
    """Call every stage once, as soon as the stages that it needs have finished.

    A stage that is ready alone runs in the calling thread, so that an interrupt ends it at once;
    stages that are ready together run in threads. After a failure no further stage starts.

    Returns:
        Seconds per stage, in the order given.

    Raises:
        BaseException: the very object raised by the first stage in the order that failed.
        ValueError: if a name is used twice, or `needs` names a stage that is not earlier.
    """
    _check(order)
    seconds: dict[str, float] = {}
    waiting = list(order)
    threads = _Threads()
    try:
        while waiting or threads.running:
            ready = [stage for stage in waiting if seconds.keys() >= set(stage.needs)]
            waiting = [stage for stage in waiting if stage not in ready]
            if len(ready) == 1 and not threads.running:
                start = time.perf_counter()
                ready[0].call()
                seconds[ready[0].name] = time.perf_counter() - start
                continue
            for stage in ready:
                threads.start(stage)
            name, took, error = threads.ended.get()
            threads.running.pop(name)
            if error is not None:
                threads.failed[name] = error
                break
            seconds[name] = took
    finally:
        threads.stop()
    for stage in order:
        if stage.name in threads.failed:
            raise threads.failed[stage.name]
    return {stage.name: round(seconds[stage.name], 3) for stage in order}


class _Threads:
    """The stages that run concurrently, one daemon thread each."""

    def __init__(self) -> None:
        self.running: dict[str, tuple[Stage, threading.Thread]] = {}
        self.ended: queue.Queue[tuple[str, float, BaseException | None]] = queue.Queue()
        self.failed: dict[str, BaseException] = {}

    def start(self, stage: Stage) -> None:
        """Run the stage in a thread that sees the caller's context variables."""
        context = contextvars.copy_context()

        def run() -> None:
            start = time.perf_counter()
            error: BaseException | None = None
            try:
                context.run(stage.call)
            except BaseException as raised:  # noqa: BLE001  raised again in the main thread
                error = raised
            self.ended.put((stage.name, time.perf_counter() - start, error))

        def run_to_end() -> None:
            try:
                run()
            except StageStopped as late:  # it arrived after the stage had ended
                self.ended.put((stage.name, 0.0, late))

        # a daemon: a stage that hangs in C must not keep an interrupted process alive
        thread = threading.Thread(target=run_to_end, name=f"stage-{stage.name}", daemon=True)
        self.running[stage.name] = stage, thread
        thread.start()

    def stop(self) -> None:
        """Ask the running stages to end, and wait `GRACE` seconds at most."""
        while not self.ended.empty():  # these ended before anyone asked them to
            name, _, error = self.ended.get()
            self.running.pop(name, None)
            if error is not None:
                self.failed[name] = error
        for stage, thread in self.running.values():
            if stage.stop is not None:
                with contextlib.suppress(Exception):  # the first failure is the one to report
                    stage.stop()
            end(thread, StageStopped)
        deadline = time.monotonic() + GRACE
        while self.running:
            try:
                name, _, _ = self.ended.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return
            self.running.pop(name, None)  # any error now is a result of being stopped


def _check(order: Sequence[Stage]) -> None:
    names: set[str] = set()
    for stage in order:
        if stage.name in names:
            raise ValueError(f"two stages are named {stage.name}")
        if unknown := set(stage.needs) - names:
            raise ValueError(f"stage {stage.name} needs {sorted(unknown)}, which is not earlier")
        names.add(stage.name)
