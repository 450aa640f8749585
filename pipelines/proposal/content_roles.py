"""Roles that the cells of a column make clear: chances of the label's classes, files beside it."""

import os
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import class_chances, vectors
from pipelines.proposal.contract_yaml import Proposal
from provenance.base import no_follow
from provenance.files import remote
from provenance.rows.nested import as_list, is_list
from provenance.rows.shards import Shard, read_shard
from provenance.rows.snapshot import Snapshot

LEAST = 20  # rows that the evidence needs
MOST_OTHER = 0.05  # of the lists may be no chances
TRIED = 50  # files that must all be there


def propose(proposals: list[Proposal], snapshot: Snapshot) -> None:
    """Give columns without a role the roles `probabilities` and `file` where they are clear.

    Chances are lists of one length, as long as the label has values, that sum to 1. Files are paths
    with an extension, of which all that are tried exist beside the source.
    """
    free = [p for p in proposals if not p.roles]
    label = next((p for p in proposals if "label" in p.roles), None)
    lists = [p for p in free if p.seen.nested is not None and p.seen.logical == "array"]
    texts = [p for p in free if p.seen.nested is None and p.seen.logical == "string"]
    if not ((label and lists) or texts):
        return
    shard = read_shard(snapshot.shards[0])
    found = [p for p in lists if label and _are_chances(shard.table[p.seen.name], label)]
    if len(found) == 1:  # of several, a person must choose
        found[0].roles.append("probabilities")
        why = "as many numbers as the label has values, and they sum to 1"
        found[0].comments.append(f"check: the role probabilities, {why}; were they out of fold?")
    folder = _folder(snapshot)
    for proposal in texts:
        if folder and _are_files(shard, proposal.seen.name, folder):
            proposal.roles.append("file")
            proposal.comments.append("check: the role file, its values name files that exist")


def _are_chances(column: pa.ChunkedArray, label: Proposal) -> bool:
    if not (is_list(column.type) and pa.types.is_floating(as_list(column.type).value_type)):
        return False
    cells = vectors.lists(column)
    size = vectors.usual_length(cells)
    _, faults = class_chances.read(cells, size)
    known = len(cells) - cells.null_count
    is_clear = known >= LEAST and faults.any.sum() <= MOST_OTHER * known
    return bool(is_clear and size == label.seen.distinct and size > 1)


def _folder(snapshot: Snapshot) -> Path | None:
    names = [source.name for source in snapshot.sources]
    if any(remote.is_url(name) for name in names):
        return None
    return Path(os.path.commonpath([Path(name).resolve().parent for name in names]))


def _are_files(shard: Shard, name: str, folder: Path) -> bool:
    values = pc.unique(shard.table[name]).drop_null()
    if shard.table[name].null_count or len(values) < LEAST or not pa.types.is_string(values.type):
        return False
    tried = values.take(pa.array(np.linspace(0, len(values) - 1, TRIED).astype(int)))
    return all(_is_file(str(value), folder) for value in tried.to_pylist())


def _is_file(value: str, folder: Path) -> bool:
    path = PurePosixPath(value)
    if not path.suffix or path.is_absolute() or ".." in path.parts or "\x00" in value:
        return False
    try:
        with no_follow.folder(folder) as at:
            os.close(no_follow.open_file(value, at=at))
    except OSError:
        return False
    return True
