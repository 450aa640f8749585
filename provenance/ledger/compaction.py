"""Compaction: merges many small entry files into one segment; no entry is ever unavailable.

    write the segment -> read it back and compare -> record it in an entry -> remove the singles
Writers can append meanwhile, and readers find each entry in one place or the other. The next
compaction finishes or removes what one that died has left. Files are removed only after everything
that replaces them has been synced.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from provenance.base import atomic
from provenance.base.errors import Notice
from provenance.ledger import entry, segments
from provenance.ledger.entry import Entry
from provenance.ledger.key_rotation import SCHEMA
from provenance.ledger.ledger import Ledger
from provenance.ledger.refusals import broken, refuse
from provenance.ledger.segments import Segment
from provenance.ledger.signing import Signer

FEWEST = 2  # entries that justify a segment


@dataclasses.dataclass(frozen=True, slots=True)
class Compacted:
    """The result of a compaction: the segment's name and its number of entries, or None and 0."""

    name: str | None
    entries: int
    removed: int


def compact(ledger: Ledger, signer: Signer, time: str) -> Compacted:
    """Merge all entries that have their own file into one segment and record it.

    Raises:
        AssayError: E001 to E003 if it cannot be written; L001 to L008 if the entries do not hold,
            in which case nothing is removed.
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
    """Return the ledger's records of its segments: by file name, the entry's number and facts."""
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
        what = f"the segment of entries {first} to {last} differs from what was written"
        raise broken("L004", what, path)
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
    """Clean up after a compaction that died: remove its segment, or the files that it replaces."""
    known = recorded(ledger)
    removed = 0
    for segment in segments.found_in(ledger.segments_folder):
        if segment.path.name in known:
            removed += _remove(ledger, segment)
        elif ledger.singles().issuperset(segment.numbers):
            segment.path.unlink()
    return removed


def _remove(ledger: Ledger, segment: Segment) -> int:
    """Remove the single files of a segment's entries, if the segment contains them unaltered."""
    doubled = ledger.singles().intersection(segment.numbers)
    if not doubled:
        return 0
    refuse(forks(ledger, segment.read(), doubled))
    for seq in doubled:
        ledger.path_of(seq).unlink()
    atomic.sync_tree(ledger.entries_folder)
    return len(doubled)


def forks(ledger: Ledger, held: list[Entry], doubled: set[int]) -> Iterator[Notice]:
    """Yield a break for each of the doubled entries that a segment and its own file disagree on.

    Args:
        ledger: with the single files.
        held: the segment's entries.
        doubled: numbers of the entries that exist in both places.
    """
    in_segment = {item.seq: item for item in held}
    for seq in sorted(doubled):
        if (single := ledger.read(seq)) != (other := in_segment[seq]):
            what = f"entry {seq} exists twice: {single.leaf.hex()} and {other.leaf.hex()}"
            yield Notice("ASSAY-L008", what, str(ledger.path_of(seq)))
