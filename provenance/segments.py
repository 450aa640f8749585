"""Segments: many entries in one Parquet file, which an entry of kind `compact` records.

    STORE/ledger/segments/000000000000-000000009999.parquet
Entries are immutable, so a segment is written, read back, compared and recorded before the single
files go: at any moment each entry can be read from one place or both.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provenance import digest, entry
from provenance.entry import Entry
from provenance.errors import AssayError, Notice

DIGITS = 12
_LEAST = 96  # bytes of an entry that nothing can compress: its signature and its digest
_NAME = re.compile(rf"([0-9]{{{DIGITS}}})-([0-9]{{{DIGITS}}})\.parquet", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Segment:
    """The file of the entries `first` to `last`."""

    first: int
    last: int
    path: Path

    @property
    def numbers(self) -> range:
        """Return the numbers of its entries."""
        return range(self.first, self.last + 1)

    def read(self) -> list[Entry]:
        """Return its entries in order; L001 if the file is gone, L003 if it cannot be read."""
        told = f"the segment of entries {self.first} to {self.last}"
        try:
            found, _ = entry.parse_all(self.path.read_bytes(), len(self.numbers))
        except FileNotFoundError as error:
            raise AssayError("L001", f"{told} is missing", where=str(self.path)) from error
        except ValueError as error:
            raise AssayError("L003", f"{told} {error}", where=str(self.path)) from error
        if [item.seq for item in found] != list(self.numbers):
            raise AssayError("L005", f"{told} holds other numbers", where=str(self.path))
        return found


def name_of(first: int, last: int) -> str:
    """Return the name of a segment's file."""
    return f"{first:0{DIGITS}}-{last:0{DIGITS}}.parquet"


def found_in(folder: Path) -> list[Segment]:
    """Return the segments there are, in order; L006 for a file that is none."""
    if not folder.is_dir():
        return []
    return sorted(_of(path) for path in folder.iterdir())


def faults(
    present: list[Segment], recorded: Mapping[str, tuple[int, Any]], singles: set[int]
) -> tuple[list[Notice], list[Notice]]:
    """Compare the segments there are with what the ledger records of them.

    Args:
        present: the segments there are.
        recorded: by file name, the entry that records it and what that says of it.
        singles: numbers of the entries that have a file of their own.

    Returns:
        Breaks, and warnings of what a compaction that died has left behind.
    """
    breaks, warnings = [], []
    for segment in present:
        where = str(segment.path)
        if segment.path.name not in recorded:
            if singles.issuperset(segment.numbers):
                warnings.append(
                    Notice("ASSAY-L009", "a compaction died here, or is at work", where)
                )
            else:
                breaks.append(Notice("ASSAY-L006", "no entry records this segment", where))
            continue
        seq, facts = recorded[segment.path.name]
        if (actual := digest.of_file(segment.path)) != facts["sha256"]:
            what = f"the segment of entries {segment.first} to {segment.last}: sha256 is {actual}"
            breaks.append(
                Notice("ASSAY-L011", f"{what}, entry {seq} records {facts['sha256']}", where)
            )
        if not singles.isdisjoint(segment.numbers):
            warnings.append(
                Notice("ASSAY-L009", "a compaction died before its end, or is at work", where)
            )
    return breaks, warnings


def _of(path: Path) -> Segment:
    match = _NAME.fullmatch(path.name)
    if not match or int(match[1]) > int(match[2]):
        raise AssayError("L006", f"a file that is no segment: {path.name}", where=str(path))
    found = Segment(int(match[1]), int(match[2]), path)
    if len(found.numbers) * _LEAST > path.stat().st_size:  # a name alone must not cost memory
        what = f"the segment of entries {found.first} to {found.last} is too short to hold them"
        raise AssayError("L003", what, where=str(path))
    return found
