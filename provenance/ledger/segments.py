"""Segments: many entries in one Parquet file, which an entry of kind `compact` records.

    STORE/ledger/segments/000000000000-000000009999.parquet
Entries are immutable, so a segment is written, read back, compared and recorded before the single
files go: at any moment each entry can be read from one place or both.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provenance.base import no_follow
from provenance.base.errors import AssayError, Notice
from provenance.base.no_follow import IrregularError
from provenance.ledger import entry, run_files
from provenance.ledger.entry import Entry

DIGITS = 12
LARGEST = 1 << 30  # bytes of a segment that is read: some millions of entries
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
            with no_follow.nested(self.path.parent) as folder:
                content = no_follow.read(self.path.name, at=folder, most=LARGEST)
            found, _ = entry.parse_all(content, len(self.numbers))
        except FileNotFoundError as error:
            raise AssayError("L001", f"{told} is missing", where=str(self.path)) from error
        except IrregularError as error:
            raise AssayError("L003", f"{told} is {error.kind}", where=str(self.path)) from error
        except OSError as error:
            why = f"cannot be read ({os.strerror(error.errno or 0)})"
            raise AssayError("L003", f"{told} {why}", where=str(self.path)) from error
        except ValueError as error:
            raise AssayError("L003", f"{told} {error}", where=str(self.path)) from error
        if [item.seq for item in found] != list(self.numbers):
            raise AssayError("L005", f"{told} holds other numbers", where=str(self.path))
        return found


def name_of(first: int, last: int) -> str:
    """Return the name of a segment's file."""
    return f"{first:0{DIGITS}}-{last:0{DIGITS}}.parquet"


def found_in(folder: Path) -> list[Segment]:
    """Return the segments there are, in order.

    Raises:
        AssayError: ASSAY-L003 for one that is no regular file or too short, L006 for what is none,
            L013 if the folder is a symlink.
    """
    try:
        with no_follow.nested(folder) as descriptor:
            names = os.listdir(descriptor)  # noqa: PTH208  by descriptor
            return sorted(_of(folder / name, descriptor) for name in names)
    except FileNotFoundError:
        return []
    except IrregularError as error:
        what = f"{error.filename} is {error.kind}"
        raise AssayError("L013", what, where=str(folder)) from error


def faults(
    folder: Path, present: list[Segment], recorded: Mapping[str, tuple[int, Any]], singles: set[int]
) -> tuple[list[Notice], list[Notice]]:
    """Compare the segments there are with what the ledger records of them.

    Args:
        folder: of the segments.
        present: the segments there were when the walk began.
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
        fault = run_files.fault_of(segment.path.parent, seq, facts, what="compaction")
        breaks += [fault] if fault else []
        if not singles.isdisjoint(segment.numbers):
            warnings.append(
                Notice("ASSAY-L009", "a compaction died before its end, or is at work", where)
            )
    # of those that were not there at first: one that came meanwhile is no break
    for name in recorded.keys() - {segment.path.name for segment in present}:
        seq, facts = recorded[name]
        fault = run_files.fault_of(folder, seq, facts, what="compaction")
        breaks += [fault] if fault else []
    return breaks, warnings


def _of(path: Path, folder: int) -> Segment:
    match = _NAME.fullmatch(path.name)
    if not match or int(match[1]) > int(match[2]):
        raise AssayError("L006", f"a file that is no segment: {path.name}", where=str(path))
    found = Segment(int(match[1]), int(match[2]), path)
    stat = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    kind = no_follow.kind_of(stat.st_mode)
    why = "" if kind == no_follow.REGULAR else f"is {kind}"
    if not why and len(found.numbers) * _LEAST > stat.st_size:
        why = "is too short to hold them"  # a name alone must not cost memory
    if why:
        what = f"the segment of entries {found.first} to {found.last} {why}"
        raise AssayError("L003", what, where=str(path))
    return found
