"""`assay run` on a schedule: this process serves the Prefect deployment `assay-nightly/DATASET`.

Whoever reaches the server can start a run, but not choose what it reads or writes: that is fixed
here and passed on in the environment. Each run is a process that gets the flow from this one, since
Prefect would load it by its entrypoint with the working folder first on the import path. This
module imports Prefect: import it late.
"""

import asyncio
import contextlib
import datetime as dt
import fcntl
import functools
import importlib
import json
import os
import re
import signal
import sys
import threading
import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.schedules import CronSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.runner import Runner
from prefect.schedules import Schedule
from prefect.states import Completed, Crashed, Failed
from prefect.types.entrypoint import EntrypointType

from pipelines import config
from pipelines.orchestration.server import connected
from provenance.base.errors import AssayError

ENTRY = "pipelines.cli:main"
ORDERS = "ASSAY_NIGHTLY"
FIELDS = 5
POLL = 10.0  # seconds between checks for runs that are due
MOST_RUNS = 200  # the most that a server returns at once; it schedules some 100 runs ahead
ENGINE = "prefect.flow_engine"
START = "_run_serialized_call_with_control_bootstrap"
croniter: Any = importlib.import_module("prefect._vendor.croniter")  # has no types


def serve(
    arguments: Sequence[str],
    schedule: Schedule,
    *,
    name: str,
    entry: str | Callable[[list[str]], int] = ENTRY,
    debug: bool = False,
) -> None:
    """Serve the deployment `assay-nightly/NAME` until SIGINT or SIGTERM; then return.

    A run that falls due while another is in progress waits for it; missed runs are not made up.

    Args:
        arguments: the command line that each run executes: `["run", "contract.yaml"]`.
        schedule: see `parse_cron`.
        name: of the deployment, such as the dataset's; one process at a time serves it.
        entry: function of `arguments` that returns an exit code, or `module:function`.
        debug: whether Prefect may log to the terminal.

    Raises:
        AssayError: ASSAY-E101 if the server does not start or answer, or NAME is already served.
    """
    target = entry if isinstance(entry, str) else f"{entry.__module__}:{entry.__qualname__}"
    key = config.take_key()
    with _alone(name), connected(debug=debug, schedules=True) as server:
        os.environ[ORDERS] = json.dumps({"entry": target, "arguments": list(arguments)})
        try:
            _start_runs_in_begin(key)
            place = server or "an ephemeral Prefect server"
            sys.stderr.write(f"serving assay-nightly/{name} on {place}; {described(schedule)}\n")
            sys.stderr.flush()
            asyncio.run(_serve(name, schedule, own=not server))
        except AssayError:
            raise
        except Exception as error:
            where = f"{type(error).__name__}: {error}"
            fix = "check that server, or run again with --debug"
            raise AssayError("E101", "Prefect stopped serving", where=where, fix=fix) from error


@flow(name="assay-nightly", retries=0, persist_result=False, log_prints=False)
def nightly() -> Any:
    """Run what the serving process fixed; Completed for exit code 0, Failed otherwise."""
    given = json.loads(os.environ[ORDERS])
    module, _, function = given["entry"].partition(":")
    code = getattr(importlib.import_module(module), function)(given["arguments"])
    if code:
        return Failed(message=f"`assay {given['arguments'][0]}` exited with {code}")
    return Completed(message="passed")


def parse_cron(line: str, timezone: str | None = None) -> Schedule:
    """Return the schedule of a cron line, in this machine's time zone unless one is given.

    Raises:
        AssayError: ASSAY-C012 if it is not a cron line, or names a day that never comes.
    """
    zone = timezone or local_timezone()
    try:
        if not line.startswith("@") and len(line.split()) != FIELDS:
            raise ValueError("a sixth field would be seconds")  # noqa: TRY301  handled below
        schedule = Schedule(cron=CronSchedule(cron=line, timezone=zone).cron, timezone=zone)
        described(schedule)
    except croniter.CroniterBadDateError as error:
        what = f"--cron {line!r} names a day that never comes"
        raise AssayError("C012", what, fix="correct its day and month") from error
    except (ValueError, KeyError) as error:  # pydantic's and croniter's errors are ValueErrors
        fix = 'write five fields: minute hour day month weekday, such as "0 2 * * *"'
        raise AssayError("C012", f"--cron {line!r} is not a schedule", fix=fix) from error
    return schedule


