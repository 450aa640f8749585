"""The stages, in the order a row travels: ingest, rules, examine, decide, emit, rescan.

Plain functions over the plan; what one leaves for the next is a file below `plan.scratch`.
Prefect wraps them elsewhere, and `--direct` calls them as they are.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, registry, sample, verdict
from checks.kit.contract_model import Contract, Policy
from checks.kit.protocol import Context
from checks.kit.visible_columns import shard_seen, table_seen
from pipelines.checking import engine
from pipelines.checking.conclusions import with_conclusions
from pipelines.checking.examine import Examined, Status, examine
from pipelines.checking.resume import Kept
from pipelines.run import fates
from pipelines.run.fates import Sorting
from pipelines.run.plan import Plan
from pipelines.store import keys, rebuild
from pipelines.store.drift_memory import Histories, Memory
from pipelines.store.outcome import Fated
from provenance.base import own_code
from provenance.base.codes import CODES
from provenance.base.errors import AssayError, Notice
from provenance.ledger import lineage
from provenance.ledger.lineage import RowIds
from provenance.ledger.signing import Signer
from provenance.rows.shards import read_shard, read_table, write_table
from provenance.rows.snapshot import Snapshot, Source

REFERENCE_ROWS = 100_000
TEST_ROWS = 500_000  # of a larger test set so many are looked for
RULES_MEMORY = 16 << 30  # bytes of address space for a contract's SQL beside large libraries
CHECK_SECONDS = 3_600.0
# stages that find something themselves: the check they report as, the stage's own name
FINDING_STAGES = (("ingest", "ingest"), ("contract", "rules"), ("rescan", "rescan"))


def run_rules(contract: str | Mapping[str, str], snapshot: str, out: str) -> str:
    """Evaluate the contract's rules; runs in a child process that holds Great Expectations.

    Returns:
        The digest of the contract whose rules they are.
    """
    from checks.rules import one_pass
    from pipelines.run import contract_rules
    from pipelines.store import staged_contract

    promised = staged_contract.loaded(contract)
    # an SQL rule that is late is named as long as the stage itself has time left
    share = float(promised.limits.get("check_seconds", CHECK_SECONDS)) / 2
    budget = one_pass.Budget(seconds=min(one_pass.Budget().seconds, share))
    source = Snapshot.load(Path(snapshot) / "snapshot.json")
    contract_rules.run_rules(promised, source, Path(out), budget=budget)
    return promised.sha256


def contract_unrun(error: AssayError) -> findings.Findings:
    """Return the finding that the contract's rules did not run."""
    evidence = f"the rules of the contract did not run: {error.code}: {error.what}"
    return findings.make(None, check="contract", rule="ASSAY-K001", evidence=evidence)


def held_findings(snapshot: Snapshot) -> findings.Findings:
    """Return why rows could not be cast, as findings of `ingest`."""
    if not snapshot.held_findings:
        return findings.empty()
    held = read_table(snapshot.held_findings)
    codes = [f"ASSAY-{code}" for code in held["code"].to_pylist()]
    return findings.make(
        held["row"],
        check="ingest",
        rule=codes,
        column=held["column"],
        evidence=held["evidence"],
        suggestion="repair the cell at its source, or reject the row",
    ).cast(findings.SCHEMA)


