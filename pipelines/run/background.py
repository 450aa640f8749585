"""Imports that start before they are needed."""

import contextlib
import importlib
import os
import threading
from collections.abc import Callable, Iterator

WARM = (
    "numpy", "pandas", "scipy.sparse", "scipy.stats", "scipy.optimize", "sklearn.base",
    "sklearn.linear_model", "sklearn.ensemble", "cleanlab.filter", "duckdb",
)  # fmt: skip


# what the child that runs the rules imports while the source is being read
RULES = (
    "checks.rules.lean_import", "duckdb_engine", "pipelines.run.contract_rules",
    "checks.rules.duckdb_metrics",
)  # fmt: skip
KNOWN_RULES = ("duckdb", "pipelines.run.contract_rules")  # those of a contract that it knows
POLL = 0.1  # seconds until an interrupt reaches a thread that waits for another


@contextlib.contextmanager
def warming() -> Iterator[Callable[[], None]]:
    """Import what the checks need while the source is read; yield a function that waits for it.

    Wait before another thread imports anything: when one thread imports a package and another a
    module of it, each holds what the other needs. Python then returns a half-initialised module,
    and one or both of the imports raise.
    """
    over = threading.Event()

    def warm() -> None:
        for name in WARM:
            if not over.is_set():  # a refusal does not wait for all of them
                importlib.import_module(name)

    thread = threading.Thread(target=warm, name="warm-imports", daemon=True)
    if (os.cpu_count() or 1) > 1:
        thread.start()

    def wait() -> None:
        while thread.is_alive():
            thread.join(POLL)  # in slices: an interrupt cannot end a long one

    try:
        yield wait
    finally:
        over.set()
        if thread.is_alive():
            thread.join()