def described(schedule: Schedule) -> str:
    """Return when the next run starts."""
    if schedule.interval:
        return f"every {schedule.interval.total_seconds():g} s"
    now = dt.datetime.now(zoneinfo.ZoneInfo(schedule.timezone or "UTC"))
    due: dt.datetime = croniter.croniter(schedule.cron, now).get_next(dt.datetime)
    return f"next run {due:%Y-%m-%d %H:%M} {schedule.timezone} (cron {schedule.cron})"


def local_timezone() -> str:
    """Return the IANA name of this machine's time zone, UTC when it has none."""
    link = Path("/etc/localtime")
    named = os.environ.get("TZ", "").lstrip(":")
    found = str(link.resolve()).partition("/zoneinfo/")[2] if link.is_symlink() else ""
    for name in (named, found):
        with contextlib.suppress(ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            return zoneinfo.ZoneInfo(name).key
    return "UTC"


def lock_path(name: str) -> Path:
    """Return the file that the process serving a deployment holds locked."""
    return config.state_folder() / "nightly" / f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)}.lock"


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold the name for this process; the lock goes with the process, however it ends."""
    path = lock_path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.chmod(0o700)  # also one that an earlier version made
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.fdopen(os.open(path, flags, 0o600), "w")
    except OSError as error:
        fix = "set XDG_STATE_HOME to a writable folder"
        what = "the folder for the deployment's lock is not writable"
        raise AssayError("E003", what, where=str(path.parent), fix=fix) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            what = f"the deployment {path.stem} is already served by another process"
            fix = "stop that process, or give the contract a different name"
            raise AssayError("E101", what, where=str(path), fix=fix) from error
        yield


def _start_runs_in_begin(key: bytes | None) -> None:
    """Let Prefect start the processes of its scheduled runs in `begin`, with the signing key.

    The key goes through the pipe to each process: an environment can be read for as long as a
    process lives.
    """
    engine = importlib.import_module(ENGINE)
    if not hasattr(engine, START):
        raise RuntimeError("this version of Prefect starts runs in another way")
    setattr(engine, START, functools.partial(begin, key))


def begin(key: bytes | None, call: bytes, control: dict[str, str]) -> Any:
    """Be the process of a scheduled run: hold the key, then run the call that Prefect passed."""
    config.hold_key(key)
    return getattr(importlib.import_module(ENGINE), START)(call, control)


class _Runner(Runner):
    """Prefect's runner, but it ends in order on a signal: Prefect's own handler fails to await."""

    ended: asyncio.Event

    def handle_sigterm(self, *_: Any, **__: Any) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.ended.set)


async def _serve(name: str, schedule: Schedule, *, own: bool) -> None:
    poll = min(POLL, schedule.interval.total_seconds() if schedule.interval else POLL)
    # limit: a slow run does not overlap the next. The schedule is paused while nobody serves, or a
    # configured server would collect missed runs to make up for.
    runner = _Runner(name="assay-nightly", limit=1, query_seconds=poll, pause_on_shutdown=True)
    runner.ended = asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, runner.ended.set)
    number = await runner.aadd_flow(
        nightly,
        name=name,
        schedule=schedule,
        paused=False,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    await _tidy(number, own=own)
    running = asyncio.create_task(runner.start())
    stopping = asyncio.create_task(runner.ended.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        await runner.astop()
    await running


async def _tidy(deployment: Any, *, own: bool) -> None:
    """Drop the runs that fell due while nobody served: the next one reads the same data.

    On an ephemeral server, runs recorded as running died with the process that served them.
    """
    now = dt.datetime.now(dt.UTC)
    open_states = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]
    wanted = FlowRunFilterState(type=FlowRunFilterStateType(any_=open_states))
    async with get_client() as client:
        for run in await client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
            flow_run_filter=FlowRunFilter(state=wanted),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=MOST_RUNS,
        ):
            due = run.expected_start_time is not None and run.expected_start_time < now
            if run.state_type == StateType.SCHEDULED and due:
                await client.delete_flow_run(run.id)
            elif run.state_type != StateType.SCHEDULED and own:
                gone: Any = Crashed(message="the process that served it ended")
                await client.set_flow_run_state(run.id, gone, force=True)
