"""The stages of a run as the Prefect flow `assay-validate`, with one task per stage.

Each stage stays a plain function; an exception that it raises is kept here and raised again
unchanged. Prefect sees codes and names of exception types only: its database and its log must not
hold a cell's value.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipelines.orchestration.scheduler import Stage, run_direct
from pipelines.orchestration.server import connected
from provenance.base.errors import AssayError

FLOW = "assay-validate"
FLUSH = 5.0  # seconds to send the last events and logs
LONGEST_NAME = 200
log = logging.getLogger(f"assay.{__name__}")


@dataclasses.dataclass(slots=True)
class _Outcome:
    """How the stages ended, no matter what Prefect does afterwards."""

    seconds: dict[str, float] | None = None
    error: BaseException | None = None
    raised: dict[str, BaseException] = dataclasses.field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        return self.seconds is not None or self.error is not None


def run_flow(
    stages: Sequence[Stage],
    parameters: Mapping[str, str | int],
    *,
    name: str,
    debug: bool = False,
) -> dict[str, float]:
    """Run the stages as a flow run; same results and errors as `run_direct`.

    Args:
        stages: in order; about eight at most, since each costs tens of milliseconds.
        parameters: of the flow run: paths, digests, counts; the server stores them.
        name: of the flow run, such as `assay-people-4f2a`.
        debug: whether Prefect may log to the terminal.

    Returns:
        Seconds per stage, in the order given.

    Raises:
        AssayError: ASSAY-E101 if the server or Prefect fails before the stages could start.
        BaseException: the very object that a stage raised.
    """
    outcome = _Outcome()
    server = ""
    try:
        with connected(debug=debug) as server, _flushed():
            state = _flow(stages, outcome, name[:LONGEST_NAME])(dict(parameters), return_state=True)
    except AssayError:
        raise
    except Exception as error:
        # the stages have ended: a failing server must not lose the run
        if not outcome.is_known:
            raise _refused(f"{type(error).__name__}: {error}", server) from error
        log.warning("the Prefect server did not record the end of the run: %s", error)
    else:
        if not outcome.is_known:
            raise _refused(str(state.message), server)
    if outcome.error is not None:
        raise _own(outcome.error)
    return outcome.seconds or {}


def emit(event: str, dataset: str, payload: Mapping[str, Any]) -> str:
    """Emit an event of a dataset; Prefect sends it in the background, and the flow's end waits.

    Returns:
        The type of the error if Prefect refused the event, since no run fails for want of a
        listener; empty if it took it.
    """
    from prefect.events import emit_event

    resource = {"prefect.resource.id": f"assay.dataset.{dataset}", "prefect.resource.name": dataset}
    try:
        emit_event(event, resource, payload=dict(payload))
    except Exception as error:  # noqa: BLE001  see above
        return type(error).__name__
    return ""


def _flow(stages: Sequence[Stage], outcome: _Outcome, name: str) -> Any:
    from prefect import flow
    from prefect.states import Cancelled, Completed, Failed

    def validate(plan: dict[str, str | int]) -> Any:  # noqa: ARG001  shown by the server
        try:
            outcome.seconds = run_direct(_as_tasks(stages, outcome))
        except Exception as error:  # noqa: BLE001  raised again by run_flow
            outcome.error = error
            return Failed(message=_label(error))
        except BaseException as error:  # noqa: BLE001  an interrupt; raised again by run_flow
            outcome.error = error
            return Cancelled(message=_label(error))
        return Completed(message=f"{len(stages)} stages")

    wrap = flow(
        name=FLOW,
        flow_run_name=lambda: name,
        retries=0,
        persist_result=False,
        validate_parameters=False,
        log_prints=False,
    )
    return wrap(validate)


def _as_tasks(stages: Sequence[Stage], outcome: _Outcome) -> list[Stage]:
    states: dict[str, Any] = {}
    return [dataclasses.replace(stage, call=_as_task(stage, states, outcome)) for stage in stages]


def _as_task(stage: Stage, states: dict[str, Any], outcome: _Outcome) -> Callable[[], None]:
    from prefect import task
    from prefect.cache_policies import NO_CACHE
    from prefect.states import Completed, Failed

    def attempt() -> Any:
        try:
            stage.call()
        except Exception as error:  # noqa: BLE001  kept, and raised again by run_flow
            outcome.raised[stage.name] = error
            return Failed(message=_label(error))
        return Completed()

    wrap = task(
        name=stage.name,
        task_run_name=stage.name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=0,
        log_prints=False,
    )
    work: Any = wrap(attempt)

    def call() -> None:
        before = [states[name] for name in stage.needs]
        state = states[stage.name] = work(wait_for=before, return_state=True)
        if not state.is_completed():
            what = f"Prefect did not run the stage {stage.name}"
            unknown = AssayError("E101", what, where=str(state.message))
            raise outcome.raised.get(stage.name, unknown)

    return call


@contextlib.contextmanager
def _flushed() -> Iterator[None]:
    """Send what Prefect sends in the background before the server goes."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    try:
        yield
    finally:
        APILogWorker.drain_all(timeout=FLUSH)
        EventsWorker.drain_all(timeout=FLUSH)


def _own(error: BaseException) -> BaseException:
    """Return the error, but Python's own exception for SIGTERM in place of Prefect's."""
    from prefect.exceptions import TerminationSignal

    return SystemExit(128 + error.signal) if isinstance(error, TerminationSignal) else error


def _label(error: BaseException) -> str:
    return f"{error.code}: {error.what}" if isinstance(error, AssayError) else type(error).__name__


def _refused(why: str, server: str) -> AssayError:
    what = f"the Prefect server {server or 'of this run'} refused the run"
    return AssayError("E101", what, where=why, fix="use --direct, or check that server")
