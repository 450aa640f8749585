"""The Prefect server that a flow uses: the configured one, else an ephemeral one of Prefect's.

A server is configured by the user's environment or active profile. Prefect would also read files of
the working folder, but a cloned project must not choose where a run reports to: `prefect_files`.
Nothing here imports Prefect before a flow runs, since that takes two seconds.
"""

import contextlib
import os
import secrets
import ssl
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines import config
from pipelines.orchestration import prefect_files
from provenance.base.errors import AssayError

API = "PREFECT_API_URL"
STARTUP = 180.0  # seconds; Prefect's own limit of 20 fails on a busy machine
PATIENCE = 10.0  # seconds in which a configured server must answer
LARGEST_PROFILES = 1 << 20  # bytes
# services that one run of a flow, started here and over when its server ends, has no use for
UNSCHEDULED = tuple(
    f"PREFECT_SERVER_SERVICES_{name}_ENABLED"
    for name in (
        "CANCELLATION_CLEANUP", "CLEANUP_RECONCILER", "FOREMAN", "LATE_RUNS", "PAUSE_EXPIRATIONS",
        "REPOSSESSOR", "SCHEDULER", "TRIGGERS",
    )
)  # fmt: skip
LOGGING = Path(__file__).with_name("prefect_logging.yml")


@contextlib.contextmanager
def connected(*, debug: bool = False, schedules: bool = False) -> Iterator[str]:
    """Let Prefect, in this process and its children, reach a server; then restore the environment.

    Args:
        debug: whether Prefect may log to the terminal.
        schedules: whether an ephemeral server must start scheduled runs and care for old ones.

    Yields:
        The address of the configured server without credentials, empty for an ephemeral server.

    Raises:
        AssayError: ASSAY-E101 if the server does not answer or start.
    """
    before, was_imported = dict(os.environ), "prefect.context" in sys.modules
    quiet = config.QUIET | ({} if debug else {"PREFECT_LOGGING_SETTINGS_PATH": str(LOGGING)})
    url = configured_url()
    try:
        if url:
            address = check_answers(url)
            _set_environment(before | quiet)
            _refresh_prefect()
            yield address
        else:
            folder = _folder()
            off = {} if schedules else dict.fromkeys(UNSCHEDULED, "false")
            _set_environment(_ephemeral_settings(folder) | off | quiet)
            _refresh_prefect()
            with _ephemeral(folder):
                yield ""
    finally:
        _set_environment(before)
        if was_imported:  # a program that uses Prefect itself goes on with its own settings
            _refresh_prefect()


def configured_url() -> str | None:
    """Return the API's address, or None when no server is configured."""
    for value in (os.environ.get(API), _in_profile()):
        if isinstance(value, str) and value.strip():
            return value.strip().rstrip("/")
    return None


def check_answers(url: str, patience: float = PATIENCE) -> str:
    """Return the address without credentials once its health check answers.

    Raises:
        AssayError: ASSAY-E101 if it does not answer within `patience` seconds.
    """
    import httpx

    try:
        # Prefect sends the credentials, the probe does not; nor may a message show them
        address = httpx.URL(url).copy_with(userinfo=b"")
    except httpx.InvalidURL:
        raise _silent(API, "not an http or https address") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise _silent(API, "not an http or https address")
    try:
        status = httpx.get(f"{address}/health", timeout=patience).status_code
    except (httpx.HTTPError, OSError) as error:
        # certificates are Prefect's business: it has settings of its own for them
        if not isinstance(_root(error), ssl.SSLError):
            raise _silent(str(address), str(_root(error)) or type(error).__name__) from error
    else:
        # a status below 500 may ask for credentials: the server is up
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise _silent(str(address), f"status {status}")
    return str(address)


@contextlib.contextmanager
def _ephemeral(folder: Path) -> Iterator[None]:
    from pipelines.orchestration.ephemeral import LOG, EphemeralServer

    server = EphemeralServer(STARTUP)
    try:
        try:
            server.start()
        except (RuntimeError, OSError) as error:
            what = "the ephemeral Prefect server did not start"
            where = f"{error} Its log: {folder / LOG}"
            fix = "run without --flow, or set PREFECT_API_URL to a running server"
            raise AssayError("E101", what, where=where, fix=fix) from error
        os.environ[API] = server.api_url
        _refresh_prefect()
        yield
    finally:
        server.stop()


def _ephemeral_settings(folder: Path) -> dict[str, str]:
    """Return this environment for an ephemeral server and its clients.

    None of the user's settings of Prefect is in it: they are meant for another server.
    """
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("PREFECT_")}
    password = f"assay:{secrets.token_urlsafe(24)}"  # other users can reach the port, too
    known = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    direct = ",".join(filter(None, [known, "127.0.0.1"]))
    return {"HOME": str(folder)} | inherited | {
        "PREFECT_HOME": str(folder),  # holds the database, so the history is kept
        "PREFECT_SERVER_API_AUTH_STRING": password,
        "PREFECT_API_AUTH_STRING": password,
        "PREFECT_UI_ENABLED": "false",
        "NO_PROXY": direct,
        "no_proxy": direct,
    }  # fmt: skip


def _folder() -> Path:
    """Return the private folder of Prefect's files, in the user's cache; make it if absent."""
    if not (cache := config.user_folder("XDG_CACHE_HOME", "~/.cache")):
        fix = "set HOME or XDG_CACHE_HOME, or PREFECT_API_URL to a running server"
        raise AssayError("E003", "no home folder to keep Prefect's database in", fix=fix)
    folder = cache / "assay" / "prefect"
    try:
        for path in (folder.parent, folder):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.chmod(0o700)
    except OSError as error:
        what = "the folder for Prefect's database is not writable"
        fix = "set XDG_CACHE_HOME to a writable folder"
        raise AssayError("E003", what, where=str(folder), fix=fix) from error
    return folder


def _set_environment(wanted: dict[str, str]) -> None:
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def _refresh_prefect() -> None:
    """Let a Prefect that is already imported read the environment again."""
    if context := sys.modules.get("prefect.context"):
        context.refresh_global_settings_context()
    if "PREFECT_LOGGING_SETTINGS_PATH" in os.environ and "prefect.main" in sys.modules:
        from prefect.logging.configuration import setup_logging

        setup_logging(incremental=False)


def _in_profile() -> Any:
    """Return the active profile's address; of a missing or broken file, Prefect will complain."""
    path = prefect_files.profiles_path()
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        if path.stat().st_size <= LARGEST_PROFILES:
            profiles = tomllib.loads(path.read_text(encoding="utf-8"))
            active = os.environ.get("PREFECT_PROFILE") or profiles["active"]
            return profiles["profiles"][active][API]
    return None


def _root(error: BaseException) -> BaseException:
    """Return the error that a library wrapped."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error


def _silent(where: str, why: str) -> AssayError:
    what = "the configured Prefect server does not answer"
    fix = "start that server, correct PREFECT_API_URL, or use --direct"
    return AssayError("E101", what, where=f"{where}: {why}", fix=fix)
