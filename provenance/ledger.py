"""The ledger: an append-only chain of entries, one Parquet file each, named by number alone.

    STORE/ledger/entries/000000000007.parquet
An append takes the lock, reads the head, lets the caller put the run's folder in place under the
number it will get, and links the entry exclusively. No entry, no run.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from provenance import atomic, entry
from provenance.entry import Entry
from provenance.errors import AssayError
from provenance.sign import Signer

DIGITS = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger below a store's folder; nothing is read or written until asked."""

    folder: Path

    @property
    def entries_folder(self) -> Path:
        """Return the folder of the entry files."""
        return self.folder / "entries"

    def path_of(self, seq: int) -> Path:
        """Return the file of an entry."""
        return self.entries_folder / f"{seq:0{DIGITS}}.parquet"

    def numbers(self) -> list[int]:
        """Return the numbers of the entries there are, in order; L006 for a stray file."""
        if not self.entries_folder.is_dir():
            return []
        return sorted(_number_of(path) for path in self.entries_folder.iterdir())

    def read(self, seq: int) -> Entry:
        """Return one entry; L001 if it is missing, L003 if it cannot be read."""
        path = self.path_of(seq)
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise broken("L001", f"entry {seq} is missing", path) from error
        try:
            return entry.parse(content)
        except ValueError as error:
            raise broken("L003", f"entry {seq} {error}", path) from error

    def entries(self) -> Iterator[Entry]:
        """Yield every entry in order."""
        for seq in self.numbers():
            yield self.read(seq)

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

    def _link(self, seq: int, prev: bytes, facts: Mapping[str, Any], signer: Signer) -> Entry:
        made = entry.make(seq, prev, facts, signer)
        atomic.write_exclusive(self.path_of(seq), made.to_parquet(), self.folder / "tmp")
        return made

    def _checked_head(self, signer: Signer) -> Entry | None:
        numbers = self.numbers()
        if not numbers:
            return None
        end = numbers[-1]
        if end != len(numbers) - 1:
            missing = next(n for n, seq in enumerate(numbers) if n != seq)
            raise broken("L001", f"entry {missing} is missing", self.path_of(missing))
        head = self.read(end)
        if head.seq != end:
            raise broken("L005", f"entry {end} holds the number {head.seq}", self.path_of(end))
        if edit := edit_of(head, end):
            raise broken("L004", edit, self.path_of(end))
        if not head.is_signed_by(signer.verifier):
            what = f"entry {head.seq} is signed by key {head.key_id.hex()}, not by yours"
            raise broken("L007", f"{what} ({signer.verifier.key_id.hex()})", self.path_of(head.seq))
        return head


def edit_of(item: Entry, number: int) -> str | None:
    """Return what to say of an entry that is not what its digest covers, None if it is."""
    if (leaf := item.expected_leaf()) == item.leaf:
        return None
    return f"entry {number} was edited: digest {leaf.hex()}, recorded {item.leaf.hex()}"


def broken(code: str, what: str, path: Path) -> AssayError:
    """Return the error of a ledger that does not hold."""
    fix = {"L007": "set ASSAY_SIGNING_KEY to the key of this store"}.get(
        code, "restore the file from a copy of the store; `assay verify` shows all that is wrong"
    )
    return AssayError(code, what, where=str(path), fix=fix)


def _number_of(path: Path) -> int:
    stem = path.stem
    # int() alone would take signs and underscores, and so one number under two names
    if path.suffix == ".parquet" and len(stem) == DIGITS and stem.isascii() and stem.isdigit():
        return int(stem)
    raise broken("L006", f"a file that is no entry: {path.name}", path)
