"""What decisions of persons do to the rows of a run: their fates, their cells, and the verdict.

A run applies the decisions that are in force for its rows, whichever run they were made on; a
release applies those that came since as well. A row whose decision lapsed is asked anew.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, registry, verdict
from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from pipelines.run import fates
from pipelines.run.fates import Sorting
from pipelines.store import decisions, opinions
from pipelines.store.decisions import History, Judged
from pipelines.store.opinions import Needed, Standing, Weighed
from provenance.ledger.lineage import RowIds
from provenance.rows import cast, digest
from provenance.rows.nested import is_text
from provenance.rows.shards import ROW, read_shard, read_table
from provenance.rows.snapshot import Snapshot

CHECK, RULE = "review", "ASSAY-K026"
_ONE_LAPSED = "one person's decision about this row counts no more; the contract now asks for two"


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """The decisions on the rows of a run.

    Attributes:
        standing: in force, by row.
        asked: findings on the rows whose earlier decision is not in force, or was on other content.
        upto: number of the last review that was read, 0 if there is none.
        until: ISO time from which one of them has expired; empty if none ever does.
    """

    standing: Mapping[int, Standing] = dataclasses.field(default_factory=dict)
    asked: Findings = dataclasses.field(default_factory=findings.empty)
    upto: int = 0
    until: str = ""

    def rows(self, *words: str) -> np.ndarray:
        """Return the rows whose last decision is one of these: int64, ascending."""
        found = [row for row, item in self.standing.items() if item.last.decision in words]
        return np.array(sorted(found), np.int64)

    def open_findings(self, found: Findings) -> Findings:
        """Return the findings on the dataset, and on rows that nobody has decided about."""
        settled = pc.is_in(found["row"], pa.array(list(self.standing), pa.int64()))
        return found.filter(pc.or_(pc.is_null(found["row"]), pc.invert(settled)))

    def quarantined(self, found: Findings) -> np.ndarray:
        """Return the rows that findings send to quarantine and no decision takes out of it."""
        decided = self.rows(*opinions.KEEPS, "reject")
        return np.setdiff1d(verdict.quarantined_rows(found), decided)

    def sorting(self, contract: Contract, found: Findings, name: fates.Name) -> Sorting:
        """Return where each row goes; `name` turns digests into the ids that are published."""
        entries = {row: item.last.entry for row, item in self.standing.items()}
        change = _Changes(contract, self.standing, found)
        held, refused = self.quarantined(found), self.rows("reject")
        return Sorting(found, held, refused, change, name, entries)

    def facts(self) -> dict[str, Any]:
        """Return what an entry records of them: counts, the entries, and how long that holds."""
        if not self.upto:
            return {}
        return {
            "reviews": sorted({item.last.entry for item in self.standing.values()}),
            "decided": {
                "rows": len(self.standing),
                "asked": len(pc.unique(self.asked["row"])),
                "rejected": len(self.rows("reject")),
                "upto": self.upto,
                **({"until": self.until} if self.until else {}),
            },
        }


def on_rows(history: History, snapshot: Snapshot, contract: Contract, found: Findings) -> Decided:
    """Return the decisions on the rows of a source that is being examined.

    Args:
        history: all decisions on the dataset.
        snapshot: of the source.
        contract: says how long decisions are valid, and what the key is.
        found: all findings.
    """
    if not history.every:
        return Decided(upto=history.upto)
    ids = fates.ids_of(snapshot, contract)
    located = decisions.locate(pieces(snapshot, ids), history.ids())
    judged = history.judge(located, contract, found, None)
    changed = _changed(history, snapshot, contract, found, ids)
    asked = findings.concat([_lapsed(judged), _pending(judged, found), changed])
    return Decided(judged.standing, asked, history.upto, judged.until(contract))


def pieces(snapshot: Snapshot, ids: RowIds) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the ids and ordinals of all rows of a source."""
    for ref in snapshot.shards:
        shard = read_shard(ref, [])
        yield ids.keyed(shard.digests), shard.rows
    for path, name in ((snapshot.held, ROW), (snapshot.rejected, "_row")):
        if path:
            table = read_table(path)
            rows = table[name].to_numpy()
            cells = table.drop_columns([ROW]) if name == ROW else table.select(["_raw"])
            yield ids.keyed(digest.of_rows(cells)), rows


def _lapsed(judged: Judged) -> Findings:
    """Return findings on rows whose decision is not in force any more.

    Nothing is said of an opinion that was never in force and that nobody else may know of. What one
    person decided before the contract asked for two reads the same whatever it was.
    """
    rows, says, severities = [], [], []
    for row, (decision, why) in sorted(judged.lapsed.items()):
        if row in judged.alone and decision.needed.is_blind:
            continue
        told = f"entry {decision.entry} decided about this row ({decision.decision}); {why}"
        # what a decision changed would come back unseen where nothing accuses the row
        is_severe = row in judged.alone or decision.decision in opinions.ALTERS
        rows.append(row)
        says.append(_ONE_LAPSED if row in judged.alone else told)
        severities.append("warning" if is_severe else "info")
    return _asked(rows, says, severities)


