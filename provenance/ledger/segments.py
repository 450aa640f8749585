"""Segments: many entries in one Parquet file, recorded by an entry of kind `compact`.

    STORE/ledger/segments/000000000000-000000009999.parquet
Entries are immutable. A segment is written, read back, compared and recorded before the single
files are removed, so at any moment each entry can be read from one place or both.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provenance.base import no_follow
from provenance.base.errors import Notice
from provenance.base.no_follow import IrregularError
from provenance.ledger import entry, run_files
from provenance.ledger.entry import Entry
from provenance.ledger.refusals import broken, readable

DIGITS = 12
LARGEST = 1 << 30  # bytes of a segment that is read: some millions of entries
_LEAST = 96  # bytes of an entry that cannot be compressed: its signature and its digest
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
        """Return its entries in order.

        Raises:
            AssayError: ASSAY-L001 if the file is missing, L003 if it cannot be read, L005 if it
                contains other entries.
        """
        subject = f"the segment of entries {self.first} to {self.last}"
        with readable(subject, self.path), no_follow.nested(self.path.parent) as folder:
            content = no_follow.read(self.path.name, at=folder, most=LARGEST)
            found, _ = entry.parse_all(content, len(self.numbers))
        if [item.seq for item in found] != list(self.numbers):
            raise broken("L005", f"{subject} contains other entries", self.path)
        return found


def name_of(first: int, last: int) -> str:
    """Return the name of a segment's file."""
    return f"{first:0{DIGITS}}-{last:0{DIGITS}}.parquet"


def found_in(folder: Path) -> list[Segment]:
    """Return the segments in a folder, in order.

    Raises:
        AssayError: ASSAY-L003 for a segment that is too short or not a regular file, L006 for a
            file that is not a segment, L013 if the folder is a symlink.
    """
    try:
        with no_follow.nested(folder) as descriptor:
            names = os.listdir(descriptor)  # noqa: PTH208  by descriptor
            return sorted(_of(folder / name, descriptor) for name in names)
    except FileNotFoundError:
        return []
    except IrregularError as error:
        raise broken("L013", f"{error.filename} is {error.kind}", folder) from error


def faults(
    folder: Path, present: list[Segment], recorded: Mapping[str, tuple[int, Any]], singles: set[int]
) -> tuple[list[Notice], list[Notice]]:
    """Compare the segments in a folder with the ledger's records of them.

    Args:
        folder: of the segments.
        present: the segments that existed when the walk began.
        recorded: by file name, the number of the entry that records it and the recorded facts.
        singles: numbers of the entries that have their own file.

    Returns:
        Breaks, and warnings about what a compaction that died has left behind.
    """
    breaks, warnings = [], []
    for segment in present:
        name, where = segment.path.name, str(segment.path)
        if name in recorded:
            message = "a compaction died before it finished, or is still running"
            if not singles.isdisjoint(segment.numbers):
                warnings.append(Notice("ASSAY-L009", message, where))
        elif singles.issuperset(segment.numbers):
            message = "a compaction died here, or is still running"
            warnings.append(Notice("ASSAY-L009", message, where))
        else:
            breaks.append(Notice("ASSAY-L006", "no entry records this segment", where))
    # recorded segments that were not present at first may have been written in the meantime
    for seq, facts in recorded.values():
        fault = run_files.fault_of(folder, seq, facts, what="compaction")
        breaks += [fault] if fault else []
    return breaks, warnings


def _of(path: Path, folder: int) -> Segment:
    match = _NAME.fullmatch(path.name)
    if not match or int(match[1]) > int(match[2]):
        raise broken("L006", f"this is not a segment: {path.name}", path)
    found = Segment(int(match[1]), int(match[2]), path)
    status = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    kind = no_follow.kind_of(status.st_mode)
    why = "" if kind == no_follow.REGULAR else f"is {kind}"
    if not why and len(found.numbers) * _LEAST > status.st_size:
        why = "is too short to contain them"  # a name alone must not reserve memory
    if why:
        raise broken("L003", f"the segment of entries {found.first} to {found.last} {why}", path)
    return found
