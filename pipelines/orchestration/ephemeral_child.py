"""The child process that serves Prefect's API, started by `ephemeral`; it imports Prefect's server.

It serves on a socket that its parent has bound, and exits with its parent.
"""

import socket
import sys
import types
from typing import Any

from pipelines import quick_imports
from pipelines.threads import exit_after
from provenance.base import postponed

FAILED = 3  # exit code on which the parent starts the server anew


def serve(descriptor: int) -> None:
    """Serve on the bound socket until a signal, or until the parent is gone."""
    exit_after(sys.stdin.read)  # the parent holds our stdin open for as long as it lives
    quick_imports.postpone()
    _leave_out_beartype()
    with quick_imports.collecting_nothing():
        import uvicorn
        from prefect.server.api.server import create_app

        app = create_app(final=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    server.run(sockets=[socket.socket(fileno=descriptor)])
    if not server.started:
        sys.exit(FAILED)


def _leave_out_beartype() -> None:
    """Import the store of Prefect's task queue without tests of the types of its own arguments.

    Prefect's server calls nothing else that has them. Compiling them costs a fifth of its start.
    """

    def plain(given: Any = None, **_: object) -> Any:
        return plain if given is None else given

    names = ("beartype", "BeartypeConf", "claw.beartype_this_package")
    given: dict[str, Any] = {f"beartype.{name}": plain for name in names}
    given["beartype.BeartypeStrategy"] = types.SimpleNamespace(O0=None, O1=None)
    postponed.install({"key_value": ("beartype",)}, instead=given)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
