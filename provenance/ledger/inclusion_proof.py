"""Proves that an entry, and a row of its run, are in the ledger of a checkpoint.

The file is a C2SP transparency-log proof (tlog-proof v1): the entry's index, its path to the root,
and the checkpoint; `extra` contains the entry itself and optionally one row with its path to the
entry's lineage root. Source: c2sp.org/tlog-proof.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from provenance.ledger import merkle
from provenance.ledger.entry import Entry

HEAD = "c2sp.org/tlog-proof@v1"
SCHEMA = "assay.proof/1"


def text_of(
    entry: Entry, leaves: Sequence[bytes], note: str, row: Mapping[str, Any] | None = None
) -> str:
    """Return the proof that `entry` is one of the entries that a checkpoint covers.

    Args:
        entry: the entry to prove.
        leaves: digests of the entries that the checkpoint covers, in order.
        note: the signed checkpoint.
        row: facts about one row of the entry's run, as JSON values.
    """
    facts: dict[str, Any] = {"schema": SCHEMA, "entry": _in_base64(entry.content)}
    if row is not None:
        facts["row"] = row
    extra = json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    path = merkle.inclusion(leaves, entry.seq)
    lines = [HEAD, f"extra {_in_base64(extra)}", f"index {entry.seq}", *map(_in_base64, path)]
    return "".join(f"{line}\n" for line in lines) + f"\n{note}"


def consistency_of(leaves: Sequence[bytes], first: int) -> list[str]:
    """Return the hashes, in base64, that connect the tree of `first` leaves to that of all."""
    return [_in_base64(hash_) for hash_ in merkle.consistency(leaves, first)]


def _in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
