"""The stages of a run as the Prefect flow `assay-validate`, one task a stage.

Each stage stays a plain function; what it raises is kept here and handed on as it is. Prefect gets
to see codes and names of types only: its database and its log are no place for a cell's value.
"""

import contextlib
import dataclasses
import importlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipelines.orchestration.scheduler import Stage, run_in_order
from pipelines.orchestration.server import PrefectServer
from provenance.base.errors import AssayError

FLOW = "assay-validate"
FLUSH = 5.0  # seconds to hand the last events to a configured server
LONGEST_NAME = 200
log = logging.getLogger(f"assay.{__name__}")


class StageFailed(Exception):  # noqa: N818  what Prefect is told, not an error of Assay's
    """Tells Prefect that a stage failed, without what its exception says."""


@dataclasses.dataclass(slots=True)
class _Outcome:
    """What came of the stages, whatever Prefect makes of it."""

    seconds: dict[str, float] | None = None
    error: BaseException | None = None
    raised: dict[str, BaseException] = dataclasses.field(default_factory=dict)


def run_flow(
    order: Sequence[Stage],
    summary: Mapping[str, str | int],
    *,
    name: str,
    server: PrefectServer | None = None,
    debug: bool = False,
) -> dict[str, float]:
    """Run the stages as a flow run named `name`; same results and errors as `run_direct`.

    Args:
        order: the stages; about eight at most, since each costs tens of milliseconds.
        summary: the flow's parameters: paths, digests, counts; stored by the server.
        name: such as `assay-people-4f2a`.
        server: a running one, which is left running; by default one for this flow alone.
        debug: whether Prefect may log to the terminal.

    Returns:
        Seconds per stage, in the order given.

    Raises:
        AssayError: ASSAY-E101 if the server or Prefect fails before the stages could start.
        BaseException: the very object that a stage raised.
    """
    if server is None:
        with PrefectServer(debug=debug) as own:
            return run_flow(order, summary, name=name, server=own)
    outcome = _Outcome()
    try:
        preload()
        server.wait()
        with _settings(server):
            flow = _flow(order, outcome, name[:LONGEST_NAME])
            state = flow(dict(summary), return_state=True)
    except AssayError:
        raise
    except Exception as error:
        # the stages are done, and a run is not lost because its bookkeeper is
        if outcome.seconds is None and outcome.error is None:
            raise _refused(f"{type(error).__name__}: {error}", server) from error
        log.warning("the Prefect server did not take the end of the run: %s", error)
    else:
        if outcome.seconds is None and outcome.error is None:
            raise _refused(str(state.message), server)
    if outcome.error is not None:
        raise _own(outcome.error)
    return outcome.seconds or {}


def preload() -> None:
    """Import what a flow needs, best while the server comes up."""
    for module in ("prefect.flows", "prefect.flow_engine", "prefect.task_engine"):
        importlib.import_module(module)


def _flow(order: Sequence[Stage], outcome: _Outcome, name: str) -> Any:
    from prefect import flow
    from prefect.states import Cancelled, Completed, Failed

    def validate(plan: dict[str, str | int]) -> Any:  # noqa: ARG001  shown by the server
        try:
            outcome.seconds = run_in_order(_as_tasks(order, outcome))
        except Exception as error:  # noqa: BLE001  raised again by run_flow
            outcome.error = error
            return Failed(message=_label(error))
        except BaseException as error:  # noqa: BLE001  an interrupt; raised again by run_flow
            outcome.error = error
            return Cancelled(message=_label(error))
        return Completed(message=f"{len(order)} stages")

    wrap = flow(
        name=FLOW,
        flow_run_name=lambda: name,
        retries=0,
        persist_result=False,
        validate_parameters=False,
        log_prints=False,
    )
    return wrap(validate)


def _as_tasks(order: Sequence[Stage], outcome: _Outcome) -> list[Stage]:
    states: dict[str, Any] = {}
    return [dataclasses.replace(stage, call=_as_task(stage, states, outcome)) for stage in order]


def _as_task(stage: Stage, states: dict[str, Any], outcome: _Outcome) -> Callable[[], None]:
    from prefect import task
    from prefect.cache_policies import NO_CACHE

    def attempt() -> None:
        try:
            stage.call()
        except Exception as error:  # noqa: BLE001  kept, and raised again by run_flow
            outcome.raised[stage.name] = error
            raise StageFailed(_label(error)) from None
        outcome.raised.pop(stage.name, None)

    wrap = task(
        name=stage.name,
        task_run_name=stage.name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=stage.retries,
        retry_delay_seconds=stage.retry_seconds,
        log_prints=False,
    )
    work: Any = wrap(attempt)

    def call() -> None:
        before = [states[name] for name in stage.after]
        state = states[stage.name] = work(wait_for=before, return_state=True)
        if not state.is_completed():
            what = f"Prefect did not run the stage {stage.name}"
            unknown = AssayError("E101", what, where=str(state.message))
            raise outcome.raised.get(stage.name, unknown)

    return call


@contextlib.contextmanager
def _settings(server: PrefectServer) -> Iterator[None]:
    """Flush what Prefect sends in the background; a throw-away server need not get it at all."""
    from prefect.events.clients import NullEventsClient
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import temporary_settings

    thrown_away = server.own and not server.kept
    # a heartbeat's thread is waited for up to a second at the end of a flow
    changed = {"flows.heartbeat_frequency": None} if thrown_away else {}
    if thrown_away:
        EventsWorker.set_client_override(NullEventsClient)
    try:
        with temporary_settings(changed):
            yield
    finally:
        APILogWorker.drain_all(timeout=FLUSH)
        EventsWorker.drain_all(timeout=FLUSH)
        EventsWorker.set_client_override(None)


def _own(error: BaseException) -> BaseException:
    """Return the error, or for Prefect's own word for SIGTERM what Python has for it."""
    from prefect.exceptions import TerminationSignal

    return SystemExit(128 + error.signal) if isinstance(error, TerminationSignal) else error


def _label(error: BaseException) -> str:
    return f"{error.code}: {error.what}" if isinstance(error, AssayError) else type(error).__name__


def _refused(why: str, server: PrefectServer) -> AssayError:
    place = "of this run" if server.own else server.url.rpartition("@")[2]
    fix = "use `--direct`, or look at that server"
    return AssayError("E101", f"the Prefect server {place} refused the run", where=why, fix=fix)
