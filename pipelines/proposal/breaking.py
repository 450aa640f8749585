"""How many rows of the source break the rules that are proposed for it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.proposal.columns import as_typed
from pipelines.proposal.contract_yaml import Proposal
from provenance.rows.arrow_bytes import mask_of
from provenance.rows.cast import cast
from provenance.rows.shards import read_shard
from provenance.rows.snapshot import Snapshot

NAMED = 5  # rows that a message names


@dataclasses.dataclass(slots=True)
class Breaking:
    """Rows that will be held, rows that only a warning names, and the first ones by column."""

    held: int = 0
    queued: int = 0
    first: dict[str, list[int]] = dataclasses.field(default_factory=dict)


def count(
    snapshot: Snapshot, proposals: list[Proposal], repeated: Mapping[str, np.ndarray]
) -> Breaking:
    """Judge every row by the proposed types and rules.

    Args:
        snapshot: the source, ingested without a contract.
        proposals: of all columns, complete.
        repeated: rows whose value repeats in a column whose values must differ.
    """
    made = Breaking()
    for ref in snapshot.shards:
        shard = read_shard(ref)
        typed = as_typed(shard.table, [proposal.seen for proposal in proposals])
        held, queued = np.zeros(len(shard.rows), bool), np.zeros(len(shard.rows), bool)
        for proposal in proposals:
            name = proposal.seen.name
            cells = shard.table[name].combine_chunks()
            error, warning = _broken(proposal, cells, typed[name].combine_chunks())
            if name in repeated:
                error |= np.isin(shard.rows, repeated[name])
            first = made.first.setdefault(name, [])
            first += shard.rows[error][: NAMED - len(first)].tolist()
            held |= error
            queued |= warning
        made.held += int(held.sum())
        made.queued += int((queued & ~held).sum())
    return made


def _broken(proposal: Proposal, cells: pa.Array, values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows break a rule of severity error, and which one that only warns."""
    seen, doubts = proposal.seen, proposal.doubts
    broken = {True: np.zeros(len(values), bool), False: np.zeros(len(values), bool)}
    if pa.types.is_string(cells.type):
        broken[True] |= mask_of(pc.is_valid(cast(cells, seen.spec)[1]))
    is_null = mask_of(pc.is_null(values))
    is_label = "label" in proposal.roles and not proposal.is_partial
    if proposal.is_key or is_label or proposal.is_required:
        broken[proposal.is_key or is_label or "required" not in doubts] |= is_null
    if proposal.valid is not None:
        is_known = pc.is_in(values, pa.array(proposal.valid, values.type))
        broken["valid" not in doubts] |= ~is_null & ~mask_of(is_known)
    for end, value, compare in zip(
        ("minimum", "maximum"), proposal.ends, (pc.less, pc.greater), strict=True
    ):
        if value is not None:
            beyond = compare(values, _scalar(value, values.type))
            broken[end not in doubts] |= mask_of(pc.fill_null(beyond, fill_value=False))
    return broken[True], broken[False]


def _scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(value) if pa.types.is_integer(kind) else pa.scalar(value, kind)
