"""Scenery of the gate: a small table, its contract, and a run that a gate may reuse."""

from pathlib import Path

import runs

from pipelines.cli import main
from pipelines.store.store import Store

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: parts
name: parts
version: 1.0.0
status: active
schema:
  - name: parts
    properties:
      - {name: key, logicalType: integer, primaryKey: true}
      - {name: word, logicalType: string}
"""


class Home:
    """A folder with `c.yaml`, `a.csv` and a store; the commands run in it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.store = Store(self.folder / "store")
        (self.folder / "c.yaml").write_text(CONTRACT)
        lines = [f"{number},word {number}" for number in range(40)]
        (self.folder / "a.csv").write_text("\n".join(["key,word", *lines]) + "\n")

    def passed(self, **facts):
        """Commit a run that passed; returns its entry."""
        return runs.committed(self.store, self.folder / "c.yaml", self.folder / "a.csv", **facts)

    def words(self, *options, command):
        """Return the words of a gate."""
        return ["gate", "c.yaml", "--source", "a.csv", "--store", "store", *options, "--", *command]

    def gate(self, *options, command=("true",)):
        """Run a gate in this process; returns its exit code."""
        return main(self.words(*options, command=command))

    @property
    def clean(self):
        """Return the first clean file of run 1."""
        return self.store.run_folder(1) / "clean" / "part-00000.parquet"

    def accesses(self):
        """Return the facts of the handovers in the ledger."""
        return [entry.facts for entry in self.store.ledger.entries() if entry.kind == "access"]
