"""What a run, its reviews and the runs before it show about the rules of a contract.

Only rows with a decision, and rules that were the same, count. Files are read after their digests
were compared with the ledger's.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.contract_model import Contract, Rule
from pipelines.store import decisions, rebuild, row_history
from pipelines.store.row_history import CONTRACT
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger.entry import Entry
from provenance.ledger.run_reader import RunReader
from provenance.rows import cast
from provenance.rows.snapshot import Source

MOST_RUNS = 50  # that are considered
NEEDED = (CONTRACT, "findings/", "clean/", "quarantine/", "lineage/")
OF_GAPS = ("nullValues", "missingValues")  # kinds of rules that missing cells violate


@dataclasses.dataclass(frozen=True)
class Reviewed:
    """A run that read a source, and the decisions on its rows.

    Attributes:
        text: of the contract.
        broken: rows that violated each rule, by (id, column).
        released, rejected: rows that a person released or rejected.
    """

    entry: Entry
    files: RunReader
    contract: Contract
    text: str
    broken: dict[tuple[str, str | None], set[int]]
    released: frozenset[int]
    rejected: frozenset[int]

    def values(self, column: str, rows: Collection[int]) -> dict[int, Any]:
        """Return the cells of some rows in the contract's types; None for a missing one."""
        wanted = pa.array(sorted(rows), pa.int64())
        spec = self.contract.column(column).spec
        found: dict[int, Any] = {}
        for cells, ordinals in self._parts(column):
            mask = pc.is_in(pa.array(ordinals), wanted)
            chosen = cells.filter(mask)
            if pa.types.is_dictionary(chosen.type):
                chosen = chosen.dictionary_decode()
            if pa.types.is_string(chosen.type):
                chosen = cast.cast(chosen, spec)[0]
            found |= dict(zip(pa.array(ordinals).filter(mask).to_pylist(), chosen.to_pylist(),
                              strict=True))  # fmt: skip
        return found

    def kept(self, rule: Rule) -> int:
        """Return the number of clean rows that support a rule: all, or those with a value."""
        if rule.kind in OF_GAPS or rule.column is None:
            return int(self.entry.facts["rows"]["clean"])
        columns = (part[rule.column] for part in self.files.tables("clean", [rule.column]))
        return sum(len(column) - column.null_count for column in columns)

    def _parts(self, column: str) -> Iterator[tuple[pa.Array, np.ndarray]]:
        for table in self.files.tables("quarantine", [column, "_row"]):
            yield table[column].combine_chunks(), table["_row"].to_numpy()
        sources = tuple(Source(**item) for item in self.entry.facts["inputs"])
        lineages = rebuild.Lineages(self.files)
        for name in self.files.names("clean"):
            ordinals, _ = rebuild.clean_rows(lineages.of(name), sources)
            yield self.files.table(name, [column])[column].combine_chunks(), ordinals


def reviewed(store: Store, entry: Entry) -> Reviewed:
    """Return a run with its decisions; for a release, the run that it was made from.

    Raises:
        AssayError: ASSAY-L011 if a file of it is missing, not as recorded or not listed; C014 if
            its rules were not evaluated.
    """
    base = store.ledger.read(row_history.base_of(entry))
    files = store.reader(base)
    files.require(*NEEDED)
    if base.facts["checks"].get("contract") != "ok":
        what = f"the contract's rules were not evaluated on run {base.seq}"
        raise AssayError("C014", what, fix="choose a run in which every check ran")
    contract, text = row_history.contract_of(files), files.read(CONTRACT).decode()
    found = pa.concat_tables(files.tables("findings"))
    history = decisions.History.of(store, base.facts["dataset"])
    applied = decisions.applied(store, base)
    standing = decisions.judged(history, applied, base, files, contract, found).standing
    released, rejected = (
        frozenset(row for row, item in standing.items() if item.last.decision == word)
        for word in ("release", "reject")
    )
    return Reviewed(base, files, contract, text, _broken(files), released, rejected)


def past(store: Store, newest: Reviewed) -> list[Reviewed]:
    """Return the runs of the same dataset up to this one, newest first, if their files exist.

    Of the runs that read the same source, only the newest counts.
    """
    seen: Counter[str] = Counter()
    found: list[Reviewed] = []
    for entry in reversed(store.runs()):
        facts = entry.facts
        is_ours = entry.kind == "run" and facts["dataset"] == newest.entry.facts["dataset"]
        if not is_ours or entry.seq > newest.entry.seq or not _is_kept(store, entry):
            continue
        inputs = [item["sha256"] for item in facts["inputs"]]
        if not any(seen[sha256] for sha256 in inputs):
            is_newest = entry.seq == newest.entry.seq
            found.append(newest if is_newest else reviewed(store, entry))
        seen.update(inputs)
        if len(found) == MOST_RUNS:
            break
    return found


def unbroken(rule: Rule, runs: Sequence[Reviewed]) -> list[Reviewed]:
    """Return the runs that had a rule, at any severity; none if one violated it."""
    had = [run for run in runs if any(_is_same(rule, own) for own in run.contract.rules)]
    is_broken = any(run.broken.get((rule.id, rule.column)) for run in had)
    return [] if is_broken else had


def _is_kept(store: Store, entry: Entry) -> bool:
    """Return whether a run's rules were evaluated and its files were not removed since."""
    folder = store.run_folder(entry.seq)
    is_kept = (folder / "clean").is_dir() and (folder / CONTRACT).is_file()
    return is_kept and entry.facts["checks"].get("contract") == "ok"


def _broken(files: RunReader) -> dict[tuple[str, str | None], set[int]]:
    found: dict[tuple[str, str | None], set[int]] = {}
    for table in files.tables("findings", ["row", "check", "rule", "column"]):
        ours = pc.and_(pc.equal(table["check"], "contract"), pc.is_valid(table["row"]))
        for item in table.filter(ours).to_pylist():
            found.setdefault((item["rule"], item["column"]), set()).add(item["row"])
    return found


def _is_same(rule: Rule, other: Rule) -> bool:
    names = ("id", "kind", "column", "params")
    return all(getattr(rule, name) == getattr(other, name) for name in names)