def run_checks(plan: Plan, contract: Contract, past: Memory, done: Kept | None = None) -> Examined:
    """Fit and score every check over the shards; the fitted models stay with the run.

    They are made in the scratch folder: a check that is late may write there after it was given up.
    `done` is what a killed run of the same work has finished, and where to keep what this one does.
    """
    snapshot = Snapshot.load(plan.snapshot / "source" / "snapshot.json")
    reference = _rows_of(plan, "reference", REFERENCE_ROWS, contract)
    test = _rows_of(plan, "test", TEST_ROWS, contract)
    schema = table_seen(read_shard(snapshot.shards[0]).table.slice(0, 0), contract).schema
    rows = sum(ref.rows for ref in snapshot.shards)
    inputs = [dataclasses.asdict(source) for source in snapshot.sources]
    history = past.histories(reference_facts(plan), inputs)
    context = Context(contract, schema, rows, reference, history=history, test=test)
    models, kept = plan.scratch / "models", plan.out / "models"
    for folder in (models, kept):
        folder.mkdir(parents=True)
    limit = float(contract.limits.get("check_seconds", CHECK_SECONDS))
    done = done or Kept(models)
    # Dask's workers may be elsewhere
    shards = 0 if plan.engine == "dask" else len(snapshot.shards)
    done.begin(_grounds(plan, contract, history), shards, _signer)
    chosen = engine.make(
        plan.engine, rows, timeout=limit, address=plan.dask_address, scratch=plan.scratch
    )
    try:
        examined = examine(context, list(snapshot.shards), chosen, models, done)
        examined = with_conclusions(examined, context, list(snapshot.shards))
    finally:
        chosen.close()
    for status in examined.statuses:
        if status.status == "ok" and examined.models is not None:
            name = f"{status.check}.pkl"
            # without its seal, whose secret ends with the run: its digest is recorded instead
            (kept / name).write_bytes(examined.models.content(name))
    write_table(examined.found, plan.scratch / "findings-checks.parquet")
    return examined


def emit(plan: Plan, contract: Contract) -> tuple[Fated, findings.Findings]:
    """Write clean, quarantine, rejected and lineage; returns the counts and all findings."""
    snapshot = Snapshot.load(plan.snapshot / "source" / "snapshot.json")
    parts = [held_findings(snapshot)]
    parts += [read_table(path) for path in sorted(plan.scratch.glob("findings-*.parquet"))]
    found = findings.ordered(findings.concat(parts))
    quarantined = verdict.quarantined_rows(found)
    none = quarantined[:0]
    secrets = lineage.secrets_of(_signer()) if contract.is_personal else None
    name = RowIds(snapshot.sources, secrets).of
    sorting = Sorting(found, quarantined, none, lambda table, _: protected(table, contract), name)
    return fates.Emitter(snapshot, sorting, plan.out).write(), found


def protected(table: pa.Table, contract: Contract) -> pa.Table:
    """Replace personal data in the columns for which the contract asks for it."""
    for column in contract.columns:
        if column.pii in ("redact", "pseudonymise") and column.name in table.column_names:
            key = _signer().derived("pseudonym") if column.pii == "pseudonymise" else None
            place = table.column_names.index(column.name)
            cells = table[column.name].combine_chunks()
            texts = registry.redact(cells, column.name, contract, key=key)
            table = table.set_column(place, table.schema.field(place), texts)
    return table


def rescan(
    out: Path,
    contract: Contract,
    sources: tuple[Source, ...] = (),
    accepted: np.ndarray | None = None,
) -> findings.Findings:
    """Scan the clean dataset as written; a hit is a dataset-level finding ASSAY-K013.

    Args:
        out: the run's folder.
        contract: says which columns may hold personal data.
        sources: of the run; needed with `accepted`.
        accepted: int64 ordinals of rows that a person released as they are.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for path in sorted((out / "clean").iterdir()):
        table = read_table(path)
        if accepted is not None and len(accepted) and len(table):
            rows, _ = rebuild.clean_rows(_lineage_of(path), sources)
            table = table.filter(pa.array(~np.isin(rows, accepted)))
        found = registry.scan_clean(table_seen(table, contract), contract)
        errors = found.filter(pc.equal(found["severity"], "error"))
        for pair in errors.group_by(["rule", "column"]).aggregate([([], "count_all")]).to_pylist():
            counts[pair["rule"], pair["column"]] += pair["count_all"]
    return findings.concat(
        [
            findings.make(
                None,
                check="rescan",
                rule="ASSAY-K013",
                column=column,
                evidence=f"{rule} in {rows} rows of the clean dataset",
            )
            for (rule, column), rows in sorted(counts.items())
        ]
    )


def _lineage_of(part: Path) -> pa.Table:
    """Return the lineage of the rows of a part that was just written, in the part's order."""
    import pyarrow.dataset as ds

    wanted = pc.field("file") == f"{part.parent.name}/{part.name}"
    found = ds.dataset(part.parents[1] / "lineage").to_table(filter=wanted)
    return found.sort_by("file_row").combine_chunks()


