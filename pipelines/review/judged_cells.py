"""New cells judged by Great Expectations, in a child process: it takes seconds to import.

Each value of a column is judged once for a run that stays open, and before any lock is taken.
"""

from collections.abc import Mapping

import pyarrow as pa

from checks.rules import one_cell
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.run.child_process import Child
from pipelines.store import row_history, staged_contract
from pipelines.store.staged_contract import StagedContract
from provenance.rows import cast

SECONDS = 120.0  # for one value, beyond which nothing is recorded


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
        contract = run.contract
        file = str(run.files.folder / row_history.CONTRACT)
        staged = StagedContract(
            file, contract.sha256, contract.path, contract.path, contract.root, contract.inspected
        )
        child = Child("pipelines.review.judged_cells:judged")
        try:
            known[key] = child.call(
                timeout=SECONDS, contract=staged.arguments(), column=column, value=value
            )
        finally:
            child.stop()
    return known[key]


def judged(contract: Mapping[str, str], column: str, value: str) -> Mapping[str, str] | None:
    """Judge one value, in a child process: as `broken`."""
    loaded = staged_contract.loaded(contract)
    cell, _ = cast.cast(pa.array([value]), loaded.column(column).spec)
    rule = one_cell.broken_by(loaded, column, cell)
    return {"id": rule.id, "where": rule.where} if rule else None
