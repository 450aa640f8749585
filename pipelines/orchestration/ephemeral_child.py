"""The child process that serves Prefect's API, started by `ephemeral`; it imports Prefect's server.

It serves on a socket that its parent has bound, and exits with its parent.
"""

import socket
import sys

from pipelines import quick_imports
from pipelines.threads import exit_after

FAILED = 3  # exit code on which the parent starts the server anew


def serve(descriptor: int) -> None:
    """Serve on the bound socket until a signal, or until the parent is gone."""
    exit_after(sys.stdin.read)  # the parent holds our stdin open for as long as it lives
    with quick_imports.collecting_nothing():
        import uvicorn
        from prefect.server.api.server import create_app

        app = create_app(final=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    server.run(sockets=[socket.socket(fileno=descriptor)])
    if not server.started:
        sys.exit(FAILED)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