def save_findings(found: findings.Findings, out: Path) -> None:
    """Write the findings of a run in parts of a million rows."""
    (out / "findings").mkdir()
    size = 1_000_000
    for number in range(max(1, -(-len(found) // size))):
        part = found.slice(number * size, size)
        write_table(part, out / "findings" / f"part-{number:05d}.parquet")


def all_statuses(
    found: findings.Findings, examined: tuple[Status, ...], clock: Mapping[str, float]
) -> tuple[Status, ...]:
    """Return how the stages that find something fared, before the checks."""
    made = []
    for check, stage in FINDING_STAGES:
        mine = found.filter(pc.equal(found["check"], check))
        rows = len(mine["row"].drop_null().unique())
        errors = mine.filter(pc.equal(mine["severity"], "error"))
        unrun = pc.any(pc.is_in(errors["rule"], pa.array(verdict.UNRUN))).as_py()
        is_late = pc.any(pc.equal(errors["rule"], verdict.LATE)).as_py()
        status = "timeout" if is_late else "failed" if unrun else "ok"
        made.append(Status(check, status, len(mine), rows, clock.get(stage, 0.0)))
    return (*made, *examined)


def warnings_of(
    contract: Contract, snapshot: Snapshot, statuses: tuple[Status, ...]
) -> list[Notice]:
    """Return the warnings of a run: of the contract, of the reading, of what was not checked."""
    notices = [*contract.warnings, *snapshot.warnings]
    for status in statuses:
        for note in status.notes:
            code, _, told = note.partition(": ")
            if code.removeprefix("ASSAY-") in CODES:  # the others are for the report alone
                notices.append(Notice(code, told, f"check {status.check}"))
    return notices


def policy_of(contract: Contract, fail_on: Literal["error", "warning"] | None) -> Policy:
    """Return the contract's policy with what the command line sets over it."""
    return dataclasses.replace(contract.policy, fail_on=fail_on) if fail_on else contract.policy


def reference_facts(plan: Plan) -> list[dict[str, str]]:
    """Return name and digest of each file of the reference, none if there is none."""
    path = plan.snapshot / "reference" / "snapshot.json"
    read = Snapshot.load(path).sources if path.exists() else ()
    return [{"name": source.name, "sha256": source.sha256} for source in read]


def _grounds(plan: Plan, contract: Contract, history: Histories) -> dict[str, Any]:
    """Return all that the checks' results depend on, beside the shards and the libraries."""
    snapshots = [plan.snapshot / role / "snapshot.json" for role in ("source", "reference", "test")]
    read = [Snapshot.load(path).sources for path in snapshots if path.exists()]
    return {
        "contract": [contract.path, contract.sha256],
        "code": own_code.facts(),
        "read": [[source.sha256 for source in sources] for sources in read],
        "history": history,
    }


def sampled(plan: Plan, role: str, most: int, contract: Contract) -> pa.Table | None:
    """Return up to `most` rows of a role as checks see them, with `sample.ROW`, in order.

    Without a column where the role has no rows; None where it has no files.
    """
    path = plan.snapshot / role / "snapshot.json"
    if not path.exists():
        return None
    taken = None
    for ref in Snapshot.load(path).shards:
        shard = shard_seen(read_shard(ref), contract)
        part = sample.take(shard, shard.table.column_names, most)
        taken = part if taken is None else sample.merge(taken, part, most)
    if taken is None:
        return pa.table({})  # no rows: `examine`, or the check that asks for them, says so
    return sample.settled(taken).drop_columns([sample.RANK, sample.FOLD])


def _rows_of(plan: Plan, role: str, most: int, contract: Contract) -> pa.Table | None:
    rows = sampled(plan, role, most, contract)
    return rows.drop_columns([sample.ROW]) if rows is not None and rows.num_columns else rows


def _signer() -> Signer:
    # what is derived from it is the same in every run and never in the store
    return keys.own(make=True)
