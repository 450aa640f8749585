"""What persons decided about the rows of a dataset: it stays decided in every later run.

A decision belongs to the dataset, to the content of its row and to what accused the row then. A
row's content is its `row_id` in the lineage. Of rows with the same content, the first decision is
for the first of them in the order of the source, and so on. A decision is in force in another run
unless it has expired, or something accuses the row that did not when it was made; a rejected row
stays rejected whatever accuses it. How many people it takes is in `opinions`.
"""

import dataclasses
import datetime as dt
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from pipelines.clock import now
from pipelines.store import corrections, opinions, trust, weighing
from pipelines.store.agreement import Pairs
from pipelines.store.opinions import ID, ONE, Decision, Identity, Needed, Standing, Weighed
from pipelines.store.review_entries import is_review, recorded_in
from pipelines.store.store import Store
from provenance.ledger import lineage
from provenance.ledger.entry import Entry
from provenance.ledger.run_reader import RunReader
from provenance.rows.shards import DIGEST_BYTES, packed, unpacked
from provenance.rows.snapshot import Source

_EXPIRED = "that decision has expired"


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """The decisions on the rows of one run.

    Attributes:
        standing: in force, by row.
        lapsed: no longer in force, by row, with the reason as the end of a sentence.
        pending: not in force before somebody else has decided, by row.
        alone: rows that two people decide about, and that fewer ever did; nobody else is told what
            one decided.
    """

    standing: Mapping[int, Standing]
    lapsed: Mapping[int, tuple[Decision, str]]
    pending: Mapping[int, Weighed] = dataclasses.field(default_factory=dict)
    alone: frozenset[int] = frozenset()

    def until(self, contract: Contract) -> str:
        """Return the time at which the first of those in force expires; empty if none ever does."""
        days = contract.policy.decisions_valid
        if not days or not self.standing:
            return ""
        return _moved(min(item.since or item.last.time for item in self.standing.values()), days)


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """All decisions on a dataset.

    Attributes:
        stacks: those not withdrawn, by the row's identity, oldest first.
        every: all of them by row, withdrawn or not, oldest first.
        upto: number of the last review, 0 if there is none.
        end: number of the last entry that was read, whatever it records; -1 if there is none.
        pairs: what two people said of a row before either saw the other's decision.
        single: rows that two people decide about, and on which fewer than two people's decisions
            count in the run that was judged last, since others lapsed.
    """

    stacks: dict[Identity, list[Decision]]
    every: dict[Identity, list[Decision]]
    upto: int
    end: int = -1
    pairs: Pairs = dataclasses.field(default_factory=Pairs)
    single: set[Identity] = dataclasses.field(default_factory=set)

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

    def extend(self, made: Iterable[Decision]) -> list[Decision]:
        """Add later decisions in place, oldest first, and return them as they count.

        `upto` and `end` stay.
        """
        every = []
        for decision in made:
            stack = self.stacks.setdefault(decision.identity, [])
            if decision.needed is not ONE and decision.needed.is_blind:
                self.pairs.add(stack, decision)
            counted = opinions.take(stack, decision)
            self.every.setdefault(decision.identity, []).append(counted)
            every.append(counted)
            if not stack:
                del self.stacks[decision.identity]
        return every

    def ids(self) -> pa.Array:
        """Return the ids of the rows that were ever decided about, each once."""
        return pa.array(sorted({row_id for row_id, _ in self.every}), ID)

    def agreed(self, needed: Needed, lapse: weighing.Lapse = weighing.never) -> "History":
        """Return the history of what counts already: not what waits for another person.

        Where two people decide, a row's stack is what they agree on: all changes in place, as one
        of them made them. `lapse` says what no longer counts, as for `weighing.weigh`.
        """
        stacks = {}
        for at, stack in self.stacks.items():
            if standing := weighing.weigh(stack, needed, lapse).standing:
                is_plain = needed is ONE and all(each.needed is ONE for each in stack)
                stacks[at] = stack if is_plain else weighing.makes_up(standing, stack)
        return dataclasses.replace(self, stacks=stacks)

    def shown(self, identity: Identity, name: str, needed: Needed) -> list[Decision]:
        """Return the decisions on a row that a person may see, oldest first.

        Where two people decide about a row, each sees their own decisions only until those of two
        people count: what lapsed in the run that was judged last, or was withdrawn, does not.
        """
        every = self.every.get(identity, [])
        if not every or not (needed.is_blind or every[-1].needed.is_blind):
            return every
        stack = self.stacks.get(identity, [])
        if identity not in self.single and opinions.are_two(stack):
            return every
        return [each for each in every if each.is_of(name)]

    def by_key(self, needed: Needed) -> dict[bytes, Decision]:
        """Return the last decision on each primary key that has one in force."""
        lasts = (stack[-1] for stack in self.agreed(needed).stacks.values())
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
        lapse = _Lapse(
            _oldest(contract), base, self._news(located, found, base), corrections.Allowed(contract)
        )
        needed = Needed.of(contract.policy)
        standing, lapsed, pending, alone = {}, {}, {}, []
        for row, identity in located.items():
            if stack := self.stacks.get(identity):
                weighed = weighing.weigh(stack, needed, functools.partial(lapse.why, row))
                if weighed.standing:
                    standing[row] = weighed.standing
                if weighed.state:
                    pending[row] = weighed
                elif weighed.lapsed:
                    lapsed[row] = stack[-1], weighed.lapsed
                if needed.is_blind or stack[-1].needed.is_blind:
                    self._note(identity, weighed)
                    if weighed.lapsed and not opinions.are_two(stack):
                        alone.append(row)
        return Judged(standing, lapsed, pending, frozenset(alone))

    def _news(
        self, located: Mapping[int, Identity], found: Findings, base: int | None
    ) -> Mapping[int, set[str]]:
        """Return what accuses those rows of a run that were decided about on other runs."""
        # what accused a row of this run was known to whoever decided about it here
        others = [
            row for row, identity in located.items()
            if (stack := self.stacks.get(identity))
            and (stack[-1].base != base or any(each.base != base for each in stack[:-1]))
        ]  # fmt: skip
        if not others:
            return {}
        mine = found.filter(pc.is_in(found["row"], pa.array(others, pa.int64())))
        return accusations(mine, ["error"])

    def _note(self, identity: Identity, weighed: Weighed) -> None:
        """Keep whether two people's decisions count on a row that two people decide about."""
        if weighed.standing or opinions.are_two(weighed.opinions):
            self.single.discard(identity)
        else:
            self.single.add(identity)


