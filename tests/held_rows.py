"""Runs whose rows are held with scores, for what decisions on them teach."""

import numpy as np
import runs

from checks.kit import findings
from pipelines.learning import in_force
from pipelines.learning.corrections import Corrections
from pipelines.review import recording
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.run import learnt, reading
from pipelines.store.decisions import History
from pipelines.store.store import Store
from provenance.rows.snapshot import Snapshot

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: sizes
schema:
  - name: sizes
    properties:
      - {name: key, logicalType: string, primaryKey: true}
      - {name: size, logicalType: integer}
      - {name: kind, logicalType: string, customProperties: [{property: assay.role, value: label}]}
"""
COUNT = 40


def with_policy(contract, text):
    """Write the contract's file with a policy."""
    contract.write_text(
        f"{CONTRACT}customProperties:\n  - {{property: assay.policy, value: {text}}}\n"
    )


def commit(contract, scores=None, *, name="a", rule="outliers.joint", found=None):
    """Commit a run next to its contract; returns it for review."""
    path, store = contract.parent / f"{name}.csv", Store(contract.parent / "store")
    path.write_text("key,size,kind\n" + "".join(f"{name}{n},{n},x\n" for n in range(COUNT)))
    found = accused(scores, rule=rule) if found is None else found
    return ReviewedRun.of(store, runs.committed(store, contract, path, found=[found]))


def accused(scores=None, *, rule="outliers.joint"):
    """Accuse the rows, by default from a score of 0 to 0.975."""
    scores = np.arange(COUNT) / COUNT if scores is None else scores
    return findings.make(np.arange(len(scores)), check=rule.partition(".")[0], rule=rule,
                         column="size", score=scores, evidence="far")  # fmt: skip


def decide(run, decision, rows, name="anna", **more):
    """Record a decision on some rows, after all that was decided so far; returns the entry."""
    asks = [Ask(Selection(row=str(row)), decision, **more) for row in rows]
    return recording.record(ReviewedRun.of(run.store, run.entry), asks, name).entry


def in_force_now(run):
    """Return the decisions in force on the run's dataset."""
    return in_force.of(History.of(run.store, "sizes"), run.contract)


def lessons_for(run, found, corrected=None):
    """Return what a run with these findings takes over by now."""
    corrected = Corrections() if corrected is None else corrected
    return learnt.from_reviews(run.store, in_force_now(run), run.contract, found, corrected)


def source_of(run):
    """Read the run's source again; returns its snapshot."""
    folder = run.store.folder.parent
    reading.read_sources(str(folder / "c.yaml"), [str(folder / "a.csv")], [], str(folder / "read"))
    return Snapshot.load(folder / "read" / "source" / "snapshot.json")
