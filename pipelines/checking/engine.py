"""Engines: any `map` over items that keeps their order. Serial, a pool of processes, or Dask.

Findings are the same on all. A worker that dies is tried again once, in a new pool. A map that
does not end in time is ASSAY-K002 on both: it ends the pool, and leaves the serial thread behind.
"""

import concurrent.futures
import contextvars
import functools
import itertools
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol, TypeVar

from pipelines import threads
from pipelines.checking import handed
from pipelines.checking.sealed import SealedFolder
from provenance.base.errors import AssayError

Item = TypeVar("Item")
Result = TypeVar("Result")
NAMES = ("serial", "processes", "dask")
SERIAL_ROWS = 300_000  # below it, starting workers costs more than they bring
POLL = 0.1  # seconds until an interrupt reaches a thread that waits for another


class Engine(Protocol):
    """A map, and its end."""

    @property
    def width(self) -> int:
        """How many items it works on at once."""
        ...

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return function(item) for each item, in order."""
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


class Serial:
    """One item after another, in this process.

    With a timeout each item runs in a daemon thread. Python cannot kill a thread: one that is late
    is told to end at its next line of Python that is no import, and left behind, for good if it
    hangs in C code.
    """

    width = 1

    def __init__(self, timeout: float | None = None) -> None:
        """Take `timeout`: seconds for one map, None to wait for ever."""
        self._timeout = timeout

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return function(item) for each item, in order.

        Raises:
            AssayError: ASSAY-K002 if the map takes too long.
        """
        if self._timeout is None:
            return [function(item) for item in items]
        deadline = time.monotonic() + self._timeout
        return [self._timed(function, item, deadline) for item in items]

    def close(self) -> None:
        """Hold nothing."""

    def _timed(self, function: Callable[[Item], Result], item: Item, deadline: float) -> Result:
        future: concurrent.futures.Future[Result] = concurrent.futures.Future()
        context = contextvars.copy_context()

        def run() -> None:
            try:
                future.set_result(context.run(function, item))
            except BaseException as error:  # noqa: BLE001  handed to the thread that waits
                future.set_exception(error)

        thread = threading.Thread(target=run, name="check", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise late(self._timeout)
                thread.join(min(POLL, left))  # in slices: an interrupt cannot end a long one
        finally:
            # SystemExit: no check catches it, and a thread that ends with it prints nothing
            threads.end(thread, SystemExit)
        return future.result()


class Processes:
    """A pool of worker processes; items and results are pickled, the function once a map."""

    def __init__(
        self, workers: int, timeout: float | None = None, scratch: Path | None = None
    ) -> None:
        """Start processes when first used.

        Args:
            workers: how many.
            timeout: seconds for one map; None to wait for ever.
            scratch: existing folder for what the workers share; None for a temporary one.
        """
        self.width = workers
        self._timeout = timeout
        self._scratch = scratch
        self._numbers = itertools.count()
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return function(item) for each item, in order.

        Raises:
            AssayError: ASSAY-E005 if workers die twice, ASSAY-K002 if the map takes too long.
        """
        listed = list(items)
        name = f"map-{next(self._numbers)}-"
        with tempfile.TemporaryDirectory(prefix=name, dir=self._scratch) as folder:
            kept = handed.keep(SealedFolder(Path(folder), "map"), function)
            return self._twice(functools.partial(handed.apply, kept), listed)

    def _twice(self, function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
        try:
            return self._attempt(function, items)
        except BrokenProcessPool:
            self.close()
        try:
            return self._attempt(function, items)
        except BrokenProcessPool as error:
            self.close()  # the next map starts with workers that live
            what = "a worker process died twice at the same work"
            raise AssayError(
                "E005", what, fix="check free memory; it was probably killed for using too much"
            ) from error

    def close(self) -> None:
        """End the workers, whatever they do."""
        if self._pool:
            workers = list((self._pool._processes or {}).values())  # noqa: SLF001  no public way
            self._pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()
            self._pool = None

    def _attempt(self, function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = concurrent.futures.ProcessPoolExecutor(
                self.width, context, initializer=_exit_with_parent
            )
        try:
            return list(self._pool.map(function, items, timeout=self._timeout))
        except TimeoutError as error:
            self.close()
            raise late(self._timeout) from error


def _exit_with_parent() -> None:
    """End this worker when its parent is killed; otherwise it would wait for work for ever."""
    if parent := multiprocessing.parent_process():
        threads.exit_after(parent.join)


def make(
    name: str,
    rows: int,
    *,
    timeout: float | None = None,
    address: str | None = None,
    scratch: Path | None = None,
) -> Engine:
    """Return the engine of that name; `auto` takes processes for many rows.

    Args:
        name: one of `NAMES`, or `auto`.
        rows: that are to be examined.
        timeout: seconds for one map.
        address: of a Dask scheduler; None for a cluster on this machine.
        scratch: existing folder that the workers see; Dask's may be on other machines.
    """
    cores = len(os.sched_getaffinity(0))
    if name == "dask":
        from pipelines.checking.dask_engine import Dask

        return Dask(address, cores, timeout, scratch or Path.cwd())
    if name == "processes" or (name == "auto" and rows >= SERIAL_ROWS and cores > 1):
        return Processes(cores, timeout, scratch)
    return Serial(timeout)


def late(timeout: float | None) -> AssayError:
    """Return the refusal of a map that took longer than `timeout` seconds (ASSAY-K002)."""
    what = f"it took longer than {timeout:g} s"
    return AssayError("K002", what, fix="raise assay.limits.check_seconds")
