"""Verification: walk the chain, check each signature, recompute the digests of a run's files.

Every break is found, not only the first; nothing is believed because the store says so: the
public key comes from the caller.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from provenance import digest, entry
from provenance.entry import Entry
from provenance.errors import AssayError, Notice
from provenance.ledger import Ledger, edit_of
from provenance.sign import Verifier


@dataclasses.dataclass(frozen=True, slots=True)
class Verified:
    """What a walk found; the chain holds when `breaks` is empty."""

    entries: int
    head: bytes
    breaks: tuple[Notice, ...]


def verify_ledger(ledger: Ledger, trusted: Verifier) -> Verified:
    """Walk all entries: dense numbers from 0, chained, unaltered, signed by `trusted`.

    Takes as long as there are entries, whatever their numbers: a gap is one break.
    """
    breaks: list[Notice] = []
    prev, count, expected = entry.GENESIS, 0, 0
    try:
        numbers = ledger.numbers()
    except AssayError as error:
        return Verified(0, prev, (_notice(error),))
    for seq in numbers:
        if seq > expected:
            breaks.append(_gap(expected, seq - 1, ledger))
        expected = seq + 1
        try:
            item = ledger.read(seq)
        except AssayError as error:
            breaks.append(_notice(error))
            continue
        breaks += _faults(item, seq, prev, trusted, str(ledger.path_of(seq)))
        prev, count = item.leaf, count + 1
    return Verified(count, prev, tuple(breaks))


def verify_files(folder: Path, item: Entry) -> list[Notice]:
    """Compare every file of a run with the digest that its entry records, both ways."""
    recorded = {file["name"]: file for file in item.facts["outputs"]}
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    found = [_missing(name, item.seq, folder) for name in sorted(recorded.keys() - present)]
    found += [
        Notice("ASSAY-L011", f"run {item.seq}: {name} is not a file of the run", str(folder / name))
        for name in sorted(present - recorded.keys())
    ]
    for name in sorted(recorded.keys() & present):
        actual = digest.of_file(folder / name)
        if actual != recorded[name]["sha256"]:
            what = (
                f"run {item.seq}: sha256 of {name} is {actual}, recorded {recorded[name]['sha256']}"
            )
            found.append(Notice("ASSAY-L011", what, str(folder / name)))
    return found


def _faults(
    item: Entry, expected: int, prev: bytes, trusted: Verifier, where: str
) -> Iterator[Notice]:
    seq = item.seq
    if seq != expected:
        yield Notice("ASSAY-L005", f"entry {expected} holds the number {seq}", where)
    if item.prev != prev:
        what = f"entry {expected} follows {item.prev.hex()}, the entry before is {prev.hex()}"
        yield Notice("ASSAY-L005", what, where)
    if edit := edit_of(item, expected):
        yield Notice("ASSAY-L004", edit, where)
    if not item.is_signed_by(trusted):
        what = f"entry {expected}: signature is not by the trusted key {trusted.key_id.hex()}"
        yield Notice("ASSAY-L007", f"{what} (it names {item.key_id.hex()})", where)


def _gap(first: int, last: int, ledger: Ledger) -> Notice:
    many = f"entries {first} to {last} are missing"
    what = f"entry {first} is missing" if first == last else many
    return Notice("ASSAY-L001", what, str(ledger.path_of(first)))


def _missing(name: str, seq: int, folder: Path) -> Notice:
    return Notice("ASSAY-L011", f"run {seq}: {name} is missing", str(folder / name))


def _notice(error: AssayError) -> Notice:
    return Notice(error.code, error.what, error.where)
