"""Columns that may hold personal data: no value of them is listed, and `init` asks what to do."""

import dataclasses

import pyarrow as pa

from checks.kit import registry
from checks.kit.contract_model import Column
from pipelines.proposal.columns import Seen, as_typed
from pipelines.proposal.contract_yaml import Proposal
from provenance.rows.column_types import ColumnSpec
from provenance.rows.nested import is_text, leaves
from provenance.rows.shards import Shard

ROWS = 2_000  # that are searched: every part of a column shows what it holds


def hide(proposal: Proposal) -> bool:
    """Return whether the values must not be listed: they, or the column by its name, are personal.

    Many people read a contract. If values are personal, a comment says so; `note` deals with names.
    """
    name = proposal.seen.name
    if "label" not in proposal.roles and registry.is_private(name):
        return True
    texts = sorted({str(value) for value in proposal.seen.counts or ()})
    if not registry.is_private(name, pa.array(texts, pa.string())):
        return False
    proposal.comments.append("check: its values are not listed: some are personal data")
    return True


def is_personal(seen: Seen) -> bool:
    """Return whether cells of a column must be masked: it, or what it holds, may be personal."""
    if registry.is_private(seen.name):
        return True
    texts = [cell for cells in seen.deviants.kinds.values() for cell in cells]
    texts += [str(value) for value in seen.counts or ()]
    return registry.is_private(seen.name, pa.array(sorted(set(texts)), pa.string()))


def note(proposals: list[Proposal], shard: Shard) -> None:
    """Ask, in comments, what only a person can decide: who can be identified by which column.

    Args:
        proposals: of all columns.
        shard: the first rows, to be searched for personal data.
    """
    for proposal in proposals:
        if proposal.seen.nested is not None:
            proposal.comments += _of_leaves(proposal, shard.table)
            continue
        texts = _texts(proposal, shard.table)
        proposal.comments += registry.suggest(column_of(proposal), texts)


def _of_leaves(proposal: Proposal, table: pa.Table) -> list[str]:
    """Return the comments on the texts in a nested column, by path."""
    [cells] = as_typed(table.slice(0, ROWS), [proposal.seen]).columns
    column = column_of(proposal)
    comments = []
    for leaf in leaves(cells, proposal.seen.name):
        if is_text(leaf.values.type):
            named = dataclasses.replace(column, spec=ColumnSpec(leaf.path))
            texts = leaf.values.slice(0, ROWS).cast(pa.string())
            comments += [
                text.replace("check: ", f"check: {leaf.path}: ", 1)
                for text in registry.suggest(named, texts)
            ]
    return comments


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
