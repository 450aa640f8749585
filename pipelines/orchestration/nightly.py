"""`assay run` on a schedule: a served Prefect deployment of the flow `assay-nightly`.

It runs against the configured server, or against a child of its own for as long as it serves, with
a database that is kept so that the history stays. What a run does is fixed here and handed down in
the environment: whoever reaches the server can start a run, but not choose what it reads or writes.
"""

import contextlib
import dataclasses
import datetime as dt
import fcntl
import importlib
import json
import os
import re
import sys
import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines import config
from pipelines.orchestration.server import PrefectServer
from provenance.base.errors import AssayError

ENTRY = "pipelines.cli:main"
ORDERS = "ASSAY_NIGHTLY"
FIELDS = 5
POLL = 10.0  # seconds between looks for runs that are due


@dataclasses.dataclass(frozen=True, slots=True)
class Schedule:
    """When to run: a cron line in a time zone, or every so many seconds."""

    cron: str | None = None
    timezone: str = "UTC"
    interval: float | None = None


def serve(
    arguments: Sequence[str],
    schedule: Schedule,
    *,
    name: str,
    entry: str | Callable[[list[str]], int] = ENTRY,
    debug: bool = False,
) -> None:
    """Serve the deployment `assay-nightly/NAME` until SIGINT or SIGTERM; then return.

    A run that is due while another runs waits for it; a night missed is not made up for.

    Args:
        arguments: of the command line that each run executes: `["run", "contract.yaml"]`.
        schedule: see `parse_cron`.
        name: of the deployment, such as the dataset's; one process serves it at a time.
        entry: function of `arguments` that returns an exit code, or `module:function`.
        debug: whether Prefect may log to the terminal.

    Raises:
        AssayError: ASSAY-E101 if the server does not come up or NAME is served already.
    """
    target = entry if isinstance(entry, str) else f"{entry.__module__}:{entry.__qualname__}"
    history = history_path(name)
    key = config.take_key()
    with _alone(history), PrefectServer(database=history, debug=debug) as server:
        os.environ[ORDERS] = json.dumps({"entry": target, "arguments": list(arguments)})
        try:
            from pipelines.orchestration import nightly_flow

            server.wait()
            place = "a server of its own" if server.own else server.url.rpartition("@")[2]
            sys.stderr.write(f"serving assay-nightly/{name} on {place}; {told(schedule)}\n")
            sys.stderr.flush()
            poll = min(POLL, schedule.interval or POLL)
            nightly_flow.serve(name, schedule, poll=poll, own=server.own, key=key)
        except AssayError:
            raise
        except Exception as error:
            where = f"{type(error).__name__}: {error}"
            fix = "look at that server, or run again with --debug"
            raise AssayError("E101", "Prefect ended the serving", where=where, fix=fix) from error
        finally:
            os.environ.pop(ORDERS, None)


def parse_cron(line: str, timezone: str | None = None) -> Schedule:
    """Return the schedule of a cron line, in this machine's time zone unless one is given.

    Raises:
        AssayError: ASSAY-C012 if it is no cron line, or names a day that never comes.
    """
    from prefect.client.schemas.schedules import CronSchedule

    zone = timezone or local_timezone()
    try:
        if not line.startswith("@") and len(line.split()) != FIELDS:
            raise ValueError("a sixth field would be seconds")  # noqa: TRY301  joins its kind
        schedule = Schedule(CronSchedule(cron=line, timezone=zone).cron, zone)
        _next(schedule)
    except (ValueError, KeyError) as error:  # pydantic's and croniter's errors are ValueErrors
        if type(error).__name__ == "CroniterBadDateError":
            what = f"--cron {line!r} names a day that never comes"
            raise AssayError("C012", what, fix="mend its day and month") from error
        fix = 'write five fields: minute hour day month weekday, such as "0 2 * * *"'
        raise AssayError("C012", f"--cron {line!r} is not a schedule", fix=fix) from error
    return schedule


def told(schedule: Schedule) -> str:
    """Return when the next run starts, in plain words."""
    if schedule.cron is None:
        return f"every {schedule.interval:g} s"
    return f"next run {_next(schedule):%Y-%m-%d %H:%M} {schedule.timezone} (cron {schedule.cron})"


def _next(schedule: Schedule) -> dt.datetime:
    croniter: Any = importlib.import_module("prefect._vendor.croniter").croniter
    now = dt.datetime.now(zoneinfo.ZoneInfo(schedule.timezone))
    after: dt.datetime = croniter(schedule.cron, now).get_next(dt.datetime)
    return after


def local_timezone() -> str:
    """Return the IANA name of this machine's time zone, UTC when it has none."""
    link = Path("/etc/localtime")
    named = os.environ.get("TZ", "").lstrip(":")
    found = str(link.resolve()).partition("/zoneinfo/")[2] if link.is_symlink() else ""
    for name in (named, found):
        with contextlib.suppress(ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            return zoneinfo.ZoneInfo(name).key
    return "UTC"


def history_path(name: str) -> Path:
    """Return the SQLite file of a server of our own, in the user's data folder."""
    root = os.environ.get("XDG_DATA_HOME")
    try:
        folder = Path(root) if root else Path("~/.local/share").expanduser()
    except RuntimeError as error:
        fix = "set XDG_DATA_HOME, or PREFECT_API_URL to a server that runs"
        raise AssayError("E101", "there is no home folder to keep the history in", fix=fix) from (
            error
        )
    return folder / "assay" / "nightly" / f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)}.db"


@contextlib.contextmanager
def _alone(history: Path) -> Iterator[None]:
    """Hold the name for this process; the lock goes with the process, however it ends."""
    try:
        history.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        history.parent.chmod(0o700)  # also one that an earlier version made
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.fdopen(os.open(history.with_suffix(".lock"), flags, 0o600), "w")
    except OSError as error:
        what = "the folder for the history cannot be written"
        raise AssayError("E003", what, where=str(history.parent)) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            what = f"the deployment {history.stem} is served already"
            fix = "stop that process, or give the contract another name"
            raise AssayError("E101", what, where=str(history), fix=fix) from error
        yield


def orders() -> dict[str, Any]:
    """Return what a scheduled run is to execute; only the serving process sets it."""
    given: dict[str, Any] = json.loads(os.environ[ORDERS])
    return given
