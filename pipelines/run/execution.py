"""From a request to a committed run: look at contract and source, then call the stages.

What only a run needs that goes on (the stages, and Prefect) is imported after the look: a source
that is refused costs little more than reading it.
"""

import contextlib
import time
from collections.abc import Iterator

from pipelines.config import lineage_target, take_key
from pipelines.console import Progress
from pipelines.run.context import Run, opened
from pipelines.run.request import Prepared, Request, prepare
from pipelines.store.outcome import Committed, Outcome

FIRST = "ingest"  # the stage that the look is a part of


def execute(request: Request, progress: Progress, prepared: Prepared | None = None) -> Outcome:
    """Run all stages and commit; nothing is left behind if any of them refuses.

    Args:
        request: what to do.
        progress: shows each stage.
        prepared: of the request, if it was prepared before.

    Raises:
        AssayError: the code of what the contract, the source, the store or a stage refuses with.
    """
    began = time.perf_counter()
    take_key()  # before the first child starts
    prepared = prepared or prepare(request)
    if request.dask_address:
        from pipelines.checking import dask_engine

        dask_engine.ensure_answers(request.dask_address)
    committed = Committed()
    # entered twice: an interrupt after the commit must cut short neither what follows the stages
    # nor, out here, the cleaning up
    with (
        committed,
        opened(request, prepared, committed) as run,
        _telling(run),
    ):
        with committed:
            with _timed(FIRST, run, progress, is_done=False):
                run.look()
            _call(run, progress)
        run.timings["total"] = round(time.perf_counter() - began, 3)
        committed.result()
    return committed.result()


def _telling(run: Run) -> contextlib.AbstractContextManager[None]:
    """Return a context that tells how the run goes, if someone asked for it."""
    if lineage_target() is None:
        return contextlib.nullcontext()
    from pipelines.events import openlineage

    plan = run.plan
    return openlineage.telling("run", run.contract.name, plan.run_id, run.committed, plan.sources)


def _call(run: Run, progress: Progress) -> None:
    """Call the stages, each as soon as its needs are there: directly, or as a Prefect flow."""
    from pipelines.orchestration import scheduler
    from pipelines.run.run import STAGES, Stage

    run.begin()  # it may import in a thread of its own, so not before these
    results: dict[str, object] = {}

    def bound(stage: Stage) -> scheduler.Stage:
        def call() -> None:
            with _timed(stage.name, run, progress):
                given = [results[name] for name in stage.needs]
                results[stage.name] = stage.call(run, *given)

        return scheduler.Stage(stage.name, call, stage.needs, stop=lambda: stage.stop(run))

    order = [bound(stage) for stage in STAGES]
    if run.request.direct:
        scheduler.run_direct(order)
        return
    from pipelines.orchestration.flow import run_flow

    run.imports.wait()  # Prefect is imported next, here and in threads
    contract, plan = run.contract, run.plan
    parameters = {
        "dataset": contract.name,
        "contract_sha256": contract.sha256,
        "run_id": plan.run_id,
        "engine": plan.engine,
    }
    name = f"assay-{contract.name}-{plan.run_id[:8]}"
    run_flow(order, parameters, name=name, debug=run.request.debug)


@contextlib.contextmanager
def _timed(stage: str, run: Run, progress: Progress, *, is_done: bool = True) -> Iterator[None]:
    """Show a stage, or with `is_done=False` a part of it, and note how long it has taken so far."""
    spent, start = run.timings.get(stage, 0.0), time.perf_counter()
    with progress.stage(stage, spent=spent, is_done=is_done):
        yield
    run.timings[stage] = round(spent + time.perf_counter() - start, 3)
