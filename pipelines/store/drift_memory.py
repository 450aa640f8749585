"""What checks remember of earlier runs: kept in the runs' entries, read back by the next run.

The entry of a run with a reference has `memory`: what each check left, the digests of the reference
it applies to, and number and digest of the previous entry with a memory. So a dataset's runs form a
chain within the ledger's chain: reading it costs one read per run, however many entries lie in
between, and no run can be edited, left out or swapped unnoticed.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipelines.store import trust
from pipelines.store.store import Store
from provenance.ledger.entry import Entry
from provenance.ledger.refusals import broken

RUNS = 120  # nightly runs a check gets; older ones no longer move a bounded sum
LINKS = 400  # entries followed to find them, since runs under other references lie in between
Histories = Mapping[str, tuple[Mapping[str, Any], ...]]


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """The past of a dataset in the ledger: its entries with a memory, newest first."""

    entries: tuple[Entry, ...] = ()

    @staticmethod
    def of(store: Store, dataset: str) -> "Memory":
        """Read the newest runs of a dataset.

        Raises:
            AssayError: ASSAY-L001, L003 to L007 if one of their entries is not intact.
        """
        return Memory(tuple(_chain(store, dataset)))

    def histories(
        self, references: list[dict[str, str]], inputs: list[dict[str, Any]]
    ) -> Histories:
        """Return what each check left in each earlier run, oldest first.

        Only runs under the same reference count. The same source counts once, however often it was
        run; run again, it is judged against the runs before its first one.
        """
        current, reference = _digests(inputs), list(_digests(references))
        earlier: dict[tuple[str, ...], Entry] = {}
        for entry in reversed(self.entries):
            source = _digests(entry.facts["inputs"])
            if reference != entry.facts["memory"]["reference"] or source in earlier:
                continue
            if source == current:
                break
            earlier[source] = entry
        found: dict[str, tuple[Mapping[str, Any], ...]] = {}
        for entry in list(earlier.values())[-RUNS:]:
            for check, kept in entry.facts["memory"]["checks"].items():
                memory = {**kept, "run": entry.seq, "time": entry.facts["time"]}
                found[check] = (*found.get(check, ()), memory)
        return found

    def facts(
        self, references: list[dict[str, str]], checks: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return what the next entry of the dataset keeps, linked to the previous one."""
        last = self.entries[0] if self.entries else None
        link = {"entry": last.seq, "leaf": last.leaf.hex()} if last else None
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
    """Return the entry if it matches its digest and the link to it."""
    store.ledger.require_unedited(entry)
    if entry.leaf.hex() != leaf:
        what = f"entry {entry.seq} has the digest {entry.leaf.hex()}, a later entry links to {leaf}"
        raise broken("L005", what, store.ledger.path_of(entry.seq))
    return entry


def _digests(files: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(str(item["sha256"]) for item in files)
