"""`assay run`: examine a source under a contract and print the result."""

import argparse
import os
import sys
from pathlib import Path

from pipelines import config
from pipelines.console import Progress
from pipelines.run.execution import execute
from pipelines.run.request import Request
from pipelines.store import outcome
from pipelines.store.outcome import Outcome
from provenance.base.errors import AssayError


def request_of(arguments: argparse.Namespace, *, direct: bool) -> Request:
    """Return the request of a command line."""
    return Request(
        contract=Path(arguments.contract),
        store=config.store_folder(arguments.store),
        source=arguments.source,
        reference=arguments.reference,
        engine=_engine(arguments),
        dask_address=arguments.dask_address,
        direct=direct,
        fail_on=arguments.fail_on,
        debug=arguments.debug,
        share=arguments.share,
    )


def _engine(arguments: argparse.Namespace) -> str:
    """Return the engine's name; the address of a cluster implies Dask, which must be installed."""
    name: str = arguments.engine
    if arguments.dask_address and name not in ("auto", "dask"):
        what = f"--dask-address cannot be used with the engine {name}"
        raise AssayError("C012", what, where="--engine", fix="use --engine dask")
    if not arguments.dask_address and name != "dask":
        return name
    from pipelines.checking import dask_engine

    dask_engine.require_installed()
    return "dask"


def main(arguments: argparse.Namespace) -> int:
    """Run, print the summary or one JSON object, and return the verdict's exit code."""
    instead = arguments.retrain_exit
    if instead is not None:
        _require_free(instead)
    direct = arguments.direct or not (arguments.flow or _has_server())
    with Progress(sys.stderr, os.environ) as progress:
        made = execute(request_of(arguments, direct=direct), progress)
    outcome.show(made, as_json=arguments.json)
    if instead is not None and _is_only_drift(made):
        return int(instead)
    return made.verdict.exit_code


def _has_server() -> bool:
    from pipelines.orchestration.server import configured_url

    return configured_url() is not None


def _require_free(code: int) -> None:
    """Refuse (ASSAY-C012) an exit code that already has a meaning."""
    from pipelines.events.retrain import LEAST_EXIT, MOST_EXIT  # it reads tables, as few runs need

    if not LEAST_EXIT <= code <= MOST_EXIT:
        what = f"--retrain-exit must be from {LEAST_EXIT} to {MOST_EXIT}"
        fix = "choose a code in this range; the others already have a meaning"
        raise AssayError("C012", what, fix=fix)


def _is_only_drift(made: Outcome) -> bool:
    from pipelines.events import retrain

    return made.verdict.checked and retrain.is_only_drift(made.verdict)