def _pending(judged: Judged, found: Findings) -> Findings:
    """Return findings on rows whose decisions wait for another person.

    What a person saw to be wrong is held, though nothing accuses it now. Nothing is said of one
    opinion that nobody else may know of.
    """
    accused = set(verdict.quarantined_rows(found).tolist())
    rows, says, severities = [], [], []
    for row, weighed in sorted(judged.pending.items()):
        if text := _waits(weighed):
            is_wrong = any(each.decision in opinions.ALTERS for each in weighed.opinions)
            is_held = row in accused or row in judged.standing
            rows.append(row)
            says.append(text)
            severities.append("error" if is_wrong and not is_held else "info")
    return _asked(rows, says, severities)


def _waits(weighed: Weighed) -> str:
    """Return what decisions wait for, empty if that is nobody else's business."""
    numbers = dict.fromkeys(each.entry for each in weighed.opinions)
    entries = " and ".join(f"entry {number}" for number in numbers)
    if weighed.state == "approval":
        word = weighed.opinions[-1].decision
        return f"{entries} decided about this row ({word}); that waits for a second person"
    if weighed.state == "disagreement":
        return f"reviewers disagree about this row ({entries}); another one must decide"
    if all(each.needed.is_blind for each in weighed.opinions):
        return ""
    return "one person decided about this row; the contract now asks for two who decide the same"


def _changed(
    history: History, snapshot: Snapshot, contract: Contract, found: Findings, ids: RowIds
) -> Findings:
    """Return findings on accused rows whose key was decided about when its content was another."""
    keyed = history.by_key(Needed.of(contract.policy))
    names = [c.name for c in contract.columns if c.key]
    accused = verdict.quarantined_rows(found)
    if not keyed or not names or not len(accused):
        return findings.empty()
    rows, says = [], []
    for ref in snapshot.shards:
        shard = read_shard(ref, names)
        mask = np.isin(shard.rows, accused)
        if not mask.any():
            continue
        keys = key_ids(shard.table.filter(pa.array(mask)), names, ids)
        own = ids.keyed(shard.digests[mask])
        for row, key, content in zip(shard.rows[mask].tolist(), keys, own, strict=True):
            earlier = keyed.get(key.tobytes())
            if earlier and earlier.identity[0] != content.tobytes():
                rows.append(row)
                says.append(
                    f"entry {earlier.entry} decided about an earlier version of this row "
                    f"({earlier.decision}); the row has changed since"
                )
    return _asked(rows, says, ["info"] * len(rows))


def key_ids(table: pa.Table, names: list[str], ids: RowIds) -> np.ndarray:
    """Return the ids of the rows' primary keys: uint8, shape (n, 32)."""
    plain = digest.of_rows(table.select(names))
    return ids.keyed(plain)


def _asked(rows: list[int], says: list[str], severities: list[str]) -> Findings:
    advice = "compare the earlier decision (`assay explain RUN ROW`), and decide again"
    return findings.make(
        rows,
        check=CHECK,
        rule=RULE,
        severity=severities,
        score=0.0,
        evidence=says,
        suggestion=advice,
    )


@dataclasses.dataclass(frozen=True)
class _Changes:
    """What decisions change in clean rows: labels and other cells, and texts to redact."""

    contract: Contract
    standing: Mapping[int, Standing]
    found: Findings

    def __call__(self, table: pa.Table, rows: np.ndarray) -> pa.Table:
        table = self._corrected(table, rows)
        return self._redacted(table, rows)

    @functools.cached_property
    def _new(self) -> dict[str, dict[int, str]]:
        """Return the new texts of cells by column and row."""
        new: dict[str, dict[int, str]] = {}
        for row, item in self.standing.items():
            for column, text in item.changes.items():
                new.setdefault(column, {})[row] = text
        return dict(sorted(new.items()))

    @functools.cached_property
    def _redacting(self) -> np.ndarray:
        """Return the rows to redact."""
        rows = [row for row, item in self.standing.items() if item.last.decision == "redact"]
        return np.array(rows, np.int64)

    def _corrected(self, table: pa.Table, rows: np.ndarray) -> pa.Table:
        for column, texts in self._new.items():
            mask = np.isin(rows, np.fromiter(texts, np.int64))
            if mask.any() and column in table.column_names:
                cells = pa.array([texts[int(row)] for row in rows[mask]], pa.string())
                values, _ = cast.cast(cells, self.contract.column(column).spec)
                table = _replace(table, column, mask, values)
        return table

    def _redacted(self, table: pa.Table, rows: np.ndarray) -> pa.Table:
        # the contract's own replacements first: a pseudonym needs no redaction
        table = fates.protected(table, self.contract)
        mask = np.isin(rows, self._redacting)
        if not mask.any():
            return table
        # whatever accuses them in this run: a person saw personal data in these rows
        for column in sorted(field.name for field in table.schema if _may_hold_text(field.type)):
            cells = table[column].combine_chunks().filter(pa.array(mask))
            texts = registry.redact(cells, column, self.contract)
            table = _replace(table, column, mask, texts)
        return table


def _may_hold_text(kind: pa.DataType) -> bool:
    return is_text(kind) or bool(pa.types.is_nested(kind))


def _replace(table: pa.Table, column: str, mask: np.ndarray, values: pa.Array) -> pa.Table:
    whole = table[column].combine_chunks()
    # Arrow's replace_with_mask does not know nested types
    places = np.arange(len(whole))
    places[mask] = len(whole) + np.arange(len(values))
    changed = pa.concat_arrays([whole, values.cast(whole.type)]).take(pa.array(places))
    return table.set_column(table.column_names.index(column), table.schema.field(column), changed)
