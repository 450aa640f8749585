"""Prefect's ephemeral server, started by a command of ours. Import late: it imports the server.

Prefect's own command starts the server in the working folder, whose settings it obeys; without the
service that starts scheduled runs; and so that it outlives a parent that is killed. docs/adr/0009.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import uvicorn
from prefect.server.api.server import SubprocessASGIServer, create_app

from pipelines import config
from pipelines.threads import exit_after

LOG = "server.log"
FAILED = 3  # exit code on which Prefect starts the server anew
ATTEMPTS = 2  # of two runs that migrate one database at the same time, one fails


class EphemeralServer(SubprocessASGIServer):
    """A child process that serves Prefect's API on a free port of 127.0.0.1, and ends with us."""

    attempts = 0

    def _run_uvicorn_command(self) -> "subprocess.Popen[bytes]":
        if self.attempts == ATTEMPTS:
            raise RuntimeError(f"it ended {ATTEMPTS} times while starting")
        self.attempts += 1
        folder = Path(os.environ["PREFECT_HOME"])
        with socket.socket() as bound, (folder / LOG).open("wb") as log:
            bound.bind(("127.0.0.1", 0))  # from now on, nobody else can take the port
            self.port = bound.getsockname()[1]
            return subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(bound.fileno())],
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
        process = self.server_process
        super().stop()
        if process and process.stdin:
            process.stdin.close()  # only now: at its end the child exits at once


def serve(descriptor: int) -> None:
    """Be the server: serve on the bound socket until a signal, or until the parent is gone."""
    exit_after(sys.stdin.read)  # the parent holds our stdin open for as long as it lives
    app = create_app(final=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    server.run(sockets=[socket.socket(fileno=descriptor)])
    if not server.started:
        sys.exit(FAILED)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
