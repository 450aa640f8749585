"""What one run takes over from the decisions on its dataset, and what its entry records of that."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from pipelines.learning import cases, in_force, summary, teaching
from pipelines.learning.teaching import Applied, Teaching
from pipelines.run import decided, fates
from pipelines.store import decisions
from pipelines.store.decisions import History
from pipelines.store.opinions import CHANGES, Decision
from pipelines.store.store import Store
from provenance.rows.snapshot import Snapshot

Corrected = Mapping[int, str]  # labels by row


@dataclasses.dataclass(frozen=True, slots=True)
class Learnt:
    """Findings with the severities that policy and decisions give them, and why.

    Attributes:
        applied: the findings, and what was changed in them.
        teaching: the thresholds that decisions taught.
        lessons: precision and proposals of each reviewed rule.
        corrected: labels that the check of labels learnt from in place of the rows' own.
    """

    applied: Applied
    teaching: Teaching
    lessons: list[dict[str, Any]]
    corrected: Corrected

    @property
    def found(self) -> Findings:
        """Return the findings."""
        return self.applied.found

    def facts(self) -> dict[str, Any]:
        """Return what an entry records; nothing for a dataset that nobody reviewed."""
        made: dict[str, Any] = {"lessons": self.lessons} if self.lessons else {}
        if not self.teaching.cuts and not self.corrected:
            return made
        pairs = zip(self.teaching.facts(), self.applied.changed, strict=True)
        made["learnt"] = {
            "upto": self.teaching.upto,
            "cuts": [{**cut, "rows": rows} for cut, rows in pairs],
            "corrected_labels": len(self.corrected),
        }
        return made


def from_reviews(
    store: Store, history: History, contract: Contract, found: Findings, corrected: Corrected
) -> Learnt:
    """Apply the contract's thresholds, then those that decisions taught.

    Args:
        store: with the runs that were reviewed.
        history: all decisions on the dataset.
        contract: says whether to learn.
        found: all findings of the run.
        corrected: what `corrections` returned for it.

    Raises:
        AssayError: ASSAY-L011 if a file of a run that was reviewed is not as recorded.
    """
    valid = in_force.of(history, contract)
    known = cases.of(store, valid)
    taught = teaching.of(known, valid, contract)
    applied = teaching.apply(found, taught, contract)
    return Learnt(applied, taught, summary.facts(known, store, valid, contract), corrected)


def corrections(store: Store, snapshot: Snapshot, contract: Contract) -> Corrected:
    """Return the labels that persons corrected in a source.

    They count whatever accuses the row now: a person saw this content. Released and rejected rows
    keep their own label, from which the models learn as before.
    """
    label = contract.label
    if label is None or not contract.policy.learn:
        return {}
    history = in_force.of(History.of(store, contract.name), contract)
    pairs = ((at, _label_of(stack, label)) for at, stack in history.stacks.items())
    known = {at: made for at, made in pairs if made}
    if not known:
        return {}
    ids = fates.ids_of(snapshot, contract)
    located = decisions.locate(decided.pieces(snapshot, ids), history.ids())
    found = {row: known[identity] for row, identity in located.items() if identity in known}
    return {row: found[row] for row in sorted(found)}


def _label_of(stack: list[Decision], label: str) -> str | None:
    """Return a row's label as decided, None if it is its own."""
    for each in reversed(stack):
        if each.decision not in CHANGES:
            return None
        if each.column == label:
            return each.value
    return None
