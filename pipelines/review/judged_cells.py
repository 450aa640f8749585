"""New cells judged by Great Expectations, in a child process: it takes seconds to import.

Each value of a column is judged once for a run that stays open, and before any lock is taken. One
that could not be judged is refused for a while without another attempt, which may take as long.
"""

import time
from collections.abc import Mapping

import pyarrow as pa

from checks.rules import one_cell
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.run.child_process import Child
from pipelines.store import row_history, staged_contract
from pipelines.store.staged_contract import StagedContract
from provenance.base.errors import AssayError
from provenance.rows import cast

SECONDS = 120.0  # for one value, beyond which nothing is recorded
PAUSE = 60.0  # seconds before a value that could not be judged is tried again


def broken(run: ReviewedRun, column: str, value: str) -> Mapping[str, str] | None:
    """Return `id` and `where` of the first expectation on cells that a value breaks, if any.

    Args:
        run: under review.
        column: flat, of the contract.
        value: a text that can be cast to the column's type.

    Raises:
        AssayError: ASSAY-K002 or E005 if it could not be judged, which is never passed.
    """
    if not one_cell.has_rules(run.contract, column):
        return None
    known, key = run.judged, (column, value)
    if key not in known:
        failed = run.not_judged.get(key)
        if failed is not None and time.monotonic() < failed[0]:
            raise failed[1].with_traceback(None)
        try:
            known[key] = _judged_apart(run, column, value)
        except AssayError as error:
            run.not_judged[key] = time.monotonic() + PAUSE, error
            raise
    return known[key]


def _judged_apart(run: ReviewedRun, column: str, value: str) -> Mapping[str, str] | None:
    contract = run.contract
    file = str(run.files.folder / row_history.CONTRACT)
    staged = StagedContract(
        file, contract.sha256, contract.path, contract.path, contract.root, contract.inspected
    )
    child = Child("pipelines.review.judged_cells:judged")
    try:
        found: Mapping[str, str] | None = child.call(
            timeout=SECONDS, contract=staged.arguments(), column=column, value=value
        )
    finally:
        child.stop()
    return found


def judged(contract: Mapping[str, str], column: str, value: str) -> Mapping[str, str] | None:
    """Judge one value, in a child process: as `broken`."""
    loaded = staged_contract.loaded(contract)
    cell, _ = cast.cast(pa.array([value]), loaded.column(column).spec)
    rule = one_cell.broken_by(loaded, column, cell)
    return {"id": rule.id, "where": rule.where} if rule else None
