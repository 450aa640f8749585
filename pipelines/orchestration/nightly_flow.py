"""The flow `assay-nightly` and the loop that serves it. Imports Prefect; import it late.

A scheduled run is a process of its own that gets the flow from the serving process. To load it by
its entrypoint Prefect would put the working folder in front of the import path, whatever Python is
told, and a folder `pipelines` there would take the place of ours.
"""

import asyncio
import datetime as dt
import importlib
import signal
import threading
from typing import Any

from prefect import flow, schedules
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.runner import Runner
from prefect.states import Completed, Crashed, Failed
from prefect.types.entrypoint import EntrypointType

from pipelines.orchestration import nightly_child
from pipelines.orchestration.nightly import Schedule, orders

MOST_RUNS = 200  # what a server hands out at once; it schedules some 100 runs ahead


@flow(name="assay-nightly", retries=0, persist_result=False, log_prints=False)
def nightly() -> Any:
    """Run what the serving process was told to; Completed for exit code 0, Failed otherwise."""
    given = orders()
    module, _, function = given["entry"].partition(":")
    code = getattr(importlib.import_module(module), function)(given["arguments"])
    if code:
        return Failed(message=f"`assay {given['arguments'][0]}` exited with {code}")
    return Completed(message="passed")


def serve(
    name: str, schedule: Schedule, *, poll: float, own: bool, key: bytes | None = None
) -> None:
    """Register the deployment and start its runs until SIGINT or SIGTERM.

    Args:
        name: of the deployment.
        schedule: when to run.
        poll: seconds between looks for runs that are due.
        own: whether the server is a child of this process.
        key: the text of the signing key, for the runs to hold; None if it is in a file.
    """
    nightly_child.take_over(key)
    asyncio.run(_serve(name, schedule, poll, own=own))


class _Runner(Runner):
    """Prefect's runner, ending in order on a signal: its own handler forgets to await."""

    stop_wanted: asyncio.Event

    def handle_sigterm(self, *_: Any, **__: Any) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.stop_wanted.set)


async def _serve(name: str, schedule: Schedule, poll: float, *, own: bool) -> None:
    # limit: a slow night does not overlap the next. The schedule is paused while nobody serves,
    # or a configured server would keep a list of missed nights to make up for.
    runner = _Runner(name="assay-nightly", limit=1, query_seconds=poll, pause_on_shutdown=True)
    runner.stop_wanted = asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, runner.stop_wanted.set)
    number = await runner.aadd_flow(
        nightly,
        name=name,
        schedule=_prefect_schedule(schedule),
        paused=False,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    await _tidy(number, own=own)
    running = asyncio.create_task(runner.start())
    stopping = asyncio.create_task(runner.stop_wanted.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        await runner.astop()
    await running


async def _tidy(deployment: Any, *, own: bool) -> None:
    """Drop the runs that were due while nobody served: the next one reads the same data.

    On a server of our own, what is said to run died with the process that served it.
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


def _prefect_schedule(schedule: Schedule) -> schedules.Schedule:
    if schedule.cron is not None:
        return schedules.Cron(schedule.cron, timezone=schedule.timezone)
    return schedules.Interval(schedule.interval or 0.0)
