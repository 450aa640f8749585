"""A Prefect server in a child process: its start, its environment, its end.

The socket is opened here, so the address is known before the server is up, and what connects early
waits instead of failing. A database that is thrown away begins as a copy of a migrated template in
the user's cache folder, kept per version of Prefect; docs/operations.md has the figures.
"""

import contextlib
import http.client
import importlib.metadata
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipelines import config
from provenance.base.errors import AssayError

MARKER = "assay-prefect-server"  # stands in the child's command line, for whoever looks for it
LOG_LINES = 3
ORDERLY = 15.0  # seconds for a server to close a database that is kept
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_UI_ENABLED": "false",
    "PYTHONSAFEPATH": "1",
}


class ServerProcess:
    """A child that serves Prefect's API on a free port of 127.0.0.1.

    Attributes:
        url: address of the API; it answers when `wait` has returned.
        client: what a Prefect client needs in its environment to reach it.
        pid: the child's process id.
    """

    def __init__(self, database: Path | None = None) -> None:
        """Start the child; returns at once.

        Args:
            database: SQLite file to keep; without one the database is temporary.

        Raises:
            AssayError: ASSAY-E101 if the child cannot be started.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="assay-prefect-"))
        self._keep = database is not None
        self._failed = False
        home = self._folder / "home"
        home.mkdir()
        # another user of this machine can reach the port as well
        password = f"assay:{secrets.token_urlsafe(24)}"
        path = database.absolute() if database else self._folder / "prefect.db"
        settings = SETTINGS | {
            "PREFECT_HOME": str(home),
            "HOME": os.environ.get("HOME") or str(home),
            "PREFECT_SERVER_API_AUTH_STRING": password,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{path}",
        }
        try:
            self._port, self._process = self._start(path, without_prefect() | settings)
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise _failure("cannot be started", str(error)) from error
        self.pid = self._process.pid
        self.url = f"http://127.0.0.1:{self._port}/api"
        self.client = {
            "PREFECT_API_URL": self.url,
            "PREFECT_API_AUTH_STRING": password,
            "PREFECT_HOME": str(home),
            "HOME": settings["HOME"],
            **_past_proxies(),
        }

    def wait(self, timeout: float) -> None:
        """Return when the server answers.

        Args:
            timeout: seconds, > 0.

        Raises:
            AssayError: ASSAY-E101 with the end of its log if it died or is not up by then.
        """
        asked = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            asked.request("GET", "/api/health")
            status = asked.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            late = isinstance(error, TimeoutError)
            raise self._not_up(f"is not up after {timeout:.0f} s" if late else "ended") from error
        finally:
            asked.close()
        if status != http.HTTPStatus.OK:
            raise self._not_up(f"answers with status {status}")

    def stop(self) -> None:
        """End the child and wait for it; its folder goes unless it failed. Safe to call twice."""
        pipe = self._process.stdin
        if self._keep and pipe and not self._failed:
            with contextlib.suppress(OSError):
                pipe.close()  # it ends by itself when its stdin does
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ORDERLY)
        self._process.kill()  # what it holds is thrown away, so there is nothing to close in order
        self._process.wait()
        if pipe:
            pipe.close()
        if not self._failed:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, database: Path, env: dict[str, str]) -> tuple[int, subprocess.Popen[bytes]]:
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with socket.socket() as listening, (self._folder / "log").open("wb") as log:
            listening.bind(("127.0.0.1", 0))
            listening.listen(128)
            template = template_path()
            asked = {
                "fd": listening.fileno(),
                "parent": os.getpid(),
                "folder": str(self._folder),
                "database": str(database),
                "template": str(template) if template else None,
                "keep": self._keep,
            }
            script = str(Path(__file__).with_name("server_child.py"))
            process = subprocess.Popen(
                [sys.executable, "-P", script, MARKER, json.dumps(asked)],
                pass_fds=[listening.fileno()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,  # Prefect reads .env and prefect.toml where it starts
                start_new_session=True,  # Ctrl-C in a terminal is for the parent to handle
                env=env,
                umask=0o077,  # names of datasets and runs are in its database
            )
            return int(listening.getsockname()[1]), process

    def _not_up(self, what: str) -> AssayError:
        self._failed = True
        log = self._folder / "log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = " | ".join([line for line in lines if line.strip()][-LOG_LINES:])
        return _failure(what, f"{log}: {tail}" if tail else str(log))


def without_prefect() -> dict[str, str]:
    """Return the environment less every setting of Prefect, for a server that is all our own."""
    inherited = config.without_key(os.environ)
    return {key: value for key, value in inherited.items() if not key.startswith("PREFECT_")}


def template_path() -> Path | None:
    """Return where the migrated database of this Prefect version is kept, None without a home."""
    root = os.environ.get("XDG_CACHE_HOME")
    try:
        folder = Path(root) if root else Path("~/.cache").expanduser()
    except RuntimeError:
        return None
    return folder / "assay" / f"prefect-{importlib.metadata.version('prefect')}.db"


def _past_proxies() -> dict[str, Any]:
    """Return NO_PROXY with our address in it: a company's proxy cannot reach 127.0.0.1 here."""
    known = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    names = ",".join(dict.fromkeys([*filter(None, known.split(",")), "127.0.0.1"]))
    return {"NO_PROXY": names, "no_proxy": names}


def _failure(what: str, where: str) -> AssayError:
    fix = "use `--direct`, or set PREFECT_API_URL to a server that runs"
    return AssayError("E101", f"the Prefect server of this run {what}", where=where, fix=fix)
