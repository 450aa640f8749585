"""What `assay init` says of columns that may tell of persons; it decides nothing about them."""

import pyarrow as pa

from checks.disclosure.headings import is_quasi_identifier
from checks.pii.headings import kind_of
from pipelines.proposal import personal
from pipelines.proposal.contract_yaml import Proposal
from provenance.rows.shards import Shard

ROWS = 2_000  # that are searched: of what fills a column, each part tells


def note(proposals: list[Proposal], shard: Shard) -> None:
    """Propose, as comments, what only a person can decide: who may be told by which column.

    Args:
        proposals: of all columns.
        shard: the first rows, to look for personal data in.
    """
    for proposal in proposals:
        _note_held(proposal, shard.table)
        if proposal.is_key or {"label", "text"} & set(proposal.roles):
            continue
        name, is_text = proposal.seen.name, proposal.seen.logical == "string"
        kind = kind_of(name) if is_text and proposal.valid is None else None
        if kind:
            proposal.comments.append(f"check: may hold {kind}: set assay.pii")
        if is_quasi_identifier(name):
            proposal.comments.append(
                "check: tells of a person? {property: assay.role, value: quasi_identifier}"
            )


def _note_held(proposal: Proposal, table: pa.Table) -> None:
    name = proposal.seen.name
    if proposal.seen.logical != "string" or name not in table.column_names:
        return
    texts = table[name].slice(0, ROWS).combine_chunks().cast(pa.string())
    if kinds := personal.held(proposal, texts):
        proposal.comments.append(
            f"check: rows with {kinds} go to quarantine until assay.pii says redact, "
            "pseudonymise or allow"
        )
