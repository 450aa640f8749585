"""Compaction: many small entry files become one segment, without a moment in which one is missing.

    write the segment -> read it back and compare -> record it by an entry -> remove the singles
Writers append meanwhile; readers find each entry in one place or the other. What a compaction that
died has left is finished or removed by the next one. Removal comes after the fsync of everything
that replaces it.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

from provenance.base import atomic
from provenance.base.errors import AssayError
from provenance.ledger import entry, segments
from provenance.ledger.key_rotation import SCHEMA
from provenance.ledger.ledger import Ledger, broken
from provenance.ledger.segments import Segment
from provenance.ledger.signing import Signer

FEWEST = 2  # entries that are worth a segment


@dataclasses.dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did: the segment's name and entries, or None and 0."""

    name: str | None
    entries: int
    removed: int


def compact(ledger: Ledger, signer: Signer, time: str) -> Compacted:
    """Put all entries that have a file of their own into one segment and record it.

    Raises:
        AssayError: E001 to E003 if it cannot be written; L001 to L008 if the entries do not hold,
            then nothing is removed.
    """
    with atomic.coded(ledger.folder), atomic.exclusive(ledger.folder / "compact.lock"):
        removed = _finish(ledger)
        numbers = sorted(ledger.singles())
        if len(numbers) < FEWEST:
            return Compacted(None, 0, removed)
        made = _written(ledger, numbers)
        _record(ledger, signer, made, time)
        return Compacted(made.path.name, len(numbers), removed + _remove(ledger, made))


def recorded(ledger: Ledger) -> dict[str, tuple[int, Mapping[str, Any]]]:
    """Return what the ledger says of its segments: by file name, the entry's number and facts."""
    found = {}
    for item in ledger.entries():
        if item.kind == "compact":
            [file] = item.facts["outputs"]
            found[str(file["name"])] = (item.seq, file)
    return found


def _written(ledger: Ledger, numbers: list[int]) -> Segment:
    """Write the segment, read it back, and compare it with the single entries."""
    first, last = numbers[0], numbers[-1]
    if numbers != list(range(first, last + 1)):
        missing = next(n for n, seq in enumerate(numbers, first) if n != seq)
        raise broken("L001", f"entry {missing} is missing", ledger.path_of(missing))
    singles = [ledger.read(seq) for seq in numbers]
    folder = ledger.segments_folder
    folder.mkdir(exist_ok=True)
    path = folder / segments.name_of(first, last)
    content = entry.to_parquet(singles, compression="zstd")
    atomic.write_exclusive(path, content, ledger.folder / "tmp")
    made = Segment(first, last, path)
    if made.read() != singles:
        raise broken("L004", f"entries {first} to {last} are not what was written", path)
    return made


def _record(ledger: Ledger, signer: Signer, made: Segment, time: str) -> None:
    content = made.path.read_bytes()
    facts = {
        "schema": SCHEMA,
        "kind": "compact",
        "time": time,
        "first": made.first,
        "last": made.last,
        "outputs": [
            {
                "name": made.path.name,
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        ],
    }
    try:
        ledger.append(signer, {}, lambda _: facts)
    except BaseException:
        if made.path.name not in recorded(ledger):
            made.path.unlink(missing_ok=True)
        raise


def _finish(ledger: Ledger) -> int:
    """Remove what a compaction that died left: its segment, or the files that it replaces."""
    known = recorded(ledger)
    removed = 0
    for segment in segments.found_in(ledger.segments_folder):
        if segment.path.name in known:
            removed += _remove(ledger, segment)
        elif ledger.singles().issuperset(segment.numbers):
            segment.path.unlink()
    return removed


def _remove(ledger: Ledger, segment: Segment) -> int:
    """Remove the single files of a segment's entries, if the segment holds them unaltered."""
    doubled = sorted(ledger.singles().intersection(segment.numbers))
    if not doubled:
        return 0
    held = {item.seq: item for item in segment.read()}
    for seq in doubled:
        if (single := ledger.read(seq)) != held[seq]:
            what = f"entry {seq} exists twice: {single.leaf.hex()} and {held[seq].leaf.hex()}"
            raise AssayError("L008", what, where=str(ledger.path_of(seq)))
    for seq in doubled:
        ledger.path_of(seq).unlink()
    atomic.sync_tree(ledger.entries_folder)
    return len(doubled)
