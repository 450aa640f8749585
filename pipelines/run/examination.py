"""The checks of one run: what they may know, the engine that runs them, and their models' files."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from checks.kit import sample
from checks.kit.contract_model import Contract
from checks.kit.protocol import Context
from checks.kit.visible_columns import table_seen, whole_seen
from pipelines.checking import engine
from pipelines.checking.conclusions import with_conclusions
from pipelines.checking.examine import Examined, examine
from pipelines.checking.resume import Kept
from pipelines.learning.corrections import Corrections
from pipelines.run.learnt import Reviews
from pipelines.run.request import Plan
from pipelines.store import keys
from pipelines.store.drift_memory import Memory
from provenance.base import own_code
from provenance.files import remote
from provenance.ledger.signing import Signer
from provenance.rows.shards import read_shard

REFERENCE_ROWS = 100_000
TEST_ROWS = 500_000  # of a larger test set, a sample of this size


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """The results of the checks, and what they were given: the past, reviews, corrected labels."""

    examined: Examined
    past: Memory
    reviews: Reviews
    corrected: Corrections


def run_checks(
    plan: Plan, contract: Contract, past: Memory, kept: Kept, corrected: Mapping[int, str]
) -> Examined:
    """Fit and score every check over the shards.

    Args:
        plan: of the run. States and models are made in its scratch folder, where a late check may
            still write after it was given up; the models of checks that ran are copied to `out`.
        contract: with the roles of the columns, and the options of each check.
        past: what earlier runs of the dataset remembered.
        kept: what a killed run of the same work finished, and where to keep what this one does.
        corrected: labels that persons corrected, by row.
    """
    snapshot = plan.read()
    shards = list(snapshot.shards)
    rows = sum(ref.rows for ref in shards)
    inputs = [dataclasses.asdict(source) for source in snapshot.sources]
    history = past.histories(plan.reference_facts(), inputs)
    context = Context(
        contract,
        table_seen(read_shard(shards[0]).table.slice(0, 0), contract).schema,
        rows,
        _rows_of(plan, "reference", REFERENCE_ROWS, contract),
        history=history,
        test=_rows_of(plan, "test", TEST_ROWS, contract),
        folder=_folder(plan),
        corrected=corrected,
    )
    models = plan.scratch / "models"
    models.mkdir()
    # workers of Dask may be on other machines, where nothing is kept; files beside the table may
    # have changed since a run was killed
    may_keep = plan.engine != "dask" and not contract.used("file")
    kept.begin(_grounds(plan, context), len(shards) if may_keep else 0, _signer)
    chosen = engine.make(
        plan.engine,
        rows,
        timeout=engine.seconds_for(contract),
        address=plan.dask_address,
        scratch=plan.scratch,
    )
    try:
        examined = examine(context, shards, kept.over(chosen), models)
        examined = with_conclusions(examined, context, shards)
    finally:
        chosen.close()
    _copy_models(plan, examined)
    return examined


def _folder(plan: Plan) -> str:
    """Return the folder that all files of the source lie in; empty if one is no local file.

    The folders of a partitioned source do not count: their number changes from run to run.
    """
    if any(remote.is_url(name) for name in plan.sources):
        return ""
    folder = Path(os.path.commonpath([Path(name).resolve().parent for name in plan.sources]))
    while "=" in folder.name:
        folder = folder.parent
    return str(folder)


def _copy_models(plan: Plan, examined: Examined) -> None:
    """Copy the models without their seals, whose secret ends with the run, to be recorded."""
    (plan.out / "models").mkdir()
    for status in examined.statuses:
        if status.status == "ok" and examined.models is not None:
            name = f"{status.check}.pkl"
            (plan.out / "models" / name).write_bytes(examined.models.content(name))


def _grounds(plan: Plan, context: Context) -> dict[str, Any]:
    """Return all that the checks' results depend on, other than the shards and the libraries."""
    read = [plan.read_as(role) for role in ("source", "reference", "test")]
    return {
        "contract": [context.contract.path, context.contract.sha256],
        "code": own_code.facts(),
        "read": [[file.sha256 for file in snapshot.sources] for snapshot in read if snapshot],
        "history": context.history,
        "corrected": [*context.corrected.items()],
    }


def sampled(plan: Plan, role: str, most: int, contract: Contract) -> pa.Table | None:
    """Return up to `most` rows of a role as checks see them, with `sample.ROW`, in order.

    The table has no columns if the role has no rows; the result is None if it has no files.
    """
    snapshot = plan.read_as(role)
    if snapshot is None:
        return None
    chosen = None
    seen = whole_seen if role == "test" else table_seen  # exact copies are nested copies too
    for ref in snapshot.shards:
        shard = read_shard(ref)
        shard = dataclasses.replace(shard, table=seen(shard.table, contract))
        part = sample.take(shard, shard.table.column_names, most)
        chosen = part if chosen is None else sample.merge(chosen, part, most)
    if chosen is None:
        return pa.table({})  # `examine`, or the check that needs the rows, reports it
    return sample.settled(chosen).drop_columns([sample.RANK, sample.FOLD])


def _rows_of(plan: Plan, role: str, most: int, contract: Contract) -> pa.Table | None:
    rows = sampled(plan, role, most, contract)
    return rows.drop_columns([sample.ROW]) if rows is not None and rows.num_columns else rows


def _signer() -> Signer:
    # what is derived from it is the same in every run and never in the store
    return keys.own(make=True)
