"""What persons decided about the rows of a dataset: it stays decided in every later run.

A decision belongs to the dataset, to the content of its row and to what accused the row then. A
row's content is its `row_id` in the lineage. Of rows with the same content, the first decision is
for the first of them in the order of the source, and so on. A decision is in force in another run
unless it has expired, or something accuses the row that did not when it was made; a rejected row
stays rejected whatever accuses it.
"""

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from pipelines.clock import now
from pipelines.store import corrections, trust
from pipelines.store.store import Store
from provenance.ledger import lineage, run_files
from provenance.ledger.entry import Entry
from provenance.ledger.run_reader import RunReader
from provenance.rows.shards import DIGEST_BYTES, packed, unpacked
from provenance.rows.snapshot import Source

WORDS = ("release", "reject", "relabel", "correct", "redact", "undo", "forget")
CHANGES = ("relabel", "correct")
ALTERS = (*CHANGES, "redact", "reject")  # what the run's files hold of the row is no longer its own
KEEPS = ("release", "redact", *CHANGES)
ID = pa.binary(DIGEST_BYTES)
LARGE = 1 << 20  # bytes of a file of decisions from which threads are worth their start
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("decision", pa.string()),
        ("column", pa.string()),  # of `relabel` and `correct`
        ("value", pa.string()),
        ("reason", pa.string()),
        ("reviewer", pa.string()),
        ("row_id", ID),
        ("copy", pa.int64()),  # rows of the same content before this one
        ("key_id", ID),  # of the primary key's values; null if there is none
        ("accused", pa.list_(pa.string())),  # `accusations` at that time
    ]
)

