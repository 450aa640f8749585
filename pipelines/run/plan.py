"""The plan of a run: small plain values that every stage gets, and where its files lie."""

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to run. Paths only; tables never travel between stages.

    Attributes:
        run_id: random name of this execution, also of its staging folder.
        work: the staging folder; `out` below it becomes the run's folder.
        sources, reference: the files of each, in order; no reference is empty.
    """

    run_id: str
    work: Path
    contract: Path
    sources: tuple[str, ...]
    reference: tuple[str, ...]
    engine: str
    dask_address: str | None = None

    @property
    def out(self) -> Path:
        """Return the folder that becomes the run's."""
        return self.work / "out"

    @property
    def scratch(self) -> Path:
        """Return the folder of what only later stages need."""
        return self.work / "scratch"

    @property
    def snapshot(self) -> Path:
        """Return the snapshot's folder."""
        return self.scratch / "snapshot"
