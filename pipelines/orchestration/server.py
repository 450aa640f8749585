"""The Prefect server that a run uses: the configured one, or a child process of its own.

Start it before anything else: a child comes up beside the imports and the reading of the source.
It has a database of its own, so that no run touches ~/.prefect or waits for another run.
"""

import atexit
import os
import sys
from pathlib import Path
from typing import Self

from pipelines.orchestration import server_address
from pipelines.orchestration.server_process import ServerProcess, without_prefect

STARTUP = 180.0  # seconds; a machine under load took 55
# for every use of Prefect: no analytics, and a user's folder `pipelines` must not shadow ours
ALWAYS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PYTHONSAFEPATH": "1",
}
QUIET = {"PREFECT_LOGGING_SETTINGS_PATH": str(Path(__file__).with_name("prefect_logging.yml"))}


class PrefectServer:
    """A context manager that starts a server unless one is configured, and always stops it.

    Attributes:
        url: address of the API, known as soon as `start` returns.
        own: whether it is a child of this process.
    """

    def __init__(self, *, database: Path | None = None, debug: bool = False) -> None:
        """Prepare; nothing is started.

        Args:
            database: SQLite file in which a child keeps its history; it is temporary without.
            debug: whether Prefect may log to the terminal.
        """
        self.url = ""
        self.own = False
        self.kept = database is not None
        self._database = database
        self._settings = ALWAYS if debug else ALWAYS | QUIET
        self._child: ServerProcess | None = None
        self._before: dict[str, str] | None = None
        self._answers = False

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    @property
    def pid(self) -> int | None:
        """Return the child's process id, None without one."""
        return self._child.pid if self._child else None

    def start(self) -> Self:
        """Start a child unless a server is configured; returns at once.

        From here to `stop` the environment holds what Prefect needs to reach the server, so import
        Prefect no earlier.

        Raises:
            AssayError: ASSAY-E101 if no child can be started.
        """
        configured = server_address.configured_url()
        self._before = dict(os.environ)
        if configured:
            self.url = configured
            os.environ.update(self._settings)
        else:
            self._child = ServerProcess(self._database)
            self.own, self.url = True, self._child.url
            atexit.register(self.stop)
            _set_environment(without_prefect() | self._settings | self._child.client)
        _refresh_prefect()
        return self

    def wait(self, timeout: float = STARTUP) -> str:
        """Return the address of the API when the server answers.

        Args:
            timeout: seconds for a child; a configured server gets `server_address.PATIENCE`.

        Raises:
            AssayError: ASSAY-E101 if it does not answer.
        """
        if not self._answers:
            if self._child:
                self._child.wait(timeout)
            else:
                server_address.check_answers(self.url)
            self._answers = True
        return self.url

    def stop(self) -> None:
        """Stop the child, wait for its end, restore the environment; safe to call twice."""
        child, self._child = self._child, None
        try:
            if child:
                child.stop()
        finally:
            atexit.unregister(self.stop)
            if self._before is not None:
                _set_environment(self._before)
            self._before = None


def _set_environment(wanted: dict[str, str]) -> None:
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def _refresh_prefect() -> None:
    """Let a Prefect that is imported already see the environment again."""
    context = sys.modules.get("prefect.context")
    if context is not None and hasattr(context, "refresh_global_settings_context"):
        context.refresh_global_settings_context()
