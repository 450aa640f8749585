"""Engines: any `map` over items that keeps their order. Serial, or a pool of processes.

Findings are the same on both. A worker that dies is tried again once, in a new pool; a call
that does not end in time ends the pool.
"""

import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol, TypeVar

from provenance.errors import AssayError

Item = TypeVar("Item")
Result = TypeVar("Result")
NAMES = ("serial", "processes", "dask")
SERIAL_ROWS = 300_000  # below it, starting workers costs more than they bring


class Engine(Protocol):
    """A map, and its end."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return function(item) for each item, in order."""
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


class Serial:
    """One item after another, in this process."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return function(item) for each item, in order."""
        return [function(item) for item in items]

    def close(self) -> None:
        """Hold nothing."""


class Processes:
    """A pool of worker processes; items and results are pickled."""

    def __init__(self, workers: int, timeout: float | None = None) -> None:
        """Start `workers` processes when first used; `timeout`: seconds for one map."""
        self._workers = workers
        self._timeout = timeout
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return function(item) for each item, in order.

        Raises:
            AssayError: ASSAY-E005 if workers die twice, ASSAY-K002 if the map takes too long.
        """
        listed = list(items)
        try:
            return self._attempt(function, listed)
        except BrokenProcessPool:
            self.close()
        try:
            return self._attempt(function, listed)
        except BrokenProcessPool as error:
            what = "a worker process died twice at the same work"
            raise AssayError("E005", what, fix="look at the memory there is") from error

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
            self._pool = concurrent.futures.ProcessPoolExecutor(self._workers, context)
        try:
            return list(self._pool.map(function, items, timeout=self._timeout))
        except TimeoutError as error:
            self.close()
            what = f"the checks took longer than {self._timeout:.0f} s"
            raise AssayError("K002", what, fix="raise assay.limits.check_seconds") from error


def make(
    name: str, rows: int, *, workers: int | None = None, timeout: float | None = None
) -> Engine:
    """Return the engine of that name; `auto` takes processes for many rows.

    Raises:
        AssayError: ASSAY-E103 for an engine that is not installed here.
    """
    if name == "dask":
        what = "the Dask engine is not part of this version"
        raise AssayError("E103", what, where="--engine dask", fix="use --engine processes")
    cores = workers or len(os.sched_getaffinity(0))
    if name == "processes" or (name == "auto" and rows >= SERIAL_ROWS and cores > 1):
        return Processes(cores, timeout)
    return Serial()
