"""From findings to files: sort the rows, protect personal data, search the result again."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings
from checks.kit.contract_model import Contract
from checks.kit.visible_columns import table_seen
from pipelines.run import fates
from pipelines.run.fates import Sorting
from pipelines.store import keys, rebuild
from pipelines.store.outcome import Fated
from provenance.ledger import lineage
from provenance.ledger.lineage import RowIds
from provenance.rows.shards import read_table, write_table
from provenance.rows.snapshot import Snapshot, Source

PART_ROWS = 1_000_000  # findings per file


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


def emit(
    snapshot: Snapshot, contract: Contract, found: findings.Findings, held: np.ndarray, out: Path
) -> Fated:
    """Write clean, quarantine, rejected and lineage; return the counts of rows.

    Args:
        snapshot: of the source.
        contract: says which columns to protect.
        found: all findings, for the reasons of each row.
        held: int64 ordinals of the rows that go to quarantine.
        out: the run's folder.
    """
    secrets = lineage.secrets_of(keys.own(make=True)) if contract.is_personal else None
    name = RowIds(snapshot.sources, secrets).of
    sorting = Sorting(found, held, held[:0], lambda table, _: protected(table, contract), name)
    return fates.Emitter(snapshot, sorting, out).write()


def protected(table: pa.Table, contract: Contract) -> pa.Table:
    """Replace personal data in the columns for which the contract asks so."""
    from checks import pii

    for column in contract.columns:
        if column.pii in ("redact", "pseudonymise") and column.name in table.column_names:
            key = keys.own(make=True).derived("pseudonym") if column.pii == "pseudonymise" else None
            place = table.column_names.index(column.name)
            texts = pii.redact(table[column.name].combine_chunks(), column.name, contract, key=key)
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
        accepted: int64 ordinals of rows that a reviewer released unchanged.
    """
    from checks import pii

    counts: Counter[tuple[str, str]] = Counter()
    for path in sorted((out / "clean").iterdir()):
        table = read_table(path)
        if accepted is not None and len(accepted) and len(table):
            rows, _ = rebuild.clean_rows(_lineage_of(path), sources)
            table = table.filter(pa.array(~np.isin(rows, accepted)))
        found = pii.rescan(table_seen(table, contract), contract)
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
    for number in range(max(1, -(-len(found) // PART_ROWS))):
        part = found.slice(number * PART_ROWS, PART_ROWS)
        write_table(part, out / "findings" / f"part-{number:05d}.parquet")