Identity = tuple[bytes, int]  # a row's id, and how many rows of the same content come before it


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about one row of a run, and the ledger entry that records it."""

    row: int
    decision: str
    column: str | None
    value: str | None
    reason: str | None
    reviewer: str
    identity: Identity
    key_id: bytes | None
    accused: frozenset[str]
    base: int
    entry: int
    time: str

    @property
    def what(self) -> tuple[str, str | None, str | None]:
        """Return what two decisions must share to say the same."""
        return self.decision, self.column, self.value


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """The decisions in force for one row: the last one, and the changes that it leaves in place.

    Attributes:
        last: the decision that says what becomes of the row.
        changes: new texts of its cells by column.
    """

    last: Decision
    changes: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """The decisions on the rows of one run.

    Attributes:
        standing: in force, by row.
        lapsed: no longer in force, by row, with the reason as the end of a sentence.
    """

    standing: Mapping[int, Standing]
    lapsed: Mapping[int, tuple[Decision, str]]

    def until(self, contract: Contract) -> str:
        """Return the time at which the first of those in force expires; empty if none ever does."""
        days = contract.policy.decisions_valid
        if not days or not self.standing:
            return ""
        return _moved(min(item.last.time for item in self.standing.values()), days)


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """All decisions on a dataset.

    Attributes:
        stacks: those not withdrawn, by the row's identity, oldest first.
        every: all of them by row, withdrawn or not, oldest first.
        upto: number of the last review, 0 if there is none.
        end: number of the last entry that was read, whatever it records; -1 if there is none.
    """

    stacks: dict[Identity, list[Decision]]
    every: dict[Identity, list[Decision]]
    upto: int
    end: int = -1

    @classmethod
    def of(cls, store: Store, dataset: str, before: int | None = None) -> Self:
        """Read the reviews of a dataset, those before an entry.

        Raises:
            AssayError: ASSAY-L011 if a file does not match its record, L004 or L007 if an entry was
                edited.
        """
        made: list[Decision] = []
        upto, end = 0, -1
        vouched = trust.Vouching(store)
        for entry in store.ledger.entries():
            if before is not None and entry.seq >= before:
                break
            end = entry.seq
            if is_review(entry, dataset):
                upto = entry.seq
                made += recorded_in(store, entry, vouched)
        return cls.made_of(made, upto, end)

    @classmethod
    def made_of(cls, made: Iterable[Decision], upto: int, end: int = -1) -> Self:
        """Return the history of decisions, oldest first."""
        history = cls({}, {}, upto, end)
        history.extend(made)
        return history

    def extend(self, made: Iterable[Decision]) -> None:
        """Add later decisions in place, oldest first; `upto` and `end` stay."""
        for decision in made:
            self.every.setdefault(decision.identity, []).append(decision)
            _take(self.stacks, decision)

    def ids(self) -> pa.Array:
        """Return the ids of the rows that were ever decided about, each once."""
        return pa.array(sorted({row_id for row_id, _ in self.every}), ID)

    def by_key(self) -> dict[bytes, Decision]:
        """Return the last decision on each primary key that has any."""
        lasts = (stack[-1] for stack in self.stacks.values())
        keyed = [last for last in lasts if last.key_id is not None]
        ordered = sorted(keyed, key=lambda decision: decision.entry)
        return {decision.key_id: decision for decision in ordered if decision.key_id}

    def judge(
        self,
        located: Mapping[int, Identity],
        contract: Contract,
        found: Findings,
        base: int | None,
    ) -> Judged:
        """Return which decisions are in force for the rows of a run.

        Args:
            located: identities of the rows that were decided about, from `locate`.
            contract: of the run; says how long decisions are valid.
            found: all findings of the run.
            base: number of the run, None if it has none yet.
        """
        # what accused a row of this run was known to whoever decided about it here
        others = [
            row for row, identity in located.items()
            if identity in self.stacks and self.stacks[identity][-1].base != base
        ]  # fmt: skip
        accused: dict[int, set[str]] = {}
        if others:
            mine = found.filter(pc.is_in(found["row"], pa.array(others, pa.int64())))
            accused = accusations(mine, ["error"])
        days = contract.policy.decisions_valid
        oldest = _moved(now(), -days) if days else ""
        standing, lapsed = {}, {}
        allowed = corrections.Allowed(contract)
        for row, identity in located.items():
            if stack := self.stacks.get(identity):
                last, changes = stack[-1], _changes(stack)
                if last.time < oldest:
                    lapsed[row] = last, "that decision has expired"
                elif last.base != base and not allowed(changes):
                    lapsed[row] = last, "the contract does not allow its value any more"
                elif last.base != base and _is_news(last, accused.get(row, set())):
                    lapsed[row] = last, "something else accuses the row now"
                else:
                    standing[row] = Standing(last, changes)
        return Judged(standing, lapsed)


def in_force(
    history: History,
    applied: Mapping[int, Decision],
    base: Entry,
    files: RunReader,
    contract: Contract,
    found: Findings,
) -> dict[int, Standing]:
    """Return the decisions in force for the rows of a committed run, by row.

    What the run itself applied stays as it is in this run: withdrawing it counts from the next run
    on, since the run's files hold what became of the row.

    Args:
        history: all decisions on the dataset.
        applied: those that the run applied, from `applied`.
        base: its entry, not that of a release.
        files: its files.
        contract: of the run.
        found: all its findings.
    """
    located = locate(rows_of(files, base), history.ids())
    judged = history.judge(located, contract, found, base.seq)
    return {**kept(applied), **judged.standing}


def kept(applied: Mapping[int, Decision]) -> dict[int, Standing]:
    """Return decisions that a run applied, as they stay in it: it holds their changes already."""
    return {row: Standing(last, {}) for row, last in applied.items()}


def _moved(time: str, days: int) -> str:
    """Return an ISO time some days later, or earlier."""
    moved = dt.datetime.fromisoformat(time) + dt.timedelta(days=days)
    return moved.isoformat(timespec="seconds")


def concern(store: Store, entry: Entry, after: int) -> bool:
    """Return whether decisions recorded after an entry are about rows of a committed run."""
    history = History.of(store, entry.facts["dataset"])
    later = {at for at, made in history.every.items() if made[-1].entry > after}
    ids = pa.array(sorted({row_id for row_id, _ in later}), ID)
    tables = store.reader(entry).tables("lineage", ["row_id"])
    return any(pc.any(pc.is_in(table["row_id"], ids)).as_py() for table in tables)


def last_review(entries: Iterable[Entry], dataset: str) -> int:
    """Return the number of the last review of a dataset, 0 if there is none."""
    return max((entry.seq for entry in entries if is_review(entry, dataset)), default=0)


def is_review(entry: Entry, dataset: str) -> bool:
    """Return whether an entry records decisions on a dataset."""
    facts = entry.facts
    return bool(facts["kind"] == "review" and facts["dataset"] == dataset)


def _take(stacks: dict[Identity, list[Decision]], decision: Decision) -> None:
    """Apply one decision to those before it on the same row; a row without any has no stack."""
    stack = stacks.setdefault(decision.identity, [])
    if decision.decision == "undo":
        del stack[-1:]
    elif decision.decision == "forget":
        stack.clear()
    else:
        stack.append(decision)
    if not stack:
        del stacks[decision.identity]


def _is_news(last: Decision, accused: set[str]) -> bool:
    return last.decision != "reject" and not accused <= last.accused


def _changes(stack: list[Decision]) -> dict[str, str]:
    """Return the changes that are in place: those at the end of the stack, the last of a column."""
    changes: dict[str, str] = {}
    for decision in reversed(stack):
        if decision.decision not in CHANGES:
            break
        changes.setdefault(decision.column or "", decision.value or "")
    return changes


def accusations(found: Findings, severities: Iterable[str]) -> dict[int, set[str]]:
    """Return what accuses each row: rules, each with its column, of these severities."""
    rowed = pc.and_(pc.is_valid(found["row"]), pc.is_in(found["severity"], pa.array([*severities])))
    mine = found.filter(rowed)
    texts = pc.binary_join_element_wise(
        mine["rule"], pc.coalesce(mine["column"], ""), " ", null_handling="skip"
    )
    coded = texts.combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    made: dict[int, set[str]] = {}
    for row, number in zip(mine["row"].to_pylist(), coded.indices.to_pylist(), strict=True):
        made.setdefault(row, set()).add(names[number])
    return made


def locate(
    pieces: Iterable[tuple[np.ndarray, np.ndarray]], wanted: pa.Array
) -> dict[int, Identity]:
    """Return the identities of those rows whose ids are wanted.

    Args:
        pieces: ids, uint8 (n, 32) or wider, and ordinals, int64 (n,), of all rows of a run.
        wanted: ids.
    """
    if not len(wanted):
        return {}
    hits: list[tuple[int, bytes]] = []
    for ids, rows in pieces:
        texts = packed(np.ascontiguousarray(ids[:, :DIGEST_BYTES]))
        mask = pc.is_in(texts, wanted)
        hits += zip(rows[mask.to_numpy(zero_copy_only=False)].tolist(),
                    texts.filter(mask).to_pylist(), strict=True)  # fmt: skip
    seen: Counter[bytes] = Counter()
    located = {}
    for row, row_id in sorted(hits):
        located[row] = row_id, seen[row_id]
        seen[row_id] += 1
    return located


def rows_of(files: RunReader, entry: Entry) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield ids and ordinals of all rows of a committed run; L011 if a file does not match."""
    sources = [Source(**item) for item in entry.facts["inputs"]]
    copies = lineage.copies_of(sources).any()
    names = ["row_id", "source_sha256", "source_row", *([lineage.COPY.name] if copies else [])]
    for table in files.tables("lineage", names):
        yield unpacked(table["row_id"]), lineage.ordinals_in(table, sources)


