"""What one run takes over from the decisions on its dataset, and what its entry records of that."""

import dataclasses
from typing import Any, Self

from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from pipelines.learning import cases, corrections, in_force, summary, teaching
from pipelines.learning.corrections import Corrections
from pipelines.learning.teaching import Applied, Teaching
from pipelines.run import decided, fates
from pipelines.store.decisions import History
from pipelines.store.store import Store
from provenance.rows.snapshot import Snapshot


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
    corrected: Corrections

    @property
    def found(self) -> Findings:
        """Return the findings."""
        return self.applied.found

    def facts(self) -> dict[str, Any]:
        """Return what an entry records; nothing for a dataset that nobody reviewed."""
        made: dict[str, Any] = {"lessons": self.lessons} if self.lessons else {}
        if not self.teaching.cuts and not self.corrected.labels:
            return made
        pairs = zip(self.teaching.facts(), self.applied.changed, strict=True)
        made["learnt"] = {
            "upto": self.teaching.upto,
            "cuts": [{**cut, "rows": rows} for cut, rows in pairs],
            "corrected_labels": len(self.corrected.labels),
            "corrected_sha256": self.corrected.sha256,
        }
        return made


@dataclasses.dataclass(frozen=True, slots=True)
class Reviews:
    """The decisions on a dataset, as a run reads them: once, before the checks.

    Attributes:
        every: all decisions.
        valid: those in force, which teach.
    """

    every: History
    valid: History

    @classmethod
    def of(cls, store: Store, contract: Contract) -> Self:
        """Read them.

        Raises:
            AssayError: ASSAY-L011 if a file does not match its record, L004 or L007 if an entry was
                edited.
        """
        every = History.of(store, contract.name)
        return cls(every, in_force.of(every, contract))

    def corrections(self, snapshot: Snapshot, contract: Contract) -> Corrections:
        """Return the labels that persons corrected in a source."""
        return corrections.of(
            self.valid,
            contract,
            lambda: decided.pieces(snapshot, fates.ids_of(snapshot, contract)),
        )


def from_reviews(
    store: Store, valid: History, contract: Contract, found: Findings, corrected: Corrections
) -> Learnt:
    """Apply the contract's thresholds, then those that decisions taught.

    Args:
        store: with the runs that were reviewed.
        valid: the decisions in force on the dataset.
        contract: says whether to learn.
        found: all findings of the run.
        corrected: labels that the run's models learnt.

    Raises:
        AssayError: ASSAY-L011 if a file of a run that was reviewed is not as recorded.
    """
    known = cases.of(store, valid)
    taught = teaching.of(known, valid, contract)
    applied = teaching.apply(found, taught, contract)
    return Learnt(applied, taught, summary.facts(known, store, valid, contract), corrected)
