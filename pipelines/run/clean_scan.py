"""The clean dataset, searched for personal data once more as it was written."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, registry
from checks.kit.contract_model import Contract
from checks.kit.visible_columns import whole_seen
from pipelines.store import rebuild
from provenance.rows.shards import read_table, write_table
from provenance.rows.snapshot import Source

PART_ROWS = 1_000_000  # findings per file


def rescan(
    out: Path,
    contract: Contract,
    judged: findings.Findings,
    sources: tuple[Source, ...] = (),
    accepted: np.ndarray | None = None,
) -> findings.Findings:
    """Scan the clean dataset as written; a hit is a dataset-level finding ASSAY-K013.

    Args:
        out: the run's folder.
        contract: says which columns may hold personal data.
        judged: all findings of the run.
        sources: of the run; needed with `accepted`.
        accepted: int64 ordinals of rows that a reviewer released unchanged.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for path in sorted((out / "clean").iterdir()):
        table = read_table(path)
        if accepted is not None and len(accepted) and len(table):
            rows, _ = rebuild.clean_rows(_lineage_of(path), sources)
            table = table.filter(pa.array(~np.isin(rows, accepted)))
        found = registry.scan_clean(whole_seen(table, contract), contract, judged)
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
