"""Imports that start before they are needed."""

import contextlib
import importlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator

# what the child that runs the rules imports while the rest of the source is being read
RULES = (
    "checks.rules.lean_import", "duckdb_engine", "pipelines.run.contract_rules",
    "checks.rules.duckdb_metrics",
)  # fmt: skip
KNOWN_RULES = ("duckdb", "pipelines.run.contract_rules")  # those of a contract that it knows
POLL = 0.1  # seconds until an interrupt reaches a thread that waits for another


class Imports:
    """Imports in a thread of their own, while the source is read.

    Wait for it before another thread imports anything: when one thread imports a package and
    another a module of it, each holds what the other needs. Python then returns a half-initialised
    module, and one or both of the imports raise.
    """

    def __init__(self) -> None:
        """Import nothing yet."""
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, names: Callable[[], Iterable[str]]) -> None:
        """Begin to import the modules that `names`, called in the thread, returns."""

        def run() -> None:
            for name in names():
                if not self._is_over.is_set():  # a refusal does not wait for all of them
                    importlib.import_module(name)

        if (os.cpu_count() or 1) > 1:
            self._thread = threading.Thread(target=run, name="warm-imports", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait until all are imported."""
        while self._thread and self._thread.is_alive():
            self._thread.join(POLL)  # in slices: an interrupt cannot end a long one

    def end(self) -> None:
        """Import no further module; wait for the one in progress."""
        self._is_over.set()
        if self._thread:
            self._thread.join()


@contextlib.contextmanager
def importing() -> Iterator[Imports]:
    """Give imports that end with the block."""
    imports = Imports()
    try:
        yield imports
    finally:
        imports.end()
