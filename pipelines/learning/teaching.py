"""What a run takes over from decisions: thresholds, which turn errors into warnings, no more.

Bounded, since a reviewer may err or wish ill: only checks whose scores order their rows can be made
milder, never those that search for personal data or poison, nor a contract's rules; only up to a
score that a person released; and only for a crowd that is not much larger than the reviewed one.
A row with any other error stays held. The entry records each cut and how many rows it changed.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from checks.kit.wording import count
from pipelines.learning import cuts
from pipelines.learning.cases import MADE_MILDER, Cases
from pipelines.learning.cuts import Cut
from pipelines.store.decisions import History
from provenance.base.errors import Notice

CODE = "ASSAY-K027"
MOST_TIMES = 5  # rows of a run that one cut may change, for each reviewed row below it


@dataclasses.dataclass(frozen=True, slots=True)
class Teaching:
    """What the decisions on a dataset teach its runs.

    Attributes:
        cuts: thresholds, by rule and column.
        upto: number of the last review that was read, 0 if there is none.
    """

    cuts: tuple[Cut, ...] = ()
    upto: int = 0

    def facts(self) -> list[dict[str, Any]]:
        """Return the cuts as an entry records them."""
        return [cut.as_dict() for cut in self.cuts]


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """Findings with the severities that policy and lessons give them.

    Attributes:
        changed: rows that each cut made milder; a cut that met too many rows has 0.
        notices: what to tell with the verdict.
    """

    found: Findings
    changed: tuple[int, ...] = ()
    notices: tuple[Notice, ...] = ()


def of(known: Cases, history: History, contract: Contract) -> Teaching:
    """Return what decisions teach the next run of a dataset; nothing if the contract learns not.

    A cut makes rows clean that nobody looked at, so none is learnt for a check of which the
    contract asks a second person to agree to each such row.

    Args:
        known: the reviewed rows of each graded rule and column, from `cases.of`.
        history: the decisions in force that they are from.
        contract: says whether to learn.
    """
    if not contract.policy.learn:
        return Teaching(upto=history.upto)
    named = contract.policy.second_person
    free = {key: each for key, each in known.items() if key[0].partition(".")[0] not in named}
    return Teaching(cuts.learnt(free), history.upto)


def apply(found: Findings, teaching: Teaching, contract: Contract) -> Applied:
    """Return findings of which those below a threshold are warnings.

    Args:
        found: all findings of a run.
        teaching: of the dataset.
        contract: whose `hold_from` comes first.
    """
    found = _held_from(found, contract.policy.hold_from)
    changed, notices = [], []
    for cut in teaching.cuts:
        mask = _below(found, cut.rule, cut.column or None, cut.excluded)
        mask &= _scores(found, lambda s, c=cut: s <= c.upto)
        rows, known = int(mask.sum()), cut.released + cut.wrong
        why = f"reviewers released {cut.released:,} of {known:,} rows like it"
        if rows > MOST_TIMES * known:
            notices.append(_crowd(cut, rows))
            rows = 0
        elif rows:
            found = _milder(found, mask, f"{MADE_MILDER}{why}; review it when time allows")
            notices.append(_told(cut, rows))
        changed.append(rows)
    return Applied(found, tuple(changed), tuple(notices))


def _told(cut: Cut, rows: int) -> Notice:
    what = (
        f"{count(rows, 'row')} of {cut.name} {'is a warning' if rows == 1 else 'are warnings'} "
        f"because reviewers released {cut.released:,} of {cut.released + cut.wrong:,} rows like "
        f"{'it' if rows == 1 else 'them'} (score up to {cut.upto:g})"
    )
    return Notice(CODE, what, cut.name)


def _crowd(cut: Cut, rows: int) -> Notice:
    what = (
        f"{count(rows, 'row')} of {cut.name} stay held although reviewers released "
        f"{cut.released:,} of {cut.released + cut.wrong:,} rows like them: so many more were never "
        "reviewed"
    )
    return Notice(CODE, what, cut.name)


def _held_from(found: Findings, thresholds: Mapping[str, float]) -> Findings:
    for name, least in sorted(thresholds.items()):
        rule, _, column = name.partition(" ")
        mask = _below(found, rule, column or None)
        mask &= _scores(found, lambda scores, least=least: scores < least)
        if mask.any():
            why = f"the contract holds {name} from a score of {least:g}"
            found = _milder(found, mask, f"a warning, since {why}; review it when time allows")
    return found


def _below(
    found: Findings, rule: str, column: str | None, excluded: Sequence[str] = ()
) -> np.ndarray:
    """Return which findings are errors of a rule on rows, of one column or of any other (None)."""
    mask = pc.and_(pc.equal(found["rule"], rule), pc.equal(found["severity"], "error"))
    mask = pc.and_(mask, pc.is_valid(found["row"]))
    columns = pc.coalesce(found["column"], "")
    if column is not None:
        mask = pc.and_(mask, pc.equal(columns, column))
    if excluded:
        mask = pc.and_(mask, pc.invert(pc.is_in(columns, pa.array(excluded, pa.string()))))
    return np.asarray(mask.to_numpy())


def _scores(found: Findings, is_below: Any) -> np.ndarray:
    scores = pc.fill_null(found["score"], np.inf).to_numpy()
    return np.asarray(is_below(scores))


def _milder(found: Findings, mask: np.ndarray, suggestion: str) -> Findings:
    for name, value in (("severity", "warning"), ("suggestion", suggestion)):
        kept = found[name].combine_chunks()
        changed = pc.if_else(pa.array(mask), pa.scalar(value, pa.string()), kept)
        found = found.set_column(found.schema.get_field_index(name), name, changed)
    return found
