"""What `assay init` says of columns that may tell of persons; it decides nothing about them."""

import dataclasses

import pyarrow as pa

from checks.kit import registry
from checks.kit.contract_model import Column
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
        texts = _texts(proposal, shard.table)
        proposal.comments += registry.suggest(column_of(proposal), texts)


def column_of(proposal: Proposal) -> Column:
    """Return the column of a contract that is proposed so far."""
    return Column(
        dataclasses.replace(proposal.seen.spec),
        roles=frozenset(proposal.roles),  # type: ignore[arg-type]
        key=proposal.is_key,
        valid_values=tuple(proposal.valid) if proposal.valid is not None else None,
    )


def _texts(proposal: Proposal, table: pa.Table) -> pa.Array:
    name = proposal.seen.name
    if proposal.seen.logical != "string" or name not in table.column_names:
        return pa.array([], pa.string())
    return table[name].slice(0, ROWS).combine_chunks().cast(pa.string())
