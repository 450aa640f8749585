"""Engines: a `map` over items that keeps their order. Serial, a pool of processes, or Dask.

Findings are the same on all. When a worker dies, its map is tried once more, in a new pool. A map
that takes too long is ASSAY-K002: it ends the pool, and leaves the serial thread behind.
"""

import concurrent.futures
import contextvars
import dataclasses
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
from typing import Any, Protocol, TypeVar

from checks.kit.contract_model import Contract
from pipelines import quick_imports, threads
from pipelines.checking.sealed import SealedFolder
from provenance.base.errors import AssayError

Item = TypeVar("Item")
Result = TypeVar("Result")
NAMES = ("serial", "processes", "dask")
FUNCTION = "function.pkl"
KILLED = "check free memory; the process was probably killed for using too much"
SERIAL_ROWS = 300_000  # with fewer, starting workers costs more time than they save
CHECK_SECONDS = 3_600.0
POLL = 0.1  # seconds until an interrupt reaches a thread that waits for another


class Engine(Protocol):
    """Maps a function over items."""

    @property
    def width(self) -> int:
        """Return how many items it works on at once."""
        ...

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return function(item) for each item, in order."""
        ...

    def close(self) -> None:
        """Release the engine's workers."""
        ...


class Serial:
    """One item after another, in this process.

    With a timeout each item runs in a daemon thread. Python cannot kill a thread: a late one gets
    an exception at its next line of Python that is not an import, and is left behind, for good if
    it hangs in C code.
    """

    width = 1

    def __init__(self, timeout: float | None = None) -> None:
        """Set `timeout`: seconds for one map, None to wait for ever."""
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
        """Do nothing: there are no workers."""

    def _timed(self, function: Callable[[Item], Result], item: Item, deadline: float) -> Result:
        future: concurrent.futures.Future[Result] = concurrent.futures.Future()
        context = contextvars.copy_context()

        def run() -> None:
            try:
                future.set_result(context.run(function, item))
            except BaseException as error:  # noqa: BLE001  raised in the thread that waits
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
        """Prepare; the processes start with the first map.

        Args:
            workers: how many.
            timeout: seconds for one map; None to wait for ever.
            scratch: existing folder for the function that the workers share; None for a temporary
                one.
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
            return self._twice(Shared.of(SealedFolder(Path(folder), "map"), function), listed)

    def _twice(self, function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
        try:
            return self._attempt(function, items)
        except BrokenProcessPool:
            self.close()
        try:
            return self._attempt(function, items)
        except BrokenProcessPool as error:
            self.close()  # the next map starts new workers
            what = "a worker process died twice at the same work"
            raise AssayError("E005", what, fix=KILLED) from error

    def close(self) -> None:
        """End the workers, even in the middle of their work."""
        if self._pool:
            workers = list((self._pool._processes or {}).values())  # noqa: SLF001  nothing public
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
                self.width, context, initializer=_begin_worker
            )
        try:
            return list(self._pool.map(function, items, timeout=self._timeout))
        except TimeoutError as error:
            self.close()
            raise late(self._timeout) from error


def _begin_worker() -> None:
    """End this worker when its parent is killed; otherwise it would wait for work for ever."""
    quick_imports.postpone()
    if parent := multiprocessing.parent_process():
        threads.exit_after(parent.join)


@dataclasses.dataclass(frozen=True, slots=True)
class Shared:
    """A function in a sealed file, so that each worker loads it once and not with each item.

    A check carries its reference, which would cost more to send along than small shards do. Only
    the file's place and the secrets that open it travel.
    """

    folder: SealedFolder
    folders: tuple[SealedFolder, ...]  # those within the function

    @staticmethod
    def of(folder: SealedFolder, function: Callable[[Any], Any]) -> "Shared":
        """Write a function to a folder that the workers see."""
        return Shared(folder, folder.write_without_secrets(FUNCTION, function))

    def __call__(self, item: Any) -> Any:
        """Call the function, which a worker keeps loaded for the next item."""
        return _loaded(self)(item)


@functools.lru_cache(maxsize=2)
def _loaded(shared: Shared) -> Callable[[Any], Any]:
    loaded: Callable[[Any], Any] = shared.folder.read(FUNCTION, shared.folders)
    return loaded


def make(
    name: str,
    rows: int,
    *,
    timeout: float | None = None,
    address: str | None = None,
    scratch: Path | None = None,
) -> Engine:
    """Return the engine of that name; `auto` uses processes for many rows.

    Args:
        name: one of `NAMES`, or `auto`.
        rows: number of rows to examine.
        timeout: seconds for one map.
        address: of a Dask scheduler; None for a cluster on this machine.
        scratch: existing folder that the workers see; those of Dask may be on other machines.
    """
    cores = len(os.sched_getaffinity(0))
    if name == "dask":
        from pipelines.checking.dask_engine import Dask

        return Dask(address, cores, timeout, scratch or Path.cwd())
    if name == "processes" or (name == "auto" and rows >= SERIAL_ROWS and cores > 1):
        return Processes(cores, timeout, scratch)
    return Serial(timeout)


def seconds_for(contract: Contract) -> float:
    """Return how long the rules, and each map over the shards, may take."""
    return float(contract.limits.get("check_seconds", CHECK_SECONDS))


def late(timeout: float | None) -> AssayError:
    """Return the refusal of a map that took longer than `timeout` seconds (ASSAY-K002)."""
    what = f"it took longer than {timeout:g} s"
    return AssayError("K002", what, fix="raise assay.limits.check_seconds")
