"""The ledger: an append-only chain of entries, one Parquet file each, named by number alone.

    STORE/ledger/entries/000000000007.parquet     until a compaction moves it into segments/
An append takes the lock, reads the head, lets the caller put the run's folder in place under the
number it will get, and links the entry exclusively. No entry, no run.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from provenance.base import atomic, no_follow
from provenance.base.errors import AssayError
from provenance.base.no_follow import IrregularError
from provenance.ledger import entry, key_rotation, segments
from provenance.ledger.entry import Entry
from provenance.ledger.segments import DIGITS
from provenance.ledger.signing import Signer

LARGEST = 64 << 20  # bytes of an entry's own file: half a million files of a run


@dataclasses.dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger below a store's folder; nothing is read or written until asked."""

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
        """Return the file of an entry of its own; a compacted entry has none any more."""
        return self.entries_folder / f"{seq:0{DIGITS}}.parquet"

    def singles(self) -> set[int]:
        """Return the numbers of the entries that have a file of their own.

        Raises:
            AssayError: ASSAY-L006 for a name that no entry has, L013 if the folder is a symlink.
        """
        folder = self.entries_folder
        try:
            return {_number_of(folder / name) for name in no_follow.names(folder)}
        except IrregularError as error:
            raise broken("L013", f"{error.filename} is {error.kind}", folder) from error

    def numbers(self) -> list[int]:
        """Return the numbers of the entries there are, in order; L006 for a stray file."""
        # singles first: a compaction that goes on meanwhile removes them only after its segment is
        found = self.singles()
        for segment in segments.found_in(self.segments_folder):
            found.update(segment.numbers)
        return sorted(found)

    def read(self, seq: int) -> Entry:
        """Return one entry; L001 if it is missing, L003 if it cannot be read."""
        return self._read(seq, {})

    def unedited(self, seq: int) -> Entry:
        """Return one entry that its own digest covers: as `read`, and L004 if it was edited."""
        return self.require_unedited(self.read(seq))

    def require_unedited(self, item: Entry) -> Entry:
        """Return the entry; L004 if its own digest does not cover it. No key is asked."""
        if edit := edit_of(item, item.seq):
            raise broken("L004", edit, self.path_of(item.seq))
        return item

    def reader(self) -> Callable[[int], Entry]:
        """Return what reads entries by number and keeps the segment it had to open for one."""
        loaded: dict[int, Entry | AssayError] = {}
        return lambda seq: self._read(seq, loaded)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry in order, each the next of the one before.

        Raises:
            AssayError: ASSAY-L001 for one that is missing, L003 if it cannot be read, L004 if it
                was edited, L005 if it is another one. No key is asked; `verify` does.
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
        """Yield every number in order with its entry, or with why that cannot be read."""
        loaded: dict[int, Entry | AssayError] = {}
        for seq in self.numbers():
            try:
                yield seq, self._read(seq, loaded)
            except AssayError as error:
                yield seq, error

    def is_there(self, seq: int) -> bool:
        """Return whether there is an entry of that number, in whichever place."""
        if no_follow.is_there(self.path_of(seq)):
            return True
        return any(seq in segment.numbers for segment in segments.found_in(self.segments_folder))

    def head(self) -> Entry | None:
        """Return the last entry, None when there is none."""
        numbers = self.numbers()
        return self.read(numbers[-1]) if numbers else None

    def append(
        self,
        signer: Signer,
        first: Mapping[str, Any],
        prepare: Callable[[int], Mapping[str, Any]],
    ) -> Entry:
        """Append an entry; `prepare(seq)` puts its files in place and returns its facts.

        An empty ledger gets `first`, the entry that names the key, before it.

        Raises:
            AssayError: E001, E002, E003 if it cannot be written; E004 if another process holds it
                for too long; L007 if the ledger is another key's; L001, L003 to L006 if its end
                does not hold.
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
        """Read an entry; a segment that has to be opened for it is put into `loaded` whole."""
        path = self.path_of(seq)
        if seq not in loaded:
            try:
                with no_follow.nested(self.entries_folder) as folder:
                    content = no_follow.read(path.name, at=folder, most=LARGEST)
                return entry.parse(content)
            except ValueError as error:
                raise broken("L003", f"entry {seq} {error}", path) from error
            except IrregularError as error:
                raise broken("L003", f"entry {seq} is {error.kind}", path) from error
            except FileNotFoundError as error:
                self._load(seq, loaded)
                if seq not in loaded:
                    raise broken("L001", f"entry {seq} is missing", path) from error
            except OSError as error:
                why = os.strerror(error.errno or 0)
                raise broken("L003", f"entry {seq} cannot be read ({why})", path) from error
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
            what = (
                f"entry {seq} would be larger than {LARGEST >> 20} MiB, for it has too many files"
            )
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
            raise broken("L005", f"entry {end} holds the number {head.seq}", path)
        if edit := edit_of(head, end):
            raise broken("L004", edit, path)
        key_id = key_rotation.key_after(head)
        own = signer.verifier
        if key_id != own.key_id:
            what = f"the ledger is key {key_id.hex()}'s, not yours ({own.key_id.hex()})"
            raise broken("L007", what, path)
        if head.key_id == own.key_id and not head.is_signed_by(own):
            raise broken("L007", f"entry {end} is not signed by the key it names", path)
        return head


def edit_of(item: Entry, number: int) -> str | None:
    """Return what to say of an entry that is not what its digest covers, None if it is."""
    if (leaf := item.expected_leaf()) == item.leaf:
        return None
    return f"entry {number} was edited: digest {leaf.hex()}, recorded {item.leaf.hex()}"


def broken(code: str, what: str, path: Path) -> AssayError:
    """Return the error of a ledger that does not hold."""
    fix = {
        "L006": "",  # as the code's page has it: a stray file is not to be restored
        "L007": "set ASSAY_SIGNING_KEY to the key of this store, or `assay ledger rotate`",
        "L013": "",
    }.get(code, "restore the file from a copy of the store; `assay verify` shows all that is wrong")
    return AssayError(code, what, where=str(path), fix=fix)


def _number_of(path: Path) -> int:
    stem = path.stem
    # int() alone would take signs and underscores, and so one number under two names
    if path.suffix == ".parquet" and len(stem) == DIGITS and stem.isascii() and stem.isdigit():
        return int(stem)
    raise broken("L006", f"a file that is no entry: {path.name}", path)
