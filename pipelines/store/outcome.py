"""The outcome of a run or release: what `--json` prints and the terminal sums up."""

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checks.kit.verdict import Verdict
from pipelines.checking.examine import Status
from provenance.base.errors import AssayError, Notice
from provenance.ledger.entry import Entry

if TYPE_CHECKING:
    import pyarrow as pa

    from provenance.ledger.run_reader import RunReader


@dataclasses.dataclass(frozen=True, slots=True)
class Fated:
    """How many rows went where, and the root of their lineage in hex."""

    source: int
    clean: int
    quarantine: int
    rejected: int
    root: str = ""

    def as_dict(self) -> dict[str, int]:
        """Return the object that stands under `rows` in `--json`."""
        counts = dataclasses.asdict(self)
        counts.pop("root")
        return counts


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """A committed run: its entry and folder, verdict, rows, checks and notices.

    `timings` are seconds per stage, and `total`. `is_interrupted`: an interrupt came when the run
    was committed already.
    """

    entry: Entry
    folder: Path
    verdict: Verdict
    rows: Fated
    statuses: tuple[Status, ...] = ()
    warnings: tuple[Notice, ...] = ()
    timings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    is_interrupted: bool = False

    def clean_files(self) -> list[Path]:
        """Return the Parquet files of the clean dataset, in order."""
        return [self.folder / name for name in self._files().names("clean")]

    def clean(self) -> "pa.Table":
        """Return the clean dataset, all of it in memory; L011 if it is not as recorded."""
        import pyarrow as pa

        return pa.concat_tables(self._files().tables("clean"))

    def _files(self) -> "RunReader":
        from provenance.ledger.run_reader import RunReader

        return RunReader(self.folder, self.entry)

    def as_dict(self) -> dict[str, Any]:
        """Return the one object that `--json` prints."""
        return {
            "schema": "assay.run/1",
            "run": self.entry.seq,
            "path": str(self.folder),
            "verdict": self.verdict.word,
            "rows": self.rows.as_dict(),
            "checks": [
                {
                    "check": status.check,
                    "status": status.status,
                    "findings": status.findings,
                    "rows": status.rows,
                    "seconds": status.seconds,
                }
                for status in self.statuses
            ],
            "reasons": [reason.as_dict() for reason in self.verdict.reasons],
            "warnings": [notice.as_dict() for notice in self.warnings],
            "timings": dict(self.timings),
            "error": None,
        }


@dataclasses.dataclass(slots=True)
class Late:
    """Whether an interrupt came when a run stood already."""

    is_interrupted: bool = False

    def marked(self, outcome: Outcome) -> Outcome:
        """Return the outcome with what this tells of it."""
        is_interrupted = outcome.is_interrupted or self.is_interrupted
        return dataclasses.replace(outcome, is_interrupted=is_interrupted)


@contextlib.contextmanager
def unless_committed(committed: Sequence[object], late: Late) -> Iterator[None]:
    """Let an interrupt through, but not one that comes when something stands already.

    What an interrupt during the cleaning up leaves is swept by the next run.
    """
    try:
        yield
    except KeyboardInterrupt:
        if not committed:
            raise
        late.is_interrupted = True


def recorded(entry: Entry, folder: Path) -> dict[str, Any]:
    """Return the same object for a run of the past, as its entry and findings tell it.

    Raises:
        AssayError: ASSAY-L011 if the findings are not as recorded.
    """
    import pyarrow as pa

    from checks.kit import findings
    from provenance.ledger.run_reader import RunReader

    facts = entry.facts
    found = pa.concat_tables(RunReader(folder, entry).tables("findings", ["check", "row"]))
    checks = []
    for name, status in facts["checks"].items():
        size, rows = findings.count(found, name)
        checks.append({"check": name, "status": status, "findings": size, "rows": rows,
                       "seconds": 0.0})  # fmt: skip
    return {
        "schema": "assay.run/1", "run": entry.seq, "path": str(folder),
        "verdict": facts["verdict"], "rows": facts["rows"], "checks": checks,
        "reasons": facts["reasons"], "warnings": facts.get("warnings", []),
        "timings": {"total": 0.0}, "error": None,
    }  # fmt: skip


def show(outcome: Outcome, *, as_json: bool) -> None:
    """Print an outcome on stdout.

    Raises:
        AssayError: ASSAY-E003 if stdout does not take it; the run is committed all the same.
    """
    try:
        sys.stdout.write(_text(outcome, as_json=as_json))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        what = f"run {outcome.entry.seq} is committed, but stdout cannot be written"
        fix = "`assay ledger log` and the run's report tell what came of it"
        raise AssayError("E003", what, where="stdout", fix=fix) from error


def _text(outcome: Outcome, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(outcome.as_dict()) + "\n"
    from pipelines import console

    is_color = console.is_colored(sys.stdout, os.environ)
    return console.summary(outcome.as_dict(), is_color=is_color)