@dataclasses.dataclass(frozen=True, slots=True)
class _Lapse:
    """Says why decisions are not in force for the rows of a run.

    Attributes:
        oldest: ISO time before which decisions have expired.
        base: number of the run, None if it has none yet.
        accused: what accuses its rows.
        allowed: whether its contract allows changes.
    """

    oldest: str
    base: int | None
    accused: Mapping[int, set[str]]
    allowed: Callable[[Mapping[str, str]], bool]

    def why(self, row: int, last: Decision, changes: Mapping[str, str]) -> str:
        """Return why a decision on a row is not in force, empty if it is."""
        if last.time < self.oldest:
            return _EXPIRED
        if last.base == self.base:
            return ""
        if not self.allowed(changes):
            return "the contract does not allow its value any more"
        is_news = last.decision != "reject" and not self.accused.get(row, set()) <= last.accused
        return "something else accuses the row now" if is_news else ""


def expiry(contract: Contract) -> weighing.Lapse:
    """Return what says of decisions whether they have expired, and nothing else."""
    oldest = _oldest(contract)
    return lambda last, _: _EXPIRED if last.time < oldest else ""


def _oldest(contract: Contract) -> str:
    """Return the ISO time before which decisions have expired, empty if none ever does."""
    days = contract.policy.decisions_valid
    return _moved(now(), -days) if days else ""


def judged(
    history: History,
    applied: Mapping[int, Decision],
    base: Entry,
    files: RunReader,
    contract: Contract,
    found: Findings,
) -> Judged:
    """Return the decisions on the rows of a committed run, by row.

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
    made = history.judge(located, contract, found, base.seq)
    standing = {**kept(applied), **made.standing}
    return dataclasses.replace(made, standing=standing)


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
