"""A run's own Dask cluster: on this machine, for this run's client alone.

Scheduler, workers and nannies listen on the loopback address, which other users of the machine can
reach, too. So they speak TLS only, with a key made for this cluster: without it no message gets
through. Dask's HTTP servers, which ask for no key, are not started, and no worker spills results to
disk, since they would be unpickled from there.
"""

import logging
from pathlib import Path
from typing import Any

import dask
from distributed import Nanny, Scheduler, Security, SpecCluster, Worker

HOST = "127.0.0.1"
SETTINGS = {
    "distributed.scheduler.allowed-failures": 1,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
}


class QuietScheduler(Scheduler):  # type: ignore[misc]  # distributed is typed in part
    """A scheduler without a dashboard or any other HTTP server."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Start nothing: Dask has no setting for this."""


class QuietWorker(Worker):  # type: ignore[misc]
    """A worker without an HTTP server."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Start nothing: Dask has no setting for this."""


def made(workers: int, scratch: Path) -> Any:
    """Return a cluster of `workers` processes, with their lock files below `scratch`."""
    # the key reaches the workers over a pipe, and OpenSSL through a file that exists for a moment
    # in a folder that only this user may enter
    security = Security.temporary()
    where = {"host": HOST, "protocol": "tls://", "security": security}
    worker = {
        "cls": Nanny,
        "options": {
            **where,
            "nthreads": 1,
            "worker_class": QuietWorker,
            "local_directory": str(scratch),
            "silence_logs": logging.CRITICAL,
        },
    }
    with dask.config.set(SETTINGS):
        return SpecCluster(
            workers=dict.fromkeys(range(workers), worker),
            scheduler={"cls": QuietScheduler, "options": {**where, "port": 0, "dashboard": False}},
            worker=worker,
            security=security,
            silence_logs=logging.CRITICAL,
        )
