"""What checks remember of earlier nights: kept in the entries of runs, read back on the next one.

The entry of a run with a reference has `memory`: what each check left, the digests of the
reference it holds for, and number and digest of the entry with the memory before it. So the nights
of a dataset are a chain within the ledger's chain: reading them costs as much as there are nights,
however many entries there are, and none of them can be edited, left out or swapped unseen.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.store import trust
from pipelines.store.store import Store
from provenance.ledger.entry import Entry
from provenance.ledger.refusals import broken

NIGHTS = 120  # that a check gets; what is older no longer moves a sum that is bounded
LINKS = 400  # that are followed to find them: nights under other references lie between
Histories = Mapping[str, tuple[Mapping[str, Any], ...]]


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """The past of a dataset, as the ledger tells it: its entries with a memory, newest first."""

    entries: tuple[Entry, ...] = ()

    @staticmethod
    def of(store: Store, dataset: str) -> "Memory":
        """Read the newest nights of a dataset.

        Raises:
            AssayError: ASSAY-L001, L003 to L007 if what the ledger remembers does not hold.
        """
        return Memory(tuple(_chain(store, dataset)))

    def histories(
        self, references: list[dict[str, str]], inputs: list[dict[str, Any]]
    ) -> Histories:
        """Return what each check left on each night before this one, oldest first.

        Only of nights under the same reference. The same source is one night, however often it
        was run; run again, it is judged against the nights that came before it the first time.
        """
        tonight, anchor = _digests(inputs), _digests(references)
        nights: list[Entry] = []
        seen: set[tuple[str, ...]] = set()
        for entry in reversed(self.entries):
            night = _digests(entry.facts["inputs"])
            if list(anchor) != entry.facts["memory"]["reference"] or night in seen:
                continue
            if night == tonight:
                break
            seen.add(night)
            nights.append(entry)
        found: dict[str, tuple[Mapping[str, Any], ...]] = {}
        for entry in nights[-NIGHTS:]:
            for check, kept in entry.facts["memory"]["checks"].items():
                told = {**kept, "run": entry.seq, "time": entry.facts["time"]}
                found[check] = (*found.get(check, ()), told)
        return found

    def facts(
        self, references: list[dict[str, str]], checks: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return what the next entry of the dataset keeps, linked to the one before."""
        before = self.entries[0] if self.entries else None
        link = {"entry": before.seq, "leaf": before.leaf.hex()} if before else None
        return {"reference": list(_digests(references)), "before": link, "checks": dict(checks)}


def _chain(store: Store, dataset: str) -> Iterator[Entry]:
    read = store.ledger.reader()
    newest = _newest(store, dataset, read)
    if newest is None:
        return
    yield trust.vouched(store, newest)
    link = newest.facts["memory"]["before"]
    for _ in range(LINKS):
        if link is None:
            return
        entry = _linked(read(int(link["entry"])), str(link["leaf"]), store)
        yield entry
        link = entry.facts["memory"]["before"]


def _newest(store: Store, dataset: str, read: Callable[[int], Entry]) -> Entry | None:
    for number in reversed(store.ledger.numbers()):
        entry = read(number)
        facts = trust.facts_of(store, entry)
        if facts.get("dataset") == dataset and "memory" in facts:
            return entry
    return None


def _linked(entry: Entry, leaf: str, store: Store) -> Entry:
    """Return the entry if it is what its digest, and the link to it, say."""
    path: Path = store.ledger.path_of(entry.seq)
    store.ledger.require_unedited(entry)
    if entry.leaf.hex() != leaf:
        what = f"entry {entry.seq} is {entry.leaf.hex()}, a later one follows {leaf}"
        raise broken("L005", what, path)
    return entry


def _digests(files: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(str(item["sha256"]) for item in files)