def applied(store: Store, entry: Entry) -> dict[int, Decision]:
    """Return the decisions that a run or release applied, by row; L011 if a file is altered."""
    files = store.reader(entry)
    taken: dict[int, int] = {}
    sources = [Source(**item) for item in entry.facts["inputs"]]
    for table in files.tables("lineage"):
        if lineage.DECISION.name in table.column_names:
            mine = table.filter(pc.greater(table[lineage.DECISION.name], 0))
            rows = lineage.ordinals_in(mine, sources).tolist()
            taken |= zip(rows, mine[lineage.DECISION.name].to_pylist(), strict=True)
    if not taken:
        return {}
    history = History.of(store, entry.facts["dataset"], entry.seq)
    located = locate(rows_of(files, entry), history.ids())
    return {row: _of_entry(history.every[located[row]], seq) for row, seq in taken.items()}


def _of_entry(decisions: list[Decision], entry: int) -> Decision:
    """Return the last of a row's decisions that an entry records."""
    return [decision for decision in decisions if decision.entry == entry][-1]


def recorded_in(
    store: Store, entry: Entry, vouched: trust.Vouching | None = None
) -> Iterator[Decision]:
    """Yield the decisions of a review entry; errors as of `History.of`.

    Args:
        store: holds the review.
        entry: of the review.
        vouched: vouches for several entries, by default one of its own.
    """
    facts = (vouched or trust.Vouching(store))(entry).facts
    [recorded] = facts["outputs"]
    content = run_files.read(store.reviews, entry.seq, recorded, what="review")
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
    table = file.read(use_threads=len(content) > LARGE)
    if set(SCHEMA.names) - set(table.column_names):
        return  # of a version whose decisions were bound to one run; they are no longer in force
    columns = {name: table[name].to_pylist() for name in SCHEMA.names}
    identities = zip(columns.pop("row_id"), columns.pop("copy"), strict=True)
    known: dict[tuple[str, ...], frozenset[str]] = {}  # rows of a group share one
    sets = []
    for names in columns.pop("accused"):
        key = tuple(names or ())
        sets.append(known.setdefault(key, frozenset(key)))
    own = {"base": facts["base"], "entry": entry.seq, "time": facts["time"]}
    names_of = list(columns)
    for identity, accused, *cells in zip(identities, sets, *columns.values(), strict=True):
        parts = dict(zip(names_of, cells, strict=True))
        yield Decision(**parts, identity=identity, accused=accused, **own)
