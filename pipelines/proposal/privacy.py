"""Columns that may hold personal data: no value of them is listed, and `init` asks what to do."""

import pyarrow as pa

from checks.disclosure.headings import is_quasi_identifier
from checks.pii.headings import is_of_persons, kind_of
from checks.pii.scan import scan
from checks.pii.settings import Settings
from pipelines.proposal.contract_yaml import Proposal
from provenance.rows.shards import Shard

ROWS = 2_000  # that are searched: every part of a column shows what it holds


def hide(proposal: Proposal) -> bool:
    """Return whether the values must not be listed: they, or the column by its name, are personal.

    Many people read a contract. If values are personal, a comment says so; `note` deals with names.
    """
    if is_of_persons(proposal.seen.name) and "label" not in proposal.roles:
        return True
    texts = [str(value) for value in proposal.seen.counts or ()]
    found = scan(pa.array(sorted(set(texts)), pa.string()), proposal.seen.name, Settings())
    if found:
        proposal.comments.append("check: its values are not listed: some are personal data")
    return bool(found)


def note(proposals: list[Proposal], shard: Shard) -> None:
    """Ask, in comments, what only a person can decide: who can be identified by which column.

    Args:
        proposals: of all columns.
        shard: the first rows, to be searched for personal data.
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
                "check: does it describe a person? {property: assay.role, value: quasi_identifier}"
            )


def _note_held(proposal: Proposal, table: pa.Table) -> None:
    name = proposal.seen.name
    if proposal.seen.logical != "string" or name not in table.column_names:
        return
    texts = table[name].slice(0, ROWS).combine_chunks().cast(pa.string())
    if kinds := _held(proposal, texts):
        proposal.comments.append(
            f"check: rows with {kinds} go to quarantine until assay.pii says redact, "
            "pseudonymise or allow"
        )


def _held(proposal: Proposal, values: pa.Array) -> str:
    """Return the kinds of personal data that quarantine rows, as a list in a text; "" for none.

    Args:
        proposal: of the column.
        values: some of its texts, shape (n,).
    """
    texts = values.drop_null().unique()
    found = scan(texts, proposal.seen.name, Settings())
    kinds = {hit.entity for one in found.values() for hit, word in one.hits if word == "error"}
    return ", ".join(sorted(kinds))
