"""Verifies a ledger: follows the chain, checks each signature, compares segments and checkpoints.

It reports every break, not only the first, and does not trust the store itself: the public key
comes from the caller.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from provenance.base.errors import AssayError, Notice
from provenance.ledger import checkpoint as note
from provenance.ledger import entry, merkle, segments
from provenance.ledger.checkpoint import Checkpoint
from provenance.ledger.compaction import forks
from provenance.ledger.entry import Entry
from provenance.ledger.key_rotation import Keychain
from provenance.ledger.ledger import Ledger, edit_of
from provenance.ledger.refusals import notice_of
from provenance.ledger.segments import Segment
from provenance.ledger.signing import Verifier

CLOCK_SECONDS = 300  # maximum difference between two clocks that write to one ledger


@dataclasses.dataclass(frozen=True, slots=True)
class Verified:
    """The result of a walk along the chain, which holds if `breaks` is empty.

    Attributes:
        entries: number of entries that could be read.
        head: digest of the last one, 32 bytes.
        breaks: everything that does not hold.
        warnings: leftovers of processes that died, and wrong clocks.
        keys: the ledger's keys in order.
        leaves: digest of each entry that could be read, in order.
        kinds: by number, the kind of each entry that matches its digest.
    """

    entries: int
    head: bytes
    breaks: tuple[Notice, ...]
    warnings: tuple[Notice, ...] = ()
    keys: tuple[Verifier, ...] = ()
    leaves: tuple[bytes, ...] = ()
    kinds: Mapping[int, str] = dataclasses.field(default_factory=dict)


def verify_ledger(ledger: Ledger, trusted: Verifier) -> Verified:
    """Check all entries: numbered from 0, chained, unaltered, signed by the ledger's key.

    `trusted` must be one of the ledger's keys (key_rotation.py explains why any of them suffices).
    The time depends on the number of entries, not on how they are numbered: a gap is one break.
    """
    walk = _Walk(ledger)
    try:
        walk.begin()
        for seq, item in ledger.walk():
            walk.take(seq, item)
        walk.end(trusted)
    except AssayError as error:
        walk.breaks.append(notice_of(error))
    breaks = tuple(dict.fromkeys(walk.breaks))  # an unreadable segment is one break, not one each
    leaves, head = tuple(walk.leaves), walk.prev
    keys, warnings = tuple(walk.chain.keys), tuple(walk.warnings)
    return Verified(len(leaves), head, breaks, warnings, keys, leaves, walk.kinds)


class _Walk:
    """The state of a walk along the chain."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.breaks: list[Notice] = []
        self.warnings: list[Notice] = []
        self.leaves: list[bytes] = []
        self.kinds: dict[int, str] = {}
        self.chain = Keychain()
        self.prev = entry.GENESIS
        self.expected = 0
        self.time = ""
        self.segments: dict[str, tuple[int, Any]] = {}
        self.singles: set[int] = set()
        self.present: list[Segment] = []

    def begin(self) -> None:
        """List the files, in an order in which a concurrent compaction causes no break."""
        self.singles = self.ledger.singles()
        self.present = segments.found_in(self.ledger.segments_folder)

    def take(self, seq: int, item: Entry | AssayError) -> None:
        """Check the next entry against what came before it."""
        if seq > self.expected:
            self.breaks.append(_gap(self.expected, seq - 1, self.ledger))
        self.expected = seq + 1
        if isinstance(item, AssayError):
            self.breaks.append(notice_of(item))
            return
        where = str(self.ledger.path_of(seq))
        self.breaks += _faults(item, seq, self.prev, where)
        self.breaks += self.chain.faults(item, seq, where)
        self.prev = item.leaf
        self.leaves.append(item.leaf)
        if item.expected_leaf() == item.leaf:
            self._heed(item, where)

    def end(self, trusted: Verifier) -> None:
        """Check what only the whole chain can show."""
        if self.leaves and trusted not in self.chain.keys:
            ids = ", ".join(key.key_id.hex() for key in self.chain.keys) or "none"
            what = f"the trusted key {trusted.key_id.hex()} is not one of the ledger's keys ({ids})"
            self.breaks.append(Notice("ASSAY-L007", what, str(self.ledger.path_of(0))))
        folder = self.ledger.segments_folder
        breaks, warnings = segments.faults(folder, self.present, self.segments, self.singles)
        self.breaks += breaks
        self.warnings += warnings
        for segment in self.present:
            if doubled := self.singles.intersection(segment.numbers):
                try:
                    held = segment.read()
                except AssayError as error:
                    if error.code != "ASSAY-L001":  # a concurrent compaction may have removed it
                        self.breaks.append(notice_of(error))
                else:
                    self.breaks += forks(self.ledger, held, doubled)

    def _heed(self, item: Entry, where: str) -> None:
        facts = item.facts
        self.kinds[item.seq] = facts["kind"]
        if facts["kind"] == "compact":
            [file] = facts["outputs"]
            self.segments[str(file["name"])] = (item.seq, file)
        time = str(facts.get("time", ""))
        if self.time and time and _seconds(self.time, time) < -CLOCK_SECONDS:
            what = f"entry {item.seq} is dated {time}, but the entry before it {self.time}"
            self.warnings.append(Notice("ASSAY-L010", what, where))
        self.time = time or self.time


def verify_checkpoint(walked: Verified, checkpoint: Checkpoint, where: str) -> list[Notice]:
    """Compare a ledger with a checkpoint that was kept elsewhere and whose signature was checked.

    The ledger may have grown since; its first entries must be those of the checkpoint.
    """
    origin = note.origin_of(walked.leaves[0]) if walked.leaves else ""
    size, present = checkpoint.size, len(walked.leaves)
    if origin and checkpoint.origin != origin:
        what = f"the checkpoint belongs to ledger {checkpoint.origin}, but this is {origin}"
        return [Notice("ASSAY-L008", what, where)]
    if size > present:
        what = f"the checkpoint has {size} entries, but the ledger only {present}: its end was cut"
        return [Notice("ASSAY-L002", f"{what} off", where)]
    root = merkle.Tree(walked.leaves[:size]).root()
    if root != checkpoint.root:
        what = f"the root of the first {size} entries is {root.hex()}, but in the checkpoint it is"
        return [Notice("ASSAY-L008", f"{what} {checkpoint.root.hex()}", where)]
    return []


def _faults(item: Entry, expected: int, prev: bytes, where: str) -> Iterator[Notice]:
    seq = item.seq
    if seq != expected:
        yield Notice("ASSAY-L005", f"entry {expected} has the number {seq}", where)
    if item.prev != prev:
        what = f"entry {expected} follows {item.prev.hex()}, but the entry before is {prev.hex()}"
        yield Notice("ASSAY-L005", what, where)
    if edit := edit_of(item, expected):
        yield Notice("ASSAY-L004", edit, where)


def _seconds(before: str, after: str) -> float:
    try:
        return (
            dt.datetime.fromisoformat(after) - dt.datetime.fromisoformat(before)
        ).total_seconds()
    except (TypeError, ValueError):
        return 0.0


def _gap(first: int, last: int, ledger: Ledger) -> Notice:
    many = f"entries {first} to {last} are missing"
    what = f"entry {first} is missing" if first == last else many
    return Notice("ASSAY-L001", what, str(ledger.path_of(first)))
