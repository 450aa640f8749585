"""The ledger: an append-only chain of entries, one Parquet file each, named by number only.

    STORE/ledger/entries/000000000007.parquet     until a compaction moves it into segments/
An append takes the lock, reads the head, lets the caller move the run's folder into place under
the entry's number, and then links the entry exclusively. Without an entry there is no run.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from provenance.base import atomic, no_follow
from provenance.base.errors import AssayError
from provenance.base.no_follow import IrregularError
from provenance.ledger import entry, key_rotation, segments
from provenance.ledger.entry import Entry
from provenance.ledger.refusals import broken, readable
from provenance.ledger.segments import DIGITS
from provenance.ledger.signing import Signer

_NAME = re.compile(rf"[0-9]{{{DIGITS}}}\.parquet", re.ASCII)
LARGEST = 64 << 20  # bytes of an entry's own file, enough for a run of half a million files


@dataclasses.dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger in a folder of a store; nothing is read or written until a method is called."""

    folder: Path

    @property
    def entries_folder(self) -> Path:
        """Return the folder of the entry files."""
        return self.folder / "entries"

    @property
    def segments_folder(self) -> Path:
        """Return the folder of the segments."""
        return self.folder / "segments"

    def path_of(self, seq: int) -> Path:
        """Return the path of an entry's own file, which a compacted entry no longer has."""
        return self.entries_folder / f"{seq:0{DIGITS}}.parquet"

    def singles(self) -> set[int]:
        """Return the numbers of the entries that have their own file.

        Raises:
            AssayError: ASSAY-L006 for a file that is not an entry, L013 if the folder is a symlink.
        """
        folder = self.entries_folder
        try:
            return {_number_of(name, folder) for name in no_follow.names(folder)}
        except IrregularError as error:
            raise broken("L013", f"{error.filename} is {error.kind}", folder) from error

    def numbers(self) -> list[int]:
        """Return the sorted numbers of all entries; L006 for a stray file."""
        # singles first: a concurrent compaction removes them only after it has written its segment
        found = self.singles()
        for segment in segments.found_in(self.segments_folder):
            found.update(segment.numbers)
        return sorted(found)

    def read(self, seq: int) -> Entry:
        """Return one entry; L001 if it is missing, L003 if it cannot be read."""
        return self._read(seq, {})

    def unedited(self, seq: int) -> Entry:
        """Return one entry after checking its own digest: as `read`, and L004 if it was edited."""
        return self.require_unedited(self.read(seq))

    def require_unedited(self, item: Entry) -> Entry:
        """Return the entry; L004 if its own digest does not match. No signature is checked."""
        if edit := edit_of(item, item.seq):
            raise broken("L004", edit, self.path_of(item.seq))
        return item

    def reader(self) -> Callable[[int], Entry]:
        """Return a function that reads entries by number and caches the segment last opened."""
        loaded: dict[int, Entry | AssayError] = {}
        return lambda seq: self._read(seq, loaded)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry in order, checking that each follows the one before.

        Raises:
            AssayError: ASSAY-L001 if one is missing, L003 if it cannot be read, L004 if it was
                edited, L005 if it is out of order. Signatures are checked by `verify` only.
        """
        prev = entry.GENESIS
        for expected, (seq, item) in enumerate(self.walk()):
            if seq != expected:
                what, path = f"entry {expected} is missing", self.path_of(expected)
                raise broken("L001", what, path)
            if isinstance(item, AssayError):
                raise item
            self.require_unedited(item)
            if item.seq != seq or item.prev != prev:
                what = f"entry {seq} does not follow the one before it"
                raise broken("L005", what, self.path_of(seq))
            prev = item.leaf
            yield item

    def walk(self) -> Iterator[tuple[int, Entry | AssayError]]:
        """Yield every number in order with its entry, or with the error that reading it raised."""
        loaded: dict[int, Entry | AssayError] = {}
        for seq in self.numbers():
            try:
                yield seq, self._read(seq, loaded)
            except AssayError as error:
                yield seq, error

    def is_there(self, seq: int) -> bool:
        """Return whether an entry with that number exists, on its own or in a segment."""
        if no_follow.is_there(self.path_of(seq)):
            return True
        return any(seq in segment.numbers for segment in segments.found_in(self.segments_folder))

    def head(self) -> Entry | None:
        """Return the last entry, None if there is none."""
        numbers = self.numbers()
        return self.read(numbers[-1]) if numbers else None

    def append(
        self,
        signer: Signer,
        first: Mapping[str, Any],
        prepare: Callable[[int], Mapping[str, Any]],
    ) -> Entry:
        """Append an entry; `prepare(seq)` moves its files into place and returns its facts.

        An empty ledger gets `first`, the entry that names the key, before it.

        Raises:
            AssayError: E001, E002, E003 if it cannot be written; E004 if another process holds the
                lock for too long; L007 if the ledger belongs to another key; L001, L003 to L006 if
                its end does not hold.
        """
        with atomic.coded(self.folder), atomic.exclusive(self.folder / "lock"):
            head = self._checked_head(signer) or self._link(0, entry.GENESIS, first, signer)
            seq = head.seq + 1
            return self._link(seq, head.leaf, prepare(seq), signer)

    def hand_over(self, old: Signer, new: Signer, time: str) -> Entry:
        """Append the entry after which only `new` may sign; errors as of `append`."""
        with atomic.coded(self.folder), atomic.exclusive(self.folder / "lock"):
            head = self._checked_head(old)
            if head is None:
                return self._link(0, entry.GENESIS, key_rotation.first_facts(new, time), new)
            facts = key_rotation.handover_facts(head, old, new, time)
            return self._link(head.seq + 1, head.leaf, facts, old)

    def _read(self, seq: int, loaded: dict[int, Entry | AssayError]) -> Entry:
        """Read an entry; a segment that must be opened for it goes into `loaded` completely."""
        path = self.path_of(seq)
        if seq not in loaded:
            try:
                with (
                    readable(f"entry {seq}", path),
                    no_follow.nested(self.entries_folder) as folder,
                ):
                    return entry.parse(no_follow.read(path.name, at=folder, most=LARGEST))
            except AssayError as error:
                if error.code != "ASSAY-L001":
                    raise
                self._load(seq, loaded)
                if seq not in loaded:
                    raise
        item = loaded[seq]
        if isinstance(item, AssayError):
            raise item
        return item

    def _load(self, seq: int, loaded: dict[int, Entry | AssayError]) -> None:
        for segment in segments.found_in(self.segments_folder):
            if seq in segment.numbers:
                loaded.clear()  # one segment at a time
                try:
                    loaded.update((item.seq, item) for item in segment.read())
                except AssayError as error:
                    loaded.update(dict.fromkeys(segment.numbers, error))

    def _link(self, seq: int, prev: bytes, facts: Mapping[str, Any], signer: Signer) -> Entry:
        made = entry.make(seq, prev, facts, signer)
        content = made.to_parquet()
        if len(content) > LARGEST:
            what = f"entry {seq} would exceed {LARGEST >> 20} MiB: the run has too many files"
            raise AssayError("E003", what, where=str(self.path_of(seq)), fix="split the source")
        atomic.write_exclusive(self.path_of(seq), content, self.folder / "tmp")
        return made

    def _checked_head(self, signer: Signer) -> Entry | None:
        numbers = self.numbers()
        if not numbers:
            return None
        end = numbers[-1]
        if end != len(numbers) - 1:
            missing = next(n for n, seq in enumerate(numbers) if n != seq)
            raise broken("L001", f"entry {missing} is missing", self.path_of(missing))
        head, path = self.read(end), self.path_of(end)
        if head.seq != end:
            raise broken("L005", f"entry {end} has the number {head.seq}", path)
        self.require_unedited(head)
        key_id = key_rotation.key_after(head)
        own = signer.verifier
        if key_id != own.key_id:
            what = f"the ledger belongs to key {key_id.hex()}, but yours is {own.key_id.hex()}"
            raise broken("L007", what, path)
        if head.key_id == own.key_id and not head.is_signed_by(own):
            raise broken("L007", f"entry {end} is not signed by the key it names", path)
        return head


def edit_of(item: Entry, number: int) -> str | None:
    """Return the message for an entry that does not match its own digest, None if it does."""
    if (leaf := item.expected_leaf()) == item.leaf:
        return None
    return f"entry {number} was edited: digest {leaf.hex()}, recorded {item.leaf.hex()}"


def _number_of(name: str, folder: Path) -> int:
    # int() alone would accept signs and underscores, so one number could have two names
    if _NAME.fullmatch(name):
        return int(name[:DIGITS])
    raise broken("L006", f"this is not an entry: {name}", folder / name)
