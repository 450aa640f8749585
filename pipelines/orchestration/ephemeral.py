"""Prefect's ephemeral server, started by a command of ours, without importing Prefect here.

Prefect's own class imports the whole server in the process that only waits for it, which takes
seconds; and its command starts the server in the working folder, whose settings it obeys, without
the service that starts scheduled runs, and so that it outlives a parent that is killed.
docs/adr/0009.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from pipelines import config
from pipelines.orchestration.ephemeral_child import FAILED

LOG = "server.log"
ATTEMPTS = 2  # of two runs that migrate one database at the same time, one fails
POLL = 0.1  # seconds between two questions whether it answers
PATIENCE = 5.0  # seconds in which it ends when asked to, and in which it answers once
HEALTHY = 200


class EphemeralServer:
    """A child process that serves Prefect's API on a free port of 127.0.0.1, and ends with us."""

    def __init__(self, seconds: float) -> None:
        """Prepare a server that must answer within so many seconds of its start."""
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def api_url(self) -> str:
        """Return the address of its API."""
        return f"http://127.0.0.1:{self._port}/api"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RuntimeError: if it ends, or does not answer in time.
        """
        import httpx

        end = time.monotonic() + self._seconds
        for _ in range(ATTEMPTS):
            self._process = self._started()
            with httpx.Client(timeout=PATIENCE, trust_env=False) as client:
                while (code := self._process.poll()) is None and time.monotonic() < end:
                    try:
                        if client.get(f"{self.api_url}/health").status_code == HEALTHY:
                            return
                    except httpx.HTTPError:  # it does not listen yet
                        pass
                    time.sleep(POLL)
            if code != FAILED:
                break
        why = "did not answer in time" if code is None else f"ended with code {code} while starting"
        raise RuntimeError(f"it {why}.")

    def _started(self) -> "subprocess.Popen[bytes]":
        folder = Path(os.environ["PREFECT_HOME"])
        with socket.socket() as bound, (folder / LOG).open("wb") as log:
            bound.bind(("127.0.0.1", 0))  # from now on, nobody else can take the port
            self._port = bound.getsockname()[1]
            return subprocess.Popen(
                [sys.executable, "-P", "-m", f"{__name__}_child", str(bound.fileno())],
                pass_fds=[bound.fileno()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=config.without_key(os.environ),
                start_new_session=True,  # Ctrl-C in a terminal is for the parent to handle
                umask=0o077,
            )

    def stop(self) -> None:
        """Stop the child and wait for it; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            process.stdin.close()  # only now: at its end the child exits at once
